"""``GET /api/events``: the events of the API over a WebSocket, as ``{"event": ..., "data": {...}}``.

They are those that are sent to the URL of the account, but only while the client is connected. How a stream ends:
:mod:`trunkline.apis.event_sockets`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from trunkline.accounts.permissions import Permission
from trunkline.apis.address import AddressOf, CountryOf
from trunkline.apis.call_center.processing import API, UNAUTHORIZED, check_caller, check_country, failure
from trunkline.apis.call_center.request_input import key_of_headers
from trunkline.apis.event_sockets import EventSockets, Watching
from trunkline.apis.service.check_limit import CheckLimit
from trunkline.apis.service.request_context import CallerLike, Services
from trunkline.core.errors import AuthenticationFailed, LimitExceeded, PermissionDenied, Unavailable
from trunkline.events.catalogue import Event
from trunkline.events.feed import CallFeed, Watch
from trunkline.events.store import call_events
from trunkline.notifications import call_center
from trunkline.notifications.facts import CallFacts, aggregate, apply
from trunkline.notifications.listener import center_background

PATH = "/api/events"

_PERMISSION: Permission = ("agents", "select")

_STORED_SECONDS, _POLL_SECONDS = 2.0, 0.1
"""How long an event of a queue waits for the events of its call."""

_CALLS_MAX = 2000
"""Calls whose facts one stream remembers; those of others are read again when they are needed."""


@dataclass(frozen=True, slots=True)
class CenterWatching(Watching):
    """:ivar country: from where the client comes; empty: not known."""

    country: str = ""


class CenterEventStream(EventSockets[CenterWatching]):
    """The route of the stream. It needs the permission ``agents: select``."""

    kinds = frozenset({"call", "queue", "agent"})

    def __init__(
        self,
        services: Services,
        feed: CallFeed,
        address_of: AddressOf,
        country_of: CountryOf,
        check_limit: CheckLimit,
    ) -> None:
        super().__init__(PATH, services, feed, address_of, check_limit)
        self._country_of = country_of

    def token_of(self, request: web.Request) -> str:
        return request.query.get("api_key") or key_of_headers(request.headers)

    def query(self, request: web.Request, client_ip: str) -> CenterWatching:
        """:raises AuthenticationFailed: there is no key."""
        token = self.token_of(request)
        if not token:
            raise AuthenticationFailed(UNAUTHORIZED)
        return CenterWatching(token, client_ip, country=self._country_of(request))

    async def check(self, query: CenterWatching) -> CallerLike:
        """:raises TrunklineError: key, address, country or permission."""
        accounts = self._services.accounts
        caller = await accounts.authenticate(query.token, API)
        accounts.check_address(caller, query.client_ip)
        check_country(caller.geo_limit, query.country)
        check_caller(caller, _PERMISSION)
        return caller

    def is_silent(self, error: Exception) -> bool:
        return isinstance(error, AuthenticationFailed | PermissionDenied)

    def too_many(self, limit_type: str, most: int | None) -> LimitExceeded:
        limit = "" if most is None else f" (at most {most})"
        return LimitExceeded(f"There are too many {limit_type} of this account or address{limit}")

    def refusal(self, error: Exception) -> web.Response:
        status, text = 403, str(error)
        if isinstance(error, AuthenticationFailed):
            status, text = 401, UNAUTHORIZED
        elif isinstance(error, LimitExceeded):
            status = 429
        elif isinstance(error, Unavailable):
            status, text = 503, error.remedy
        return web.Response(status=status, body=failure(text), content_type="application/json")

    async def messages(
        self, watch: Watch, account_id: int, query: CenterWatching
    ) -> AsyncGenerator[str, None]:
        calls: OrderedDict[int, CallFacts] = OrderedDict()
        while True:
            event = await watch.next()
            for name, data in await self._of_event(event, calls):
                yield orjson.dumps(call_center.message(name, data)).decode()

    async def _of_event(
        self, event: Event, calls: OrderedDict[int, CallFacts]
    ) -> list[tuple[str, dict[str, Any]]]:
        call, is_shown = call_center.call_of(event), event.type in call_center.TYPES
        if not is_shown and (call is None or call not in calls):
            return []
        facts = CallFacts() if call is None else await self._facts(event, call, calls)
        if not is_shown:
            return []
        background = call_center.CenterBackground()
        names = call_center.follow(event, facts)
        if names and call_center.needs_background(event, facts):
            async with self._services.db.for_account(event.account_id).connection() as connection:
                background = await center_background(connection, event, facts)
        return [(name.value, call_center.data_of(event, name, facts, background)) for name in names]

    async def _facts(self, event: Event, call: int, calls: OrderedDict[int, CallFacts]) -> CallFacts:
        """The facts of a call with this event. They are read when the stream did not see the call begin."""
        is_own = event.call_session_id == call
        if not is_own:
            return await self._facts_of_visit(event, call)
        known = calls.get(call)
        if known is None and event.seq == 1:
            known = calls[call] = CallFacts()
        elif known is None:
            found = await self._log(event.account_id, call)
            known = calls[call] = aggregate(one for one in found if one.seq < event.seq)
        apply(known, event)
        calls.move_to_end(call)
        if len(calls) > _CALLS_MAX:
            calls.popitem(last=False)
        return known

    async def _facts_of_visit(self, event: Event, call: int) -> CallFacts:
        """The facts of a call at an event of its queue, which may be stored a moment before those of the call."""
        deadline = asyncio.get_running_loop().time() + _STORED_SECONDS
        while True:
            found = await self._log(event.account_id, call)
            facts = aggregate(one for one in found if one.at <= event.at)
            if call_center.is_complete(event, facts):
                return facts
            if asyncio.get_running_loop().time() >= deadline:
                return aggregate(found)
            await asyncio.sleep(_POLL_SECONDS)

    async def _log(self, account_id: int, call: int) -> list[Event]:
        async with self._services.db.for_account(account_id).connection() as connection:
            return await call_events(connection, account_id, call)
