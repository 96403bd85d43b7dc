"""How each event changes a session: its facts, and its state.

:func:`evolve` applies one event, and nothing else changes what the events of a call say. So a restarted switch rebuilds
every live session from its stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from trunkline.calls.finish_reasons import Side
from trunkline.calls.session import (
    IllegalTransitionError,
    Leg,
    LegState,
    Phase,
    QueueStay,
    Role,
    Session,
    Talk,
    anchor,
    move,
    move_leg,
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
    Departure,
    DialledParking,
    Dialling,
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
from trunkline.core.clock import Instant
from trunkline.directory.model import OperationKind
from trunkline.directory.model.queues import is_scenario_of_queue
from trunkline.events.catalogue import DecisionOutcome, Event, EventType, MenuOutcome
from trunkline.events.reasons import Reason
from trunkline.routing.menus import MAX_DIGITS
from trunkline.telephony.port import Channel


def replay(events: Iterable[Event]) -> Session | None:
    """The session of these events; None when the first of them is missing."""
    session: Session | None = None
    for event in events:
        if session is None:
            if event.type is not EventType.SESSION_STARTED:
                return None
            session = begin(event)
        else:
            evolve(session, event)
    return session


_BY_THE_CLOCK = frozenset(
    {
        EventType.TAG_SET,
        EventType.TAG_UNSET,
        EventType.TIMER_STARTED,
        EventType.TIMER_CANCELLED,
        EventType.TIMER_ELAPSED,
        EventType.QUESTION_ASKED,
        EventType.QUESTION_CLOSED,
    }
)
"""Events of commands, timers and answers, which follow from no signal of the engine."""

_SETTLE_TRANSFER = frozenset(
    {
        EventType.TRANSFER_REFUSED,
        EventType.TRANSFER_REQUESTED,
        EventType.TRANSFERRED,
        EventType.CALL_HELD,
        EventType.CALL_PARKED,
        EventType.SESSION_ENDING,
        EventType.SESSION_FINISHED,
    }
)
"""Events after which a transfer that a phone asked for is decided; the end of its leg is another one."""


def begin(event: Event) -> Session:
    """The session right after its SESSION_STARTED."""
    call_session_id = event.call_session_id
    if event.type is not EventType.SESSION_STARTED or call_session_id is None:
        raise IllegalTransitionError(f"a session begins with session_started, not {event.type}")
    session = Session(event.account_id, call_session_id, event.at, seq=event.seq, last_at=event.at)
    session.signalled_at = event.at
    for name in (
        "direction",
        "source",
        "is_internal",
        "virtual_number_id",
        "virtual_phone_number",
        "contact_phone_number",
        "contact_id",
        "contact_full_name",
        "operator_phone_number",
        "external_id",
        "lead_id",
        "lead",
        "dial_campaign_id",
        "api_request_id",
        "is_code",
        "visit",
    ):
        if name in event.data:
            setattr(session, name, event.data[name])
    if plan := event.data.get("plan"):
        session.state = CallingFirst(plan)
        session.request_message = tuple((plan.get("our_message") or {}).get("files", ()))
        session.abandoned_scenario_id = (plan.get("connect") or {}).get("scenario_id")
    elif session.direction == "out":
        session.state = Dialling()
    return session


def evolve(session: Session, event: Event) -> None:
    """Apply one event. Events that are already applied (by number) change nothing."""
    if event.seq <= session.seq:
        return
    session.seq = event.seq
    session.last_at = max(session.last_at, event.at)
    if event.type not in _BY_THE_CLOCK:
        session.signalled_at = max(session.signalled_at, event.at)
    if session.asked_transfer is not None and _settles_transfer(session.asked_transfer, event):
        session.asked_transfer = None
    facts = _FACTS.get(event.type)
    if facts is not None:
        facts(session, event)
    following = _FOLLOWING.get(event.type)
    if following is not None:
        session.state = following(session, event.data) or session.state


# --- facts ------------------------------------------------------------------------------------------------


def _note_scenario_entered(session: Session, event: Event) -> None:
    data = event.data
    session.present_scenario_id = data["scenario_id"]
    session.returns = [(scenario_id, key) for scenario_id, key in data.get("returns", ())]
    if session.scenario_id is None and not is_scenario_of_queue(data["scenario_id"]):
        session.scenario_id = data["scenario_id"]
        session.scenario_name = data["scenario_name"]


def _note_operation_entered(session: Session, event: Event) -> None:
    data = event.data
    session.operations.append(
        {"id": data["operation_id"], "name": data["operation_name"], "key": data["key"]}
    )
    session.operation_key = data["key"]
    session.chosen = None
    session.instruction = None
    session.forwarding_results = {}
    session.legs_before_operation = len(session.legs)


def _note_target_chosen(session: Session, event: Event) -> None:
    session.chosen = {name: event.data.get(name) for name in ("employee_id", "group_id", "number")}
    if session.instruction is not None:
        session.instruction = {**session.instruction, "phones": list(event.data.get("phones_left", ()))}


def _note_decision_received(session: Session, event: Event) -> None:
    if event.data["outcome"] == DecisionOutcome.INSTRUCTIONS:
        session.instruction = {name: list(event.data[name]) for name in ("files", "phones", "employee_files")}


def _note_call_forwarded(session: Session, event: Event) -> None:
    is_dialled = event.data["refused"] is None
    session.forwarding_results[event.data["employee_id"]] = is_dialled
    session.forward_count += is_dialled


def _note_menu_decided(session: Session, event: Event) -> None:
    session.menu_timed_out = event.data["outcome"] == MenuOutcome.TIMEOUT


def _note_queue_entered(session: Session, event: Event) -> None:
    session.queue_entered_at = event.at
    session.queue_left = None
    session.queue_id = event.data["queue_id"]
    session.queue_stays.append(QueueStay(event.data["queue_id"], event.data.get("queue_name"), event.at))


def _note_queue_left(session: Session, event: Event) -> None:
    session.queue_left = event.data["reason"]
    session.queue_id = None
    key = event.data.get("key")
    _end_stay(session, event.data["reason"], event.at, key)
    for leg in session.living:
        if leg.offer_id is not None and leg.answered_at is None and leg.departure is None:
            leg.departure = Departure.CONTACT_LEFT if key is not None else Departure.QUEUE_ENDED


def _end_stay(session: Session, outcome: str, at: Instant, key: str | None = None) -> None:
    """The contact waits in no queue any more."""
    if session.queue_stays and session.queue_stays[-1].outcome is None:
        stay = session.queue_stays[-1]
        stay.outcome, stay.left_at, stay.key = outcome, at, key


def _note_leg_started(session: Session, event: Event) -> None:
    data = event.data
    leg = Leg(
        leg_id=data["leg_id"],
        channel=Channel(data["channel"]),
        role=Role(data["role"]),
        side=Side(data["side"]),
        direction=data["direction"],
        started_at=event.at,
    )
    for name in _LEG_DETAILS:
        setattr(leg, name, data.get(name))
    leg.is_transfered = bool(data.get("is_transfered"))
    if leg.offer_id is not None and session.queue_stays:
        leg.queue_id, leg.queue_name = session.queue_stays[-1].queue_id, session.queue_stays[-1].queue_name
    session.legs[leg.leg_id] = leg
    if data.get("ring_seconds") is not None:
        session.timers[ring_timer(leg.leg_id)] = Instant(event.at + data["ring_seconds"])


def _note_leg_ringing(session: Session, event: Event) -> None:
    data = event.data
    session.legs[data["leg_id"]].ringing_at = event.at


def _note_leg_answered(session: Session, event: Event) -> None:
    data = event.data
    leg = session.legs[data["leg_id"]]
    leg.answered_at = event.at
    leg.answer_order = 1 + max(one.answer_order for one in session.legs.values())
    session.timers.pop(ring_timer(leg.leg_id), None)
    move_leg(leg, LegState.CONNECTED)
    if data.get("is_first_answer"):
        session.first_answer_at = event.at


def _note_talk_started(session: Session, event: Event) -> None:
    data = event.data
    leg = session.legs[data["leg_id"]]
    contact = session.legs.get(data.get("contact_leg_id") or 0) or session.contact
    contact_leg_id = contact.leg_id if contact is not None else None
    session.talks.append(Talk(leg.leg_id, event.at, contact_leg_id=contact_leg_id))
    for one in (leg, contact):
        if one is not None and one.is_alive:
            one.is_talked = True
            move_leg(one, LegState.TALK)
    if isinstance(session.state, InQueue):
        session.has_bridges = True
        _end_stay(session, "answered", event.at)
    move(session, Phase.TALK)


def _note_talk_ended(session: Session, event: Event) -> None:
    data = event.data
    talk = session.open_talk(data["leg_id"])
    if talk is not None:
        talk.ended_at = event.at
    leg = session.legs[data["leg_id"]]
    if leg.state is LegState.TALK:
        move_leg(leg, LegState.CONNECTED)
    if not session.talking:
        contact = session.contact
        if contact is not None and contact.state is LegState.TALK:
            move_leg(contact, LegState.CONNECTED)
        if session.phase is Phase.TALK:
            move(session, Phase.POST_TALK)
            if session.ending is not None:
                move(session, Phase.FINISHING)


def _note_leg_ended(session: Session, event: Event) -> None:
    data = event.data
    leg = session.legs[data["leg_id"]]
    leg.ended_at = event.at
    leg.finish_reason = Reason(data["finish_reason"])
    leg.cause = data.get("release_cause_code")
    leg.is_failed = bool(data.get("is_failed"))
    leg.bridge = None
    session.timers.pop(ring_timer(leg.leg_id), None)
    move_leg(leg, LegState.ENDED)


def _note_recording_started(session: Session, event: Event) -> None:
    data = event.data
    session.recorded = True
    leg = session.legs[data["leg_id"]]
    leg.is_recorded = True
    leg.recorded_parts += 1
    session.record_wanted = True
    session.record_asked = session.record_asked or bool(data.get("asked"))


def _note_recording_refused(session: Session, _event: Event) -> None:
    session.record_refused = True


def _note_recording_cut(session: Session, event: Event) -> None:
    session.record_cut.append(event.data["kind"])


def _note_recording_stopped(session: Session, event: Event) -> None:
    data = event.data
    session.legs[data["leg_id"]].is_recorded = False
    if not data.get("paused"):
        session.record_wanted = session.record_asked = False


def _note_call_taken(session: Session, _event: Event) -> None:
    session.has_bridges = True


def _note_call_held(session: Session, _event: Event) -> None:
    session.has_bridges = True
    move(session, Phase.HOLD)


def _note_call_parked(session: Session, event: Event) -> None:
    session.has_bridges = True
    session.legs[event.data["leg_id"]].departure = Departure.HANDED_OVER
    session.queue_id = None
    move(session, Phase.HOLD)


def _note_transfer_asked(session: Session, event: Event) -> None:
    session.asked_transfer = event.data


def _settles_transfer(asked: Mapping[str, Any], event: Event) -> bool:
    """Whether this event decides what a phone has asked for."""
    if event.type is EventType.LEG_ENDED:
        return bool(event.data["leg_id"] == asked["leg_id"])
    return event.type in _SETTLE_TRANSFER


def _note_third_party_called(session: Session, _event: Event) -> None:
    move(session, Phase.DIALING)


def _note_consult_started(session: Session, _event: Event) -> None:
    move(session, Phase.OPERATOR_TALK)


def _note_consult_ended(session: Session, _event: Event) -> None:
    third = session.legs.get(session.third_leg_id or 0)
    if third is not None and third.is_alive:
        third.departure = Departure.SENT_AWAY
    if session.phase in (Phase.DIALING, Phase.OPERATOR_TALK):
        move(session, Phase.HOLD)


def _note_transfer_requested(session: Session, event: Event) -> None:
    data = event.data
    session.legs[data["operator_leg_id"]].departure = Departure.HANDED_OVER
    session.queue_id = None


def _note_transferred(session: Session, event: Event) -> None:
    data = event.data
    session.legs[data["leg_id"]].is_transfered = True
    session.legs[data["operator_leg_id"]].departure = Departure.HANDED_OVER
    session.queue_id = None
    move(session, Phase.HOLD)


def _note_voice_mail_started(session: Session, event: Event) -> None:
    data = event.data
    session.message = dict(data)
    session.last_message_at = event.at


def _note_voice_mail_left(session: Session, _event: Event) -> None:
    session.message = None


def _note_tag_set(session: Session, event: Event) -> None:
    data = event.data
    session.tags = [tag for tag in session.tags if tag["tag_id"] != data["tag_id"]]
    session.tags.append({**data, "tag_change_time": event.at})


def _note_tag_unset(session: Session, event: Event) -> None:
    data = event.data
    session.tags = [tag for tag in session.tags if tag["tag_id"] != data["tag_id"]]


def _note_timer_started(session: Session, event: Event) -> None:
    data = event.data
    session.timers[data["key"]] = Instant(data["due"])


def _note_timer_cancelled(session: Session, event: Event) -> None:
    data = event.data
    session.timers.pop(data["key"], None)


def _note_question_asked(session: Session, event: Event) -> None:
    data = event.data
    session.questions[data["key"]] = data["kind"]


def _note_question_closed(session: Session, event: Event) -> None:
    data = event.data
    session.questions.pop(data["key"], None)


def _note_session_ending(session: Session, event: Event) -> None:
    data = event.data
    session.ending = Reason(data["finish_reason"])
    if session.phase is not Phase.TALK:
        move(session, Phase.FINISHING)


def _note_session_finished(session: Session, event: Event) -> None:
    data = event.data
    session.finished_at = event.at
    session.finish = dict(data)
    session.timers, session.questions = {}, {}
    move(session, Phase.ENDED)


_FACTS: dict[EventType, Callable[[Session, Event], None]] = {
    EventType.SCENARIO_ENTERED: _note_scenario_entered,
    EventType.OPERATION_ENTERED: _note_operation_entered,
    EventType.TARGET_CHOSEN: _note_target_chosen,
    EventType.CALL_FORWARDED: _note_call_forwarded,
    EventType.MENU_DECIDED: _note_menu_decided,
    EventType.DECISION_RECEIVED: _note_decision_received,
    EventType.QUEUE_ENTERED: _note_queue_entered,
    EventType.QUEUE_LEFT: _note_queue_left,
    EventType.LEG_STARTED: _note_leg_started,
    EventType.LEG_RINGING: _note_leg_ringing,
    EventType.LEG_ANSWERED: _note_leg_answered,
    EventType.TALK_STARTED: _note_talk_started,
    EventType.TALK_ENDED: _note_talk_ended,
    EventType.LEG_ENDED: _note_leg_ended,
    EventType.RECORDING_STARTED: _note_recording_started,
    EventType.RECORDING_REFUSED: _note_recording_refused,
    EventType.RECORDING_CUT: _note_recording_cut,
    EventType.RECORDING_STOPPED: _note_recording_stopped,
    EventType.CALL_TAKEN: _note_call_taken,
    EventType.CALL_HELD: _note_call_held,
    EventType.CALL_PARKED: _note_call_parked,
    EventType.THIRD_PARTY_CALLED: _note_third_party_called,
    EventType.TRANSFER_ASKED: _note_transfer_asked,
    EventType.CONSULT_STARTED: _note_consult_started,
    EventType.CONSULT_ENDED: _note_consult_ended,
    EventType.TRANSFER_REQUESTED: _note_transfer_requested,
    EventType.TRANSFERRED: _note_transferred,
    EventType.VOICE_MAIL_STARTED: _note_voice_mail_started,
    EventType.VOICE_MAIL_LEFT: _note_voice_mail_left,
    EventType.TAG_SET: _note_tag_set,
    EventType.TAG_UNSET: _note_tag_unset,
    EventType.TIMER_STARTED: _note_timer_started,
    EventType.TIMER_CANCELLED: _note_timer_cancelled,
    EventType.TIMER_ELAPSED: _note_timer_cancelled,
    EventType.QUESTION_ASKED: _note_question_asked,
    EventType.QUESTION_CLOSED: _note_question_closed,
    EventType.SESSION_ENDING: _note_session_ending,
    EventType.SESSION_FINISHED: _note_session_finished,
}


# --- states; None: the event does not change it ------------------------------------------------------------


def _scenario_entered(session: Session, data: Mapping[str, Any]) -> State | None:
    return BetweenOperations() if isinstance(session.state, InScenario) or data.get("takes_over") else None


def _operation_entered(session: Session, data: Mapping[str, Any]) -> State | None:
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


def _target_chosen(session: Session, _data: Mapping[str, Any]) -> State | None:
    return Forwarding() if isinstance(session.state, InScenario) else None


def _menu_repeated(session: Session, data: Mapping[str, Any]) -> State | None:
    return InMenu("", data["round"]) if isinstance(session.state, InMenu) else None


def _menu_decided(session: Session, _data: Mapping[str, Any]) -> State | None:
    return BetweenOperations() if isinstance(session.state, InMenu) else None


def _question_asked(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case AwaitingDecision(digits):
            return AwaitingDecision(digits, data["key"])
    return None


def _decision_received(session: Session, data: Mapping[str, Any]) -> State | None:
    if not isinstance(session.state, AwaitingDecision):
        return None
    return Greeting() if data.get("files") else BetweenOperations()


def _mailbox_refused(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case MailboxLogin(employee_id, tries) as state if data["result"] == "wrong":
            return MailboxLogin(employee_id, tries + 1, group_id=state.group_id)
    return None


def _mailbox_opened(session: Session, _data: Mapping[str, Any]) -> State | None:
    state = session.state
    return MailboxOpen(state.employee_id, group_id=state.group_id) if isinstance(state, InMailbox) else None


def _mailbox_pin_asked(session: Session, data: Mapping[str, Any]) -> State | None:
    state = session.state
    if not isinstance(state, InMailbox):
        return None
    return MailboxNewPin(state.employee_id, data["is_repeat"], group_id=state.group_id)


def _mailbox_greeting_asked(session: Session, data: Mapping[str, Any]) -> State | None:
    state = session.state
    if not isinstance(state, InMailbox):
        return None
    return MailboxGreeting(state.employee_id, data["path"], group_id=state.group_id)


def _key_pressed(session: Session, data: Mapping[str, Any]) -> State | None:
    contact = session.contact
    match session.state:
        case InMenu(digits, round_) if contact is not None and contact.leg_id == data["leg_id"]:
            return InMenu((digits + data["key"])[-MAX_DIGITS:], round_)
        case AwaitingDecision(digits, "") if contact is not None and contact.leg_id == data["leg_id"]:
            return AwaitingDecision((digits + data["key"])[:MAX_DIGITS])
    return None


def _leg_started(session: Session, data: Mapping[str, Any]) -> State | None:
    state = session.state
    if data["role"] == Role.COACH:
        session.coach = CoachCalled(data["leg_id"])
    elif isinstance(state, FirstAnswered) and data.get("ring_seconds") is not None:
        return CallingSecond(state.plan, state.first_leg_id)
    return None


def _leg_answered(session: Session, data: Mapping[str, Any]) -> State | None:
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


def _leg_ended(session: Session, data: Mapping[str, Any]) -> State | None:
    if not isinstance(session.coach, NoCoach) and session.coach.leg_id == data["leg_id"]:
        session.coach = NoCoach()
    return None


def _talk_started(session: Session, data: Mapping[str, Any]) -> State | None:
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


def _talk_ended(session: Session, _data: Mapping[str, Any]) -> State | None:
    if session.talking:
        return None
    match session.state:
        case Talking(operator):
            return TalkInterrupted(operator)
        case EngineTalk(anchor_leg_id):
            return EngineTalkEnded(anchor_leg_id)
    return None


def _call_taken(session: Session, data: Mapping[str, Any]) -> State | None:
    talk = next((one for one in session.talks if one.ended_at is None), None)
    operator = talk.leg_id if talk is not None else data.get("operator_leg_id")
    if data.get("late"):
        return ControlledLate(operator)
    return Talking(operator) if talk is not None else Joining(operator)


def _third_party_called(session: Session, data: Mapping[str, Any]) -> State | None:
    return Calling(session.operator_leg_id, data["leg_id"], tuple(data.get("message") or ()))


def _consult_started(_session: Session, data: Mapping[str, Any]) -> State | None:
    return Consulting(data["operator_leg_id"], data["leg_id"])


def _consult_ended(session: Session, _data: Mapping[str, Any]) -> State | None:
    return OnHold(session.operator_leg_id) if isinstance(session.state, WithThird) else None


def _transfer_requested(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case _ if data["leg_id"] is None:
            return BetweenOperations()
        case Calling(operator, third, message):
            return TransferCalling(operator, third, message)
        case Announcing(operator, third, message):
            return TransferAnnouncing(operator, third, message)
    return None


def _timer_elapsed(session: Session, data: Mapping[str, Any]) -> State | None:
    match session.state:
        case Calling(operator, third) if data["key"] == ring_timer(third):
            return Releasing(operator, third)
        case TransferCalling(operator, third) if data["key"] == ring_timer(third):
            return TransferReleasing(operator, third)
    return None


def _coach_joined(session: Session, data: Mapping[str, Any]) -> State | None:
    session.coach = Coaching(data["leg_id"])
    return None


_FOLLOWING: dict[EventType, Callable[[Session, Mapping[str, Any]], State | None]] = {
    EventType.SCENARIO_ENTERED: _scenario_entered,
    EventType.OPERATION_ENTERED: _operation_entered,
    EventType.TARGET_CHOSEN: _target_chosen,
    EventType.MENU_REPEATED: _menu_repeated,
    EventType.MENU_DECIDED: _menu_decided,
    EventType.QUESTION_ASKED: _question_asked,
    EventType.DECISION_RECEIVED: _decision_received,
    EventType.QUEUE_ENTERED: lambda _session, data: InQueue(data["queue_id"]),
    EventType.QUEUE_LEFT: lambda session, _data: (
        BetweenOperations() if isinstance(session.state, InQueue) else None
    ),
    EventType.KEY_PRESSED: _key_pressed,
    EventType.MAILBOX_CALLED: lambda _session, data: MailboxLogin(
        data["employee_id"], group_id=data.get("group_id")
    ),
    EventType.MAILBOX_REFUSED: _mailbox_refused,
    EventType.MAILBOX_OPENED: _mailbox_opened,
    EventType.MAILBOX_PIN_ASKED: _mailbox_pin_asked,
    EventType.MAILBOX_GREETING_ASKED: _mailbox_greeting_asked,
    EventType.MAILBOX_CHANGED: _mailbox_opened,
    EventType.SETTING_DIALLED: lambda _session, data: ChangingSetting(
        data["employee_id"], data["setting"], data["value"]
    ),
    EventType.PARKING_DIALLED: lambda _session, data: DialledParking(data["slot"]),
    EventType.CALL_PARKED: lambda _session, data: Parked(data["slot"], data["leg_id"], data["since"]),
    EventType.CALL_RETRIEVED: lambda _session, data: Connecting(data["leg_id"]),
    EventType.LEG_STARTED: _leg_started,
    EventType.LEG_ANSWERED: _leg_answered,
    EventType.LEG_ENDED: _leg_ended,
    EventType.TALK_STARTED: _talk_started,
    EventType.TALK_ENDED: _talk_ended,
    EventType.CALL_TAKEN: _call_taken,
    EventType.CALL_HELD: lambda _session, data: OnHold(data["leg_id"]),
    EventType.CALL_UNHELD: lambda _session, data: Connecting(data["leg_id"]),
    EventType.THIRD_PARTY_CALLED: _third_party_called,
    EventType.CONSULT_STARTED: _consult_started,
    EventType.CONSULT_ENDED: _consult_ended,
    EventType.TRANSFER_REQUESTED: _transfer_requested,
    EventType.TRANSFERRED: lambda _session, data: Connecting(data["leg_id"]),
    EventType.COACH_JOINED: _coach_joined,
    EventType.VOICE_MAIL_STARTED: lambda _session, _data: LeavingMessage(),
    EventType.TIMER_ELAPSED: _timer_elapsed,
    EventType.SESSION_ENDING: lambda _session, _data: Finishing(),
    EventType.SESSION_FINISHED: lambda _session, _data: Finished(),
}


_LEG_DETAILS = (
    "calling_phone_number",
    "called_phone_number",
    "employee_id",
    "employee_full_name",
    "employee_phone_number",
    "phone_id",
    "sip_line_id",
    "trunk_id",
    "group_id",
    "group_name",
    "operation_id",
    "operation_name",
    "dialled",
    "keys",
    "offer_id",
    "limited_line_id",
    "coach_mode",
)
