-- trunkline: outside a transaction
-- The order in which leads are called, so that the next ones of a long list are read without sorting it.
create index concurrently dial_leads_in_order
    on dial_leads (account_id, campaign_id, is_callback desc, priority desc, attempts, next_at, phone) where closed is null;
-- Which calls have joined a queue, for a switch that starts.
create index concurrently stream_events_of_waiting_calls
    on stream_events (account_id, (data->>'call_session_id')) where type in ('caller_joined', 'caller_resumed');
