-- Requests that start a call, by the key their client gave: a repeated one is answered, not done again.

create table idempotency_keys (
    account_id bigint not null references accounts,
    method text not null,
    key text not null,
    request_hash bytea not null,                           -- of the parameters: a key stands for one request
    api_request_id bigint not null,                        -- of the attempt that has the key; its session carries it
    state text not null default 'claimed' check (state in ('claimed', 'dialling', 'done')),
    answer jsonb,                                          -- when done
    claimed_at timestamptz not null default now(),
    changed_at timestamptz not null default now(),
    primary key (account_id, method, key)
);
