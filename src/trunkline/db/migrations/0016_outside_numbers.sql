-- Telephones of the world with an extension that is keyed in when they have answered: 12025550110...2345.
alter table employee_phones drop constraint employee_phones_external_number_check,
    add check (external_number ~ '^[0-9]{6,15}([.]{2}[0-9*#.]{0,30}[0-9*#])?$');
