"""HTTP endpoint of the Call Center API: ``/api/...``, and its description at ``/api/openapi.json``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from functools import cached_property

from aiohttp import web

from trunkline.apis.address import AddressOf, CountryOf
from trunkline.apis.body import BodyTooLarge, BodyTooSlow, BodyUnreadable, read_body
from trunkline.apis.call_center.declaration import Operation
from trunkline.apis.call_center.openapi import document
from trunkline.apis.call_center.processing import CallCenterRequests, Responded, Sent, failure
from trunkline.apis.call_center.request_input import key_of_headers, likely_key
from trunkline.apis.cors import ACCOUNT_ORIGINS
from trunkline.apis.request_share import CHECK, counts_itself
from trunkline.apis.service.body_allowance import RATE, AllowanceExceeded
from trunkline.apis.service.check_limit import REFUSAL_SECONDS, CheckLimit
from trunkline.apis.static_document import StaticDocument
from trunkline.core.errors import LimitExceeded, first_line
from trunkline.core.log import get_logger
from trunkline.db.pool import log_cause

_log = get_logger("apis.call_center")

PREFIX = "/api/"
DESCRIPTION = "/api/openapi.json"

_UNKNOWN = PREFIX + r"{unknown:(?!v\d).*}"
"""Paths such as ``/api/v4.0`` are meant for another API, and the application's error names it."""

_JSON = "application/json"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class CallCenterEndpoint:
    """Routes of the API.

    :param body_max: bytes of the largest body read, inflated or not.
    :param body_seconds: within which it must arrive.
    :param check_limit: shared by the endpoints of a process.
    """

    def __init__(
        self,
        requests: CallCenterRequests,
        operations: Iterable[Operation],
        *,
        body_max: int,
        body_seconds: float,
        address_of: AddressOf,
        country_of: CountryOf,
        check_limit: CheckLimit,
    ) -> None:
        self._requests = requests
        self._operations = tuple(operations)
        self._body_max = body_max
        self._body_seconds = body_seconds
        self._address_of = address_of
        self._country_of = country_of
        self._check_limit = check_limit

    def routes(self) -> list[web.RouteDef]:
        """All paths, without and with a slash behind them."""
        declared = {(one.verb, one.path) for one in self._operations}
        found = [web.get(DESCRIPTION, self._describe)]
        for operation in self._operations:
            handler = self._handler_of(operation)
            found.append(_route(operation.verb, operation.path, handler))
            if (operation.verb, f"{operation.path}/") not in declared and not operation.path.endswith("/"):
                found.append(_route(operation.verb, f"{operation.path}/", handler))
        return [*found, web.route("*", _UNKNOWN, self._nothing)]

    def _handler_of(self, operation: Operation) -> Handler:
        @counts_itself
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(operation, request)

        return handle

    async def _handle(self, operation: Operation, request: web.Request) -> web.StreamResponse:
        address = self._address_of(request)
        try:
            body = await read_body(request, limit=self._body_max, seconds=self._body_seconds)
        except BodyTooLarge:
            await self._check_limit.count(address, self._body_max)
            return _refusal(
                413, f"The body has more than {self._body_max} bytes: send fewer records at once."
            )
        except BodyTooSlow:
            await self._check_limit.count(address)
            return _refusal(408, f"The body did not arrive within {self._body_seconds:.0f} s: send it again.")
        except BodyUnreadable:
            await self._check_limit.count(address)
            return _refusal(400, "The body ends too early, or is not in its Content-Encoding: send it again.")
        sent = Sent(
            request.match_info,
            request.rel_url.raw_query_string,
            request.headers,
            body,
            address,
            self._country_of(request),
        )
        responded = await self._checked(request, operation, sent)
        if responded is None:
            del body, sent  # its memory is what a client that sends too much could use up
            await asyncio.sleep(REFUSAL_SECONDS)
            return _refusal(
                429, f"This address sends too much without a valid key: at most {RATE} bytes a second."
            )
        return await _send(request, responded)

    async def _checked(self, request: web.Request, operation: Operation, sent: Sent) -> Responded | None:
        """The response, when the sender has a place for the check; None when its address has sent too much."""
        likely = request.query.get("api_key", "") or key_of_headers(sent.headers) or likely_key(sent.body)
        check = request[CHECK] = self._check_limit.request_with(
            likely, sent.client_ip, len(sent.body) + len(sent.query)
        )
        try:
            async with check:
                responded = await self._requests.respond(operation, sent, check)
        except AllowanceExceeded:
            return None
        except LimitExceeded as error:
            return Responded(429, failure(f"{error.message}."), headers={"Retry-After": "1"})
        await check.delay_refusal()
        return responded

    @cached_property
    def _description(self) -> StaticDocument:
        return StaticDocument(document(self._operations))

    async def _describe(self, request: web.Request) -> web.Response:
        return await self._description.respond(request)

    async def _nothing(self, request: web.Request) -> web.Response:
        """A path or an HTTP method without an operation."""
        path = request.path.rstrip("/")
        verbs = sorted({one.verb for one in self._operations if _fits(one.path, path)})
        if verbs:
            text = f"{request.method} is not possible here: {path} takes {', '.join(verbs)}."
            response = _refusal(405, text)
            response.headers["Allow"] = ", ".join(verbs)
            return response
        return _refusal(404, f"There is nothing at this path: {DESCRIPTION} lists the paths.")


def _fits(template: str, path: str) -> bool:
    pattern = "".join(
        "[^/]+" if part.startswith("{") else re.escape(part)
        for part in re.split(r"(\{\w+\})", template.rstrip("/"))
    )
    return re.fullmatch(pattern, path) is not None


def _route(verb: str, path: str, handler: Handler) -> web.RouteDef:
    return web.get(path, handler, allow_head=False) if verb == "GET" else web.route(verb, path, handler)


def _refusal(status: int, message: str) -> web.Response:
    response = web.Response(status=status, body=failure(message), content_type=_JSON, charset="utf-8")
    if status in (408, 413, 429):
        response.force_close()  # the rest of the body is not read
    return response


async def _send(request: web.Request, responded: Responded) -> web.StreamResponse:
    if responded.origins is not None:
        request[ACCOUNT_ORIGINS] = responded.origins
    headers = {**responded.headers, "Cache-Control": "no-store"}
    if (file := responded.file) is not None:
        headers |= {
            "Content-Type": file.content_type,
            "Content-Disposition": f'inline; filename="{file.name}"',
        }
        return web.FileResponse(file.path, headers={**headers, "Accept-Ranges": "bytes"})
    if responded.rest is None:
        return web.Response(
            status=responded.status, body=responded.body, content_type=_JSON, charset="utf-8", headers=headers
        )
    response = web.StreamResponse(status=responded.status, headers=headers)
    response.content_type = _JSON
    response.charset = "utf-8"
    await response.prepare(request)
    try:
        await response.write(responded.body)
        async for chunk in responded.rest:
            await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        pass  # the client does not read the rest
    except Exception as error:
        _log.warning(
            "answer_interrupted",
            path=request.path,
            cause=log_cause(error),
            reason=first_line(error),
            consequence="the client sees a connection that ended before the answer was complete",
        )
        if request.transport is not None:
            request.transport.abort()
    return response
