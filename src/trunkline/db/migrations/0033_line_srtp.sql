-- Whether a line's phones must encrypt their media.
alter table sip_lines add column srtp text not null default 'optional' check (srtp in ('optional', 'required'));
