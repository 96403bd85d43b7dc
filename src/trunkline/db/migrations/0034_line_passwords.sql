-- Why the password of a SIP line can be guessed; '': not known to be weak; null: not examined yet (set by an older version).
alter table sip_lines add column password_weakness text;
