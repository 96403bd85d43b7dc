"""After a restart: the state from the events is compared with the calls that the engine has (section 13)."""

from __future__ import annotations

from trunkline.events.catalogue import EventType
from trunkline.queues import attempts, callbacks, offers, reservations
from trunkline.queues.account import Queue
from trunkline.queues.agents import Agent
from trunkline.queues.callers import Caller
from trunkline.queues.decision import QueueDecision
from trunkline.queues.effects import CancelOffer, Connect
from trunkline.queues.inputs import LegState, Restarted
from trunkline.queues.states import (
    AgentState,
    CallerState,
    LeavingReason,
    OfferOutcome,
    TicketState,
    TierState,
)


def restarted(decision: QueueDecision, given: Restarted) -> None:
    """Adopt what lives, close what has ended. Places, counters and timers are those of the events (13.1)."""
    for offer_id in given.legs:
        if offer_id not in decision.index.caller_of and offer_id not in decision.index.agent_of:
            decision.do(CancelOffer(offer_id, None))
    for queue in decision.state.queues.values():
        for caller in list(queue.callers.values()):
            _caller(decision, caller, given)
        for ticket in list(queue.tickets.values()):
            if ticket.state is TicketState.DIALLING and ticket.caller_id not in given.callbacks:
                callbacks.interrupted(decision, queue, ticket)
    for agent in list(decision.state.agents.values()):
        _agent(decision, agent, given)


def _caller(decision: QueueDecision, caller: Caller, given: Restarted) -> None:
    if caller.state is CallerState.ABANDONED:
        return
    is_alive = caller.call_session_id in given.calls
    if caller.state is CallerState.ANSWERED:
        if not is_alive or caller.connected_offer not in given.legs:
            offers.finish(decision, caller, "restart")
        return
    if not is_alive:
        attempts.leave(decision, caller, LeavingReason.HANGUP)  # 13.3: abandoned at the time of the restart
        return
    queue = decision.state.queues[caller.queue_id]
    for offer in list(caller.offers.values()):
        if offer.offer_id not in caller.offers:
            continue  # another agent has answered
        match given.legs.get(offer.offer_id):
            case None:
                offers.end(decision, caller, offer, OfferOutcome.CANCELLED)
            case LegState.RINGING:
                pass  # adopted: its ring time goes on
            case LegState.ANSWERED if offer.is_answered:
                decision.do(_connect_again(queue, caller, offer.offer_id, offer.agent_id))
            case LegState.ANSWERED:
                offers.answered(decision, offer.offer_id)
            case LegState.CONNECTED:
                offers.connected(decision, offer.offer_id)
                return


def _connect_again(queue: Queue, caller: Caller, offer_id: int, agent_id: int) -> Connect:
    announcement = queue.settings.pre_bridge_announce
    return Connect(offer_id, caller.caller_id, caller.call_session_id, agent_id, announcement)


def _agent(decision: QueueDecision, agent: Agent, given: Restarted) -> None:
    calls = given.agent_calls.get(agent.agent_id, frozenset())
    for call in sorted(agent.external_calls - calls):
        decision.emit_for_agent(agent, EventType.AGENT_CALL_ENDED, call=call)
    for call in sorted(calls - agent.external_calls):
        decision.emit_for_agent(agent, EventType.AGENT_CALL_STARTED, call=call)
    engagement = agent.engagement
    if engagement is not None and agent.state is AgentState.RESERVED:
        queue = decision.state.queues.get(engagement.queue_id)
        has_ticket = queue is not None and engagement.caller_id in queue.tickets
        if not has_ticket and engagement.caller_id not in given.dialled:
            reservations.release(decision, engagement.caller_id)
        return
    is_gone = engagement is not None and engagement.offer_id not in given.legs
    if is_gone and agent.state is AgentState.IN_CALL:
        offers.end_queue_call(decision, agent, parks=False)
    if agent.engagement is None and any(one.state is not TierState.READY for one in agent.tiers.values()):
        decision.emit_for_agent(agent, EventType.AGENT_RESTARTED)
