-- What keeping the promises of deliveries and recordings needs beside the ground schema.

-- What a listener could not bear: put aside for it, tried again later, never lost.
create table event_failures (
    account_id bigint not null,
    failure_id bigint generated always as identity,
    listener text not null,
    stream text not null,
    seq int not null,
    type text not null,
    occurred_at timestamptz not null,
    data jsonb not null,
    error text not null,
    attempts int not null default 1,
    next_attempt_at timestamptz not null default now() + interval '15 seconds',
    failed_at timestamptz not null default now(),
    resolved_at timestamptz,
    primary key (account_id, failure_id),
    unique (account_id, listener, stream, seq)
);
create index on event_failures (next_attempt_at) where resolved_at is null;

-- A delivery is rendered when it is sent, so that a mended template or address serves what waits, too.
-- next_attempt_at = when it is due; lease_until = a job was ordered for it: if nothing came of that by then, order again.
alter table deliveries
    add column variables jsonb not null default '{}',
    add column round_started_at timestamptz not null default now(),   -- of its tries: made, or replayed
    add column round_attempts int not null default 0,
    add column lease_until timestamptz;
create index on deliveries (account_id, subscription_id, next_attempt_at) where status = 'pending';
create index on deliveries (account_id, subscription_id, stream, seq, delivery_id) where status = 'pending';
create index on deliveries (account_id, subscription_id, delivery_id desc);

create table endpoint_states (                             -- of a subscription's endpoint, while something is wrong with it
    account_id bigint not null,
    subscription_id bigint not null,
    failures int not null default 0,                       -- in a row
    suspended_until timestamptz,                           -- nothing is sent before, but for the trial
    trial_stream text,                                     -- the one stream that may try whether it works again
    primary key (account_id, subscription_id),
    foreign key (account_id, subscription_id) references subscriptions on delete cascade
);

-- May a recording be fetched by its unguessable address alone?
alter table accounts add column open_recording_links boolean not null default true;

-- One recording of a session's talks, one of each voice mail: events may be heard twice.
create unique index on recordings (account_id, call_session_id, kind, coalesce(leg_id, 0));
create index on recordings (created_at) where status = 'pending';
create index on recordings (call_session_id);
