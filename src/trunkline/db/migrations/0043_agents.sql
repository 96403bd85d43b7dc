-- Settings of employees in the call center, by the names of the Call Center API. No row: the defaults.
create table agents (
    account_id bigint not null,
    employee_id bigint not null,
    is_agent boolean not null default false,               -- takes calls of queues
    in_reports boolean not null default true,
    ext_user_id text,                                      -- id in another system
    ring_timeout int check (ring_timeout between 0 and 86400),   -- seconds, here and below; null = the default
    wrap_up_time int check (wrap_up_time between 0 and 86400),
    no_answer_delay_time int check (no_answer_delay_time between 0 and 86400),
    reject_delay_time int check (reject_delay_time between 0 and 86400),
    busy_delay_time int check (busy_delay_time between 0 and 86400),
    max_no_answer int check (max_no_answer >= 0),          -- a count
    settings jsonb not null default '{}',                  -- what calls do not use yet: see trunkline.directory.agents
    primary key (account_id, employee_id), unique (account_id, ext_user_id),
    foreign key (account_id, employee_id) references employees on delete cascade
);

create trigger announce after insert or update or delete on agents
    for each row execute function announce_directory();

alter table employees add column created_at timestamptz not null default now();
