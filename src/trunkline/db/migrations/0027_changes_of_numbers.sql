-- A contact, a member of the blacklist and a line of the blacklist concern telephone numbers, not the whole account: their
-- announcement names the numbers (payload `account_id:numbers:n1,n2`), or that many changed (`account_id:numbers`).
create function announce_numbers(account bigint, numbers text[]) returns void language plpgsql as $$
declare listed text := array_to_string(numbers, ',');
begin
    if coalesce(cardinality(numbers), 0) = 0 then
        return;
    end if;
    -- a payload is bounded, and what is no number may hold a comma
    if length(listed) > 4000 or listed !~ '^[0-9,]+$' then
        perform pg_notify('trunkline_directory', account || ':numbers');
    else
        perform pg_notify('trunkline_directory', account || ':numbers:' || listed);
    end if;
end $$;

create function announce_contact_phones() returns trigger language plpgsql as $$
begin
    if tg_op <> 'DELETE' then
        perform announce_numbers(account_id, array_agg(distinct phone_number)) from new_rows group by account_id;
    end if;
    if tg_op <> 'INSERT' then
        perform announce_numbers(account_id, array_agg(distinct phone_number)) from old_rows group by account_id;
    end if;
    return null;
end $$;

-- A contact that comes or goes does so with its phones; a changed one has another name.
create function announce_contacts() returns trigger language plpgsql as $$
begin
    perform announce_numbers(p.account_id, array_agg(distinct p.phone_number))
    from new_rows c join contact_phones p on p.account_id = c.account_id and p.contact_id = c.contact_id
    group by p.account_id;
    return null;
end $$;

-- Of the groups only one decides how calls go.
create function announce_blacklisted_contacts() returns trigger language plpgsql as $$
begin
    if tg_op <> 'DELETE' then
        perform announce_numbers(p.account_id, array_agg(distinct p.phone_number))
        from new_rows m
        join contact_groups g on g.account_id = m.account_id and g.contact_group_id = m.contact_group_id
        join contact_phones p on p.account_id = m.account_id and p.contact_id = m.contact_id
        where g.key = 'system-blacklist' group by p.account_id;
    end if;
    if tg_op <> 'INSERT' then
        perform announce_numbers(p.account_id, array_agg(distinct p.phone_number))
        from old_rows m
        join contact_groups g on g.account_id = m.account_id and g.contact_group_id = m.contact_group_id
        join contact_phones p on p.account_id = m.account_id and p.contact_id = m.contact_id
        where g.key = 'system-blacklist' group by p.account_id;
    end if;
    return null;
end $$;

do $$
declare
    t text;
    made text;
begin
    foreach t in array array['contact_phones', 'blacklist', 'contact_group_members']
    loop
        made := case t when 'contact_group_members' then 'announce_blacklisted_contacts' else 'announce_contact_phones' end;
        execute format('drop trigger if exists announce on %I', t);
        execute format('create trigger announce_new after insert on %I referencing new table as new_rows
                        for each statement execute function %I()', t, made);
        execute format('create trigger announce_old after delete on %I referencing old table as old_rows
                        for each statement execute function %I()', t, made);
        execute format('create trigger announce_both after update on %I referencing old table as old_rows
                        new table as new_rows for each statement execute function %I()', t, made);
    end loop;
    drop trigger if exists announce on contacts;
    create trigger announce_changed after update on contacts referencing new table as new_rows
        for each statement execute function announce_contacts();
end $$;
