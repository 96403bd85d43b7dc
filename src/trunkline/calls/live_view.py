"""A live call as ``list.calls`` shows it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from trunkline.calls.finish_reasons import Side
from trunkline.calls.session import Leg, LegState, Phase, Role, Session
from trunkline.calls.states import Transferring

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
        "legs": [_leg(session, leg) for leg in session.legs.values() if leg.alive],
    }


def _leg(session: Session, leg: Leg) -> dict[str, Any]:
    return {
        "leg_id": leg.leg_id,
        "calling_phone_number": leg.calling_phone_number,
        "called_phone_number": leg.called_phone_number,
        "is_operator": leg.serves,
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
