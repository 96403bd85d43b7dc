"""A receiver of notifications on this machine: stores the requests, and fails on demand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from aiohttp import web

_ACCEPTED = 200


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came. ``at`` is Unix seconds; ``answered`` the status it got."""

    at: float
    path: str
    headers: Mapping[str, str]
    body: bytes
    answered: int

    def json(self) -> Any:
        return json.loads(self.body)


class WebhookReceiver:
    """An HTTP server on loopback, to be used as an async context manager.

    :ivar received: all requests, oldest first, refused ones included.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._answers: list[int] = []
        self._came = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where to send; any path is taken."""
        return f"http://127.0.0.1:{self._port}/events"

    @property
    def accepted(self) -> list[Received]:
        """The requests that were answered with success."""
        return [request for request in self.received if request.answered < 300]

    def answer_next(self, *statuses: int) -> None:
        """Answer the next requests with these HTTP statuses; then with success again."""
        self._answers.extend(statuses)

    async def wait_for(
        self, wanted: Callable[[list[Received]], bool], timeout: float = 40.0
    ) -> list[Received]:
        """The accepted requests once they match the condition; otherwise :class:`TimeoutError` with the requests."""
        try:
            async with asyncio.timeout(timeout):
                while not wanted(self.accepted):
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            bodies = [request.body.decode(errors="replace") for request in self.received]
            raise TimeoutError(
                f"the receiver did not get what was awaited in {timeout} s; got {bodies}"
            ) from None
        return self.accepted

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        at = time.time()
        status = self._answers.pop(0) if self._answers else _ACCEPTED
        self.received.append(Received(at, request.path, dict(request.headers), body, status))
        self._came.set()
        return web.Response(status=status)
