"""The calls that were made are in every report, with the same figures."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.stage import Stage, period
from trunkline.testing.outside import Answer, busy

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("stage"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the stage, maybe on a busy machine
]

ANNA = "97140000200"
ROUNDING = 1
"""Seconds; durations are rounded one by one."""
CHARGED_WITHIN = 30.0
"""Seconds after the end of a call, on a busy machine."""

Row = dict[str, Any]


async def rows(stage: Stage, method: str, **params: Any) -> list[Row]:
    """All rows of a report of calls, of the last hours."""
    result = await stage.installation.data_api(stage.account, method, **period(), limit=10_000, **params)
    return list(result["data"])


async def give_plan(stage: Stage, account: str, folder: Path) -> None:
    """Calls in cost a connection of 0.05 and 0.30 a minute from now on."""
    file = folder / "tariffs.yaml"
    prices = "{from: 2026-01-01, currency: USD, connection_fee: 0.05, in: {any: 0.30}}"
    file.write_text(f"plans: {{standard: {{name: Standard, prices: [{prices}]}}}}")
    await stage.installation.run("tariff", "apply", str(file), "--yes")
    await stage.installation.run("tariff", "assign", "standard", "--account", account)


async def two_calls(stage: Stage) -> Row:
    """One with a talk of two seconds, one lost. The row of the first."""
    before = await stage.last_id()
    customer = await stage.customer()
    stage.anna.on_call(Answer(after=0.5))
    call = await customer.dial(ANNA)
    phone = await stage.anna.next_call()
    await phone.answered()
    await asyncio.sleep(2)
    await call.hangup()
    await asyncio.gather(call.ended(), phone.ended())
    talk = await stage.row(before)
    stage.anna.on_call(busy())
    lost = await customer.dial(ANNA)
    await lost.ended()
    await stage.row(before, expected=2)
    return talk


async def test_every_report_tells_of_the_same_calls(stage: Stage, tmp_path: Path) -> None:
    account = str(stage.account.account_id)
    await give_plan(stage, account, tmp_path)
    talk = await two_calls(stage)
    await stage.installation.run("account", "component", "call_tracking", "on", "--account", account)

    fields = [
        "id", "start_time", "direction", "is_lost", "finish_reason", "contact_phone_number", "source",
        "total_duration", "talk_duration", "clean_talk_duration", "communication_number", "call_records",
    ]  # fmt: skip
    calls = {row["id"]: row for row in await rows(stage, "get.calls_report", fields=fields)}
    assert {True, False} <= {row["is_lost"] for row in calls.values()}

    for method in ("get.calls", "get.mgf_calls"):
        flat = {int(row["communication_id"]): row for row in await rows(stage, method, report_id=1)}
        assert {number: figures(row) for number, row in flat.items()} == {
            number: {
                name: calls[number][name]
                for name in (
                    "direction",
                    "is_lost",
                    "finish_reason",
                    "source",
                    "total_duration",
                    "talk_duration",
                )
            }
            for number in calls
        }

    listed = await rows(
        stage, "get.communications_report", fields=["id", "date_time", "communication_number"]
    )
    assert {row["id"]: (row["date_time"], row["communication_number"]) for row in listed} == {
        number: (row["start_time"], row["communication_number"]) for number, row in calls.items()
    }
    everything = await rows(
        stage,
        "get.communications",
        report_id=1,
        report_type="calls",
        filters=[{"field": "communication_type", "operator": "=", "value": "call"}],
        fields=["communication_id", "total_duration", "contact_phone_number"],
    )
    assert {
        int(row["communication_id"]): (row["total_duration"], row["contact_phone_number"])
        for row in everything
    } == {number: (row["total_duration"], row["contact_phone_number"]) for number, row in calls.items()}

    await check_legs(stage, calls, talk["id"])
    await check_money(stage, talk["id"])


async def check_money(stage: Stage, priced: int) -> None:
    """Every leg of an own call is in the financial report with its length, and of ``priced`` the contact's costs."""
    fields = ["id", "call_session_id", "duration", "start_time", "direction", "is_operator"]
    legs = {leg["id"]: leg for leg in await rows(stage, "get.call_legs_report", fields=fields)}
    own = [leg for leg in legs.values() if leg["call_session_id"] >= priced]
    deadline = time.monotonic() + CHARGED_WITHIN
    while True:
        charges = {row["leg_id"]: row for row in await rows(stage, "get.financial_call_legs_report")}
        if set(charges) >= {leg["id"] for leg in own} or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.2)
    for leg in own:
        row = charges[leg["id"]]
        assert (row["duration"], row["start_time"], row["direction"]) == (
            leg["duration"] or 0,
            leg["start_time"],
            leg["direction"],
        )
        assert row["call_session_id"] == leg["call_session_id"]
        if leg["call_session_id"] == priced and not leg["is_operator"]:
            assert row["chargeable_duration"] == 60
            assert row["total_charge"] == 0.35
        elif leg["is_operator"]:
            assert row["total_charge"] == 0


def figures(row: Row) -> Row:
    """A row of the flat family in the words of ``get.calls_report``."""
    return {
        "direction": row["call_direction"]["value_id"],
        "is_lost": row["call_status"]["value_id"] == "lost",
        "finish_reason": row["call_finish_reason"]["value_id"],
        "source": row["call_type"]["value_id"],
        "total_duration": seconds(row["call_total_duration"]),
        "talk_duration": seconds(row["call_talk_duration"]),
    }


def seconds(shown: str) -> int:
    """Seconds of ``hh:mm:ss``."""
    hours, minutes, rest = (int(part) for part in shown.split(":"))
    return hours * 3600 + minutes * 60 + rest


async def check_legs(stage: Stage, calls: dict[int, Row], simple: int) -> None:
    """Sums of legs and sessions agree, and so does every report that lists legs.

    :param simple: the call with one talk, as long as its operator's leg.
    """
    fields = ["id", "call_session_id", "duration", "total_duration", "is_operator", "is_talked"]
    listed = await rows(stage, "get.call_legs_report", fields=fields)
    legs = [leg for leg in listed if leg["call_session_id"] in calls]
    details = await rows(stage, "get.calls", report_id=1, fields=["communication_id", "cdrs"])
    assert sorted(int(leg["id"]) for row in details for leg in row["cdrs"]) == sorted(
        leg["id"] for leg in legs
    )
    for number, call in calls.items():
        own = [leg for leg in legs if leg["call_session_id"] == number]
        talked = [leg["duration"] for leg in own if leg["is_operator"] and leg["is_talked"]]
        assert max(leg["total_duration"] for leg in own) <= call["total_duration"] + ROUNDING
        assert call["is_lost"] is not bool(talked)
        assert call["clean_talk_duration"] <= sum(talked) + ROUNDING * len(talked)
        if number == simple:
            assert abs(sum(talked) - call["talk_duration"]) <= ROUNDING
            [contact] = [leg for leg in own if not leg["is_operator"]]
            assert abs(contact["total_duration"] - call["total_duration"]) <= ROUNDING
