"""Indexes of the directory values."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from trunkline.directory.model import (
    Account,
    BillingState,
    CallRecording,
    Directory,
    Employee,
    EmployeeStatus,
    LineStatus,
    LineType,
    Phone,
    SipLine,
)

BOTH = frozenset({"in", "out"})


def line(sip_line_id: int, login: str, employee_id: int | None = None) -> SipLine:
    return SipLine(
        account_id=1,
        sip_line_id=sip_line_id,
        phone_number=login,
        ha1_md5="m",
        ha1_sha256="s",
        employee_id=employee_id,
        virtual_number_id=None,
        type=LineType.IN_OUT,
        channels_count=1,
        dial_time=60,
        billing_state=BillingState.ACTIVE,
        status=LineStatus.ACTIVE,
    )


def employee(employee_id: int, *lines: int, extension: str | None = None) -> Employee:
    return Employee(
        employee_id=employee_id,
        full_name=f"Employee {employee_id}",
        email=None,
        status=EmployeeStatus.AVAILABLE,
        extension=extension,
        voice_mail_enabled=False,
        phones=tuple(Phone(n, n, None, 1, 60, True) for n in lines),
        in_external_allowed=BOTH,
        in_internal_allowed=BOTH,
        out_external_allowed=BOTH,
        out_internal_allowed=BOTH,
        call_recording=CallRecording.ALL,
        schedule_id=None,
        is_active=True,
    )


def account(account_id: int, **parts: object) -> Account:
    return Account(
        account_id=account_id,
        name="Palm",
        time_zone=ZoneInfo("Asia/Dubai"),
        locale="en",
        country="AE",
        is_active=True,
        components=frozenset(),
        security={"national": False},
        tts_message_max_length=500,
        **parts,  # type: ignore[arg-type]
    )


def test_indexes() -> None:
    lines = dict(enumerate([line(0, "000"), line(1, "001", 11), line(2, "002")]))
    people = {10: employee(10, 0, 1, extension="101"), 11: employee(11, 0)}
    found = account(1, lines=lines, employees=people)
    assert found.line_by_login("002") is lines[2]
    assert found.line_by_login("003") is None
    assert found.employee_by_extension("101") is people[10]
    assert found.employee_of_line(0) is people[10]
    assert found.employee_of_line(1) is people[11]  # the line's own word counts
    assert found.employee_of_line(2) is None
    directory = Directory({1: found, 2: account(2)})
    assert directory.line("001") == (found, lines[1])
    assert directory.line("009") is None
    assert directory.number("971500000010") is None
    assert directory.trunk(1) is None


def test_directions_and_local_time() -> None:
    found = account(1)
    assert [found.may_call(each) for each in ("mobile", "national", "international")] == [True, False, False]
    assert found.local(datetime(2026, 11, 20, 21, 30, tzinfo=UTC)).isoformat() == "2026-11-21T01:30:00+04:00"
