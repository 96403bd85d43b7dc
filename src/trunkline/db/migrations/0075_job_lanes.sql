-- In queues with shares an account has few locks (lanes) and maybe a long backlog: its next job is the first one of a free lane,
-- found without reading the backlog of the others.
create index procrastinate_jobs_of_lane on procrastinate_jobs
    (queue_name, (coalesce(args ->> 'account_id', '')), lock) where status = 'todo';

drop function trunkline_fetch_job(text, bigint, int, int, text[]);

-- The job that a worker runs next, marked as running; null when none may run now. In place of procrastinate_fetch_job_v2,
-- which takes the oldest one of all accounts.
-- p_slots: jobs that the worker runs concurrently, where accounts have shares of them: an account gets a further one only
--     while more are free than it has. null: no shares.
-- p_served: accounts in the order in which they last got a job, the newest last.
create function trunkline_fetch_job(p_queue text, p_worker_id bigint, p_slots int, p_served text[])
    returns procrastinate_jobs language plpgsql as $$
declare
    owned text;
    job procrastinate_jobs;
begin
    for owned in
        with recursive waiting(account) as (
            (select coalesce(j.args ->> 'account_id', '') from procrastinate_jobs j
                where j.status = 'todo' and j.queue_name = p_queue order by 1 limit 1)
            union all
            select (select coalesce(j.args ->> 'account_id', '') from procrastinate_jobs j
                where j.status = 'todo' and j.queue_name = p_queue
                    and coalesce(j.args ->> 'account_id', '') > w.account order by 1 limit 1)
            from waiting w where w.account is not null
        ), running as (
            select coalesce(j.args ->> 'account_id', '') as account, count(*) as jobs
            from procrastinate_jobs j
            where j.status = 'doing' and j.queue_name = p_queue and j.worker_id = p_worker_id group by 1
        )
        select w.account from waiting w left join running r on r.account = w.account
        where w.account is not null and (p_slots is null or w.account = '' or coalesce(r.jobs, 0) = 0
            or r.jobs < p_slots - (select sum(all_of.jobs) from running all_of))
        order by coalesce(r.jobs, 0), coalesce(array_position(p_served, w.account), 0)
    loop
        if p_slots is null then
            select j.* into job from procrastinate_jobs j
            where j.status = 'todo' and j.queue_name = p_queue and coalesce(j.args ->> 'account_id', '') = owned
                and (j.scheduled_at is null or j.scheduled_at <= now())
                and (j.lock is null or not exists (select from procrastinate_jobs other
                    where other.lock = j.lock and (other.status = 'doing' or (other.status = 'todo'
                        and (other.priority > j.priority or (other.priority = j.priority and other.id < j.id))))))
            order by j.priority desc, j.id limit 1 for update skip locked;
        else
            select j.* into job from procrastinate_jobs j
            where j.status = 'todo' and (j.scheduled_at is null or j.scheduled_at <= now())
                and not exists (select from procrastinate_jobs other
                    where other.lock = j.lock and other.status = 'doing')
                and j.id = any(array(
                    with recursive lanes(lane) as (
                        (select l.lock from procrastinate_jobs l where l.status = 'todo' and l.queue_name = p_queue
                            and coalesce(l.args ->> 'account_id', '') = owned and l.lock is not null order by 1 limit 1)
                        union all
                        select (select l.lock from procrastinate_jobs l where l.status = 'todo' and l.queue_name = p_queue
                            and coalesce(l.args ->> 'account_id', '') = owned and l.lock > w.lane order by 1 limit 1)
                        from lanes w where w.lane is not null
                    )
                    select first.id from lanes cross join lateral (select l.id from procrastinate_jobs l
                        where l.status = 'todo' and l.lock = lanes.lane order by l.priority desc, l.id limit 1) first))
            order by j.priority desc, j.id limit 1 for update skip locked;
        end if;
        if found then
            update procrastinate_jobs j set status = 'doing', worker_id = p_worker_id
            where j.id = job.id returning j.* into job;
            return job;
        end if;
    end loop;
    return null;
end $$;
