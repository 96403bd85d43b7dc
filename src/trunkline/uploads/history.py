"""Writes uploaded calls as call sessions with their legs, so that every report includes them.

A call is written once: writing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import orjson
from psycopg.types.json import Jsonb

from trunkline.calls.country import country_of
from trunkline.core.ids import EPOCH_MS, UPLOAD_NODE, first_id_at, uploaded_id
from trunkline.db.pool import Connection
from trunkline.uploads import people, rules
from trunkline.uploads.decoder import Decoded
from trunkline.uploads.model import Channel, Record, UploadedCall
from trunkline.uploads.visits import visit_behind

SOURCE = "upload_calls"

_TALKED = "success_finish"
_LOST = {"in": "no_success_operator_call", "out": "no_success_caller_call"}

_NEAR = first_id_at(EPOCH_MS + 2000)
"""The ids of two seconds."""

_SESSION_COLUMNS = """account_id, call_session_id, node, start_time, finish_time, first_answer_time, talk_start_time,
    direction, source, finish_reason, is_lost, is_transfer, virtual_number_id, virtual_phone_number,
    contact_phone_number, contact_id, contact_full_name, communication_number, wait_duration, total_wait_duration,
    talk_duration, clean_talk_duration, total_duration, postprocess_duration, employees, tags, country_code,
    first_answered_employee_id, first_answered_employee_full_name, last_answered_employee_id,
    last_answered_employee_full_name, first_talked_employee_id, first_talked_employee_full_name,
    last_talked_employee_id, last_talked_employee_full_name, extra"""

_LEG_COLUMNS = """account_id, call_session_id, leg_id, start_time, answer_time, finish_time, direction,
    calling_phone_number, called_phone_number, virtual_phone_number, is_operator, is_transfered, is_failed, is_talked,
    employee_id, employee_full_name, contact_id, contact_full_name, contact_phone_number, finish_reason, duration,
    total_duration"""

_WRITE_SESSIONS = f"""
insert into call_sessions ({_SESSION_COLUMNS}, is_internal, scenario_operations, attributes)
select {_SESSION_COLUMNS}, false, '[]', '{{}}' from jsonb_populate_recordset(null::call_sessions, %s::jsonb)
on conflict (account_id, call_session_id) do nothing returning call_session_id
"""  # noqa: S608 - consists of constants

_NUMBERS_OF_LEGS = "select nextval('uploaded_call_ids') as number from generate_series(1, %s)"

_LEG_IDS_IN_USE = f"""
select leg.leg_id from unnest(%s::bigint[]) as one(leg_id) join call_legs leg on leg.account_id = %s
    and leg.leg_id = one.leg_id and leg.call_session_id between one.leg_id - {_NEAR} and one.leg_id + {_NEAR}
"""  # noqa: S608
"""The id of a leg is of the second in which its call began, as that of the call; so the key of the table finds it."""

_WRITE_LEGS = f"""
insert into call_legs ({_LEG_COLUMNS}, is_coach)
select {_LEG_COLUMNS}, false from jsonb_populate_recordset(null::call_legs, %s::jsonb)
on conflict (account_id, call_session_id, leg_id) do nothing
"""  # noqa: S608

_WRITE_RECORDING = """
insert into recordings (account_id, recording_id, call_session_id, leg_id, kind, status, wav_path, mp3_path,
    duration_ms, size_bytes, channels, source_format, ready_at)
values (%s, %s, %s, %s, 'talk', 'ready', %s, %s, %s, %s, %s, %s, now())
on conflict (account_id, recording_id) do nothing
"""

_CONTACTS = """
select distinct on (phone_number) phone_number, contact_id, full_name
from contacts join contact_phones using (account_id, contact_id)
where account_id = %s and phone_number = any(%s) order by phone_number, contact_id
"""

_NUMBERS = """
select number.phone_number, number.virtual_number_id, (
    select block.site_id from campaign_blocks shown join site_blocks block using (account_id, site_block_id)
    where shown.account_id = number.account_id and shown.virtual_number_id = number.virtual_number_id
    order by shown.campaign_id limit 1) as site_id
from virtual_numbers number where number.account_id = %s and number.phone_number = any(%s)
"""

_COUNT = """
insert into contact_counters as c (account_id, contact_phone_number, last_number)
select %s, phone, count(*) from unnest(%s::text[]) as called(phone) group by phone order by phone
on conflict (account_id, contact_phone_number) do update set last_number = c.last_number + excluded.last_number
returning contact_phone_number, last_number
"""

_COMMENTS = """
insert into communication_comments (account_id, communication_type, communication_id, comment)
select %s, 'call', * from unnest(%s::bigint[], %s::text[])
"""

_TAGGED = """
insert into tag_history (account_id, action, tag_id, tag_name, tag_color, communication_type, communication_id, is_auto)
select tags.account_id, 'set', tags.tag_id, tags.name, tags.color, 'call', one.session_id, true
from unnest(%s::bigint[], %s::bigint[]) as one(session_id, tag_id)
    join tags on tags.account_id = %s and tags.tag_id = one.tag_id
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A recording where it stays: paths relative to the recordings' folder."""

    decoded: Decoded
    mp3: str
    wav: str | None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the calls of a batch refer to, looked up for all of them at once."""

    contacts: Mapping[str, Mapping[str, Any]]
    """By phone number."""
    numbers: Mapping[str, Mapping[str, Any]]
    """Virtual numbers and the site they are shown on, by phone number."""
    employees: Mapping[str, int]
    tags: Mapping[str, int]
    """By name, those that were named without an id."""
    communication_numbers: Mapping[int, int]
    """By session."""


async def write_calls(
    connection: Connection,
    calls: Sequence[UploadedCall],
    kept: Mapping[int, Sequence[Kept]] = MappingProxyType({}),
) -> None:
    """Write calls of one account, what they are about and their recordings, within the transaction.

    :param kept: recordings by session id, one for each record of the call.
    """
    account_id = calls[0].account_id
    known = await _look_up(connection, account_id, calls)
    calls = [replace(call, records=[_with_id(record, known) for record in call.records]) for call in calls]
    tags = {call.session_id: _tags(call, known) for call in calls}
    sessions = [await _session_row(connection, call, tags[call.session_id], known) for call in calls]
    cursor = await connection.execute(_WRITE_SESSIONS, (orjson.dumps(sessions).decode(),))
    written = {row["call_session_id"] for row in await cursor.fetchall()}
    calls = [call for call in calls if call.session_id in written]
    planned = {
        call.session_id: rules.legs(call, [one.decoded.seconds for one in kept.get(call.session_id, ())])
        for call in calls
    }
    ids = await _leg_ids(connection, account_id, [(call, len(planned[call.session_id])) for call in calls])
    legs_of = {
        call.session_id: list(zip(ids[call.session_id], planned[call.session_id], strict=True))
        for call in calls
    }
    rows = [_leg_row(call, leg_id, leg, known) for call in calls for leg_id, leg in legs_of[call.session_id]]
    await connection.execute(_WRITE_LEGS, (orjson.dumps(rows).decode(),))
    await _write_marks(connection, calls, tags)
    for call in calls:
        leg_ids = {leg.record: leg_id for leg_id, leg in legs_of[call.session_id]}
        for position, one in enumerate(kept.get(call.session_id, ())):
            await _write_recording(connection, call, call.records[position], one, leg_ids[position])


async def _leg_ids(
    connection: Connection, account_id: int, counts: Sequence[tuple[UploadedCall, int]]
) -> dict[int, list[int]]:
    """Ids for so many legs of each call, ascending, by session id. No other leg of the account has them.

    They are of the same numbers as the ids of the calls, so they differ unless their numbers are a multiple of 128 000
    apart. Such ids, and those that an earlier version gave, are not given again.
    """
    found: dict[int, list[int]] = {call.session_id: [] for call, _ in counts}
    while wanted := [call for call, count in counts for _ in range(count - len(found[call.session_id]))]:
        cursor = await connection.execute(_NUMBERS_OF_LEGS, (len(wanted),))
        drawn = [
            uploaded_id(round(call.start_time.timestamp() * 1000), row["number"])
            for call, row in zip(wanted, await cursor.fetchall(), strict=True)
        ]
        cursor = await connection.execute(_LEG_IDS_IN_USE, (drawn, account_id))
        used = {row["leg_id"] for row in await cursor.fetchall()}
        for call, leg_id in zip(wanted, drawn, strict=True):
            if leg_id not in used:
                found[call.session_id].append(leg_id)
                used.add(leg_id)
    return {session_id: sorted(ids) for session_id, ids in found.items()}


async def _look_up(connection: Connection, account_id: int, calls: Sequence[UploadedCall]) -> _Known:
    contacts = [call.contact_phone_number for call in calls if call.contact_phone_number is not None]
    ours = [call.our_phone_number for call in calls if call.our_phone_number is not None]
    people_named = {
        record.employee_name
        for call in calls
        for record in call.records
        if record.employee_name is not None and record.employee_id is None
    }
    tags_named = {str(tag["tag_name"]) for call in calls for tag in call.tags if "tag_id" not in tag}
    found = await (await connection.execute(_CONTACTS, (account_id, contacts))).fetchall()
    numbers = await (await connection.execute(_NUMBERS, (account_id, ours))).fetchall()
    return _Known(
        contacts={row["phone_number"]: row for row in found},
        numbers={row["phone_number"]: row for row in numbers},
        employees={
            name: await people.employee_named(connection, account_id, name) for name in sorted(people_named)
        },
        tags={name: await people.tag_named(connection, account_id, name) for name in sorted(tags_named)},
        communication_numbers=await _communication_numbers(connection, account_id, calls),
    )


async def _communication_numbers(
    connection: Connection, account_id: int, calls: Sequence[UploadedCall]
) -> dict[int, int]:
    """Numbers run in the order of the uploads, not of the calls' times."""
    called = [call for call in calls if call.contact_phone_number is not None]
    cursor = await connection.execute(_COUNT, (account_id, [call.contact_phone_number for call in called]))
    last = {row["contact_phone_number"]: int(row["last_number"]) for row in await cursor.fetchall()}
    numbers = {}
    for call in reversed(called):
        assert call.contact_phone_number is not None
        numbers[call.session_id] = last[call.contact_phone_number]
        last[call.contact_phone_number] -= 1
    return numbers


def _with_id(record: Record, known: _Known) -> Record:
    if record.employee_id is not None or record.employee_name is None:
        return record
    return replace(record, employee_id=known.employees[record.employee_name])


def _tags(call: UploadedCall, known: _Known) -> list[dict[str, Any]]:
    """The call's tags as the reports show them, each once."""
    found: dict[int, dict[str, Any]] = {}
    for tag in call.tags:
        name = str(tag["tag_name"])
        given = tag.get("tag_id")
        tag_id = given if isinstance(given, int) else known.tags[name]
        found[tag_id] = {
            "tag_id": tag_id,
            "tag_name": name,
            "tag_type": "auto",
            "tag_change_time": datetime.now(UTC).isoformat(),
            "tag_user_id": None,
            "tag_user_login": None,
            "tag_employee_id": None,
            "tag_employee_full_name": None,
        }
    return list(found.values())


async def _write_marks(
    connection: Connection, calls: Sequence[UploadedCall], tags: Mapping[int, Sequence[Mapping[str, Any]]]
) -> None:
    """Comments, and the tags' history."""
    account_id = calls[0].account_id if calls else 0
    commented = [call for call in calls if call.comment]
    if commented:
        ids, texts = [call.session_id for call in commented], [call.comment for call in commented]
        await connection.execute(_COMMENTS, (account_id, ids, texts))
    pairs = [(call.session_id, tag["tag_id"]) for call in calls for tag in tags[call.session_id]]
    if pairs:
        sessions, marks = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        await connection.execute(_TAGGED, (sessions, marks, account_id))


def _contact(call: UploadedCall, known: _Known) -> dict[str, Any]:
    """Who is on the other side."""
    found = known.contacts.get(call.contact_phone_number or "", {})
    return {
        "contact_id": found.get("contact_id"),
        "contact_full_name": found.get("full_name"),
        "contact_phone_number": call.contact_phone_number,
    }


async def _session_row(
    connection: Connection, call: UploadedCall, tags: list[dict[str, Any]], known: _Known
) -> dict[str, Any]:
    spent = rules.durations(call)
    answer = None if call.is_lost else call.start_time + timedelta(seconds=spent.wait)
    ours = known.numbers.get(call.our_phone_number or "", {})
    extra = await visit_behind(
        connection,
        call.account_id,
        visitor_session_id=call.visitor_session_id,
        campaign_id=call.campaign_id,
        site_id=ours.get("site_id") or call.site_id,
        source_id=call.source_id,
    )
    return {
        "account_id": call.account_id,
        "call_session_id": call.session_id,
        "node": UPLOAD_NODE,
        "start_time": call.start_time,
        "finish_time": call.finish_time,
        "first_answer_time": answer,
        "talk_start_time": answer,
        "direction": call.direction,
        "source": SOURCE,
        "finish_reason": _LOST[call.direction] if call.is_lost else _TALKED,
        "is_lost": call.is_lost,
        "is_transfer": call.is_transfer,
        "virtual_number_id": ours.get("virtual_number_id"),
        "virtual_phone_number": call.our_phone_number,
        **_contact(call, known),
        "communication_number": known.communication_numbers.get(call.session_id),
        "wait_duration": spent.wait,
        "total_wait_duration": max(spent.total - spent.talk, 0),
        "talk_duration": spent.talk,
        "clean_talk_duration": spent.talk,
        "total_duration": spent.total,
        "postprocess_duration": 0,
        "tags": tags,
        "country_code": country_of(call.contact_phone_number),
        "extra": {**extra, "ext_id": call.ext_id},
        **_employees(call),
    }


def _employees(call: UploadedCall) -> dict[str, Any]:
    took_part = {
        record.employee_id: record.employee_name for record in call.records if record.employee_id is not None
    }
    talked = not call.is_lost
    row: dict[str, Any] = {
        "employees": [
            {"employee_id": id_, "employee_full_name": name, "is_answered": talked, "is_talked": talked}
            for id_, name in took_part.items()
        ]
    }
    named = [record for record in call.records if record.employee_id is not None] if talked else []
    for place, position in (("first", 0), ("last", -1)):
        for deed in ("answered", "talked"):
            who = named[position] if named else None
            row[f"{place}_{deed}_employee_id"] = who.employee_id if who else None
            row[f"{place}_{deed}_employee_full_name"] = who.employee_name if who else None
    return row


def _leg_row(call: UploadedCall, leg_id: int, leg: rules.LegPlan, known: _Known) -> dict[str, Any]:
    record = call.records[leg.record] if leg.record is not None else None
    # The contact's leg goes the way of the call; an employee's comes from us when the call came in.
    inward = (call.direction == "in") == leg.is_contact
    return {
        "account_id": call.account_id,
        "call_session_id": call.session_id,
        "leg_id": leg_id,
        "start_time": leg.start,
        "answer_time": leg.answer,
        "finish_time": leg.finish,
        "direction": "in" if inward else "out",
        "calling_phone_number": call.calling_phone_number or None,
        "called_phone_number": (call.called_phone_number or None) if leg.is_contact else None,
        "virtual_phone_number": call.our_phone_number,
        "is_operator": not leg.is_contact,
        "is_transfered": leg.is_transfered,
        "is_failed": leg.answer is None and not (leg.is_contact and inward),
        "is_talked": leg.answer is not None,
        "employee_id": record.employee_id if record else None,
        "employee_full_name": record.employee_name if record else None,
        **_contact(call, known),
        "finish_reason": _LOST[call.direction] if leg.answer is None else _TALKED,
        "duration": leg.duration,
        "total_duration": leg.total_duration,
    }


async def _write_recording(
    connection: Connection, call: UploadedCall, record: Record, kept: Kept, leg_id: int
) -> None:
    channels = ["employee", "contact"] if record.employee_channel is Channel.LEFT else ["contact", "employee"]
    await connection.execute(
        _WRITE_RECORDING,
        (
            call.account_id,
            record.recording_id,
            call.session_id,
            leg_id,
            kept.wav,
            kept.mp3,
            kept.decoded.duration_ms,
            kept.decoded.size_bytes,
            Jsonb(channels if record.employee_channel is not None else []),
            Jsonb(kept.decoded.source),
        ),
    )
