"""Which job a worker runs next: accounts get those of a queue in turns (``0075_job_lanes.sql``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from procrastinate.connector import BaseConnector
from procrastinate.jobs import Job
from procrastinate.manager import JobManager

_SERVED_MAX = 1000
"""Accounts of a queue whose last turn is known."""

_FETCH = """
select id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id
from trunkline_fetch_job(%(queue)s, %(worker_id)s, %(slots)s, %(served)s)
"""


class TurnManager(JobManager):
    """Takes the next job of the account that has the fewest running jobs of the queue, of those the one whose last turn
    is the oldest. The manager of the library takes the oldest job of all.
    """

    def __init__(self, connector: BaseConnector) -> None:
        super().__init__(connector)
        self.shares: Mapping[str, int] = {}
        """Concurrent jobs of a worker by queue, where accounts have shares of them: an account gets a further one only while
        more are free than it has. So ``n`` accounts with much work have about ``slots / (n + 1)`` each, and the next account
        has one at once."""
        self._served: dict[str, dict[str, None]] = {}

    async def fetch_job(self, queues: Iterable[str] | None, worker_id: int) -> Job | None:
        """:param queues: one; a worker serves one queue."""
        [queue] = queues or ()
        served = self._served.setdefault(queue, {})
        row = await self.connector.execute_query_one_async(
            _FETCH,
            queue=queue,
            worker_id=worker_id,
            slots=self.shares.get(queue),
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
