-- Addresses that the operator allows the trunks of an account, although they are networks, private, this machine's, or
-- those of something else: `trunkline trunk allow`.
create table trunk_addresses (
    account_id bigint not null,                            -- 0 = every account
    network cidr not null,
    comment text not null default '',
    added_at timestamptz not null default now(),
    primary key (account_id, network)
);
create trigger announce after insert or update or delete on trunk_addresses
    for each row execute function announce_directory();

-- Trunks of directory files were the operator's until now: they keep their addresses. Those that clients made by
-- enable.private_number are checked from now on.
insert into trunk_addresses (account_id, network, comment)
select distinct t.account_id, a.network, 'trunk of an older version'
from trunks t, unnest(t.addresses) a (network)
where not t.is_private
on conflict do nothing;
insert into trunk_addresses (account_id, network, comment)
select distinct t.account_id, t.host::inet::cidr, 'trunk of an older version'
from trunks t
where not t.is_private and pg_input_is_valid(t.host, 'inet') and masklen(t.host::inet) in (32, 128)
on conflict do nothing;
