"""Commands of the APIs on a live call, by name. Each checks its parameters, then calls the rules. Pure.

The API has checked the type and form of parameters; numbers are E.164 digits, short numbers or SIP logins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trunkline.calls import rules
from trunkline.calls.command_names import CoachMode
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Hangup, PlayIntoTalk, SendKeys, StopPlayIntoTalk
from trunkline.calls.flows import coaching, consultation, phone_transfer, recording
from trunkline.calls.flows.inputs import Hold, MakeCall, Park, Restore, RunScenario, Transfer, Unhold
from trunkline.calls.flows.number_plan import ToParking, destination
from trunkline.calls.flows.start_requests import message_files
from trunkline.calls.flows.third_party import third_party
from trunkline.calls.session import Leg, Session
from trunkline.core.errors import InvalidInput, InvalidState, NotCarriedOut, NotFound, PermissionDenied
from trunkline.directory.model import CallQueue, CallRecording
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Channel

Params = Mapping[str, Any]


def release_call(decision: Decision, _params: Params) -> None:
    decision.end_session(Reason.OPERATOR_DISCONNECTS, by_command=True)
    for leg in decision.session.living:
        decision.do(Hangup(leg.channel))


def disconnect_leg(decision: Decision, params: Params) -> None:
    leg = decision.session.legs.get(params["leg_id"])
    if leg is None or not leg.is_alive:
        raise NotFound(
            "The call leg was not found", mnemonic="leg_not_found", field="leg_id", value=params["leg_id"]
        )
    decision.do(Hangup(leg.channel))


def hold_call(decision: Decision, params: Params) -> None:
    rules.command(decision, Hold(message_files(decision.context.account, params, "contact_message")))


def unhold_call(decision: Decision, _params: Params) -> None:
    rules.command(decision, Unhold())


def make_call(decision: Decision, params: Params) -> None:
    rules.command(
        decision, MakeCall(params["to"], message_files(decision.context.account, params, "to_message"))
    )


def transfer_talk(decision: Decision, params: Params) -> None:
    """With ``contact`` (a form of the reference) a blind transfer: hold, call, hand over."""
    to = _blind_target(params)
    queue = _queue(decision, to)
    if queue is not None:
        rules.command(decision, RunScenario(queue.scenario_id))
        return
    if to is not None:
        third_party(decision, to)  # refuse before the contact is put on hold
        if consultation.may_hold(decision.session):
            rules.command(decision, Hold())
        rules.command(decision, MakeCall(to))
    rules.command(decision, Transfer())


def _blind_target(params: Params) -> str | None:
    """The number of a blind transfer; None: the contact is handed over to the third party of the call."""
    return params.get("contact")


def transfer_by_phone(decision: Decision, params: Params) -> None:
    """A blind transfer that a phone asks for; only from the phone."""
    leg = decision.session.legs[params["leg_id"]]
    phone_transfer.check_number(decision, leg, params["to"])
    where = destination(decision.context.account, params["to"])
    if isinstance(where, ToParking):
        rules.command(decision, Park(where.slot, is_transfer=True))
        return
    queue = _queue(decision, params["to"])
    if queue is not None:
        phone_transfer.done(decision, leg)
        rules.command(decision, RunScenario(queue.scenario_id))
        return
    rules.command(decision, Hold())
    rules.command(decision, MakeCall(params["to"], sip_line_id=leg.sip_line_id))
    phone_transfer.done(decision, leg)
    rules.command(decision, Transfer())


def park_call(decision: Decision, _params: Params) -> None:
    """Only as a code that a phone dials."""
    rules.command(decision, Park())


def _queue(decision: Decision, to: str | None) -> CallQueue | None:
    """The queue whose short number this is: the contact waits there, nobody is called as a third party."""
    return decision.context.account.queue_by_extension(to) if to is not None else None


def restore_talk(decision: Decision, _params: Params) -> None:
    rules.command(decision, Restore())


def send_dtmf(decision: Decision, params: Params) -> None:
    """Keys to the contact, as if the employee had pressed them."""
    session = decision.session
    contact = session.contact
    if contact is None or not contact.is_alive or contact.answered_at is None:
        raise InvalidState("This method cannot be called in this state", field="call_session_id")
    decision.do(SendKeys(contact.channel, params["dtmf_string"]))


def tag_call(decision: Decision, params: Params) -> None:
    tag = decision.context.account.tags.get(params["tag_id"])
    if tag is None:
        raise NotFound(
            f"Tag with {params['tag_id']} was not found",
            mnemonic="tag_not_found",
            field="tag_id",
            value=params["tag_id"],
            params={"tag_id": params["tag_id"]},
        )
    if any(one["tag_id"] == tag.tag_id for one in decision.session.tags):
        raise InvalidInput("Duplicate tag", mnemonic="duplicate_tag", field="tag_id", value=tag.tag_id)
    decision.emit(
        EventType.TAG_SET,
        tag_id=tag.tag_id,
        tag_name=tag.name,
        user_id=params.get("user_id"),
        user_login=params.get("login"),
        employee_id=params.get("employee_id"),
        employee_full_name=_name(decision, params.get("employee_id")),
    )


def mark_call(decision: Decision, params: Params) -> dict[str, Any]:
    """Tags set and removed by ``tagging``, which has checked them; returns the actual changes.

    :param params: ``set`` [{tag_id, tag_name}], ``unset`` [tag_id], and the caller.
    """
    names = {tag["tag_id"]: tag["tag_name"] for tag in decision.session.tags}
    given = [tag for tag in params["set"] if tag["tag_id"] not in names]
    taken = [tag_id for tag_id in params["unset"] if tag_id in names]
    author = {
        name: params.get(name) for name in ("user_id", "user_login", "employee_id", "employee_full_name")
    }
    for tag in given:
        decision.emit(EventType.TAG_SET, tag_id=tag["tag_id"], tag_name=tag["tag_name"], **author)
    for tag_id in taken:
        decision.emit(EventType.TAG_UNSET, tag_id=tag_id, tag_name=names[tag_id], **author)
    return {"set": [tag["tag_id"] for tag in given], "unset": taken}


def record_call(decision: Decision, params: Params) -> None:
    session = decision.session
    if not session.talking or session.ending is not None:
        raise InvalidState("This method cannot be called in this state", field="call_session_id")
    legs = consultation.talking(session)
    recorded = any(leg.is_recorded for leg in legs)
    if params["action"] == "on":
        if recorded:
            raise InvalidState("The call recording is already started", mnemonic="record_already_started")
        obstacle = decision.context.recording_obstacle
        if obstacle is not None:
            raise NotCarriedOut(f"The call is {obstacle}; the administrator finds more in `trunkline status`")
        for leg in legs:
            recording.begin(decision, leg, asked=True)
        return
    if not recorded:
        raise InvalidState("The call recording is not enabled", mnemonic="record_already_stopped")
    if any(_records_always(decision, leg) for leg in legs):
        raise PermissionDenied(
            "This employee's calls are always recorded; change that in the employee's settings",
            mnemonic="forbidden",
        )
    for leg in legs:
        recording.end(decision, leg)


def add_coach(decision: Decision, params: Params) -> None:
    coaching.add(decision, params.get("phone_number"), CoachMode(params.get("mode") or CoachMode.WHISPER))


def barge_media(decision: Decision, params: Params) -> None:
    """Both parties of a talk hear a media file while they talk; ``media_file_id`` None: it stops."""
    if not decision.session.talking or decision.session.ending is not None:
        raise InvalidState("The agent does not talk now", field="call_session_id")
    media_file_id = params["media_file_id"]
    file = decision.context.media_path(media_file_id) if media_file_id is not None else None
    if media_file_id is not None and file is None:
        raise NotFound(
            f"There is no media file {media_file_id}.",
            mnemonic="media_file_not_found",
            field="media_id",
            value=media_file_id,
        )
    for leg in consultation.talking(decision.session):
        decision.do(StopPlayIntoTalk(leg.channel) if file is None else PlayIntoTalk(leg.channel, file))


def run_scenario(decision: Decision, params: Params) -> None:
    """Only as a talk option."""
    rules.command(decision, RunScenario(params["scenario_id"]))


def block_contact(decision: Decision, _params: Params) -> dict[str, Any]:
    """Checks only: the API writes the blacklist, which is configuration."""
    number = decision.session.contact_phone_number
    if number is None:
        raise InvalidInput("This call has no contact number to block", field="call_session_id")
    if number in decision.context.account.blacklist:
        raise InvalidInput(
            f"The contact with phone number {number} already exists",
            mnemonic="duplicate_contact",
            field="call_session_id",
            value=decision.session.call_session_id,
            params={"contact_phone_number": number},
        )
    return {"contact_phone_number": number}


def _records_always(decision: Decision, leg: Leg) -> bool:
    employee = decision.context.account.employees.get(leg.employee_id or 0)
    return employee is not None and employee.call_recording in (
        CallRecording.ALL,
        CallRecording(decision.session.direction),
    )


def _name(decision: Decision, employee_id: int | None) -> str | None:
    employee = decision.context.account.employees.get(employee_id or 0)
    return employee.full_name if employee is not None else None


def control_needed(session: Session, name: str, params: Params) -> tuple[Channel, ...]:
    """The parties whose channels the switch must control before a command, () for others. In a talk that it controls
    already, taking control changes nothing."""
    moves = name in ("hold_call", "run_scenario", "transfer_by_phone", "park_call") or (
        name == "transfer_talk" and _blind_target(params) is not None
    )
    if not (moves and consultation.may_hold(session)):
        return ()
    return tuple(leg.channel for leg in consultation.talking(session))


def leaves_by(session: Session, name: str) -> Channel | None:
    """The party that leaves the call by a command that needs control: it may hang up before the command is carried out."""
    if name == "hold_call" or not consultation.may_hold(session):
        return None
    return consultation.talking(session)[1].channel


COMMANDS: dict[str, Callable[[Decision, Params], dict[str, Any] | None]] = {
    "release_call": release_call,
    "disconnect_leg": disconnect_leg,
    "hold_call": hold_call,
    "unhold_call": unhold_call,
    "make_call": make_call,
    "transfer_talk": transfer_talk,
    "transfer_by_phone": transfer_by_phone,
    "park_call": park_call,
    "restore_talk": restore_talk,
    "send_dtmf": send_dtmf,
    "tag_call": tag_call,
    "mark_call": mark_call,
    "record_call": record_call,
    "add_coach": add_coach,
    "run_scenario": run_scenario,
    "barge_media": barge_media,
    "block_contact": block_contact,
}
"""By name; all of them require ``call_session_id``."""

STORED_ONLY = frozenset({"tag_call", "mark_call"})
"""Commands that give Asterisk nothing to do: they have succeeded when their events are stored, and not earlier."""
