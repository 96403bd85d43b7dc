-- Reports over many millions of calls (docs/decisions/0018-reports-on-large-tables.md). An index on the time of a report carries
-- what is asked for most, so that it is counted, and passed over, without a look at the rows.

create index call_sessions_time on call_sessions
    (account_id, start_time desc, call_session_id desc, finish_time, is_lost, direction, scenario_id);
drop index call_sessions_account_id_start_time_call_session_id_idx;

create index call_sessions_employees on call_sessions using gin (employees jsonb_path_ops);
create index call_sessions_tags on call_sessions using gin (tags jsonb_path_ops);

create index call_legs_time on call_legs
    (account_id, start_time desc, leg_id desc, call_session_id, finish_time, employee_id, duration);
drop index call_legs_account_id_start_time_leg_id_idx;

-- How many calls began in an hour: what the total of a long period is summed from, in place of counting its rows. Each
-- statement that changes calls adds the difference it makes, in its transaction, so a sum is exact at any instant and
-- nobody waits for anybody; trunkline.reports.tally folds the lines of an hour together later.
create table call_counts (
    account_id bigint not null,
    hour timestamptz not null,                             -- the hour in UTC
    direction text not null,
    is_lost boolean,
    is_finished boolean not null,
    sessions bigint not null                               -- more (or, below zero, fewer) calls of this kind
);
create index call_counts_hour on call_counts (account_id, hour) include (direction, is_lost, is_finished, sessions);

create function count_calls() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into call_counts
        select account_id, date_trunc('hour', start_time, 'UTC'), direction, is_lost, finish_time is not null, count(*)
        from added group by 1, 2, 3, 4, 5;
    elsif tg_op = 'DELETE' then
        insert into call_counts
        select account_id, date_trunc('hour', start_time, 'UTC'), direction, is_lost, finish_time is not null, -count(*)
        from removed group by 1, 2, 3, 4, 5;
    else
        insert into call_counts
        select account_id, date_trunc('hour', start_time, 'UTC'), direction, is_lost, finish_time is not null, sum(n)
        from (
            select account_id, start_time, direction, is_lost, finish_time, 1 as n from added
            union all
            select account_id, start_time, direction, is_lost, finish_time, -1 from removed
        ) changed
        group by 1, 2, 3, 4, 5 having sum(n) <> 0;
    end if;
    return null;
end $$;

create trigger count_added after insert on call_sessions
    referencing new table as added for each statement execute function count_calls();
create trigger count_changed after update on call_sessions
    referencing old table as removed new table as added for each statement execute function count_calls();
create trigger count_removed after delete on call_sessions
    referencing old table as removed for each statement execute function count_calls();

insert into call_counts
select account_id, date_trunc('hour', start_time, 'UTC'), direction, is_lost, finish_time is not null, count(*)
from call_sessions group by 1, 2, 3, 4, 5;
