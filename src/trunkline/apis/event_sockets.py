"""WebSockets on which a client gets events as they happen: who may watch, for how long, and how it ends.

Before the upgrade a refusal is an HTTP error; later the close code has the reason: 1008 the permission was revoked, or the
client sends too much; 1012 events may have been missed; 1013 the client is too slow, or the account's streams send too much.
After 1012 and 1013 the client connects again.

The client has nothing to send but answers to pings; how much it may send is bounded
(:mod:`trunkline.apis.service.incoming_budget`). To open a stream costs no points, so it counts as a request that is refused
(:mod:`trunkline.apis.service.check_limit`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Generic, TypeVar

from aiohttp import WSCloseCode, WSMsgType, web

from trunkline.apis.address import AddressOf
from trunkline.apis.listener import limit_incoming
from trunkline.apis.request_share import CHECK, counts_itself
from trunkline.apis.service.body_allowance import AllowanceExceeded
from trunkline.apis.service.check_limit import REFUSAL_SECONDS, CheckLimit, RequestCheck
from trunkline.apis.service.incoming_budget import IncomingBudget, IncomingBudgets
from trunkline.apis.service.request_context import CallerLike, Services
from trunkline.core.errors import TrunklineError, Unavailable
from trunkline.events.feed import CALLS, CallFeed, EndReason, Watch, WatchEnded

MESSAGE_MAX = 4096
"""Bytes of a message from the client, inflated; all of them are ignored."""
HEARTBEAT_SECONDS = 20.0
"""Between two pings; a client that answers none is gone."""

RECHECK_SECONDS = 30.0
"""Seconds between two checks of the client's rights."""

LOCK_SECONDS = 2.0
"""Seconds between two reads of whether the account is locked: one read for all its streams."""

STREAMS_MAX = 100
"""Streams of one account in one web process."""

SEND_SECONDS = 10.0
"""A client that takes no message for so long is too slow."""

CLOSE_SECONDS = 5.0
"""For which a client's answer to the close is awaited."""

OPENING_COST = 24 * 1024
"""Bytes that the opening of a stream counts in addition to those of a request: together 32 a second, 128 at once."""

_ENDINGS = {
    EndReason.TOO_SLOW: (WSCloseCode.TRY_AGAIN_LATER, b"too slow: connect again"),
    EndReason.MISSED: (WSCloseCode.SERVICE_RESTART, b"events may have been missed: connect again"),
}
_REVOKED = (WSCloseCode.POLICY_VIOLATION, b"the right to watch is gone")
_SENT_TOO_MUCH = (WSCloseCode.POLICY_VIOLATION, b"the client sends too much: it only has to answer pings")
_ACCOUNT_SENT_TOO_MUCH = (
    WSCloseCode.TRY_AGAIN_LATER,
    b"the account's streams send too much: they only have to answer pings; connect again later",
)


@dataclass(frozen=True, slots=True)
class Watching:
    """What a client asks for, and from where.

    :ivar call_session_id: only events of this call.
    """

    token: str
    client_ip: str
    call_session_id: int | None = None


Q = TypeVar("Q", bound=Watching)


class EventSockets(ABC, Generic[Q]):
    """The route of one kind of stream.

    :cvar kinds: of the streams of events that are watched.
    :cvar refusals: what :meth:`query` and :meth:`check` raise.
    """

    kinds: frozenset[str] = CALLS
    refusals: tuple[type[Exception], ...] = (TrunklineError,)

    def __init__(
        self, path: str, services: Services, feed: CallFeed, address_of: AddressOf, check_limit: CheckLimit
    ) -> None:
        self._path = path
        self._services = services
        self._feed = feed
        self._address_of = address_of
        self._check_limit = check_limit
        self._locks: dict[int, tuple[float, bool]] = {}
        self._budgets = IncomingBudgets()
        self._open: set[web.WebSocketResponse] = set()

    @abstractmethod
    def token_of(self, request: web.Request) -> str:
        """The token or key of a request; empty: it has none."""

    @abstractmethod
    def query(self, request: web.Request, client_ip: str) -> Q:
        """
        :raises Exception: one of ``refusals``: a parameter is missing or unusable.
        """

    @abstractmethod
    async def check(self, query: Q) -> CallerLike:
        """Who watches; also asked again while it watches.

        :raises Exception: one of ``refusals``.
        """

    @abstractmethod
    def is_silent(self, error: Exception) -> bool:
        """Whether an error means that the token is not valid."""

    @abstractmethod
    def too_many(self, limit_type: str, most: int | None) -> Exception:
        """The error for too many streams or requests."""

    @abstractmethod
    def refusal(self, error: Exception) -> web.Response:
        """The response to a request that is refused."""

    @abstractmethod
    def messages(self, watch: Watch, account_id: int, query: Q) -> AsyncGenerator[str, None]:
        """What is sent.

        :raises WatchEnded: no more events follow.
        """

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.get(self._path, self.stream)]

    async def close(self, _app: web.Application) -> None:
        """End all streams: the process stops. For ``app.on_shutdown``."""
        for socket in tuple(self._open):
            await socket.close(code=WSCloseCode.SERVICE_RESTART, message=b"connect again")

    @counts_itself
    async def stream(self, request: web.Request) -> web.StreamResponse:
        client_ip = self._address_of(request)
        try:
            query, caller = await self._checked(request, client_ip)
            self._check_streams(caller.account_id)
        except AllowanceExceeded:
            await asyncio.sleep(REFUSAL_SECONDS)
            return self.refusal(self.too_many("requests", None))
        except self.refusals as error:
            return self.refusal(error)
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_SECONDS, max_msg_size=MESSAGE_MAX, autoping=False, timeout=CLOSE_SECONDS
        )
        budget = self._budgets.open(caller.account_id)
        limit_incoming(request, budget.take)
        with self._feed.watching(caller.account_id, query.call_session_id, kinds=self.kinds) as watch:
            await socket.prepare(request)
            self._open.add(socket)
            try:
                await self._converse(socket, watch, caller, query, budget)
            finally:
                self._open.discard(socket)
        return socket

    async def _checked(self, request: web.Request, client_ip: str) -> tuple[Q, CallerLike]:
        """Who begins to watch what, when the sender has a place for the check.

        :raises AllowanceExceeded: the address, or the account, sends too many requests.
        :raises Exception: one of ``refusals``.
        """
        check = request[CHECK] = self._check_limit.request_with(
            self.token_of(request), client_ip, OPENING_COST
        )
        try:
            async with check:
                query = self.query(request, client_ip)
                caller = await self._identified(query, check)
        except self.refusals:
            await check.delay_refusal()
            raise
        if not await check.delay_refusal():
            raise AllowanceExceeded
        return query, caller

    async def _identified(self, query: Q, check: RequestCheck) -> CallerLike:
        try:
            caller = await self.check(query)
        except TrunklineError as error:
            if self.is_silent(error):
                check.token_refused()
            raise
        check.identified(caller.account_id)
        return caller

    def _check_streams(self, account_id: int) -> None:
        """:raises Exception: the account may open no further stream."""
        if self._feed.watchers(account_id) >= STREAMS_MAX:
            raise self.too_many("streams", STREAMS_MAX)
        if self._budgets.is_used_up(account_id):
            raise self.too_many("streams", None)

    async def _converse(
        self,
        socket: web.WebSocketResponse,
        watch: Watch,
        caller: CallerLike,
        query: Q,
        budget: IncomingBudget,
    ) -> None:
        """Send until one side ends it."""
        sending = asyncio.create_task(self._send(socket, watch, caller, query), name="stream")
        checking = asyncio.create_task(self._keep_checking(query, caller.account_id), name="stream-check")
        listening = asyncio.create_task(_until_closed(socket, budget), name="stream-in")
        exceeding = asyncio.create_task(budget.exceeded.wait(), name="stream-budget")
        tasks = (sending, checking, listening, exceeding)
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        code: int
        if exceeding in done:
            code, text = _ACCOUNT_SENT_TOO_MUCH if budget.is_of_account else _SENT_TOO_MUCH
        elif listening in done:
            return
        else:
            code, text = _REVOKED if checking in done else sending.result()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(SEND_SECONDS):
                await socket.close(code=code, message=text)

    async def _send(
        self, socket: web.WebSocketResponse, watch: Watch, caller: CallerLike, query: Q
    ) -> tuple[int, bytes]:
        """Send events until none come any more; how to close then."""
        try:
            async with contextlib.aclosing(self.messages(watch, caller.account_id, query)) as messages:
                async for message in messages:
                    async with asyncio.timeout(SEND_SECONDS):
                        await socket.send_str(message)
        except WatchEnded as ended:
            return _ENDINGS[ended.reason]
        except Unavailable:
            return _ENDINGS[EndReason.MISSED]
        except (ConnectionError, TimeoutError):
            return _ENDINGS[EndReason.TOO_SLOW]
        return _ENDINGS[EndReason.MISSED]

    async def _keep_checking(self, query: Q, account_id: int) -> None:
        """Return when the rights are gone; an unavailable database revokes none."""
        checked = time.monotonic()
        while True:
            await asyncio.sleep(min(LOCK_SECONDS, RECHECK_SECONDS))
            try:
                is_due = time.monotonic() - checked >= RECHECK_SECONDS
                if not is_due and not await self._is_locked(account_id):
                    continue
                checked = time.monotonic()
                await self.check(query)
            except Unavailable:
                continue
            except self.refusals:
                return

    async def _is_locked(self, account_id: int) -> bool:
        """Whether the account was locked when it was read last; a lock of one account is read by one of its streams."""
        now = time.monotonic()
        known = self._locks.get(account_id, (0.0, False))
        if now - known[0] < LOCK_SECONDS / 2:
            return known[1]
        self._locks[account_id] = (now, known[1])
        row = await self._services.db.fetch_one(
            "select status from accounts where account_id = %s", (account_id,)
        )
        is_locked = row is not None and row["status"] != "active"
        self._locks[account_id] = (now, is_locked)
        return is_locked


async def _until_closed(socket: web.WebSocketResponse, budget: IncomingBudget) -> None:
    """Answer the client's pings and discard its messages until it disconnects, or has sent too much."""
    async for message in socket:
        if not budget.take_frame():
            await budget.exceeded.wait()
            return
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
