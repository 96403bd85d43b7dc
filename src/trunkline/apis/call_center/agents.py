"""Agents at work (``/api/cc_agent``): calls that are started for them, their live calls, files played into these."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson

from trunkline.apis.call_center.declaration import (
    Answer,
    Arguments,
    Field,
    Handler,
    Kind,
    Operation,
    boolean,
    identifier,
    integer,
    members,
    other,
    records,
    seconds,
    text,
)
from trunkline.apis.call_center.rights import check_permission, user_of
from trunkline.apis.service.agent_status import set_pause, set_queue_status
from trunkline.apis.service.request_context import RequestContext
from trunkline.apis.service.workloads import Workload
from trunkline.calls.command_names import CHECK_IN
from trunkline.calls.switch.queue_commands import AgentCommands
from trunkline.core.call_uuids import identifier_of, uuid_of
from trunkline.core.errors import InvalidInput, InvalidState, NotFound, Refused
from trunkline.core.phone import normalise
from trunkline.directory.agents.check_ins import SetStatus, check_in, check_out, new_code
from trunkline.directory.agents.listing import agents_by_external_id
from trunkline.directory.employees.changes import set_available
from trunkline.directory.users.listing import read_user

_MODULE = "agents"
_WATCH = (_MODULE, "select")
_CONTROL = (_MODULE, "update")

ORIGINATE_SECONDS = 180
"""How long a request waits for the agent at most; the devices of an agent ring one after another."""

_MNEMONICS = frozenset({"facility_not_subscribed", "user_busy"})
"""Errors whose text is their name, because clients compare it."""


def _number(value: str) -> str:
    digits = normalise(value)
    if digits is None:
        raise ValueError("send a number of the account in full, for example 12025550110")
    return digits


_UUID = Field("uuid", Kind.STRING, "UUID of the call.", required=True)

CALL_FIELDS = (
    _UUID,
    text(
        "state",
        "Answer: the parties talk; Ring: not yet; Hold.",
        required=True,
        enum=("Ring", "Answer", "Hold"),
    ),
    text("type", "Kind of the call.", required=True, enum=("inbound", "outbound", "internal", "queue")),
    integer("ts", "Unix time of the start.", required=True),
    integer("answer_ts", "Unix time of the first answer."),
    text("cid_num", "Number of the caller."),
    text("cid_name", "Name of the caller."),
    text("dst_num", "Number that was called."),
    identifier("src_device_id", "SIP line of the caller."),
    identifier("dst_device_id", "SIP line of the called party."),
    identifier("src_user_id", "User who calls."),
    identifier("dst_user_id", "User who is called."),
    identifier("user_id", "The agent."),
    identifier("queue_id", "Queue of the call."),
    text("lead_id", "Lead that the call is about."),
    text("lead_name", "Its name, of a call of a dialing campaign."),
    Field("ext_api_vars", Kind.OBJECT, "Its variables, of a call of a dialing campaign."),
    identifier("campaign_id", "The dialing campaign."),
    text("external_id", "Name of the call in another system."),
    Field("tags", Kind.ARRAY, "Names of its tags.", required=True, items=Kind.STRING),
)


async def _command(request: RequestContext, name: str, params: dict[str, Any]) -> dict[str, Any]:
    signed = {
        **params,
        "user_id": request.caller.user_id,
        "login": request.caller.login,
        "api_request_id": request.api_request_id,
    }
    return await request.services.switch.command(
        request.account_id, name, signed, request_id=str(request.api_request_id)
    )


async def _originate(request: RequestContext, args: Arguments) -> dict[str, Any]:
    """Start the call, and answer when the agent has picked up."""
    query = args.query
    params = {
        "contact": query["destination"],
        "virtual_phone_number": query.get("cid"),
        "contact_shown_name": query.get("cnam"),
        "shown_number": query.get("display_cid"),
        "shown_name": query.get("display_cnam"),
        "lead_id": query.get("lead_id"),
        "auto_answer": bool(query.get("sip_auto_answer")),
        **_device(request, query),
    }
    try:
        started = await _command(request, "start_agent_call", params)
        call_session_id = started["call_session_id"]
        await _picked_up(request, call_session_id)
    except Refused as error:
        if error.mnemonic in _MNEMONICS:
            raise InvalidState(str(error.mnemonic).upper()) from error
        raise
    return {"uuid": uuid_of(call_session_id)}


async def _picked_up(request: RequestContext, call_session_id: int) -> None:
    """Wait until the agent has picked up. After ``ORIGINATE_SECONDS`` the call is ended, and nobody is connected any more.

    :raises InvalidState: the name of the cause: the agent did not pick up.
    """
    now = asyncio.get_running_loop().time
    deadline = now() + ORIGINATE_SECONDS
    while True:
        try:
            found = await _command(request, "wait_for_agent", {"call_session_id": call_session_id})
        except NotFound:
            # It ended, and the switch was started again since.
            raise InvalidState("NO_ANSWER") from None
        if found["state"] == "answered":
            return
        if found["state"] == "ended":
            raise InvalidState(found["cause"])
        if now() >= deadline:
            with contextlib.suppress(NotFound):  # it ended by itself
                await _command(request, "release_call", {"call_session_id": call_session_id})
            raise InvalidState("NO_ANSWER")


def _device(request: RequestContext, query: Mapping[str, Any]) -> dict[str, Any]:
    """The device that is named, else the user."""
    for name, param in (("device_id", "sip_line_id"), ("extension", "extension")):
        if query.get(name):
            check_permission(
                request, _CONTROL, "may call from its own devices only, without device_id and extension"
            )
            return {param: query[name]}
    return {"employee_id": user_of(request, query.get("user_id"), _CONTROL)}


async def _active_calls(request: RequestContext, args: Arguments) -> list[dict[str, Any]]:
    query = args.query
    if query.get("user_id") != request.caller.employee_id or query.get("user_id") is None:
        check_permission(request, _WATCH, "may see its own calls only, with its user_id")
    wanted: set[int] | None = None
    if (user_id := query.get("user_id")) is not None:
        wanted = {user_id}
    if (external_id := query.get("ext_user_id")) is not None:
        named = await agents_by_external_id(request.services.db, request.account_id, external_id)
        wanted = named if wanted is None else wanted & named
    calls = await _calls(request, wanted, query.get("lead_id"))
    queue_id = query.get("queue_id")
    return [one for one in calls if queue_id in (None, one["queue_id"])]


async def _calls(
    request: RequestContext, employee_ids: set[int] | None, lead_id: str | None = None
) -> list[dict[str, Any]]:
    params = {"employee_ids": None if employee_ids is None else sorted(employee_ids), "lead_id": lead_id}
    made = await request.services.switch.command_json(
        request.account_id, "list_agent_calls", params, request_id=str(request.api_request_id)
    )
    calls: list[dict[str, Any]] = orjson.loads(made)
    return calls


async def _barge_media(request: RequestContext, args: Arguments) -> None:
    query = args.query
    employee_id = user_of(request, query.get("user_id"), _CONTROL)
    media_id = None if query.get("stop") else query.get("media_id")
    if media_id is None and not query.get("stop"):
        raise InvalidInput("media_id is missing: send the id of a media file, or stop=1.", field="media_id")
    await read_user(request.services.db, request.account_id, employee_id)
    talking = [one for one in await _calls(request, {employee_id}) if one["state"] == "Answer"]
    if not talking:
        raise InvalidState("The user talks in no call now.", field="user_id", value=employee_id)
    newest = max(talking, key=lambda one: (one["ts"], one["uuid"]))
    params = {"call_session_id": identifier_of(newest["uuid"]), "media_file_id": media_id}
    await _command(request, "barge_media", params)


def _commands(request: RequestContext) -> AgentCommands:
    return AgentCommands(request.services.switch)


def _set_status(request: RequestContext) -> SetStatus:
    return partial(set_queue_status, _commands(request), request.account_id)


async def _user(request: RequestContext, args: Arguments) -> int:
    """The user whose work is changed.

    :raises NotFound: the account has no such user.
    """
    employee_id = user_of(request, args.query.get("user_id"), _CONTROL)
    await read_user(request.services.db, request.account_id, employee_id)
    return employee_id


async def _check_in(request: RequestContext, args: Arguments) -> str:
    employee_id = await _user(request, args)
    force = bool(args.query.get("forceCheckOut"))
    return CHECK_IN + await new_code(request.services.db, request.account_id, employee_id, force=force)


async def _check_in_device(request: RequestContext, args: Arguments) -> None:
    employee_id, force = await _user(request, args), bool(args.query.get("forceCheckOut"))
    check_permission(request, _CONTROL, "may check in by dialling only")
    await check_in(
        request.services.db,
        request.account_id,
        employee_id,
        args.query["device_id"],
        _set_status(request),
        force=force,
    )
    await set_available(request.services.db, request.account_id, employee_id)


async def _check_out(request: RequestContext, args: Arguments) -> None:
    employee_id = await _user(request, args)
    device_id = args.query.get("device_id")
    await check_out(request.services.db, request.account_id, employee_id, _set_status(request), device_id)


async def _set_pause(request: RequestContext, args: Arguments) -> None:
    employee_id = await _user(request, args)
    commands = _commands(request)
    await set_pause(request.services.db, commands, request.account_id, employee_id, args.query["id"])


async def _wrap_up(request: RequestContext, args: Arguments) -> None:
    employee_id = await _user(request, args)
    await _commands(request).set_wrap_up(request.account_id, employee_id, args.query.get("seconds"))


_OWN_USER = identifier("user_id", "Number of the user; without it that of the key.")

_FORCE = boolean(
    "forceCheckOut", "Ends another check-in of the agent, and that of another agent at the device."
)


def _of_agent(
    name: str, summary: str, handler: Handler, *query: Field, answer: Answer | None = None
) -> Operation:
    """An operation that changes how an agent works."""
    return Operation(
        "GET",
        f"/api/cc_agent/{name}",
        summary,
        handler,
        query=(_OWN_USER, *query),
        answer=answer or Answer(),
        workload=Workload.CHANGE,
    )


OPERATIONS = (
    Operation(
        "GET",
        "/api/cc_agent/originate",
        "Calls the device of an agent, then the destination. Answers when the agent has picked up, with the call; else"
        " msg is the cause, as FACILITY_NOT_SUBSCRIBED: no device of the agent is registered.",
        _originate,
        query=(
            text("destination", "Number to call.", required=True, minimum=1, maximum=64),
            identifier("device_id", "SIP line of the agent."),
            identifier("user_id", "Agent; without device, extension and this: the user of the key."),
            text("extension", "Extension of a user, or the login of a SIP line.", maximum=32),
            text("cid", "Number that the destination sees: one of the account.", maximum=64, check=_number),
            text("cnam", "Name that the destination sees.", maximum=80),
            text("display_cid", "Number that the agent sees.", maximum=32),
            text("display_cnam", "Name that the agent sees.", maximum=80),
            text("lead_id", "Lead that the call is about."),
            boolean("sip_auto_answer", "Whether the device of the agent is asked to answer by itself."),
        ),
        answer=members(_UUID),
        workload=Workload.COMMAND,
    ),
    Operation(
        "GET",
        "/api/cc_agent/active_calls",
        "The calls that live now.",
        _active_calls,
        query=(
            identifier("user_id", "Only calls of this user."),
            text("ext_user_id", "Only calls of the user with this id in another system."),
            text("lead_id", "Only calls about this lead."),
            identifier("queue_id", "Only calls of this queue."),
        ),
        answer=records(*CALL_FIELDS),
        workload=Workload.COMMAND,
    ),
    Operation(
        "GET",
        "/api/cc_agent/barge_media",
        "Plays a media file to both parties of the call in which the agent talks, or stops it.",
        _barge_media,
        query=(
            _OWN_USER,
            identifier("media_id", "Media file."),
            boolean("stop", "Stops what is played."),
        ),
        workload=Workload.COMMAND,
    ),
    _of_agent(
        "checkIn",
        "A number that the agent dials within 10 minutes from the device to work at; then it is checked in there.",
        _check_in,
        _FORCE,
        answer=other({"type": "string", "description": "The number to dial."}),
    ),
    _of_agent(
        "checkOut",
        "Ends the check-in of the agent, who gets no calls of queues any more.",
        _check_out,
        identifier("device_id", "Only if the agent is checked in at this device."),
    ),
    _of_agent(
        "checkInDevice",
        "Checks the agent in at a device, which becomes the first one of the agent.",
        _check_in_device,
        identifier("device_id", "SIP line.", required=True),
        _FORCE,
    ),
    _of_agent(
        "setPause",
        "Sets the agent on a break, or makes it available again.",
        _set_pause,
        identifier(
            "id",
            "Status of the employee during the break; 0 or the status available: it ends.",
            required=True,
        ),
    ),
    _of_agent(
        "wrapup",
        "Ends the wrap-up of the agent at this time from now.",
        _wrap_up,
        seconds("seconds", "0: at once; without it the wrap-up time of the agent."),
    ),
)
