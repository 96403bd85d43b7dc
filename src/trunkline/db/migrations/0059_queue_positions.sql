-- Callers of a queue may hear their position and the expected wait.
alter table queues
    add column announce_position boolean not null default false,
    add column announce_wait boolean not null default false;
