-- The queues that a contact waited in, and the queue for which an agent was called.
alter table call_sessions add column queues jsonb not null default '[]';
alter table call_legs add column queue_id bigint, add column queue_name text;
