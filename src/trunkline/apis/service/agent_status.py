"""The status that agents choose at work: one action for the Call Center API and the console.

It is in two places: in the row of the employee, which every employee has, and in the queues, which agents only have.
"""

from __future__ import annotations

import contextlib

from trunkline.calls.switch.queue_commands import AgentCommands
from trunkline.core.errors import NotFound
from trunkline.db.pool import Database
from trunkline.directory.employees.changes import EmployeePatch, set_available, update_employee
from trunkline.directory.employees.statuses import is_available_status
from trunkline.queues.states import AgentStatus


async def set_queue_status(
    commands: AgentCommands, account_id: int, employee_id: int, status: str, reason: str | None = None
) -> None:
    """Set the status of an agent in the queues; nothing for an employee who is no agent.

    :param status: value of :class:`~trunkline.queues.states.AgentStatus`.
    """
    with contextlib.suppress(NotFound):
        await commands.set_status(account_id, employee_id, AgentStatus(status), reason)


async def set_pause(
    db: Database,
    commands: AgentCommands,
    account_id: int,
    employee_id: int,
    pause_id: int,
    *,
    checks_in: bool = False,
) -> None:
    """Begin a break, or end it.

    :param pause_id: id of the status of the break; 0, or the id of the status "available", ends the break.
    :param checks_in: the end of the break also makes an agent available who is logged out, as the console's button
        "Available" does. Without it, this is refused, and nothing has changed.
    :raises NotFound: no such employee or status.
    :raises InvalidState: the agent is logged out.
    """
    if pause_id and not await is_available_status(db, account_id, pause_id):
        patch = EmployeePatch(columns={"status_id": pause_id})
        await update_employee(db, account_id, employee_id, patch)
        await set_queue_status(commands, account_id, employee_id, AgentStatus.ON_BREAK.value, str(pause_id))
        return
    if checks_in:
        await set_queue_status(commands, account_id, employee_id, AgentStatus.AVAILABLE.value)
    else:
        with contextlib.suppress(NotFound):  # an employee who is no agent
            await commands.end_break(account_id, employee_id)
    await set_available(db, account_id, employee_id)
