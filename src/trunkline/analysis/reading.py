"""Reads the results of the analysis of a call's recordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trunkline.core.errors import NotFound
from trunkline.db.pool import Database

_CALL = """
select start_time, contact_phone_number, array(
    select recording.recording_id from recordings recording
    where recording.account_id = call.account_id and recording.call_session_id = call.call_session_id
        and recording.kind = 'talk' and recording.status = 'ready'
    order by recording.created_at, recording.recording_id) as recordings
from call_sessions call where account_id = %s and call_session_id = %s
"""

_PHRASES = """
select said.phrase_id, said.phrase, said.is_operator,
    coalesce(leg.answer_time, call.talk_start_time, call.start_time) + said.start_ms * interval '1 millisecond' as said_at
from speech_phrases said
    join call_sessions call using (account_id, call_session_id)
    join recordings recording using (account_id, recording_id)
    left join call_legs leg on leg.account_id = said.account_id and leg.call_session_id = said.call_session_id
        and leg.leg_id = recording.leg_id
where said.account_id = %(account_id)s and said.call_session_id = %(call_session_id)s
    and (%(search)s::text[] is null or exists (select 1 from unnest(%(search)s::text[]) as wanted(text)
        where strpos(lower(said.phrase), lower(wanted.text)) > 0))
order by said_at, said.phrase_id
"""

_TRANSCRIBERS = """
select transcriber from call_analyses
where account_id = %s and call_session_id = %s and transcriber is not null order by ready_at desc limit 1
"""

_ANALYSES = """
select analysis.recording_id, analysis.status, analysis.failure, analysis.figures, analysis.requirements,
    analysis.transcript_status, analysis.transcript_failure, analysis.summary
from call_analyses analysis join recordings recording using (account_id, recording_id)
where analysis.account_id = %s and analysis.call_session_id = %s
order by recording.created_at, analysis.recording_id
"""


@dataclass(frozen=True, slots=True)
class Recognition:
    """The transcript of a call. ``phrases``: ``{"phrase_id", "phrase", "is_operator", "said_at"}``, in order."""

    start_time: datetime
    contact_phone_number: str | None
    recordings: Sequence[str]
    """Ids."""
    transcriber: str | None
    phrases: Sequence[dict[str, Any]]


async def recognition(
    db: Database, account_id: int, call_session_id: int, search: Sequence[str] | None
) -> Recognition:
    """The transcript of a call.

    :param search: only phrases in which one of these texts occurs, case-insensitive; None or empty: all.
    :raises NotFound: no such call.
    """
    call = await _call(db, account_id, call_session_id)
    phrases = await db.fetch_all(
        _PHRASES,
        {"account_id": account_id, "call_session_id": call_session_id, "search": list(search or ()) or None},
    )
    by = await db.fetch_one(_TRANSCRIBERS, (account_id, call_session_id))
    return Recognition(
        call["start_time"],
        call["contact_phone_number"],
        call["recordings"],
        None if by is None else by["transcriber"],
        phrases,
    )


async def analyses(db: Database, account_id: int, call_session_id: int) -> list[dict[str, Any]]:
    """The results of the analysis of each recording of a call; empty when none was analysed.

    :raises NotFound: no such call.
    """
    await _call(db, account_id, call_session_id)
    return await db.fetch_all(_ANALYSES, (account_id, call_session_id))


async def _call(db: Database, account_id: int, call_session_id: int) -> dict[str, Any]:
    row = await db.fetch_one(_CALL, (account_id, call_session_id))
    if row is None:
        raise NotFound(
            f"No call has the id {call_session_id}. The report of calls lists the ids.",
            field="call_session_id",
            value=call_session_id,
        )
    return row
