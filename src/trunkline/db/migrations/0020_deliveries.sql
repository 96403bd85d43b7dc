-- Deliveries of one tenant depend on no row of another, and upload callbacks are deliveries.

-- Without these keys an insert or an outcome never waits for a subscription that is being deleted. Deliveries without
-- a subscription are not sent; the worker removes them.
alter table deliveries drop constraint deliveries_account_id_subscription_id_fkey;
alter table endpoint_states drop constraint endpoint_states_account_id_subscription_id_fkey;

create table callback_endpoints (                          -- where callbacks of uploaded calls go, one row an origin
    account_id bigint not null references accounts,
    subscription_id bigint not null
        default nextval(pg_get_serial_sequence('subscriptions', 'subscription_id')),
    origin text not null,                                  -- scheme://host[:port]
    primary key (account_id, subscription_id),
    unique (account_id, origin)
);

alter table deliveries add column url text;                -- of a callback; null = the subscription's

-- Callbacks that wait as jobs become deliveries.
insert into callback_endpoints (account_id, origin)
select distinct (args ->> 'account_id')::bigint, lower(substring(args ->> 'url' from '^[a-zA-Z]+://[^/?#]+'))
from procrastinate_jobs
where task_name = 'tell_upload_status' and status in ('todo', 'doing')
    and args ->> 'url' ~ '^[a-zA-Z]+://[^/?#]+' and exists (
        select 1 from accounts where account_id = (args ->> 'account_id')::bigint);

insert into deliveries (account_id, subscription_id, stream, seq, mnemonic, occurred_at, variables, url,
    next_attempt_at)
select endpoint.account_id, endpoint.subscription_id, 'upload:' || (job.args -> 'body' ->> 'ext_id'),
    row_number() over (partition by endpoint.account_id, job.args -> 'body' ->> 'ext_id' order by job.id),
    'uploaded_call_' || (job.args -> 'body' ->> 'status'),
    to_timestamp((job.args -> 'body' ->> 'timestamp')::float8), job.args -> 'body', job.args ->> 'url', now()
from procrastinate_jobs job
    join callback_endpoints endpoint on endpoint.account_id = (job.args ->> 'account_id')::bigint
        and endpoint.origin = lower(substring(job.args ->> 'url' from '^[a-zA-Z]+://[^/?#]+'))
where job.task_name = 'tell_upload_status' and job.status in ('todo', 'doing');

delete from procrastinate_jobs where task_name = 'tell_upload_status' and status in ('todo', 'doing');
