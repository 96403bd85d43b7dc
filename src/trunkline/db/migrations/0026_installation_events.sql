-- What happened to the installation itself and to no account: a disk that fills up.
create table installation_events (
    installation_event_id bigint generated always as identity primary key,
    node int not null,
    type text not null,                                    -- disk_level
    data jsonb not null default '{}',
    occurred_at timestamptz not null default now()
);
create index on installation_events (occurred_at desc);
