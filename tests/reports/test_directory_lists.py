"""The directory as lists: employees, numbers, lines with their registrations, scenarios, the account."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.reports.company import ACCOUNT, filled_database
from tests.reports.lifelike import CONTACTS
from trunkline.accounts import profile
from trunkline.calls.switch.presence import Presence
from trunkline.core.clock import Instant
from trunkline.core.errors import NotFound
from trunkline.db.pool import Database
from trunkline.db.query import Listing
from trunkline.directory.employees.listing import EMPLOYEES
from trunkline.directory.lines.listing import NOT_REGISTERED, REGISTERED, SIP_LINES
from trunkline.directory.numbers.listing import VIRTUAL_NUMBERS
from trunkline.directory.scenarios.listing import SCENARIOS
from trunkline.reports.reader import Reader
from trunkline.runtime.postgres import EmbeddedPostgres
from trunkline.telephony.port import Registered


@pytest.fixture(scope="module")
def company(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    with filled_database(postgres_server, migrated_template, "directory_lists") as dsn:
        yield dsn


@pytest.fixture
async def reader(company: str) -> AsyncIterator[Reader]:
    async with await Database.open(company) as db:
        yield Reader(db, ACCOUNT, ZoneInfo("Asia/Dubai"))


async def read(
    reader: Reader, listing: Listing, field: str, operator: str, value: Any = None
) -> list[dict[str, Any]]:
    filter = {"field": field, "operator": operator, "value": value}
    page = await reader.list(listing, {"filter": filter, "fields": list(listing.by_name)})
    rows: list[dict[str, Any]] = json.loads(page.rows)
    return rows


async def test_an_employee(reader: Reader) -> None:
    [row] = await read(reader, EMPLOYEES, "id", "=", 4001)
    assert row == {
        "id": 4001,
        "login": "captain1001",
        "first_name": "Mira",
        "last_name": "Stone",
        "patronymic": "Ann",
        "full_name": "Stone Mira Ann",
        "status": "available",
        "status_id": 1,
        "calls_available": True,
        "allowed_in_call_types": ["internal", "external"],
        "in_external_allowed_call_directions": ["in", "out"],
        "in_internal_allowed_call_directions": ["in", "out"],
        "allowed_out_call_types": ["internal", "external"],
        "out_external_allowed_call_directions": ["in", "out"],
        "out_internal_allowed_call_directions": ["in", "out"],
        "email": "mira@example.com",
        "call_recording": "all",
        "schedule_id": 3001,
        "schedule_name": "Day",
        "coach": {"coach_id": 4002, "coach_full_name": "Okafor Ben", "coach_always_enabled": True},
        "groups": [{"group_id": 11001, "group_name": "Front desk"}],
        "phone_numbers": [
            {
                "phone_id": 10002,
                "phone_number": "100100",
                "channels_count": 1,
                "dial_time": 60,
                "status": "active",
            },
            {
                "phone_id": 10001,
                "phone_number": CONTACTS[1],
                "channels_count": 1,
                "dial_time": 60,
                "status": "active",
            },
        ],
        "extension": {
            "extension_phone_number": "100",
            "extension_voice_mail_enabled": False,
            "extension_queue_enabled": False,
        },
        "operator": {},
    }


async def test_an_employee_with_little(reader: Reader) -> None:
    [row] = await read(reader, EMPLOYEES, "calls_available", "=", False)
    assert (row["id"], row["login"], row["schedule_name"]) == (4003, None, None)
    assert (row["allowed_in_call_types"], row["allowed_out_call_types"]) == ([], ["internal"])
    assert (row["coach"], row["extension"], row["groups"], row["phone_numbers"]) == ({}, {}, [], [])


@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("coach", "=", 4002, [4001]),
        ("coach", "jsquery", "coach_always_enabled = true", [4001]),
        ("coach", "=null", None, [4002, 4003]),
        ("groups", "=", "Front desk", [4001]),
        ("phone_numbers", "like", "97150%", [4001]),
        ("phone_numbers", "jsquery", '#(phone_number = "100100" AND status = active)', [4001]),
        ("extension", "in", ["101", "100"], [4001, 4002]),
        ("allowed_in_call_types", "=", "external", [4001, 4002]),
        ("allowed_in_call_types", "!=", "external", [4003]),
        ("full_name", "like", "%Ben", [4002]),
        ("status", "in", ["available", "break"], [4001, 4002, 4003]),
    ],
)
async def test_employees_filtered(
    reader: Reader, field: str, operator: str, value: Any, expected: list[int]
) -> None:
    assert [row["id"] for row in await read(reader, EMPLOYEES, field, operator, value)] == expected


async def test_a_virtual_number(reader: Reader) -> None:
    [row] = await read(reader, VIRTUAL_NUMBERS, "scenarios", "=", 5002)
    assert row["id"] == 7001
    assert row["activation_date"] == "2026-03-01 12:00:00"
    assert row["redirection_phone_number"] == CONTACTS[0]
    assert row["scenarios"] == [
        {"scenario_id": 5001, "scenario_name": "Main", "call_processing_rule_id": 8001, "is_active": True},
        {"scenario_id": 5002, "scenario_name": "Night", "call_processing_rule_id": 8002, "is_active": False},
    ]
    assert (row["campaigns"], row["site_blocks"], row["child_customer_id"]) == ([], [], None)


async def test_a_line_with_two_devices(reader: Reader) -> None:
    [row] = await read(reader, SIP_LINES, "physical_state", "=", REGISTERED)
    assert row["id"] == 9001
    assert row["ip_addresses"] == [
        {"ip": "2001:db8::7", "date_time": "2026-03-01 12:01:00"},
        {"ip": "198.51.100.7", "date_time": "2026-03-01 12:00:00"},
    ]
    assert (row["ip"], row["date_time"]) == ("2001:db8::7", "2026-03-01 12:01:00")
    assert (row["employee_id"], row["employee_full_name"]) == (4001, "Stone Mira Ann")
    assert row["virtual_phone_number"] == "100179460100"
    assert row["password"] is None
    assert await read(reader, SIP_LINES, "ip_addresses", "=", "198.51.100.7") == [row]


@pytest.mark.parametrize("states", [(True, False), (None, False), (None, None), (False, False)])
async def test_a_line_is_registered_by_the_rule_of_the_switch(
    reader: Reader, company: str, states: tuple[bool | None, bool | None]
) -> None:
    """As ``Presence.is_online``: not when every device is known to be unreachable."""
    presence = Presence()
    async with await Database.open(company) as db:
        before = await db.fetch_all("select contact_uri, reachable from registrations")
        try:
            for ip, reachable in zip(("2001:db8::7", "198.51.100.7"), states, strict=True):
                await db.execute("update registrations set reachable = %s where ip = %s", (reachable, ip))
                presence.register(_device(f"sip:{ip}", reachable))
            [row] = await read(reader, SIP_LINES, "id", "=", 9001)
        finally:
            for one in before:
                await db.execute(
                    "update registrations set reachable = %(reachable)s where contact_uri = %(contact_uri)s",
                    one,
                )
    assert (row["physical_state"] == REGISTERED) is presence.is_online("0160001")
    assert presence.is_online("0160001") is (states != (False, False))
    assert len(row["ip_addresses"]) == 2


def _device(contact_uri: str, reachable: bool | None) -> Registered:
    at = Instant(0.0)
    return Registered(
        at, "0160001", contact_uri, "192.0.2.9", 5060, "udp", "", None, None, reachable=reachable
    )


async def test_lines_without_devices(reader: Reader) -> None:
    expired, inward = await read(reader, SIP_LINES, "physical_state", "=", NOT_REGISTERED)
    assert (expired["id"], expired["ip_addresses"], expired["ip"]) == (9002, [], None)
    assert (inward["type"], inward["virtual_phone_number"], inward["status"]) == ("in", None, "inactive")


async def test_a_scenario(reader: Reader) -> None:
    [row] = await read(reader, SCENARIOS, "operations", "=", "Greeting")
    assert row == {
        "id": 5001,
        "name": "Main",
        "virtual_phone_numbers": ["100179460100"],
        "sites": [],
        "campaigns": [],
        "operations": [{"id": 6001, "name": "Greeting"}, {"id": 6002, "name": "Ring the desk"}],
    }


async def test_an_account_that_is_gone(reader: Reader) -> None:
    with pytest.raises(NotFound):
        await profile.account(reader.database, 9)
