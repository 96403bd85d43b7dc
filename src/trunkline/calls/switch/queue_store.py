"""The event streams of the queues and agents of an account, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import psycopg

from trunkline.core.errors import StreamConflict
from trunkline.db.pool import Database
from trunkline.events.catalogue import Event
from trunkline.events.store import Fence, append_again, append_to_streams, events_of_queues

_JOINED = """
select distinct data->>'call_session_id' as call from stream_events
where account_id = %s and starts_with(stream, 'queue:') and type in ('caller_joined', 'caller_resumed')
    and data->>'call_session_id' = any(%s)
"""


class QueueStore(Protocol):
    """Where events of queues are kept."""

    async def read(self, account_id: int) -> list[Event]:
        """All that are needed to make the state, each stream in order.

        :raises DatabaseUnavailable, psycopg.Error: they cannot be read.
        """

    async def joined(self, account_id: int, calls: Collection[int]) -> set[int]:
        """Those of these call sessions that have joined a queue.

        :raises DatabaseUnavailable, psycopg.Error: it cannot be read.
        """

    async def append(self, events: Sequence[Event]) -> None:
        """Append events of one account to their streams, all or none.

        :raises StreamConflict: a stream has another version.
        :raises LeaseLost: another switch holds the node's lease.
        :raises DatabaseUnavailable, psycopg.Error: nothing is stored.
        """


class DatabaseQueueStore:
    """Keeps events of queues in PostgreSQL.

    :param fence: the lease under which this switch writes.
    """

    def __init__(self, db: Database, fence: Fence | None) -> None:
        self._db = db
        self._fence = fence

    async def read(self, account_id: int) -> list[Event]:
        async with self._db.connection() as connection:
            return await events_of_queues(connection, account_id)

    async def joined(self, account_id: int, calls: Collection[int]) -> set[int]:
        rows = await self._db.fetch_all(_JOINED, (account_id, [str(one) for one in calls]))
        return {int(row["call"]) for row in rows}

    async def append(self, events: Sequence[Event]) -> None:
        try:
            async with self._db.connection() as connection:
                await append_to_streams(connection, events, self._fence)
        except (StreamConflict, psycopg.errors.UniqueViolation):
            # An earlier commit may have succeeded, and its response was lost.
            async with self._db.connection() as connection:
                await append_again(connection, events, self._fence)
