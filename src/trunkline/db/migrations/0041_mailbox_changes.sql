-- A mailbox whose messages change is announced: the switch sends the phones of the employee the new numbers.
create function announce_mailbox() returns trigger language plpgsql as $$
declare changed voice_messages;
begin
    if tg_op = 'DELETE' then changed := old; else changed := new; end if;
    perform pg_notify('trunkline_mailboxes', changed.account_id || ':' || changed.employee_id);
    return null;
end $$;

create trigger announce_mailbox after insert or delete or update of is_saved on voice_messages
    for each row execute function announce_mailbox();
