"""Calls started by the API: one party is called, its message is played, the other is called, and they talk. Pure.

The plan of such a session (stored in SESSION_STARTED) has the parties and their messages::

    {"first": party, "second": party | null,          # null: an informer, only the contact
     "contact_message": {"files": [...], "is_tts": bool} | null, "our_message": the same,
     "switch_at_once": bool, "early_switching": bool, "keys": "..12" | null, "confirmation": "1" | "any" | null,
     "music_media_file_id": int | null, "show_virtual_phone_number": bool,
     "shown_to_us": [number | null, name | null], "shown_name": name of the caller id that the contact sees,
     "auto_answer": bool, "detects_machine": bool (of a contact who is called first),
     "connect": {"seconds": float, "scenario_id": int | null} of a lead, see :func:`.queueing.not_in_time`}

    party: {"kind": "employee", "employee_id", "phone_ids"} | {"kind": "contact" | "operator", "number"}
           | {"kind": "line", "sip_line_id", "number"} | {"kind": "scenario", "scenario_id"}
           | {"kind": "group", "group_id"}

Without messages before the talk, the engine connects the two. Otherwise the switch controls both
channels, and joins them in its own bridge when each message has been played (or at once, if requested). Source of
the behaviour: pages of the ``start.*`` methods; a message by text to speech is never cut short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trunkline.calls.context import CallContext
from trunkline.calls.decision import Decision, is_own_channel
from trunkline.calls.effects import Hangup, Music, SendKeys
from trunkline.calls.finish_reasons import Side
from trunkline.calls.flows import consultation, dialing, engine_connect, inbound
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
from trunkline.calls.flows.parties import dial_targets_for, nobody, plan_of, unreached
from trunkline.calls.flows.scenario_position import caller_of, position
from trunkline.calls.flows.table import Table, pairs, row
from trunkline.calls.session import Leg, Session, anchor
from trunkline.calls.states import (
    AFTER_OPERATION,
    BothAnswered,
    CallingFirst,
    CallingSecond,
    Finishing,
    FirstAnswered,
    Joining,
    State,
)
from trunkline.calls.timers import CONNECT_TIMER, StartTimer
from trunkline.core.clock import Instant
from trunkline.core.hangup_causes import ANSWERED_ELSEWHERE, NORMAL_CLEARING
from trunkline.directory.model import VirtualNumber
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.telephony.port import Channel

_LEAST_CONNECT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class StartCall:
    """A checked request to start a call."""

    source: str
    first: dict[str, Any]
    second: dict[str, Any] | None
    number: VirtualNumber
    contact: str
    direction: str
    operator: str | None = None
    external_id: str | None = None
    lead_id: str | None = None
    lead: Mapping[str, Any] | None = None
    """Of a campaign, as the session has it."""
    dial_campaign_id: int | None = None
    api_request_id: int | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    """The rest of the plan, see above."""
    visit: Mapping[str, Any] = field(default_factory=dict)
    """Of a website, by the wire names of the reports."""
    visitor_name: str = ""
    """Of a contact whom the address book does not have."""


def open_call(request: StartCall, context: CallContext, call_session_id: int, at: Instant) -> Decision:
    """Begin the session and call the first party."""
    contact = context.account.contacts_by_phone.get(request.contact)
    decision = Decision.open(
        context.account.account_id,
        call_session_id,
        context,
        at,
        {
            "direction": request.direction,
            "source": request.source,
            "is_internal": False,
            "virtual_number_id": request.number.virtual_number_id,
            "virtual_phone_number": request.number.phone_number,
            "contact_phone_number": request.contact,
            "contact_id": contact.contact_id if contact else None,
            "contact_full_name": contact.full_name if contact else request.visitor_name or None,
            **({"visit": dict(request.visit)} if request.visit else {}),
            "operator_phone_number": request.operator,
            "external_id": request.external_id,
            **({"lead_id": request.lead_id} if request.lead_id is not None else {}),
            **({"lead": dict(request.lead)} if request.lead is not None else {}),
            **(
                {"dial_campaign_id": request.dial_campaign_id} if request.dial_campaign_id is not None else {}
            ),
            "api_request_id": request.api_request_id,
            "plan": {"first": request.first, "second": request.second, **request.plan},
        },
    )
    _call_first(decision)
    return decision


# --- what happens -----------------------------------------------------------------------------------------


def first_answered(decision: Decision, flow_input: LegAnswered) -> None:
    """The first party has answered: it hears its message, or the second is called. An answering machine hears nothing."""
    leg = flow_input.leg
    if leg.is_machine:
        decision.end_session(Reason.NO_SUCCESS_CALLER_CALL)
        decision.do(Hangup(leg.channel))
        return
    _stop_others(decision, leg)
    if leg.side is Side.CONTACT:
        _contact_answered_first(decision, leg)
    elif _awaits_key(decision, leg) or _has_message(decision, leg):
        consultation.say(decision, leg, _message(decision, leg))
    else:
        _call_contact(decision, leg)


def second_answered(decision: Decision, flow_input: LegAnswered) -> None:
    """The second party has answered; or another phone of the first, while it is being hung up."""
    leg, partner = flow_input.leg, _partner(decision.session, flow_input.leg)
    if partner is None:
        decision.do(Hangup(leg.channel, ANSWERED_ELSEWHERE))
        return
    _stop_others(decision, leg)
    if _awaits_key(decision, leg) or (
        not _meet_if_ready(decision, leg, partner) and _has_message(decision, leg)
    ):
        consultation.say(decision, leg, _message(decision, leg))
    elif not isinstance(decision.session.state, Joining):
        decision.do(Music(leg.channel, _music(decision)))


def answered_too_late(decision: Decision, flow_input: LegAnswered) -> None:
    """Another phone was faster. A party that the engine rings is connected by it."""
    if is_own_channel(flow_input.leg.channel):
        decision.do(Hangup(flow_input.leg.channel, ANSWERED_ELSEWHERE))


def first_unreached(decision: Decision, flow_input: LegUnreached) -> None:
    """The next phone, or the end."""
    if not _others_ring(decision, flow_input.leg):
        _call_first(decision)


def second_unreached(decision: Decision, flow_input: LegUnreached) -> None:
    """The next phone, or the end."""
    first = anchor(decision.session)
    if (
        first is None
        or not first.is_alive
        or first.side is flow_input.leg.side
        or _others_ring(decision, flow_input.leg)
    ):
        return
    _call_second(decision, first)


def not_connected(decision: Decision, flow_input: NotConnected) -> None:
    """The engine could not connect the second party: the next phone, or the end."""
    second = plan_of(decision.session)["second"]
    if second is not None and second["kind"] == "employee":
        _dial_second(decision, flow_input.leg)
    else:
        _give_up(decision, flow_input.leg, second)


def message_played(decision: Decision, flow_input: MessagePlayed) -> None:
    """A message was played to its end before the parties talk."""
    leg = flow_input.leg
    if plan_of(decision.session)["second"] is None:
        decision.end_session(Reason.SUCCESS_FINISH)
        decision.do(Hangup(leg.channel))
        return
    partner = _partner(decision.session, leg)
    if partner is None:
        if leg.side is Side.CONTACT or _awaits_key(decision, leg) or _called(decision, Side.CONTACT):
            decision.do(Music(leg.channel, _music(decision)))
        else:
            _call_contact(decision, leg)
    elif not _meet_if_ready(decision, leg, partner):
        decision.do(Music(leg.channel, _music(decision)))


def key_pressed(decision: Decision, flow_input: Key) -> None:
    """The operator confirms the call."""
    session, leg = decision.session, flow_input.leg
    wanted = plan_of(session).get("confirmation")
    if wanted is None or leg.side is not Side.OPERATOR or not _awaits_key(decision, leg):
        return
    if wanted not in ("any", flow_input.key):
        return
    session.confirmed.add(leg.leg_id)
    session.message_played_to.add(leg.leg_id)
    consultation.stop_playback(decision, leg)
    partner = _partner(session, leg)
    if partner is None:
        _call_contact(decision, leg)
    else:
        _meet_if_ready(decision, leg, partner)


def party_gone(decision: Decision, flow_input: LegGone) -> None:
    """A party that had answered is gone: the call ends, unless it was a phone that answered too late."""
    match decision.session.state:
        case _ if decision.session.connecting_channel is not None:
            engine_connect.party_gone(decision, flow_input)
            return
        case FirstAnswered(_, first) | CallingSecond(_, first) if flow_input.leg.leg_id != first:
            return
        case BothAnswered(_, first, second) if flow_input.leg.leg_id not in (first, second):
            return
    decision.end_session(flow_input.reason)
    engine_connect.hang_up_all(decision, NORMAL_CLEARING)


def resume(decision: Decision, first: Leg) -> None:
    """After a restart of the switch: what was to happen once the first party had answered."""
    if all(leg is first for leg in decision.session.living):
        first_answered(decision, LegAnswered(first))


def _stop_others(decision: Decision, leg: Leg) -> None:
    """One phone of a party has answered: the others stop ringing. A contact gets its keys."""
    for other in decision.session.living:
        if other is not leg and other.side is leg.side and other.answered_at is None:
            decision.do(Hangup(other.channel, ANSWERED_ELSEWHERE))
    keys = plan_of(decision.session).get("keys")
    if leg.side is Side.CONTACT and keys:
        decision.do(SendKeys(leg.channel, keys))


def _others_ring(decision: Decision, leg: Leg) -> bool:
    """Whether other phones of the same party still ring."""
    return any(one.side is leg.side for one in decision.session.living)


# --- the first party --------------------------------------------------------------------------------------


def _call_first(decision: Decision) -> None:
    session = decision.session
    first = plan_of(session)["first"]
    tried_before = any(leg.channel for leg in session.legs.values())
    again = first["kind"] in ("employee", "scenario", "group")
    dial_targets, seconds = dial_targets_for(decision, first) if again or not tried_before else ([], 0)
    if dial_targets:
        _originate(decision, dial_targets, plan_of(session).get("dialing_timeout") or seconds)
        return
    decision.end_session(unreached(first))
    if not session.legs:
        # Nobody to call at all: keep a trace of whom it was meant for.
        leg = decision.start_leg(Channel(""), nobody(first, session.contact_phone_number))
        decision.end_leg(leg, unreached(first), 0)


def _originate(decision: Decision, dial_targets: list[dialing.DialTarget], seconds: int) -> None:
    session = decision.session
    session.record_wanted = True
    auto_answer = bool(plan_of(session).get("auto_answer"))
    for target, data in dial_targets:
        ours = data["side"] is Side.OPERATOR
        decision.originate_leg(
            target,
            data,
            seconds,
            auto_answer=auto_answer and ours,
            detects_machine=session.detects_machine and not ours,
        )


def _contact_answered_first(decision: Decision, contact: Leg) -> None:
    session = decision.session
    connect = plan_of(session).get("connect")
    if connect:
        waits_since = decision.at if contact.greeted_at is None else contact.greeted_at
        seconds = max(_LEAST_CONNECT_SECONDS, connect["seconds"] - (decision.at - waits_since))
        decision.do(StartTimer(CONNECT_TIMER, seconds))
    second = plan_of(session)["second"]
    message = _message(decision, contact)
    if second is None:
        consultation.say(decision, contact, message)
    elif second["kind"] == "scenario" and not message:
        _run_scenario(decision, second["scenario_id"])
    elif not message and not plan_of(session).get("our_message") and not plan_of(session).get("confirmation"):
        _dial_second(decision, contact)
    else:
        if message:
            consultation.say(decision, contact, message)
        else:
            decision.do(Music(contact.channel, _music(decision)))
        _call_second(decision, contact)


def _run_scenario(decision: Decision, scenario_id: int) -> None:
    scenario = decision.context.account.scenarios.get(scenario_id)
    contact = decision.session.contact
    if scenario is None or contact is None:
        decision.end_session(Reason.NO_ACTIVE_SCENARIO)
        if contact is not None:
            decision.do(Hangup(contact.channel))
        return
    decision.enter_scenario(scenario, takes_over=True)
    inbound.perform(
        decision,
        interpreter.decide_first(decision.context.account, scenario, decision.context, caller_of(decision)),
    )


# --- the second party -------------------------------------------------------------------------------------


def _call_contact(decision: Decision, ours: Leg) -> None:
    """Our side is ready: call the contact."""
    plan = plan_of(decision.session)
    hears_something = bool(plan.get("contact_message")) and not _at_once(decision)
    if hears_something or plan.get("keys"):
        decision.do(Music(ours.channel, _music(decision)))
        _call_second(decision, ours)
    else:
        _dial_second(decision, ours)


def _call_second(decision: Decision, partner: Leg) -> None:
    second = plan_of(decision.session)["second"]
    again = second["kind"] in ("employee", "scenario")
    dial_targets, seconds = (
        dial_targets_for(decision, second) if again or not _called(decision, _side(second)) else ([], 0)
    )
    if dial_targets:
        _originate(decision, dial_targets, seconds)
    else:
        _give_up(decision, partner, second)


def _dial_second(decision: Decision, leg: Leg) -> None:
    """Let the engine call the second party and connect."""
    plan = plan_of(decision.session)
    dial_targets, seconds = dial_targets_for(decision, plan["second"])
    if not dial_targets:
        _give_up(decision, leg, plan["second"])
        return
    early = bool(plan.get("early_switching")) and leg.side is Side.OPERATOR
    dialing.dial(decision, leg, dial_targets, seconds, music=None if early else _music(decision))


def _meet_if_ready(decision: Decision, leg: Leg, partner: Leg) -> bool:
    """Join the two when each has heard what it must; True when they are."""
    if not (_ready(decision, leg) and _ready(decision, partner)):
        return False
    session = decision.session
    ours = leg if leg.side is Side.OPERATOR else partner
    decision.emit(EventType.CALL_TAKEN, operator_leg_id=ours.leg_id)
    for one in (leg, partner):
        consultation.stop_playback(decision, one)
    for one in (leg, partner):
        decision.do(consultation.into_talk(session, one))
    return True


def _ready(decision: Decision, leg: Leg) -> bool:
    if _awaits_key(decision, leg):
        return False
    if leg.leg_id in decision.session.message_played_to or not _has_message(decision, leg):
        return True
    return _at_once(decision)


def _at_once(decision: Decision) -> bool:
    plan = plan_of(decision.session)
    message = plan.get("contact_message")
    return bool(plan.get("switch_at_once")) and not (message and message["is_tts"])


def _awaits_key(decision: Decision, leg: Leg) -> bool:
    session = decision.session
    wanted = plan_of(session).get("confirmation")
    return bool(wanted) and leg.side is Side.OPERATOR and leg.leg_id not in session.confirmed


def _has_message(decision: Decision, leg: Leg) -> bool:
    return bool(_message(decision, leg))


def _message(decision: Decision, leg: Leg) -> tuple[str, ...]:
    if leg.side is Side.CONTACT:
        message = plan_of(decision.session).get("contact_message")
        return tuple(message["files"]) if message else ()
    message = plan_of(decision.session).get("our_message")
    return _scenario_message(decision) + (tuple(message["files"]) if message else ())


def _scenario_message(decision: Decision) -> tuple[str, ...]:
    """The scenario's own message to an employee: it comes before that of the request."""
    _, operation = position(decision)
    return inbound.employee_message(decision, operation) if operation is not None else ()


def _music(decision: Decision) -> str | None:
    media_file_id = plan_of(decision.session).get("music_media_file_id")
    own = decision.context.media_path(media_file_id) if media_file_id is not None else None
    return own or decision.context.system_media_path("dialing_music")


def _partner(session: Session, leg: Leg) -> Leg | None:
    """The other party, once both have answered."""
    match session.state:
        case BothAnswered(_, first, second) if leg.leg_id in (first, second):
            return session.legs[second if leg.leg_id == first else first]
    return None


def _called(decision: Decision, side: Side) -> bool:
    return any(leg.side is side and leg.channel for leg in decision.session.legs.values())


def _side(party: dict[str, Any]) -> Side:
    return Side.CONTACT if party["kind"] == "contact" else Side.OPERATOR


def _give_up(decision: Decision, leg: Leg, party: dict[str, Any] | None) -> None:
    decision.end_session(unreached(party or {"kind": "contact"}))
    decision.do(Hangup(leg.channel))


# --- the table --------------------------------------------------------------------------------------------

_ANSWERED: tuple[type[State], ...] = (FirstAnswered, CallingSecond, BothAnswered)
_STATES: tuple[type[State], ...] = (CallingFirst, *_ANSWERED)

TABLE = Table(
    rows={
        (CallingFirst, LegAnswered): row(first_answered, FirstAnswered, CallingSecond, *AFTER_OPERATION),
        (FirstAnswered, LegAnswered): row(answered_too_late, FirstAnswered),
        (CallingSecond, LegAnswered): row(second_answered, CallingSecond, BothAnswered, Joining),
        (BothAnswered, LegAnswered): row(answered_too_late, BothAnswered),
        (CallingFirst, LegUnreached): row(first_unreached, CallingFirst, Finishing),
        (CallingSecond, LegUnreached): row(second_unreached, CallingSecond, Finishing),
        (FirstAnswered, NotConnected): row(not_connected, FirstAnswered, Finishing),
        **{(state, TalkOver): row(engine_connect.talk_over, Finishing) for state in _ANSWERED},
        (FirstAnswered, MessagePlayed): row(message_played, FirstAnswered, CallingSecond, Finishing),
        (CallingSecond, MessagePlayed): row(message_played, CallingSecond),
        (BothAnswered, MessagePlayed): row(message_played, BothAnswered, Joining),
        (FirstAnswered, Key): row(key_pressed, FirstAnswered, CallingSecond, Finishing),
        (CallingSecond, Key): row(key_pressed, CallingSecond),
        (BothAnswered, Key): row(key_pressed, BothAnswered, Joining),
        **{(state, LegGone): row(party_gone, state, Finishing) for state in _STATES},
        **{(state, RingElapsed): row(consultation.stop_ringing, state) for state in _STATES},
    },
    refused=pairs(_STATES, *COMMANDS),
    ignored=pairs(
        _STATES, PartyTaken, ScenarioPlayed, MessageRecorded, JoinFailed, InputElapsed, QuestionReply
    )
    | pairs((CallingFirst, CallingSecond, BothAnswered), NotConnected)
    | pairs((CallingFirst,), TalkOver, MessagePlayed),
    expected=pairs((FirstAnswered, BothAnswered), LegUnreached) | pairs((CallingFirst,), Key),
)
"""Of calls that the API started, until the parties meet or a scenario takes over."""
