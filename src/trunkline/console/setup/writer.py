"""What makes, changes and removes an entity: methods of the Data API, or functions of the package that owns it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from trunkline.accounts.model import Api
from trunkline.apis.catalogue import CALL_API, DATA_API
from trunkline.apis.jsonrpc.access import check_rights
from trunkline.apis.jsonrpc.declare import Method, Param, ParamType
from trunkline.apis.jsonrpc.errors import RpcError
from trunkline.apis.jsonrpc.params import ParamChecker, masked
from trunkline.apis.service.request_context import CallerLike, RequestContext
from trunkline.apis.service.request_log import REQUEST_LOG, Entry
from trunkline.console.page_request import PageRequest
from trunkline.core.errors import PermissionDenied, TrunklineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class CreatedEntity:
    """One that was made.

    :ivar once: values that its page shows now and never again.
    """

    entity_id: int
    once: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Writer(Protocol):
    """What makes, changes and removes an entity. Errors: :class:`RpcError` for a parameter, else
    :class:`TrunklineError`."""

    def may(self, caller: CallerLike, action: str) -> bool:
        """Whether the caller may ``create``, ``update`` or ``delete``; False, too, if nobody can."""
        ...

    def params(self, action: str) -> Mapping[str, Param]:
        """What is known of the parameters, by their names."""
        ...

    async def create(self, page_request: PageRequest, values: Mapping[str, Any]) -> CreatedEntity:
        """Make one of the values of all controls."""
        ...

    async def update(
        self, page_request: PageRequest, entity_id: int, changed: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        """:param changed: what differs from the present state.
        :param values: of all controls that can be changed.
        """
        ...

    async def delete(self, page_request: PageRequest, entity_id: int) -> None: ...


@dataclass(frozen=True, slots=True)
class MethodWriter:
    """Writes by methods of the Data API, which have the checks and permissions.

    :ivar create_name, update_name, delete_name: of the methods; empty: there is none.
    :ivar sent: parameters of the values that are sent and of those of all controls; for methods with objects as parameters.
    :ivar once: fields of the result of ``create`` that the page of the new one shows once.
    """

    create_name: str = ""
    update_name: str = ""
    delete_name: str = ""
    sent: Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]] = lambda sent, values: sent
    once: tuple[str, ...] = ()

    def may(self, caller: CallerLike, action: str) -> bool:
        name = self._name(action)
        return bool(name) and may_call(caller, name)

    def params(self, action: str) -> Mapping[str, Param]:
        name = self._name(action)
        return {one.name: one for one in method(name).params} if name else {}

    async def create(self, page_request: PageRequest, values: Mapping[str, Any]) -> CreatedEntity:
        sent = {name: value for name, value in values.items() if value not in (None, [])}
        made = await call(page_request, self.create_name, self.sent(sent, values))
        return CreatedEntity(int(made["id"]), {name: made[name] for name in self.once})

    async def update(
        self, page_request: PageRequest, entity_id: int, changed: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        params = self.params("update")
        sent = {
            name: emptied(params.get(name)) if value is None else value for name, value in changed.items()
        }
        await call(page_request, self.update_name, {"id": entity_id, **self.sent(sent, values)})

    async def delete(self, page_request: PageRequest, entity_id: int) -> None:
        await call(page_request, self.delete_name, {"id": entity_id})

    def _name(self, action: str) -> str:
        return {"create": self.create_name, "update": self.update_name, "delete": self.delete_name}[action]


def emptied(param: Param | None) -> Any:
    """What a method takes for "nothing any more": null where it has a meaning, else an empty text, which is checked."""
    if param is None or param.nullable:
        return None
    return [] if param.type is ParamType.ARRAY else ""


def method(name: str) -> Method:
    """A method of the Data API or the Call API."""
    found = DATA_API.find(name) or CALL_API.find(name)
    assert found is not None, name
    return found


def may_call(caller: CallerLike, name: str) -> bool:
    """Whether the caller has the components and permissions of a method."""
    try:
        check_rights(method(name), caller)
    except RpcError:
        return False
    return True


async def call(page_request: PageRequest, name: str, values: Mapping[str, Any]) -> Any:
    """Carry out a method of the Data API or the Call API for the user; its result. The permission to use the API is not
    needed.

    :raises PermissionDenied: without its components or permissions.
    :raises RpcError: a parameter that is refused.
    :raises TrunklineError: of the method.
    """
    declared = method(name)
    try:
        check_rights(declared, page_request.caller)
    except RpcError as error:
        raise PermissionDenied(error.extended_helper or error.message) from error
    async with logged(page_request, name, masked(declared, values)) as api_request_id:
        params = ParamChecker(declared).check({"access_token": page_request.token, **values})
        params.pop("access_token", None)
        request = RequestContext(
            api=declared.api,
            method=declared.name,
            request_id=api_request_id,
            api_request_id=api_request_id,
            caller=page_request.caller,
            client_ip=page_request.client_ip,
            token=page_request.token,
            services=page_request.services,
        )
        return (await declared.handler(request, params)).data


@asynccontextmanager
async def logged(page_request: PageRequest, name: str, shown: Mapping[str, Any]) -> AsyncIterator[int]:
    """Writes a row of the request log for a change that the block makes; gives its number.

    :param name: of the method, or of what is done.
    :param shown: parameters, without secrets.
    """
    log = page_request.request.app[REQUEST_LOG]
    number, started, mnemonic = await log.next_id(), time.monotonic(), "internal_error"
    try:
        yield number
        mnemonic = ""
    except (RpcError, TrunklineError) as error:
        mnemonic = error.mnemonic
        raise
    finally:
        log.write(
            Entry(
                account_id=page_request.account_id,
                api_request_id=number,
                api=Api.CONSOLE,
                method=name,
                user_id=page_request.caller.user_id,
                user_login=page_request.caller.login,
                ip=page_request.client_ip,
                points=0,
                error_mnemonic=mnemonic or None,
                request=shown,
                request_id=str(number),
                call_session_id=shown.get("call_session_id"),
                duration_ms=round((time.monotonic() - started) * 1000),
                requested_at=time.time(),
            )
        )
