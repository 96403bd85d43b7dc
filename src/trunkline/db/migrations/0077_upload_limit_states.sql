-- Which limits of stored recordings of uploaded calls an account has reached. limit_name: bytes or bytes_per_day.
create table upload_limit_states (
    account_id bigint not null references accounts,
    limit_name text not null,
    refused_limit bigint,                                  -- the limit by which the last upload was refused; null: none was since one was stored
    refused_bytes bigint,                                  -- stored bytes then
    refused_at timestamptz,
    is_published boolean not null default false,           -- as reached
    published_at timestamptz,                              -- last time as reached
    primary key (account_id, limit_name)
);
