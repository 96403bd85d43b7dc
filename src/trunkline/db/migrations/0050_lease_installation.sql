-- Which installation (data folder) has the node: its next switch takes over at once what its former one left.
alter table switch_leases add column installation text not null default '';
