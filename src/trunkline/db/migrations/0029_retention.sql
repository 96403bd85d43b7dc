-- How long an account's data is kept, where that differs from the settings.
create table account_retention (
    account_id bigint not null references accounts on delete cascade,
    kind text not null check (kind in ('recordings', 'calls', 'request_log', 'delivery_log')),
    days int check (days >= 1),                            -- null = for ever
    primary key (account_id, kind)
);

-- A removed recording: the files are being deleted while a path is there, and gone when none is.
alter table recordings drop constraint recordings_status_check;
alter table recordings add constraint recordings_status_check
    check (status in ('pending', 'ready', 'failed', 'absent', 'removed')) not valid;
