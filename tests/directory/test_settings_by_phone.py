"""What an employee sets by a code is in the directory: for calls, in an exported file, and changed by files and the API."""

from __future__ import annotations

import pytest

from tests.directory.conftest import Administrator, until
from trunkline.core.errors import NotFound
from trunkline.directory.employees.by_phone import write_setting
from trunkline.directory.employees.changes import EmployeePatch, update_employee
from trunkline.directory.employees.form import EmployeeForm
from trunkline.directory.files.file import parse
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import Employee, EmployeeStatus

COMPANY = """
employees:
  anna: {last_name: Berg, extension: 101}
  boris: {last_name: Dahl, extension: 102}
"""


async def employee_id(admin: Administrator) -> int:
    await admin.apply(COMPANY)
    row = await admin.db.fetch_one("select employee_id from employees where key = 'anna'")
    assert row is not None
    return int(row["employee_id"])


async def write(admin: Administrator, anna: int, setting: str, value: str) -> None:
    data = {"employee_id": anna, "setting": setting, "value": value}
    assert await write_setting(admin.db, admin.account_id, data) == {"result": "written"}


async def anna_in_file(admin: Administrator) -> EmployeeForm:
    employees = parse(await admin.export(), {}).employees
    assert employees is not None
    return employees["anna"]


async def test_calls_and_files_have_what_was_set(admin: Administrator, snapshot: DirectorySnapshot) -> None:
    anna = await employee_id(admin)

    def present() -> Employee | None:
        account = snapshot.current.accounts.get(admin.account_id)
        return account.employees.get(anna) if account is not None else None

    for setting in ("forward_always", "forward_busy", "forward_no_answer"):
        await write(admin, anna, setting, "102")
        await write(admin, anna, setting, "102")
        await until(lambda name=setting: getattr(present(), name, None) == "102")  # type: ignore[misc]
    await write(admin, anna, "do_not_disturb", "on")
    await until(lambda: getattr(present(), "status", None) is EmployeeStatus.DO_NOT_DISTURB)
    exported = await anna_in_file(admin)
    assert exported.forward_always == exported.forward_no_answer == "102"
    assert exported.status is EmployeeStatus.DO_NOT_DISTURB
    await admin.apply(COMPANY)  # names no forwarding: it stays
    assert (await anna_in_file(admin)).forward_busy == "102"
    await admin.apply(COMPANY.replace("101}", '101, forward_always: "", forward_busy: +1 202 555 0110}'))
    exported = await anna_in_file(admin)
    assert (exported.forward_always, exported.forward_busy) == (None, "12025550110")
    await write(admin, anna, "forward_busy", "")
    assert (await anna_in_file(admin)).forward_busy is None


@pytest.mark.parametrize(
    ("before", "after"),
    [("do_not_disturb", "available"), ("not_at_work", "not_at_work"), ("available", "available")],
)
async def test_off_ends_do_not_disturb_and_no_other_status(
    admin: Administrator, before: str, after: str
) -> None:
    anna = await employee_id(admin)
    await update_employee(admin.db, admin.account_id, anna, EmployeePatch(columns={"status": before}))
    await write(admin, anna, "do_not_disturb", "off")
    row = await admin.db.fetch_one("select status from employees where employee_id = %s", (anna,))
    assert row is not None
    assert row["status"] == after


async def test_the_time_in_the_status_counts(admin: Administrator) -> None:
    anna = await employee_id(admin)
    await write(admin, anna, "do_not_disturb", "on")
    rows = await admin.db.fetch_all(
        """select s.mnemonic from employee_status_changes c join employee_statuses s using (status_id)
           where c.account_id = %s and c.employee_id = %s and s.account_id = 0 order by c.changed_at""",
        (admin.account_id, anna),
    )
    assert [row["mnemonic"] for row in rows] == ["available", "do_not_disturb"]


async def test_another_account_and_unknown_settings(admin: Administrator) -> None:
    anna = await employee_id(admin)
    for setting, value in (("do_not_disturb", "on"), ("forward_always", "102")):
        with pytest.raises(NotFound):
            await write_setting(
                admin.db, admin.account_id + 1, {"employee_id": anna, "setting": setting, "value": value}
            )
    with pytest.raises(ValueError, match="is_active"):
        await write(admin, anna, "is_active", "")
