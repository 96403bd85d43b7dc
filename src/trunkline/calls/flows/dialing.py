"""Dialling: from employees, lines and numbers to commands of the engine. Shared by all kinds of calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trunkline.calls.context import CallContext
from trunkline.calls.decision import Decision
from trunkline.calls.effects import ConnectTargets
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import recording
from trunkline.calls.session import EngineConnect, Leg, PendingTarget, Role
from trunkline.calls.states import Controlled
from trunkline.core.engine_values import CallTag, MediaPath
from trunkline.core.phone import split_number
from trunkline.directory.model import (
    Employee,
    Phone,
    SipLine,
    Trunk,
    VirtualNumber,
)
from trunkline.events.reasons import Reason
from trunkline.routing.decisions import Candidate
from trunkline.routing.directions import refused_direction
from trunkline.routing.emergency import emergency_caller, emergency_trunks
from trunkline.telephony.port import Connect, Endpoint, EndpointKind, Target, TargetStarted

DialTarget = tuple[Target, dict[str, Any]]
"""A target for the engine, and the data of the leg it will become."""


def take_outgoing_trunk(
    context: CallContext, number: str, own: VirtualNumber | None, sip_line_id: int | None = None
) -> Trunk | Reason:
    """The trunk for a call to an outside number, which counts from now on, or the reason why the call is not allowed.

    All kinds of calls use this function: phones, the API, scenarios, forwarding, transfers, coaches; emergency calls do not.

    :param number: E.164 digits.
    :param own: the virtual number that is shown.
    :param sip_line_id: the line that dials, when one does.
    """
    if refused_direction(context.account, number) is not None:
        return Reason.LOCKED_NUMB
    trunk = context.account.trunk_for(own)
    if trunk is None:
        return Reason.SIP_TRUNK_IS_LOCKED
    reason = context.trunk_obstacle(trunk) or context.limit_obstacle(sip_line_id, number)
    if reason is not None:
        return reason
    context.grant(trunk, sip_line_id, number)
    return trunk


def emergency_dial_target(decision: Decision, number: str, own: VirtualNumber | None) -> DialTarget | None:
    """An emergency number, by the next trunk that this call has not tried; None = there is no other.

    No setting and no limit is checked. The trunk of the caller's own number comes first; trunks whose channels are all in
    use come last. The caller id is a number of the trunk, since carriers refuse others.
    """
    account = decision.context.account
    tried = {leg.trunk_id for leg in decision.session.legs.values()}
    trunks = [one for one in emergency_trunks(account, own) if one.trunk_id not in tried]
    trunk = min(trunks, key=lambda one: decision.context.trunk_obstacle(one) is not None, default=None)
    if trunk is None:
        return None
    shown = emergency_caller(account, trunk, own)
    return contact_dial_target(decision, trunk, number, shown.phone_number if shown is not None else None)


def trunk_target(
    decision: Decision, trunk: Trunk, number: str, caller_number: str | None, caller_name: str = ""
) -> Target:
    """An outside number, through a trunk. Digits only: the engine writes them in the number format of that trunk.

    All calls to outside numbers are made here, so none shows a number that is not verified.
    """
    shown = decision.context.account.caller_id(caller_number)
    endpoint = decision.trunk_endpoint(trunk.trunk_id)
    return Target.of(endpoint, number=number, caller_number=shown or "", caller_name=caller_name)


def phone_target(
    decision: Decision, phone: Phone, caller_number: str, caller_name: str
) -> tuple[Target, int | None] | Reason:
    """A phone of an employee, and the trunk it is reached by (None for a line); or why it cannot be reached now.

    An external phone is called with our virtual number: carriers refuse numbers that are not ours.
    """
    account = decision.context.account
    if phone.sip_line_id is not None:
        line = account.lines.get(phone.sip_line_id)
        if line is None:
            return Reason.EMPLOYEE_PHONE_NOT_FOUND
        return (
            Target.of(
                Endpoint.line(line.phone_number),
                caller_number=caller_number,
                caller_name=caller_name,
            ),
            None,
        )
    number = account.numbers.get(decision.session.virtual_number_id or 0)
    if phone.outside is None:
        return Reason.EMPLOYEE_PHONE_NOT_FOUND
    trunk = take_outgoing_trunk(decision.context, phone.outside.number, number)
    if isinstance(trunk, Reason):
        return trunk
    return (
        trunk_target(decision, trunk, phone.outside.number, number.phone_number if number else None),
        trunk.trunk_id,
    )


def candidate_dial_targets(
    decision: Decision,
    candidates: Sequence[Candidate],
    caller_number: str,
    caller_name: str,
    *,
    side: Side = Side.OPERATOR,
) -> list[DialTarget]:
    """Targets of employees' phones, without those that cannot be reached now."""
    found = [
        candidate_dial_target(decision, one, caller_number, caller_name, side=side) for one in candidates
    ]
    return [one for one in found if not isinstance(one, Reason)]


def candidate_dial_target(
    decision: Decision,
    candidate: Candidate,
    caller_number: str,
    caller_name: str,
    *,
    side: Side = Side.OPERATOR,
) -> DialTarget | Reason:
    """Target of an employee's phone, or why it cannot be reached now."""
    reached = phone_target(decision, candidate.phone, caller_number, caller_name)
    if isinstance(reached, Reason):
        return reached
    target, trunk_id = reached
    data = decision.employee_leg(candidate.employee, candidate.phone, side=side)
    data["calling_phone_number"] = target.caller_number or caller_number
    data["trunk_id"] = trunk_id
    if candidate.phone.outside is not None:
        data["keys"] = candidate.phone.outside.keys
    if candidate.group is not None:
        data |= {"group_id": candidate.group.group_id, "group_name": candidate.group.name}
    return target, data


def line_leg(
    line: SipLine, owner: Employee | None, caller_number: str, *, side: Side = Side.OPERATOR
) -> dict[str, Any]:
    """Data of a leg towards a line that was called by its own number."""
    return {
        "role": Role.EMPLOYEE,
        "side": side,
        "direction": "out",
        "calling_phone_number": caller_number,
        "called_phone_number": line.phone_number,
        "employee_id": owner.employee_id if owner else None,
        "employee_full_name": owner.full_name if owner else None,
        "employee_phone_number": line.phone_number,
        "sip_line_id": line.sip_line_id,
    }


def outside_dial_target(decision: Decision, kept: str) -> DialTarget | Reason:
    """An outside number that serves the contact, called with a virtual number of the account; or why it cannot be.

    :param kept: the number, maybe with an extension.
    """
    session, context = decision.session, decision.context
    own = context.account.numbers.get(session.virtual_number_id or 0)
    number, keys = split_number(kept)
    trunk = take_outgoing_trunk(context, number, own)
    if isinstance(trunk, Reason):
        return trunk
    target, data = contact_dial_target(
        decision, trunk, number, own.phone_number if own is not None else None, keys=keys
    )
    return target, {**data, "role": Role.OPERATOR, "side": Side.OPERATOR, **decision.present_operation()}


def contact_dial_target(
    decision: Decision, trunk: Trunk, number: str, caller_number: str | None, *, keys: str | None = None
) -> DialTarget:
    """The contact, called through a trunk.

    :param keys: what is keyed in once it has answered.
    """
    return (
        trunk_target(decision, trunk, number, caller_number),
        {
            "role": Role.CONTACT,
            "side": Side.CONTACT,
            "direction": "out",
            "calling_phone_number": caller_number,
            "called_phone_number": number,
            "trunk_id": trunk.trunk_id,
            "keys": keys,
        },
    )


def dial(
    decision: Decision,
    leg: Leg,
    dial_targets: Sequence[DialTarget],
    ring_seconds: int,
    *,
    music: str | None = None,
    announcement: tuple[str, ...] = (),
) -> None:
    """Ring the dial targets and connect the first that answers with ``leg``.

    :param announcement: files that are played first to the party that answers.
    """
    session = decision.session
    targets = [PendingTarget(target.endpoint, target.number, data) for target, data in dial_targets]
    obstacle = decision.context.recording_obstacle
    session.connect = EngineConnect(leg.channel, targets, not_recorded=obstacle)
    session.is_without_switch = False
    called = (data.get("employee_id") for _, data in dial_targets)
    session.record_wanted = recording.is_required(decision, (leg.employee_id, *called))
    decision.do(
        ConnectTargets(
            leg.channel,
            Connect(
                targets=[target for target, _ in dial_targets],
                ring_seconds=ring_seconds,
                record=session.record_wanted
                and obstacle is None
                and not isinstance(session.state, Controlled),  # else we record by ourselves
                music=None if music is None else MediaPath(music),
                announcement=tuple(MediaPath(file) for file in announcement),
                tag=CallTag(str(session.call_session_id)),
                return_after_talk=False,
            ),
        )
    )


def unexpected(decision: Decision, signal: TargetStarted) -> dict[str, Any]:
    """Data of a target that is not pending (the switch was restarted while it rang), as far as known."""
    account = decision.context.account
    session = decision.session
    dialling = session.leg_of(signal.dialling)
    side = Side.CONTACT if dialling is not None and dialling.side is Side.OPERATOR else Side.OPERATOR
    if signal.endpoint.kind is EndpointKind.TRUNK:
        number = (signal.number or "").lstrip("+")
        return {
            "role": Role.CONTACT if side is Side.CONTACT else Role.OPERATOR,
            "side": side,
            "direction": "out",
            "called_phone_number": number,
            "trunk_id": signal.endpoint.trunk_id,
        }
    line = account.line_by_login(signal.endpoint.name)
    owner = account.employee_of_line(line.sip_line_id) if line is not None else None
    return {
        "role": Role.EMPLOYEE,
        "side": side,
        "direction": "out",
        "calling_phone_number": session.contact_phone_number,
        "called_phone_number": signal.endpoint.name,
        "employee_id": owner.employee_id if owner else None,
        "employee_full_name": owner.full_name if owner else None,
        "employee_phone_number": signal.endpoint.name,
        "sip_line_id": line.sip_line_id if line is not None else None,
    }
