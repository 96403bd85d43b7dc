"""What pages of a company's website ask for.

::

    GET  /site/loader.js                      the script that a page names: a few lines, which load the present widget
    GET  /site/static/NAME                    the widget and the SIP library; ?v=HASH is kept for a year
    POST /site/{site_key}/visit               {"visit", "visitor_id", "session_id", "hit_id", "state"}
    POST /site/{site_key}/call                a ticket and a credential for a call of the browser
    POST /site/{site_key}/callback            {"success", "result": {"status", "code"}}
    POST /site/{site_key}/visitor             name, mail address and number of the visitor
    POST /site/{site_key}/property[/set|/delete]

Bodies are JSON with any content type: with ``text/plain`` a browser sends no preflight. A request needs the header
``Origin`` of a page that the website allows, which no page of another website can send; other programs can, so limits
count by address, number and website, not by what a page says. Cookies are neither read nor set.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from trunkline.accounts.networks import network_of
from trunkline.accounts.secrets import Cipher
from trunkline.apis.address import AddressOf, address_reader
from trunkline.apis.body import BodyError, BodyNotStored, read_body
from trunkline.apis.request_share import CHECK
from trunkline.apis.service.request_context import Services
from trunkline.apis.sip_websocket import sip_websocket_url
from trunkline.calls.command_names import ANNOUNCE_CALL, SITE_STATE, START_CALLBACK
from trunkline.calls.command_names import CHECK as CHECK_COMMAND
from trunkline.core.errors import (
    InvalidInput,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Refused,
    TrunklineError,
    Unavailable,
)
from trunkline.core.phone import normalise
from trunkline.db.pool import Database
from trunkline.directory.sites.phone_credential import site_credential
from trunkline.site import bodies, requests, visits
from trunkline.site.requests import CallbackStarter, CallRequest, Kind
from trunkline.site.rules import VisitIds, ids_of, permits, visit_token
from trunkline.site.scripts import Scripts
from trunkline.site.sites import Website, Websites
from trunkline.site.visit_limits import VisitLimits

PREFIX = "/site/"
DAYS_AHEAD = 14
"""How far ahead a callback may be agreed."""
_IMMEDIATE = timedelta(seconds=60)
"""A callback at a time before this is made at once."""
_NEW_CREDENTIAL_SECONDS = 2
"""After which the engine has a new credential."""

_STATUS: tuple[tuple[type[TrunklineError], int], ...] = (
    (NotFound, 404),
    (PermissionDenied, 403),
    (LimitExceeded, 429),
    (InvalidInput, 400),
    (Refused, 409),
    (Unavailable, 503),
)
_NO_CALLS = {"is_open": False, "opens_at": None, "has_phone": False, "has_callback": False}
"""State of a website while no switch answers."""
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "600",
}


class Status:
    """``result.status`` of a callback, by the reference."""

    SENT = 0
    CAPTCHA = 1
    """Not in use: there is no captcha."""
    NO_SCENARIO = 2
    ERROR = 3
    LIMIT = 4


@dataclass(frozen=True, slots=True)
class PageRequest:
    """A request of a page that the website allows."""

    request: web.Request
    site: Website
    content: bytes
    address: str
    db: Database
    key: str
    """Of tokens of visits."""

    @property
    def sender(self) -> tuple[int, str]:
        """Whom limits concern: the website, and the network of the visitor."""
        return self.site.site_id, network_of(self.address)

    def ids(self, body: bodies.Body) -> VisitIds | None:
        return ids_of(self.key, self.site.site_id, body.visit)

    def visit(self, body: bodies.Body) -> VisitIds:
        """:raises InvalidInput: the visit has not begun."""
        ids = self.ids(body)
        if ids is None:
            raise InvalidInput("The visit has not begun here: load the page again.", field="visit")
        return ids


Handler = Callable[[PageRequest], Awaitable[Mapping[str, Any]]]


class Site:
    """The endpoints on the services of the web role.

    :raises Unavailable: without a database or a master key.
    """

    def __init__(self, services: Services, here: Path = Path(__file__).parent) -> None:
        if services.database is None or not isinstance(services.cipher, Cipher):
            raise Unavailable("Websites need the database and the master key.")
        self._services = services
        self._cipher = services.cipher
        self._db = services.database
        self._websites = Websites(services.database)
        self._limits = VisitLimits()
        self._address_of: AddressOf = address_reader(services.settings)
        self.callbacks = CallbackStarter(services.database, services.switch)
        self._scripts = Scripts(here / "static", services.settings.assets_dir)

    def routes(self) -> list[web.AbstractRouteDef]:
        """For the application of the web role."""
        key = "{site_key:[A-Za-z0-9_]{32}}"
        handlers: Mapping[str, Handler] = {
            "visit": self._visit,
            "call": self._call,
            "callback": self._callback,
            "visitor": self._visitor,
            "property": self._property,
            "property/set": self._set_property,
            "property/delete": self._delete_property,
        }
        found: list[web.AbstractRouteDef] = [*self._scripts.routes()]
        for name, handler in handlers.items():
            found.append(web.post(f"{PREFIX}{key}/{name}", functools.partial(self._serve, handler)))
            found.append(web.options(f"{PREFIX}{key}/{name}", self._preflight))
        return found

    # --- what every request passes

    async def _preflight(self, request: web.Request) -> web.Response:
        try:
            await self._site_of(request)
        except TrunklineError as error:
            return _error(error, {})
        return web.Response(status=204, headers={**_cors(request), **_PREFLIGHT})

    async def _site_of(self, request: web.Request) -> Website:
        """:raises NotFound: no such website; PermissionDenied: the page is not one of it."""
        site = await self._websites.of(request.match_info["site_key"])
        if site is None:
            raise NotFound("There is no website with this key, or calls from it are turned off.")
        origin = request.headers.get("Origin")
        if not permits(site.origins, site.domain_name, site.track_subdomains, origin):
            raise PermissionDenied("Pages of this origin may not ask for this website.", mnemonic="origin")
        return site

    async def _serve(self, handler: Handler, request: web.Request) -> web.Response:
        check = request[CHECK]
        allowed: dict[str, str] = {}
        try:
            async with check:
                site = await self._site_of(request)
            allowed = _cors(request)
            content = await self._body(request)
            page_request = PageRequest(
                request,
                site,
                content,
                self._address_of(request),
                self._db.for_account(site.account_id),
                self._cipher.derive(f"site-visit:{site.account_id}"),
            )
            answer = await handler(page_request)
        except TrunklineError as error:
            return _error(error, allowed)
        check.succeeded()
        headers = {**allowed, "Cache-Control": "no-store"}
        return web.json_response(dict(answer), headers=headers)

    async def _body(self, request: web.Request) -> bytes:
        seconds = self._services.settings.web.body_timeout
        try:
            return await read_body(request, limit=bodies.MAX, seconds=seconds)
        except BodyNotStored:
            raise
        except BodyError as error:
            raise InvalidInput(f"The body cannot be read; it has at most {bodies.MAX} bytes.") from error

    # --- visits

    async def _visit(self, page_request: PageRequest) -> Mapping[str, Any]:
        body, site = bodies.read(bodies.VisitBody, page_request.content), page_request.site
        agent = page_request.request.headers.get("User-Agent", "")
        self._limits.page(*page_request.sender)
        command = self._services.switch.command(site.account_id, SITE_STATE, {"site_id": site.site_id})
        try:
            state = await command
        except Unavailable:
            state = _NO_CALLS  # the visit is kept, and the page has its token
        ids = await visits.begin_or_go_on(
            page_request.db,
            site,
            page_request.ids(body),
            body,
            address=page_request.address,
            agent=agent,
            may_begin=lambda: self._limits.visit(*page_request.sender),
        )
        return {
            "success": True,
            "visit": visit_token(page_request.key, site.site_id, ids),
            "visitor_id": ids.visitor_id,
            "session_id": ids.visitor_session_id,
            "site_id": site.site_id,
            "cookie_lifetime": site.cookie_lifetime,
            "state": state,
        }

    async def _visitor(self, page_request: PageRequest) -> Mapping[str, Any]:
        body = bodies.read(bodies.VisitorBody, page_request.content)
        self._limits.change(*page_request.sender)
        kept = await visits.add_visitor_info(
            page_request.db, page_request.site, page_request.visit(body), body
        )
        return {"success": kept}

    async def _property(self, page_request: PageRequest) -> Mapping[str, Any]:
        body = bodies.read(bodies.PropertyBody, page_request.content)
        self._limits.change(*page_request.sender)
        found = await visits.properties_of(page_request.db, page_request.site, page_request.visit(body))
        return {"success": True, "has": body.name in found, "value": found.get(body.name)}

    async def _set_property(self, page_request: PageRequest) -> Mapping[str, Any]:
        body = bodies.read(bodies.PropertyBody, page_request.content)
        self._limits.change(*page_request.sender)
        await visits.set_property(
            page_request.db, page_request.site, page_request.visit(body), body.name, body.value
        )
        return {"success": True}

    async def _delete_property(self, page_request: PageRequest) -> Mapping[str, Any]:
        body = bodies.read(bodies.PropertyBody, page_request.content)
        self._limits.change(*page_request.sender)
        await visits.delete_property(page_request.db, page_request.site, page_request.visit(body), body.name)
        return {"success": True}

    # --- calls

    async def _call(self, page_request: PageRequest) -> Mapping[str, Any]:
        """What the browser needs for one call: where, as whom, and what to dial."""
        body, site = bodies.read(bodies.PhoneBody, page_request.content), page_request.site
        self._limits.call(*page_request.sender)
        server = sip_websocket_url(self._services.settings.sip.wss_port, page_request.request.url.host)
        ids = page_request.ids(body)
        credential = await site_credential(page_request.db, site.account_id, site.site_id)
        if credential is None:
            raise NotFound("This website has no site phone.")
        call_request = CallRequest(
            Kind.PHONE, network_of(page_request.address), ids, body.url, name=body.name
        )
        site_call_id = (await requests.accept(page_request.db, site, call_request)).site_call_id
        visit, name = await visits.visit_of_call(
            page_request.db, site.account_id, site.site_id, ids, body.url
        )
        params = {"site_id": site.site_id, "visit": visit, "visitor_name": body.name or name}
        try:
            ticket = await self._services.switch.command(site.account_id, ANNOUNCE_CALL, params)
        except TrunklineError as error:
            reason = error.mnemonic or "refused"
            await requests.finish(page_request.db, site.account_id, site_call_id, "refused", reason=reason)
            raise
        return {
            "success": True,
            "server": server,
            "user": credential.user,
            "realm": credential.realm,
            "ha1": credential.ha1,
            "wait_ms": 1000 * _NEW_CREDENTIAL_SECONDS if credential.is_new else 0,
            "ticket": ticket["ticket"],
            "library": self._scripts.path("jssip.js"),
        }

    async def _callback(self, page_request: PageRequest) -> Mapping[str, Any]:
        """The reference's answer: errors are statuses, too."""
        try:
            body = bodies.read(bodies.CallbackBody, page_request.content)
            at = await self._request_callback(page_request, body)
        except LimitExceeded as error:
            return _result(Status.LIMIT, error.mnemonic or "limit_exceeded", error.message)
        except TrunklineError as error:
            if error.mnemonic == "scenario_not_specified":
                return _result(Status.NO_SCENARIO, error.mnemonic, error.message)
            message = error.remedy if isinstance(error, Unavailable) else error.message
            return _result(Status.ERROR, error.mnemonic or "error", message)
        return _result(Status.SENT, "ok", call_time=at)

    async def _request_callback(self, page_request: PageRequest, body: bodies.CallbackBody) -> str | None:
        """When the visitor is called back, ISO 8601; None: now."""
        site, ids = page_request.site, page_request.ids(body)
        self._limits.call(*page_request.sender)
        params = {"site_id": site.site_id, "contact": body.phone, "group_id": body.group_id}
        command = {"command": START_CALLBACK, **params}
        await self._services.switch.command(site.account_id, CHECK_COMMAND, command)
        wanted = agreed_time(body.delayed_call_time, datetime.now(UTC))
        at = {"at": wanted.timestamp()} if wanted is not None else {}
        state = await self._services.switch.command(
            site.account_id, SITE_STATE, {"site_id": site.site_id, **at}
        )
        due_at = wanted
        if not state["is_open"]:
            if state["opens_at"] is None:
                raise InvalidInput("The company takes no calls.", mnemonic="outside_working_hours")
            due_at = datetime.fromisoformat(state["opens_at"])
        call_request = CallRequest(
            Kind.CALLBACK,
            network_of(page_request.address),
            ids,
            body.url,
            normalise(body.phone),
            due_at,
            body.group_id,
            body.name,
        )
        accepted = await requests.accept(page_request.db, site, call_request)
        if accepted.due_at > datetime.now(UTC):
            return accepted.due_at.isoformat()
        self.callbacks.wake()
        return None


def agreed_time(milliseconds: int | None, now: datetime) -> datetime | None:
    """When a callback was agreed; None: at once, also for a time that is over.

    :raises InvalidInput: it is too far ahead.
    """
    if milliseconds is None:
        return None
    if milliseconds > (now + timedelta(days=DAYS_AHEAD)).timestamp() * 1000:
        raise InvalidInput(f"Choose a time within {DAYS_AHEAD} days.", field="delayed_call_time")
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at if at > now + _IMMEDIATE else None


def _error(error: TrunklineError, allowed: Mapping[str, str]) -> web.Response:
    status = next((one for kind, one in _STATUS if isinstance(error, kind)), 500)
    message = error.remedy if isinstance(error, Unavailable) else error.message
    content = {"success": False, "error": message, "code": error.mnemonic}
    return web.json_response(content, status=status, headers={"Vary": "Origin", **allowed})


def _cors(request: web.Request) -> dict[str, str]:
    return {"Access-Control-Allow-Origin": request.headers["Origin"], "Vary": "Origin"}


def _result(status: int, code: str, message: str = "", *, call_time: str | None = None) -> Mapping[str, Any]:
    result: dict[str, Any] = {"status": status, "code": code}
    if message:
        result["message"] = message
    if call_time is not None:
        result["call_time"] = call_time
    return {"success": status == Status.SENT, "result": result}
