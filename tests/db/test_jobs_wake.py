"""Workers are woken when a job may run: no test here waits for a worker's own look, which is an hour away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import psycopg
import pytest
from procrastinate import PsycopgConnector
from procrastinate.exceptions import ConnectorException
from procrastinate.manager import JobManager
from procrastinate.worker import Worker

from tests.shared_database import administer
from trunkline.db import jobs as jobs_module
from trunkline.db.job_turns import TurnManager
from trunkline.db.jobs import Jobs, RetryLater
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres


@pytest.fixture(autouse=True)
def _no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "_POLL_PERIOD", 3600.0)


@contextlib.asynccontextmanager
async def _running(jobs: Jobs) -> AsyncIterator[None]:
    task = asyncio.create_task(jobs.run({"one": 2}))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_next_job_of_a_lock_runs_when_the_one_before_ends(database: str) -> None:
    done: list[int] = []
    finished = asyncio.Event()

    async def work(number: int) -> None:
        await asyncio.sleep(0.05)
        done.append(number)
        if len(done) == 5:
            finished.set()

    jobs = Jobs(database)
    jobs.register("work", work, queue="one")
    async with await Database.open(database) as db, _running(jobs):
        async with db.connection() as conn:
            for number in range(5):
                await jobs.enqueue(conn, "work", {"number": number}, queue="one", lock="same")
        async with asyncio.timeout(30):
            await finished.wait()
    assert done == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("lets_others_pass", [True, False])
async def test_later_jobs_of_a_lock_wait_for_one_that_fails_or_pass_it(
    database: str, lets_others_pass: bool
) -> None:
    begun: list[int] = []
    all_begun = asyncio.Event()

    async def work(number: int) -> None:
        begun.append(number)
        if set(begun) == {0, 1, 2}:
            all_begun.set()
        if number == 0 and begun.count(0) < 2:
            raise RetryLater(2.0)

    jobs = Jobs(database)
    jobs.register("work", work, queue="one", lets_others_pass=lets_others_pass)
    async with await Database.open(database) as db, _running(jobs):
        async with db.connection() as conn:
            for number in range(3):
                await jobs.enqueue(conn, "work", {"number": number}, queue="one", lock="same")
        async with asyncio.timeout(30):
            await all_begun.wait()
            while begun.count(0) < 2:
                await asyncio.sleep(0.01)
    assert begun == ([0, 1, 2, 0] if lets_others_pass else [0, 0, 1, 2])


async def test_a_job_that_is_put_back_runs_when_it_is_due(database: str) -> None:
    attempts: dict[int, int] = {}
    finished = asyncio.Event()

    async def work(number: int) -> None:
        attempts[number] = attempts.get(number, 0) + 1
        if attempts[number] < 3:
            raise RetryLater(0.1 * number)
        if all(attempts.get(one) == 3 for one in range(4)):
            finished.set()

    jobs = Jobs(database)
    jobs.register("work", work, queue="one")
    async with await Database.open(database) as db, _running(jobs):
        async with db.connection() as conn:
            for number in range(4):
                await jobs.enqueue(conn, "work", {"number": number}, queue="one")
        async with asyncio.timeout(30):
            await finished.wait()
    assert attempts == {0: 3, 1: 3, 2: 3, 3: 3}


async def _runs_once(jobs: Jobs, database: str, enqueue: Callable[[Database], Awaitable[None]]) -> None:
    finished = asyncio.Event()

    async def work() -> None:
        finished.set()

    jobs.register("work", work, queue="one")
    async with await Database.open(database) as db, _running(jobs):
        await enqueue(db)
        async with asyncio.timeout(30):
            await finished.wait()


async def test_a_job_that_is_announced_during_a_query_is_run(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The query found nothing, then the job is committed and announced, then the response is handled."""
    fetch, handle = TurnManager.fetch_job, Worker._handle_notification
    listening, fetched, announced = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow_fetch(self: TurnManager, *args: Any, **options: Any) -> Any:
        job = await fetch(self, *args, **options)
        if listening.is_set() and not announced.is_set():
            fetched.set()
            await announced.wait()
        return job

    async def observed(self: Worker, **notification: Any) -> None:
        await handle(self, **notification)
        (announced if fetched.is_set() else listening).set()

    monkeypatch.setattr(TurnManager, "fetch_job", slow_fetch)
    monkeypatch.setattr(Worker, "_handle_notification", observed)
    jobs = Jobs(database)

    async def enqueue(db: Database) -> None:
        async with asyncio.timeout(30):
            while not listening.is_set():  # a notification that finds no job: the worker queries again
                await db.execute(
                    """select pg_notify('procrastinate_queue_v1#one', '{"type": "job_inserted", "job_id": 0}')"""
                )
                await asyncio.sleep(0.02)
            await fetched.wait()
        async with db.connection() as conn:
            await jobs.enqueue(conn, "work", {}, queue="one")

    await _runs_once(jobs, database, enqueue)


async def test_a_job_that_is_enqueued_before_the_worker_listens_is_run(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, listen = TurnManager.fetch_job, PsycopgConnector.listen_notify
    fetched, enqueued = asyncio.Event(), asyncio.Event()

    async def observed(self: TurnManager, *args: Any, **options: Any) -> Any:
        job = await fetch(self, *args, **options)
        fetched.set()
        return job

    async def late(self: PsycopgConnector, *args: Any, **options: Any) -> None:
        await enqueued.wait()
        await listen(self, *args, **options)

    monkeypatch.setattr(TurnManager, "fetch_job", observed)
    monkeypatch.setattr(PsycopgConnector, "listen_notify", late)
    jobs = Jobs(database)

    async def enqueue(db: Database) -> None:
        async with asyncio.timeout(30):
            await fetched.wait()
        async with db.connection() as conn:
            await jobs.enqueue(conn, "work", {}, queue="one")
        enqueued.set()

    await _runs_once(jobs, database, enqueue)


async def test_the_job_library_sends_one_statement_for_each_use(database: str) -> None:
    finished = asyncio.Event()

    async def work() -> None:
        finished.set()

    jobs = Jobs(database)
    jobs.register("work", work, queue="one")
    async with await Database.open(database) as db, _running(jobs):
        async with db.connection() as conn:
            await jobs.enqueue(conn, "work", {}, queue="one")
        async with asyncio.timeout(30):
            await finished.wait()
            while await db.fetch_one("select 1 from procrastinate_jobs"):
                await asyncio.sleep(0.02)
        last = await db.fetch_all(
            "select query from pg_stat_activity where application_name = 'trunkline-jobs'"
            " and datname = current_database()"
        )
    # The last statement of a transaction would be "commit".
    assert any("procrastinate" in row["query"] for row in last)
    assert not [row["query"] for row in last if row["query"].lower() == "commit"]


@pytest.mark.durability
@pytest.mark.parametrize("is_put_back", [False, True])
async def test_the_outcome_of_a_job_is_written_once_the_database_takes_it(
    database: str, is_put_back: bool
) -> None:
    """The worker lives and has heartbeats, so nobody else would take up a job that is running as far as the table shows."""
    started, go = asyncio.Event(), asyncio.Event()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        started.set()
        await go.wait()
        if is_put_back and runs == 1:
            raise RetryLater(0.05)

    jobs = Jobs(database)
    jobs.register("work", work, queue="one")
    async with await Database.open(database) as db, _running(jobs):
        async with db.connection() as conn:
            await jobs.enqueue(conn, "work", {}, queue="one")
        async with asyncio.timeout(30):
            await started.wait()
        await db.execute(_DISK_FULL)
        await db.execute(
            "create trigger disk_full before update or delete on procrastinate_jobs"
            " for each row when (old.status = 'doing') execute function disk_full()"
        )
        go.set()
        await asyncio.sleep(1.0)
        assert [row["status"] for row in await _rows(db)] == ["doing"]
        await db.execute("drop trigger disk_full on procrastinate_jobs")
        async with asyncio.timeout(15):
            while await _rows(db):
                await asyncio.sleep(0.05)
    assert runs == 1 + is_put_back


@pytest.mark.durability
async def test_jobs_are_announced_after_the_database_was_away(
    database: str, postgres_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker of the library continues without its task that listens, which ends when it cannot connect."""
    listen, handle = PsycopgConnector.listen_notify, Worker._handle_notification
    fetch = jobs_module._JobManager.fetch_job
    listening, idle, refused = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def observed(self: PsycopgConnector, *args: Any, **options: Any) -> None:
        try:
            await listen(self, *args, **options)
        except ConnectorException:
            refused.set()
            raise

    async def announced(self: Worker, **notification: Any) -> None:
        await handle(self, **notification)
        listening.set()

    async def fetched(self: jobs_module._JobManager, *args: Any, **options: Any) -> Any:
        job = await fetch(self, *args, **options)
        if listening.is_set():
            idle.set()
        return job

    monkeypatch.setattr(jobs_module._JobManager, "fetch_job", fetched)
    monkeypatch.setattr(PsycopgConnector, "listen_notify", observed)
    monkeypatch.setattr(Worker, "_handle_notification", announced)
    jobs = Jobs(database)
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]

    async def enqueue(db: Database) -> None:
        async with asyncio.timeout(30):
            await idle.wait()  # an error of a query makes the worker begin again, with all its tasks
        administer(postgres_server, f"alter database {name} with allow_connections false")
        try:
            administer(
                postgres_server,
                f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'",
            )
            async with asyncio.timeout(30):
                await refused.wait()
        finally:
            administer(postgres_server, f"alter database {name} with allow_connections true")
        async with db.connection() as conn:
            await jobs.enqueue(conn, "work", {}, queue="one")

    await _runs_once(jobs, database, enqueue)


@pytest.mark.durability
async def test_heartbeats_go_on_after_one_that_could_not_be_written(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without heartbeats, jobs that run would be taken for those of a stopped worker and run twice."""
    beat, refused = JobManager.update_heartbeat, asyncio.Event()

    async def observed(self: JobManager, worker_id: int) -> None:
        try:
            await beat(self, worker_id)
        except ConnectorException:
            refused.set()
            raise

    monkeypatch.setattr(jobs_module, "HEARTBEAT_PERIOD", 0.05)
    monkeypatch.setattr(JobManager, "update_heartbeat", observed)
    async with await Database.open(database) as db, _running(Jobs(database)), asyncio.timeout(30):
        await db.execute(_DISK_FULL)
        await db.execute(
            "create trigger disk_full before update on procrastinate_workers"
            " for each row execute function disk_full()"
        )
        await refused.wait()
        await db.execute("drop trigger disk_full on procrastinate_workers")
        row = await db.fetch_one("select now() as now")
        assert row is not None
        while not await db.fetch_one(
            "select 1 from procrastinate_workers where last_heartbeat > %s", (row["now"],)
        ):
            await asyncio.sleep(0.02)


_DISK_FULL = """
create function disk_full() returns trigger language plpgsql as $$
begin raise exception using errcode = '53100', message = 'could not extend file: No space left on device'; end $$
"""


async def _rows(db: Database) -> list[dict[str, Any]]:
    return await db.fetch_all("select status from procrastinate_jobs where task_name = 'work'")
