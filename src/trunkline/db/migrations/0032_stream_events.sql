-- Events of streams that belong to no call: lines, agents, queues, accounts. Their versions are in stream_positions.
create table stream_events (
    account_id bigint not null,
    stream text not null,                                  -- "agent:<employee_id>", "queue:<queue_id>", "line:<id>", ...
    seq int not null,
    type text not null,
    occurred_at timestamptz not null,
    data jsonb not null,
    primary key (account_id, stream, seq)
);
create index on stream_events (occurred_at);
