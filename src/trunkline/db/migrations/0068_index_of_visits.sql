-- trunkline: outside a transaction
create index concurrently visitor_sessions_of_pages on visitor_sessions (account_id, date_time) where ext_id is null;
