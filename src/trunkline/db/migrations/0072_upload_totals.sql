-- Bytes of the stored recordings of uploaded calls, kept by triggers: what limits of an account are checked against.
-- A recording of an uploaded call has a source_format; it is stored until its paths are empty.
create table upload_totals (
    account_id bigint primary key references accounts,
    bytes bigint not null default 0,
    day date not null,                                     -- UTC: of day_bytes
    day_bytes bigint not null default 0                    -- stored on that day; removing does not lower it
);

create function count_uploaded_bytes() returns trigger language plpgsql as $$
declare
    change bigint := 0;
    account bigint;
begin
    if tg_op <> 'INSERT' then
        account := old.account_id;
        if old.source_format is not null and coalesce(old.wav_path, old.mp3_path) is not null then
            change := change - coalesce(old.size_bytes, 0);
        end if;
    end if;
    if tg_op <> 'DELETE' then
        account := new.account_id;
        if new.source_format is not null and coalesce(new.wav_path, new.mp3_path) is not null then
            change := change + coalesce(new.size_bytes, 0);
        end if;
    end if;
    if change > 0 then
        insert into upload_totals as t (account_id, bytes, day, day_bytes)
        values (account, change, (now() at time zone 'UTC')::date, change)
        on conflict (account_id) do update set bytes = t.bytes + excluded.bytes, day = excluded.day,
            day_bytes = excluded.day_bytes + case when t.day = excluded.day then t.day_bytes else 0 end;
    elsif change < 0 then
        update upload_totals t set bytes = greatest(t.bytes + change, 0) where t.account_id = account;
    end if;
    return null;
end $$;

create trigger count_uploaded_added after insert on recordings
    for each row when (new.source_format is not null) execute function count_uploaded_bytes();
create trigger count_uploaded_changed after update on recordings
    for each row when (old.source_format is not null or new.source_format is not null) execute function count_uploaded_bytes();
create trigger count_uploaded_removed after delete on recordings
    for each row when (old.source_format is not null) execute function count_uploaded_bytes();

insert into upload_totals (account_id, bytes, day)
select account_id, coalesce(sum(size_bytes), 0), (now() at time zone 'UTC')::date from recordings
where source_format is not null and coalesce(wav_path, mp3_path) is not null group by account_id;
