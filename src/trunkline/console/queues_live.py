"""Queues as they are now: who waits, who talks, what the agents do; by server-sent events while the page is open.

One process asks the switch once a second at most for each account, however many pages are open, and sends a page only what
differs from what it has.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from trunkline.accounts.permissions import Permission
from trunkline.apis.service.workloads import Workload
from trunkline.calls.switch.queue_commands import AgentCommands, LiveQueuesView
from trunkline.console.languages import translatable
from trunkline.console.page import Entry, Page
from trunkline.console.visit import Visit
from trunkline.core.errors import LimitExceeded, TrunklineError, Unavailable

READ_QUEUES: Permission = ("queues", "select")
READ_AGENTS: Permission = ("agents", "select")

PATH = "/console/queues"

STEP_SECONDS = 1.0
"""Between two questions to the switch about one account, and between two events of one page."""

STREAM_SECONDS = 30.0
"""After which a stream ends: the page connects again, and its session and permissions are checked."""

STREAMS_MAX = 300
"""Open streams of one account in one process."""

RETRY_MS = 1500
"""Milliseconds after which a page connects again."""

_ = translatable


class LiveQueues:
    """What the switch answered last, for each account.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[int, tuple[float, asyncio.Task[LiveQueuesView]]] = {}
        self.streams: Counter[int] = Counter()

    async def read(self, account_id: int, ask: Callable[[], Awaitable[LiveQueuesView]]) -> LiveQueuesView:
        """The queues of an account, no older than :data:`STEP_SECONDS`.

        :param ask: asks the switch; one question serves all who wait for it.
        :raises TrunklineError: of the question.
        """
        found = self._last.get(account_id)
        if found is None or self._clock() - found[0] >= STEP_SECONDS:
            if found is not None and not found[1].done():
                return await asyncio.shield(found[1])

            async def question() -> LiveQueuesView:
                return await ask()

            found = (self._clock(), asyncio.get_running_loop().create_task(question()))
            self._last[account_id] = found
            found[1].add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(found[1])


_live = LiveQueues()


async def _show(visit: Visit) -> web.StreamResponse:
    return visit.page("queues.html", **await _values(visit))


async def _stream(visit: Visit) -> web.StreamResponse:
    """``text/event-stream``: the inside of the page, each time it has changed."""
    if _live.streams[visit.account_id] >= STREAMS_MAX:
        raise LimitExceeded(_("Too many pages of queues are open."))
    response = web.StreamResponse(
        headers={**visit.frame.headers, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    _live.streams[visit.account_id] += 1
    try:
        await response.prepare(visit.request)
        await response.write(f"retry: {RETRY_MS}\n\n".encode())
        sent, end = "", time.monotonic() + STREAM_SECONDS
        while time.monotonic() < end:
            text = visit.part("queues_part.html", **await _values(visit))
            if text != sent:
                sent = text
                lines = "".join(f"data: {line}\n" for line in text.splitlines())
                await response.write(f"event: queues\n{lines}\n".encode())
            await asyncio.sleep(STEP_SECONDS)
        await response.write_eof()
    except ConnectionError:
        pass  # the page was closed
    finally:
        _live.streams[visit.account_id] -= 1
    return response


async def _values(visit: Visit) -> dict[str, Any]:
    commands = AgentCommands(visit.services.switch)
    try:
        found = await _live.read(visit.account_id, lambda: commands.live(visit.account_id))
    except Unavailable as error:
        return {"queues": [], "agents": {}, "problem": error.remedy}
    except TrunklineError as error:
        return {"queues": [], "agents": {}, "problem": error.message}
    agents = {
        queue["queue_id"]: [one for one in found.agents if queue["queue_id"] in one.queue_ids]
        for queue in found.queues
        if visit.may(READ_AGENTS)
    }
    return {"queues": found.queues, "agents": agents, "problem": None}


PAGES = (
    Page(PATH, _show, READ_QUEUES, workload=Workload.COMMAND),
    Page(f"{PATH}/stream", _stream, READ_QUEUES, workload=Workload.COMMAND),
)
ENTRIES = (Entry(PATH, _("Queues"), lambda caller: caller.may(*READ_QUEUES)),)
