"""Employees: ``get``, ``create``, ``update``, ``delete.employees``, ``get.statuses``, ``get.employee_stat``.

The directions an employee may call and be called in have three forms: the present one (four lists) goes before
``allowed_in_call_types`` and ``allowed_out_call_types``, and those before ``calls_available``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trunkline.accounts.components import TITLES
from trunkline.accounts.passwords import LONGEST, SHORTEST
from trunkline.apis.data_api.change_methods import (
    ID,
    create_method,
    delete_method,
    require_component,
    update_method,
)
from trunkline.apis.data_api.lists import PERIOD, list_method
from trunkline.apis.jsonrpc import Component, Param, Params, ParamType, RequestContext
from trunkline.apis.jsonrpc.derive import Override, override
from trunkline.core.names import is_email
from trunkline.db.query import Page
from trunkline.directory.employees import changes
from trunkline.directory.employees.listing import EMPLOYEES
from trunkline.directory.employees.numbers import SETTINGS, PhonePatch
from trunkline.directory.employees.operators import OperatorPatch
from trunkline.directory.employees.statuses import IS_DELETED, STATISTICS, STATISTICS_BY_ID, STATUSES
from trunkline.directory.model import CallRecording, limits
from trunkline.reports.reader import Reader

CALL_CENTER = Component("call_center", TITLES["call_center"])
COACH = Component("coach", TITLES["coach"])
CONSULTANT = Component("consultant", TITLES["consultant"])
RECORDING = Component("recording", TITLES["recording"])

_BOTH = ("in", "out")
_SIDES = ("in_external", "in_internal", "out_external", "out_internal")
_STRING, _NUMBER, _BOOLEAN = ParamType.STRING, ParamType.NUMBER, ParamType.BOOLEAN
_ENUM, _ARRAY, _OBJECT = ParamType.ENUM, ParamType.ARRAY, ParamType.OBJECT


def _email(text: str) -> str | None:
    """An address, or none at all."""
    return text if not text or is_email(text) else None


_CHOICES = (
    "allowed_in_call_types",
    "in_external_allowed_call_directions",
    "in_internal_allowed_call_directions",
    "allowed_out_call_types",
    "out_external_allowed_call_directions",
    "out_internal_allowed_call_directions",
)


_PHONE = (
    override("phone_number", maximum=64),
    override("channels_count", minimum=1, maximum=limits.MAX_CHANNELS),
    override(
        "dial_time", minimum=limits.MIN_DIAL_SECONDS, maximum=limits.MAX_DIAL_SECONDS, description="Seconds."
    ),
)
_OPERATOR = (
    override("operator_display_name", maximum=limits.MAX_NAME),
    override("operator_login", maximum=limits.MAX_NAME),
    override("operator_password", minimum=SHORTEST, maximum=LONGEST, secret=True),
    override("operator_sites", items=_NUMBER),
)

_NAMES = (
    override("first_name", maximum=limits.MAX_NAME),
    override("last_name", maximum=limits.MAX_NAME),
    override("patronymic", maximum=limits.MAX_NAME),
)
_SETTINGS = (
    override("calls_available", description="Whether the employee may be called."),
    *(override(name, items=ParamType.ENUM) for name in _CHOICES),
    override("email", maximum=limits.MAX_NAME, convert=_email),
)
_GROUPS = override("groups", items=_NUMBER, description="Ids of groups.")

CREATE: tuple[Param | Override, ...] = (
    *_NAMES,
    *_SETTINGS,
    _GROUPS,
    override("phone_numbers", params=_PHONE, maximum=limits.MAX_PHONES),
    override(
        "extension",
        params=(override("extension_phone_number", maximum=limits.MAX_EXTENSION),),
    ),
    override("operator", params=_OPERATOR, secret=True),
)


def _nullable(*params: Override) -> tuple[Override, ...]:
    return tuple(param.changed(nullable=True) for param in params)


UPDATE: tuple[Param | Override, ...] = (
    ID,
    *_nullable(_NAMES[0], _NAMES[2]),
    _NAMES[1],
    override("status_id", description="See get.statuses."),
    *_nullable(*_SETTINGS),
    override("call_recording", nullable=True),
    override("schedule_id", nullable=True),
    override("coach", nullable=True, params=(override("coach_id", nullable=True),)),
    _GROUPS.changed(nullable=True),
    override(
        "phone_numbers",
        params=(Param("phone_id", _NUMBER, contract_name="phone_id"), *_PHONE),
        maximum=limits.MAX_PHONES,
    ),
    override(
        "extension",
        nullable=True,
        params=(override("extension_phone_number", maximum=limits.MAX_EXTENSION),),
    ),
    override("operator", nullable=True, secret=True, params=_OPERATOR),
)

_OPERATOR_COLUMNS = {
    "operator_display_name": "display_name",
    "operator_login": "login",
    "operator_position_id": "position_id",
    "operator_offline_message_enabled": "offline_message_enabled",
    "operator_invite_to_chat_enabled": "invite_to_chat_enabled",
    "operator_chat_enabled": "chat_enabled",
    "operator_sites": "site_ids",
}


async def _create(request: RequestContext, params: Params) -> int:
    _check_components(request, params)
    return await changes.create_employee(request.services.db, request.account_id, _wanted(params))


async def _update(request: RequestContext, params: Params) -> None:
    _check_components(request, params)
    await changes.update_employee(request.services.db, request.account_id, params["id"], _wanted(params))


async def _delete(request: RequestContext, params: Params) -> None:
    await changes.delete_employee(request.services.db, request.account_id, params["id"])


def _check_components(request: RequestContext, params: Params) -> None:
    require_component(request, params, RECORDING, "call_recording")
    require_component(request, params, COACH, "coach")
    require_component(request, params, CONSULTANT, "operator")


def _wanted(params: Params) -> changes.EmployeePatch:
    operator = params.get("operator")
    phones = params.get("phone_numbers")
    return changes.EmployeePatch(
        columns={**_columns(params), **_calls(params), **_coach(params), **_extension(params)},
        group_ids=params["groups"] or () if "groups" in params else None,
        phones=None if phones is None else [_phone(phone) for phone in phones],
        operator=None if operator is None else _operator(operator),
        no_operator="operator" in params and operator is None,
    )


_RESET: Mapping[str, Callable[[Any], Any]] = {
    "first_name": lambda value: value or "",
    "last_name": lambda value: value,
    "patronymic": lambda value: value or "",
    "email": lambda value: value or None,
    "call_recording": lambda value: value or CallRecording.ALL.value,
    "schedule_id": lambda value: value,
}
"""What null means to a parameter that is a column by itself."""


def _columns(params: Params) -> dict[str, Any]:
    columns = {name: reset(params[name]) for name, reset in _RESET.items() if name in params}
    if "status_id" in params:  # goes before the deprecated word
        columns["status_id"] = params["status_id"]
    elif "status" in params:
        columns["status"] = params["status"]
    return columns


def _calls(params: Params) -> dict[str, list[str]]:
    """The four columns of allowed directions, as far as the request has them."""
    columns: dict[str, list[str]] = {}
    if "calls_available" in params:
        allowed = [] if params["calls_available"] is False else list(_BOTH)
        columns |= {"in_external_allowed": allowed, "in_internal_allowed": allowed}
    for way in ("in", "out"):
        name = f"allowed_{way}_call_types"
        if name in params:
            types = ("internal", "external") if params[name] is None else params[name]
            for kind in ("internal", "external"):
                columns[f"{way}_{kind}_allowed"] = list(_BOTH) if kind in types else []
    for side in _SIDES:
        name = f"{side}_allowed_call_directions"
        if name in params:
            values = _BOTH if params[name] is None else params[name]
            columns[f"{side}_allowed"] = [way for way in _BOTH if way in values]
    return columns


def _coach(params: Params) -> dict[str, Any]:
    if "coach" not in params:
        return {}
    coach = params["coach"] or {"coach_id": None}
    columns = dict(coach)
    if "coach_id" in columns and columns["coach_id"] is None:
        columns.setdefault("coach_always_enabled", False)
    return columns


def _extension(params: Params) -> dict[str, Any]:
    if "extension" not in params:
        return {}
    values = params["extension"] or {"extension_phone_number": None}
    return {
        "extension": values["extension_phone_number"],
        **{
            name: values.get(name, False)
            for name in ("extension_voice_mail_enabled", "extension_queue_enabled")
        },
    }


def _phone(values: Mapping[str, Any]) -> PhonePatch:
    settings = {name: values[name] for name in SETTINGS if name in values}
    return PhonePatch(values["phone_number"], settings, values.get("phone_id"))


def _operator(values: Mapping[str, Any]) -> OperatorPatch:
    columns = {column: values[name] for name, column in _OPERATOR_COLUMNS.items() if name in values}
    return OperatorPatch(columns, values["operator_password"])


async def _statuses(reader: Reader, params: Params) -> Page:
    return await reader.list(STATUSES, params, IS_DELETED, {"is_deleted": params["is_deleted"]})


async def _statistics(reader: Reader, params: Params) -> Page:
    listing = STATISTICS if params["only_default_statuses_in_stats"] else STATISTICS_BY_ID
    return await reader.report(listing, params, "true")


METHODS = (
    list_method(
        "get.employees",
        "Employees with their numbers, groups and settings.",
        EMPLOYEES,
        permissions=(("employees", "select"),),
    ),
    create_method(
        "create.employees",
        "Adds an employee.",
        _create,
        params=CREATE,
        permissions=(("employees", "insert"),),
    ),
    update_method(
        "update.employees",
        "Changes an employee; what is left out stays, lists are replaced whole.",
        _update,
        params=UPDATE,
        partial=("last_name", "phone_numbers"),
        permissions=(("employees", "update"),),
    ),
    delete_method(
        "delete.employees",
        "Removes an employee to whom nothing refers any more.",
        _delete,
        permissions=(("employees", "delete"),),
    ),
    list_method(
        "get.statuses",
        "Statuses that employees may have.",
        STATUSES,
        read=_statuses,
        params=(
            override(
                "is_deleted", default=False, description="The statuses that are gone, instead of the others."
            ),
        ),
    ),
    list_method(
        "get.employee_stat",
        "Seconds that employees spent in each status.",
        STATISTICS,
        read=_statistics,
        params=(
            *PERIOD,
            override(
                "only_default_statuses_in_stats",
                default=True,
                description="Seconds by mnemonic of the standard statuses; false: by id of each status.",
            ),
        ),
        components=(CALL_CENTER,),
    ),
)
