"""Accepts uploaded calls: checks and stores them, and enqueues the jobs that process them, in one transaction.

A call is ignored when its ``ext_id`` is being worked on or was uploaded with success, and when three uploads of it have
failed; an ``ext_id`` that failed before is taken again. So a batch may be sent twice without harm.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import psycopg

from trunkline.core.errors import InvalidInput, PermissionDenied
from trunkline.core.ids import uploaded_id
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Connection, Database
from trunkline.uploads import checks, storage
from trunkline.uploads.model import MAX_FAILURES, RecordType, UploadedCall

QUEUE = "uploads"
PROCESS_CALL = "process_uploaded_call"
PROCESS_PLAIN = "process_uploaded_calls"
"""Calls without recordings, many at a time."""

SPEECH_ANALYTICS = "speech_analytics"

_LANES = 4
"""Recordings of one account processed concurrently: slow servers of one customer do not delay another's calls."""

_PLAIN_LANES = 7
"""Batches of one account processed concurrently. A prime, so that batches of any size use all of them."""

_RECORDS_MAX = 20
"""Of one call."""

_KEPT_COLUMNS = ("account_id", "uploaded_call_id", "ext_id")
"""Columns that stay when a call that failed is uploaded again."""

_REPLACED_COLUMNS = (
    *(name for name in UploadedCall.columns() if name not in _KEPT_COLUMNS),
    "ext_request_id",
    "upload_time",
    "record_type",
    "records",
    "callback",
    "status",
    "runs",
    "decoder_faults",
)

_COLUMNS = (*_KEPT_COLUMNS, *_REPLACED_COLUMNS, "failures")

_KEEP = f"""
insert into uploaded_calls ({", ".join(_COLUMNS)})
select {", ".join(_COLUMNS)} from jsonb_populate_recordset(null::uploaded_calls, %s::jsonb)
on conflict (account_id, ext_id) do update
set {", ".join(f"{name} = excluded.{name}" for name in _REPLACED_COLUMNS)}, error_code = null, error_message = null,
    settled_at = null
where uploaded_calls.status = 'error' and uploaded_calls.failures < {MAX_FAILURES}
returning uploaded_call_id, record_type
"""  # noqa: S608 - consists of constants

_NUMBERS = "select nextval('uploaded_call_ids') as number from generate_series(1, %s)"


@dataclass(frozen=True, slots=True)
class Batch:
    """A request's calls, their parameters already of the right types.

    :param request_id: ``id`` of the request.
    :param components: of the account.
    """

    account_id: int
    zone: ZoneInfo
    components: frozenset[str]
    request_id: str
    calls: Sequence[Mapping[str, Any]]
    quota: storage.Quota


async def accept_calls(db: Database, jobs: Jobs, batch: Batch) -> int:
    """Keep a batch of calls to be worked on; how many of them were new.

    :raises InvalidInput, LimitExceeded, NotFound, PermissionDenied, QuotaReached: a call that cannot be taken; nothing is
        kept then.
    """
    checks.check_amount(batch.calls, "calls")
    rows = [_row(batch, call) for call in batch.calls]
    if any(row["record_type"] == RecordType.WAV for row in rows) and SPEECH_ANALYTICS not in batch.components:
        raise PermissionDenied(
            "WAV recordings need the component of speech analytics; send mp3_records, or have it switched on",
            mnemonic="parameter_component_disabled",
            field="calls.wav_records",
            params={"components": "Speech Call Analytics"},
        )
    for attempt in itertools.count(1):
        try:
            async with db.connection() as connection:
                if any(row["records"] for row in rows):
                    await storage.check_request(connection, batch.account_id, batch.quota)
                await _check_references(connection, batch.account_id, rows)
                return await _keep(connection, jobs, batch.account_id, rows)
        except psycopg.errors.UniqueViolation:
            if attempt == 3:  # ids of sessions come from a second and a number: they hardly ever meet
                raise
    raise AssertionError


async def _keep(connection: Connection, jobs: Jobs, account_id: int, rows: Sequence[dict[str, Any]]) -> int:
    fresh: dict[str, dict[str, Any]] = {}
    for row in rows:
        fresh.setdefault(row["ext_id"], row)
    numbers = await (await connection.execute(_NUMBERS, (len(fresh),))).fetchall()
    for row, counted in zip(fresh.values(), numbers, strict=True):
        row["uploaded_call_id"] = counted["number"]
        row["session_id"] = uploaded_id(round(row["start_time"].timestamp() * 1000), counted["number"])
    cursor = await connection.execute(_KEEP, (orjson.dumps(list(fresh.values())).decode(),))
    kept = await cursor.fetchall()
    plain = [row["uploaded_call_id"] for row in kept if row["record_type"] is None]
    if plain:
        await jobs.enqueue(
            connection,
            PROCESS_PLAIN,
            {"account_id": account_id, "uploaded_call_ids": plain},
            queue=QUEUE,
            lock=f"uploads:{account_id}:plain:{plain[0] % _PLAIN_LANES}",
        )
    for row in kept:
        if row["record_type"] is not None:
            await enqueue(connection, jobs, account_id, row["uploaded_call_id"])
    return len(kept)


async def enqueue(connection: Connection, jobs: Jobs, account_id: int, uploaded_call_id: int) -> None:
    """Enqueue the job that processes one call."""
    await jobs.enqueue(
        connection,
        PROCESS_CALL,
        {"account_id": account_id, "uploaded_call_id": uploaded_call_id},
        queue=QUEUE,
        lock=f"uploads:{account_id}:{uploaded_call_id % _LANES}",
    )


def _row(batch: Batch, call: Mapping[str, Any]) -> dict[str, Any]:
    """A call as it is kept, but for its numbers."""
    start = checks.instant(call["start_time"], batch.zone, "calls.start_time")
    finish = checks.instant(call["finish_time"], batch.zone, "calls.finish_time")
    if finish < start:
        raise checks.wrong_time("finish_time is before start_time", "calls.finish_time", call["finish_time"])
    checks.not_in_future(finish, "calls.finish_time", call["finish_time"])
    direction = call.get("direction", "in")
    calling, called = _numbers(call, direction)
    kind, records = _records(call)
    callback = call.get("callback")
    if callback is not None:
        checks.url(callback["url"], "calls.callback.url", "http", "https")
    return {
        "account_id": batch.account_id,
        "ext_id": call["ext_id"],
        "ext_request_id": batch.request_id,
        "upload_time": datetime.now(start.tzinfo),
        "direction": direction,
        "calling_phone_number": calling,
        "called_phone_number": called,
        "start_time": start,
        "finish_time": finish,
        "is_lost": call["is_lost"],
        "is_transfer": call.get("is_transfer", False),
        "wait_duration": call.get("wait_duration"),
        "talk_duration": call.get("talk_duration"),
        "visitor_session_id": call.get("visitor_session_id"),
        "campaign_id": call.get("campaign_id"),
        "source_id": call.get("source_id"),
        "site_id": call.get("site_id"),
        "comment": call.get("comment"),
        "tags": [dict(tag) for tag in call.get("tags", [])],
        "record_type": kind,
        "records": records,
        "callback": {} if callback is None else {"url": callback["url"], "events": callback["events"]},
        "status": "new",
        "runs": 0,
        "decoder_faults": 0,
        "failures": 0,
    }


def _numbers(call: Mapping[str, Any], direction: str) -> tuple[str, str]:
    """Both numbers as digits. The one that the reference lets be empty may be."""
    found = []
    for name, free_way in (("calling_phone_number", "in"), ("called_phone_number", "out")):
        text = call[name].strip()
        if not text and direction == free_way:
            found.append("")
        else:
            found.append(checks.phone(text, f"calls.{name}"))
    return found[0], found[1]


def _records(call: Mapping[str, Any]) -> tuple[RecordType | None, list[dict[str, Any]]]:
    wav, mp3 = call.get("wav_records") or [], call.get("mp3_records") or []
    if wav and mp3:
        raise checks.combination("send wav_records or mp3_records, not both", "calls.mp3_records")
    kind = RecordType.WAV if wav else RecordType.MP3 if mp3 else None
    field = f"calls.{kind}_records"
    if wav or mp3:
        checks.check_amount(wav or mp3, field, _RECORDS_MAX)
    schemes = ("https",) if kind is RecordType.WAV else ("https", "http")
    return kind, [
        {
            "employee_id": record.get("employee_id"),
            "employee_name": _name(record.get("employee_name"), f"{field}.employee_name"),
            "employee_channel": record.get("employee_channel"),
            "record_url": checks.url(record["record_url"], f"{field}.record_url", *schemes),
            "recording_id": secrets.token_hex(32),
        }
        for record in (wav or mp3)
    ]


def _name(text: str | None, field: str) -> str | None:
    if text is None:
        return None
    name = " ".join(text.split())
    if not name or len(name) > 255:
        raise InvalidInput(f"{field}: send a name of at most 255 characters", field=field, value=text)
    return name


async def _check_references(connection: Connection, account_id: int, rows: Sequence[dict[str, Any]]) -> None:
    """That what the calls refer to exists; employees and tags named by their ids get their names."""
    visits = [("calls.visitor_session_id", row["visitor_session_id"]) for row in rows]
    await checks.existing(connection, account_id, "visitor_session", visits)
    for kind in ("campaign", "site"):
        name = f"{kind}_id"  # does not count where the visit is known
        sent = [(f"calls.{name}", row[name]) for row in rows if row["visitor_session_id"] is None]
        await checks.existing(connection, account_id, kind, sent)
    records = [(f"calls.{row['record_type']}_records", record) for row in rows for record in row["records"]]
    employees = await checks.existing(
        connection,
        account_id,
        "employee",
        [(f"{field}.employee_id", record["employee_id"]) for field, record in records],
    )
    for _, record in records:
        if record["employee_id"] is not None:
            record["employee_name"] = employees[record["employee_id"]]["name"]
    await _check_tags(connection, account_id, [tag for row in rows for tag in row["tags"]])


async def _check_tags(connection: Connection, account_id: int, tags: Sequence[dict[str, Any]]) -> None:
    known = await checks.existing(
        connection, account_id, "tag", [("calls.tags.tag_id", tag.get("tag_id")) for tag in tags]
    )
    cursor = await connection.execute(
        "select name from tags where account_id = %s and is_system and name = any(%s)",
        (account_id, [tag["tag_name"] for tag in tags if "tag_id" not in tag]),
    )
    system = {row["name"] for row in await cursor.fetchall()}
    for tag in tags:
        row = known.get(tag.get("tag_id"))  # type: ignore[arg-type]
        if row["is_system"] if row else tag["tag_name"] in system:
            name = "tag_id" if row else "tag_name"
            raise InvalidInput(
                "a sale is recorded with set.tag_sales", field=f"calls.tags.{name}", value=tag.get(name)
            )
        if row:
            tag["tag_name"] = row["name"]
