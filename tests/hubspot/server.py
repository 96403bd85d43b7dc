"""A local HubSpot: portals with tokens, contacts, calls, tasks and owners; it refuses what HubSpot refuses, and misbehaves
on request."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from aiohttp import web

from trunkline.hubspot.api import BUSY, CONNECTED, LEFT_VOICEMAIL, NO_ANSWER, VERSION

DISPOSITIONS = {CONNECTED, NO_ANSWER, BUSY, LEFT_VOICEMAIL}
STATUSES = {"BUSY", "CALLING_CRM_USER", "CANCELED", "COMPLETED", "CONNECTING", "FAILED", "IN_PROGRESS", "NO_ANSWER",
            "QUEUED", "RINGING"}  # fmt: skip
PLURALS = {"contacts": "contact", "calls": "call", "tasks": "task"}
KNOWN = {
    "contact": {"firstname", "lastname", "email", "phone", "mobilephone", "hubspot_owner_id", "createdate",
                "hs_searchable_calculated_phone_number", "hs_searchable_calculated_mobile_number"},
    "call": {"hs_timestamp", "hs_call_title", "hs_call_body", "hs_call_direction", "hs_call_status",
             "hs_call_disposition", "hs_call_duration", "hs_call_from_number", "hs_call_to_number",
             "hs_call_recording_url", "hs_call_external_id", "hubspot_owner_id", "hs_call_source", "hs_call_app_id"},
    "task": {"hs_timestamp", "hs_task_subject", "hs_task_body", "hs_task_status", "hs_task_priority", "hs_task_type",
             "hubspot_owner_id"},
}  # fmt: skip
ASSOCIATIONS = {("call", 194): "contact", ("task", 204): "contact"}
SCOPES = {"crm.objects.contacts.read", "crm.objects.contacts.write", "crm.objects.owners.read", "oauth"}
_E164 = re.compile(r"\+[1-9]\d{6,14}")


class _Refusal(Exception):  # noqa: N818
    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "status": "error",
            "category": category,
            "message": message,
            "correlationId": "c-1",
            **more,
        }


@dataclass
class Object:
    object_id: str
    kind: str
    properties: dict[str, str]
    created: float
    contacts: set[str] = field(default_factory=set)
    is_archived: bool = False

    def as_json(self, names: list[str] | None = None) -> dict[str, Any]:
        shown = self.properties if names is None else {n: self.properties.get(n) for n in names}
        return {
            "id": self.object_id,
            "properties": shown,
            "archived": self.is_archived,
            "createdAt": datetime.fromtimestamp(self.created, UTC).isoformat(),
        }


@dataclass
class Request:
    at: float
    method: str
    path: str
    portal_id: int | None
    body: Any
    status: int = 0

    @property
    def is_search(self) -> bool:
        return self.path.endswith("/search")

    @property
    def is_create(self) -> bool:
        return self.method == "POST" and self.path.split("/")[-1] in PLURALS


Trouble = Callable[[Request], Any]
"""Called before a request is carried out: a response in its place, or None. See :class:`Cut`."""


@dataclass(frozen=True)
class Cut:
    """The connection is cut; ``stored``: after the request was carried out."""

    stored: bool
    half: bool = False
    """Of an engagement only the time, our own id and the status are stored."""


@dataclass
class Portal:
    portal_id: int
    tokens: dict[str, float] = field(default_factory=dict)
    """Seconds (Unix time) at which each ends."""
    refresh_tokens: set[str] = field(default_factory=set)
    scopes: set[str] = field(default_factory=lambda: set(SCOPES))
    owners: list[dict[str, Any]] = field(default_factory=list)
    dispositions: set[str] = field(default_factory=lambda: set(DISPOSITIONS))
    objects: dict[str, Object] = field(default_factory=dict)
    rule: Callable[[dict[str, str]], bool] = lambda _: True
    """A validation rule of the administrator: which properties of a call are accepted."""
    search_blind: float = 0.0
    """Seconds for which searches do not find a new object."""
    rate: tuple[int, float] = (100, 10.0)
    search_rate: tuple[int, float] = (5, 1.0)
    recent: deque[float] = field(default_factory=deque)
    recent_searches: deque[float] = field(default_factory=deque)
    exceeded: int = 0
    """How often a limit was exceeded."""

    def of(self, kind: str) -> list[Object]:
        return [one for one in self.objects.values() if one.kind == kind and not one.is_archived]

    @property
    def calls(self) -> list[Object]:
        return self.of("call")

    def add(self, kind: str, **properties: str) -> Object:
        created = time.time() - 3600
        made = Object(str(next(_ids)), kind, dict(properties), created)
        made.properties.setdefault("createdate", datetime.fromtimestamp(created, UTC).isoformat())
        self.objects[made.object_id] = made
        return made


_ids = count(90_001)


class HubSpot:
    """The server; :func:`running` starts it."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self.portals: dict[int, Portal] = {}
        self.codes: dict[str, tuple[int, str, str, str]] = {}
        """Portal, client id, client secret, redirect address."""
        self.requests: list[Request] = []
        self.troubles: list[Trouble] = []
        self.token_seconds = 1800
        self.dead_grants = False
        self.url = f"http://127.0.0.1:{port}"
        self._tokens = count(1)

    def portal(self, portal_id: int, token: str = "") -> Portal:
        made = self.portals[portal_id] = Portal(portal_id)
        if token:
            made.tokens[token] = time.time() + 10**9
        return made

    @asynccontextmanager
    async def running(self) -> Any:
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def once(self, matches: Callable[[Request], bool], answer: Any) -> None:
        """The next request that matches gets this in place of its response."""

        def trouble(request: Request) -> Any:
            if matches(request):
                self.troubles.remove(trouble)
                return answer
            return None

        self.troubles.append(trouble)

    # --- requests

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        is_json = request.content_type == "application/json" and raw
        seen = Request(time.time(), request.method, request.path, None, json.loads(raw) if is_json else None)
        self.requests.append(seen)
        try:
            if request.path in (f"/oauth/{VERSION}/token", "/oauth/v3/token"):
                return self._answer(seen, 200, self._token(dict(await request.post())))
            portal = self._authorised(request, seen)
            for trouble in list(self.troubles):
                found = trouble(seen)
                if asyncio.iscoroutine(found):
                    found = await found
                if isinstance(found, Cut):
                    if found.stored:
                        self._carry_out(portal, request, seen)
                        if found.half:
                            newest = max(portal.calls, key=lambda one: int(one.object_id))
                            kept = ("hs_timestamp", "hs_call_external_id", "hs_call_status")
                            newest.properties = {n: v for n, v in newest.properties.items() if n in kept}
                            newest.contacts.clear()
                    assert request.transport is not None
                    request.transport.close()
                    return web.Response()
                if found is not None:
                    seen.status = found.status
                    return found  # type: ignore[no-any-return]
            self._limits(portal, seen)
            status, body = self._carry_out(portal, request, seen)
            return self._answer(seen, status, body)
        except _Refusal as refusal:
            return self._answer(seen, refusal.status, refusal.body)

    def _answer(self, seen: Request, status: int, body: Any) -> web.Response:
        seen.status = status
        return web.Response(status=204) if status == 204 else web.json_response(body, status=status)

    def _token(self, form: dict[str, Any]) -> Any:
        def dead() -> _Refusal:
            return _Refusal(
                400, "BAD_REFRESH_TOKEN", "missing or invalid refresh token", error="invalid_grant"
            )

        if self.dead_grants:
            raise dead()
        if form["grant_type"] == "authorization_code":
            wanted = (form["client_id"], form["client_secret"], form["redirect_uri"])
            portal_id, *needed = self.codes.pop(form["code"], (0,))
            if tuple(needed) != wanted:
                raise _Refusal(400, "BAD_AUTH_CODE", "missing or unknown auth code")
        else:
            portal_id = next(
                (p.portal_id for p in self.portals.values() if form["refresh_token"] in p.refresh_tokens), 0
            )
            if not portal_id:
                raise dead()
        number = next(self._tokens)
        portal = self.portals[portal_id]
        access, refresh = f"access-{number}-" + "x" * 250, f"refresh-{number}"
        portal.tokens[access] = time.time() + self.token_seconds
        portal.refresh_tokens = {refresh}
        return {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": self.token_seconds,
            "token_type": "bearer",
            "hub_id": portal_id,
        }

    def _authorised(self, request: web.Request, seen: Request) -> Portal:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        for portal in self.portals.values():
            if token in portal.tokens:
                seen.portal_id = portal.portal_id
                if portal.tokens[token] < time.time():
                    raise _Refusal(
                        401, "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired"
                    )
                return portal
        raise _Refusal(401, "INVALID_AUTHENTICATION", "Authentication credentials not found")

    def _limits(self, portal: Portal, seen: Request) -> None:
        for recent, (most, seconds), applies, text in (
            (portal.recent, portal.rate, True, "You have reached your ten_secondly_rolling limit."),
            (
                portal.recent_searches,
                portal.search_rate,
                seen.is_search,
                "You have reached your secondly limit.",
            ),
        ):
            if not applies:
                continue
            while recent and recent[0] < seen.at - seconds:
                recent.popleft()
            recent.append(seen.at)
            if len(recent) > most:
                portal.exceeded += 1
                policy = "TEN_SECONDLY_ROLLING" if recent is portal.recent else "SECONDLY"
                raise _Refusal(429, "RATE_LIMITS", text, errorType="RATE_LIMIT", policyName=policy)

    def _carry_out(self, portal: Portal, request: web.Request, seen: Request) -> tuple[int, Any]:
        parts = request.path.strip("/").split("/")
        if parts == ["account-info", VERSION, "details"]:
            return 200, {"portalId": portal.portal_id, "accountType": "STANDARD"}
        if parts == ["crm", "owners", VERSION]:
            _scope(portal, "crm.objects.owners.read")
            return 200, _owners(portal, request)
        if parts[:3] == ["crm", "associations", VERSION] and parts[4:] == ["contacts", "batch", "read"]:
            wanted = {one["id"] for one in seen.body["inputs"]}
            assert 1 <= len(wanted) <= 1000
            results = [
                {"from": {"id": one.object_id}, "to": [{"toObjectId": int(c)} for c in sorted(one.contacts)]}
                for one in portal.of(PLURALS[parts[3]])
                if one.object_id in wanted and one.contacts
            ]
            return (200 if len(results) == len(wanted) else 207), {"status": "COMPLETE", "results": results}
        if parts[:3] != ["crm", "objects", VERSION] or parts[3] not in PLURALS:
            raise _Refusal(404, "OBJECT_NOT_FOUND", f"no such resource {request.path}")
        kind, rest = PLURALS[parts[3]], parts[4:]
        reads = request.method == "GET" or rest[-1:] == ["search"] or rest[-1:] == ["read"]
        _scope(portal, f"crm.objects.contacts.{'read' if reads else 'write'}")
        if request.method == "POST" and not rest:
            return 201, _create(portal, kind, seen.body).as_json()
        if request.method == "POST" and rest == ["search"]:
            return 200, _search(portal, kind, seen.body)
        if request.method == "POST" and rest == ["batch", "read"]:
            inputs = seen.body["inputs"]
            if not 1 <= len(inputs) <= 100:
                raise _invalid("inputs", "1 to 100 inputs")
            wanted = {one["id"] for one in inputs}
            found = [one for one in portal.of(kind) if one.object_id in wanted]
            shown = [one.as_json(seen.body["properties"]) for one in found]
            return (200 if len(found) == len(wanted) else 207), {"status": "COMPLETE", "results": shown}
        one = portal.objects.get(rest[0])
        if one is None or one.kind != kind or one.is_archived:
            raise _Refusal(404, "OBJECT_NOT_FOUND", f"{kind} {rest[0]} not found")
        if rest[1:4] == ["associations", "default", "contacts"] and request.method == "PUT":
            contact = portal.objects.get(rest[4])
            if contact is None or contact.is_archived:
                raise _Refusal(404, "OBJECT_NOT_FOUND", f"contact {rest[4]} not found")
            one.contacts.add(rest[4])
            return 200, {"status": "COMPLETE", "results": []}
        if request.method == "GET":
            return 200, one.as_json(request.query.get("properties", "").split(","))
        if request.method == "PATCH":
            _check(portal, kind, seen.body["properties"], {**one.properties, **seen.body["properties"]})
            one.properties |= seen.body["properties"]
            one.properties = {name: value for name, value in one.properties.items() if value != ""}
            return 200, one.as_json()
        if request.method == "DELETE":
            one.is_archived = True
            return 204, None
        raise _Refusal(405, "METHOD_NOT_ALLOWED", "no such method")


def _scope(portal: Portal, name: str) -> None:
    if name not in portal.scopes:
        raise _Refusal(
            403,
            "MISSING_SCOPES",
            "This app hasn't been granted all required scopes to make this call.",
            errors=[{"message": "One or more of the following scopes are required.",
                     "context": {"requiredGranularScopes": [name]}}],
        )  # fmt: skip


def _invalid(name: str, text: str, code: str = "INVALID_OPTION") -> _Refusal:
    message = (
        f"Property values were not valid: {json.dumps([{'isValid': False, 'message': text, 'name': name}])}"
    )
    return _Refusal(
        400,
        "VALIDATION_ERROR",
        message,
        errors=[{"message": text, "code": code, "context": {"propertyName": [name]}}],
    )


def _create(portal: Portal, kind: str, body: dict[str, Any]) -> Object:
    unknown = body.keys() - {"properties", "associations"}
    if unknown:
        raise _Refusal(400, "VALIDATION_ERROR", f"Invalid input JSON: unknown {sorted(unknown)}")
    _check(portal, kind, body["properties"], body["properties"])
    contacts = set()
    for association in body.get("associations", []):
        contact_id = association["to"]["id"]
        assert isinstance(contact_id, str)
        (type_,) = association["types"]
        if (
            type_["associationCategory"] != "HUBSPOT_DEFINED"
            or (kind, type_["associationTypeId"]) not in ASSOCIATIONS
        ):
            raise _Refusal(400, "VALIDATION_ERROR", f"invalid association of {kind}")
        contact = portal.objects.get(contact_id)
        if contact is None or contact.kind != "contact" or contact.is_archived:
            raise _Refusal(404, "OBJECT_NOT_FOUND", f"contact {contact_id} not found")
        contacts.add(contact_id)
    created = time.time()
    made = Object(str(next(_ids)), kind, dict(body["properties"]), created, contacts)
    made.properties["createdate"] = datetime.fromtimestamp(created, UTC).isoformat()
    portal.objects[made.object_id] = made
    return made


def _check(portal: Portal, kind: str, given: dict[str, Any], whole: dict[str, Any]) -> None:
    for name, value in given.items():
        if name not in KNOWN[kind]:
            raise _invalid(name, f'Property "{name}" does not exist', "PROPERTY_DOESNT_EXIST")
        if not isinstance(value, str) or len(value) > 65_536:
            raise _invalid(name, "not a string of 65,536 characters")
        if value:
            _check_value(portal, name, value)
    if kind == "call" and not portal.rule(whole):
        raise _invalid("hs_call_to_number", "is required by a rule", "MISSING_CONDITIONAL_REQUIRED_PROPERTY")
    if kind == "contact" and not any(whole.get(n) for n in ("email", "firstname", "lastname")):
        raise _invalid("lastname", "one of email, firstname, lastname", "MISSING_REQUIRED_PROPERTY")
    if kind != "contact" and not whole.get("hs_timestamp"):
        raise _invalid("hs_timestamp", "is required", "MISSING_REQUIRED_PROPERTY")


def _check_value(portal: Portal, name: str, value: str) -> None:
    enums = {
        "hs_call_direction": {"INBOUND", "OUTBOUND"},
        "hs_call_status": STATUSES,
        "hs_call_disposition": portal.dispositions,
        "hs_task_status": {"NOT_STARTED", "COMPLETED"},
        "hs_task_priority": {"LOW", "MEDIUM", "HIGH"},
        "hs_task_type": {"CALL", "EMAIL", "TODO"},
        "hubspot_owner_id": {one["id"] for one in portal.owners},
    }
    if name in enums and value not in enums[name]:
        raise _invalid(name, f"{value} was not one of the allowed options")
    if name == "hs_timestamp" and not re.fullmatch(r"\d{13}", value):
        raise _invalid(name, f"{value} is not milliseconds", "INVALID_DATE")
    if name == "hs_call_duration" and not (value == "0" or (value.isdecimal() and int(value) >= 1000)):
        raise _invalid(name, f"{value} is no duration in milliseconds", "INVALID_LONG")
    if (
        name in ("hs_call_from_number", "hs_call_to_number")
        and value[0] == "+"
        and not _E164.fullmatch(value)
    ):
        raise _invalid(name, f"{value} is not E.164")
    if name == "hs_call_recording_url" and not value.startswith("https://"):
        raise _invalid(name, "not https")


def _owners(portal: Portal, request: web.Request) -> Any:
    limit, start = int(request.query.get("limit", "100")), int(request.query.get("after", "0"))
    page = portal.owners[start : start + limit]
    more = start + limit < len(portal.owners)
    return {"results": page, **({"paging": {"next": {"after": str(start + limit)}}} if more else {})}


def _search(portal: Portal, kind: str, body: dict[str, Any]) -> Any:
    if len(json.dumps(body)) > 3000:
        raise _Refusal(400, "VALIDATION_ERROR", "the body has more than 3000 characters")
    groups = body["filterGroups"]
    filters = [one for group in groups for one in group["filters"]]
    if len(groups) > 5 or len(filters) > 18 or any(len(group["filters"]) > 6 for group in groups):
        raise _Refusal(400, "VALIDATION_ERROR", "too many filters")
    if not 1 <= body.get("limit", 10) <= 200 or len(body.get("sorts", [])) > 1:
        raise _Refusal(400, "VALIDATION_ERROR", "limit or sorts")
    for one in filters:
        if one["propertyName"] not in KNOWN[kind]:
            raise _invalid(one["propertyName"], "does not exist", "PROPERTY_DOESNT_EXIST")
        if one["operator"] == "IN" and (not one["values"] or any(v != v.lower() for v in one["values"])):
            raise _invalid(one["propertyName"], "values in lower case")
    visible = [one for one in portal.of(kind) if one.created <= time.time() - portal.search_blind]
    found = [one for one in visible if any(all(_meets(one, f) for f in group["filters"]) for group in groups)]
    start, limit = int(body.get("after", 0)), body.get("limit", 10)
    page = found[start : start + limit]
    names = body.get("properties")
    return {
        "total": len(found),
        "results": [one.as_json(names) for one in page],
        **({"paging": {"next": {"after": str(start + limit)}}} if start + limit < len(found) else {}),
    }


def _meets(one: Object, condition: dict[str, Any]) -> bool:
    name, operator = condition["propertyName"], condition["operator"]
    calculated = {"hs_searchable_calculated_phone_number": "phone",
                  "hs_searchable_calculated_mobile_number": "mobilephone"}  # fmt: skip
    value = one.properties.get(calculated.get(name, name)) or ""
    if name in calculated:
        digits = re.sub(r"\D", "", value)
        return bool(digits) and any(
            digits.endswith(part) and part == condition["value"] for part in _parts(digits)
        )
    if operator == "EQ":
        return value.lower() == str(condition["value"]).lower()
    if operator == "IN":
        return value.lower() in condition["values"]
    if operator == "CONTAINS_TOKEN":
        tail = condition["value"].lstrip("*").lower()
        return any(token.lower().endswith(tail) for token in re.split(r"[\s,;]+", value) if token)
    raise _Refusal(400, "VALIDATION_ERROR", f"operator {operator}")


def _parts(digits: str) -> Iterator[str]:
    """What may be the national part: the digits after a country code of up to three digits, or after a zero."""
    for length in range(4):
        yield digits[length:]
