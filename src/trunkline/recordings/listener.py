"""Enqueues the recording when a call with recorded talks has finished, or a message was left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection

from trunkline.core import not_recorded
from trunkline.core.ids import node_of
from trunkline.db.jobs import Jobs
from trunkline.events.catalogue import Event, EventType
from trunkline.recordings.links import RecordingKind, new_recording_id

QUEUE = "recordings"
"""Queue of jobs without a node, enqueued before jobs had one: any worker moves them to the node's queue."""

JOB = "make_recordings"

Pending = tuple[int, str, int]
"""A recording that is to be made: account, recording and call session id."""

_TOGETHER = 20
"""Recordings of one job at most."""

_MAKE = """
insert into recordings (account_id, recording_id, call_session_id, leg_id, kind)
select * from unnest(%s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])
on conflict (account_id, call_session_id, kind, coalesce(leg_id, 0)) do update
set status = 'pending', failure = null where recordings.status = 'absent' and recordings.failure = any(%s::text[])
returning account_id, recording_id, call_session_id
"""


_REFUSED = """
insert into recordings (account_id, status, failure, recording_id, call_session_id, leg_id, kind)
select made.account_id, 'absent', made.failure, made.recording_id, made.call_session_id, made.leg_id, made.kind
from unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])
    as made (failure, account_id, recording_id, call_session_id, leg_id, kind)
on conflict (account_id, call_session_id, kind, coalesce(leg_id, 0)) do nothing
"""


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """A recording that is to be made; ``leg_id`` of a message's; ``refused``: why it is not made."""

    account_id: int
    call_session_id: int
    leg_id: int | None
    kind: RecordingKind
    refused: str = not_recorded.DISK


class RecordingListener:
    """A listener of the relay."""

    name = "recordings"

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def on_events(self, conn: AsyncConnection[Any], events: Sequence[Event]) -> None:
        """See :class:`trunkline.events.relay.Listener`."""
        wanted = [one for event in events if (one := _wanted(event)) is not None]
        refused = [one for event in events if (one := _refused(event)) is not None]
        if refused:
            await _note_refused(conn, refused)
        if wanted:
            await enqueue(conn, self._jobs, wanted)


def _wanted(event: Event) -> RecordingRequest | None:
    session = event.call_session_id
    if session is None:
        return None
    if event.type is EventType.SESSION_FINISHED and event.data.get("recorded"):
        return RecordingRequest(event.account_id, session, None, RecordingKind.TALK)
    if event.type is EventType.VOICE_MAIL_LEFT and "refused" not in event.data:
        return RecordingRequest(
            event.account_id, session, int(event.data["leg_id"]), RecordingKind.VOICE_MAIL
        )
    return None


def _refused(event: Event) -> RecordingRequest | None:
    """A recording that is not made, and why."""
    session = event.call_session_id
    if session is not None and event.type is EventType.RECORDING_REFUSED:
        reason = event.data.get("reason") or not_recorded.DISK
        return RecordingRequest(event.account_id, session, None, RecordingKind.TALK, reason)
    if session is not None and event.type is EventType.VOICE_MAIL_LEFT and "refused" in event.data:
        return RecordingRequest(
            event.account_id,
            session,
            int(event.data["leg_id"]),
            RecordingKind.VOICE_MAIL,
            str(event.data["refused"]),
        )
    return None


async def _note_refused(conn: AsyncConnection[Any], refused: Sequence[RecordingRequest]) -> None:
    """A row that has the reason; a recording of another part of the call takes its place."""
    await conn.execute(
        _REFUSED,
        (
            [one.refused for one in refused],
            [one.account_id for one in refused],
            [new_recording_id() for _ in refused],
            [one.call_session_id for one in refused],
            [one.leg_id for one in refused],
            [one.kind.value for one in refused],
        ),
    )


async def enqueue(conn: AsyncConnection[Any], jobs: Jobs, wanted: Sequence[RecordingRequest]) -> int:
    """Order recordings, each once; how many are new."""
    cursor = await conn.execute(
        _MAKE,
        (
            [one.account_id for one in wanted],
            [new_recording_id() for _ in wanted],
            [one.call_session_id for one in wanted],
            [one.leg_id for one in wanted],
            [one.kind.value for one in wanted],
            list(not_recorded.REFUSALS),
        ),
    )
    made = await cursor.fetchall()
    await enqueue_again(
        conn, jobs, [(row["account_id"], row["recording_id"], row["call_session_id"]) for row in made]
    )
    return len(made)


def queue_of(node: int) -> str:
    """The queue of recordings whose raw audio is on a node; workers that can read the node's spool folder serve it."""
    return f"{QUEUE}:{node}"


async def enqueue_again(conn: AsyncConnection[Any], jobs: Jobs, recordings: Sequence[Pending]) -> None:
    """Enqueue the jobs of recordings that are pending, each in the queue of its call's node."""
    by_node: dict[int, list[Pending]] = {}
    for one in recordings:
        by_node.setdefault(node_of(one[2]), []).append(one)
    for node, those in by_node.items():
        for at in range(0, len(those), _TOGETHER):
            some = those[at : at + _TOGETHER]
            await jobs.enqueue(
                conn,
                JOB,
                {
                    "recordings": [[account_id, recording_id] for account_id, recording_id, _ in some],
                    "node": node,
                },
                queue=queue_of(node),
                lock=f"recording:{some[0][1]}",
            )
