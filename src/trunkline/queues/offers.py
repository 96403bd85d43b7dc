"""Offers: from the moment an agent is called until the end of the call (section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from trunkline.core.errors import InvalidInput
from trunkline.events.catalogue import EventType
from trunkline.queues.agents import MAX_NO_ANSWER, Agent
from trunkline.queues.callers import Caller, Offer, after, exact
from trunkline.queues.decision import QueueDecision
from trunkline.queues.effects import CancelOffer, Connect, StartOffer
from trunkline.queues.settings import AgentSettings, QueueSettings
from trunkline.queues.states import AgentState, AgentStatus, CallerState, OfferOutcome

UNREGISTERED_DELAY = 5
"""Seconds before the next offer to an agent without a reachable device (7.3)."""

GUARD_DELAY = 1
"""Seconds before the next offer when the agent has no delay for the outcome (7.4b)."""

_OUTCOMES: Mapping[int, OfferOutcome] = MappingProxyType(
    {
        17: OfferOutcome.BUSY,
        20: OfferOutcome.UNREGISTERED,
        21: OfferOutcome.REJECTED,
        34: OfferOutcome.BUSY,
        42: OfferOutcome.BUSY,
    }
)


def outcome_of_cause(cause: int) -> OfferOutcome:
    """The outcome of an offer from the Q.850 cause with which the agent's leg ended unanswered (7.3)."""
    return _OUTCOMES.get(cause, OfferOutcome.NO_ANSWER)


def ring_seconds(queue: QueueSettings, agent: AgentSettings) -> int:
    """For how long an offer rings: the queue's time when it is set, else the agent's (7.4f)."""
    return queue.ring_timeout or agent.ring_timeout


def delay_after(outcome: OfferOutcome, settings: AgentSettings) -> int | None:
    """Seconds before the next offer to the agent, in every queue (7.3, 7.4b); None: no delay."""
    match outcome:
        case OfferOutcome.BUSY:
            return settings.busy_delay_time or GUARD_DELAY
        case OfferOutcome.REJECTED:
            return settings.reject_delay_time or GUARD_DELAY
        case OfferOutcome.NO_ANSWER:
            return settings.no_answer_delay_time or GUARD_DELAY
        case OfferOutcome.UNREGISTERED:
            return UNREGISTERED_DELAY
        case _:
            return None


def start(decision: QueueDecision, caller: Caller, agent: Agent, *, is_reserved: bool = False) -> bool:
    """Start an offer: reserve the agent and mark the caller in one step (2.5, 7.1).

    :param is_reserved: the agent was reserved for this callback or lead.
    :returns: whether both were free; nothing happens otherwise.
    """
    queue = decision.state.queues[caller.queue_id]
    place = agent.place_in(queue.queue_id)
    is_free = is_reserved or decision.index.is_free_for(agent, queue.queue_id)
    if place is None or not is_free or not caller.is_in_queue or caller.is_being_connected:
        return False
    offer_id = decision.context.next_id()
    seconds = ring_seconds(queue.settings, agent.settings)
    on_demand = agent.status is AgentStatus.ON_DEMAND
    decision.emit_for_agent(
        agent,
        EventType.OFFER_STARTED,
        offer_id=offer_id,
        queue_id=queue.queue_id,
        caller_id=caller.caller_id,
        on_demand=on_demand,
    )
    decision.emit_for_caller(
        queue.queue_id,
        caller.caller_id,
        EventType.AGENT_OFFERING,
        offer_id=offer_id,
        agent_id=agent.agent_id,
        level=place.level,
        position=place.position,
        ring_seconds=seconds,
    )
    decision.do(
        StartOffer(
            offer_id,
            queue.queue_id,
            caller.caller_id,
            caller.call_session_id,
            agent.agent_id,
            seconds,
            queue.settings.auto_answer,
        )
    )
    return True


def ringing(decision: QueueDecision, offer_id: int) -> bool:
    """A device of the agent rings. False: the offer has ended."""
    found = find(decision, offer_id)
    if found is None:
        return False
    caller, offer = found
    if offer.ringing_at is None:
        _about(decision, caller, EventType.AGENT_RINGING, offer)
    return True


def answered(decision: QueueDecision, offer_id: int) -> bool:
    """The agent has answered: the first answer wins (7.2 step 1). False: the offer has ended."""
    found = find(decision, offer_id)
    if found is None:
        decision.do(CancelOffer(offer_id, decision.index.agent_of.get(offer_id)))
        return False
    caller, offer = found
    if offer.is_answered:
        return True
    _about(decision, caller, EventType.AGENT_ANSWERED, offer)
    for other in [one for one in caller.offers.values() if one is not offer]:
        cancel(decision, caller, other, is_answered_elsewhere=True)
    announcement = decision.state.queues[caller.queue_id].settings.pre_bridge_announce
    decision.do(Connect(offer_id, caller.caller_id, caller.call_session_id, offer.agent_id, announcement))
    return True


def connected(decision: QueueDecision, offer_id: int) -> bool:
    """The two legs are connected (7.2 step 2). False: the offer has ended."""
    found = find(decision, offer_id)
    if found is None:
        return False
    caller, offer = found
    for other in [one for one in caller.offers.values() if one is not offer]:
        cancel(decision, caller, other, is_answered_elsewhere=True)
    decision.emit_for_agent(
        offer.agent_id,
        EventType.OFFER_CONNECTED,
        offer_id=offer_id,
        queue_id=caller.queue_id,
        caller_id=caller.caller_id,
    )
    waiting = decision.waiting(caller.queue_id) - 1
    decision.emit_for_caller(
        caller.queue_id,
        caller.caller_id,
        EventType.AGENT_CONNECTED,
        offer_id=offer_id,
        agent_id=offer.agent_id,
        call_session_id=caller.call_session_id,
        waited=caller.waited(decision.now),
        attempts=caller.attempts,
        waiting=waiting,
    )
    return True


def failed(decision: QueueDecision, offer_id: int, outcome: OfferOutcome) -> bool:
    """The agent's leg has ended before it was connected (7.4). False: the offer has ended before.

    :raises InvalidInput: ``answered`` is no failure.
    """
    if outcome is OfferOutcome.ANSWERED:
        raise InvalidInput("An offer does not fail with the outcome answered", field="outcome", value=outcome)
    found = find(decision, offer_id)
    if found is None:
        return False
    caller, offer = found
    end(decision, caller, offer, OfferOutcome.CANCELLED if offer.is_answered else outcome)  # 7.2 step 4
    return True


def time_over(decision: QueueDecision, offer_id: int) -> None:
    """The ring time is over (7.4f): nobody answered."""
    found = find(decision, offer_id)
    if found is not None and not found[1].is_answered and decision.now >= found[1].deadline:
        caller, offer = found
        decision.do(CancelOffer(offer.offer_id, offer.agent_id))
        end(decision, caller, offer, OfferOutcome.NO_ANSWER)


def cancel(
    decision: QueueDecision, caller: Caller, offer: Offer, *, is_answered_elsewhere: bool = False
) -> None:
    """Withdraw an offer in progress, with the outcome ``cancelled``."""
    decision.do(CancelOffer(offer.offer_id, offer.agent_id, is_answered_elsewhere))
    end(decision, caller, offer, OfferOutcome.CANCELLED)


def cancel_of_agent(decision: QueueDecision, agent: Agent, *, queue_id: int | None = None) -> None:
    """Withdraw the offer in progress to an agent, if there is one (3.5b, section 12).

    :param queue_id: only one of this queue.
    """
    engagement = agent.engagement
    if engagement is None or engagement.offer_id is None or queue_id not in (None, engagement.queue_id):
        return
    found = find(decision, engagement.offer_id)
    if found is not None:
        cancel(decision, *found)


def cancel_of_caller(decision: QueueDecision, caller: Caller) -> None:
    """Withdraw all offers for a caller (7.2 step 3, 11.1)."""
    for offer in list(caller.offers.values()):
        cancel(decision, caller, offer)


def end(decision: QueueDecision, caller: Caller, offer: Offer, outcome: OfferOutcome) -> None:
    """An offer ends without a connection (7.3, 7.4)."""
    now, queue = decision.now, decision.state.queues[caller.queue_id]
    agent = decision.state.agents[offer.agent_id]
    delay = delay_after(outcome, agent.settings)
    decision.emit_for_agent(
        agent,
        EventType.OFFER_ENDED,
        offer_id=offer.offer_id,
        queue_id=queue.queue_id,
        caller_id=caller.caller_id,
        outcome=outcome.value,
        ready_time=after(now, delay) if delay is not None else None,
    )
    _about(
        decision,
        caller,
        EventType.AGENT_FAILED,
        offer,
        outcome=outcome.value,
        seconds=exact(now - offer.started_at),
    )
    limit = agent.settings.max_no_answer
    if outcome is OfferOutcome.NO_ANSWER and limit and agent.no_answer_count >= limit:  # 7.4c
        status = queue.settings.agent_no_answer_status
        decision.emit_for_agent(
            agent,
            EventType.AGENT_MAX_NO_ANSWER,
            queue_id=queue.queue_id,
            count=agent.no_answer_count,
            status=status.value,
        )
        if agent.status is not status:
            decision.emit_for_agent(
                agent,
                EventType.AGENT_STATUS_CHANGED,
                status=status.value,
                reason=MAX_NO_ANSWER,
                previous=agent.status.value,
            )


def call_ended(decision: QueueDecision, offer_id: int) -> bool:
    """The agent's own leg of a queue call has left (7.5). False: there is no such call."""
    agent_id = decision.index.agent_of.get(offer_id)
    agent = decision.state.agents.get(agent_id) if agent_id is not None else None
    if agent is None or agent.state is not AgentState.IN_CALL or agent.engagement is None:
        return False
    engagement = agent.engagement
    parks = engagement.on_demand
    end_queue_call(decision, agent, parks=parks)
    caller = decision.caller(engagement.caller_id)
    if caller is not None and caller.connected_offer == offer_id and caller.state is CallerState.ANSWERED:
        finish(decision, caller, "agent")
    return True


def end_queue_call(decision: QueueDecision, agent: Agent, *, parks: bool) -> None:
    """The end of an agent's queue call: counters, wrap-up, tiers, state (7.5).

    :param parks: the agent is Idle then.
    """
    engagement = agent.engagement
    if engagement is None:
        return
    decision.emit_for_agent(
        agent,
        EventType.QUEUE_CALL_ENDED,
        offer_id=engagement.offer_id,
        queue_id=engagement.queue_id,
        caller_id=engagement.caller_id,
        seconds=exact(decision.now - agent.last_bridge_start),
        wrap_up_until=after(decision.now, agent.settings.wrap_up_time),
        state=(AgentState.IDLE if parks else AgentState.WAITING).value,
    )


def finish(decision: QueueDecision, caller: Caller, ended_by: str) -> None:
    """The call of an answered caller has ended: the caller is removed (3.1).

    :param ended_by: ``caller``, ``agent`` or ``restart``.
    """
    decision.emit_for_caller(
        caller.queue_id,
        caller.caller_id,
        EventType.CALLER_FINISHED,
        call_session_id=caller.call_session_id,
        agent_id=caller.connected_agent,
        ended_by=ended_by,
        seconds=exact(decision.now - (caller.connected_at or decision.now)),
        waited=exact((caller.connected_at or decision.now) - caller.joined_at),
    )


def find(decision: QueueDecision, offer_id: int) -> tuple[Caller, Offer] | None:
    """An offer in progress and its caller."""
    found = decision.index.caller_of.get(offer_id)
    if found is None:
        return None
    queue_id, caller_id = found
    caller = decision.state.queues[queue_id].callers[caller_id]
    return caller, caller.offers[offer_id]


def _about(decision: QueueDecision, caller: Caller, type_: EventType, offer: Offer, **data: object) -> None:
    decision.emit_for_caller(
        caller.queue_id,
        caller.caller_id,
        type_,
        offer_id=offer.offer_id,
        agent_id=offer.agent_id,
        **data,
    )
