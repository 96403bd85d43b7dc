-- A number is its account's once that is verified: by the operator, or by a call to the number. Any account may have a row of
-- a number that is not; it blocks nobody. What is there was unique until now, so the oldest claim is the verified one.
alter table virtual_numbers add column is_verified boolean not null default true;
alter table virtual_numbers alter column is_verified set default false;
alter table virtual_numbers drop constraint virtual_numbers_phone_number_key;
create unique index virtual_numbers_verified on virtual_numbers (phone_number) where is_verified;
alter table virtual_numbers add constraint virtual_numbers_account_number_key unique (account_id, phone_number);

create table number_verifications (                        -- calls that say a code to who answers the number
    account_id bigint not null,
    virtual_number_id bigint not null,
    salt bytea not null,
    code_hash bytea not null,                              -- scrypt of the six digits
    attempts_left int not null,
    expires_at timestamptz not null,
    calls int not null default 1,                          -- since calls_since
    calls_since timestamptz not null,
    primary key (account_id, virtual_number_id),
    foreign key (account_id, virtual_number_id) references virtual_numbers on delete cascade
);
