-- Bytes of the stored recordings and voice messages of an account's own calls, kept by a trigger in the transaction that stores or
-- removes them: what limits of an account are checked against. A recording of an own call has no source_format; it is stored
-- until its paths are empty.
create table recording_totals (
    account_id bigint primary key references accounts,
    bytes bigint not null default 0,
    day date not null,                                     -- UTC: of day_bytes
    day_bytes bigint not null default 0,                   -- stored on that day; removing does not lower it
    before_bytes bigint not null default 0                 -- stored on the day before
);

create function count_recorded_bytes() returns trigger language plpgsql as $$
declare
    today date := (now() at time zone 'UTC')::date;
    change bigint := 0;
    account bigint;
begin
    if tg_op <> 'INSERT' then
        account := old.account_id;
        if old.source_format is null and coalesce(old.wav_path, old.mp3_path) is not null then
            change := change - coalesce(old.size_bytes, 0);
        end if;
    end if;
    if tg_op <> 'DELETE' then
        account := new.account_id;
        if new.source_format is null and coalesce(new.wav_path, new.mp3_path) is not null then
            change := change + coalesce(new.size_bytes, 0);
        end if;
    end if;
    if change > 0 then
        -- A transaction of the day before may come after one of today.
        insert into recording_totals as t (account_id, bytes, day, day_bytes) values (account, change, today, change)
        on conflict (account_id) do update set bytes = t.bytes + excluded.bytes, day = greatest(t.day, excluded.day),
            day_bytes = excluded.day_bytes + case when t.day >= excluded.day then t.day_bytes else 0 end,
            before_bytes = case when t.day >= excluded.day then t.before_bytes
                when t.day = excluded.day - 1 then t.day_bytes else 0 end;
    elsif change < 0 then
        update recording_totals t set bytes = greatest(t.bytes + change, 0) where t.account_id = account;
    end if;
    return null;
end $$;

create trigger count_recorded_added after insert on recordings
    for each row when (new.source_format is null and new.size_bytes is not null) execute function count_recorded_bytes();
create trigger count_recorded_changed after update on recordings
    for each row when ((old.source_format is null or new.source_format is null)
        and (old.size_bytes, old.wav_path, old.mp3_path, old.source_format)
            is distinct from (new.size_bytes, new.wav_path, new.mp3_path, new.source_format))
    execute function count_recorded_bytes();
create trigger count_recorded_removed after delete on recordings
    for each row when (old.source_format is null and old.size_bytes is not null) execute function count_recorded_bytes();

insert into recording_totals (account_id, bytes, day)
select account_id, coalesce(sum(size_bytes), 0), (now() at time zone 'UTC')::date from recordings
where source_format is null and coalesce(wav_path, mp3_path) is not null group by account_id;

-- Limits of the recordings of an account's own calls; no row: the installation's usual one.
create table recording_limits (
    account_id bigint primary key references accounts,
    bytes bigint not null check (bytes >= 0)               -- 0: no limit
);
