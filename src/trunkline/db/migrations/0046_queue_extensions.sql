-- The short number of a queue, of the same set as those of employees and groups.
alter table queues add column extension text check (extension ~ '^[0-9]{2,5}$'), add unique (account_id, extension);
