-- A subscription may be to certain calls only (notifications/conditions.py).
alter table subscriptions
    add column conditions jsonb not null default '{}';     -- {}: all calls
