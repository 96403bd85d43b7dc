-- Workers of jobs are woken when a job may run, so that they need not ask several times a second.

create index procrastinate_jobs_scheduled on procrastinate_jobs (scheduled_at)
    where status = 'todo' and scheduled_at is not null;

create function trunkline_announce_job() returns trigger language plpgsql as $$
declare
    following record;
begin
    if tg_op = 'UPDATE' and new.status = 'todo' then       -- put back: now, or for a later time
        if new.scheduled_at is null or new.scheduled_at <= now() then
            perform pg_notify('procrastinate_queue_v1#' || new.queue_name,
                json_build_object('type', 'job_inserted', 'job_id', new.id)::text);
        else
            perform pg_notify('trunkline_jobs_scheduled', '');
        end if;
    elsif old.status = 'doing' and old.lock is not null then
        select id, queue_name into following from procrastinate_jobs
        where lock = old.lock and status = 'todo' and id <> old.id order by priority desc, id limit 1;
        if found then
            perform pg_notify('procrastinate_queue_v1#' || following.queue_name,
                json_build_object('type', 'job_inserted', 'job_id', following.id)::text);
        end if;
    end if;
    return null;
end $$;

create trigger trunkline_job_put_back after update of status on procrastinate_jobs
    for each row when (old.status is distinct from new.status) execute function trunkline_announce_job();
create trigger trunkline_job_ended after delete on procrastinate_jobs
    for each row execute function trunkline_announce_job();
