"""Enqueues the analysis of recordings: of each stereo one when it is ready, and again on request.

Only of accounts that have the component ``speech_analytics``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from trunkline.analysis.model import TranscriptStatus
from trunkline.core.errors import NotFound
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Connection, Database
from trunkline.events.catalogue import Event, EventType

QUEUE = "analysis"
JOB = "analyse_recording"
COMPONENT = "speech_analytics"

_ANALYSABLE = """
    recording.status = 'ready' and recording.kind = 'talk' and recording.wav_path is not null
    and jsonb_array_length(recording.channels) = 2
"""

_ENQUEUE_READY = f"""
insert into call_analyses (account_id, recording_id, call_session_id, transcript_status)
select recording.account_id, recording.recording_id, recording.call_session_id, %(transcript)s
from recordings recording
where recording.account_id = %(account_id)s and recording.recording_id = %(recording_id)s and {_ANALYSABLE}
    and exists (select 1 from account_components component
        where component.account_id = recording.account_id and component.component = %(component)s)
on conflict (account_id, recording_id) do nothing
returning recording_id
"""  # noqa: S608 - consists of constants

_ENQUEUE_SESSION = f"""
insert into call_analyses (account_id, recording_id, call_session_id, transcript_status)
select recording.account_id, recording.recording_id, recording.call_session_id, 'pending'
from recordings recording
where recording.account_id = %(account_id)s and recording.call_session_id = %(call_session_id)s and {_ANALYSABLE}
on conflict (account_id, recording_id) do update
    set status = 'pending', transcript_status = 'pending', failure = null, transcript_failure = null, ordered_at = now()
returning recording_id
"""  # noqa: S608

WhenReady = Callable[[Connection, int, str], Awaitable[None]]


def when_ready(jobs: Jobs, transcribe: bool) -> WhenReady:
    """A function that enqueues the analysis of a recording that becomes ready.

    It is called with the account and the recording, in the transaction that makes the recording ready.

    :param transcribe: whether all recordings are transcribed without a request.
    """
    transcript = TranscriptStatus.PENDING if transcribe else TranscriptStatus.NOT_ASKED

    async def enqueue(connection: Connection, account_id: int, recording_id: str) -> None:
        cursor = await connection.execute(
            _ENQUEUE_READY,
            {
                "account_id": account_id,
                "recording_id": recording_id,
                "transcript": transcript.value,
                "component": COMPONENT,
            },
        )
        if await cursor.fetchone() is not None:
            await _enqueue_job(connection, jobs, account_id, recording_id)

    return enqueue


class AnalysisListener:
    """A listener of the relay for ready recordings of the PBX."""

    name = "analysis"

    def __init__(self, jobs: Jobs, transcribe: bool) -> None:
        self._enqueue = when_ready(jobs, transcribe)

    async def on_events(self, conn: Connection, events: Sequence[Event]) -> None:
        """See :class:`trunkline.events.relay.Listener`."""
        for event in events:
            if event.type is EventType.RECORDING_READY and event.data.get("kind") == "talk":
                await self._enqueue(conn, event.account_id, str(event.data["recording_id"]))


async def enqueue_recognition(db: Database, jobs: Jobs, account_id: int, call_session_id: int) -> int:
    """Enqueue the analysis and transcription of all recordings of a call, also of analysed ones; returns their number.

    :raises NotFound: no such call, or it has no stereo recording.
    """
    async with db.connection() as connection:
        cursor = await connection.execute(
            _ENQUEUE_SESSION, {"account_id": account_id, "call_session_id": call_session_id}
        )
        rows = await cursor.fetchall()
        for row in rows:
            await _enqueue_job(connection, jobs, account_id, row["recording_id"])
    if not rows:
        raise NotFound(
            f"No call {call_session_id} has a stereo recording that is ready. The ids are in the report of"
            " calls, and wait until its recording is listed.",
            field="call_session_id",
            value=call_session_id,
        )
    return len(rows)


async def _enqueue_job(connection: Connection, jobs: Jobs, account_id: int, recording_id: str) -> None:
    await jobs.enqueue(
        connection,
        JOB,
        {"account_id": account_id, "recording_id": recording_id},
        queue=QUEUE,
        lock=f"analysis:{recording_id}",
    )
