"""Queues as they are now: who waits, who talks, what the agents do; by server-sent events while the page is open."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from trunkline.accounts.permissions import Permission
from trunkline.apis.service.request_context import SwitchPort
from trunkline.apis.service.workloads import Workload
from trunkline.calls.switch.queue_commands import AgentCommands, AgentView
from trunkline.console.languages import translatable
from trunkline.console.live_source import LiveSource, Snapshot
from trunkline.console.live_stream import send_changes
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import PageRequest

READ_QUEUES: Permission = ("queues", "select")
CHANGE_QUEUES: Permission = ("queues", "update")
READ_AGENTS: Permission = ("agents", "select")

PATH = "/console/queues"

_ = translatable


@dataclass(frozen=True, slots=True)
class QueuesNow:
    """Agents and queues at one moment; equal to another one when nothing has happened between.

    :ivar queues: as of :meth:`~trunkline.calls.switch.queue_commands.AgentCommands.queues`, with ``waiting_since`` in
        place of ``longest_wait``, and of each caller ``since`` in place of ``waited`` and ``score``: Unix seconds.
    """

    agents: tuple[AgentView, ...] = ()
    queues: tuple[Mapping[str, Any], ...] = ()

    def agents_of(self, queue_id: int) -> list[AgentView]:
        """Who is an agent of a queue."""
        return [one for one in self.agents if queue_id in one.queue_ids]

    def agent(self, employee_id: int | None) -> AgentView | None:
        """One agent; None: the employee is none."""
        return next((one for one in self.agents if one.agent_id == employee_id), None)


async def _ask(switch: SwitchPort, account_id: int, last: QueuesNow | None) -> QueuesNow:
    found = await AgentCommands(switch).live(account_id)
    now = time.time()
    queues = last.queues if last is not None else ()
    known = {one["caller_id"]: one["since"] for queue in queues for one in queue["callers"]}
    return QueuesNow(tuple(found.agents), tuple(_steady(one, known, now) for one in found.queues))


def _steady(queue: Mapping[str, Any], known: Mapping[int, int], now: float) -> Mapping[str, Any]:
    """A queue with the moments at which waiting began in place of durations."""
    callers = [
        {
            **{name: value for name, value in one.items() if name not in ("waited", "score")},
            "since": known.get(one["caller_id"], round(now - one["waited"])),
        }
        for one in queue["callers"]
    ]
    rest = {name: value for name, value in queue.items() if name not in ("longest_wait", "callers")}
    return {**rest, "callers": callers, "waiting_since": min((one["since"] for one in callers), default=None)}


QUEUES = LiveSource(_ask)
"""The queues of each account."""


async def _show(page_request: PageRequest) -> web.StreamResponse:
    found = await QUEUES.now(page_request.account_id, page_request.services.switch)
    return page_request.page(
        "queues.html", may_link=page_request.may(CHANGE_QUEUES), **_values(page_request, found)
    )


async def _stream(page_request: PageRequest) -> web.StreamResponse:
    async def values() -> Mapping[str, Any]:
        return _values(page_request, await QUEUES.now(page_request.account_id, page_request.services.switch))

    return await send_changes(
        page_request, "queues_part.html", (QUEUES,), values, key=(page_request.may(READ_AGENTS),)
    )


def _values(page_request: PageRequest, found: Snapshot[QueuesNow]) -> dict[str, Any]:
    now = found.value or QueuesNow()
    agents = (
        {queue["queue_id"]: now.agents_of(queue["queue_id"]) for queue in now.queues}
        if page_request.may(READ_AGENTS)
        else {}
    )
    return {"queues": now.queues, "agents": agents, "problem": found.problem}


PAGES = (
    Page(PATH, _show, READ_QUEUES, workload=Workload.COMMAND),
    Page(f"{PATH}/stream", _stream, READ_QUEUES, workload=Workload.COMMAND),
)
ENTRIES = (Entry(PATH, _("Queues"), lambda caller: caller.may(*READ_QUEUES)),)
