-- Bytes that uploaded calls in process take, or will take at most, besides those of upload_totals. A call has a row from before its
-- first recording is fetched until it is settled, or its files are removed. It counts while the job of the call runs, so that of
-- a killed worker counts no more once its job waits for the next attempt, which replaces it.
create table upload_reservations (
    account_id bigint not null references accounts,
    uploaded_call_id bigint not null,
    bytes bigint not null check (bytes >= 0),
    primary key (account_id, uploaded_call_id)
);
