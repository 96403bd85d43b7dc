"""A small company as the call rules see it: people, phones, numbers with a scenario each."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from trunkline.directory.model import (
    Account,
    BillingState,
    CallRecording,
    Contact,
    Employee,
    EmployeeStatus,
    Group,
    LineStatus,
    LineType,
    MediaFile,
    MediaKind,
    NumberFormat,
    NumberStatus,
    Operation,
    OperationKind,
    Phone,
    Rule,
    Scenario,
    Schedule,
    SipLine,
    Strategy,
    Tag,
    Transport,
    Trunk,
    TrunkMode,
    VirtualNumber,
)
from trunkline.directory.model.hours import Interval

ACCOUNT = 1001
ANNA, BORIS, CLARA, DORA = 1, 2, 3, 4
ANNA_LINE, BORIS_LINE, ANNA_SECOND, DORA_LINE = "0260001", "0260002", "0260004", "0260005"
CLARA_MOBILE = "971500000031"
PARTNER = "442079460990"
"""A telephone outside the company."""
CUSTOMER, BLOCKED, KNOWN = "12025550111", "12025550199", "12025550112"
TRUNK = 1
ALWAYS, NEVER = 1, 2
GREETING, MAIL_GREETING, BEEP, MUSIC = 1, 2, 3, 4
BOTH = frozenset({"in", "out"})

# Scenarios; the number that leads to scenario n is number_of(n).
(
    TO_ANNA,
    ALL,
    IN_TURN,
    IDLE,
    FULL,
    BY_HOUR,
    GREETING_ONLY,
    MAIL,
    TO_DORA,
    TO_CLARA,
    ROUND,
    EMPTY,
    TWICE,
    OUTSIDE,
) = range(1, 15)


def number_of(scenario: int) -> str:
    """The virtual number that leads to a scenario."""
    return f"4420794600{scenario:02}"


def line(line_id: int, login: str, **changes: Any) -> SipLine:
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "sip_line_id": line_id,
        "phone_number": login,
        "ha1_md5": "",
        "ha1_sha256": "",
        "employee_id": None,
        "virtual_number_id": TO_ANNA,
        "type": LineType.IN_OUT,
        "channels_count": 1,
        "dial_time": 25,
        "billing_state": BillingState.ACTIVE,
        "status": LineStatus.ACTIVE,
    }
    return SipLine(**values | changes)


def phone(phone_id: int, line_id: int | None, number: str | None = None, **changes: Any) -> Phone:
    values: dict[str, Any] = {"channels_count": 1, "dial_time": 30, "is_active": True}
    return Phone(phone_id, line_id, number, **values | changes)


def employee(employee_id: int, name: str, *phones: Phone, **changes: Any) -> Employee:
    values: dict[str, Any] = {
        "email": None,
        "status": EmployeeStatus.AVAILABLE,
        "extension": f"10{employee_id}",
        "voice_mail_enabled": False,
        "in_external_allowed": BOTH,
        "in_internal_allowed": BOTH,
        "out_external_allowed": BOTH,
        "out_internal_allowed": BOTH,
        "call_recording": CallRecording.ALL,
        "schedule_id": None,
        "is_active": True,
    }
    return Employee(employee_id=employee_id, full_name=name, phones=phones, **values | changes)


def number(scenario: int, **changes: Any) -> VirtualNumber:
    values: dict[str, Any] = {
        "name": f"Number {scenario}",
        "status": NumberStatus.ACTIVE,
        "trunk_id": TRUNK,
        "default_sip_line_id": 1,
        "max_in_calls": 0,
        "max_out_calls": 0,
        "rules": (Rule(scenario, scenario, None, is_active=True),),
    }
    return VirtualNumber(
        account_id=ACCOUNT, virtual_number_id=scenario, phone_number=number_of(scenario), **values | changes
    )


def operation(scenario: int, key: str, kind: OperationKind, **settings: Any) -> Operation:
    return Operation(scenario * 100 + ord(key), key, f"{kind} {key}", kind, settings)


def scenario(scenario_id: int, *operations: tuple[str, OperationKind, dict[str, Any]]) -> Scenario:
    made = (operation(scenario_id, key, kind, **settings) for key, kind, settings in operations)
    return Scenario(scenario_id, f"Scenario {scenario_id}", tuple(made))


def to_employee(
    employee_id: int, following: str | None = None, **more: Any
) -> tuple[OperationKind, dict[str, Any]]:
    return OperationKind.FORWARD_EMPLOYEE, {"employee_id": employee_id, "next": following, **more}


def to_group(
    group_id: int, following: str | None = None, **more: Any
) -> tuple[OperationKind, dict[str, Any]]:
    return OperationKind.FORWARD_GROUP, {"group_id": group_id, "ring_seconds": 20, "next": following, **more}


def to_number(number: str, following: str | None = None, **more: Any) -> tuple[OperationKind, dict[str, Any]]:
    return OperationKind.FORWARD_NUMBER, {"number": number, "ring_seconds": 20, "next": following, **more}


def greeting(following: str | None, *media: int) -> tuple[OperationKind, dict[str, Any]]:
    return OperationKind.GREETING, {"media_file_ids": list(media), "next": following}


def voicemail(following: str | None = None) -> tuple[OperationKind, dict[str, Any]]:
    settings = {"media_file_ids": [MAIL_GREETING], "max_seconds": 60, "silence_seconds": 4, "next": following}
    return OperationKind.VOICEMAIL, settings | {"employee_id": None, "group_id": ALL}


def hours(schedule: int, opened: str | None, closed: str | None) -> tuple[OperationKind, dict[str, Any]]:
    return OperationKind.SCHEDULE, {"schedule_id": schedule, "open": opened, "closed": closed}


def hangup() -> tuple[OperationKind, dict[str, Any]]:
    return OperationKind.HANGUP, {}


SCENARIOS = {
    one.scenario_id: one
    for one in (
        scenario(TO_ANNA, ("a", *to_employee(ANNA))),
        scenario(ALL, ("a", *to_group(ALL))),
        scenario(IN_TURN, ("a", *to_group(IN_TURN))),
        scenario(IDLE, ("a", *to_group(IDLE))),
        scenario(
            FULL,
            ("a", *greeting("b", GREETING)),
            ("b", *to_group(ALL, "c")),
            ("c", *voicemail("d")),
            ("d", *hangup()),
        ),
        scenario(BY_HOUR, ("a", *hours(NEVER, "b", "c")), ("b", *to_employee(ANNA)), ("c", *voicemail())),
        scenario(GREETING_ONLY, ("a", *greeting("b", GREETING)), ("b", *hangup())),
        scenario(MAIL, ("a", *voicemail())),
        scenario(TO_DORA, ("a", *to_employee(DORA))),
        scenario(TO_CLARA, ("a", *to_employee(CLARA))),
        scenario(ROUND, ("a", *hours(ALWAYS, "b", None)), ("b", *hours(ALWAYS, "a", None))),
        scenario(EMPTY),
        scenario(TWICE, ("a", *to_employee(BORIS, "b")), ("b", *to_employee(BORIS))),
        scenario(OUTSIDE, ("a", *to_number(PARTNER, "b", channels=1)), ("b", *voicemail())),
    )
}


def company(**changes: Any) -> Account:
    """The company; ``changes`` replace whole parts."""
    parts: dict[str, Any] = {
        "employees": {
            ANNA: employee(ANNA, "Berg Anna", phone(11, 1), phone(12, 4)),
            BORIS: employee(BORIS, "Dahl Boris", phone(21, 2)),
            CLARA: employee(CLARA, "Falk Clara", phone(31, None, CLARA_MOBILE)),
            DORA: employee(DORA, "Holm Dora", phone(41, 5)),
        },
        "lines": {
            1: line(1, ANNA_LINE),
            2: line(2, BORIS_LINE),
            4: line(4, ANNA_SECOND),
            5: line(5, DORA_LINE),
        },
        "trunks": {
            TRUNK: Trunk(
                ACCOUNT,
                TRUNK,
                "Carrier",
                TrunkMode.ADDRESS,
                "192.0.2.1",
                5060,
                Transport.UDP,
                None,
                None,
                (),
                ("alaw",),
                0,
                NumberFormat.E164,
                is_active=True,
            )
        },
        "numbers": {one: number(one) for one in SCENARIOS},
        "scenarios": SCENARIOS,
        "schedules": {
            ALWAYS: Schedule(ALWAYS, "Always", (Interval(frozenset(range(1, 8)), 0, 1440),), ()),
            NEVER: Schedule(NEVER, "Never", (), ()),
        },
        "groups": {
            ALL: Group(ALL, "Sales", "200", Strategy.ALL, None, (ANNA, BORIS)),
            IN_TURN: Group(IN_TURN, "Desk", "201", Strategy.IN_TURN, None, (ANNA, BORIS)),
            IDLE: Group(IDLE, "Night", "202", Strategy.LONGEST_IDLE, None, (ANNA, BORIS)),
        },
        "media": {
            GREETING: media(GREETING, "greeting"),
            MAIL_GREETING: media(MAIL_GREETING, "mail"),
            BEEP: media(BEEP, "beep", MediaKind.SYSTEM),
            MUSIC: media(MUSIC, "dialing_music", MediaKind.SYSTEM),
        },
        "tags": {1: Tag(1, "Order")},
        "contacts_by_phone": {KNOWN: Contact(7, "Known Customer")},
        "blacklist": frozenset({BLOCKED}),
    }
    values: dict[str, Any] = {
        "account_id": ACCOUNT,
        "name": "Palm",
        "time_zone": ZoneInfo("Asia/Dubai"),
        "locale": "en",
        "country": "AE",
        "is_active": True,
        "components": frozenset(),
        "security": {"mobile": True, "national": True, "international": True},
        "tts_message_max_length": 20,
    }
    return Account(**values | parts | changes)


def media(media_file_id: int, key: str, kind: MediaKind = MediaKind.USER) -> MediaFile:
    return MediaFile(media_file_id, key, key, kind, Path("/media") / key, 3000)
