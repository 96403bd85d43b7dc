-- Scenarios branch by the groups of a contact: a member of any group that comes or goes concerns its telephone numbers.
create or replace function announce_blacklisted_contacts() returns trigger language plpgsql as $$
begin
    if tg_op <> 'DELETE' then
        perform announce_numbers(p.account_id, array_agg(distinct p.phone_number))
        from new_rows m
        join contact_phones p on p.account_id = m.account_id and p.contact_id = m.contact_id
        group by p.account_id;
    end if;
    if tg_op <> 'INSERT' then
        perform announce_numbers(p.account_id, array_agg(distinct p.phone_number))
        from old_rows m
        join contact_phones p on p.account_id = m.account_id and p.contact_id = m.contact_id
        group by p.account_id;
    end if;
    return null;
end $$;
