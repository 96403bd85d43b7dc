"""Calls in on a virtual number, through its scenario. Pure."""

from __future__ import annotations

from typing import Any

from trunkline.calls.context import CallContext
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Hangup
from trunkline.calls.finish_reasons import Side, cause_for_refusal
from trunkline.calls.flows import dialing, engine_connect, external_question, forwards, playing, voice_message
from trunkline.calls.flows.inputs import (
    COMMANDS,
    InputElapsed,
    JoinFailed,
    Key,
    LegAnswered,
    LegGone,
    LegUnreached,
    MessagePlayed,
    MessageRecorded,
    NotConnected,
    PartyTaken,
    QuestionReply,
    RingElapsed,
    ScenarioPlayed,
    TalkOver,
)
from trunkline.calls.flows.scenario_position import caller_of, position
from trunkline.calls.flows.table import Table, pairs, row
from trunkline.calls.session import Leg, Role, Session
from trunkline.calls.states import (
    AFTER_OPERATION,
    BetweenOperations,
    Departure,
    Finishing,
    Forwarding,
    Greeting,
    Incoming,
    LeavingMessage,
    State,
)
from trunkline.calls.timers import MENU_TIMER, CancelTimer, StartTimer
from trunkline.core.hangup_causes import (
    CALL_REJECTED,
    CONGESTION,
    NO_ANSWER,
    NORMAL_CLEARING,
    SUBSCRIBER_ABSENT,
    UNALLOCATED_NUMBER,
    USER_BUSY,
)
from trunkline.core.phone import normalise
from trunkline.directory.model import HangupCause, Operation, Scenario, ShownNumber, VirtualNumber
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.routing.decisions import (
    AskKeys,
    AskSystem,
    Attempts,
    End,
    EnterQueue,
    Play,
    Ring,
    RingForward,
    RingOutside,
    RoutingDecision,
    Skipped,
    TakeMessage,
)
from trunkline.routing.refusals import number_refusal
from trunkline.telephony.port import Arrived, SeenRecording

MAX_OPERATIONS = 1000
"""Operations one call may pass in all."""

DEFAULT_MENU_SECONDS = 5
"""Until the first key in a menu."""


def open_call(
    arrived: Arrived,
    number: VirtualNumber | None,
    trunk_id: int | None,
    context: CallContext,
    call_session_id: int,
) -> Decision:
    """A call came in by a trunk. ``number`` = the virtual number called; None = it is none of the account's."""
    decision = record_call(arrived, number, trunk_id, context, call_session_id)
    decision.at = arrived.at
    decide_arrival(decision, number)
    return decision


def decide_arrival(decision: Decision, number: VirtualNumber | None) -> None:
    """The switch controls the caller's channel: refuse the call, or enter the scenario."""
    contact, context = decision.session.contact, decision.context
    if contact is None:
        return
    refusal = _refusal(number, decision.session.contact_phone_number, context)
    if refusal is not None:
        refuse(decision, contact, refusal)
        return
    scenario = (
        interpreter.scenario_for(context.account, number, context.local_time) if number is not None else None
    )
    if scenario is None:
        refuse(decision, contact, Reason.NO_ACTIVE_SCENARIO)
        return
    enter(decision, scenario)


def enter(decision: Decision, scenario: Scenario) -> None:
    """The contact is led through this scenario."""
    context = decision.context
    decision.enter_scenario(scenario)
    perform(decision, interpreter.decide_first(context.account, scenario, context, caller_of(decision)))


def record_call(
    arrived: Arrived,
    number: VirtualNumber | None,
    trunk_id: int | None,
    context: CallContext,
    call_session_id: int,
) -> Decision:
    """Write the beginning of a call by a trunk; decides nothing."""
    account = context.account
    caller = normalise(arrived.calling_number) or arrived.calling_number.lstrip("+") or None
    contact = account.contacts_by_phone.get(caller) if caller else None
    called = number.phone_number if number is not None else arrived.called.lstrip("+")
    decision = Decision.open(
        account.account_id,
        call_session_id,
        context,
        arrived.started_at,
        {
            "direction": "in",
            "source": "call_tracking" if _is_call_tracking(number) else "va",
            "is_internal": False,
            "visit": _visit(number),
            "virtual_number_id": number.virtual_number_id if number is not None else None,
            "virtual_phone_number": called,
            "contact_phone_number": caller,
            "contact_id": contact.contact_id if contact else None,
            "contact_full_name": contact.full_name if contact else None,
        },
    )
    decision.start_leg(
        arrived.channel,
        {
            "role": Role.CONTACT,
            "side": Side.CONTACT,
            "direction": "in",
            "calling_phone_number": caller,
            "called_phone_number": called,
            "trunk_id": trunk_id,
        },
    )
    return decision


def _visit(number: VirtualNumber | None) -> dict[str, Any]:
    """What is known of the visit behind a call: whose campaign shows the number that was called."""
    campaign = number.campaign if number is not None else None
    if campaign is None:
        return {}
    return {
        "campaign_id": campaign.campaign_id,
        "campaign_name": campaign.campaign_name,
        "site_id": campaign.site_id,
        "site_domain_name": campaign.site_domain_name,
    }


def _is_call_tracking(number: VirtualNumber | None) -> bool:
    """Whether the number is one of call tracking."""
    campaign = number.campaign if number is not None else None
    return campaign is not None and campaign.redirection_virtual_number_id is not None


def _refusal(number: VirtualNumber | None, caller: str | None, context: CallContext) -> Reason | None:
    refusal = number_refusal(context.account, number, caller)
    if refusal is not None or number is None:
        return refusal
    if number.max_in_calls and context.number_calls(number.virtual_number_id, "in") >= number.max_in_calls:
        return Reason.MAX_IN_CALL_REACHED
    return None


def refuse(decision: Decision, leg: Leg, reason: Reason, cause: int | None = None) -> None:
    """End a call that cannot continue; the SIP response to the caller's phone has the closest cause.

    :param cause: Q.850, when the scenario names one.
    """
    decision.end_session(reason)
    decision.do(Hangup(leg.channel, cause_for_refusal(reason) if cause is None else cause))


def perform(decision: Decision, routing_decision: RoutingDecision) -> None:
    """Carry out what the scenario decided."""
    session = decision.session
    contact = session.contact
    if contact is None or not contact.is_alive:
        return
    if _too_many(decision):
        refuse(decision, contact, Reason.MAX_TRANSITION_COUNT_EXCEEDED)
        return
    decision.enter(routing_decision.entered)
    for skipped in routing_decision.skipped:
        decision.record_skipped(skipped)
    match routing_decision:
        case Play():
            _play(decision, contact, routing_decision.media_file_ids)
        case Ring():
            _ring(decision, contact, routing_decision)
        case RingForward():
            _ring_forward(decision, contact, routing_decision)
        case RingOutside():
            _ring_outside(decision, contact, routing_decision)
        case TakeMessage():
            _go_on_unless(decision, voice_message.take_message(decision, contact, routing_decision))
        case AskKeys():
            playing.answer(decision, contact)
            ask(decision, contact, playing.media_files(decision, routing_decision.media_file_ids))
        case AskSystem():
            _ask_system(decision, contact, routing_decision)
        case EnterQueue():
            _enter_queue(decision, contact, routing_decision)
        case End():
            reason = _end_reason(session, routing_decision.reason)
            cause = _CAUSES[routing_decision.cause] if routing_decision.cause is not None else None
            refuse(decision, contact, reason, cause)


def _ask_system(decision: Decision, contact: Leg, routing_decision: AskSystem) -> None:
    """Ask at once, or after a code of the contact. A call without sounds is not answered for it, unless that is set."""
    operation = routing_decision.operation
    settings = operation.settings
    prompt = playing.media_files(decision, routing_decision.media_file_ids)
    if settings.get("code_length"):
        playing.answer(decision, contact)
        ask(decision, contact, prompt)
        return
    if prompt or settings.get("answer") or settings.get("music_media_file_id"):
        playing.answer(decision, contact)
    if prompt:
        playing.play_files(decision, contact, prompt)
    external_question.ask(decision, contact, operation)


def follow_instruction(decision: Decision) -> None:
    """The instructions of another system: play its message, then call its numbers."""
    contact, instruction = decision.session.contact, decision.session.instruction
    if contact is None or not contact.is_alive or instruction is None:
        return
    if instruction["files"]:
        playing.answer(decision, contact)
        playing.play_files(decision, contact, tuple(instruction["files"]))
    else:
        _next(decision)


def _enter_queue(decision: Decision, contact: Leg, routing_decision: EnterQueue) -> None:
    """The contact waits from now on; the queues of the account learn of it by the event."""
    playing.answer(decision, contact)
    queue = routing_decision.queue
    decision.emit(
        EventType.QUEUE_ENTERED,
        leg_id=contact.leg_id,
        queue_id=queue.queue_id,
        queue_name=queue.name,
        operation_id=routing_decision.operation.operation_id or None,
    )


def _too_many(decision: Decision) -> bool:
    """Whether the call has passed more operations than a scenario that works: it is in a loop."""
    at_once = sum(event.type is EventType.OPERATION_ENTERED for event in decision.events)
    return at_once >= interpreter.MAX_TRANSITIONS or len(decision.session.operations) >= MAX_OPERATIONS


def greeting_played(decision: Decision, _given: ScenarioPlayed) -> None:
    """A greeting has been played to its end."""
    _next(decision)


def key_in_greeting(decision: Decision, flow_input: Key) -> None:
    """The caller may skip an announcement."""
    session = decision.session
    _, operation = position(decision)
    if operation is None or flow_input.leg is not session.contact or session.playing is None:
        return
    if operation.settings.get("skip_key") == flow_input.key:
        playing.stop_playing(decision, flow_input.leg)
        _next(decision)


def ask(decision: Decision, contact: Leg, said: tuple[str, ...]) -> None:
    """Play the prompt of a menu, if it has one; the time for a key begins after it."""
    decision.do(CancelTimer(MENU_TIMER))
    if said:
        playing.play_files(decision, contact, said)
    else:
        await_key(decision)


def await_key(decision: Decision) -> None:
    """The time for the first key in a menu begins."""
    _, operation = position(decision)
    seconds = operation.settings.get("timeout_seconds") if operation is not None else None
    decision.do(StartTimer(MENU_TIMER, seconds or DEFAULT_MENU_SECONDS))


def prompt_played(decision: Decision, _given: ScenarioPlayed) -> None:
    """What is said before a voice mail has been played to its end."""
    contact = decision.session.contact
    if contact is not None and contact.is_alive:
        _go_on_unless(decision, voice_message.start_recording(decision, contact))


def after_message(decision: Decision, flow_input: MessageRecorded) -> None:
    """The voice mail is over: the scenario goes on, unless the contact has hung up."""
    contact = decision.session.contact
    if flow_input.go_on and contact is not None and contact.is_alive:
        _next(decision)


def not_connected(decision: Decision, _given: NotConnected) -> None:
    """Nobody of those rung answered."""
    try_others(decision)


# --- the next step of the scenario ------------------------------------------------------------------------


def try_others(decision: Decision) -> None:
    """Ring the next of the present operation, or go on with the next operation."""
    account, scenario, operation = decision.context.account, *position(decision)
    if scenario is None or operation is None:
        contact = decision.session.contact
        if contact is not None and contact.is_alive:
            refuse(decision, contact, _end_reason(decision.session, Reason.NO_OPERATION))
        return
    perform(
        decision,
        interpreter.decide_next_round(
            account,
            scenario,
            operation,
            decision.context,
            _tried(decision.session, operation),
            caller_of(decision),
            _attempts(decision.session),
        ),
    )


def resume(decision: Decision, recording: SeenRecording | None = None) -> None:
    """After an interruption the contact waits in a controlled channel: repeat the present operation.

    :param recording: of the voice mail that the contact leaves, if it was begun. The engine continues it by itself.
    """
    session, contact = decision.session, decision.session.contact
    if session.message is not None and contact is not None:
        if recording is None or not voice_message.is_of_message(session, recording):
            # The prompt is not repeated: it may still be played.
            _go_on_unless(decision, voice_message.play_prompt(decision, contact, ()))
        elif recording.ended_at is not None:
            voice_message.message_left(decision, recording.seconds)
            _next(decision)
        return
    scenario, operation = position(decision)
    if scenario is None or operation is None or session.chosen is not None:
        try_others(decision)
        return
    if session.instruction is not None:
        follow_instruction(decision)
        return
    perform(
        decision,
        interpreter.decide_resumed(
            decision.context.account, scenario, operation, decision.context, caller_of(decision)
        ),
    )


def _go_on_unless(decision: Decision, is_taken: bool) -> None:
    """Go on with the next operation, unless a message is being taken."""
    if not is_taken:
        _next(decision)


def _next(decision: Decision) -> None:
    scenario, operation = position(decision)
    contact = decision.session.contact
    if scenario is None or operation is None:
        if contact is not None:
            refuse(decision, contact, Reason.INCORRECT_CONFIG)
        return
    perform(
        decision,
        interpreter.decide_after(
            decision.context.account, scenario, operation, decision.context, caller_of(decision)
        ),
    )


def _tried(session: Session, operation: Operation) -> set[int]:
    """Who was rung in this round of the operation: employees of a group, phones of an employee."""
    legs = [leg for leg in session.attempts() if leg.operation_id == operation.operation_id]
    if "group_id" in operation.settings:
        return {leg.employee_id for leg in legs if leg.employee_id is not None}
    return {leg.phone_id for leg in legs if leg.phone_id is not None}


def _attempts(session: Session) -> Attempts:
    reasons = {leg.finish_reason for leg in session.attempts() if leg.finish_reason is not None}
    return Attempts(reasons, session.forwarding_results)


def _play(decision: Decision, contact: Leg, media_file_ids: tuple[int, ...]) -> None:
    said = playing.media_files(decision, media_file_ids)
    if not said:
        _next(decision)
        return
    playing.answer(decision, contact)
    playing.play_files(decision, contact, said)


def _ring(decision: Decision, contact: Leg, ring: Ring) -> None:
    session = decision.session
    if ring.chosen is not None:
        decision.choose(ring.operation, ring.chosen)
    dial_targets: list[dialing.DialTarget] = []
    shown = shown_number(session, ring.operation)
    for candidate in ring.candidates:
        found = dialing.candidate_dial_target(decision, candidate, shown, session.contact_full_name or "")
        if isinstance(found, Reason):
            decision.record_skipped(
                Skipped(candidate.employee, candidate.phone, found, candidate.group, ring.operation)
            )
        else:
            dial_targets.append(found)
    if not dial_targets:
        try_others(decision)
        return
    music = playing.music_while_calling(decision, contact, ring.music_media_file_id)
    announcement = employee_message(decision, ring.operation) + session.request_message
    dialing.dial(decision, contact, dial_targets, ring.ring_seconds, music=music, announcement=announcement)


def _ring_forward(decision: Decision, contact: Leg, ring: RingForward) -> None:
    if ring.chosen is not None:
        decision.choose(ring.operation, ring.chosen)
    if not forwards.follow(decision, contact, ring.forward, Side.OPERATOR):
        try_others(decision)


def _ring_outside(decision: Decision, contact: Leg, ring: RingOutside) -> None:
    if ring.chosen is not None:
        decision.choose(ring.operation, ring.chosen)
    dial_target = dialing.outside_dial_target(decision, ring.number)
    if isinstance(dial_target, Reason):
        decision.record_skipped(ring.not_called(dial_target))
        _next(decision)
        return
    music = playing.music_while_calling(decision, contact, ring.music_media_file_id)
    announcement = employee_message(decision, ring.operation) + decision.session.request_message
    dialing.dial(decision, contact, [dial_target], ring.ring_seconds, music=music, announcement=announcement)


def shown_number(session: Session, operation: Operation) -> str:
    """Whose number employees see when this operation calls them."""
    virtual = operation.settings.get("shown_number") == ShownNumber.VIRTUAL
    return (session.virtual_phone_number if virtual else session.contact_phone_number) or ""


def employee_message(decision: Decision, operation: Operation) -> tuple[str, ...]:
    """Announcement to who is called by this operation, before the connection; another system's goes before its own."""
    instruction = decision.session.instruction
    if instruction is not None and instruction["employee_files"]:
        return tuple(instruction["employee_files"])
    return playing.media_files(
        decision, tuple(operation.settings.get("employee_message_media_file_ids") or ())
    )


def _end_reason(session: Session, reason: Reason) -> Reason:
    """The finish reason at the end of the scenario: that of unsuccessful attempts, if there were any."""
    if reason not in (Reason.NO_OPERATION, Reason.SCENARIO_DISCONNECTS):
        return reason
    if session.queue_left in _UNSERVED:
        return Reason.NO_OPERATORS_AVAILABLE
    tried = (leg for leg in session.legs.values() if leg.is_operator_side and leg.role is not Role.COACH)
    left = Departure.HANDED_OVER
    reasons = {
        leg.finish_reason for leg in tried if leg.departure is not left and leg.finish_reason is not None
    }
    if not reasons:
        return Reason.IVR_TIMEOUT if session.menu_timed_out else reason
    return next(iter(reasons)) if len(reasons) == 1 else Reason.NO_SUCCESS_OPERATOR_CALL


_UNSERVED = ("timeout", "no_agent_timeout")
"""Reasons of leaving a queue because of its agents."""

_CAUSES = {
    HangupCause.NORMAL: NORMAL_CLEARING,
    HangupCause.BUSY: USER_BUSY,
    HangupCause.REJECTED: CALL_REJECTED,
    HangupCause.NO_ANSWER: NO_ANSWER,
    HangupCause.NOT_FOUND: UNALLOCATED_NUMBER,
    HangupCause.UNAVAILABLE: SUBSCRIBER_ABSENT,
    HangupCause.CONGESTION: CONGESTION,
}
"""Q.850 causes of the operation that hangs up."""


# --- the table --------------------------------------------------------------------------------------------

_STATES: tuple[type[State], ...] = (Incoming, BetweenOperations, Greeting, Forwarding, LeavingMessage)

TABLE = Table(
    rows={
        (Greeting, ScenarioPlayed): row(greeting_played, *AFTER_OPERATION),
        (Greeting, Key): row(key_in_greeting, *AFTER_OPERATION),
        (LeavingMessage, ScenarioPlayed): row(prompt_played, *AFTER_OPERATION),
        (LeavingMessage, MessageRecorded): row(after_message, *AFTER_OPERATION),
        **{(state, NotConnected): row(not_connected, *AFTER_OPERATION) for state in _STATES},
        **{(state, TalkOver): row(engine_connect.talk_over, Finishing) for state in _STATES},
        **{(state, LegGone): row(engine_connect.party_gone, state, Finishing) for state in _STATES},
    },
    refused=pairs(_STATES, *COMMANDS),
    ignored=pairs(_STATES, PartyTaken, MessagePlayed, RingElapsed, JoinFailed, InputElapsed, QuestionReply)
    | pairs((Incoming, BetweenOperations, Forwarding), ScenarioPlayed)
    | pairs((Incoming, BetweenOperations, Greeting, Forwarding), MessageRecorded),
    expected=pairs(_STATES, LegAnswered, LegUnreached)
    | pairs((Incoming, BetweenOperations, Forwarding, LeavingMessage), Key),
)
"""Of calls that a scenario decides about."""
