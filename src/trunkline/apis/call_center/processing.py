"""Processes a request of the Call Center API in stages, and responds with the first error:

- key: 401 when it is missing, unknown, expired or blocked
- account and address: 403
- country, the use of the API by this user, component, permission: 403
- limits: 429
- path, query and body: 404 and 400
- concurrency: 429
- the operation itself

Points are those of the account in ``call_center``: taken before the operation, given back when it fails.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from trunkline.accounts.components import TITLES
from trunkline.accounts.model import Api
from trunkline.accounts.permissions import Permission
from trunkline.apis.call_center import request_input
from trunkline.apis.call_center.declaration import (
    Answer,
    Arguments,
    Body,
    Data,
    Field,
    FileOfAnswer,
    Operation,
    Pages,
)
from trunkline.apis.call_center.input_values import IGNORED, read_members, read_value
from trunkline.apis.service.charge import Charge
from trunkline.apis.service.check_limit import RequestCheck
from trunkline.apis.service.request_context import CallerLike, RequestContext, Services
from trunkline.apis.service.request_log import Entry, RequestLog
from trunkline.core import metrics
from trunkline.core.errors import (
    AuthenticationFailed,
    Duplicate,
    InUse,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    QuotaReached,
    TooExpensive,
    TrunklineError,
    Unavailable,
)
from trunkline.core.log import get_logger
from trunkline.db.pool import is_statement_timeout, log_cause

_log = get_logger("apis.call_center")

API = Api.CALL_CENTER
COMPONENT = "call_center"

UNAUTHORIZED = "Unauthorized"
"""The text of the document for a missing or wrong key."""

_PAGE = 1000
_HIDDEN = frozenset({request_input.KEY, "password"})
_LOGGED_ITEMS = 20

_STATUS: tuple[tuple[type[TrunklineError], int], ...] = (
    (AuthenticationFailed, 401),
    (PermissionDenied, 403),
    (TooExpensive, 400),
    (QuotaReached, 409),
    (LimitExceeded, 429),
    (NotFound, 404),
    (Duplicate, 409),
    (InUse, 409),
    (InvalidInput, 400),
    (InvalidState, 409),
    (Unavailable, 503),
)
"""HTTP status by kind of error; the first that fits."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it arrived.

    :ivar path: values in the path, by name.
    :ivar query: the query string.
    :ivar country: of its address, ISO 3166 alpha-2; empty: not known.
    """

    path: Mapping[str, str]
    query: str
    headers: Mapping[str, str]
    body: bytes
    client_ip: str
    country: str = ""


@dataclass(frozen=True, slots=True)
class Responded:
    """The response: JSON at once, or in chunks that are made while it is sent; or a file.

    :ivar origins: origins of browsers that the account permits; None: the account is not known.
    """

    status: int
    body: bytes
    rest: AsyncIterator[bytes] | None = None
    origins: tuple[str, ...] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    file: FileOfAnswer | None = None


@dataclass(slots=True)
class _Progress:
    operation: Operation
    sent: Sent
    charge: Charge
    started: float
    check: RequestCheck | None
    caller: CallerLike | None = None
    token: str = ""
    api_request_id: int | None = None
    logged: dict[str, Any] = field(default_factory=dict)


class CallCenterRequests:
    """Answers the requests of all operations."""

    def __init__(self, services: Services, request_log: RequestLog) -> None:
        self._services = services
        self._request_log = request_log

    async def respond(self, operation: Operation, sent: Sent, check: RequestCheck | None = None) -> Responded:
        """The response; never raises, except when cancelled.

        :param check: the place of the request among those that are checked; it is left before the operation runs.
        """
        charge = Charge(self._services.accounts, API)
        progress = _Progress(operation, sent, charge, time.monotonic(), check)
        try:
            answered = await self._run(progress)
        except Exception as raised:
            if check is not None:
                await check.resume()
            status, message, mnemonic, error = self._failure(raised, progress)
            await charge.give_back(operation.name, is_kept=isinstance(error, TooExpensive))
            self._write(progress, mnemonic)
            self._count(progress, mnemonic)
            origins = progress.caller.cors_origins if progress.caller is not None else None
            headers = {"Retry-After": str(charge.seconds_to_wait(error))} if status in (429, 503) else {}
            return Responded(status, failure(message), origins=origins, headers=headers)
        except BaseException:
            await charge.give_back_shielded(operation.name)
            raise
        if check is not None:
            check.succeeded()
        self._write(progress, None)
        self._count(progress, "ok")
        return answered

    async def _run(self, progress: _Progress) -> Responded:
        operation, sent = progress.operation, progress.sent
        query, body, problem = _read(sent)
        if operation.is_public:
            if problem is not None:
                raise problem
            caller = None
        else:
            caller = await self._admit(progress, request_input.key_of(query, sent.headers, body))
            if problem is not None:
                raise problem
        progress.logged = _logged(sent.path, query, body)
        arguments = read_arguments(operation, sent.path, query, body)
        if caller is None:
            return await self._public(progress, arguments)
        progress.api_request_id = await self._request_log.next_id()
        services = self._services.serving(operation.workload).for_account(caller.account_id)
        request = RequestContext(
            api=API,
            method=operation.name,
            request_id=sent.headers.get("X-Request-Id", "")[:100],
            api_request_id=progress.api_request_id,
            caller=caller,
            client_ip=sent.client_ip,
            token=progress.token,
            services=services,
            country=sent.country,
        )
        if progress.check is not None:
            await progress.check.leave()
        async with self._place(operation, caller.account_id):
            data = await operation.handler(request, arguments)
            return await self._answered(operation, data, caller)

    async def _public(self, progress: _Progress, arguments: Arguments) -> Responded:
        """An operation without a key: the log-in, whose handler returns the caller with its data."""
        operation, sent = progress.operation, progress.sent
        if progress.check is not None:
            await progress.check.leave()  # passwords are checked slowly, with a limit of their own
        caller, data = await operation.handler(
            RequestContext(
                api=API,
                method=operation.name,
                request_id="",
                api_request_id=0,
                caller=None,  # type: ignore[arg-type]  # the operation finds it
                client_ip=sent.client_ip,
                token="",
                services=self._services,
                country=sent.country,
            ),
            arguments,
        )
        progress.caller = caller
        if progress.check is not None:
            progress.check.identified(caller.account_id)
        return Responded(200, success(operation.answer, data), origins=caller.cors_origins)

    async def _admit(self, progress: _Progress, token: str) -> CallerLike:
        """The stages key to limits."""
        operation, accounts, check = progress.operation, self._services.accounts, progress.check
        if not token:
            raise AuthenticationFailed(UNAUTHORIZED)
        progress.token = token
        try:
            admitted = await accounts.admit(token, API, operation.name, 1, progress.sent.client_ip)
            caller = progress.caller = admitted.caller
            progress.charge.took(caller, admitted.points, operation.name, 1)
            accounts.check_address(caller, progress.sent.client_ip)
        except TrunklineError as error:
            if check is not None and isinstance(error, AuthenticationFailed | PermissionDenied):
                check.token_refused()
            raise
        if check is not None:
            check.identified(caller.account_id)
        check_country(caller.geo_limit, progress.sent.country)
        check_access(operation, caller)
        await progress.charge.take(caller, operation.name, 1)
        return caller

    def _place(self, operation: Operation, account_id: int) -> contextlib.AbstractAsyncContextManager[None]:
        limit = self._services.limits.get(operation.workload)
        return contextlib.nullcontext() if limit is None else limit.place(account_id)

    async def _answered(self, operation: Operation, data: Any, caller: CallerLike) -> Responded:
        if isinstance(data, FileOfAnswer):
            return Responded(200, b"", origins=caller.cors_origins, file=data)
        if not isinstance(data, Pages):
            return Responded(200, success(operation.answer, data), origins=caller.cors_origins)
        first = await data.read(None, _size(data.limit, 0))
        if len(first) < _PAGE:
            return Responded(200, success(operation.answer, first), origins=caller.cors_origins)
        begin = success(operation.answer, first).removesuffix(b"]}")
        return Responded(200, begin, self._rest(operation, data, first, caller), caller.cors_origins)

    async def _rest(
        self, operation: Operation, data: Pages, page: list[Mapping[str, Any]], caller: CallerLike
    ) -> AsyncIterator[bytes]:
        """The pages after the first one; each has a place of its own, which is free while the client reads."""
        count = len(page)
        while page and (wanted := _size(data.limit, count)):
            async with self._place(operation, caller.account_id):
                page = await data.read(page[-1], wanted)
            count += len(page)
            if page:
                yield b"," + _json([shown(operation.answer.fields, row) for row in page])[1:-1]
        yield b"]}"

    def _failure(self, error: Exception, progress: _Progress) -> tuple[int, str, str, Exception]:
        """HTTP status, text and mnemonic of an error; internal errors are only logged."""
        if is_statement_timeout(error):
            error = TooExpensive("The request takes too long: request less at once.")
        if isinstance(error, TrunklineError):
            for kind, status in _STATUS:
                if isinstance(error, kind) and not isinstance(error, Unavailable):
                    text = (
                        UNAUTHORIZED if status == 401 and not progress.operation.is_public else error.message
                    )
                    return status, text, error.mnemonic, error
        incident_id = uuid.uuid4().hex[:12]
        if isinstance(error, Unavailable):
            _log.warning(
                "dependency_unavailable",
                incident_id=incident_id,
                method=progress.operation.name,
                cause=log_cause(error),
                error=error.message,
                consequence="the request failed; the client may send it again",
            )
            return 503, error.remedy, error.mnemonic, error
        _log.error(
            "unexpected_error",
            incident_id=incident_id,
            method=progress.operation.name,
            account_id=progress.caller.account_id if progress.caller is not None else None,
            remedy="report this line with its traceback",
            exc_info=error,
        )
        text = f"Internal error: send the incident id {incident_id} to the administrator of the installation."
        return 500, text, "internal_error", error

    def _count(self, progress: _Progress, status: str) -> None:
        metrics.API_REQUESTS.labels(API, progress.operation.name, status).inc()
        metrics.API_SECONDS.labels(API, progress.operation.name).observe(time.monotonic() - progress.started)

    def _write(self, progress: _Progress, mnemonic: str | None) -> None:
        caller = progress.caller
        if caller is None:
            return
        self._request_log.write(
            Entry(
                account_id=caller.account_id,
                api_request_id=progress.api_request_id,
                api=API,
                method=progress.operation.name,
                user_id=caller.user_id,
                user_login=caller.login,
                ip=progress.sent.client_ip,
                points=progress.charge.reserved,
                error_mnemonic=mnemonic,
                request=progress.logged,
                request_id=progress.sent.headers.get("X-Request-Id", "")[:100],
                call_session_id=None,
                duration_ms=round((time.monotonic() - progress.started) * 1000),
                requested_at=time.time(),
            )
        )


def check_access(operation: Operation, caller: CallerLike) -> None:
    """Whether this user may use this operation in this account.

    :raises PermissionDenied: with the command that permits it.
    """
    check_caller(caller, operation.permission)


def check_caller(caller: CallerLike, permission: Permission | None) -> None:
    """Whether a user may use the API, and has a permission.

    :raises PermissionDenied: with the command that permits it.
    """
    account = f"--account {caller.account_id}"
    if not caller.call_center_enabled:
        apis = [
            *(["call_api"] if caller.call_api_enabled else []),
            *(["data_api"] if caller.data_api_enabled else []),
        ]
        raise PermissionDenied(
            "The user needs the permission Call Center API; the administrator of the installation grants it:"
            f" trunkline user apis --user {caller.login} {' '.join([*apis, 'call_center'])} {account}"
        )
    if COMPONENT not in caller.components:
        raise PermissionDenied(
            f"The account has no component {TITLES[COMPONENT]}; the administrator of the installation enables it:"
            f" trunkline account component {COMPONENT} on {account}"
        )
    if permission is not None and not caller.may(*permission):
        raise PermissionDenied(
            "The user needs the permission of this module; the administrator of the installation grants it:"
            f" trunkline user permit --user {caller.login} {' '.join(permission)} {account}"
        )


def check_country(permitted: frozenset[str], country: str) -> None:
    """Whether a user with this ``geo_limit`` may come from a country.

    :param country: empty: not known, which is refused.
    :raises PermissionDenied: with what to do.
    """
    if not permitted or country in permitted:
        return
    if country:
        raise PermissionDenied(
            f"The user may not come from {country}: change geo_limit, or come from {', '.join(sorted(permitted))}."
        )
    raise PermissionDenied(
        "The user has a geo_limit, and the country of this address is not known: the administrator of the"
        " installation sets web.country_header to the header in which the proxy names it, or clear geo_limit."
    )


def read_arguments(
    operation: Operation, path: Mapping[str, str], query: Mapping[str, Any], body: Any
) -> Arguments:
    """The checked values of a request.

    :raises NotFound: a value in the path that no record has.
    :raises InvalidInput: anything else.
    """
    in_path = {}
    for one in operation.path_fields:
        try:
            in_path[one.name] = read_value(one, path[one.name], one.name)
        except InvalidInput as error:
            raise NotFound(error.message, field=one.name, value=path[one.name]) from None
    names = {one.name for one in operation.query}
    own = {name: value for name, value in query.items() if name in names}
    others = {name: value for name, value in query.items() if name not in names}
    if operation.body is None:
        return Arguments(in_path, read_members(operation.query, {**others, **own}, partial=False))
    return Arguments(
        in_path,
        read_members(operation.query, own, partial=False),
        _read_content(operation.body, others, body),
    )


def _read_content(declared: Body, query: Mapping[str, Any], body: Any) -> Any:
    if declared.items is not None:
        items = declared.items
        if isinstance(body, dict):
            sent = {**query, **body}
            body = sent.get(items.name, [])
        return read_value(items, body, items.name)
    if isinstance(body, list):
        if not declared.is_list_allowed:
            raise InvalidInput("The body is an array: send an object.")
        return [_read_item(declared, one, index) for index, one in enumerate(body)]
    if not isinstance(body, dict):
        raise InvalidInput("The body is neither an object nor a form: send one of these.")
    return read_members(declared.fields, {**query, **body}, partial=declared.partial)


def _read_item(declared: Body, one: Any, index: int) -> dict[str, Any]:
    if not isinstance(one, dict):
        raise InvalidInput(f"[{index}] is no object: send objects.", field=f"[{index}]")
    return read_members(declared.fields, one, partial=declared.partial, place=f"[{index}].")


def _read(sent: Sent) -> tuple[dict[str, Any], Any, InvalidInput | None]:
    """Query and body; what cannot be read is reported after the key was checked."""
    query: dict[str, Any] = {}
    try:
        query = request_input.read_query(sent.query)
        return query, request_input.read_body(sent.body, sent.headers.get("Content-Type", "")), None
    except InvalidInput as error:
        return query, {}, error


def success(answer: Answer, data: Any) -> bytes:
    """The JSON of a success."""
    match answer.data:
        case Data.NOTHING:
            return b'{"success":true}'
        case Data.MEMBERS:
            return _json({"success": True, **shown(answer.fields, data)})
        case Data.RECORD:
            content: Any = shown(answer.fields, data)
        case Data.RECORDS if isinstance(data, Mapping):
            content = shown(answer.fields, data)
        case Data.RECORDS:
            content = [shown(answer.fields, row) for row in data]
        case Data.OTHER | Data.FILE:
            content = data
    return b'{"success":true,"data":' + _json(content) + b"}"


def failure(message: str) -> bytes:
    """The JSON of an error."""
    return _json({"success": False, "msg": message})


def shown(fields: tuple[Field, ...], row: Mapping[str, Any]) -> dict[str, Any]:
    """A record with every declared field; members that are not declared reach no client."""
    return {one.name: row[one.name] for one in fields if not one.write_only}


def _json(value: Any) -> bytes:
    return orjson.dumps(value)


def _size(limit: int | None, count: int) -> int:
    """Rows of the next page."""
    return _PAGE if limit is None else max(0, min(_PAGE, limit - count))


def _logged(path: Mapping[str, str], query: Mapping[str, Any], body: Any) -> dict[str, Any]:
    """What the request log keeps: without secrets, and of long arrays the beginning."""
    sent: dict[str, Any] = {**path, **{name: value for name, value in query.items() if name not in IGNORED}}
    if isinstance(body, dict):
        sent |= body
    elif body:
        sent["body"] = body
    return {
        name: "***" if name in _HIDDEN else value[:_LOGGED_ITEMS] if isinstance(value, list) else value
        for name, value in sent.items()
    }
