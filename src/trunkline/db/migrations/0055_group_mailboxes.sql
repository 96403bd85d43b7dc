-- Messages that callers leave for a group; its members listen to them by phone.
alter table voice_messages
    alter column employee_id drop not null,
    add column group_id bigint,
    add foreign key (account_id, group_id) references employee_groups on delete cascade,
    add constraint voice_messages_owner check ((employee_id is null) <> (group_id is null));
create index on voice_messages (account_id, group_id, created_at) where group_id is not null;

-- Phones show the messages of their employee, not those of groups.
create or replace function announce_mailbox() returns trigger language plpgsql as $$
declare changed voice_messages;
begin
    if tg_op = 'DELETE' then changed := old; else changed := new; end if;
    if changed.employee_id is not null then
        perform pg_notify('trunkline_mailboxes', changed.account_id || ':' || changed.employee_id);
    end if;
    return null;
end $$;
