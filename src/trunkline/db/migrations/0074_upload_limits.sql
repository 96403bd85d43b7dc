-- Limits of the stored recordings of an account's uploaded calls; null: the installation's usual one.
create table upload_limits (
    account_id bigint primary key references accounts,
    bytes bigint check (bytes >= 0),                       -- 0: no limit
    bytes_per_day bigint check (bytes_per_day >= 0)
);
