"""``GET /v4.0/stream``: the transitions of calls over a WebSocket, as they happen. Of our own; no method of the API.

Rights are those of ``list.calls``. The token comes in ``access_token`` or as ``Authorization: Bearer``, which keeps
it out of the logs of proxies. Before the upgrade a refusal is an HTTP error with the API's error as JSON; after it
the close code has the reason: 1008 the permission was revoked, or the client sends too much; 1012 events may have been
missed; 1013 the client is too slow, or the account's streams send too much. After 1012 and 1013 the client connects again,
with ``after`` when it watches one call.

The client has nothing to send but answers to pings; how much it may send is bounded
(:mod:`trunkline.apis.service.incoming_budget`). To open a stream costs no points, so it counts as a request that is refused
(:mod:`trunkline.apis.service.check_limit`).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from trunkline.apis.address import AddressOf
from trunkline.apis.jsonrpc.access import check_access
from trunkline.apis.jsonrpc.declare import Method
from trunkline.apis.jsonrpc.errors import SILENT, RpcError, rpc_error, translate
from trunkline.apis.jsonrpc.params import to_number
from trunkline.apis.jsonrpc.service_spec import ServiceSpec
from trunkline.apis.listener import limit_incoming
from trunkline.apis.request_share import CHECK, counts_itself
from trunkline.apis.service.body_allowance import AllowanceExceeded
from trunkline.apis.service.check_limit import REFUSAL_SECONDS, CheckLimit, RequestCheck
from trunkline.apis.service.incoming_budget import IncomingBudget, IncomingBudgets
from trunkline.apis.service.request_context import CallerLike, Services
from trunkline.core.clock import to_datetime
from trunkline.core.errors import TrunklineError, Unavailable
from trunkline.events.catalogue import Event
from trunkline.events.feed import CallFeed, EndReason, Watch, WatchEnded
from trunkline.events.store import call_events

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

SHOWN = (
    "leg_id",
    "operator_leg_id",
    "target_leg_id",
    "role",
    "side",
    "direction",
    "calling_phone_number",
    "called_phone_number",
    "virtual_phone_number",
    "contact_phone_number",
    "contact_full_name",
    "employee_id",
    "employee_full_name",
    "external_id",
    "is_internal",
    "scenario_id",
    "scenario_name",
    "operation_name",
    "is_first_answer",
    "mode",
    "key",
    "tag_id",
    "tag_name",
    "finish_reason",
    "is_failed",
    "is_lost",
    "is_transfer",
    "wait_duration",
    "talk_duration",
    "clean_talk_duration",
    "total_duration",
    "recording_id",
    "file_duration",
)
"""Members of an event that clients get; all others (channels, files, plans) are internal."""

_STATUS = {
    "limit_exceeded": 429,
    "internal_error": 503,
    "access_token_invalid": 401,
    "access_token_expired": 401,
}
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
class Query:
    """What a client asks for. ``after`` only with a call: events past this number come first."""

    token: str
    call_session_id: int | None
    after: int | None


class StreamEndpoint:
    """The route of the stream.

    :param service_spec: of the Call API; the stream requires the rights of its ``list.calls``.
    """

    def __init__(
        self,
        service_spec: ServiceSpec,
        services: Services,
        feed: CallFeed,
        address_of: AddressOf,
        check_limit: CheckLimit,
    ) -> None:
        method = service_spec.find("list.calls")
        if method is None:
            raise ValueError("the stream needs list.calls")
        self._service_spec = service_spec
        self._method: Method = method
        self._services = services
        self._feed = feed
        self._address_of = address_of
        self._check_limit = check_limit
        self._locks: dict[int, tuple[float, bool]] = {}
        self._budgets = IncomingBudgets()
        self._open: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.get(f"{self._service_spec.path}/stream", self.stream)]

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
            return self._refusal(self._too_many("requests", None))
        except (RpcError, TrunklineError) as error:
            return self._refusal(error)
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_SECONDS, max_msg_size=MESSAGE_MAX, autoping=False, timeout=CLOSE_SECONDS
        )
        budget = self._budgets.open(caller.account_id)
        limit_incoming(request, budget.take)
        with self._feed.watching(caller.account_id, query.call_session_id) as watch:
            await socket.prepare(request)
            self._open.add(socket)
            try:
                await self._converse(socket, watch, caller, query, client_ip, budget)
            finally:
                self._open.discard(socket)
        return socket

    async def _checked(self, request: web.Request, client_ip: str) -> tuple[Query, CallerLike]:
        """Who begins to watch what, when the sender has a place for the check.

        :raises RpcError: a parameter, or what :func:`check_access` refuses.
        :raises TrunklineError: token or address, or too many requests of the sender wait.
        :raises AllowanceExceeded: the address, or the account, sends too many requests.
        """
        check = request[CHECK] = self._check_limit.request_with(_token_of(request), client_ip, OPENING_COST)
        try:
            async with check:
                query = self._query(request)
                caller = await self._identified(query.token, client_ip, check)
        except (RpcError, TrunklineError):
            await check.delay_refusal()
            raise
        if not await check.delay_refusal():
            raise AllowanceExceeded
        return query, caller

    async def _identified(self, token: str, client_ip: str, check: RequestCheck) -> CallerLike:
        try:
            caller = await self._check(token, client_ip)
        except TrunklineError as error:
            if error.mnemonic in SILENT:
                check.token_refused()
            raise
        check.identified(caller.account_id)
        return caller

    def _check_streams(self, account_id: int) -> None:
        """:raises RpcError: the account may open no further stream."""
        if self._feed.watchers(account_id) >= STREAMS_MAX:
            raise self._too_many("streams", STREAMS_MAX)
        if self._budgets.is_used_up(account_id):
            raise self._too_many("streams", None)

    def _too_many(self, limit_type: str, most: int | None) -> RpcError:
        params = {"limit_type": limit_type, "limit_max_value": most}
        return rpc_error(self._service_spec.api, "limit_exceeded", params=params)

    def _query(self, request: web.Request) -> Query:
        """:raises RpcError: a parameter is missing or unusable."""
        token = _token_of(request)
        if not token:
            raise self._error("required_parameter_missed", "access_token")
        call_session_id = self._number(request, "call_session_id", 1)
        after = self._number(request, "after", 0)
        if after is not None and call_session_id is None:
            raise self._error("invalid_parameters_combination", "after", after)
        return Query(token, call_session_id, after)

    def _number(self, request: web.Request, name: str, minimum: int) -> int | None:
        text = request.query.get(name)
        if text is None:
            return None
        number = to_number(text)
        if number is None or not minimum <= number < 2**63:
            raise self._error("invalid_parameter_value", name, text)
        return int(number)

    async def _check(self, token: str, client_ip: str) -> CallerLike:
        """The stages of a request to ``list.calls``, without its points.

        :raises RpcError: see :func:`check_access`.
        :raises TrunklineError: token or address.
        """
        accounts, api = self._services.accounts, self._service_spec.api
        caller = await accounts.authenticate(token, api)
        accounts.check_address(caller, client_ip)
        check_access(self._service_spec, self._method, caller)
        return caller

    async def _converse(
        self,
        socket: web.WebSocketResponse,
        watch: Watch,
        caller: CallerLike,
        query: Query,
        client_ip: str,
        budget: IncomingBudget,
    ) -> None:
        """Send until one side ends it."""
        sending = asyncio.create_task(self._send(socket, watch, caller, query), name="stream")
        checking = asyncio.create_task(
            self._keep_checking(query.token, client_ip, caller.account_id), name="stream-check"
        )
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
        self, socket: web.WebSocketResponse, watch: Watch, caller: CallerLike, query: Query
    ) -> tuple[int, bytes]:
        """Send events until none come any more; how to close then."""
        try:
            async for event in self._events(watch, caller.account_id, query):
                async with asyncio.timeout(SEND_SECONDS):
                    await socket.send_str(message_of(event))
        except WatchEnded as ended:
            return _ENDINGS[ended.reason]
        except Unavailable:
            return _ENDINGS[EndReason.MISSED]
        except (ConnectionError, TimeoutError):
            return _ENDINGS[EndReason.TOO_SLOW]
        return _ENDINGS[EndReason.MISSED]

    async def _events(self, watch: Watch, account_id: int, query: Query) -> AsyncIterator[Event]:
        """What was before, when asked for, then what comes; nothing of one call twice."""
        last = query.after or 0
        if query.call_session_id is not None and query.after is not None:
            async with self._services.db.for_account(account_id).connection() as connection:
                known = await call_events(connection, account_id, query.call_session_id, after=last)
            for event in known:
                last = event.seq
                yield event
        while True:
            event = await watch.next()
            if query.call_session_id is None:
                yield event
            elif event.seq > last:
                last = event.seq
                yield event

    async def _keep_checking(self, token: str, client_ip: str, account_id: int) -> None:
        """Return when the rights are gone; an unavailable database revokes none."""
        checked = time.monotonic()
        while True:
            await asyncio.sleep(min(LOCK_SECONDS, RECHECK_SECONDS))
            try:
                is_due = time.monotonic() - checked >= RECHECK_SECONDS
                if not is_due and not await self._is_locked(account_id):
                    continue
                checked = time.monotonic()
                await self._check(token, client_ip)
            except Unavailable:
                continue
            except (RpcError, TrunklineError):
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

    def _error(self, mnemonic: str, field: str, value: Any = None) -> RpcError:
        return rpc_error(self._service_spec.api, mnemonic, field=field, value=value)

    def _refusal(self, error: RpcError | TrunklineError) -> web.Response:
        rpc_failure = (
            error if isinstance(error, RpcError) else translate(error, self._service_spec.api, self._method)
        )
        if rpc_failure is None:
            rpc_failure = rpc_error(self._service_spec.api, "internal_error")
        status = _STATUS.get(rpc_failure.mnemonic, {-32001: 401, -32602: 400}.get(rpc_failure.code, 403))
        body = orjson.dumps({"error": rpc_failure.as_json({})})
        return web.Response(status=status, body=body, content_type="application/json")


def message_of(event: Event) -> str:
    """A transition as clients see it: ``call_session_id``, ``seq`` (from 1, without gaps in a call), ``event``,
    ``time`` (ISO 8601, UTC) and ``data``."""
    shown = {name: event.data[name] for name in SHOWN if event.data.get(name) is not None}
    return orjson.dumps(
        {
            "call_session_id": event.call_session_id,
            "seq": event.seq,
            "event": event.type.value,
            "time": to_datetime(event.at).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "data": shown,
        }
    ).decode()


def _token_of(request: web.Request) -> str:
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    return request.query.get("access_token") or bearer


async def _until_closed(socket: web.WebSocketResponse, budget: IncomingBudget) -> None:
    """Answer the client's pings and discard its messages until it disconnects, or has sent too much."""
    async for message in socket:
        if not budget.take_frame():
            await budget.exceeded.wait()
            return
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
