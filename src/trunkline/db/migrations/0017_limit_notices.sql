-- Who was told of which limit: once for each period and amount.
create table customer_notices (
    account_id bigint not null,                            -- the agent's
    customer_id bigint not null,
    kind text not null check (kind in ('monthly_base', 'monthly_calls', 'daily_calls')),
    is_limit boolean not null,                             -- the limit itself, or the threshold before it
    amount numeric(18, 4) not null,                        -- what was reached
    period date not null,                                  -- the month's first day, or the day, by the client's calendar
    noticed_at timestamptz not null default now(),
    primary key (account_id, customer_id, kind, is_limit, amount, period),
    foreign key (account_id, customer_id) references customers on delete cascade
);
