"""What is kept of calls for reports: rows of sessions and legs, made from a session's state.

A row is made from the state after an event of the stream, whose number is the row's ``version``, and written whole. A row
of an older version than the one in the table is not written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from psycopg import AsyncConnection

from trunkline.calls.country import country_of
from trunkline.calls.durations import whole_seconds
from trunkline.calls.session import Leg, QueueStay, Session
from trunkline.calls.summary import employee_talks, employees, finished, firsts_and_lasts
from trunkline.core.clock import Instant, to_datetime
from trunkline.events.catalogue import Event, EventType
from trunkline.events.reasons import Reason

_SESSION_COLUMNS = (
    "account_id",
    "call_session_id",
    "version",
    "node",
    "start_time",
    "finish_time",
    "first_answer_time",
    "talk_start_time",
    "direction",
    "is_internal",
    "source",
    "finish_reason",
    "is_lost",
    "is_transfer",
    "virtual_number_id",
    "virtual_phone_number",
    "contact_phone_number",
    "contact_id",
    "contact_full_name",
    "operator_phone_number",
    "scenario_id",
    "scenario_name",
    "scenario_operations",
    "communication_number",
    "wait_duration",
    "total_wait_duration",
    "talk_duration",
    "clean_talk_duration",
    "total_duration",
    "postprocess_duration",
    "employees",
    "employee_talks",
    "first_answered_employee_id",
    "first_answered_employee_full_name",
    "last_answered_employee_id",
    "last_answered_employee_full_name",
    "first_talked_employee_id",
    "first_talked_employee_full_name",
    "last_talked_employee_id",
    "last_talked_employee_full_name",
    "tags",
    "queues",
    "country_code",
    "external_id",
    "api_request_id",
    "extra",
)
_LEG_COLUMNS = (
    "account_id",
    "call_session_id",
    "leg_id",
    "start_time",
    "answer_time",
    "finish_time",
    "direction",
    "calling_phone_number",
    "called_phone_number",
    "virtual_phone_number",
    "is_operator",
    "is_coach",
    "is_transfered",
    "is_failed",
    "is_talked",
    "employee_id",
    "employee_full_name",
    "employee_phone_number",
    "sip_line_id",
    "trunk_id",
    "limited_line_id",
    "group_id",
    "group_name",
    "scenario_id",
    "scenario_name",
    "operation_id",
    "operation_name",
    "queue_id",
    "queue_name",
    "contact_id",
    "contact_full_name",
    "contact_phone_number",
    "finish_reason",
    "release_cause_code",
    "duration",
    "total_duration",
)


def _upsert(table: str, columns: Sequence[str], keys: Sequence[str], rows: str, newer: str = "") -> str:
    """One statement for any number of rows; column names are the constants above, never input."""
    kept = {  # what others write, too
        "communication_number": "coalesce(excluded.communication_number, {}.communication_number)",
        "extra": "excluded.extra || {}.extra",
    }
    changes = ", ".join(
        f"{name} = {kept.get(name, f'excluded.{name}').format(table)}" for name in columns if name not in keys
    )
    names = ", ".join(columns)
    return (
        f"insert into {table} ({names}) select {names} from jsonb_populate_recordset(null::{table}, %({rows})s::jsonb)"  # noqa: S608
        f" on conflict ({', '.join(keys)}) do update set {changes} {newer}"
    )


_WRITE = (
    "with legs as ("
    + _upsert("call_legs", _LEG_COLUMNS, ("account_id", "call_session_id", "leg_id"), "legs")
    + ") "
    + _upsert(
        "call_sessions",
        _SESSION_COLUMNS,
        ("account_id", "call_session_id"),
        "sessions",
        "where call_sessions.version < excluded.version",
    )
)

_COUNT_COMMUNICATIONS = """
with calls as (
    select * from unnest(%s::bigint[], %s::bigint[], %s::text[]) as c(account_id, call_session_id, phone)
), fresh as (
    select * from calls where not exists (
        select from call_sessions as s
        where s.account_id = calls.account_id and s.call_session_id = calls.call_session_id
    )
), counted as (
    insert into contact_counters (account_id, contact_phone_number, last_number)
    select account_id, phone, count(*) from fresh group by account_id, phone order by account_id, phone
    on conflict (account_id, contact_phone_number)
    do update set last_number = contact_counters.last_number + excluded.last_number
    returning account_id, contact_phone_number, last_number
)
select call_session_id, last_number + 1 - row_number() over (
    partition by account_id, phone order by call_session_id desc
) as number
from fresh join counted using (account_id) where phone = contact_phone_number
"""
"""Sorted, so that two writers never wait for one another; a call that has its row has its number."""


class Rows:
    """The rows of one call as they were written last: a leg that did not change is not written again."""

    def __init__(self) -> None:
        self._legs: dict[int, dict[str, Any]] = {}

    def changed_legs(self, session: Session) -> list[dict[str, Any]]:
        """Rows of the legs that differ from what :meth:`keep` was given."""
        rows = (leg_row(session, leg) for leg in session.legs.values())
        return [row for row in rows if self._legs.get(row["leg_id"]) != row]

    def keep(self, legs: Iterable[dict[str, Any]]) -> None:
        """These rows are committed."""
        self._legs.update((row["leg_id"], row) for row in legs)


async def write(
    connection: AsyncConnection[Any],
    sessions: Sequence[Session],
    legs: Sequence[Mapping[str, Any]],
    begun: Iterable[Session],
    node: int,
) -> None:
    """Write the rows of these sessions, as their states are, and of these legs (:func:`leg_row`).

    :param begun: those of them that may have no row yet; who has none gets the contact's next communication number.
    """
    numbers = await _communication_numbers(connection, begun)
    rows = [session_row(session, node, numbers.get(session.call_session_id)) for session in sessions]
    await connection.execute(
        _WRITE, {"sessions": orjson.dumps(rows).decode(), "legs": orjson.dumps(legs).decode()}
    )


_WRITE_TAGS = """
insert into tag_history (account_id, occurred_at, action, tag_id, tag_name, tag_color, tag_is_system,
    communication_type, communication_id, is_auto, user_id, user_login, employee_id, employee_full_name, call_seq)
select e.account_id, e.occurred_at, e.action, e.tag_id, e.tag_name, coalesce(t.color, '#EBEBEB'),
    coalesce(t.is_system, false), 'call', e.communication_id, e.user_id is null and e.employee_id is null,
    e.user_id, e.user_login, e.employee_id, e.employee_full_name, e.call_seq
from jsonb_to_recordset(%s::jsonb) as e(account_id bigint, occurred_at timestamptz, action text, tag_id bigint,
    tag_name text, communication_id bigint, user_id bigint, user_login text, employee_id bigint,
    employee_full_name text, call_seq int)
left join tags t on t.account_id = e.account_id and t.tag_id = e.tag_id
order by e.communication_id, e.call_seq
on conflict (account_id, communication_id, call_seq) where call_seq is not null do nothing
"""


async def write_tags(connection: AsyncConnection[Any], events: Iterable[Event]) -> None:
    """Record these events in the history of tags; a write may be repeated."""
    rows = [_tagging(event) for event in events if event.type in (EventType.TAG_SET, EventType.TAG_UNSET)]
    if rows:
        await connection.execute(_WRITE_TAGS, (orjson.dumps(rows).decode(),))


def _tagging(event: Event) -> dict[str, Any]:
    who = ("user_id", "user_login", "employee_id", "employee_full_name")
    return {
        "account_id": event.account_id,
        "occurred_at": _time(event.at),
        "action": "set" if event.type is EventType.TAG_SET else "unset",
        "tag_id": event.data["tag_id"],
        "tag_name": event.data["tag_name"],
        "communication_id": event.call_session_id,
        "call_seq": event.seq,
        **{name: event.data.get(name) for name in who},
    }


async def _communication_numbers(
    connection: AsyncConnection[Any], begun: Iterable[Session]
) -> dict[int, int]:
    """Numbers of those that are written for the first time."""
    called = [one for one in begun if one.contact_phone_number]
    if not called:
        return {}
    cursor = await connection.execute(
        _COUNT_COMMUNICATIONS,
        (
            [one.account_id for one in called],
            [one.call_session_id for one in called],
            [one.contact_phone_number for one in called],
        ),
    )
    return {row["call_session_id"]: row["number"] for row in await cursor.fetchall()}


def session_row(session: Session, node: int, communication_number: int | None = None) -> dict[str, Any]:
    """Columns of ``call_sessions``; durations are null while the call lives."""
    row: dict[str, Any] = {
        "account_id": session.account_id,
        "call_session_id": session.call_session_id,
        "version": session.seq,
        "node": node,
        "start_time": _time(session.started_at),
        "finish_time": _time(session.finished_at),
        "first_answer_time": _time(session.first_answer_at),
        "talk_start_time": _time(session.talks[0].started_at) if session.talks else None,
        "direction": session.direction,
        "is_internal": session.is_internal,
        "source": session.source,
        "virtual_number_id": session.virtual_number_id,
        "virtual_phone_number": session.virtual_phone_number,
        "contact_phone_number": session.contact_phone_number,
        "contact_id": session.contact_id,
        "contact_full_name": session.contact_full_name,
        "operator_phone_number": session.operator_phone_number or _operator_number(session),
        "scenario_id": session.scenario_id,
        "scenario_name": session.scenario_name,
        "scenario_operations": [{"id": one["id"], "name": one["name"]} for one in session.operations],
        "communication_number": communication_number,
        "employees": employees(session),
        "employee_talks": None,
        "tags": [_tag(tag) for tag in session.tags],
        "queues": [_queue(session, stay) for stay in session.queue_stays],
        "country_code": country_of(session.contact_phone_number),
        "external_id": session.external_id,
        "api_request_id": session.api_request_id,
        "extra": session.visit,
        "is_transfer": any(leg.is_transfered for leg in session.legs.values()),
        **firsts_and_lasts(session),
    }
    if session.finished_at is not None:
        end = finished(session, session.finished_at)
        row["employee_talks"] = employee_talks(session, session.finished_at)
        row |= {
            name: end[name]
            for name in (
                "finish_reason",
                "is_lost",
                "wait_duration",
                "total_wait_duration",
                "talk_duration",
                "clean_talk_duration",
                "total_duration",
                "postprocess_duration",
            )
        }
    return row


def leg_row(session: Session, leg: Leg) -> dict[str, Any]:
    """Columns of ``call_legs``."""
    return {
        "account_id": session.account_id,
        "call_session_id": session.call_session_id,
        "leg_id": leg.leg_id,
        "start_time": _time(leg.started_at),
        "answer_time": _time(leg.answered_at),
        "finish_time": _time(leg.ended_at),
        "direction": leg.direction,
        "calling_phone_number": leg.calling_phone_number,
        "called_phone_number": leg.called_phone_number,
        "virtual_phone_number": session.virtual_phone_number,
        "is_operator": leg.is_operator_side,
        "is_coach": leg.role == "coach",
        "is_transfered": leg.is_transfered,
        "is_failed": leg.is_failed,
        "is_talked": leg.is_talked,
        "employee_id": leg.employee_id,
        "employee_full_name": leg.employee_full_name,
        "employee_phone_number": leg.employee_phone_number,
        "sip_line_id": leg.sip_line_id,
        "trunk_id": leg.trunk_id,
        "limited_line_id": session.limited_line(leg.limited_line_id) if leg.is_over_trunk else None,
        "group_id": leg.group_id,
        "group_name": leg.group_name,
        "scenario_id": session.scenario_id,
        "scenario_name": session.scenario_name,
        "operation_id": leg.operation_id,
        "operation_name": leg.operation_name,
        "queue_id": leg.queue_id,
        "queue_name": leg.queue_name,
        "contact_id": session.contact_id,
        "contact_full_name": session.contact_full_name,
        "contact_phone_number": session.contact_phone_number,
        "finish_reason": leg.finish_reason,
        "release_cause_code": leg.cause,
        "duration": _between(leg.answered_at, leg.ended_at),
        "total_duration": _between(leg.started_at, leg.ended_at),
    }


def _queue(session: Session, stay: QueueStay) -> dict[str, Any]:
    """An entry of the column ``queues``. A contact that was in the queue when the call ended has abandoned it, unless we
    ended the call."""
    outcome, end = stay.outcome, stay.left_at
    if outcome is None and session.finished_at is not None:
        outcome = "abandoned" if session.ending is Reason.ABANDONED_IN_QUEUE else "disconnected"
        end = session.finished_at
    return {
        "queue_id": stay.queue_id,
        "queue_name": stay.queue_name,
        "wait_duration": _between(stay.entered_at, end),
        "outcome": outcome,
        "exit_key": stay.key,
    }


def _operator_number(session: Session) -> str | None:
    """Number of the employee or operator who answered first."""
    answered = [leg for leg in session.legs.values() if leg.is_operator_side and leg.answered_at is not None]
    first = min(answered, key=lambda leg: leg.answered_at or 0.0, default=None)
    return first.called_phone_number if first is not None else None


def _tag(tag: Mapping[str, Any]) -> dict[str, Any]:
    by_person = tag.get("user_id") is not None or tag.get("employee_id") is not None
    return {
        "tag_id": tag["tag_id"],
        "tag_name": tag["tag_name"],
        "tag_type": "manual" if by_person else "auto",
        "tag_change_time": _time(tag["tag_change_time"]),
        "tag_user_id": tag.get("user_id"),
        "tag_user_login": tag.get("user_login"),
        "tag_employee_id": tag.get("employee_id"),
        "tag_employee_full_name": tag.get("employee_full_name"),
    }


def _time(instant: Instant | None) -> str | None:
    return to_datetime(instant).isoformat() if instant is not None else None


def _between(start: Instant | None, end: Instant | None) -> int | None:
    return whole_seconds(end - start) if start is not None and end is not None else None
