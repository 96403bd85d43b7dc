-- Accounts get jobs of a queue in turns. The account of a job is its argument account_id, '' when it has none.
create index procrastinate_jobs_of_account on procrastinate_jobs
    (queue_name, (coalesce(args ->> 'account_id', '')), priority desc, id) where status = 'todo';
create index procrastinate_jobs_of_lock on procrastinate_jobs (lock, priority desc, id)
    where status = 'todo' and lock is not null;

-- The job that a worker runs next, marked as running; null when none may run now. In place of procrastinate_fetch_job_v2,
-- which takes the oldest one of all accounts.
-- p_slots: jobs that the worker runs concurrently, where accounts have shares of them: an account gets a further one only
--     while more are free than it has. null: no shares.
-- p_most: jobs of an account that run concurrently at most. null: no limit.
-- p_served: accounts in the order in which they last got a job, the newest last.
create function trunkline_fetch_job(p_queue text, p_worker_id bigint, p_slots int, p_most int, p_served text[])
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
            select coalesce(j.args ->> 'account_id', '') as account, count(*) as everywhere,
                count(*) filter (where j.worker_id = p_worker_id) as here
            from procrastinate_jobs j where j.status = 'doing' and j.queue_name = p_queue group by 1
        )
        select w.account from waiting w left join running r on r.account = w.account
        where w.account is not null and (w.account = '' or (
            (p_most is null or coalesce(r.everywhere, 0) < p_most)
            and (p_slots is null or coalesce(r.here, 0) = 0
                or r.here < p_slots - (select sum(all_of.here) from running all_of))))
        order by coalesce(r.here, 0), coalesce(array_position(p_served, w.account), 0)
    loop
        select j.* into job from procrastinate_jobs j
        where j.status = 'todo' and j.queue_name = p_queue and coalesce(j.args ->> 'account_id', '') = owned
            and (j.scheduled_at is null or j.scheduled_at <= now())
            and (j.lock is null or not exists (select from procrastinate_jobs other
                where other.lock = j.lock and (other.status = 'doing' or (other.status = 'todo'
                    and (other.priority > j.priority or (other.priority = j.priority and other.id < j.id))))))
        order by j.priority desc, j.id limit 1 for update skip locked;
        if found then
            update procrastinate_jobs j set status = 'doing', worker_id = p_worker_id
            where j.id = job.id returning j.* into job;
            return job;
        end if;
    end loop;
    return null;
end $$;
