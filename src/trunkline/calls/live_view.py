"""A live call as ``list.calls`` of the Call API, ``active_calls`` of the Call Center API and the console show it. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from trunkline.calls.finish_reasons import Side
from trunkline.calls.session import Leg, LegState, Phase, Role, Session
from trunkline.calls.states import Coaching, InQueue, Parked, Transferring
from trunkline.core.call_uuids import uuid_of
from trunkline.core.hangup_causes import cause_name

_STATES = {
    LegState.DIAL: "Dial",
    LegState.CONNECTED: "Next in line",
    LegState.TALK: "Conversation",
    LegState.ENDED: "Disconnected",
}
"""The wire's words (Call API, ``list.calls``, ``legs.state``)."""


def live_call(session: Session, zone: ZoneInfo) -> dict[str, Any]:
    """Every field of the method and no other, as the API passes it on; ``start_time`` is in ``zone``."""
    started = datetime.fromtimestamp(int(session.started_at), zone).replace(tzinfo=None)
    return {
        "call_session_id": session.call_session_id,
        "direction": session.direction,
        "start_time": started.isoformat(" "),
        "virtual_phone_number": session.virtual_phone_number,
        "contact_phone_number": session.contact_phone_number,
        "external_id": session.external_id,
        "tags": [{"tag_id": tag["tag_id"], "tag_name": tag["tag_name"]} for tag in session.tags],
        "legs": [_leg(session, leg) for leg in session.legs.values() if leg.is_alive],
    }


def _leg(session: Session, leg: Leg) -> dict[str, Any]:
    return {
        "leg_id": leg.leg_id,
        "calling_phone_number": leg.calling_phone_number,
        "called_phone_number": leg.called_phone_number,
        "is_operator": leg.is_operator_side,
        "employee_id": leg.employee_id,
        "employee_full_name": leg.employee_full_name,
        "record_call_enabled": session.record_wanted or any(one.is_recorded for one in session.living),
        "state": _state(session, leg),
    }


def _state(session: Session, leg: Leg) -> str:
    """Who is connected and does not talk waits on hold, consults, or waits in line; a coach is in the conversation."""
    if leg.state is not LegState.CONNECTED:
        return _STATES[leg.state]
    if leg.role is Role.COACH:
        return _STATES[LegState.TALK]
    consults = leg.leg_id in (session.operator_leg_id, session.third_leg_id)
    if session.phase is Phase.OPERATOR_TALK and consults:
        return "Operators talking"
    if session.phase not in _HELD:
        return _STATES[leg.state]
    if leg.side is Side.CONTACT:
        return "Call Transfer" if isinstance(session.state, Transferring) else "On hold"
    return "On hold" if leg.leg_id == session.operator_leg_id else _STATES[leg.state]


_HELD = (Phase.HOLD, Phase.DIALING, Phase.OPERATOR_TALK)


def agent_call(session: Session) -> dict[str, Any]:
    """A call by the names of the events of the Call Center API; times are Unix seconds."""
    contact, ours = session.contact, _agent_leg(session)
    is_in = session.direction == "in"
    source, target = (contact, ours) if is_in else (ours, contact)
    contact_number, own_number = session.contact_phone_number, session.virtual_phone_number
    lead = session.lead or {"name": None, "ext_api_vars": None}
    return {
        "uuid": uuid_of(session.call_session_id),
        "state": _agent_state(session),
        "type": _kind(session),
        "ts": int(session.started_at),
        "answer_ts": None if session.first_answer_at is None else int(session.first_answer_at),
        "cid_num": contact_number if is_in else own_number,
        "cid_name": session.contact_full_name if is_in else None,
        "dst_num": own_number if is_in else contact_number,
        "src_device_id": source.sip_line_id if source is not None else None,
        "dst_device_id": target.sip_line_id if target is not None else None,
        "src_user_id": source.employee_id if source is not None else None,
        "dst_user_id": target.employee_id if target is not None else None,
        "user_id": ours.employee_id if ours is not None else None,
        "queue_id": session.queue_id,
        "lead_id": session.lead_id,
        "lead_name": lead["name"],
        "ext_api_vars": lead["ext_api_vars"],
        "campaign_id": session.dial_campaign_id,
        "external_id": session.external_id,
        "tags": [tag["tag_name"] for tag in session.tags],
    }


def _kind(session: Session) -> str:
    if session.queue_id is not None:
        return "queue"
    if session.is_internal:
        return "internal"
    return "inbound" if session.direction == "in" else "outbound"


def _agent_leg(session: Session) -> Leg | None:
    """The leg of our side: who talks, else who answered, else who rings."""
    legs = [leg for leg in session.living if leg.side is Side.OPERATOR and leg.role is not Role.COACH]
    talks = {talk.leg_id for talk in session.talks if talk.ended_at is None}
    return min(legs, key=lambda leg: (leg.leg_id not in talks, leg.answered_at is None), default=None)


def _agent_state(session: Session) -> str:
    """``Answer`` while the parties talk."""
    if session.talking:
        return "Answer"
    return "Hold" if session.phase in _HELD else "Ring"


def agent_answer(session: Session) -> dict[str, Any]:
    """Whether our side of a call that the API started has picked up: ``ringing``, ``answered`` or ``ended``, the latter
    with the ``cause`` by its name."""
    ours = [leg for leg in session.legs.values() if leg.side is Side.OPERATOR]
    if any(leg.answered_at is not None for leg in ours):
        return {"state": "answered"}
    if session.phase is Phase.ENDED or session.ending is not None:
        return {"state": "ended", "cause": cause_name(ours[-1].cause if ours else None)}
    return {"state": "ringing"}


class CallProgress(StrEnum):
    """What a call is doing, in one word for people; the first that applies."""

    ENDING = "ending"
    CONSULTING = "consulting"
    """An employee talks with a third party; the contact waits."""
    ON_HOLD = "on_hold"
    TALKING = "talking"
    QUEUED = "queued"
    PARKED = "parked"
    RINGING = "ringing"
    """Somebody is being called."""
    SCENARIO = "scenario"
    """The contact hears a greeting or a menu, or leaves a message."""


def progress_of(session: Session) -> CallProgress:
    """What a call is doing."""
    if session.ending is not None or session.phase in (Phase.FINISHING, Phase.ENDED):
        return CallProgress.ENDING
    if session.phase is Phase.OPERATOR_TALK:
        return CallProgress.CONSULTING
    if session.phase in _HELD:
        return CallProgress.ON_HOLD
    if session.talking:
        return CallProgress.TALKING
    if isinstance(session.state, InQueue):
        return CallProgress.QUEUED
    if isinstance(session.state, Parked):
        return CallProgress.PARKED
    if any(leg.state is LegState.DIAL and leg.role is not Role.COACH for leg in _called(session)):
        return CallProgress.RINGING
    return CallProgress.SCENARIO


def _called(session: Session) -> list[Leg]:
    return [leg for leg in session.living if leg.direction == "out"]


def call_in_progress(session: Session) -> dict[str, Any]:
    """A call for the pages of the console; times are Unix seconds, so that it is equal until the call changes.

    ``since``: when the call began; ``talk_since``: when the present talk began. ``parties``: of our side, with ``state``
    (``ringing``, ``connected``, ``talking``); ``coaches``: the same, with ``mode``. ``employee_ids``: whose call it is,
    without coaches. ``internal_caller`` and ``internal_called``: the parties of a call between employees, as in
    :data:`~trunkline.reports.calls.CALLS_FOR_PEOPLE`.
    """
    open_talks = [talk for talk in session.talks if talk.ended_at is None]
    ours = [leg for leg in session.living if leg.is_operator_side and leg.role is not Role.COACH]
    coaches = [leg for leg in session.living if leg.role is Role.COACH]
    stay = session.queue_stays[-1] if session.queue_id is not None and session.queue_stays else None
    return {
        "call_session_id": session.call_session_id,
        "direction": session.direction,
        "is_internal": session.is_internal,
        "progress": progress_of(session).value,
        "since": float(session.started_at),
        "talk_since": float(open_talks[-1].started_at) if open_talks else None,
        "contact_number": session.contact_phone_number,
        "contact_name": session.contact_full_name,
        "contact_id": session.contact_id,
        "virtual_number": session.virtual_phone_number,
        "scenario_name": session.scenario_name,
        "queue_id": session.queue_id,
        "queue_name": stay.queue_name if stay is not None else None,
        "lead_id": session.lead_id,
        "lead": session.lead,
        "external_id": session.external_id,
        "is_recorded": any(leg.is_recorded for leg in session.living),
        "parties": [_party(leg) for leg in ours],
        "coaches": [
            {**_party(leg), "mode": leg.coach_mode, "is_in_talk": isinstance(session.coach, Coaching)}
            for leg in coaches
        ],
        "employee_ids": sorted({leg.employee_id for leg in ours if leg.employee_id is not None}),
        "internal_caller": _internal_caller(session) if session.is_internal else None,
        "internal_called": _internal_called(session) if session.is_internal else None,
    }


def _internal_caller(session: Session) -> dict[str, Any] | None:
    caller = next((leg for leg in session.legs.values() if leg.direction == "in"), None)
    if caller is None:
        return None
    # The called phone is shown the caller's extension; the number of the caller's own leg is that of its line.
    shown = next((leg.calling_phone_number for leg in _colleagues(session)), None)
    return {
        "employee_id": caller.employee_id,
        "full_name": caller.employee_full_name,
        "number": shown or caller.calling_phone_number,
    }


def _internal_called(session: Session) -> dict[str, Any] | None:
    """Who answered first, or the only one who was called."""
    called = _colleagues(session)
    answered = [leg for leg in called if leg.answered_at is not None]
    found = min(answered, key=lambda leg: leg.answered_at or 0.0, default=None)
    if found is None and len({leg.employee_id for leg in called}) == 1:
        found = called[0]
    return {"employee_id": found.employee_id, "full_name": found.employee_full_name} if found else None


def _colleagues(session: Session) -> list[Leg]:
    return [
        leg
        for leg in session.legs.values()
        if leg.direction == "out" and leg.employee_id is not None and leg.role is not Role.COACH
    ]


_PARTY_STATES = {LegState.DIAL: "ringing", LegState.CONNECTED: "connected", LegState.TALK: "talking"}


def _party(leg: Leg) -> dict[str, Any]:
    is_calling = leg.direction == "in" and leg.state is LegState.DIAL
    return {
        "leg_id": leg.leg_id,
        "employee_id": leg.employee_id,
        "name": leg.employee_full_name,
        "number": leg.employee_phone_number,
        "state": "connected" if is_calling else _PARTY_STATES.get(leg.state, "connected"),
    }
