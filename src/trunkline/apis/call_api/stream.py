"""``GET /v4.0/stream``: the transitions of calls over a WebSocket, as they happen. Of our own; no method of the API.

Rights are those of ``list.calls``. The token comes in ``access_token`` or as ``Authorization: Bearer``, which keeps
it out of the logs of proxies. A refusal before the upgrade has the API's error as JSON; how a stream ends:
:mod:`trunkline.apis.event_sockets`. After 1012 and 1013 the client connects again, with ``after`` when it watches one call.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from trunkline.apis.address import AddressOf
from trunkline.apis.event_sockets import EventSockets, Watching
from trunkline.apis.jsonrpc.access import check_access
from trunkline.apis.jsonrpc.declare import Method
from trunkline.apis.jsonrpc.errors import SILENT, RpcError, rpc_error, translate
from trunkline.apis.jsonrpc.params import to_number
from trunkline.apis.jsonrpc.service_spec import ServiceSpec
from trunkline.apis.service.check_limit import CheckLimit
from trunkline.apis.service.request_context import CallerLike, Services
from trunkline.core.clock import to_text
from trunkline.core.errors import TrunklineError
from trunkline.events.catalogue import Event
from trunkline.events.feed import CallFeed, Watch
from trunkline.events.store import call_events

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


@dataclass(frozen=True, slots=True)
class Query(Watching):
    """What a client asks for. ``after`` only with a call: events past this number come first."""

    after: int | None = None


class StreamEndpoint(EventSockets[Query]):
    """The route of the stream.

    :param service_spec: of the Call API; the stream requires the rights of its ``list.calls``.
    """

    refusals = (RpcError, TrunklineError)

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
        super().__init__(f"{service_spec.path}/stream", services, feed, address_of, check_limit)
        self._service_spec = service_spec
        self._method: Method = method

    def token_of(self, request: web.Request) -> str:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        return request.query.get("access_token") or bearer

    def is_silent(self, error: Exception) -> bool:
        return isinstance(error, TrunklineError) and error.mnemonic in SILENT

    def too_many(self, limit_type: str, most: int | None) -> RpcError:
        params = {"limit_type": limit_type, "limit_max_value": most}
        return rpc_error(self._service_spec.api, "limit_exceeded", params=params)

    def query(self, request: web.Request, client_ip: str) -> Query:
        """:raises RpcError: a parameter is missing or unusable."""
        token = self.token_of(request)
        if not token:
            raise self._error("required_parameter_missed", "access_token")
        call_session_id = self._number(request, "call_session_id", 1)
        after = self._number(request, "after", 0)
        if after is not None and call_session_id is None:
            raise self._error("invalid_parameters_combination", "after", after)
        return Query(token, client_ip, call_session_id, after)

    def _number(self, request: web.Request, name: str, minimum: int) -> int | None:
        text = request.query.get(name)
        if text is None:
            return None
        number = to_number(text)
        if number is None or not minimum <= number < 2**63:
            raise self._error("invalid_parameter_value", name, text)
        return int(number)

    async def check(self, query: Query) -> CallerLike:
        """The stages of a request to ``list.calls``, without its points.

        :raises RpcError: see :func:`check_access`.
        :raises TrunklineError: token or address.
        """
        accounts, api = self._services.accounts, self._service_spec.api
        caller = await accounts.authenticate(query.token, api)
        accounts.check_address(caller, query.client_ip)
        check_access(self._service_spec, self._method, caller)
        return caller

    async def messages(self, watch: Watch, account_id: int, query: Query) -> AsyncGenerator[str, None]:
        async for event in self._events(watch, account_id, query):
            yield message_of(event)

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

    def _error(self, mnemonic: str, field: str, value: Any = None) -> RpcError:
        return rpc_error(self._service_spec.api, mnemonic, field=field, value=value)

    def refusal(self, error: Exception) -> web.Response:
        rpc_failure = error if isinstance(error, RpcError) else None
        if isinstance(error, TrunklineError):
            rpc_failure = translate(error, self._service_spec.api, self._method)
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
            "time": to_text(event.at),
            "data": shown,
        }
    ).decode()
