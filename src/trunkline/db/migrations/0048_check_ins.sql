-- Devices that agents work at: a SIP line counts as the first phone of the agent who has checked in there.
create table agent_check_ins (
    account_id bigint not null,
    employee_id bigint not null,
    sip_line_id bigint not null,
    phone_id bigint not null default nextval(pg_get_serial_sequence('employee_phones', 'phone_id')),
    checked_in_at timestamptz not null default now(),
    primary key (account_id, employee_id), unique (account_id, sip_line_id),
    foreign key (account_id, employee_id) references employees on delete cascade,
    foreign key (account_id, sip_line_id) references sip_lines on delete cascade
);
create trigger announce after insert or update or delete on agent_check_ins
    for each row execute function announce_directory();

-- Numbers that agents dial to check in at the device they dial from: one for each agent, for some minutes.
create table agent_check_in_codes (
    account_id bigint not null,
    employee_id bigint not null,
    code text not null check (code ~ '^[0-9]{6}$'),
    forces boolean not null,                               -- whether it ends another check-in
    expires_at timestamptz not null,
    sip_line_id bigint,                                    -- where it was dialled; it is of no use elsewhere then
    primary key (account_id, employee_id), unique (account_id, code),
    foreign key (account_id, employee_id) references employees on delete cascade
);

-- The phones of employees as calls use them. A line with a check-in is a phone of the agent there and of nobody else.
create view employee_devices with (security_invoker = true) as
select p.account_id, p.employee_id, p.phone_id, p.sip_line_id, p.external_number, p.channels_count, p.dial_time, p.status,
    p.position, c.employee_id is not null as is_checked_in
from employee_phones p
left join agent_check_ins c on c.account_id = p.account_id and c.sip_line_id = p.sip_line_id
where c.employee_id is null or c.employee_id = p.employee_id
union all
select c.account_id, c.employee_id, c.phone_id, c.sip_line_id, null, l.channels_count, l.dial_time, 'active', 0, true
from agent_check_ins c
join sip_lines l on l.account_id = c.account_id and l.sip_line_id = c.sip_line_id
where not exists (
    select from employee_phones p
    where p.account_id = c.account_id and p.employee_id = c.employee_id and p.sip_line_id = c.sip_line_id);
