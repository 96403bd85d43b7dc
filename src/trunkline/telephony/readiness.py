"""Shows Asterisk whether a switch takes new calls and transfers by phones (decision 0068).

A switch that does has an ARI application registered which nothing enters and which follows nothing, so it costs no events.
Asterisk removes it as soon as its connection is lost, however the switch ended. The event stream of calls is no such sign:
it is open before the recovery, and Asterisk keeps its application when the connection is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from trunkline.core.errors import EffectRefused
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.telephony.ari import AriAddress, AriClient, Connected
from trunkline.telephony.bad_messages import BadMessages
from trunkline.telephony.config.dialplan import READY

_log = get_logger("telephony")

_BEGIN_SECONDS = 2.0
"""How long :meth:`Readiness.begin` waits for Asterisk; the connection is tried until :meth:`Readiness.end` afterwards."""


class Readiness:
    """An async context manager.

    :param shown: whether the dialplan of Asterisk has what is registered; raises :class:`EngineError`.
    """

    def __init__(self, address: AriAddress, bad: BadMessages, shown: Callable[[], Awaitable[bool]]) -> None:
        self._address = address
        self._bad = bad
        self._shown = shown
        self._client: AriClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._decided = asyncio.Event()
        """Asterisk has registered it, or it has ended before."""
        self.registered = asyncio.Event()
        """Asterisk offers new calls, as far as is known here."""
        self._former: set[asyncio.Task[None]] = set()
        self.times_registered = 0
        """How often Asterisk began to offer new calls. Between two times they wait in the dialplan."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        await asyncio.gather(*self._former, return_exceptions=True)

    async def begin(self) -> None:
        """From now on calls are taken; returns when Asterisk has registered it, or after ``_BEGIN_SECONDS``."""
        if self._task is not None:
            return
        self._client = client = AriClient(self._address, READY, connections=1, bad=self._bad)
        self._decided = asyncio.Event()
        self._task = core_task(self._hold(client), name="readiness")
        await self._wait_decided()

    def end(self) -> None:
        """From now on no call is taken."""
        if self._task is not None:
            self._task.cancel()
            self._former.add(self._task)
            self._task.add_done_callback(self._former.discard)
            self._decided.set()
        self.registered.clear()
        self._task = self._client = None

    async def check(self) -> None:
        """Verify in Asterisk that calls are offered while they are taken.

        :raises EffectRefused: they are not; it is registered again then.
        :raises EngineError: Asterisk does not respond.
        """
        client = self._client
        if client is None:
            return
        await self._wait_decided()
        if await self._shown() or client is not self._client:
            return
        if client.is_up:
            # The end of a former connection may have reached Asterisk after the begin of this one.
            _log.warning(
                "new_calls_not_offered",
                consequence="new calls wait with ring-back until the switch is registered for them again, at once",
            )
            self.end()
            await self.begin()
        raise EffectRefused("Asterisk does not offer new calls to the switch yet")

    async def _wait_decided(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_BEGIN_SECONDS):
                await self._decided.wait()

    async def _hold(self, client: AriClient) -> None:
        if self._former:
            await asyncio.wait(self._former)
        async with client:
            async for event in client.events():
                if isinstance(event, Connected):
                    self.times_registered += 1
                    self.registered.set()
                    self._decided.set()
