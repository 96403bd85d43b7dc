"""What each event changes in the facts of a session. Pure; its state is in :mod:`trunkline.calls.state_changes`."""

from __future__ import annotations

from collections.abc import Callable

from trunkline.calls.finish_reasons import Side
from trunkline.calls.session import (
    Leg,
    LegState,
    Phase,
    QueueStay,
    Role,
    Session,
    Talk,
    move,
    move_leg,
)
from trunkline.calls.states import (
    Departure,
    InQueue,
)
from trunkline.calls.timers import ring_timer
from trunkline.core.clock import Instant
from trunkline.directory.model.queues import is_scenario_of_queue
from trunkline.events.catalogue import DecisionOutcome, Event, EventType, MenuOutcome
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Channel

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
    if (detection := data.get("detection")) is not None:
        leg.is_machine, leg.greeted_at = detection["is_machine"], Instant(detection["greeted_at"])
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


FACTS: dict[EventType, Callable[[Session, Event], None]] = {
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
"""By type of event; events of other types change no facts."""
