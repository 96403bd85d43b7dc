"""Calls of the company, some of them with hostile names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb

from tests.console.conftest import Office
from tests.reports.lifelike import EMPLOYEES, GeneratedCall, generate_calls, id_at, insert, store

ZONE = ZoneInfo("Asia/Dubai")
SCRIPT = '<script>alert("x")</script>"\'><img src=x onerror=alert(1)>'


def noon(days_ago: int = 1) -> datetime:
    """12 o'clock of a day before today, by the company's clock."""
    today = datetime.now(ZONE).replace(hour=12, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days_ago)


async def add_employees(office: Office) -> None:
    async with office.db.connection() as connection:
        for employee_id, name in EMPLOYEES.items():
            await insert(
                connection,
                "employees",
                [
                    {
                        "account_id": office.account_id,
                        "employee_id": employee_id,
                        "last_name": name,
                        "key": str(employee_id),
                    }
                ],
            )


async def add_calls(
    office: Office, start: datetime, *, count: int = 60, hours: float = 6
) -> list[GeneratedCall]:
    """Calls from ``start`` on."""
    made = generate_calls(office.account_id, start.astimezone(UTC), 1, count)
    step = timedelta(hours=hours) / count
    for place, one in enumerate(made):
        moved = start.astimezone(UTC) + step * place
        _move(one, moved, place)
    await store(office.db, made)
    return made


async def add_call(office: Office, moment: datetime, number: int = 0, **changes: Any) -> int:
    """One call with these values; its id."""
    [made] = generate_calls(office.account_id, moment.astimezone(UTC), 1, 1)
    _move(made, moment.astimezone(UTC), number)
    for name, value in changes.items():
        made.session[name] = Jsonb(value) if isinstance(value, list) and name != "attributes" else value
    if made.session["is_lost"]:
        made.recordings.clear()
    await store(office.db, [made])
    return int(made.session["call_session_id"])


async def add_events(
    office: Office, call_id: int, events: list[tuple[datetime, str, dict[str, Any]]]
) -> None:
    """The events of a call."""
    async with office.db.connection() as connection:
        for seq, (at, kind, data) in enumerate(events, 1):
            await insert(
                connection,
                "call_events",
                [
                    {
                        "account_id": office.account_id,
                        "call_session_id": call_id,
                        "seq": seq,
                        "type": kind,
                        "occurred_at": at,
                        "data": Jsonb(data),
                    }
                ],
            )


def _move(made: GeneratedCall, start: datetime, number: int) -> None:
    before, call_id = made.session["start_time"], id_at(start, number)
    for row in (made.session, *made.legs, *made.recordings):
        row["call_session_id"] = call_id
        for name, value in row.items():
            if isinstance(value, datetime):
                row[name] = value - before + start
        if "leg_id" in row:
            row["leg_id"] = call_id * 2 + 1 + bool(row.get("is_operator"))
        if "recording_id" in row:
            row["recording_id"] = f"{row['recording_id'][:4]}{call_id}"
    made.session["account_id"] = made.session["account_id"]
