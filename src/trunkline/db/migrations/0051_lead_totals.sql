-- Leads of each account and their size, kept by triggers: what limits of an account are checked against.
create table lead_totals (
    account_id bigint primary key references accounts,
    leads bigint not null default 0,
    bytes bigint not null default 0                        -- of the rows as text
);

create function count_leads() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into lead_totals as t
        select account_id, count(*), sum(octet_length(added::text)) from added group by account_id
        on conflict (account_id) do update set leads = t.leads + excluded.leads, bytes = t.bytes + excluded.bytes;
    elsif tg_op = 'DELETE' then
        update lead_totals t set leads = t.leads - r.leads, bytes = t.bytes - r.bytes
        from (select account_id, count(*) as leads, sum(octet_length(removed::text)) as bytes
              from removed group by account_id) r
        where t.account_id = r.account_id;
    else
        update lead_totals t set bytes = t.bytes + c.bytes
        from (select account_id, sum(bytes) as bytes
              from (select account_id, octet_length(added::text) as bytes from added
                    union all
                    select account_id, -octet_length(removed::text) from removed) both_rows
              group by account_id) c
        where t.account_id = c.account_id;
    end if;
    return null;
end $$;

create trigger count_added after insert on leads
    referencing new table as added for each statement execute function count_leads();
create trigger count_changed after update on leads
    referencing old table as removed new table as added for each statement execute function count_leads();
create trigger count_removed after delete on leads
    referencing old table as removed for each statement execute function count_leads();

insert into lead_totals
select account_id, count(*), sum(octet_length(l::text)) from leads l group by account_id;
