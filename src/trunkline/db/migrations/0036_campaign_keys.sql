-- Campaigns get a key, by which directory files name them.

alter table campaigns add column key text;
update campaigns set key = case type when 'system' then 'system' else 'api-' || campaign_id end;
alter table campaigns
    alter column key set default 'made-' || gen_random_uuid(),
    alter column key set not null,
    add unique (account_id, key);

create or replace function add_system_rows(account bigint) returns void language sql as $$
    insert into tags (account_id, key, name, is_system)
    values (account, 'system-sale',
            case when exists (select from tags where account_id = account and name = 'Sale')
                 then 'Sale (system)' else 'Sale' end, true);
    insert into contact_groups (account_id, key, name, is_system)
    values (account, 'system-blacklist', 'Blacklist', true);
    insert into campaigns (account_id, campaign_id, key, name, type)
    values (account, -1, 'system', 'Visitors without advertising campaign', 'system');
$$;
