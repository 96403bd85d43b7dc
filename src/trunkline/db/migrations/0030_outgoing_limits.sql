-- Limits of calls to the world, of an account (sip_line_id 0) or one of its lines; null: the installation's usual one.
create table outgoing_limits (
    account_id bigint not null references accounts,
    sip_line_id bigint not null default 0,
    calls_per_minute int check (calls_per_minute >= 0),    -- 0: no limit
    concurrent_calls int check (concurrent_calls >= 0),
    money_per_day numeric(18, 4) check (money_per_day >= 0),
    primary key (account_id, sip_line_id)
);
create trigger announce after insert or update or delete on outgoing_limits
    for each row execute function announce_directory();
