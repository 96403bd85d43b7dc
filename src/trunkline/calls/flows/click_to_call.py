"""Calls started by the API: one party is called, its message is played, the other is called, and they talk. Pure.

The plan of such a session (stored in SESSION_STARTED) has the parties and their messages::

    {"first": party, "second": party | null,          # null: an informer, only the contact
     "contact_message": {"files": [...], "is_tts": bool} | null, "our_message": the same,
     "switch_at_once": bool, "early_switching": bool, "keys": "..12" | null, "confirmation": "1" | "any" | null,
     "music_media_file_id": int | null, "show_virtual_phone_number": bool}

    party: {"kind": "employee", "employee_id", "phone_ids"} | {"kind": "contact" | "operator", "number"}
           | {"kind": "scenario", "scenario_id"}

Without messages before the talk, the engine connects the two. Otherwise the switch controls both
channels, and joins them in its own bridge when each message has been played (or at once, if requested). Source of
the behaviour: pages of the ``start.*`` methods; a message by text to speech is never cut short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from trunkline.calls.context import Look
from trunkline.calls.decision import Turn
from trunkline.calls.effects import Hangup, Join, Keys, Music
from trunkline.calls.finish_reasons import ANSWERED_ELSEWHERE, Side
from trunkline.calls.flows import consultation, dialing, inbound
from trunkline.calls.flows.parties import aims_for, nobody, unreached
from trunkline.calls.session import Leg, LegState
from trunkline.core.clock import Instant
from trunkline.directory.model import VirtualNumber
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.routing import interpreter
from trunkline.telephony.port import Channel, ConnectFinished


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
    api_request_id: int | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    """The rest of the plan, see above."""


def open_call(request: StartCall, look: Look, call_session_id: int, at: Instant) -> Turn:
    """Begin the session and call the first party."""
    contact = look.account.contacts_by_phone.get(request.contact)
    turn = Turn.open(
        look.account.account_id,
        call_session_id,
        look,
        at,
        {
            "direction": request.direction,
            "source": request.source,
            "is_internal": False,
            "virtual_number_id": request.number.virtual_number_id,
            "virtual_phone_number": request.number.phone_number,
            "contact_phone_number": request.contact,
            "contact_id": contact.contact_id if contact else None,
            "contact_full_name": contact.full_name if contact else None,
            "operator_phone_number": request.operator,
            "external_id": request.external_id,
            "api_request_id": request.api_request_id,
            "plan": {"first": request.first, "second": request.second, **request.plan},
        },
    )
    _call_first(turn)
    return turn


# --- what happens -----------------------------------------------------------------------------------------


def leg_answered(turn: Turn, leg: Leg) -> None:
    """A party picked up."""
    session = turn.session
    if not session.plan or session.dialling is not None or session.ending is not None or session.talks:
        return
    for other in session.living:
        if other is not leg and other.side is leg.side and other.answered_at is None:
            turn.do(Hangup(other.channel, ANSWERED_ELSEWHERE))
    keys = session.plan.get("keys")
    if leg.side is Side.CONTACT and keys:
        turn.do(Keys(leg.channel, keys))
    partner = _partner(turn, leg)
    if partner is not None:
        _second_answered(turn, partner, leg)
    elif leg.side is Side.CONTACT:
        _contact_answered_first(turn, leg)
    elif _awaits_key(turn, leg) or _has_message(turn, leg):
        consultation.say(turn, leg, _message(turn, leg))
    else:
        _call_contact(turn, leg)


def leg_failed(turn: Turn, leg: Leg) -> None:
    """A party that we called ourselves was not reached: the next phone, or the end."""
    session = turn.session
    if not session.plan or session.ending is not None or session.talks:
        return
    if any(one.side is leg.side for one in session.living):
        return  # others of the same round still ring
    partner = next((one for one in session.living if one.answered_at is not None), None)
    if partner is None:
        _call_first(turn)
    else:
        _call_second(turn, partner)


def not_connected(turn: Turn, leg: Leg, heard: ConnectFinished) -> None:
    """The engine could not connect the second party: the next phone, or the end."""
    second = turn.session.plan.get("second")
    if second is not None and second["kind"] == "scenario" and leg.side is Side.CONTACT:
        inbound.not_connected(turn)
    elif second is not None and second["kind"] == "employee":
        _dial_second(turn, leg)
    else:
        _give_up(turn, leg, second)


def message_heard(turn: Turn, leg: Leg) -> None:
    """A message was played to its end before the parties talk."""
    session = turn.session
    plan = session.plan
    if not plan:
        return
    if plan["second"] is None:
        turn.ending(Reason.SUCCESS_FINISH)
        turn.do(Hangup(leg.channel))
        return
    partner = _partner(turn, leg)
    if partner is None:
        if leg.side is Side.CONTACT or _awaits_key(turn, leg) or _called(turn, Side.CONTACT):
            turn.do(Music(leg.channel, _music(turn)))
        else:
            _call_contact(turn, leg)
    elif not _meet_if_ready(turn, leg, partner):
        turn.do(Music(leg.channel, _music(turn)))


def key_pressed(turn: Turn, leg: Leg, key: str) -> None:
    """The operator confirms that he takes the call."""
    session = turn.session
    wanted = session.plan.get("confirmation") if session.plan else None
    if wanted is None or leg.side is not Side.OPERATOR or not _awaits_key(turn, leg):
        return
    if wanted not in ("any", key):
        return
    session.confirmed.add(leg.leg_id)
    session.heard.add(leg.leg_id)
    consultation.hush(turn, leg)
    partner = _partner(turn, leg)
    if partner is None:
        _call_contact(turn, leg)
    else:
        _meet_if_ready(turn, leg, partner)


# --- the first party --------------------------------------------------------------------------------------


def _call_first(turn: Turn) -> None:
    session = turn.session
    first = session.plan["first"]
    tried_before = any(leg.channel for leg in session.legs.values())
    again = first["kind"] in ("employee", "scenario")
    aims, seconds = aims_for(turn, first) if again or not tried_before else ([], 0)
    if aims:
        _originate(turn, aims, session.plan.get("dialing_timeout") or seconds)
        return
    turn.ending(unreached(first))
    if not session.legs:
        # Nobody to call at all: keep a trace of whom it was meant for.
        leg = turn.start_leg(Channel(""), nobody(first, session.contact_phone_number))
        turn.end_leg(leg, unreached(first), 0)


def _originate(turn: Turn, aims: list[dialing.Aim], seconds: int) -> None:
    session = turn.session
    session.record_wanted = True
    for target, data in aims:
        turn.call(target, data, seconds)


def _contact_answered_first(turn: Turn, contact: Leg) -> None:
    session = turn.session
    second = session.plan["second"]
    message = _message(turn, contact)
    if second is None:
        consultation.say(turn, contact, message)
    elif second["kind"] == "scenario" and not message:
        _run_scenario(turn, second["scenario_id"])
    elif not message and not session.plan.get("our_message") and not session.plan.get("confirmation"):
        _dial_second(turn, contact)
    else:
        if message:
            consultation.say(turn, contact, message)
        else:
            turn.do(Music(contact.channel, _music(turn)))
        _call_second(turn, contact)


def _run_scenario(turn: Turn, scenario_id: int) -> None:
    scenario = turn.look.account.scenarios.get(scenario_id)
    contact = turn.session.contact
    if scenario is None or contact is None:
        turn.ending(Reason.NO_ACTIVE_SCENARIO)
        if contact is not None:
            turn.do(Hangup(contact.channel))
        return
    if turn.session.scenario_id is None:
        turn.emit(EventType.SCENARIO_ENTERED, scenario_id=scenario.scenario_id, scenario_name=scenario.name)
    inbound.perform(turn, interpreter.start(turn.look.account, scenario, turn.look))


# --- the second party -------------------------------------------------------------------------------------


def _call_contact(turn: Turn, ours: Leg) -> None:
    """Our side is ready: call the contact."""
    plan = turn.session.plan
    hears_something = bool(plan.get("contact_message")) and not _at_once(turn)
    if hears_something or plan.get("keys"):
        turn.do(Music(ours.channel, _music(turn)))
        _call_second(turn, ours)
    else:
        _dial_second(turn, ours)


def _call_second(turn: Turn, partner: Leg) -> None:
    second = turn.session.plan["second"]
    again = second["kind"] in ("employee", "scenario")
    aims, seconds = aims_for(turn, second) if again or not _called(turn, _side(second)) else ([], 0)
    if aims:
        _originate(turn, aims, seconds)
    else:
        _give_up(turn, partner, second)


def _dial_second(turn: Turn, leg: Leg) -> None:
    """Let the engine call the second party and connect."""
    plan = turn.session.plan
    aims, seconds = aims_for(turn, plan["second"])
    if not aims:
        _give_up(turn, leg, plan["second"])
        return
    early = bool(plan.get("early_switching")) and leg.side is Side.OPERATOR
    dialing.dial(turn, leg, aims, seconds, music=None if early else _music(turn))


def _second_answered(turn: Turn, partner: Leg, leg: Leg) -> None:
    if _awaits_key(turn, leg) or (not _meet_if_ready(turn, leg, partner) and _has_message(turn, leg)):
        consultation.say(turn, leg, _message(turn, leg))
    elif turn.session.managed is False:
        turn.do(Music(leg.channel, _music(turn)))


def _meet_if_ready(turn: Turn, leg: Leg, partner: Leg) -> bool:
    """Join the two when each has heard what it must; True when they are."""
    if not (_ready(turn, leg) and _ready(turn, partner)):
        return False
    session = turn.session
    turn.emit(EventType.CALL_TAKEN)
    for one in (leg, partner):
        consultation.hush(turn, one)
    for one in (leg, partner):
        turn.do(Join(one.channel, consultation.talk_bridge(session)))
    return True


def _ready(turn: Turn, leg: Leg) -> bool:
    if _awaits_key(turn, leg):
        return False
    if leg.leg_id in turn.session.heard or not _has_message(turn, leg):
        return True
    return _at_once(turn)


def _at_once(turn: Turn) -> bool:
    plan = turn.session.plan
    message = plan.get("contact_message")
    return bool(plan.get("switch_at_once")) and not (message and message["is_tts"])


def _awaits_key(turn: Turn, leg: Leg) -> bool:
    session = turn.session
    wanted = session.plan.get("confirmation")
    return bool(wanted) and leg.side is Side.OPERATOR and leg.leg_id not in session.confirmed


def _has_message(turn: Turn, leg: Leg) -> bool:
    return bool(_message(turn, leg))


def _message(turn: Turn, leg: Leg) -> tuple[str, ...]:
    if leg.side is Side.CONTACT:
        message = turn.session.plan.get("contact_message")
        return tuple(message["files"]) if message else ()
    message = turn.session.plan.get("our_message")
    return _scenario_message(turn) + (tuple(message["files"]) if message else ())


def _scenario_message(turn: Turn) -> tuple[str, ...]:
    """The scenario's own message to an employee: it comes before that of the request."""
    session = turn.session
    scenario = turn.look.account.scenarios.get(session.scenario_id or 0)
    operation = scenario.operation(session.operation_key) if scenario is not None else None
    return inbound.employee_message(turn, operation) if operation is not None else ()


def _music(turn: Turn) -> str | None:
    media_file_id = turn.session.plan.get("music_media_file_id")
    own = turn.look.media_path(media_file_id) if media_file_id is not None else None
    return own or turn.look.system_media_path("dialing_music")


def _partner(turn: Turn, leg: Leg) -> Leg | None:
    """The answered party on the other side."""
    return next(
        (one for one in turn.session.living if one.side is not leg.side and one.state is LegState.CONNECTED),
        None,
    )


def _called(turn: Turn, side: Side) -> bool:
    return any(leg.side is side and leg.channel for leg in turn.session.legs.values())


def _side(party: dict[str, Any]) -> Side:
    return Side.CONTACT if party["kind"] == "contact" else Side.OPERATOR


def _give_up(turn: Turn, leg: Leg, party: dict[str, Any] | None) -> None:
    turn.ending(unreached(party or {"kind": "contact"}))
    turn.do(Hangup(leg.channel))
