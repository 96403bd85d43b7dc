"""Writes what an employee has set by phone: the answer to a question of :mod:`trunkline.calls.flows.employee_settings`."""

from __future__ import annotations

import contextlib
from typing import Any

from trunkline.calls.flows.number_plan import Setting
from trunkline.calls.switch.queue_commands import SET_STATUS, execute_queue_command
from trunkline.calls.switch.queues import CallQueues
from trunkline.calls.timers import Question
from trunkline.core.errors import NotFound
from trunkline.db.pool import Database
from trunkline.directory.agents.check_ins import check_in_by_code
from trunkline.directory.employees.by_phone import write_setting
from trunkline.directory.employees.changes import set_available


async def change_setting(
    db: Database, queues: CallQueues | None, account_id: int, question: Question
) -> dict[str, Any]:
    """The answer.

    :raises NotFound: the number to check in does not exist any more.
    :raises InvalidState: there is another check-in.
    """
    if question.data["setting"] != Setting.CHECK_IN:
        return await write_setting(db, account_id, question.data)

    async def set_status(employee_id: int, status: str) -> None:
        params = {"employee_id": employee_id, "status": status}
        with contextlib.suppress(NotFound):  # in no queue: the device is all that it gets
            await execute_queue_command(queues, account_id, SET_STATUS, params)

    employee_id = await check_in_by_code(db, account_id, question.data, set_status)
    await set_available(db, account_id, employee_id)
    return {"result": "written"}
