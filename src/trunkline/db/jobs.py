"""Jobs: work that a transaction enqueues and a worker runs, at least once. A thin wrapper of procrastinate.

A job is enqueued on the connection of the transaction that needs it: it exists if and only if that commits.
Jobs with the same lock run one after another, in the order in which they were enqueued, over all workers. A
job whose worker was killed is run again by another within about ``STALLED_AFTER`` seconds.

Accounts get jobs of a queue in turns, so an account never waits for all jobs that others enqueued before. The account of a
job is its argument ``account_id``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import procrastinate
import psycopg
from procrastinate import exceptions as procrastinate_errors
from procrastinate.connector import Notify
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from trunkline.core.log import get_logger
from trunkline.core.retry import JOBS
from trunkline.db.job_turns import TurnManager
from trunkline.db.pool import log_cause
from trunkline.db.waiting import EventConnection, LivePool

_log = get_logger("db.jobs")

HEARTBEAT_PERIOD = 8.0
"""Seconds between two heartbeats of a worker."""

STALLED_AFTER = 20.0
"""Seconds without a heartbeat after which a worker is considered stopped."""

_POLL_PERIOD = 30.0
"""Seconds after which a worker polls for jobs even when none is announced. Every job that may run is announced: a new one by
the library, one that is rescheduled or whose lock is free by triggers (``0023_jobs_wake.sql``)."""

_SCHEDULED_CHANNEL = "trunkline_jobs_scheduled"
"""NOTIFY channel: a job was rescheduled for a later time."""

_SCHEDULED_PAUSE = 0.1
"""Minimum seconds between two queries for jobs that are due."""

_RESCUE_PERIOD = 8.0
"""Seconds between two checks for jobs of stopped workers."""

_NOW = "select now()"

_ANNOUNCE_DUE = """
select pg_notify('procrastinate_queue_v1#' || queue_name,
    json_build_object('type', 'job_inserted', 'job_id', min(id))::text)
from procrastinate_jobs where status = 'todo' and scheduled_at <= %s group by queue_name
"""

_NEXT_DUE = """
select extract(epoch from min(scheduled_at) - now())::float8
from procrastinate_jobs where status = 'todo' and scheduled_at > %s
"""

_SHUTDOWN_GRACE = 5.0
"""Seconds that running jobs have to end when the worker stops; then they are put back."""

_RECONNECT_PERIOD = 0.5

_WRITE_PAUSE, _WRITE_PAUSE_MAX = 0.25, 5.0
"""Seconds between two attempts to write the outcome of a job: the first, and at most."""

_AFTER_OTHERS = -1
"""Priority of a job for which others with the same lock do not wait; that of a new one is 0."""

_QUEUES_PERIOD = 30.0
"""Seconds between two checks for further queues to serve."""

Handler = Callable[..., Awaitable[None]]
"""Called with the job's arguments by name. Must be idempotent."""


class RetryLater(Exception):  # noqa: N818 - not an error: the job requests another time
    """Raised by a handler: put this job back, to be run again after ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"again in {seconds:.1f} s")
        self.seconds = seconds


class _Retry(BaseRetryStrategy):
    """A failed job is never dropped: it is retried with growing pauses, up to five minutes.

    :param lets_others_pass: see :meth:`Jobs.register`.
    """

    def __init__(self, *, lets_others_pass: bool) -> None:
        self._priority = _AFTER_OTHERS if lets_others_pass else None

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        if isinstance(exception, RetryLater):
            return RetryDecision(retry_at=_after(exception.seconds), priority=self._priority)
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_at=_after(0))
        pause = JOBS.pause(job.attempts + 1)
        _log.error(
            "job_failed",
            task=job.task_name,
            job_id=job.id,
            account_id=_account_of(job),
            attempts=job.attempts,
            error=repr(exception),
            consequence=f"the job is tried again in {pause:.0f} s",
            remedy="remove the cause in error; see docs/operations/work-queues.md",
        )
        return RetryDecision(retry_at=_after(pause), priority=self._priority)


def _account_of(job: Job) -> int | None:
    """The account whose job it is; None if it has work of several accounts."""
    given: dict[str, Any] = dict(job.task_kwargs)
    accounts = {account_id for account_id, _ in given.get("recordings") or ()}
    if "account_id" in given:
        accounts.add(given["account_id"])
    return int(accounts.pop()) if len(accounts) == 1 else None


def _after(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def _pool(**options: Any) -> AsyncConnectionPool[Any]:
    """The pool of the library, with one that gives no closed connection in its place."""
    return LivePool(**options)


async def _autocommit(connection: AsyncConnection[Any]) -> None:
    """Each use of a connection by the library is one statement and needs no transaction around it.

    A job that is enqueued in a transaction uses the connection of that transaction.
    """
    await connection.set_autocommit(True)


class _Connector(procrastinate.PsycopgConnector):
    """Announces a job when LISTEN is in effect: one that was committed after the worker's last query and before it sent no
    notification to this process."""

    async def _loop_notify(self, on_notification: Notify, *args: Any, **options: Any) -> None:
        await on_notification(channel="", payload=json.dumps({"type": "job_inserted", "job_id": 0}))
        await super()._loop_notify(on_notification, *args, **options)


class _JobManager(TurnManager):
    """Queries again when a job was announced during a query that found none, repeats the write of a job's outcome, and
    listens and has heartbeats again after an outage of the database.

    The worker of the library clears its flag for announced jobs after the query, so the announcement was lost and the job
    waited for the next poll. It writes an outcome once: after an error (a full disk, a missing permission, a reset
    connection) the job was running for ever, as far as the table shows, because its worker has heartbeats. Its tasks that
    listen and write heartbeats end with the first connection that fails, and it continues without them: after a restart of
    PostgreSQL each job waited for the next poll, and jobs that run were taken for those of a stopped worker.
    """

    def __init__(self, connector: _Connector) -> None:
        super().__init__(connector)
        self._announced = 0
        self._announce: dict[str, Callable[[], Awaitable[None]]] = {}

    async def fetch_job(self, *args: Any, **options: Any) -> Job | None:
        while True:
            before = self._announced
            job = await super().fetch_job(*args, **options)
            if job is not None or self._announced == before:
                return job

    async def finish_job(self, job: Job, *args: Any, **options: Any) -> None:
        await self._until_written(lambda: super(_JobManager, self).finish_job(job, *args, **options))
        await self._give_share(job.queue)

    async def retry_job(self, job: Job, *args: Any, **options: Any) -> None:
        await self._until_written(lambda: super(_JobManager, self).retry_job(job, *args, **options))
        await self._give_share(job.queue)

    async def _give_share(self, queue: str) -> None:
        """A job ended: others that waited for their share, and not for its lock, are announced by nobody else."""
        if queue in self.shares and queue in self._announce:
            await self._announce[queue]()

    async def _until_written(self, write: Callable[[], Awaitable[None]]) -> None:
        pause = _WRITE_PAUSE
        while True:
            try:
                return await write()
            except procrastinate_errors.ConnectorException as error:
                if isinstance(error.__cause__, psycopg.errors.RaiseException):
                    return None  # the job does not run any more: it was written, and the response was lost
                _log.warning(
                    "job_outcome_not_written",
                    cause=log_cause(error),
                    error=str(error.__cause__ or error),
                    consequence="it is tried again until it is written; the job may run twice",
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, _WRITE_PAUSE_MAX)

    async def listen_for_jobs(self, *, on_notification: Any, queues: Iterable[str] | None = None) -> None:
        async def announced(**notification: Any) -> None:
            self._announced += 1
            await on_notification(**notification)

        names = list(queues or ())
        for name in names:
            self._announce[name] = partial(
                announced, channel="", notification={"type": "job_inserted", "job_id": 0}
            )
        while True:
            try:
                await super().listen_for_jobs(on_notification=announced, queues=names)
            except procrastinate_errors.ConnectorException as error:
                _log.warning(
                    "jobs_without_database",
                    cause=log_cause(error),
                    queue=",".join(names),
                    error=str(error.__cause__ or error),
                    consequence="jobs wait; the worker reconnects",
                )
            await asyncio.sleep(_RECONNECT_PERIOD)

    async def update_heartbeat(self, *args: Any, **options: Any) -> None:
        try:
            await super().update_heartbeat(*args, **options)
        except procrastinate_errors.ConnectorException as error:
            _log.warning(
                "job_heartbeat_not_written",
                cause=log_cause(error),
                error=str(error.__cause__ or error),
                consequence=f"the next one is due in {HEARTBEAT_PERIOD:.0f} s; after {STALLED_AFTER:.0f} s without any,"
                " running jobs may run twice",
            )


class Jobs:
    """Enqueues and runs jobs of one database.

    :param dsn: of the database. No connection is opened before :meth:`run`.
    """

    def __init__(
        self, dsn: str, *, application_name: str = "trunkline-jobs", max_connections: int = 10
    ) -> None:
        self._connector = _Connector(
            conninfo=dsn,
            kwargs={"application_name": application_name},
            connection_class=EventConnection,
            pool_factory=_pool,
            configure=_autocommit,
            min_size=1,
            max_size=max_connections,
        )
        self._app = procrastinate.App(connector=self._connector)
        self._manager = _JobManager(self._connector)
        self._app.job_manager = self._manager
        self._dsn = dsn
        self._application_name = application_name

    def register(self, name: str, handler: Handler, *, queue: str, lets_others_pass: bool = False) -> None:
        """Register the handler for jobs of this name; before :meth:`run`.

        :param lets_others_pass: while a job that failed waits for its retry, later ones with its lock run. Otherwise they
            keep their order and wait.
        """
        self._app.task(name=name, queue=queue, retry=_Retry(lets_others_pass=lets_others_pass))(handler)

    async def enqueue(
        self,
        conn: AsyncConnection[Any],
        name: str,
        args: Mapping[str, Any],
        *,
        queue: str,
        lock: str | None = None,
    ) -> None:
        """Enqueue a job within the transaction of ``conn``.

        :param args: JSON values.
        :param lock: jobs with the same lock keep their order and never run concurrently.
        :raises psycopg.Error: as any statement of the transaction.
        """
        task = self._app.configure_task(name, queue=queue, lock=lock, allow_unknown=True, connection=conn)
        try:
            await task.defer_async(**args)
        except procrastinate_errors.ConnectorException as error:
            # Who uses the connection expects the errors of the driver, which mean that PostgreSQL is unavailable or full.
            if isinstance(error.__cause__, psycopg.Error):
                raise error.__cause__ from None
            raise

    async def arguments_of(self, conn: AsyncConnection[Any], name: str) -> list[dict[str, Any]]:
        """The arguments of the jobs of this name that wait or run.

        :param conn: with dict rows.
        """
        cursor = await conn.execute(
            "select args from procrastinate_jobs where task_name = %s and status in ('todo', 'doing')",
            (name,),
        )
        return [row["args"] for row in await cursor.fetchall()]

    def share(self, queue: str, slots: int) -> None:
        """Let accounts share the concurrent jobs of a queue, which all have a lock; before :meth:`run`.

        :param slots: concurrent jobs of this worker, as for :meth:`run`.
        """
        self._manager.shares = {**self._manager.shares, queue: slots}

    async def running(self, conn: AsyncConnection[Any], name: str) -> list[dict[str, Any]]:
        """The arguments of the jobs of this name that run; for up to half a minute also those of killed workers.

        :param conn: with dict rows.
        """
        cursor = await conn.execute(
            "select args from procrastinate_jobs where task_name = %s and status = 'doing'", (name,)
        )
        return [row["args"] for row in await cursor.fetchall()]

    async def run(self, concurrency: Mapping[str, int] | Callable[[], Mapping[str, int]]) -> None:
        """Do jobs until cancelled; survives the database's restarts.

        :param concurrency: how many jobs of each queue this process runs concurrently; a function is called now and
            then, and queues that it adds are served from then on.
        """
        queues = concurrency if callable(concurrency) else lambda: concurrency
        while True:
            try:
                async with self._app.open_async(), asyncio.TaskGroup() as group:
                    group.create_task(self._rescue_for_ever(), name="jobs-rescue")
                    group.create_task(self._announce_for_ever(), name="jobs-scheduled")
                    served: set[str] = set()
                    while True:
                        for queue, limit in queues().items():
                            if queue not in served:
                                group.create_task(self._work(queue, limit), name=f"jobs-{queue}")
                                served.add(queue)
                        await asyncio.sleep(_QUEUES_PERIOD)
            except (procrastinate_errors.ConnectorException, psycopg.Error, OSError) as error:
                _log.warning(
                    "jobs_without_database",
                    cause=log_cause(error),
                    error=str(error),
                    consequence="jobs wait; the worker reconnects",
                )
            finally:
                # A pool that is still being opened would continue to connect.
                await self._app.close_async()
            await asyncio.sleep(_RECONNECT_PERIOD)

    async def _work(self, queue: str, limit: int) -> None:
        while True:
            try:
                await _cancel_until_done(
                    self._app.run_worker_async(
                        queues=[queue],
                        name=queue,
                        concurrency=limit,
                        install_signal_handlers=False,
                        fetch_job_polling_interval=_POLL_PERIOD,
                        update_heartbeat_interval=HEARTBEAT_PERIOD,
                        stalled_worker_timeout=STALLED_AFTER,
                        shutdown_graceful_timeout=_SHUTDOWN_GRACE,
                        delete_jobs="successful",
                    )
                )
            except (procrastinate_errors.ConnectorException, psycopg.Error, OSError) as error:
                _log.warning(
                    "jobs_without_database",
                    cause=log_cause(error),
                    queue=queue,
                    error=str(error),
                    consequence="jobs wait; the worker reconnects",
                )
            await asyncio.sleep(_RECONNECT_PERIOD)

    async def _announce_for_ever(self) -> None:
        """Notify the workers when rescheduled jobs become due."""
        while True:
            try:
                async with await EventConnection.connect(
                    self._dsn, autocommit=True, application_name=f"{self._application_name} scheduled"
                ) as connection:
                    await connection.execute(f"listen {_SCHEDULED_CHANNEL}".encode())
                    while True:
                        # One time for both: a job that became due between two readings of the clock was in neither.
                        row = await (await connection.execute(_NOW)).fetchone()
                        await connection.execute(_ANNOUNCE_DUE, row)
                        row = await (await connection.execute(_NEXT_DUE, row)).fetchone()
                        due = None if row is None else row[0]
                        wait = _POLL_PERIOD if due is None else min(max(due, 0.0) + 0.01, _POLL_PERIOD)
                        async for _ in connection.notifies(timeout=wait, stop_after=1):
                            pass
                        await asyncio.sleep(_SCHEDULED_PAUSE)
            except (psycopg.Error, OSError) as error:
                _log.warning(
                    "jobs_without_database",
                    cause=log_cause(error),
                    queue="scheduled",
                    error=str(error),
                    consequence="jobs wait; the worker reconnects",
                )
            await asyncio.sleep(_RECONNECT_PERIOD)

    async def _rescue_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_RESCUE_PERIOD)
            try:
                await self._rescue()
            except (procrastinate_errors.ConnectorException, psycopg.Error, OSError) as error:
                _log.warning(
                    "rescue_failed",
                    cause=log_cause(error),
                    error=str(error),
                    consequence="jobs of killed workers wait; it is tried again",
                )

    async def _rescue(self) -> None:
        """Put back the jobs of killed workers. Two workers may try the same: the second finds nothing to put
        back."""
        manager = self._app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER):
            await manager.retry_job(job)
            _log.warning(
                "job_rescued",
                task=job.task_name,
                job_id=job.id,
                consequence="the worker that ran it does not respond; another one runs it again",
            )


async def _cancel_until_done(work: Coroutine[Any, Any, None]) -> None:
    """Run the work. On cancellation, cancel it until it ends: the library can lose a cancellation."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_SHUTDOWN_GRACE + 1.0)
    task.result()
