"""The calls that were made are in every report, with the same figures."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.engine.setup import ZONE, Setup, period
from trunkline.demo.outside import Answer, busy

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup of reports"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

ANNA, CHAIN = "97140000200", "97140000209"
ROUNDING = 1
"""Seconds; durations are rounded one by one."""
CHARGED_WITHIN = 30.0
"""Seconds after the end of a call, on a busy machine."""

Row = dict[str, Any]


async def rows(setup: Setup, method: str, **params: Any) -> list[Row]:
    """All rows of a report of calls, of the last hours."""
    result = await setup.installation.data_api(setup.account, method, **period(), limit=10_000, **params)
    return list(result["data"])


async def give_plan(setup: Setup, account: str, folder: Path) -> None:
    """Calls in cost a connection of 0.05 and 0.30 a minute from now on."""
    file = folder / "tariffs.yaml"
    prices = "{from: 2026-01-01, currency: USD, connection_fee: 0.05, in: {any: 0.30}}"
    file.write_text(f"plans: {{standard: {{name: Standard, prices: [{prices}]}}}}")
    await setup.installation.run("tariff", "apply", str(file), "--yes")
    await setup.installation.run("tariff", "assign", "standard", "--account", account)


async def two_calls(setup: Setup) -> Row:
    """One with a talk of two seconds, one lost. The row of the first."""
    before = await setup.last_id()
    customer = await setup.customer()
    setup.anna.on_call(Answer(after=0.5))
    call = await customer.dial(ANNA)
    phone = await setup.anna.next_call()
    await phone.answered()
    await asyncio.sleep(2)
    await call.hangup()
    await asyncio.gather(call.ended(), phone.ended())
    talk = await setup.row(before)
    setup.anna.on_call(busy())
    lost = await customer.dial(ANNA)
    await lost.ended()
    await setup.row(before, expected=2)
    return talk


async def others(setup: Setup) -> None:
    """A call out of a line, one between lines, and one that rings two colleagues in turn and talks to the second."""
    customer = await setup.customer()
    customer.on_call(Answer())
    setup.boris.on_call(Answer())
    for dial, taker in (
        (setup.anna.dial(customer.name), customer),
        (setup.anna.dial("202"), setup.boris),
        (customer.dial(CHAIN), setup.boris),
    ):
        before = await setup.last_id()
        setup.anna.on_call(busy())
        calling = await dial
        taken = await taker.next_call()
        await taken.answered()
        await asyncio.sleep(1)
        await calling.hangup()
        await asyncio.gather(calling.ended(), taken.ended())
        await setup.row(before)


async def test_every_report_shows_of_the_same_calls(setup: Setup, tmp_path: Path) -> None:
    account = str(setup.account.account_id)
    await give_plan(setup, account, tmp_path)
    talk = await two_calls(setup)
    await others(setup)
    await setup.settled()
    await setup.installation.run("account", "component", "call_tracking", "on", "--account", account)

    fields = [
        "id", "start_time", "direction", "is_lost", "finish_reason", "contact_phone_number", "source",
        "total_duration", "talk_duration", "clean_talk_duration", "communication_number", "call_records",
        "employees", "site_id", "virtual_phone_number", "tags",
    ]  # fmt: skip
    calls = {row["id"]: row for row in await rows(setup, "get.calls_report", fields=fields)}
    assert {True, False} <= {row["is_lost"] for row in calls.values()}

    for method in ("get.calls", "get.mgf_calls"):
        flat = {int(row["communication_id"]): row for row in await rows(setup, method, report_id=1)}
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

    details = await rows(setup, "get.call_details", report_id=1, entity_ids=list(calls))
    assert {int(row["communication_id"]): detail(row) for row in details} == {
        number: (
            call["direction"],
            call["is_lost"],
            call["finish_reason"],
            call["total_duration"],
            call["virtual_phone_number"],
            sorted(call["call_records"]),
            sorted(tag["tag_name"] for tag in call["tags"]),
        )
        for number, call in calls.items()
    }

    listed = await rows(
        setup, "get.communications_report", fields=["id", "date_time", "communication_number"]
    )
    assert {row["id"]: (row["date_time"], row["communication_number"]) for row in listed} == {
        number: (row["start_time"], row["communication_number"]) for number, row in calls.items()
    }
    everything = await rows(
        setup,
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

    await check_totals(setup, calls)
    await check_people(setup, calls)
    await check_sites(setup, calls)
    await check_notifications(setup, calls)
    await check_legs(setup, calls, talk["id"])
    await check_money(setup, calls, talk["id"])


def detail(row: Row) -> tuple[Any, ...]:
    """A row of ``get.call_details`` in the words of ``get.calls_report``."""
    return (
        row["call_direction"]["value_id"],
        row["call_status"]["value_id"] == "lost",
        row["call_finish_reason"]["value_id"],
        seconds(row["call_total_duration"]),
        row["virtual_phone_number"],
        sorted(one["id"] for one in row["call_records"]),
        sorted(tag["name"] for tag in row["tags"]["items"]),
    )


async def check_totals(setup: Setup, calls: dict[int, Row]) -> None:
    """How many there are is the same for all, counted without any row."""
    only_calls = {"field": "communication_type", "operator": "=", "value": "call"}
    for method, params in (
        ("get.calls_report", {}),
        ("get.communications_report", {"filter": only_calls}),
        ("get.calls", {"report_id": 1}),
        ("get.mgf_calls", {"report_id": 1}),
        ("get.communications", {"report_id": 1, "report_type": "calls", "filters": [only_calls]}),
    ):
        asked = {**period(), **params, "limit": 0}
        answer = await setup.installation.data_api(setup.account, method, **asked)
        assert answer["metadata"]["total_items"] == len(calls), method


async def check_people(setup: Setup, calls: dict[int, Row]) -> None:
    """Participants are found by number in calls and legs, and in the flat family by name."""
    took_part: dict[int, set[int]] = {}
    names: dict[int, str] = {}
    for number, call in calls.items():
        for one in call["employees"] or ():
            took_part.setdefault(one["employee_id"], set()).add(number)
            names[one["employee_id"]] = one["employee_full_name"]
    assert len(took_part) >= 2
    flat = await rows(setup, "get.calls", report_id=1, fields=["communication_id", "employees"])
    for employee, numbers in took_part.items():
        by = {"field": "employee_id", "operator": "=", "value": employee}
        found = await rows(setup, "get.calls_report", fields=["id"], filter=by)
        assert {row["id"] for row in found} == numbers
        legs = await rows(setup, "get.call_legs_report", fields=["call_session_id"], filter=by)
        assert {leg["call_session_id"] for leg in legs} & calls.keys() == numbers
        assert {
            int(row["communication_id"])
            for row in flat
            if names[employee] in [one["employee_full_name"] for one in row["employees"] or ()]
        } == numbers


async def check_sites(setup: Setup, calls: dict[int, Row]) -> None:
    """The days of a site's campaigns count its calls: those of ``get.calls_report``, each once."""
    for site in (await setup.installation.data_api(setup.account, "get.sites"))["data"]:
        result = await setup.installation.data_api(
            setup.account,
            "get.campaign_daily_stat",
            **period(),
            site_id=site["id"],
            fields=["calls_count", "communications"],
        )
        listed = [one["communication_id"] for day in result for one in day["communications"] or ()]
        assert sorted(listed) == sorted(
            number for number, call in calls.items() if call["site_id"] == site["id"]
        )
        assert sum(day["calls_count"] for day in result) == len(listed)


async def check_notifications(setup: Setup, calls: dict[int, Row]) -> None:
    """Each call has one delivery of its end; each lost incoming call one of the loss."""
    reported = await rows(setup, "get.notifications", report_id=1)
    events: dict[str, list[int]] = {}
    for row in reported:
        if row["communication_id"] is not None and row["notification_name"] == "Everything":
            events.setdefault(row["event_type"]["value_id"], []).append(int(row["communication_id"]))
    assert sorted(events["call_session_finished"]) == sorted(calls)
    lost = {number for number, call in calls.items() if call["is_lost"] and call["direction"] == "in"}
    assert lost <= set(events["lost_call"]) <= {number for number, call in calls.items() if call["is_lost"]}


async def check_money(setup: Setup, calls: dict[int, Row], priced: int) -> None:
    """Every leg of an own call is in the financial report with its length, and of ``priced`` the contact's costs; the
    statement of the month has their sum."""
    fields = ["id", "call_session_id", "duration", "start_time", "direction", "is_operator"]
    legs = {leg["id"]: leg for leg in await rows(setup, "get.call_legs_report", fields=fields)}
    own = [leg for leg in legs.values() if leg["call_session_id"] in calls]
    deadline = time.monotonic() + CHARGED_WITHIN
    while True:
        charges = {row["leg_id"]: row for row in await rows(setup, "get.financial_call_legs_report")}
        if set(charges) >= {leg["id"] for leg in own} or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.2)
    assert {row["call_session_id"] for row in charges.values()} >= calls.keys()
    for leg in own:
        row = charges[leg["id"]]
        assert (row["duration"], row["start_time"], row["direction"]) == (
            leg["duration"] or 0,
            leg["start_time"],
            leg["direction"],
        )
        assert row["call_session_id"] == leg["call_session_id"]
        assert row["source"] == calls[leg["call_session_id"]]["source"]
        if leg["call_session_id"] == priced and not leg["is_operator"]:
            assert row["chargeable_duration"] == 60
            assert row["total_charge"] == 0.35
    months = {f"{datetime.now(ZONE) - timedelta(hours=hours):%Y-%m}" for hours in (0, 2)}
    amounts, talks = Decimal(0), 0
    for month in months:
        account = ("--account", str(setup.account.account_id))
        reported = json.loads(
            await setup.installation.run("tariff", "statement", "--json", "--month", month, *account)
        )
        amounts += sum(Decimal(row["amount"]) for row in reported["calls"])
        talks += sum(row["legs"] for row in reported["calls"])
    assert amounts == sum(Decimal(str(row["total_charge"])) for row in charges.values())
    assert talks == sum(row["duration"] > 0 for row in charges.values())


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


def lost(call: Row, *, talked: bool) -> set[bool]:
    """What ``is_lost`` may be: nobody talked although somebody was called, and no message was played to its end.

    The report does not show whether digits after an asterisk that were refused are a code (calls nobody) or nothing.
    """
    if talked or call["finish_reason"] == "success_finish":
        return {False}
    if call["source"] == "sip" and call["contact_phone_number"].startswith("*"):
        return {True, False} if call["finish_reason"] == "incorrect_input" else {False}
    return {True}


async def check_legs(setup: Setup, calls: dict[int, Row], simple: int) -> None:
    """Sums of legs and sessions agree, and so does every report that lists legs.

    :param simple: the call with one talk, as long as its operator's leg.
    """
    fields = ["id", "call_session_id", "duration", "total_duration", "is_operator", "is_talked"]
    listed = await rows(setup, "get.call_legs_report", fields=fields)
    legs = [leg for leg in listed if leg["call_session_id"] in calls]
    details = await rows(setup, "get.calls", report_id=1, fields=["communication_id", "cdrs"])
    assert sorted(int(leg["id"]) for row in details for leg in row["cdrs"]) == sorted(
        leg["id"] for leg in legs
    )
    for number, call in calls.items():
        own = [leg for leg in legs if leg["call_session_id"] == number]
        talked = [leg["duration"] for leg in own if leg["is_operator"] and leg["is_talked"]]
        assert max(leg["total_duration"] for leg in own) <= call["total_duration"] + ROUNDING
        assert call["is_lost"] in lost(call, talked=bool(talked)), call
        assert call["clean_talk_duration"] <= sum(talked) + ROUNDING * len(talked)
        if number == simple:
            assert abs(sum(talked) - call["talk_duration"]) <= ROUNDING
            [contact] = [leg for leg in own if not leg["is_operator"]]
            assert abs(contact["total_duration"] - call["total_duration"]) <= ROUNDING
