"""API requests to start a call, checked against the directory: ids and numbers become a :class:`StartCall`. Pure.

Every refusal carries the mnemonic of the method's page, the parameter and the value as sent. Types and formats
were checked by the API.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from trunkline.calls.command_names import INFORMER_RING_SECONDS, check_options
from trunkline.calls.context import CallContext
from trunkline.calls.flows.click_to_call import StartCall
from trunkline.calls.flows.number_plan import ToEmployee, ToOutside, destination
from trunkline.core.errors import InvalidInput, InvalidState, LimitExceeded, NotFound, PermissionDenied
from trunkline.core.phone import normalise
from trunkline.directory.model import Account, Employee, Phone, SipLine, VirtualNumber
from trunkline.events.reasons import Reason
from trunkline.routing.directions import refused_direction

Params = Mapping[str, Any]


def start_employee_call(account: Account, params: Params) -> StartCall:
    """``start.employee_call``."""
    number = _virtual_number(account, params)
    contact = check_contact(account, str(params["contact"]))
    employee = _employee(account, params)
    plan = _plan(account, params, ours="employee_message")
    named = params["employee"].get("phone_number")
    phones = [
        p
        for p in employee.phones
        if p.is_active and (named is None or _is_phone(account, employee, p, named))
    ]
    if not phones:
        raise InvalidInput(
            "The phone number does not exist or is inactive",
            mnemonic="no_active_phone_number",
            field="employee.phone_number" if named is not None else "employee.id",
            value=named if named is not None else params["employee"]["id"],
        )
    serving = {
        "kind": "employee",
        "employee_id": employee.employee_id,
        "phone_ids": [phone.phone_id for phone in phones],
    }
    return _request(params, "callapi", number, contact, serving, plan)


def start_simple_call(account: Account, params: Params) -> StartCall:
    """``start.simple_call``."""
    number = _virtual_number(account, params)
    contact = check_contact(account, str(params["contact"]))
    plan = _plan(account, params, ours="operator_message")
    operator = str(params["operator"])
    if account.line_by_login(operator) is None:
        _check_direction(account, operator, "operator")
    serving = {"kind": "operator", "number": operator}
    return _request(params, "callapi", number, contact, serving, plan, operator=operator)


def start_scenario_call(account: Account, params: Params) -> StartCall:
    """``start.scenario_call``."""
    number = _virtual_number(account, params)
    scenario_id = params["scenario_id"]
    if scenario_id not in account.scenarios:
        raise NotFound(
            f"Scenario with id {scenario_id} was not found",
            mnemonic="scenario_not_found",
            field="scenario_id",
            value=scenario_id,
            params={"scenario_id": scenario_id},
        )
    contact = check_contact(account, str(params["contact"]))
    plan = _plan(account, params, ours="employee_message")
    serving = {"kind": "scenario", "scenario_id": scenario_id}
    return _request(params, "callapi_scenario_call", number, contact, serving, plan)


def start_vnumber_call(account: Account, params: Params) -> StartCall:
    """``start.vnumber_call``: the scenario is that of the number's active rule without regard to schedules' hours,
    or of the first rule that is open now (which the switch adds as ``scenario_id``)."""
    number = _virtual_number(account, params)
    scenario_id = params.get("scenario_id")
    if scenario_id is None:
        raise NotFound(
            "Virtual phone number does not have a scenario",
            mnemonic="scenario_not_found",
            field="virtual_phone_number",
            value=params.get("virtual_phone_number"),
        )
    contact = check_contact(account, str(params["contact"]))
    plan = _plan(account, params, ours=None)
    serving = {"kind": "scenario", "scenario_id": scenario_id}
    return _request(params, "callapi", number, contact, serving, plan)


def start_informer_call(account: Account, params: Params) -> StartCall:
    """``start.informer_call``: only the contact; the call ends when the message has been played."""
    number = _virtual_number(account, params)
    contact = check_contact(account, str(params["contact"]))
    plan = _plan(account, params, ours=None)
    plan["dialing_timeout"] = params.get("dialing_timeout") or INFORMER_RING_SECONDS
    return StartCall(
        source="callapi_informer_call",
        first={"kind": "contact", "number": contact},
        second=None,
        number=number,
        contact=contact,
        direction=params.get("direction") or "in",
        external_id=params.get("external_id"),
        api_request_id=params.get("api_request_id"),
        plan=plan,
    )


def start_lead_call(account: Account, params: Params) -> StartCall:
    """A lead of a campaign, or the customer of a queue callback, is called, then waits in the queue for the reserved agent.
    With ``preview_employee_id`` that agent is called first, and the lead when the agent has answered."""
    if params.get("virtual_phone_number") is None:
        raise InvalidState(
            "The account has no verified virtual number, which calls need as caller id; the administrator of the"
            " installation assigns one: `trunkline numbers assign`.",
            field="virtual_phone_number",
        )
    number = _virtual_number(account, params)
    queue = account.queues.get(params["queue_id"])
    if queue is None:
        raise NotFound(f"There is no queue {params['queue_id']}.", field="queue_id", value=params["queue_id"])
    contact = check_contact(account, str(params["contact"]))
    employee_id = params.get("preview_employee_id")
    serving: dict[str, Any] = {"kind": "scenario", "scenario_id": queue.scenario_id}
    if employee_id is not None:
        serving = _device(account, {"employee_id": employee_id})
    plan = {
        **_plan(account, {"show_virtual_phone_number": False}, ours=None),
        "shown_to_us": [contact, params.get("lead_name")],
        **({"dialing_timeout": params["ring_seconds"]} if employee_id is None else {}),
    }
    if (seconds := params.get("connect_seconds")) is not None:  # a callback has no such limit
        plan["connect"] = {"seconds": seconds, "scenario_id": params.get("abandoned_scenario_id")}
    if params.get("detects_machine"):
        plan["detects_machine"] = True
    first = "contact" if employee_id is None else "employee"
    request = _request(
        {**params, "first_call": first, "direction": "out"},
        "callapi_scenario_call",
        number,
        contact,
        serving,
        plan,
    )
    if (lead_id := params.get("lead_id")) is None:  # a callback
        return request
    lead = {"name": params.get("lead_name"), "tags": params.get("lead_tags")}
    lead["ext_api_vars"] = params.get("ext_api_vars") or {}
    return replace(request, lead_id=lead_id, lead=lead, dial_campaign_id=params.get("dial_campaign_id"))


def start_agent_call(account: Account, params: Params) -> StartCall:
    """``originate`` of the Call Center API: the agent's device is called first, then the destination.

    :param params: one of ``sip_line_id``, ``employee_id`` and ``extension`` names the device; ``contact`` is what the agent
        would dial.
    """
    if params.get("virtual_phone_number") is None:
        raise InvalidState(
            "The account has no verified virtual number, which calls need as caller id; the administrator of the"
            " installation assigns one: `trunkline numbers assign`.",
            field="cid",
        )
    number = _virtual_number(account, params)
    contact = check_contact(account, _dialled(account, str(params["contact"])))
    plan = {
        **_plan(account, {"show_virtual_phone_number": False}, ours=None),
        "shown_to_us": [params.get("shown_number"), params.get("shown_name")],
        "shown_name": params.get("contact_shown_name"),
        "auto_answer": bool(params.get("auto_answer")),
    }
    request = _request(
        {**params, "first_call": "employee", "direction": "out"},
        "callapi",
        number,
        contact,
        _device(account, params),
        plan,
    )
    return replace(request, lead_id=params.get("lead_id"))


def _dialled(account: Account, text: str) -> str:
    """What the agent would dial, as a number in full or the login of a line."""
    match destination(account, text):
        case ToEmployee(employee):
            lines = (
                account.lines.get(phone.sip_line_id or 0) for phone in employee.phones if phone.is_active
            )
            return next((line.phone_number for line in lines if line is not None), text)
        case ToOutside(number, None):
            return number
    return text


def _device(account: Account, params: Params) -> dict[str, Any]:
    """The party of the agent: the phones of an employee, or one line."""
    line = employee = None
    if (sip_line_id := params.get("sip_line_id")) is not None:
        line = account.lines.get(sip_line_id)
        if line is None:
            raise NotFound(f"There is no device {sip_line_id}.", field="device_id", value=sip_line_id)
    elif (extension := params.get("extension")) is not None:
        employee, line = account.employee_by_extension(extension), account.line_by_login(extension)
        if employee is None and line is None:
            raise NotFound(
                f"The extension {extension} is not that of a user or a device.",
                field="extension",
                value=extension,
            )
    else:
        employee = account.employees.get(params["employee_id"])
        if employee is None:
            raise NotFound(
                f"There is no user {params['employee_id']}.", field="user_id", value=params["employee_id"]
            )
    if employee is not None:
        phones = [phone.phone_id for phone in employee.phones if phone.is_active]
        return {"kind": "employee", "employee_id": employee.employee_id, "phone_ids": phones}
    assert line is not None
    return {"kind": "line", "sip_line_id": line.sip_line_id, "number": line.phone_number}


def check_device(request: StartCall, context: CallContext) -> None:
    """Whether a device of the agent can be called now.

    :raises InvalidState: ``facility_not_subscribed``: none is there; ``user_busy``: all are in calls.
    """
    account, first = context.account, request.first
    if first["kind"] == "line":
        line = account.lines.get(first["sip_line_id"])
        phones = [] if line is None else [_as_phone(line)]
    else:
        employee = account.employees.get(first["employee_id"])
        phones = (
            [p for p in employee.phones if p.phone_id in first["phone_ids"]] if employee is not None else []
        )
    obstacles = {context.phone_obstacle(phone) for phone in phones}
    if None in obstacles:
        return
    if Reason.OPERATOR_CHANNELS_BUSY in obstacles:
        raise InvalidState("The devices of the agent are in calls", mnemonic="user_busy")
    raise InvalidState("No device of the agent is registered", mnemonic="facility_not_subscribed")


def _as_phone(line: SipLine) -> Phone:
    return Phone(0, line.sip_line_id, None, line.channels_count, line.dial_time, is_active=True)


def message_files(account: Account, params: Params, name: str) -> tuple[str, ...]:
    """The files of a message parameter: a media file of the account, or a text that the API synthesized.

    :raises NotFound: ``media_file_not_found``; LimitExceeded: ``tts_text_exceeded``.
    """
    message = params.get(name)
    if message is None:
        return ()
    value = message["value"]
    if message["type"] == "media":
        media = account.media.get(int(value)) if str(value).isdigit() else None
        if media is None:
            raise _no_media(value, f"{name}.value")
        return (str(media.path),)
    if len(value) > account.tts_message_max_length:
        raise LimitExceeded(
            f"The maximum length of a Text-to-Speech message is {account.tts_message_max_length}."
            f" The length of your message is {len(value)}",
            mnemonic="tts_text_exceeded",
            field=f"{name}.value",
            value=value,
            params={
                "tts_message_max_length": account.tts_message_max_length,
                "sent_tts_message_length": len(value),
            },
        )
    return (str(message["file"]),)


def _plan(account: Account, params: Params, *, ours: str | None) -> dict[str, Any]:
    media_file_id = params.get("media_file_id")
    if media_file_id is not None and media_file_id not in account.media:
        raise _no_media(media_file_id, "media_file_id")
    return {
        "contact_message": _message(account, params, "contact_message"),
        "our_message": _message(account, params, ours) if ours is not None else None,
        "switch_at_once": bool(params.get("switch_at_once")),
        "early_switching": bool(params.get("early_switching")),
        "keys": params.get("dtmf_string"),
        "confirmation": params.get("operator_confirmation"),
        "music_media_file_id": media_file_id,
        "show_virtual_phone_number": params.get("show_virtual_phone_number") is not False,
    }


def _message(account: Account, params: Params, name: str) -> dict[str, Any] | None:
    files = message_files(account, params, name)
    return {"files": list(files), "is_tts": params[name]["type"] == "tts"} if files else None


def _request(
    params: Params,
    source: str,
    number: VirtualNumber,
    contact: str,
    serving: dict[str, Any],
    plan: dict[str, Any],
    *,
    operator: str | None = None,
) -> StartCall:
    check_options(params)
    calling = {"kind": "contact", "number": contact}
    contact_first = params["first_call"] == "contact"
    return StartCall(
        source=source,
        first=calling if contact_first else serving,
        second=serving if contact_first else calling,
        number=number,
        contact=contact,
        operator=operator,
        direction=params.get("direction") or "in",
        external_id=params.get("external_id"),
        api_request_id=params.get("api_request_id"),
        plan=plan,
    )


def _virtual_number(account: Account, params: Params) -> VirtualNumber:
    text = params["virtual_phone_number"]
    number = account.number_by_phone(text)
    if number is None:
        raise NotFound(
            f"Virtual phone number {text} not found. It is not your virtual phone number.",
            mnemonic="virtual_phone_number_not_found",
            field="virtual_phone_number",
            value=text,
            params={"virtual_phone_number": text},
        )
    if not number.is_verified:
        raise NotFound(
            f"Virtual phone number {text} is not verified, so it cannot be a caller id; the administrator of the"
            " installation can verify it: `trunkline numbers assign`.",
            mnemonic="virtual_phone_number_not_found",
            field="virtual_phone_number",
            value=text,
            params={"virtual_phone_number": text},
        )
    return number


def check_contact(account: Account, contact: str) -> str:
    """A number or line that may be called; the same.

    :raises InvalidInput: it is an own number, or none.
    :raises PermissionDenied: it is in the blacklist, or the security settings do not allow it.
    """
    if account.number_by_phone(contact) is not None:
        raise InvalidInput(
            "The `contact` parameter cannot contain your own virtual phone number",
            mnemonic="own_virtual_phone_number_not_allowed",
            field="contact",
            value=contact,
        )
    if contact in account.blacklist:
        raise PermissionDenied(
            f"The contact {contact} has been found in the blacklist",
            mnemonic="contact_in_blacklist",
            field="contact",
            value=contact,
            params={"contact": contact},
        )
    if account.line_by_login(contact) is not None:
        return contact
    if normalise(contact) is None:
        raise InvalidInput(
            "The contact is neither a telephone number in full nor one of your SIP lines",
            field="contact",
            value=contact,
        )
    _check_direction(account, contact, "contact")
    return contact


def _check_direction(account: Account, number: str, field: str) -> None:
    """:raises PermissionDenied: ``forbidden``, when the security settings close the number."""
    if (refused := refused_direction(account, number)) is not None:
        raise PermissionDenied(
            f"The account's security settings do not allow calls to {number}; allow {refused} calls there",
            mnemonic="forbidden",
            field=field,
            value=number,
        )


def _employee(account: Account, params: Params) -> Employee:
    employee_id = params["employee"]["id"]
    employee = account.employees.get(employee_id)
    if employee is None:
        raise NotFound(
            f"Employee with id {employee_id} not found. It is not your employee.",
            mnemonic="employee_not_found",
            field="employee.id",
            value=employee_id,
            params={"employee_id": employee_id},
        )
    return employee


def _is_phone(account: Account, employee: Employee, phone: Any, named: str) -> bool:
    """A number names a phone as SIP login, as external number, or the employee's first phone by the short number."""
    if phone.outside is not None and named in (phone.external_number, phone.outside.number):
        return True
    line = account.lines.get(phone.sip_line_id) if phone.sip_line_id is not None else None
    if line is not None and line.phone_number == named:
        return True
    return employee.extension == named and phone is employee.phones[0]


def _no_media(media_file_id: Any, field: str) -> NotFound:
    return NotFound(
        f"The media file with id {media_file_id} was not found",
        mnemonic="media_file_not_found",
        field=field,
        value=media_file_id,
        params={"media_file_id": media_file_id},
    )


STARTS: dict[str, Callable[[Account, Params], StartCall]] = {
    "start_employee_call": start_employee_call,
    "start_simple_call": start_simple_call,
    "start_scenario_call": start_scenario_call,
    "start_vnumber_call": start_vnumber_call,
    "start_informer_call": start_informer_call,
    "start_agent_call": start_agent_call,
    "start_lead_call": start_lead_call,
}
"""Commands that start a call, by name."""
