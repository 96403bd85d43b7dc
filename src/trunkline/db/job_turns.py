"""Which job a worker runs next: accounts get those of a queue in turns (``0073_job_turns.sql``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from procrastinate.connector import BaseConnector
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

_SERVED_MAX = 1000
"""Accounts of a queue whose last turn is known."""

_FETCH = """
select id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id
from trunkline_fetch_job(%(queue)s, %(worker_id)s, %(slots)s, %(most)s, %(served)s)
"""


@dataclass(frozen=True, slots=True)
class Shares:
    """How accounts share the concurrent jobs of a queue.

    :ivar slots: concurrent jobs of one worker. An account gets a further one only while more are free than it has: ``n``
        accounts with much work have about ``slots / (n + 1)`` each, and the next account has one at once.
    :ivar of_account: concurrent jobs of one account at most, over all workers.
    """

    slots: int
    of_account: int


class TurnManager(JobManager):
    """Takes the next job of the account that has the fewest running jobs of the queue, of those the one whose last turn
    is the oldest. The manager of the library takes the oldest job of all.
    """

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self.shares: Mapping[str, Shares] = {}
        self._served: dict[str, dict[str, None]] = {}

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """:param queues: one; a worker serves one queue."""
        [queue] = queues or ()
        shares = self.shares.get(queue)
        served = self._served.setdefault(queue, {})
        row = await self.connector.execute_query_one_async(
            _FETCH,
            queue=queue,
            worker_id=worker_id,
            slots=None if shares is None else shares.slots,
            most=None if shares is None else shares.of_account,
            served=list(served),
        )
        if row["id"] is None:
            return None
        account = str(row["args"].get("account_id", ""))
        served.pop(account, None)
        served[account] = None
        if len(served) > _SERVED_MAX:
            del served[next(iter(served))]
        return Job.from_row(row)
