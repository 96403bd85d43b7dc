-- Mailboxes of employees, which they listen to by phone.
create table voice_mailboxes (
    account_id bigint not null,
    employee_id bigint not null,
    pin_salt bytea not null,
    pin_hash bytea not null,                               -- scrypt
    failures int not null default 0,                       -- wrong PINs since the last right one
    locked_until timestamptz,
    primary key (account_id, employee_id),
    foreign key (account_id, employee_id) references employees on delete cascade
);

create table voice_messages (
    account_id bigint not null,
    recording_id text not null,
    employee_id bigint not null,
    call_session_id bigint not null,
    is_saved boolean not null default false,               -- false: new
    created_at timestamptz not null default now(),
    primary key (account_id, recording_id),
    foreign key (account_id, employee_id) references employees on delete cascade
);
create index on voice_messages (account_id, employee_id, created_at);
