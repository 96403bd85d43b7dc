"""Events of the Call Center API: their names, how they follow from events, and their data. Pure.

A channel of a participant is a call here, and so is the visit of a caller in a queue. Each has an ``id`` of its own; all of
one call session have the same ``call_id``, the UUID of the call in the API, which is the ``id`` of the first participant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import phonenumbers

from trunkline.core.call_uuids import uuid_of
from trunkline.core.clock import Instant
from trunkline.core.hangup_causes import cause_name
from trunkline.events.catalogue import Event, EventType
from trunkline.notifications.facts import CallFacts, Leg
from trunkline.notifications.variables import VARIABLES, Group, Value
from trunkline.queues.states import AgentStatus, LeavingReason


class CenterEvent(StrEnum):
    """Wire names of the events."""

    CHECK_IN = "agent:checkin"
    CHECK_OUT = "agent:checkout"
    AGENT_STATUS = "agent:status"
    QUEUE_JOIN = "queue:join"
    QUEUE_LEAVE = "queue:leave"
    CALL_START = "call:start"
    CALL_RING = "call:ring"
    CALL_ANSWER = "call:answer"
    CALL_END = "call:end"


NAMES = frozenset(one.value for one in CenterEvent)

_CALLER_CANCEL = "ORIGINATOR_CANCEL"
"""``hangup_cause`` of a caller who hangs up in a queue."""

_COACH = "coach"

CANCELED: Mapping[LeavingReason, str] = {
    LeavingReason.HANGUP: "BREAK_OUT",
    LeavingReason.BREAK_OUT: "BREAK_OUT",
    LeavingReason.TIMEOUT: "TIMEOUT",
    LeavingReason.NO_AGENT_TIMEOUT: "NO_AGENT_TIMEOUT",
    LeavingReason.EXIT_KEY: "NONE",
}
"""``canceled`` of a caller in a queue who was not connected. The exact reason stays in the events."""


@dataclass(frozen=True, slots=True)
class CenterBackground:
    """What the events do not carry.

    :ivar lead_name: of the lead that the call is about.
    :ivar device_id: SIP line at which the agent works.
    """

    lead_name: str | None = None
    device_id: int | None = None
    device_name: str | None = None


_POSSIBLE: Mapping[EventType, tuple[CenterEvent, ...]] = {
    EventType.SESSION_STARTED: (CenterEvent.CALL_RING,),
    EventType.LEG_RINGING: (CenterEvent.CALL_RING,),
    EventType.LEG_ANSWERED: (CenterEvent.CALL_ANSWER,),
    EventType.LEG_ENDED: (CenterEvent.CALL_END,),
    EventType.CALLER_JOINED: (CenterEvent.CALL_START,),
    EventType.CALLER_RESUMED: (CenterEvent.CALL_START,),
    EventType.AGENT_CONNECTED: (CenterEvent.CALL_ANSWER,),
    EventType.CALLER_LEFT: (CenterEvent.CALL_END,),
    EventType.CALLER_FINISHED: (CenterEvent.CALL_END,),
    EventType.AGENT_STATUS_CHANGED: (CenterEvent.CHECK_IN, CenterEvent.CHECK_OUT, CenterEvent.AGENT_STATUS),
    EventType.TIER_SET: (CenterEvent.QUEUE_JOIN,),
    EventType.TIER_REMOVED: (CenterEvent.QUEUE_LEAVE,),
}

_OF_VISITS = frozenset(
    {
        EventType.CALLER_JOINED,
        EventType.CALLER_RESUMED,
        EventType.AGENT_CONNECTED,
        EventType.CALLER_LEFT,
        EventType.CALLER_FINISHED,
    }
)

TYPES = frozenset(_POSSIBLE)
"""Events from which one of these may follow."""


def possible(type_: EventType) -> tuple[CenterEvent, ...]:
    """What may follow from an event of this type."""
    return _POSSIBLE.get(type_, ())


def call_of(event: Event) -> int | None:
    """The call session that an event is about: its own, or that of a caller in a queue."""
    own = event.call_session_id
    if own is not None or event.type not in _OF_VISITS:
        return own
    found: int | None = event.data.get("call_session_id")
    return found


def agent_of(event: Event) -> int | None:
    """The agent whose event it is."""
    kind, _, key = event.stream.partition(":")
    return int(key) if kind == "agent" else None


def is_complete(event: Event, facts: CallFacts) -> bool:
    """Whether the log of the call has what the data of an event need. Calls and queues are stored by separate transactions,
    so an event of a queue may be there before those of its call."""
    if event.type not in _OF_VISITS:
        return True
    needs_leg = event.type in (EventType.AGENT_CONNECTED, EventType.CALLER_FINISHED)
    return bool(facts.session) and (not needs_leg or _leg_of(event, facts) is not None)


def needs_background(event: Event, facts: CallFacts) -> bool:
    """Whether the data of an event has something that the tables have."""
    session = facts.session
    return agent_of(event) is not None or (session.get("lead_id") is not None and not session.get("lead"))


def stream_of(event: Event) -> str:
    """In which order deliveries are sent: those of one call, one visit of a queue, one agent after another."""
    return f"visit:{event.data['caller_id']}" if event.type in _OF_VISITS else event.stream


def follow(event: Event, facts: CallFacts) -> list[CenterEvent]:
    """What does follow from an event.

    :param facts: of its call, this event included.
    """
    data = event.data
    match event.type:
        case EventType.AGENT_STATUS_CHANGED:
            found = [CenterEvent.AGENT_STATUS]
            if data["previous"] == AgentStatus.LOGGED_OUT:
                found.insert(0, CenterEvent.CHECK_IN)
            elif data["status"] == AgentStatus.LOGGED_OUT:
                found.insert(0, CenterEvent.CHECK_OUT)
            return found
        case EventType.TIER_SET:
            return [CenterEvent.QUEUE_JOIN] if data.get("is_new", True) else []
        case EventType.SESSION_STARTED:
            return [CenterEvent.CALL_RING] if data.get("direction") == "in" else []
        case EventType.LEG_RINGING | EventType.LEG_ANSWERED | EventType.LEG_ENDED:
            leg = facts.leg(data.get("leg_id"))
            return list(possible(event.type)) if leg is not None and leg.role != _COACH else []
        case _:
            return list(possible(event.type))


def data_of(
    event: Event, name: CenterEvent, facts: CallFacts, background: CenterBackground
) -> dict[str, Value]:
    """The data of an event, by the names of the document and in its order; null: there is none."""
    agent_id = agent_of(event)
    if agent_id is not None:
        return _agent(event, name, agent_id, background)
    values = _call(event, facts, background)
    return {one: values.get(one) for one in CALL_DATA}


def message(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """As it is sent."""
    return {"event": name, "data": dict(data)}


def body_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """As it is sent, from the variables of a delivery."""
    name = str(values["notification_mnemonic"])
    return message(name, {one: value for one, value in values.items() if VARIABLES[one].group in _OWN_GROUPS})


_OWN_GROUPS = frozenset({Group.CENTER_CALL, Group.CENTER_AGENT})

CALL_DATA = tuple(one.name for one in VARIABLES.values() if one.group is Group.CENTER_CALL)
"""Names of the data of calls."""

_AGENT_DATA: Mapping[CenterEvent, tuple[str, ...]] = {
    CenterEvent.CHECK_IN: ("user_id", "device_id", "device_name"),
    CenterEvent.CHECK_OUT: ("user_id",),
    CenterEvent.QUEUE_JOIN: ("user_id", "queues"),
    CenterEvent.QUEUE_LEAVE: ("user_id", "queues"),
    CenterEvent.AGENT_STATUS: ("user_id", "activity_id", "pause_id", "in_calls"),
}


def sample(name: CenterEvent, at: float) -> dict[str, Value]:
    """Plausible data for a try of a subscription, with reserved telephone numbers."""
    values: dict[str, Value] = {
        "user_id": 1, "device_id": 1, "device_name": "0160001", "queues": [1], "activity_id": 1, "pause_id": 0,
        "in_calls": 1, "id": uuid_of(2), "call_id": uuid_of(1), "ts": int(at), "type": "queue",
        "dst_num": "971500000010", "dst_user_id": 1, "dst_device_id": 1, "cid_num": "12025550110", "a2": "US",
        "tags": [], "queue_id": 1, "waitms": 8000, "durationms": 50000, "progressms": 120, "billms": 42000,
        "cc_wait": 8, "hangup_cause": "NORMAL_CLEARING",
    }  # fmt: skip
    names = _AGENT_DATA.get(name, CALL_DATA)
    return {one: values.get(one) for one in names}


def _agent(event: Event, name: CenterEvent, agent_id: int, background: CenterBackground) -> dict[str, Value]:
    data = event.data
    is_present = data.get("status") != AgentStatus.LOGGED_OUT
    reason = str(data.get("reason") or "")
    values: dict[str, Value] = {
        "user_id": agent_id,
        "device_id": background.device_id,
        "device_name": background.device_name,
        "queues": [data["queue_id"]] if "queue_id" in data else [],
        "activity_id": int(is_present),
        "pause_id": int(reason) if reason.isdecimal() else 0,
        "in_calls": int(is_present),
    }
    return {one: values[one] for one in _AGENT_DATA[name]}


def _call(event: Event, facts: CallFacts, background: CenterBackground) -> dict[str, Value]:
    session = facts.session
    call_session_id = call_of(event)
    assert call_session_id is not None
    is_visit = event.type in _OF_VISITS
    leg = _leg_of(event, facts)
    ours = leg if leg is not None and leg.side != "contact" else facts.leg(facts.last_employee_leg)
    contact = facts.first_contact
    if event.type is EventType.SESSION_STARTED:
        ours = contact = None  # no leg has begun
    is_in = session.get("direction") == "in"
    source, target = (contact, ours) if is_in else (ours, contact)
    contact_number, own_number = session.get("contact_phone_number"), session.get("virtual_phone_number")
    own_name = leg.employee_full_name if leg is not None and not is_in else None
    first = facts.first_leg
    is_first = leg is None or (first is not None and leg is first)
    identifier = (
        event.data["caller_id"] if is_visit else call_session_id if is_first or leg is None else leg.leg_id
    )
    queue_id = _queue_of(event) if is_visit else leg.queue_id if leg is not None else None
    if queue_id is None and is_first and not is_visit:
        queue_id = facts.queue_id
    lead = session.get("lead")
    lead_name = lead["name"] if lead else background.lead_name
    if lead_name is not None and not is_in:
        own_name = lead_name
    return {
        "id": uuid_of(identifier),
        "call_id": uuid_of(call_session_id),
        "ts": int(event.at),
        "type": _type(session, queue_id),
        "dst_num": own_number if is_in else contact_number,
        "src_device_id": source.sip_line_id if source is not None else None,
        "dst_device_id": target.sip_line_id if target is not None else None,
        "src_user_id": source.employee_id if source is not None else None,
        "dst_user_id": target.employee_id if target is not None else None,
        "cid_num": contact_number if is_in else own_number,
        "cid_name": session.get("contact_full_name") if is_in else own_name,
        "a2": country_of(contact_number),
        "tags": list(facts.tags.values()),
        "queue_id": queue_id,
        "lead_id": session.get("lead_id"),
        "lead_name": lead_name,
        "campaign_id": session.get("dial_campaign_id"),
        "dialer_id": session.get("dialer_id"),
        **(_visit_times(event) if is_visit else _leg_times(event, facts, leg)),
    }


def _leg_of(event: Event, facts: CallFacts) -> Leg | None:
    """The leg that an event is about: its own; of a talk in a queue the one of the agent."""
    if event.type in (EventType.AGENT_CONNECTED, EventType.CALLER_FINISHED):
        agent_id = event.data.get("agent_id")
        legs = [
            one for one in facts.legs.values() if one.employee_id == agent_id and one.answered_at is not None
        ]
        return legs[-1] if legs else None
    if event.type in _OF_VISITS:
        return facts.first_contact
    return facts.leg(event.data.get("leg_id"))


def _queue_of(event: Event) -> int:
    return int(event.stream.partition(":")[2])


def _type(session: Mapping[str, Any], queue_id: int | None) -> str:
    if queue_id is not None:
        return "queue"
    if session.get("is_internal"):
        return "internal"
    return "inbound" if session.get("direction") == "in" else "outbound"


def _leg_times(event: Event, facts: CallFacts, leg: Leg | None) -> dict[str, Value]:
    """Of a participant. What has not happened yet is null."""
    if leg is None or leg.started_at is None:
        return {"durationms": 0} if event.type is EventType.SESSION_STARTED else {}
    is_end = event.type is EventType.LEG_ENDED
    waited = (leg.answered_at or event.at) - leg.started_at
    answered = 0.0 if leg.answered_at is None else event.at - leg.answered_at
    return {
        "waitms": _ms(waited) if is_end or leg.answered_at is not None else None,
        "durationms": _ms(event.at - leg.started_at),
        "progressms": None if leg.ringing_at is None else _ms(leg.ringing_at - leg.started_at),
        "billms": _ms(answered) if is_end else None,
        "cc_wait": leg.cc_wait,
        "hangup_cause": cause_name(event.data.get("release_cause_code")) if is_end else None,
    }


def _visit_times(event: Event) -> dict[str, Value]:
    """Of a caller in a queue."""
    data = event.data
    waited = data.get("waited")
    if waited is None:
        return {"durationms": 0}
    talked = data.get("seconds", 0.0)
    is_end = event.type in (EventType.CALLER_LEFT, EventType.CALLER_FINISHED)
    left = event.type is EventType.CALLER_LEFT
    reason = LeavingReason(data["reason"]) if left else None
    return {
        "waitms": _ms(waited),
        "durationms": _ms(waited + talked),
        "billms": _ms(talked) if is_end else None,
        "cc_wait": int(waited),
        "hangup_cause": None
        if not is_end
        else _CALLER_CANCEL
        if reason is LeavingReason.HANGUP
        else cause_name(16),
        "canceled": CANCELED[reason] if reason is not None else None,
    }


def _ms(seconds: Instant | float) -> int:
    return max(0, round(seconds * 1000))


@lru_cache(maxsize=10_000)
def country_of(number: str | None) -> str | None:
    """ISO 3166-1 alpha-2 code of a number in full; None: it has none, as an extension."""
    if not number or not number.isdecimal() or len(number) < 6:
        return None
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(f"+{number}"))
    except phonenumbers.NumberParseException:
        return None
