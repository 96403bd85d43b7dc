-- Streams of events with a version and one sequencer; the lease's fencing token; rows that tell which events they hold.

create table call_streams (                                -- one row a call: the number of its last event
    account_id bigint not null,
    call_session_id bigint not null,
    version int not null,
    is_open boolean not null,                              -- until session_finished is written
    primary key (account_id, call_session_id)
) partition by range (call_session_id);
create index on call_streams (call_session_id) where is_open;

do $$                                                      -- a partition for each month that call_events has
declare part record;
begin
    for part in
        select c.relname as name, pg_get_expr(c.relpartbound, c.oid) as bound
        from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'call_events'::regclass
    loop
        execute format('create table %I partition of call_streams %s',
            replace(part.name, 'call_events', 'call_streams'), part.bound);
    end loop;
end $$;

-- Calls that are not over. Of others the row is made when somebody appends.
insert into call_streams (account_id, call_session_id, version, is_open)
select s.account_id, s.call_session_id, max(e.seq), true
from call_sessions s join call_events e using (account_id, call_session_id)
where s.finish_time is null
group by s.account_id, s.call_session_id
having bool_and(e.type <> 'session_finished');

alter table call_sessions add column version int not null default 0;  -- of the stream whose events the row holds
drop index if exists call_sessions_node_call_session_id_idx;

alter table switch_leases
    add column token bigint not null default 0,            -- grows with each takeover; a writer with an older one is refused
    add column position timestamptz;                       -- the engine's signals are handled and written up to here

create table dead_letters (                                -- events that PostgreSQL cannot store, for a person
    dead_letter_id bigint generated always as identity,
    account_id bigint not null,
    stream text not null,
    seq int not null,
    type text not null,
    occurred_at timestamptz,
    data text not null,                                    -- as far as it can be told
    error text not null,
    created_at timestamptz not null default now(),
    primary key (account_id, dead_letter_id)
);
