"""Employees, lines, groups and schedules made row by row: live in the snapshot, and at home in directory files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tests.directory.conftest import Administrator, until
from trunkline.directory.employees.changes import (
    EmployeePatch,
    create_employee,
    delete_employee,
    update_employee,
)
from trunkline.directory.employees.numbers import PhonePatch
from trunkline.directory.groups.changes import create_group, order_phones, update_group
from trunkline.directory.lines.changes import change_password, create_line, delete_line, update_line
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import Account, EmployeeStatus
from trunkline.directory.schedules.changes import create_schedule

SHIFTS = [{"type": "cycle", "days": [2, 2], "times": [], "first": None, "last": None, "anchor": "2026-12-01"}]


async def seen(
    snapshot: DirectorySnapshot, admin: Administrator, condition: Callable[[Account], object]
) -> Account:
    """The account as calls see it, once this is so."""
    await until(lambda: condition(snapshot.current.accounts[admin.account_id]))
    return snapshot.current.accounts[admin.account_id]


async def test_every_change_is_live(admin: Administrator, snapshot: DirectorySnapshot) -> None:
    db, account_id = admin.db, admin.account_id
    shifts = await create_schedule(db, account_id, "Shifts", SHIFTS)
    account = await seen(snapshot, admin, lambda one: shifts in one.schedules)
    days = [account.schedules[shifts].is_open(datetime(2026, 12, day, 12)) for day in range(1, 6)]  # noqa: DTZ001
    assert days == [True, True, False, False, True]

    ida = await create_employee(
        db,
        account_id,
        EmployeePatch(
            {"last_name": "Reed", "extension": "201", "schedule_id": shifts},
            phones=[PhonePatch("442079460100", {"dial_time": 9})],
        ),
    )
    line = await create_line(db, account_id, ida, None)
    account = await seen(snapshot, admin, lambda one: line.sip_line_id in one.lines)
    [outside, own] = account.employees[ida].phones
    assert (outside.external_number, outside.dial_time, own.sip_line_id) == (
        "442079460100",
        9,
        line.sip_line_id,
    )
    found = account.employee_by_extension("201")
    assert found is not None
    assert found.employee_id == ida

    group = await create_group(db, account_id, {"name": "Desk", "extension": "300"}, [ida])
    await order_phones(db, account_id, group, [(own.phone_id, True), (outside.phone_id, False)])
    account = await seen(snapshot, admin, lambda one: group in one.groups and one.groups[group].phone_ids)
    assert account.groups[group].phones_of(account.employees[ida]) == (own,)

    await update_employee(db, account_id, ida, EmployeePatch({"status_id": 2}))
    await seen(snapshot, admin, lambda one: one.employees[ida].status is EmployeeStatus.BREAK)
    own_status = await db.fetch_one(
        """insert into employee_statuses (account_id, name, color, in_external_allowed)
           values (%s, 'Lunch', '#aabbcc', '{}') returning status_id""",
        (account_id,),
    )
    assert own_status is not None
    await update_employee(db, account_id, ida, EmployeePatch(own_status))
    await seen(snapshot, admin, lambda one: one.employees[ida].in_external_allowed == frozenset())
    assert snapshot.current.accounts[account_id].employees[ida].in_internal_allowed == {"in", "out"}
    before = account.lines[line.sip_line_id].ha1_md5
    await change_password(db, account_id, line.sip_line_id)
    await seen(snapshot, admin, lambda one: one.lines[line.sip_line_id].ha1_md5 != before)
    await update_line(db, account_id, line.sip_line_id, {"billing_state": "manual_lock", "channels_count": 3})
    await seen(snapshot, admin, lambda one: one.lines[line.sip_line_id].channels_count == 3)
    await delete_line(db, account_id, line.sip_line_id)
    await update_group(db, account_id, group, {}, [])
    await delete_employee(db, account_id, ida)
    account = await seen(snapshot, admin, lambda one: ida not in one.employees)
    assert line.sip_line_id not in account.lines
    assert account.groups[group].employee_ids == ()


async def test_rows_of_the_api_are_at_home_in_files(admin: Administrator) -> None:
    db, account_id = admin.db, admin.account_id
    shifts = await create_schedule(db, account_id, "Shifts", SHIFTS)
    ida = await create_employee(db, account_id, EmployeePatch({"last_name": "Reed", "schedule_id": shifts}))
    await create_line(db, account_id, ida, None)
    group = await create_group(
        db, account_id, {"name": "Desk", "channels_count": 4, "queue_enabled": True}, [ida]
    )
    exported = await admin.export()
    assert (await admin.plan(exported, delete=True)).lines() == ["no changes"]
    changed = exported.replace("name: Desk", "name: Front")
    phone = await db.fetch_one("select phone_id from employee_phones where employee_id = %s", (ida,))
    assert phone is not None
    await order_phones(db, account_id, group, [(phone["phone_id"], False)])
    await admin.apply(changed)
    row = await db.fetch_one(
        """select g.name, g.channels_count, p.available from employee_groups g
           join group_phones p using (account_id, group_id) where group_id = %s""",
        (group,),
    )
    assert row == {"name": "Front", "channels_count": 4, "available": False}
