"""How each event changes a session: its facts, and its state.

:func:`evolve` applies one event, and nothing else changes what the events of a call say. So a restarted switch rebuilds
every live session from its stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trunkline.calls.fact_changes import FACTS
from trunkline.calls.session import (
    IllegalTransitionError,
    Session,
)
from trunkline.calls.state_changes import FOLLOWING
from trunkline.calls.states import (
    CallingFirst,
    Dialling,
)
from trunkline.events.catalogue import Event, EventType


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
        session.detects_machine = bool(plan.get("detects_machine"))
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
    facts = FACTS.get(event.type)
    if facts is not None:
        facts(session, event)
    following = FOLLOWING.get(event.type)
    if following is not None:
        session.state = following(session, event.data) or session.state


def _settles_transfer(asked: Mapping[str, Any], event: Event) -> bool:
    """Whether this event decides what a phone has asked for."""
    if event.type is EventType.LEG_ENDED:
        return bool(event.data["leg_id"] == asked["leg_id"])
    return event.type in _SETTLE_TRANSFER
