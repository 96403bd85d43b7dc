"""What all methods that start calls do: rules between parameters, messages, and never dialling twice."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from trunkline.apis.call_api import common, messages
from trunkline.apis.call_api.components import NUMBER_MANAGEMENT
from trunkline.apis.call_api.idempotency import Attempt, IdempotencyKeys
from trunkline.apis.jsonrpc import (
    ACCESS_TOKEN,
    Api,
    Component,
    ErrorSpec,
    Form,
    Method,
    Param,
    Params,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.declare import Handler
from trunkline.apis.jsonrpc.derive import Override, envelope_for, fields_for, override, params_for
from trunkline.apis.service.repeated_changes import request_hash
from trunkline.calls.command_names import check_options
from trunkline.contract import params_of
from trunkline.core.errors import (
    DatabaseUnavailable,
    PermissionDenied,
    Refused,
    SwitchInterrupted,
    SwitchUnavailable,
)
from trunkline.core.log import get_logger
from trunkline.db.pool import log_cause

_log = get_logger("apis.call_api")

RESULT = (override("call_session_id", description="The call session that was started."),)

CONTACT_FIRST: Mapping[str, Any] = {
    "first_call": "contact",
    "switch_at_once": False,
    "early_switching": False,
    "virtual_phone_usage_rule": "fixed",
    "direction": "in",
}
"""Default values of the further accepted forms."""


def start_params(name: str, *overrides: Param | Override) -> tuple[Param, ...]:
    """The parameters of a method that starts a call: those of its page, with overrides.

    :param overrides: in addition to :data:`~.common.START_OVERRIDES`, or in their place.
    """
    own = {one.name for one in overrides}
    shared = {fact.name for fact in params_of(Api.CALL, name)} - own
    common_overrides = (one for one in common.START_OVERRIDES if one.name in shared)
    return params_for(Api.CALL, name, (ACCESS_TOKEN, *common_overrides, *overrides))


def some_of(params: tuple[Param, ...], *names: str) -> tuple[Param, ...]:
    """The parameters with these names, in their order."""
    return tuple(param for param in params if param.name in names)


def without(params: tuple[Param, ...], *names: str) -> tuple[Param, ...]:
    """The other parameters."""
    return tuple(param for param in params if param.name not in names)


def start_method(
    name: str,
    summary: str,
    params: tuple[Param, ...],
    *,
    components: tuple[Component, ...],
    errors: tuple[ErrorSpec, ...],
    form: Form,
    handler: Handler | None = None,
) -> Method:
    """Declare a method that starts a call and answers with its session.

    :param params: see :func:`start_params`.
    :param form: its looser form.
    :param handler: None: checks the rules between parameters and has the switch do the command of that name.
    """
    command = name.replace(".", "_")

    async def checked(request: RequestContext, asked: Params) -> Result:
        check(request, asked)
        return await start(request, command, asked)

    return Method(
        api=Api.CALL,
        name=name,
        summary=summary,
        params=params,
        result=fields_for(Api.CALL, name, RESULT),
        envelope=envelope_for(Api.CALL, name),
        components=components,
        errors=errors,
        forms=(form,),
        takes_idempotency_key=True,
        complete=True,
        handler=handler or checked,
    )


def check(request: RequestContext, params: Params) -> None:
    """What needs no switch: rules between parameters, and components of parameters.

    :raises TrunklineError: ``invalid_parameters_combination``, ``component_disabled``.
    """
    check_options(params)
    if (
        params["virtual_phone_usage_rule"] != "fixed"
        and NUMBER_MANAGEMENT.name not in request.caller.components
    ):
        raise PermissionDenied(
            "rules other than fixed need a component",
            mnemonic="component_disabled",
            field="virtual_phone_usage_rule",
            params={"component_name": NUMBER_MANAGEMENT.title},
        )


async def start(request: RequestContext, name: str, params: Params) -> Result:
    """Have the switch start a call; a request repeated under its key gets the first one's answer.

    :param name: of the switch's command.
    :raises TrunklineError: what the texts or the switch refuse; ``invalid_parameter_value`` for a key that was
        used for other parameters; :class:`SwitchInterrupted` when it is unknown whether the first attempt dialled.
    """
    await messages.check(request, params)
    if request.idempotency_key is None:
        return Result(await common.command(request, name, await messages.speak(request, name, params)))
    idempotency_keys = IdempotencyKeys(request.services.db)
    attempt = await idempotency_keys.claim(
        Attempt(
            account_id=request.account_id,
            method=request.method,
            key=request.idempotency_key,
            request_hash=request_hash(params),
            api_request_id=request.api_request_id,
        )
    )
    if attempt.answer is not None:
        return Result(attempt.answer)
    return Result(await _first_time(request, name, params, idempotency_keys, attempt))


async def _first_time(
    request: RequestContext, name: str, params: Params, idempotency_keys: IdempotencyKeys, attempt: Attempt
) -> dict[str, Any]:
    """Dial, and in every case store the data for repeated requests."""
    try:
        spoken = await messages.speak(request, name, params)
    except Exception:
        await _free(idempotency_keys, attempt)
        raise
    await idempotency_keys.dialling(attempt)
    try:
        answer = await common.command(request, name, spoken)
    except SwitchInterrupted:
        raise  # It is unknown whether it dialled: the key remains in use.
    except (Refused, SwitchUnavailable):
        await _free(idempotency_keys, attempt)
        raise
    try:
        await idempotency_keys.keep(attempt, answer)
    except DatabaseUnavailable as error:
        # The call has started and the client must get its id; a repeated request finds it by its session.
        _log.warning(
            "answer_not_kept",
            cause=log_cause(error),
            method=attempt.method,
            reason=error.message,
            consequence="the call is started; a repeated request finds it by its session",
        )
    return answer


async def _free(idempotency_keys: IdempotencyKeys, attempt: Attempt) -> None:
    """Without a database the key remains in use for some time; the original error has the cause."""
    with contextlib.suppress(DatabaseUnavailable):
        await idempotency_keys.give_up(attempt)
