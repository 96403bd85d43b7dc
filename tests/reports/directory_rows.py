"""A small company's directory, written straight to the tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.reports.lifelike import CONTACTS, EMPLOYEES, VIRTUAL_NUMBERS, Values, insert
from trunkline.db.pool import Database

REGISTERED_AT = datetime(2026, 3, 1, 8, 0, 0, tzinfo=UTC)


async def store_directory(db: Database, account_id: int, zone: str = "Asia/Dubai") -> None:
    """Account, employees, numbers, lines (one with two devices, one with an expired one), scenarios."""
    own = {"account_id": account_id}
    phone = str(account_id)
    employees: list[Values] = [
        {
            **own,
            "employee_id": employee_id,
            "key": name.split()[1].lower(),
            "last_name": name.split()[0],
            "first_name": name.split()[1],
            "email": f"{name.split()[1].lower()}@example.com",
            "extension": str(100 + position),
            "schedule_id": 3001,
        }
        for position, (employee_id, name) in enumerate(EMPLOYEES.items())
    ]
    employees[0] |= {"coach_id": 4002, "coach_always_enabled": True, "patronymic": "Ann", "status_id": 1}
    employees[2] |= {
        "in_external_allowed": [],
        "in_internal_allowed": [],
        "out_external_allowed": [],
        "extension": None,
        "schedule_id": None,
    }
    numbers: list[Values] = [
        {
            **own,
            "virtual_number_id": 7001 + i,
            "phone_number": phone + number[-8:],
            "name": f"Line {i}",
            "is_verified": True,
        }
        for i, number in enumerate(VIRTUAL_NUMBERS)
    ]
    numbers[0] |= {
        "redirection_phone_number": CONTACTS[0],
        "comment": "main",
        "activation_date": REGISTERED_AT,
    }
    lines: list[Values] = [
        {
            **own,
            "sip_line_id": 9001 + i,
            "phone_number": f"{phone}0{i}",
            "ha1_md5": "secret",
            "ha1_sha256": "secret",
        }
        for i in range(3)
    ]
    lines[0] |= {"employee_id": 4001, "virtual_number_id": 7001}
    lines[2] |= {"type": "in", "virtual_number_id": 7001, "status": "inactive"}
    tables: dict[str, list[Values]] = {
        "accounts": [{**own, "name": "Harbour Tours", "time_zone": zone}],
        "schedules": [{**own, "schedule_id": 3001, "key": "day", "name": "Day"}],
        "employees": employees,
        "users": [{**own, "user_id": account_id + 1000, "login": f"captain{phone}", "employee_id": 4001}],
        "scenarios": [
            {**own, "scenario_id": 5001 + i, "key": key, "name": key.title()}
            for i, key in enumerate(["main", "night"])
        ],
        "scenario_operations": [
            {
                **own,
                "operation_id": 6001,
                "scenario_id": 5001,
                "key": "hello",
                "name": "Greeting",
                "kind": "greeting",
                "position": 0,
            },
            {
                **own,
                "operation_id": 6002,
                "scenario_id": 5001,
                "key": "ring",
                "name": "Ring the desk",
                "kind": "forward_group",
                "position": 1,
            },
        ],
        "virtual_numbers": numbers,
        "call_processing_rules": [
            {**own, "call_processing_rule_id": 8001, "virtual_number_id": 7001, "scenario_id": 5001},
            {
                **own,
                "call_processing_rule_id": 8002,
                "virtual_number_id": 7001,
                "scenario_id": 5002,
                "position": 1,
                "is_active": False,
            },
        ],
        "sip_lines": lines,
        "employee_phones": [
            {**own, "phone_id": 10001, "employee_id": 4001, "position": 1, "external_number": CONTACTS[1]},
            {**own, "phone_id": 10002, "employee_id": 4001, "position": 0, "sip_line_id": 9001},
        ],
        "employee_groups": [{**own, "group_id": 11001, "key": "desk", "name": "Front desk"}],
        "group_members": [{**own, "group_id": 11001, "employee_id": 4001, "position": 0}],
        "registrations": [
            _registration(account_id, 9001, "198.51.100.7", 0),
            _registration(account_id, 9001, "2001:db8::7", 60),
            _registration(account_id, 9002, "198.51.100.8", 0, expires_at=REGISTERED_AT + timedelta(hours=1)),
        ],
    }
    async with db.connection() as connection:
        for table, rows in tables.items():
            await insert(connection, table, rows)


def _registration(account_id: int, line: int, ip: str, later: int, **more: object) -> Values:
    return {
        "account_id": account_id,
        "sip_line_id": line,
        "contact_uri": f"sip:{line}@{ip}",
        "ip": ip,
        "port": 5060,
        "registered_at": REGISTERED_AT + timedelta(seconds=later),
        **more,
    }
