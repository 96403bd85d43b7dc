-- When the switch of a node was connected to Asterisk for the last time: a call that was up when the machine lost power ends then.
alter table switch_leases add column alive_at timestamptz;
