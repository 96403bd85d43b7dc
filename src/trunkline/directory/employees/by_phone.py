"""Settings of employees that they change by dialling a code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.core.errors import NotFound
from trunkline.db.pool import Database
from trunkline.directory.employees.changes import EmployeePatch, update_employee
from trunkline.directory.model import EmployeeStatus

_STATUS = "select status from employees where account_id = %(account_id)s and employee_id = %(employee_id)s"

_FORWARDS = frozenset({"forward_always", "forward_busy", "forward_no_answer"})


async def write_setting(db: Database, account_id: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """Write a setting; to write it again changes nothing. ``result``: ``written``.

    Do-not-disturb is the status of the employee; switching it off leaves any other status as it is.

    :param data: ``employee_id``, ``setting``, ``value`` (``on`` or ``off``; an extension or number, empty for none).
    :raises NotFound: the employee is gone.
    :raises ValueError: there is no such setting.
    """
    employee_id, setting, value = data["employee_id"], data["setting"], data["value"]
    columns: dict[str, Any]
    if setting in _FORWARDS:
        columns = {setting: value}
    elif setting == EmployeeStatus.DO_NOT_DISTURB:
        status = EmployeeStatus.DO_NOT_DISTURB if value == "on" else EmployeeStatus.AVAILABLE
        row = await db.fetch_one(_STATUS, {"account_id": account_id, "employee_id": employee_id})
        if row is None:
            raise NotFound("This employee does not exist any more", field="employee_id", value=employee_id)
        if value != "on" and row["status"] != EmployeeStatus.DO_NOT_DISTURB:
            return {"result": "written"}
        columns = {"status": status.value}
    else:
        raise ValueError(f"{setting!r} is no setting of an employee")
    await update_employee(db, account_id, employee_id, EmployeePatch(columns=columns))
    return {"result": "written"}
