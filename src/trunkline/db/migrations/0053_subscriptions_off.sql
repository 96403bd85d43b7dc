-- An endpoint that is gone, or has failed for days, is switched off; a signing secret may be replaced with the former one in use
-- for a while.
alter table subscriptions
    add column switched_off_reason text,                   -- why the product switched it off; null = it did not
    add column former_secret_encrypted bytea,              -- signs deliveries, too, until
    add column former_secret_until timestamptz;

alter table endpoint_states
    add column failing_since timestamptz not null default now();
