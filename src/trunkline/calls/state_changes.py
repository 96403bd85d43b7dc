"""The state of a session after each event. Pure; the facts are in :mod:`trunkline.calls.fact_changes`.

Each function returns the next state; None: the event does not change it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trunkline.calls.session import (
    Role,
    Session,
    anchor,
)
from trunkline.calls.states import (
    Announcing,
    AwaitingDecision,
    BetweenOperations,
    BothAnswered,
    Calling,
    CallingFirst,
    CallingSecond,
    ChangingSetting,
    CoachCalled,
    Coaching,
    Connecting,
    Consulting,
    Controlled,
    ControlledLate,
    DialledParking,
    EngineTalk,
    EngineTalkEnded,
    Finished,
    Finishing,
    FirstAnswered,
    Forwarding,
    Greeting,
    InMailbox,
    InMenu,
    InQueue,
    InScenario,
    Joining,
    LeavingMessage,
    MailboxGreeting,
    MailboxLogin,
    MailboxNewPin,
    MailboxOpen,
    NoCoach,
    OnHold,
    Parked,
    Releasing,
    State,
    Talking,
    TalkInterrupted,
    TransferAnnouncing,
    TransferCalling,
    TransferReleasing,
    WithThird,
)
from trunkline.calls.timers import ring_timer
from trunkline.directory.model import OperationKind
from trunkline.events.catalogue import EventType
from trunkline.routing.menus import MAX_DIGITS


def _state_after_scenario_entered(session: Session, data: Mapping[str, Any]) -> State | None:
    return BetweenOperations() if isinstance(session.state, InScenario) or data.get("takes_over") else None


def _state_after_operation_entered(session: Session, data: Mapping[str, Any]) -> State | None:
    if not isinstance(session.state, InScenario):
        return None
    match data.get("kind"):
        case OperationKind.MENU | OperationKind.DIAL_EXTENSION:
            return InMenu()
        case OperationKind.EXTERNAL_DECISION:
            return AwaitingDecision()
        case OperationKind.GREETING | OperationKind.ANNOUNCEMENT:
            return Greeting()
        case (
            OperationKind.FORWARD_EMPLOYEE
            | OperationKind.FORWARD_GROUP
            | OperationKind.FORWARD_NUMBER
            | OperationKind.FORWARD_USUAL
        ):
            return Forwarding()
    return BetweenOperations()


def _state_after_target_chosen(session: Session, _data: Mapping[str, Any]) -> State | None:
    return Forwarding() if isinstance(session.state, InScenario) else None


def _state_after_menu_repeated(session: Session, data: Mapping[str, Any]) -> State | None:
    return InMenu("", data["round"]) if isinstance(session.state, InMenu) else None


def _state_after_menu_decided(session: Session, _data: Mapping[str, Any]) -> State | None:
    return BetweenOperations() if isinstance(session.state, InMenu) else None


def _state_after_question_asked(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case AwaitingDecision(digits):
            return AwaitingDecision(digits, data["key"])
    return None


def _state_after_decision_received(session: Session, data: Mapping[str, Any]) -> State | None:
    if not isinstance(session.state, AwaitingDecision):
        return None
    return Greeting() if data.get("files") else BetweenOperations()


def _state_after_mailbox_refused(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case MailboxLogin(employee_id, tries) as state if data["result"] == "wrong":
            return MailboxLogin(employee_id, tries + 1, group_id=state.group_id)
    return None


def _state_after_mailbox_opened(session: Session, _data: Mapping[str, Any]) -> State | None:
    state = session.state
    return MailboxOpen(state.employee_id, group_id=state.group_id) if isinstance(state, InMailbox) else None


def _state_after_mailbox_pin_asked(session: Session, data: Mapping[str, Any]) -> State | None:
    state = session.state
    if not isinstance(state, InMailbox):
        return None
    return MailboxNewPin(state.employee_id, data["is_repeat"], group_id=state.group_id)


def _state_after_mailbox_greeting_asked(session: Session, data: Mapping[str, Any]) -> State | None:
    state = session.state
    if not isinstance(state, InMailbox):
        return None
    return MailboxGreeting(state.employee_id, data["path"], group_id=state.group_id)


def _state_after_key_pressed(session: Session, data: Mapping[str, Any]) -> State | None:
    contact = session.contact
    match session.state:
        case InMenu(digits, round_) if contact is not None and contact.leg_id == data["leg_id"]:
            return InMenu((digits + data["key"])[-MAX_DIGITS:], round_)
        case AwaitingDecision(digits, "") if contact is not None and contact.leg_id == data["leg_id"]:
            return AwaitingDecision((digits + data["key"])[:MAX_DIGITS])
    return None


def _state_after_leg_started(session: Session, data: Mapping[str, Any]) -> State | None:
    state = session.state
    if data["role"] == Role.COACH:
        session.coach = CoachCalled(data["leg_id"])
    elif isinstance(state, FirstAnswered) and data.get("ring_seconds") is not None:
        return CallingSecond(state.plan, state.first_leg_id)
    return None


def _state_after_leg_answered(session: Session, data: Mapping[str, Any]) -> State | None:
    leg_id = data["leg_id"]
    match session.state:
        case CallingFirst(plan):
            return FirstAnswered(plan, leg_id)
        case CallingSecond(plan, first):
            same_side = session.legs[leg_id].side is session.legs[first].side
            return None if same_side else BothAnswered(plan, first, leg_id)
        case Calling(operator, third, message) if third == leg_id and message:
            return Announcing(operator, third, message)
        case TransferCalling(operator, third, message) if third == leg_id and message:
            return TransferAnnouncing(operator, third, message)
    return None


def _state_after_leg_ended(session: Session, data: Mapping[str, Any]) -> State | None:
    if not isinstance(session.coach, NoCoach) and session.coach.leg_id == data["leg_id"]:
        session.coach = NoCoach()
    return None


def _state_after_talk_started(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case ControlledLate() | Finishing():
            return None
        case Controlled() | InQueue():
            return Talking(data["leg_id"])
        case EngineTalk():
            return None
        case EngineTalkEnded(anchor_leg_id):
            return EngineTalk(anchor_leg_id)
    leg = anchor(session)
    return EngineTalk(leg.leg_id if leg is not None else data["leg_id"])


def _state_after_talk_ended(session: Session, _data: Mapping[str, Any]) -> State | None:
    if session.talking:
        return None
    match session.state:
        case Talking(operator):
            return TalkInterrupted(operator)
        case EngineTalk(anchor_leg_id):
            return EngineTalkEnded(anchor_leg_id)
    return None


def _state_after_call_taken(session: Session, data: Mapping[str, Any]) -> State | None:
    talk = next((one for one in session.talks if one.ended_at is None), None)
    operator = talk.leg_id if talk is not None else data.get("operator_leg_id")
    if data.get("late"):
        return ControlledLate(operator)
    return Talking(operator) if talk is not None else Joining(operator)


def _state_after_third_party_called(session: Session, data: Mapping[str, Any]) -> State | None:
    return Calling(session.operator_leg_id, data["leg_id"], tuple(data.get("message") or ()))


def _state_after_consult_started(_session: Session, data: Mapping[str, Any]) -> State | None:
    return Consulting(data["operator_leg_id"], data["leg_id"])


def _state_after_consult_ended(session: Session, _data: Mapping[str, Any]) -> State | None:
    return OnHold(session.operator_leg_id) if isinstance(session.state, WithThird) else None


def _state_after_transfer_requested(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case _ if data["leg_id"] is None:
            return BetweenOperations()
        case Calling(operator, third, message):
            return TransferCalling(operator, third, message)
        case Announcing(operator, third, message):
            return TransferAnnouncing(operator, third, message)
    return None


def _state_after_timer_elapsed(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case Calling(operator, third) if data["key"] == ring_timer(third):
            return Releasing(operator, third)
        case TransferCalling(operator, third) if data["key"] == ring_timer(third):
            return TransferReleasing(operator, third)
    return None


def _state_after_coach_joined(session: Session, data: Mapping[str, Any]) -> State | None:
    session.coach = Coaching(data["leg_id"])
    return None


FOLLOWING: dict[EventType, Callable[[Session, Mapping[str, Any]], State | None]] = {
    EventType.SCENARIO_ENTERED: _state_after_scenario_entered,
    EventType.OPERATION_ENTERED: _state_after_operation_entered,
    EventType.TARGET_CHOSEN: _state_after_target_chosen,
    EventType.MENU_REPEATED: _state_after_menu_repeated,
    EventType.MENU_DECIDED: _state_after_menu_decided,
    EventType.QUESTION_ASKED: _state_after_question_asked,
    EventType.DECISION_RECEIVED: _state_after_decision_received,
    EventType.QUEUE_ENTERED: lambda _session, data: InQueue(data["queue_id"]),
    EventType.QUEUE_LEFT: lambda session, _data: (
        BetweenOperations() if isinstance(session.state, InQueue) else None
    ),
    EventType.KEY_PRESSED: _state_after_key_pressed,
    EventType.MAILBOX_CALLED: lambda _session, data: MailboxLogin(
        data["employee_id"], group_id=data.get("group_id")
    ),
    EventType.MAILBOX_REFUSED: _state_after_mailbox_refused,
    EventType.MAILBOX_OPENED: _state_after_mailbox_opened,
    EventType.MAILBOX_PIN_ASKED: _state_after_mailbox_pin_asked,
    EventType.MAILBOX_GREETING_ASKED: _state_after_mailbox_greeting_asked,
    EventType.MAILBOX_CHANGED: _state_after_mailbox_opened,
    EventType.SETTING_DIALLED: lambda _session, data: ChangingSetting(
        data["employee_id"], data["setting"], data["value"]
    ),
    EventType.PARKING_DIALLED: lambda _session, data: DialledParking(data["slot"]),
    EventType.CALL_PARKED: lambda _session, data: Parked(data["slot"], data["leg_id"], data["since"]),
    EventType.CALL_RETRIEVED: lambda _session, data: Connecting(data["leg_id"]),
    EventType.LEG_STARTED: _state_after_leg_started,
    EventType.LEG_ANSWERED: _state_after_leg_answered,
    EventType.LEG_ENDED: _state_after_leg_ended,
    EventType.TALK_STARTED: _state_after_talk_started,
    EventType.TALK_ENDED: _state_after_talk_ended,
    EventType.CALL_TAKEN: _state_after_call_taken,
    EventType.CALL_HELD: lambda _session, data: OnHold(data["leg_id"]),
    EventType.CALL_UNHELD: lambda _session, data: Connecting(data["leg_id"]),
    EventType.THIRD_PARTY_CALLED: _state_after_third_party_called,
    EventType.CONSULT_STARTED: _state_after_consult_started,
    EventType.CONSULT_ENDED: _state_after_consult_ended,
    EventType.TRANSFER_REQUESTED: _state_after_transfer_requested,
    EventType.TRANSFERRED: lambda _session, data: Connecting(data["leg_id"]),
    EventType.COACH_JOINED: _state_after_coach_joined,
    EventType.VOICE_MAIL_STARTED: lambda _session, _data: LeavingMessage(),
    EventType.TIMER_ELAPSED: _state_after_timer_elapsed,
    EventType.SESSION_ENDING: lambda _session, _data: Finishing(),
    EventType.SESSION_FINISHED: lambda _session, _data: Finished(),
}
"""By type of event; events of other types change no state."""
