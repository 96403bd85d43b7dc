-- The operator's lock and the agent's are two facts; the status follows from both, so neither can undo the other's.

alter table accounts
    add column locked_by_operator boolean not null default false,
    add column locked_by_agent boolean not null default false;      -- waiting, locked by hand, by a limit or debt, archived

update accounts a set
    locked_by_agent = a.status = 'disabled' and exists (select from customers c
        where c.account_id = a.parent_account_id and c.customer_id = a.account_id and c.status <> 'active'),
    locked_by_operator = a.status = 'disabled' and not exists (select from customers c
        where c.account_id = a.parent_account_id and c.customer_id = a.account_id and c.status <> 'active');

alter table accounts drop column status;
alter table accounts add column status text not null
    generated always as (case when locked_by_operator or locked_by_agent then 'disabled' else 'active' end) stored;
