"""Declarations of the Data API's methods that change data: the function of the feature, and a description.

::

    create_method("create.tags", "Adds a tag.", create_tag, params=(Param("name", STRING, required=True),))
    update_method("update.tags", "Renames a tag.", update_tag, params=(ID, Param("name", STRING, required=True)))
    delete_method("delete.tags", "Removes a tag.", delete_tag)

``do`` gets the request and the checked parameters; a feature's errors (:mod:`trunkline.core.errors`) become those
of the method's page and of the list of its verb.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    USER_ID,
    Api,
    Component,
    Envelope,
    ErrorSpec,
    Field,
    Form,
    Method,
    Param,
    Params,
    ParamType,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import Override, envelope_for, fields_for, override, params_for
from trunkline.core.errors import PermissionDenied

Declared = tuple[Param | Override, ...]
Do = Callable[[RequestContext, Params], Awaitable[Any]]

ID = Param("id", ParamType.NUMBER, required=True, description="Number of the row.")
MADE_ID = (override("id", description="Number of what was made."),)


def change_method(
    name: str,
    summary: str,
    do: Do,
    *,
    params: Declared = (),
    result: tuple[Field | Override, ...] = (),
    envelope: Envelope | None = None,
    components: tuple[Component, ...] = (),
    permissions: tuple[tuple[str, str], ...] = (),
    errors: tuple[ErrorSpec, ...] = (),
    weight: int = 1,
    complete: bool = False,
    partial: tuple[str, ...] = (),
    takes_idempotency_key: bool = False,
) -> Method:
    """A method whose result is what ``do`` returns (None for nothing).

    :param params: what the page of the parameters does not have, or has otherwise, see :mod:`trunkline.apis.jsonrpc.derive`.
    :param result: the same for the fields of the result.
    :param envelope: of a method that the reference does not have.
    :param partial: parameters that the page requires although what an update leaves out stays as it is: a request
        without them is carried out, too.
    """

    async def handler(request: RequestContext, asked: Params) -> Result:
        return Result(await do(request, asked))

    all_params = params_for(Api.DATA, name, (ACCESS_TOKEN, USER_ID, *params))
    return Method(
        api=Api.DATA,
        name=name,
        summary=summary,
        params=all_params,
        forms=_forms(partial, all_params),
        result=fields_for(Api.DATA, name, result),
        envelope=envelope or envelope_for(Api.DATA, name),
        handler=handler,
        components=components,
        permissions=permissions,
        errors=errors,
        weight=weight,
        complete=complete,
        takes_idempotency_key=takes_idempotency_key,
    )


def create_method(
    name: str,
    summary: str,
    do: Callable[[RequestContext, Params], Awaitable[int]],
    *,
    params: Declared = (),
    **more: Any,
) -> Method:
    """A method that answers with the id ``do`` returns."""

    async def answered(request: RequestContext, asked: Params) -> dict[str, int]:
        return {"id": await do(request, asked)}

    return change_method(name, summary, answered, params=params, result=MADE_ID, **more)


update_method = change_method


def delete_method(
    name: str,
    summary: str,
    do: Callable[[RequestContext, Params], Awaitable[None]],
    *,
    params: Declared = (ID,),
    **more: Any,
) -> Method:
    """A method that answers nothing."""
    return change_method(name, summary, do, params=params, **more)


def require_component(request: RequestContext, params: Params, component: Component, *names: str) -> None:
    """Whether the account has what these parameters need; those that are not there need nothing.

    :param names: dotted for members of an object (``extension.extension_queue_enabled``).
    :raises PermissionDenied: ``parameter_component_disabled``.
    """
    if component.name in request.caller.components:
        return
    for name in names:
        if _sent(params, name):
            raise component_disabled(request, component, name)


def component_disabled(request: RequestContext, component: Component, name: str) -> PermissionDenied:
    """The error of a parameter (dotted name) that needs a component which the account does not have."""
    return PermissionDenied(
        f"Leave {name} out, or the administrator of the installation enables its component:"
        f" trunkline account component {component.name} on --account {request.account_id}",
        mnemonic="parameter_component_disabled",
        field=name,
        params={"components": component.title},
    )


def _sent(params: Params, dotted: str) -> bool:
    place: Any = params
    for name in dotted.split("."):
        if not isinstance(place, Mapping) or name not in place:
            return False
        place = place[name]
    return True


def _forms(names: tuple[str, ...], params: tuple[Param, ...]) -> tuple[Form, ...]:
    """One form for each choice of parameters to leave out; one that is there is checked as its page says."""
    choices = itertools.chain.from_iterable(
        itertools.combinations(names, count) for count in range(1, len(names) + 1)
    )
    return tuple(_without(frozenset(choice), names, params) for choice in choices)


def _without(missing: frozenset[str], names: tuple[str, ...], params: tuple[Param, ...]) -> Form:
    return Form(
        description=f"A change that leaves out {', '.join(sorted(missing))}: it stays as it is.",
        applies=lambda sent: {name for name in names if name not in sent} == missing,
        params=tuple(param for param in params if param.name not in missing),
        rewrite=lambda checked: checked,
    )
