"""``start.simple_call`` and ``start.employee_call``: calls that begin with an API request."""

from __future__ import annotations

import dataclasses
from typing import Any

from trunkline.apis.call_api import common, errors, starting
from trunkline.apis.call_api.components import BASE
from trunkline.apis.jsonrpc import (
    Form,
    Param,
    Params,
    ParamType,
    RequestContext,
    Result,
)
from trunkline.apis.jsonrpc.derive import override
from trunkline.core.phone import normalise

_SIMPLE_CALL_PARAMS = starting.start_params(
    "start.simple_call",
    override(
        "operator",
        convert=normalise,
        description="The operator's side: an E.164 number; it is no employee and none in reports.",
    ),
    override(
        "operator_confirmation",
        pattern=r"[0-9*#]|any",
        description="The key by which the operator takes the call.",
    ),
)

_EMPLOYEE_CALL_PARAMS = starting.start_params(
    "start.employee_call",
    override(
        "employee",
        params=(
            override("id", minimum=1, description="The employee."),
            override(
                "phone_number",
                convert=common.any_number,
                description="One of the employee's active numbers; else all of them, in turn.",
            ),
        ),
        description="Whom the contact is connected with.",
    ),
)


def _flat_employee(params: Params) -> dict[str, Any]:
    rest = {name: value for name, value in params.items() if name != "employee_id"}
    return {**rest, "employee": {"id": params["employee_id"]}}


_FLAT_EMPLOYEE_PARAMS = tuple(
    dataclasses.replace(param, required=False, default="employee")
    if param.name == "first_call"
    else Param("employee_id", ParamType.NUMBER, required=True, minimum=1)
    if param.name == "employee"
    else param
    for param in _EMPLOYEE_CALL_PARAMS
)

_FLAT_EMPLOYEE = Form(
    description="employee_id in place of employee.id; the employee is called first by default.",
    applies=lambda sent: "employee_id" in sent and "employee" not in sent,
    params=_FLAT_EMPLOYEE_PARAMS,
    rewrite=_flat_employee,
    fields={"employee.id": "employee_id"},
)


_THROUGH_SCENARIO = Form(
    description="contact and virtual_phone_number alone: the contact is called and goes through the number's scenario.",
    applies=lambda sent: set(sent) - {"access_token"} == {"contact", "virtual_phone_number"},
    params=starting.some_of(_SIMPLE_CALL_PARAMS, "access_token", "virtual_phone_number", "contact"),
    rewrite=lambda params: {**params, **starting.CONTACT_FIRST},
)


async def _start_simple_call(request: RequestContext, params: Params) -> Result:
    if "operator" not in params:
        return await starting.start(request, "start_vnumber_call", params)
    starting.check(request, params)
    return await starting.start(request, "start_simple_call", params)


_ERRORS = (
    *errors.MESSAGE_ERRORS,
    errors.VIRTUAL_PHONE_NUMBER_NOT_FOUND,
    errors.OWN_VIRTUAL_PHONE_NUMBER_NOT_ALLOWED,
    errors.CONTACT_IN_BLACKLIST,
)

METHODS = (
    starting.start_method(
        "start.simple_call",
        "Connects a contact with an operator, both by their numbers.",
        _SIMPLE_CALL_PARAMS,
        components=(BASE,),
        errors=(*_ERRORS, errors.NUMBER_WITHOUT_SCENARIO),
        form=_THROUGH_SCENARIO,
        handler=_start_simple_call,
    ),
    starting.start_method(
        "start.employee_call",
        "Connects a contact with an employee, past any scenario.",
        _EMPLOYEE_CALL_PARAMS,
        components=(BASE,),
        errors=(*_ERRORS, errors.EMPLOYEE_NOT_FOUND, errors.NO_ACTIVE_PHONE_NUMBER),
        form=_FLAT_EMPLOYEE,
    ),
)
