-- Lines that employees use from the console's phone, with a credential that changes.
create table browser_lines (
    account_id bigint not null references accounts,
    employee_id bigint not null,
    sip_line_id bigint not null,
    ha1 bytea not null,                                    -- MD5 digest of the line, encrypted with the master key
    line_ha1_sha256 text not null,                         -- the line's digest when the credential was made
    expires_at timestamptz not null,
    primary key (account_id, employee_id),
    foreign key (account_id, employee_id) references employees on delete cascade,
    foreign key (account_id, sip_line_id) references sip_lines on delete cascade
);
create index on browser_lines (account_id, sip_line_id);
create index on browser_lines (expires_at);
