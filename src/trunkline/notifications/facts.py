"""The state of a call at one of its events: an aggregate of its event log up to there. Pure.

Notifications are made from the event log and not from the call's row, because the row may already include later
events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from trunkline.core.clock import Instant
from trunkline.events.catalogue import Event, EventType


@dataclass(slots=True)
class Leg:
    leg_id: int
    role: str
    employee_id: int | None = None
    employee_full_name: str | None = None
    employee_phone_number: str | None = None
    answered_at: Instant | None = None
    talk_started_at: Instant | None = None
    """Of the present or the last talk."""
    talk_seconds: int | None = None
    """Length of its last talk, when over."""
    side: str = ""
    sip_line_id: int | None = None
    queue_id: int | None = None
    """Of the queue for which the leg is called."""
    started_at: Instant | None = None
    ringing_at: Instant | None = None
    cc_wait: int | None = None
    """Whole seconds that the contact had waited in the queue when this leg answered."""


@dataclass(slots=True)
class CallFacts:
    """The state of a call after the given events."""

    started_at: Instant | None = None
    session: dict[str, Any] = field(default_factory=dict)
    """``data`` of session_started, overwritten by that of session_finished."""
    scenario_id: int | None = None
    scenario_name: str | None = None
    legs: dict[int, Leg] = field(default_factory=dict)
    tags: dict[int, str] = field(default_factory=dict)
    last_employee_leg: int | None = None
    """Of the employee who talked last, else answered last, else was called last."""
    queue_id: int | None = None
    """Of the queue in which the contact waits, or whose agent talks."""
    queue_entered_at: Instant | None = None
    queue_ids: set[int] = field(default_factory=set)
    """Of the queues that the contact has been in."""

    @property
    def first_leg(self) -> Leg | None:
        return next(iter(self.legs.values()), None)

    @property
    def first_contact(self) -> Leg | None:
        """The first leg of the contact's side."""
        return next((leg for leg in self.legs.values() if leg.side == "contact"), None)

    def leg(self, leg_id: Any) -> Leg | None:
        return self.legs.get(leg_id) if isinstance(leg_id, int) else None

    def answered_legs(self, role: str) -> list[Leg]:
        """Legs of this role that were answered, in no order."""
        return [leg for leg in self.legs.values() if leg.role == role and leg.answered_at is not None]

    def called_legs(self) -> list[Leg]:
        """Legs of the called side: employees of an incoming call, the contact of an outgoing one, and colleagues of an
        internal one."""
        if self.session.get("is_internal"):
            return [leg for leg in self.legs.values() if leg.role == "employee" and leg.side == "contact"]
        role = "employee" if self.session.get("direction") == "in" else "contact"
        return [leg for leg in self.legs.values() if leg.role == role]

    def employee_ids(self) -> list[int]:
        """Employees who took part or were called, each once, in the order of their first leg."""
        ids = (leg.employee_id for leg in self.legs.values() if leg.role == "employee")
        return list(dict.fromkeys(id_ for id_ in ids if id_ is not None))


def aggregate(events: Iterable[Event]) -> CallFacts:
    """The facts after these events of one call, which come in the order of their numbers."""
    facts = CallFacts()
    for event in events:
        apply(facts, event)
    return facts


def apply(facts: CallFacts, event: Event) -> None:
    """Add the event that follows."""
    data = event.data
    match event.type:
        case EventType.SESSION_STARTED:
            facts.started_at = event.at
            facts.session.update(data)
        case EventType.SCENARIO_ENTERED:
            facts.scenario_id, facts.scenario_name = data.get("scenario_id"), data.get("scenario_name")
        case EventType.LEG_STARTED:
            _leg_started(facts, event)
        case EventType.LEG_RINGING:
            leg = facts.leg(data.get("leg_id"))
            if leg is not None and leg.ringing_at is None:
                leg.ringing_at = event.at
        case EventType.QUEUE_ENTERED:
            facts.queue_id, facts.queue_entered_at = data.get("queue_id"), event.at
            if isinstance(data.get("queue_id"), int):
                facts.queue_ids.add(data["queue_id"])
        case EventType.QUEUE_LEFT | EventType.TRANSFER_REQUESTED | EventType.TRANSFERRED:
            facts.queue_id = facts.queue_entered_at = None
        case EventType.LEG_ANSWERED:
            _leg_answered(facts, event)
        case EventType.TALK_STARTED | EventType.TALK_ENDED:
            _talk(facts, event)
        case EventType.TAG_SET:
            if isinstance(data.get("tag_id"), int):
                facts.tags[data["tag_id"]] = data.get("tag_name") or ""
        case EventType.TAG_UNSET:
            facts.tags.pop(data.get("tag_id", 0), None)
        case EventType.SESSION_FINISHED:
            facts.session.update(data)
            facts.scenario_id = data.get("scenario_id", facts.scenario_id)
            facts.scenario_name = data.get("scenario_name", facts.scenario_name)
        case _:
            pass


def _leg_started(facts: CallFacts, event: Event) -> None:
    data = event.data
    leg_id = data.get("leg_id")
    if not isinstance(leg_id, int):
        return
    facts.legs[leg_id] = Leg(
        leg_id,
        str(data.get("role", "")),
        data.get("employee_id"),
        data.get("employee_full_name"),
        data.get("employee_phone_number"),
        side=str(data.get("side", "")),
        sip_line_id=data.get("sip_line_id"),
        queue_id=facts.queue_id if data.get("offer_id") is not None else None,
        started_at=event.at,
    )
    if data.get("role") == "employee" and not facts.answered_legs("employee"):
        facts.last_employee_leg = leg_id


def _leg_answered(facts: CallFacts, event: Event) -> None:
    leg = facts.leg(event.data.get("leg_id"))
    if leg is None:
        return
    leg.answered_at = event.at
    if leg.queue_id is not None and facts.queue_entered_at is not None:
        leg.cc_wait = max(0, int(event.at - facts.queue_entered_at))
    leg.employee_id = event.data.get("employee_id") or leg.employee_id
    leg.employee_full_name = event.data.get("employee_full_name") or leg.employee_full_name
    if leg.role == "employee":
        facts.last_employee_leg = leg.leg_id


def _talk(facts: CallFacts, event: Event) -> None:
    leg = facts.leg(event.data.get("leg_id"))
    if leg is None:
        return
    if event.type is EventType.TALK_STARTED:
        leg.talk_started_at, leg.talk_seconds = event.at, None
        leg.employee_phone_number = event.data.get("employee_phone_number") or leg.employee_phone_number
        if leg.employee_id is not None:
            facts.last_employee_leg = leg.leg_id
    elif leg.talk_started_at is not None:
        leg.talk_seconds = max(0, round(event.at - leg.talk_started_at))
