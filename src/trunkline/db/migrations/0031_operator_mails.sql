-- When the mails about an event of the installation were ordered; events before this change are not mailed.
alter table installation_events add column mailed_at timestamptz;
update installation_events set mailed_at = now();
create index installation_events_not_mailed on installation_events (installation_event_id) where mailed_at is null;
