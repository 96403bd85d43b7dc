-- A page names its website by the key alone, so a key belongs to one website of the installation. Of several that have one
-- key in a directory of an earlier version, the oldest keeps it (its pages reached no other one); the others get a new one.
update sites younger set site_key = replace(gen_random_uuid()::text, '-', '')
where exists (select from sites older where older.site_key = younger.site_key and older.site_id < younger.site_id);
alter table sites
    drop constraint sites_account_id_site_key_key,
    add constraint sites_site_key_key unique (site_key);
drop index sites_site_key_idx;

-- Visits that pages of websites begin are kept for a time, too. Uploaded ones have an ext_id.
alter table account_retention
    drop constraint account_retention_kind_check,
    add constraint account_retention_kind_check
        check (kind in ('recordings', 'calls', 'request_log', 'delivery_log', 'visits'));
