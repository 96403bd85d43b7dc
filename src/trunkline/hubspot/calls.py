"""Rows of the calls that go to HubSpot, and what is read of a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.db.pool import Connection, Database, Row
from trunkline.hubspot.connections import CHANNEL
from trunkline.hubspot.engagement import CallRecord, Phrase, Recording

RecordingUrl = Callable[[int, str, str], str]
"""``(call_session_id, recording_id, kind)``: where that recording can be fetched."""

_NOTE = """
insert into hubspot_calls as h (account_id, call_session_id)
select u.account_id, u.call_session_id from unnest(%(accounts)s::bigint[], %(calls)s::bigint[])
    as u (account_id, call_session_id)
join hubspot_connections c on c.account_id = u.account_id and c.is_active
on conflict (account_id, call_session_id) do update
set state = 'pending', wanted = h.wanted + 1, due_at = least(h.due_at, now())
"""

_CHANGED = """
update hubspot_calls h set state = 'pending', wanted = h.wanted + 1, due_at = now(), attempts = 0, failing_since = null
from unnest(%(accounts)s::bigint[], %(calls)s::bigint[]) as u (account_id, call_session_id)
where h.account_id = u.account_id and h.call_session_id = u.call_session_id and h.state in ('pending', 'done')
"""

_ADDED_LATER = """
update hubspot_calls h set state = 'pending', wanted = h.wanted + 1, due_at = now(), attempts = 0, failing_since = null
where h.state = 'done' and h.read_at > now() - interval '2 days' and h.account_id in (
        select c.account_id from hubspot_connections c where c.is_active)
    and (exists (select from call_analyses a where a.account_id = h.account_id
            and a.call_session_id = h.call_session_id and a.ready_at > h.read_at)
        or exists (select from communication_comments m where m.account_id = h.account_id
            and m.communication_type = 'call' and m.communication_id = h.call_session_id
            and m.created_at > h.read_at))
"""

_TAKE = """
select due.account_id, due.call_session_id, due.wanted, due.sent, due.attempts, due.contact_id, due.contact_choice,
    due.failing_seconds, now() as read_at
from hubspot_connections c cross join lateral (
    select h.account_id, h.call_session_id, h.wanted, h.sent, h.attempts, h.contact_id, h.contact_choice,
        extract(epoch from now() - h.failing_since)::float8 as failing_seconds
    from hubspot_calls h
    where h.account_id = c.account_id and h.state = 'pending' and h.due_at <= now()
        and h.call_session_id <> all(%(at_work)s)
    order by h.due_at, h.call_session_id limit %(most)s
) due
where c.is_active and (c.paused_until is null or c.paused_until <= now()) and c.account_id <> all(%(full)s)
"""

_NEXT_DUE = """
select extract(epoch from min(greatest(h.due_at, c.paused_until)) - now())::float8 as seconds
from hubspot_calls h join hubspot_connections c on c.account_id = h.account_id
where h.state = 'pending' and c.is_active and greatest(h.due_at, c.paused_until) > now()
"""

_DONE = """
update hubspot_calls set state = case when wanted = %(wanted)s then %(state)s else 'pending' end,
    due_at = now(), attempts = 0, failing_since = null, sent = %(sent)s, contact_id = %(contact_id)s,
    contact_choice = %(contact_choice)s, error = %(error)s, read_at = %(read_at)s
where account_id = %(account_id)s and call_session_id = %(call_session_id)s
"""

_LATER = """
update hubspot_calls set due_at = now() + %(seconds)s * interval '1 second', attempts = attempts + %(failures)s,
    failing_since = case when %(failures)s > 0 then coalesce(failing_since, now()) else failing_since end,
    error = %(error)s
where account_id = %(account_id)s and call_session_id = %(call_session_id)s
"""

_FAILED = """
update hubspot_calls set state = case when wanted = %(wanted)s then 'failed' else 'pending' end, error = %(error)s
where account_id = %(account_id)s and call_session_id = %(call_session_id)s
"""

_CONTACT = """
update hubspot_calls set contact_id = %(contact_id)s, contact_choice = %(contact_choice)s
where account_id = %(account_id)s and call_session_id = %(call_session_id)s
"""

_CALLS = """
select s.account_id, s.call_session_id, s.start_time, s.finish_time, s.direction, s.is_internal, s.is_lost,
    s.finish_reason, s.contact_phone_number, s.contact_full_name, s.virtual_phone_number,
    coalesce(s.talk_duration, 0) as talk_duration, s.last_talked_employee_id, s.last_answered_employee_id, s.employees,
    s.scenario_name, s.tags, a.open_recording_links,
    (select jsonb_build_object('id', r.recording_id, 'kind', r.kind) from recordings r
     where r.account_id = s.account_id and r.call_session_id = s.call_session_id and r.status = 'ready'
     order by r.kind <> 'talk', r.created_at limit 1) as recording,
    (select array_agg(m.comment order by m.comment_id) from communication_comments m
     where m.account_id = s.account_id and m.communication_type = 'call' and m.communication_id = s.call_session_id
    ) as comments,
    (select string_agg(n.summary, e'\\n' order by n.ready_at) from call_analyses n
     where n.account_id = s.account_id and n.call_session_id = s.call_session_id) as summary,
    (select jsonb_agg(jsonb_build_array(p.is_operator, p.phrase) order by p.start_ms, p.phrase_id)
     from speech_phrases p
     where p.account_id = s.account_id and p.call_session_id = s.call_session_id) as phrases
from call_sessions s join accounts a on a.account_id = s.account_id
where s.account_id = %(account_id)s and s.call_session_id = any(%(calls)s)
"""

_OF_PERIOD = """
select s.call_session_id from call_sessions s
where s.account_id = %(account_id)s and s.start_time >= %(start)s and s.start_time < %(end)s
    and s.finish_time is not null and not s.is_internal
order by s.start_time, s.call_session_id
"""

_OWNERS = """
select employee_id, hubspot_owner_id from employees
where account_id = %(account_id)s and hubspot_owner_id <> ''
"""


_PRUNE = """
delete from hubspot_calls h where h.noted_at < now() - interval '1 day' and not exists (
    select from call_sessions s where s.account_id = h.account_id and s.call_session_id = h.call_session_id)
"""

_PRUNE_OBJECTS = """
delete from hubspot_objects o where case o.kind
    when 'contact' then coalesce(o.asked_at, '-infinity') < now() - interval '30 days'
    else coalesce(o.asked_at, '-infinity') < now() - interval '1 day' and not exists (select from call_sessions s
        where s.account_id = o.account_id and s.call_session_id = o.key::bigint) end
"""


async def prune(db: Database) -> None:
    """Remove what is about calls that were removed, and the numbers of contacts that were created 30 days ago or not
    created: a search finds these."""
    await db.execute(_PRUNE)
    await db.execute(_PRUNE_OBJECTS)


async def note_finished(conn: Connection, calls: Sequence[tuple[int, int]]) -> None:
    """Write a row for each finished call of a connected account: ``(account_id, call_session_id)``."""
    await _with_calls(conn, _NOTE, calls)


async def note_changed(conn: Connection, calls: Sequence[tuple[int, int]]) -> None:
    """Send these calls again, if they go to HubSpot at all."""
    await _with_calls(conn, _CHANGED, calls)


async def _with_calls(conn: Connection, statement: Any, calls: Sequence[tuple[int, int]]) -> None:
    values = {"accounts": [one[0] for one in calls], "calls": [one[1] for one in calls]}
    await conn.execute(statement, values)
    await conn.execute("select pg_notify(%s, '')", (CHANNEL,))


async def note_added(db: Database) -> int:
    """Send calls again that got a transcript or a comment; how many there are."""
    return await db.execute(_ADDED_LATER)


async def take(conn: Connection, at_work: Sequence[int], full: Sequence[int], most: int) -> list[Row]:
    """Due calls of all accounts, of each the longest due.

    :param at_work: calls that are being sent now.
    :param full: accounts of which no more is taken.
    :param most: of an account.
    """
    values = {"at_work": list(at_work), "full": list(full), "most": most}
    return await (await conn.execute(_TAKE, values)).fetchall()


async def next_due(conn: Connection) -> float | None:
    """Seconds until a call is due that is not due now."""
    row = await (await conn.execute(_NEXT_DUE)).fetchone()
    return None if row is None or row["seconds"] is None else float(row["seconds"])


async def done(
    db: Database,
    row: Mapping[str, Any],
    *,
    state: str = "done",
    sent: Mapping[str, str] | None = None,
    contact_id: str | None = None,
    contact_choice: str | None = None,
    error: str | None = None,
) -> None:
    """The call is in HubSpot as it was when the row was taken; it is due again if it was changed since.

    :param row: as it was taken.
    """
    await db.execute(
        _DONE,
        {
            "account_id": row["account_id"],
            "call_session_id": row["call_session_id"],
            "wanted": row["wanted"],
            "state": state,
            "sent": Jsonb(dict(sent or {})),
            "contact_id": contact_id,
            "contact_choice": contact_choice,
            "error": error,
            "read_at": row["read_at"],
        },
    )


async def later(
    db: Database, row: Mapping[str, Any], seconds: float, error: str, *, is_failure: bool
) -> None:
    """Try again after a time."""
    await db.execute(
        _LATER,
        {
            "account_id": row["account_id"],
            "call_session_id": row["call_session_id"],
            "seconds": seconds,
            "failures": int(is_failure),
            "error": error[:1000],
        },
    )


async def failed(db: Database, row: Mapping[str, Any], error: str) -> None:
    """It is not sent again until a repair."""
    await db.execute(
        _FAILED,
        {
            "account_id": row["account_id"],
            "call_session_id": row["call_session_id"],
            "wanted": row["wanted"],
            "error": error[:1000],
        },
    )


async def remember_contact(
    db: Database, row: Mapping[str, Any], contact_id: str | None, choice: str | None
) -> None:
    """The contact of a call: an attempt that is repeated takes the same one."""
    await db.execute(
        _CONTACT,
        {
            "account_id": row["account_id"],
            "call_session_id": row["call_session_id"],
            "contact_id": contact_id,
            "contact_choice": choice,
        },
    )


async def owners(db: Database, account_id: int) -> dict[int, str]:
    """Owners by employee."""
    rows = await db.fetch_all(_OWNERS, {"account_id": account_id})
    return {row["employee_id"]: row["hubspot_owner_id"] for row in rows}


async def of_period(db: Database, account_id: int, start: datetime, end: datetime) -> list[int]:
    """Finished calls with contacts that began in a period, the oldest first."""
    rows = await db.fetch_all(_OF_PERIOD, {"account_id": account_id, "start": start, "end": end})
    return [row["call_session_id"] for row in rows]


async def read(
    db: Database, account_id: int, calls: Sequence[int], recording_url: RecordingUrl
) -> dict[int, CallRecord | None]:
    """Calls by their ids; None: it is internal; those whose rows are not written or not finished are missing."""
    rows = await db.fetch_all(_CALLS, {"account_id": account_id, "calls": list(calls)})
    return {
        row["call_session_id"]: None if row["is_internal"] else _record(row, recording_url)
        for row in rows
        if row["finish_time"] is not None
    }


def _record(row: Row, recording_url: RecordingUrl) -> CallRecord:
    recording = row["recording"]
    has_link = recording is not None and row["open_recording_links"]
    return CallRecord(
        account_id=row["account_id"],
        call_session_id=row["call_session_id"],
        start=row["start_time"],
        finish=row["finish_time"],
        is_incoming=row["direction"] == "in",
        is_lost=bool(row["is_lost"]),
        finish_reason=row["finish_reason"],
        contact_number=row["contact_phone_number"],
        contact_name=row["contact_full_name"] or None,
        virtual_number=row["virtual_phone_number"],
        talk_seconds=row["talk_duration"],
        talked_id=row["last_talked_employee_id"],
        answered_id=row["last_answered_employee_id"],
        employees=row["employees"] or [],
        scenario=row["scenario_name"],
        tags=tuple(str(tag.get("tag_name") or "") for tag in row["tags"] or []),
        notes=tuple(row["comments"] or ()),
        recording=Recording(
            recording_url(row["call_session_id"], recording["id"], recording["kind"]), recording["kind"]
        )
        if has_link
        else None,
        transcript=tuple(Phrase(bool(one[0]), str(one[1])) for one in row["phrases"] or ()),
        summary=row["summary"],
    )
