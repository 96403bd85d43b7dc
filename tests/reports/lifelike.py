"""Call sessions, legs and recordings as a small company makes them, written to the tables as the switch does."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from trunkline.core.ids import first_id_at
from trunkline.db.partitions import ensure_for
from trunkline.db.pool import Connection, Database

EMPLOYEES = {4001: "Stone Mira", 4002: "Okafor Ben", 4003: "Lindqvist Ida"}
VIRTUAL_NUMBERS = ["442079460100", "442079460101"]
CONTACTS = ["971500000010", "971500000011", "12025550110", "442079460950"]
TAGS = {12001: "vip", 12002: "new order", 12003: "complaint"}

Values = dict[str, Any]


@dataclass
class GeneratedCall:
    """One call session with what belongs to it: column values by name."""

    session: Values
    legs: list[Values]
    recordings: list[Values]


def id_at(moment: datetime, number: int = 0) -> int:
    """A session id made at that moment."""
    return first_id_at(int(moment.timestamp() * 1000)) + number


def generate_calls(
    account_id: int, start: datetime, days: int, count: int, seed: int = 1
) -> list[GeneratedCall]:
    """``count`` calls spread over ``days``: answered, lost, out, transferred, tagged, recorded."""
    dice = random.Random(seed)
    moments = sorted(start + timedelta(seconds=dice.uniform(0, days * 86400)) for _ in range(count))
    return [_generated_call(account_id, moment, number % 100, dice) for number, moment in enumerate(moments)]


def _generated_call(account_id: int, start: datetime, number: int, dice: random.Random) -> GeneratedCall:
    session_id = id_at(start, number)
    direction = "in" if dice.random() < 0.7 else "out"
    employee_id = dice.choice(list(EMPLOYEES))
    wait, talk = dice.randrange(1, 40), dice.randrange(1, 600)
    answered = dice.random() < 0.75
    total = wait + talk if answered else wait
    finish = start + timedelta(seconds=total)
    contact = dice.choice(CONTACTS)
    number_called = dice.choice(VIRTUAL_NUMBERS)
    person = {"employee_id": employee_id, "employee_full_name": EMPLOYEES[employee_id]}
    session: Values = {
        "account_id": account_id,
        "call_session_id": session_id,
        "node": 0,
        "start_time": start,
        "finish_time": finish,
        "first_answer_time": start + timedelta(seconds=wait) if answered else None,
        "talk_start_time": start + timedelta(seconds=wait) if answered else None,
        "direction": direction,
        "source": "va" if direction == "in" else "callapi",
        "finish_reason": "caller_disconnects" if answered else "operator_not_responsive",
        "is_lost": not answered,
        "is_transfer": answered and dice.random() < 0.2,
        "virtual_phone_number": number_called,
        "contact_phone_number": contact,
        "contact_id": 13001 if contact == CONTACTS[0] else None,
        "contact_full_name": "Haddad Lena" if contact == CONTACTS[0] else None,
        "operator_phone_number": "100",
        "scenario_id": 5001 if direction == "in" else None,
        "scenario_name": "Main" if direction == "in" else None,
        "scenario_operations": Jsonb([{"id": 6001, "name": "Greeting"}] if direction == "in" else []),
        "communication_number": dice.randrange(1, 5),
        "wait_duration": wait,
        "total_wait_duration": wait,
        "talk_duration": talk if answered else 0,
        "clean_talk_duration": talk if answered else 0,
        "total_duration": total,
        "postprocess_duration": 0,
        "lost_call_processing_duration": None if answered else dice.randrange(60, 9000),
        "employees": Jsonb([{**person, "is_answered": answered, "is_talked": answered}]),
        "tags": Jsonb(_tags(dice, finish)),
        "attributes": ["lost"] if not answered else ["target", "quality"],
        "country_code": {"9": "AE", "1": "US", "4": "GB"}[contact[0]],
        "region_name": "Dubai" if contact[0] == "9" else None,
        "external_id": f"order-{number}" if direction == "out" else None,
        "api_request_id": number if direction == "out" else None,
        "properties": "call me back" if dice.random() < 0.1 else None,
        "extra": Jsonb(_visit(dice)),
    }
    if answered:
        for first in ("first_answered", "last_answered", "first_talked", "last_talked"):
            session[f"{first}_employee_id"] = employee_id
            session[f"{first}_employee_full_name"] = EMPLOYEES[employee_id]
    legs = _legs(session, wait, talk, answered, dice)
    recordings = _recordings(session, legs) if answered else []
    return GeneratedCall(session, legs, recordings)


def _tags(dice: random.Random, finish: datetime) -> list[Values]:
    return [
        {
            "tag_id": tag_id,
            "tag_name": TAGS[tag_id],
            "tag_type": "manual",
            "tag_change_time": finish.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "tag_user_id": 2001,
            "tag_user_login": "captain",
            "tag_employee_id": 4001,
            "tag_employee_full_name": EMPLOYEES[4001],
        }
        for tag_id in dice.sample(list(TAGS), dice.choice([0, 0, 1, 2]))
    ]


def _visit(dice: random.Random) -> Values:
    if dice.random() < 0.5:
        return {}
    return {
        "utm_source": dice.choice(["newsletter", "search"]),
        "site_id": dice.randrange(1, 4),
        "sale_cost": dice.choice([10, 99.5]),
        "sale_date": "2026-03-02T10:00:00Z",
        "visitor_type": dice.choice(["New", "Returned"]),
        "segments": [{"segment_id": 7, "segment_name": "Returning"}],
        "visit_other_campaign": True,
        "campaign_id": "not a number",
    }


def _legs(session: Values, wait: int, talk: int, answered: bool, dice: random.Random) -> list[Values]:
    start, finish = session["start_time"], session["finish_time"]
    contact = {
        "account_id": session["account_id"],
        "call_session_id": session["call_session_id"],
        "leg_id": session["call_session_id"] * 2 + 1,
        "start_time": start,
        "answer_time": start,
        "finish_time": finish,
        "direction": "in",
        "calling_phone_number": session["contact_phone_number"],
        "called_phone_number": session["virtual_phone_number"],
        "virtual_phone_number": session["virtual_phone_number"],
        "trunk_id": 10001,
        "is_talked": answered,
        "contact_phone_number": session["contact_phone_number"],
        "scenario_id": session["scenario_id"],
        "scenario_name": session["scenario_name"],
        "finish_reason": session["finish_reason"],
        "release_cause_code": 16,
        "duration": session["total_duration"],
        "total_duration": session["total_duration"],
    }
    operator = {
        **contact,
        "leg_id": session["call_session_id"] * 2 + 2,
        "direction": "out",
        "trunk_id": None,
        "is_operator": True,
        "is_failed": not answered,
        "answer_time": session["first_answer_time"],
        "employee_id": 4001,
        "employee_full_name": EMPLOYEES[4001],
        "employee_phone_number": "100",
        "employee_rating": dice.choice([None, 4, 5]),
        "group_id": 11001,
        "group_name": "Front desk",
        "operation_id": 6002,
        "operation_name": "Ring the desk",
        "release_cause_code": 16 if answered else 19,
        "duration": talk if answered else 0,
    }
    return [contact, operator]


def _recordings(session: Values, legs: Sequence[Values]) -> list[Values]:
    common = {
        "account_id": session["account_id"],
        "call_session_id": session["call_session_id"],
        "status": "ready",
        "wav_path": "a.wav",
        "mp3_path": "a.mp3",
        "created_at": session["finish_time"],
    }
    return [
        {**common, "recording_id": f"talk{session['call_session_id']}", "kind": "talk"},
        {**common, "recording_id": f"mail{session['call_session_id']}", "kind": "voice_mail"},
        {
            **common,
            "recording_id": f"wait{session['call_session_id']}",
            "kind": "talk",
            "status": "pending",
            "leg_id": legs[0]["leg_id"],
        },
    ]


async def store(db: Database, reported: Sequence[GeneratedCall]) -> None:
    """Write calls; partitions are made as needed."""
    async with db.connection() as connection:
        for session_id in {generated.session["call_session_id"] for generated in reported}:
            await ensure_for(connection, session_id)
        await insert(connection, "call_sessions", [generated.session for generated in reported])
        await insert(connection, "call_legs", [leg for generated in reported for leg in generated.legs])
        await insert(
            connection, "recordings", [one for generated in reported for one in generated.recordings]
        )


async def insert(connection: Connection, table: str, rows: Sequence[Values]) -> None:
    """Insert rows, each with the columns it has."""
    for row in rows:
        await connection.execute(
            sql.SQL("insert into {} ({}) values ({})").format(
                sql.Identifier(table),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join(map(sql.Placeholder, row)),
            ),
            row,
        )
