"""Checks a request in stages, in this order, and responds with the first error (docs/api/json-rpc.md has the same names):

- parse, batch, request, notification (:mod:`.envelope`)
- method: ``method_not_found``
- token: missing, of the wrong type, ``access_token_invalid`` / ``_expired`` / ``_blocked``, ``account_inactive``;
  for ``login.user``: its parameters, then ``auth_error``
- client, the customer account that a partner acts for (``user_id``): the partner's own address, API and permissions,
  then the customer's user
- address: ``ip_not_whitelisted``
- access, the use of the API by this user, components, permissions: ``forbidden``, ``component_disabled`` and the like
- limits: ``limit_exceeded``
- parameters (:mod:`.params`)
- concurrency, the number of requests that run: ``limit_exceeded`` (:mod:`trunkline.apis.service.workloads`)
- the method itself: the handler's own errors

A report is read while its request is checked, if an earlier one had the same token (see
:mod:`trunkline.apis.service.known_callers`);
it is sent only if the check succeeds, and errors are reported in the same order.

Points are reserved before the handler runs and given back unless the request succeeds, so that many requests at once
never overspend and a failed one costs nothing, except one that was stopped because it took too long. They are mostly
taken with the look-up of the token, which saves a query; too few points are reported at the stage
"limits". Each error of a handler is converted to an error of the API; unexpected errors become ``internal_error`` with the
number of an incident that is in the log of the web process.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trunkline.apis.jsonrpc import response
from trunkline.apis.jsonrpc.access import check_access, check_agent, concerns_clients
from trunkline.apis.jsonrpc.chunks import Chunks
from trunkline.apis.jsonrpc.declare import Method, Params
from trunkline.apis.jsonrpc.envelope import DISCOVER, Request, read_request, request_id_of
from trunkline.apis.jsonrpc.errors import SILENT, RpcError, rpc_error, translate
from trunkline.apis.jsonrpc.openrpc import document
from trunkline.apis.jsonrpc.params import ParamChecker, masked, to_number
from trunkline.apis.jsonrpc.service_spec import ServiceSpec
from trunkline.apis.service.charge import Charge
from trunkline.apis.service.check_limit import RequestCheck
from trunkline.apis.service.known_callers import KnownCallers
from trunkline.apis.service.request_context import (
    CallerLike,
    Identity,
    RequestContext,
    Result,
    Services,
)
from trunkline.apis.service.request_log import Entry, RequestLog
from trunkline.apis.static_document import SHARE
from trunkline.core import metrics
from trunkline.core.errors import TooExpensive, TrunklineError, Unavailable
from trunkline.core.log import get_logger
from trunkline.db.pool import is_statement_timeout
from trunkline.db.query.close_names import close_names

_log = get_logger("apis.jsonrpc")


def _cause(error: Unavailable) -> str:
    """For the log: ``database_unavailable``, ``switch_unavailable``, ``switch_interrupted``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()


_CLIENT = "Send user_id, the number of the client for whom the agent asks; get.customers lists them."
_NO_AGENT = "Only agents name another user: leave user_id out, or send your own."


@dataclass(slots=True)
class _Progress:
    """The progress of a request: the data for the response's metadata, the refund and the request log."""

    request: Request
    method: Method
    client_ip: str
    started: float
    charge: Charge
    idempotency_key: str | None = None
    check: RequestCheck | None = None
    caller: CallerLike | None = None
    identity: Identity | None = None
    token: str = ""
    params: dict[str, Any] | None = None
    api_request_id: int | None = None
    call_session_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Early:
    """The work on a report that began before its request was checked.

    :ivar caller: for whom it reads; the rows of another may not be sent.
    """

    caller: CallerLike
    work: asyncio.Task[Result]

    async def end(self) -> None:
        """Stop it unless it is done. Its result or error, if nobody asked for it, is dropped."""
        if not self.work.done():
            self.work.cancel()
            await asyncio.gather(self.work, return_exceptions=True)
        elif not self.work.cancelled():
            self.work.exception()


class Dispatcher:
    """Answers the requests of one API."""

    def __init__(
        self,
        service_spec: ServiceSpec,
        services: Services,
        request_log: RequestLog,
        *,
        others: Sequence[ServiceSpec] = (),
    ) -> None:
        """:param others: APIs at other paths, to which the error of an unknown method points."""
        self._others = others
        self._service_spec = service_spec
        self._services = services
        self._request_log = request_log
        self._known = KnownCallers()

    @property
    def service_spec(self) -> ServiceSpec:
        return self._service_spec

    @cached_property
    def openrpc(self) -> bytes:
        """The OpenRPC document of the API, which ``rpc.discover`` returns without a token and without points."""
        return document(self._service_spec)

    async def answer(self, body: bytes, client_ip: str, *, idempotency_key: str | None = None) -> bytes:
        """As :meth:`respond`, in one piece."""
        return (await self.respond(body, client_ip, idempotency_key=idempotency_key)).joined()

    async def respond(
        self,
        body: bytes,
        client_ip: str,
        *,
        idempotency_key: str | None = None,
        check: RequestCheck | None = None,
    ) -> Chunks:
        """The answer to the body of a request; never raises, except when cancelled, or :class:`AllowanceExceeded`.

        :param idempotency_key: the header that came with it; methods that take none ignore it.
        :param check: the place of the request among those that are checked; it is left before the handler runs.
        """
        api = self._service_spec.api
        try:
            request = read_request(body, api, self._service_spec.find)
        except RpcError as error:
            metrics.API_REQUESTS.labels(api, metrics.OTHER, error.mnemonic).inc()
            return Chunks(
                (response.failure(request_id_of(body), error, self._service_spec.version_metadata()),)
            )
        if request.method == DISCOVER:
            if check is not None:
                await check.count_more(len(self.openrpc) // SHARE)
            return response.success(request.id, Chunks((self.openrpc,)))
        method = self._service_spec.find(request.method)
        if method is None:
            unknown = rpc_error(
                api,
                "method_not_found",
                field="method",
                value=request.method,
                remedy=self._similar(request.method),
            )
            metrics.API_REQUESTS.labels(api, metrics.OTHER, unknown.mnemonic).inc()
            return Chunks((response.failure(request.id, unknown, self._service_spec.version_metadata()),))
        key = idempotency_key if method.takes_idempotency_key else None
        charge = Charge(self._services.accounts, api)
        progress = _Progress(request, method, client_ip, time.monotonic(), charge, key, check)
        return await self._answer(progress)

    def _similar(self, name: str) -> str:
        """The remedy of an unknown method: its API, or the closest names, and where the list is."""
        for other in self._others:
            if other.find(name) is not None:
                return f"{name} is a method of the {other.title}: send the request to {other.path}."
        spec = self._service_spec
        close = close_names(name, [method.name for method in spec.methods], 3)
        found = f"Similar methods: {', '.join(close)}. " if close else ""
        return f"{found}All methods of the {spec.title}: {DISCOVER}, or GET {spec.path}/openrpc.json."

    async def _answer(self, progress: _Progress) -> Chunks:
        try:
            result = await self._run(progress)
        except Exception as raised:
            error = _named(raised)
            self._known.refused(progress.token)
            if progress.check is not None:
                await progress.check.resume()
            rpc_failure = self._client_error(error, progress)
            await self._give_back(progress, keep_points=isinstance(error, TooExpensive))
            metadata = await self._metadata(progress, rpc_failure)
            self._write(progress, rpc_failure)
            self._count(progress, rpc_failure.mnemonic)
            return Chunks((response.failure(progress.request.id, rpc_failure, metadata),))
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(progress))
            raise
        if progress.check is not None:
            progress.check.succeeded()
        if progress.caller is not None and progress.method.only_reads:
            self._known.succeeded(progress.token, progress.caller)
        self._write(progress, None)
        self._count(progress, "ok")
        return response.success(progress.request.id, result)

    async def _run(self, progress: _Progress) -> Chunks:
        """All stages after the method; the JSON of the result."""
        early = self._begin_early(progress)
        try:
            caller = await self._caller(progress)
            check_access(self._service_spec, progress.method, caller)
            await progress.charge.take(caller, progress.method.name, progress.method.weight)
            if progress.check is not None:
                await progress.check.leave()
            if early is None or early.caller != caller:
                result = await self._work(progress, caller)
            else:
                result = await early.work
        finally:
            if early is not None:
                await early.end()
        progress.call_session_id = _call_session_of(result.data)
        return response.result_json(progress.method, result, self._known_metadata(progress))

    def _begin_early(self, progress: _Progress) -> _Early | None:
        """Begin to read a report while its request is checked, if an earlier request had the same token.

        :returns: None for all that must be checked first: what changes something, acts for a client, or is likely to be
            refused.
        """
        method, sent = progress.method, progress.request.params
        token = sent.get("access_token")
        if not method.only_reads or not isinstance(token, str) or sent.get("user_id") is not None:
            return None
        caller = self._known.find(token)
        if caller is None or caller.is_agent:
            return None
        try:
            check_access(self._service_spec, method, caller)
            progress.params = self._checked_params(progress)
        except RpcError:
            return None
        return _Early(caller, asyncio.create_task(self._work(progress, caller)))

    def _checked_params(self, progress: _Progress) -> dict[str, Any]:
        params = ParamChecker(progress.method).check(progress.request.params)
        params.pop("access_token", None)
        return params

    async def _work(self, progress: _Progress, caller: CallerLike) -> Result:
        """Check the parameters, and run the handler for the caller."""
        if progress.params is None:
            progress.params = self._checked_params(progress)
        progress.api_request_id = await self._request_log.next_id()
        request = RequestContext(
            api=progress.method.api,
            method=progress.method.name,
            request_id=progress.request.id,
            api_request_id=progress.api_request_id,
            caller=caller,
            client_ip=progress.client_ip,
            token=progress.token,
            services=self._services.serving(progress.method.workload).for_account(
                caller.account_id, with_clients=concerns_clients(progress.method, caller)
            ),
            identity=progress.identity,
            idempotency_key=progress.idempotency_key,
        )
        return await self._handle(progress.method, request, progress.params)

    async def _caller(self, progress: _Progress) -> CallerLike:
        """The stages token, client and address."""
        check = progress.check
        try:
            await self._identify(progress)
            own = progress.caller
            caller = progress.caller = await self._act_for_client(progress)
            self._services.accounts.check_address(caller, progress.client_ip)
        except TrunklineError as error:
            if check is not None and error.mnemonic in SILENT:
                check.token_refused()
            raise
        if check is not None and own is not None:
            check.identified(own.account_id)
        return caller

    async def _handle(self, method: Method, request: RequestContext, params: Params) -> Result:
        limit = self._services.limits.get(method.workload)
        async with contextlib.nullcontext() if limit is None else limit.place(request.account_id):
            return await method.handler(request, params)

    async def _identify(self, progress: _Progress) -> None:
        method, sent = progress.method, progress.request.params
        checker = ParamChecker(method)
        if method.identify is not None:
            progress.params = checker.check(sent)
            if progress.check is not None:
                await progress.check.leave()  # passwords are checked slowly, with a limit of their own
            progress.identity = await method.identify(
                self._services, method.api, progress.params, progress.client_ip
            )
            progress.caller, progress.token = progress.identity.caller, progress.identity.token
        else:
            progress.token = checker.check_token(sent)
            await self._admit(progress)

    async def _admit(self, progress: _Progress) -> None:
        """Authenticate, and reserve the points in the same query, unless they may be those of an agent's client."""
        accounts, method = self._services.accounts, progress.method
        if progress.request.params.get("user_id") is not None:
            progress.caller = await accounts.authenticate(progress.token, method.api)
            return
        admitted = await accounts.admit(
            progress.token, method.api, method.name, method.weight, progress.client_ip
        )
        progress.caller = admitted.caller
        progress.charge.took(admitted.caller, admitted.points, method.name, method.weight)

    async def _act_for_client(self, progress: _Progress) -> CallerLike:
        """The caller whose data is used: the client's user if an agent names one."""
        caller, method = progress.caller, progress.method
        assert caller is not None
        if not any(param.name == "user_id" for param in method.params):
            return caller
        sent = progress.request.params.get("user_id")
        if sent is None:
            if caller.is_agent:
                raise rpc_error(
                    method.api, "required_parameter_missed", method=method, field="user_id", remedy=_CLIENT
                )
            return caller
        user_id = to_number(sent)
        if user_id is None:
            raise rpc_error(
                method.api, "data_type_error", method=method, field="user_id", value=sent, remedy=_CLIENT
            )
        if user_id == caller.user_id:
            return caller
        if not caller.is_agent:
            raise rpc_error(
                method.api, "forbidden", method=method, field="user_id", value=sent, remedy=_NO_AGENT
            )
        self._services.accounts.check_address(caller, progress.client_ip)
        check_agent(self._service_spec, method, caller)
        return await self._services.accounts.acting_for(caller, int(user_id))

    async def _give_back(self, progress: _Progress, *, keep_points: bool = False) -> None:
        """After a failure: the points reserved, and the session that ``login.user`` opened."""
        await progress.charge.give_back(progress.method.name, is_kept=keep_points)
        if progress.identity is None:
            return
        try:
            await self._services.accounts.logout(progress.identity.token)
        except Exception:
            _log.exception(
                "session_not_ended",
                method=progress.method.name,
                consequence="the session of a failed log-in stays open for an hour; nobody has its token",
                remedy="check that PostgreSQL responds; report this line if it does",
            )

    def _client_error(self, error: Exception, progress: _Progress) -> RpcError:
        """The error for the client; internal errors are only logged."""
        api, method = self._service_spec.api, progress.method
        if isinstance(error, RpcError):
            return error
        if isinstance(error, TrunklineError) and not isinstance(error, Unavailable):
            rpc_failure = translate(error, api, method)
            if rpc_failure is not None and rpc_failure.mnemonic != "internal_error":
                rpc_failure.field = _field_as_sent(method, progress.request.params, rpc_failure.field)
                if rpc_failure.value is not None:
                    rpc_failure.value = _as_sent(
                        progress.request.params, rpc_failure.field, rpc_failure.value
                    )
                return rpc_failure
        incident_id = uuid.uuid4().hex[:12]
        params = {"incident_id": incident_id}
        if isinstance(error, Unavailable):
            params["remedy"] = error.remedy
            _log.warning(
                "dependency_unavailable",
                incident_id=incident_id,
                method=method.name,
                cause=_cause(error),
                error=error.message,
                consequence="the request failed; the client may send it again",
            )
        else:
            _log.error(
                "unexpected_error",
                incident_id=incident_id,
                method=method.name,
                account_id=progress.caller.account_id if progress.caller is not None else None,
                remedy="report this line with its traceback",
                exc_info=error,
            )
        return rpc_error(
            api,
            "internal_error",
            method=method,
            params=params,
            remedy=params.get(
                "remedy",
                f"Send the incident id {incident_id} to the administrator of the installation: it is in logs/web.log.",
            ),
        )

    def _known_metadata(self, progress: _Progress) -> dict[str, Any]:
        metadata = dict(self._service_spec.version_metadata())
        if progress.charge.points is not None:
            metadata.update(response.limits(progress.charge.points))
        return metadata

    async def _metadata(self, progress: _Progress, rpc_failure: RpcError) -> dict[str, Any]:
        """Metadata of a failure: with limits once the account is known, except after the silent errors."""
        if rpc_failure.mnemonic in SILENT or progress.caller is None:
            return dict(self._service_spec.version_metadata())
        if progress.charge.points is None:
            try:
                progress.charge.points = await self._services.accounts.points(
                    progress.caller.account_id, self._service_spec.api
                )
            except Exception as error:
                _log.warning(
                    "limits_not_read",
                    error=str(error),
                    consequence="the response has no limits in its metadata",
                )
        return self._known_metadata(progress)

    def _count(self, progress: _Progress, status: str) -> None:
        """:param status: ``ok`` or the mnemonic of the error."""
        api, method = self._service_spec.api, progress.method.name
        metrics.API_REQUESTS.labels(api, method, status).inc()
        metrics.API_SECONDS.labels(api, method).observe(time.monotonic() - progress.started)

    def _write(self, progress: _Progress, rpc_failure: RpcError | None) -> None:
        caller = progress.caller
        if caller is None or (rpc_failure is not None and rpc_failure.mnemonic in SILENT):
            return
        self._request_log.write(
            Entry(
                account_id=caller.account_id,
                api_request_id=progress.api_request_id,
                api=self._service_spec.api,
                method=progress.method.name,
                user_id=caller.user_id,
                user_login=caller.login,
                ip=progress.client_ip,
                points=progress.charge.reserved,
                error_mnemonic=rpc_failure.mnemonic if rpc_failure else None,
                request=masked(progress.method, progress.request.params),
                request_id=str(progress.request.id),
                call_session_id=progress.call_session_id or _call_session_of(progress.params),
                duration_ms=round((time.monotonic() - progress.started) * 1000),
                requested_at=time.time(),
            )
        )


def _named(error: Exception) -> Exception:
    """The error; for a statement that was stopped at its time limit, :class:`TooExpensive`."""
    if not is_statement_timeout(error):
        return error
    text = "The request takes too long: request less at once"
    named = TooExpensive(text, params={"error_message": text})
    named.__cause__ = error
    return named


def _field_as_sent(method: Method, sent: Params, field: str | None) -> str | None:
    """The name under which the client sent a parameter, when it used a looser form."""
    form = method.form_of(sent)
    return form.fields.get(field, field) if form is not None and field is not None else field


def _as_sent(sent: Any, field: str | None, value: Any) -> Any:
    """The value of a field (``employee.id``) as the client sent it; handlers see it converted.

    For a list with one invalid item, that item, so that the client can find it.
    """
    for name in (field or "").split("."):
        if not isinstance(sent, dict) or name not in sent:
            return value
        sent = sent[name]
    return value if isinstance(sent, list) and value in sent else sent


def _call_session_of(place: Any) -> int | None:
    """The call that a result, or a request, is about; for the report of requests."""
    value = place.get("call_session_id") if isinstance(place, dict) else None
    return value if isinstance(value, int) else None
