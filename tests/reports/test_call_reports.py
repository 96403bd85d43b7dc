"""Call sessions and legs as reports: periods, figures, recordings, links, descriptions, isolation."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg import sql

from tests.reports.lifelike import CONTACTS, EMPLOYEES, GeneratedCall, generate_calls, id_at, insert, store
from trunkline.db.partitions import ensure_for
from trunkline.db.pool import Database
from trunkline.db.query import Page, compile_request, parse_request
from trunkline.reports.calls import CALLS, calls_report
from trunkline.reports.causes import CAUSE_DESCRIPTIONS
from trunkline.reports.legs import LEGS, call_legs_report
from trunkline.reports.period import condition, parse_period
from trunkline.reports.reader import Reader
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS

ACCOUNT = 1001
DUBAI = ZoneInfo("Asia/Dubai")
BERLIN = ZoneInfo("Europe/Berlin")
MARCH = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-31 23:59:59"}


@pytest.fixture
async def reader(database: str) -> AsyncIterator[Reader]:
    async with await Database.open(database) as db:
        yield Reader(db, ACCOUNT, DUBAI, "https://pbx.example.com")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rows_of(page: Page) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(page.rows)
    assert page.count == len(rows)
    return rows


async def calls(reader: Reader, *fields: str, **params: Any) -> list[dict[str, Any]]:
    return rows_of(await calls_report(reader, {**MARCH, "fields": list(fields), **params}))


async def legs(reader: Reader, *fields: str, **params: Any) -> list[dict[str, Any]]:
    return rows_of(await call_legs_report(reader, {**MARCH, "fields": list(fields), **params}))


async def one_call(reader: Reader, start: datetime, **changes: Any) -> GeneratedCall:
    """Store one answered call that started then."""
    generated = next(s for s in generate_calls(ACCOUNT, start, 0, 50) if not s.session["is_lost"])
    generated.session.update(changes)
    await store(reader.database, [generated])
    return generated


async def test_a_call_as_it_is_shown(reader: Reader) -> None:
    reported = generate_calls(ACCOUNT, at("2026-03-05T08:00:00.700"), 0, 30)
    generated = next(
        s for s in reported if s.recordings and json_of(s.session["tags"]) and s.session["direction"] == "in"
    )
    generated.session["contact_phone_number"], generated.session["country_code"] = CONTACTS[0], "AE"
    await store(reader.database, [generated])
    [row] = await calls(reader, *CALLS.by_name)
    session, session_id = generated.session, generated.session["call_session_id"]
    expected = {
        "id": session_id,
        "call_session_id": session_id,
        "communication_id": session_id,
        "communication_type": "call",
        "start_time": "2026-03-05 12:00:00",
        "finish_time": (session["finish_time"] + timedelta(hours=4)).strftime("%Y-%m-%d %H:%M:%S"),
        "cpn_country_id": "AE",
        "cpn_country_name": "United Arab Emirates",
        "call_records": [f"talk{session_id}"],
        "wav_call_records": [f"talk{session_id}"],
        "voice_mail_records": [f"mail{session_id}"],
        "full_record_file_link": f"https://pbx.example.com/media/{session_id}/talk{session_id}",
        "attributes": session["attributes"],
        "employees": json_of(session["employees"]),
        "employee_id": session["last_talked_employee_id"],
        "campaign_id": None,
    }
    assert {name: row[name] for name in expected} == expected
    for name in (
        "wait_duration",
        "talk_duration",
        "total_duration",
        "is_lost",
        "finish_reason",
        "direction",
        "source",
    ):
        assert row[name] == session[name]
    for shown, stored in zip(row["tags"], json_of(session["tags"]), strict=True):
        assert set(shown) == {column.name for column in CALLS.by_name["tags"].nested}
        assert shown["tag_change_time"] == row["finish_time"]
        assert shown["tag_name"] == stored["tag_name"]


def json_of(value: Any) -> Any:
    return value.obj


@pytest.mark.parametrize(
    ("zone", "start", "shown"),
    [
        (DUBAI, "2026-02-28T20:00:00.999", "2026-03-01 00:00:00"),
        (BERLIN, "2026-03-29T00:59:59.999", "2026-03-29 01:59:59"),
        (BERLIN, "2026-03-29T01:00:00", "2026-03-29 03:00:00"),
        (BERLIN, "2026-10-25T00:30:00", "2026-10-25 02:30:00"),
        (BERLIN, "2026-10-25T01:30:00", "2026-10-25 02:30:00"),
    ],
)
async def test_a_call_is_found_in_its_own_second(
    reader: Reader, zone: ZoneInfo, start: str, shown: str
) -> None:
    await one_call(reader, at(start))
    local = dataclasses.replace(reader, zone=zone)
    second = {"date_from": shown, "date_till": shown}
    assert await calls(local, "start_time", **second) == [{"start_time": shown}]
    assert len(await legs(local, "id", **second)) == 2


async def test_seconds_beside_a_call_do_not_show_it(reader: Reader) -> None:
    await one_call(reader, at("2026-03-05T08:00:00.500"))
    before = {"date_from": "2026-03-05 11:00:00", "date_till": "2026-03-05 11:59:59"}
    after = {"date_from": "2026-03-05 12:00:01", "date_till": "2026-03-05 13:00:00"}
    for beside in (before, after):
        assert await calls(reader, "id", **beside) == []
        assert await legs(reader, "id", **beside) == []


async def test_calls_that_still_live(reader: Reader) -> None:
    await one_call(
        reader, at("2026-03-05T08:00:00"), finish_time=None, total_duration=None, finish_reason=None
    )
    assert await calls(reader, "id") == []
    assert await calls(reader, "id", include_ongoing_calls=False) == []
    [row] = await calls(reader, "finish_time", "total_duration", include_ongoing_calls=True)
    assert row == {"finish_time": None, "total_duration": None}


async def test_the_oldest_comes_first_unless_asked(reader: Reader) -> None:
    await store(reader.database, generate_calls(ACCOUNT, at("2026-03-02T00:00:00"), 5, 20))
    times = [row["start_time"] for row in await calls(reader, "start_time")]
    assert times == sorted(times)
    newest = await calls(reader, "start_time", sort=[{"field": "start_time", "order": "desc"}], limit=3)
    assert [row["start_time"] for row in newest] == times[:-4:-1]


async def test_totals_of_sessions_and_legs_agree(reader: Reader) -> None:
    reported = generate_calls(ACCOUNT, at("2026-03-02T00:00:00"), 20, 60)
    await store(reader.database, reported)
    sessions = await calls(reader, "id", "talk_duration", "is_lost", "total_duration")
    operators = await legs(
        reader,
        "call_session_id",
        "duration",
        "is_failed",
        filter={"field": "is_operator", "operator": "=", "value": True},
    )
    contacts = await legs(
        reader, "total_duration", filter={"field": "is_operator", "operator": "!=", "value": True}
    )
    assert len(sessions) == len(operators) == len(contacts) == len(reported)
    assert sum(row["talk_duration"] for row in sessions) == sum(row["duration"] for row in operators)
    assert sum(row["total_duration"] for row in sessions) == sum(row["total_duration"] for row in contacts)
    assert {row["id"] for row in sessions if row["is_lost"]} == {
        row["call_session_id"] for row in operators if row["is_failed"]
    }
    assert sum(row["talk_duration"] for row in sessions) == sum(
        generated.session["talk_duration"] for generated in reported
    )


async def test_filters_of_the_reference(reader: Reader) -> None:
    reported = generate_calls(ACCOUNT, at("2026-03-02T00:00:00"), 20, 40)
    await store(reader.database, reported)

    async def found(field: str, operator: str, value: Any) -> set[int]:
        filter = {"field": field, "operator": operator, "value": value}
        return {row["id"] for row in await calls(reader, "id", filter=filter)}

    def reported_by(employee_id: int) -> set[int]:
        return {
            s.session["call_session_id"]
            for s in reported
            if json_of(s.session["employees"])[0]["employee_id"] == employee_id
        }

    assert await found("employee_id", "=", 4002) == reported_by(4002)
    assert await found("employee_id", "in", [4001, "4003"]) == reported_by(4001) | reported_by(4003)
    assert await found("employee_full_name", "like", "Lind%") == reported_by(4003)
    assert await found("employees", "=", EMPLOYEES[4001]) == reported_by(4001)
    assert await found("employees", "jsquery", "#(employee_id = 4002 AND is_talked = true)") == {
        s.session["call_session_id"] for s in reported if s.session.get("last_talked_employee_id") == 4002
    }
    tagged = {
        s.session["call_session_id"]
        for s in reported
        if any(t["tag_name"] == "vip" for t in json_of(s.session["tags"]))
    }
    assert tagged
    assert await found("tags", "=", "vip") == await found("tags", "=", 12001) == tagged
    one = reported[7].session["call_session_id"]
    assert await found("call_session_id", "=", str(one)) == {one}


async def test_legs_as_they_are_shown(reader: Reader) -> None:
    generated = await one_call(reader, at("2026-03-05T08:00:00"))
    session_id = generated.session["call_session_id"]
    contact, operator = await legs(reader, *LEGS.by_name)
    assert contact["call_records"] == []
    assert operator["call_records"] == [f"talk{session_id}"]
    assert operator["connect_time"] > operator["start_time"]
    assert (operator["action_id"], operator["action_name"]) == (6002, "Ring the desk")
    assert (operator["group_id"], operator["group_name"]) == (11001, "Front desk")
    assert operator["release_cause_description"] == CAUSE_DESCRIPTIONS["16"]
    assert operator["finish_reason_description"] == REASON_DESCRIPTIONS[operator["finish_reason"]]
    assert (contact["called_phone_number"], contact["is_operator"], contact["is_failed"]) == (
        generated.session["virtual_phone_number"],
        False,
        False,
    )
    text = REASON_DESCRIPTIONS["caller_disconnects"]
    described = {"field": "finish_reason_description", "operator": "=", "value": text}
    assert len(await legs(reader, "id", filter=described)) == 2


async def test_another_account_sees_nothing(reader: Reader) -> None:
    await one_call(reader, at("2026-03-05T08:00:00"))
    stranger = dataclasses.replace(reader, account_id=1002)
    assert await calls(stranger, "id") == []
    assert await legs(stranger, "id") == []


async def test_a_recording_of_another_account_is_not_linked(reader: Reader) -> None:
    generated = await one_call(reader, at("2026-03-05T08:00:00"))
    async with reader.database.connection() as connection:
        await connection.execute("delete from recordings where account_id = %s", (ACCOUNT,))
        foreign = {**generated.recordings[0], "account_id": 1002}
        await insert(connection, "recordings", [foreign])
    [row] = await calls(reader, "call_records", "full_record_file_link")
    assert row == {"call_records": [], "full_record_file_link": None}


async def test_only_partitions_of_the_period_are_read(reader: Reader) -> None:
    asked = {"date_from": "2026-03-10 00:00:00", "date_till": "2026-03-20 00:00:00"}
    query = compile_request(
        CALLS,
        parse_request({}, CALLS, DUBAI),
        account_id=ACCOUNT,
        time_zone=DUBAI.key,
        where=condition("s"),
        params={**parse_period(asked, DUBAI).params, "public_url": "", "include_ongoing": False},
    )
    async with reader.database.connection() as connection:
        for month in range(1, 13):
            await ensure_for(connection, id_at(datetime(2026, month, 15, tzinfo=UTC)))
        explain = sql.SQL("explain ") + query.count
        cursor = await connection.execute(explain, query.params)
        plan = "\n".join(str(row["QUERY PLAN"]) for row in await cursor.fetchall())
    assert "call_sessions_2026_03" in plan
    assert plan.count("call_sessions_2026_") == plan.count("call_sessions_2026_03")
