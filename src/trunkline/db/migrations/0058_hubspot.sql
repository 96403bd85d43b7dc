-- HubSpot: the connection of an account, calls that become engagements there, and what was created there.
create table hubspot_connections (
    account_id bigint primary key references accounts on delete cascade,
    kind text not null check (kind in ('oauth', 'service_key', 'private_app')),
    portal_id bigint not null,                             -- the account in HubSpot
    client_id text,                                        -- of the app, with oauth
    client_secret_encrypted bytea,
    refresh_token_encrypted bytea,
    access_token_encrypted bytea not null,
    access_token_until timestamptz,                        -- null: it does not expire
    is_active boolean not null default true,
    create_contacts boolean not null default false,        -- of numbers that no contact has
    missed_call_tasks boolean not null default false,
    push_recordings boolean not null default true,
    default_owner_id text,                                 -- of calls without an employee that has an owner
    problem text,                                          -- why nothing is sent
    paused_until timestamptz,                              -- nothing is sent before
    connected_at timestamptz not null default now(),
    check ((kind = 'oauth') = (client_id is not null and client_secret_encrypted is not null
        and refresh_token_encrypted is not null))
);

create table hubspot_calls (                               -- a finished call, and how far it is in HubSpot
    account_id bigint not null references accounts on delete cascade,
    call_session_id bigint not null,
    state text not null default 'pending' check (state in ('pending', 'done', 'failed', 'skipped')),
    wanted int not null default 1,                         -- raised by each change of the call
    due_at timestamptz not null default now(),
    attempts int not null default 0,                       -- that failed in a row
    failing_since timestamptz,
    sent jsonb not null default '{}',                      -- properties of the engagement as they were sent
    contact_id text,
    contact_choice text,                                   -- why this contact
    error text,
    noted_at timestamptz not null default now(),
    read_at timestamptz,                                   -- when the call was read for what was sent
    primary key (account_id, call_session_id)
);
create index hubspot_calls_due on hubspot_calls (account_id, due_at) where state = 'pending';
create index hubspot_calls_read on hubspot_calls (read_at) where state = 'done';

create table hubspot_objects (                             -- what is created there, each once
    account_id bigint not null references accounts on delete cascade,
    kind text not null check (kind in ('call', 'task', 'contact')),
    key text not null,                                     -- the call session's id, or the contact's number
    hubspot_id text,                                       -- null while it is not known
    asked_at timestamptz,                                  -- the last request to create it; without an id its outcome is unknown
    verify_at timestamptz,                                 -- when to look for a second one
    primary key (account_id, kind, key)
);
create index hubspot_objects_verify on hubspot_objects (account_id, verify_at) where verify_at is not null;

create table hubspot_limits (                              -- of a portal, whichever accounts and processes use it
    portal_id bigint not null,
    kind text not null check (kind in ('requests', 'search')),
    next_at timestamptz not null,                          -- when the next request may be sent, less the burst
    primary key (portal_id, kind)
);

-- The owner of an employee's calls in HubSpot; empty: none.
alter table employees add column hubspot_owner_id text not null default '' check (hubspot_owner_id ~ '^[0-9]{0,20}$');
