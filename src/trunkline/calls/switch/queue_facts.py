"""What the decisions about calls mean for the queues of the account: from events of calls to inputs of queues. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from trunkline.calls.decision import Decision, QueueFact
from trunkline.calls.flows import queueing
from trunkline.calls.session import Leg, Session
from trunkline.calls.states import Departure, InQueue
from trunkline.calls.switch.queue_callbacks import called_back
from trunkline.core.clock import Instant
from trunkline.core.hangup_causes import TEMPORARY_FAILURE
from trunkline.events.catalogue import Event, EventType
from trunkline.queues import inputs as i
from trunkline.queues.offers import outcome_of_cause
from trunkline.queues.states import OfferOutcome

CallerOf = Callable[[int], int | None]
"""The caller of a call session that waits in a queue or is connected with an agent."""


def inputs_of(decision: Decision, caller_of: CallerOf, agents: Iterable[int]) -> Iterator[i.Input]:
    """The inputs that follow from a decision about a call, in order.

    :param agents: ids of the employees who are agents.
    """
    session, known = decision.session, frozenset(agents)
    for event in decision.events:
        yield from _of_event(session, event, caller_of)
        yield from _of_agents(session, event, known)
    for fact in decision.queue_facts:
        caller_id = caller_of(session.call_session_id)
        if caller_id is not None:
            yield _FACTS[fact](caller_id)


_FACTS: dict[QueueFact, Callable[[int], i.Input]] = {
    QueueFact.PLAYED: i.AnnouncementEnded,
    QueueFact.NO_ANNOUNCEMENT: i.AnnouncementFailed,
    QueueFact.NO_MUSIC: i.MusicFailed,
}


def join_of(session: Session, at: Instant) -> i.JoinQueue | None:
    """The call waits in a queue; None: it does not. One that entered it earlier, and joins only now because a former process
    could not store that, keeps the time it has waited as its base score."""
    contact = session.contact
    if not isinstance(session.state, InQueue) or contact is None or not contact.is_alive:
        return None
    return _join(session, contact, session.state.queue_id, at)


def missed_stay_of(session: Session, at: Instant) -> i.JoinQueue | None:
    """The call ended while it waited in a queue; None: it did not."""
    contact, stays = session.contact, session.queue_stays
    if contact is None or not stays or stays[-1].outcome is not None:
        return None
    return replace(_join(session, contact, stays[-1].queue_id, at), is_over=True)


def _join(session: Session, contact: Leg, queue_id: int, at: Instant) -> i.JoinQueue:
    until = min(contact.ended_at or at, at)
    return i.JoinQueue(
        queue_id,
        session.call_session_id,
        (contact.calling_phone_number if contact.is_operator_side else session.contact_phone_number) or "",
        min(contact.answered_at or at, at),
        base_score=max(0, int(until - (session.queue_entered_at or until))),
        is_lead=session.dial_campaign_id is not None,
    )


def _of_event(session: Session, event: Event, caller_of: CallerOf) -> Iterator[i.Input]:
    call = session.call_session_id
    leg = session.legs.get(event.data.get("leg_id") or 0)
    offer_id = leg.offer_id if leg is not None else None
    match event.type:
        case EventType.QUEUE_ENTERED:
            if (joined := join_of(session, event.at)) is not None:
                yield joined
        case EventType.KEY_PRESSED if leg is not None and leg is session.contact:
            caller_id = caller_of(call)
            if caller_id is not None and isinstance(session.state, InQueue):
                yield i.CallerPressedKey(caller_id, event.data["key"])
        case EventType.LEG_RINGING if offer_id is not None:
            yield i.OfferRinging(offer_id)
        case EventType.LEG_ANSWERED if offer_id is not None:
            if queueing.answered_leg(session, offer_id) is leg:  # a second phone that answered is hung up
                yield i.OfferAnswered(offer_id)
        case EventType.TALK_STARTED if offer_id is not None:
            yield i.OfferConnected(offer_id)
        case EventType.LEG_ENDED if leg is not None and offer_id is not None:
            yield from _offer_leg_ended(session, leg, offer_id)
        case EventType.SESSION_FINISHED | EventType.TRANSFER_REQUESTED | EventType.TRANSFERRED:
            # A transferred contact may wait in the same queue again; its agent is busy until its leg ends.
            caller_id = caller_of(call)
            if caller_id is not None:
                yield i.CallerHungUp(caller_id)
        case EventType.QUEUE_LEFT if event.data["reason"] == queueing.NOT_IN_TIME:
            caller_id = caller_of(call)
            if caller_id is not None:
                yield i.CallerTaken(caller_id)
        case EventType.SESSION_ENDING:
            caller_id = caller_of(call)
            if caller_id is not None and not session.talking:
                yield i.CallerHungUp(caller_id)
        case _:
            pass


def _offer_leg_ended(session: Session, leg: Leg, offer_id: int) -> Iterator[i.Input]:
    if leg.is_talked:
        yield i.AgentLegEnded(offer_id)
    elif not queueing.offer_legs(session, offer_id):  # else another phone rings or is being connected
        is_answered = _is_answered(session, offer_id)
        yield i.OfferFailed(offer_id, OfferOutcome.CANCELLED if is_answered else _outcome(session, offer_id))


def _is_answered(session: Session, offer_id: int) -> bool:
    return any(one.offer_id == offer_id and one.answered_at is not None for one in session.legs.values())


def _outcome(session: Session, offer_id: int) -> OfferOutcome:
    """Of the causes of all phones of an agent: who declines at one of them does not want the call."""
    found = {_leg_outcome(one) for one in session.legs.values() if one.offer_id == offer_id}
    order = (OfferOutcome.REJECTED, OfferOutcome.NO_ANSWER, OfferOutcome.BUSY, OfferOutcome.UNREGISTERED)
    return next((one for one in order if one in found), OfferOutcome.NO_ANSWER)


def _leg_outcome(leg: Leg) -> OfferOutcome:
    cause = leg.cause or 0
    # No device of the line could be called.
    return (
        OfferOutcome.UNREGISTERED if cause == TEMPORARY_FAILURE and not leg.rang else outcome_of_cause(cause)
    )


# --- calls of agents that are no queue calls


def _of_agents(session: Session, event: Event, agents: frozenset[int]) -> Iterator[i.Input]:
    if event.type not in (EventType.LEG_STARTED, EventType.LEG_ANSWERED, EventType.LEG_ENDED):
        return
    leg = session.legs.get(event.data["leg_id"])
    if leg is None or leg.employee_id not in agents or leg.employee_id is None or leg.offer_id is not None:
        return
    call = str(session.call_session_id)
    if event.type is EventType.LEG_ENDED:
        if leg.employee_id not in tracked(session):
            yield i.AgentCallEnded(leg.employee_id, call)
    elif _is_tracked(leg):
        yield i.AgentCallStarted(leg.employee_id, call)


def tracked(session: Session) -> set[int]:
    """Employees who are in this call other than for a queue."""
    return {leg.employee_id for leg in session.living if leg.employee_id is not None and _is_tracked(leg)}


def _is_tracked(leg: Leg) -> bool:
    """A phone that only rings, maybe with those of a whole group, does not count."""
    is_in_call = leg.direction == "in" or leg.answered_at is not None
    return leg.offer_id is None and leg.is_alive and bool(leg.channel) and is_in_call


# --- after a restart


def restarted(sessions: Iterable[Session], agents: Iterable[int]) -> i.Restarted:
    """What the calls of an account show after a restart."""
    known = frozenset(agents)
    sessions = list(sessions)
    calls: set[int] = set()
    legs: dict[int, i.LegState] = {}
    agent_calls: dict[int, frozenset[str]] = {}
    for session in sessions:
        if queueing.is_waiting(session):
            calls.add(session.call_session_id)
        for leg in session.living:
            if leg.offer_id is None or leg.departure is Departure.HANDED_OVER:
                continue
            calls.add(session.call_session_id)
            state = _leg_state(leg)
            if _ORDER.index(state) >= _ORDER.index(legs.get(leg.offer_id, state)):
                legs[leg.offer_id] = state
        for agent_id in tracked(session) & known:
            agent_calls[agent_id] = agent_calls.get(agent_id, frozenset()) | {str(session.call_session_id)}
    dialled = frozenset(one.call_session_id for one in sessions)
    callbacks = frozenset(one for session in sessions if (one := called_back(session)) is not None)
    return i.Restarted(frozenset(calls), legs, callbacks, agent_calls, dialled)


_ORDER = (i.LegState.RINGING, i.LegState.ANSWERED, i.LegState.CONNECTED)


def _leg_state(leg: Leg) -> i.LegState:
    if leg.is_talked:
        return i.LegState.CONNECTED
    return i.LegState.RINGING if leg.answered_at is None else i.LegState.ANSWERED
