-- Codes of an authenticator app, which a user enters in addition to the password.
create table second_factors (
    account_id bigint not null,
    user_id bigint not null,
    secret_encrypted bytea not null,
    confirmed_at timestamptz,                              -- null: not in use until a code was entered
    last_step bigint not null default 0,                   -- step of the last code that was used: a code is good once
    created_at timestamptz not null default now(),
    primary key (account_id, user_id),
    foreign key (account_id, user_id) references users on delete cascade
);
