-- Uploaded calls and what is told of them.

create sequence uploaded_call_ids;

create table uploaded_calls (                              -- one row an ext_id: its newest upload
    account_id bigint not null references accounts,
    uploaded_call_id bigint not null default nextval('uploaded_call_ids'),
    ext_id text not null,
    ext_request_id text not null,                          -- `id` of the request that uploaded it
    upload_time timestamptz not null default now(),
    session_id bigint not null,                            -- the call session it becomes
    direction text not null check (direction in ('in', 'out')),
    calling_phone_number text not null,
    called_phone_number text not null,
    start_time timestamptz not null,
    finish_time timestamptz not null,
    is_lost boolean not null,
    is_transfer boolean not null,
    wait_duration int,                                     -- durations as sent, seconds
    talk_duration int,
    visitor_session_id bigint,
    campaign_id bigint,
    source_id bigint,
    site_id bigint,
    comment text,
    tags jsonb not null default '[]',                      -- [{"tag_id", "tag_name"}]
    record_type text check (record_type in ('wav', 'mp3')),
    records jsonb not null default '[]',                   -- [{"employee_id", "employee_name", "employee_channel", "record_url", "recording_id"}]
    callback jsonb not null default '{}',                  -- {"url", "events"}
    status text not null default 'new' check (status in
        ('new', 'in_process', 'not_processed', 'cancelled', 'processed', 'error')),
    error_code text,
    error_message text,
    failures int not null default 0,                       -- uploads of this ext_id that failed
    runs int not null default 0,                           -- times that a worker took it up since it was uploaded
    settled_at timestamptz,
    primary key (account_id, uploaded_call_id), unique (account_id, ext_id), unique (session_id)
);
create index on uploaded_calls (account_id, upload_time desc, uploaded_call_id desc);

create index on employees (account_id, lower(full_name));  -- uploads name employees

-- What a recording was when it came, where it was made into another: container, codec, sample rate, channels, ...
alter table recordings add column source_format jsonb;
