-- Cheaper events, history and deliveries.

-- One worker at a time delivers, and knows what it has under way: no leases. The unique key finds a stream.
alter table deliveries drop column lease_until;
drop index if exists deliveries_account_id_subscription_id_stream_seq_delivery_i_idx;
