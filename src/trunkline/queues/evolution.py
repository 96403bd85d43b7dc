"""How each event changes the queues of an account. Pure.

An event of the stream of a queue changes that queue alone, an event of the stream of an agent that agent alone. So the
order between streams does not matter when the state is rebuilt. An offer has an event in both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from trunkline.core.clock import Instant
from trunkline.events.catalogue import Event, EventType
from trunkline.queues import served
from trunkline.queues.account import RECENT_WAITS, AccountQueues, Queue
from trunkline.queues.agents import Agent, Engagement, Tier
from trunkline.queues.callers import Caller, Offer, Place, Ticket, exact
from trunkline.queues.service_level import Visit
from trunkline.queues.settings import AgentSettings, QueueSettings
from trunkline.queues.snapshots import agent_of_data, queue_of_data
from trunkline.queues.states import (
    AgentState,
    AgentStatus,
    CallerState,
    LeavingReason,
    OfferOutcome,
    TicketState,
    TierState,
)

Data = Mapping[str, Any]


def evolve(state: AccountQueues, event: Event) -> None:
    """Apply one event. Events of a stream come in order, without gaps.

    :raises ForbiddenMoveError: the event moves something to a state that cannot follow.
    """
    kind, _, key = event.stream.partition(":")
    if kind == "queue":
        _evolve_queue(state, int(key), event)
    elif kind == "agent":
        _evolve_agent(state, int(key), event)
    state.versions[event.stream] = event.seq
    state.now = max(state.now, event.at)


def replay(account_id: int, events: Iterable[Event]) -> AccountQueues:
    """The state from events: those of each stream in order, from its beginning or its last snapshot on; the streams in any
    order."""
    state = AccountQueues(account_id)
    for event in events:
        evolve(state, event)
    return state


# --- streams of queues


def _evolve_queue(state: AccountQueues, queue_id: int, event: Event) -> None:
    queue = state.queues.get(queue_id)
    if event.type is EventType.QUEUE_SNAPSHOT:
        state.queues[queue_id] = queue_of_data(event.data["state"])
        state.snapshots[event.stream] = event.seq
    elif event.type is EventType.QUEUE_SET:
        settings = QueueSettings.stored(event.data["settings"])
        if queue is None:
            state.queues[queue_id] = Queue(queue_id, settings)
        else:
            queue.settings = settings
            queue.is_music_broken = False
    elif queue is None:
        return
    elif event.type is EventType.QUEUE_REMOVED:
        del state.queues[queue_id]
    elif (rule := _QUEUE_RULES.get(event.type)) is not None:
        rule(queue, event.data, event.at)


def _emptied(queue: Queue, data: Data, at: Instant) -> None:
    queue.empty_since = at


def _staffed(queue: Queue, data: Data, at: Instant) -> None:
    queue.empty_since = None


def _pointers_moved(queue: Queue, data: Data, at: Instant) -> None:
    """The tier of an agent was moved: pointers to it have its new place."""
    place = Place(data["level"], data["position"], data["agent_id"])
    if queue.pointer is not None and queue.pointer.agent_id == place.agent_id:
        queue.pointer = place
    for caller in queue.callers.values():
        if caller.pointer is not None and caller.pointer.agent_id == place.agent_id:
            caller.pointer = place


def _music_failed(queue: Queue, data: Data, at: Instant) -> None:
    queue.is_music_broken = True


def _joined(queue: Queue, data: Data, at: Instant) -> None:
    caller_id = data["caller_id"]
    queue.callers[caller_id] = Caller(
        caller_id,
        queue.queue_id,
        data["number"],
        data["base_score"],
        data["skill_score"],
        data["call_session_id"],
        joined_at=at,
        attempt_started_at=at,
        is_lead=bool(data.get("is_lead")),
    )


def _resumed(queue: Queue, data: Data, at: Instant) -> None:
    caller = queue.callers[data["caller_id"]]
    _uncount(queue, caller)
    caller.move(CallerState.WAITING)
    caller.call_session_id = data["call_session_id"]
    caller.attempt_started_at = caller.resumed_at = at
    caller.attempts += 1
    caller.pointer = caller.abandoned_at = caller.reason = caller.exit_key = None
    caller.is_announcement_broken = False


def _left(queue: Queue, data: Data, at: Instant) -> None:
    caller = queue.callers[data["caller_id"]]
    caller.move(CallerState.ABANDONED)
    caller.abandoned_at = at
    caller.reason = LeavingReason(data["reason"])
    caller.exit_key = data["key"]
    _count(queue, caller, data["waited"], at)


def _removed(queue: Queue, data: Data, at: Instant) -> None:
    del queue.callers[data["caller_id"]]


def _pointer_cleared(queue: Queue, data: Data, at: Instant) -> None:
    queue.callers[data["caller_id"]].pointer = None


def _announcement_failed(queue: Queue, data: Data, at: Instant) -> None:
    queue.callers[data["caller_id"]].is_announcement_broken = True


def _offering(queue: Queue, data: Data, at: Instant) -> None:
    caller = queue.callers[data["caller_id"]]
    place = Place(data["level"], data["position"], data["agent_id"])
    caller.move(CallerState.TRYING)
    caller.offers[data["offer_id"]] = Offer(data["offer_id"], place.agent_id, at, data["ring_seconds"])
    caller.pointer = queue.pointer = place


def _ringing(queue: Queue, data: Data, at: Instant) -> None:
    queue.callers[data["caller_id"]].offers[data["offer_id"]].ringing_at = at


def _answered(queue: Queue, data: Data, at: Instant) -> None:
    queue.callers[data["caller_id"]].offers[data["offer_id"]].is_answered = True


def _connected(queue: Queue, data: Data, at: Instant) -> None:
    caller = queue.callers[data["caller_id"]]
    caller.move(CallerState.ANSWERED)
    caller.offers.clear()
    caller.reason = LeavingReason.ANSWERED
    caller.connected_offer, caller.connected_agent, caller.connected_at = (
        data["offer_id"],
        data["agent_id"],
        at,
    )
    _count(queue, caller, data["waited"], at)
    if not caller.is_lead:
        queue.recent_waits = [*queue.recent_waits, data["waited"]][-RECENT_WAITS:]


def _failed(queue: Queue, data: Data, at: Instant) -> None:
    caller = queue.callers[data["caller_id"]]
    del caller.offers[data["offer_id"]]
    if not caller.offers and caller.state is CallerState.TRYING:
        caller.move(CallerState.WAITING)


def _callback_requested(queue: Queue, data: Data, at: Instant) -> None:
    queue.tickets[data["caller_id"]] = Ticket(data["caller_id"], data["number"], at, at)
    caller = queue.callers.get(data["caller_id"])
    if caller is not None:
        _uncount(queue, caller)
        caller.is_callback = True
        visit = Visit(0.0, LeavingReason.BREAK_OUT, is_callback=True)
        served.count(queue.served, visit, caller.abandoned_at or at, queue.settings)


def _count(queue: Queue, caller: Caller, waited: float, at: Instant) -> None:
    """The visit has ended; that of a callback was counted when it was asked for, that of a lead never is."""
    if not caller.is_callback and not caller.is_lead and caller.reason is not None:
        served.count(queue.served, Visit(waited, caller.reason), at, queue.settings)


def _uncount(queue: Queue, caller: Caller) -> None:
    """The visit of a caller who has left goes on, or becomes a callback."""
    if caller.is_callback or caller.is_lead:
        return
    if caller.reason is not None and caller.abandoned_at is not None:
        visit = Visit(exact(caller.abandoned_at - caller.joined_at), caller.reason)
        served.uncount(queue.served, visit, caller.abandoned_at, queue.settings)


def _callback_dialled(queue: Queue, data: Data, at: Instant) -> None:
    ticket = queue.tickets[data["caller_id"]]
    ticket.state = TicketState.DIALLING
    ticket.agent_id, ticket.dialled_at = data["agent_id"], at
    ticket.tries += 1


def _callback_failed(queue: Queue, data: Data, at: Instant) -> None:
    ticket = queue.tickets[data["caller_id"]]
    ticket.state = TicketState.QUEUED
    ticket.agent_id = ticket.dialled_at = None
    ticket.tries = data["tries"]
    ticket.next_try_at = Instant(data["next_try_at"])


def _callback_closed(queue: Queue, data: Data, at: Instant) -> None:
    del queue.tickets[data["caller_id"]]


_QUEUE_RULES: Mapping[EventType, Callable[[Queue, Data, Instant], None]] = MappingProxyType(
    {
        EventType.QUEUE_EMPTIED: _emptied,
        EventType.QUEUE_STAFFED: _staffed,
        EventType.QUEUE_POINTERS_MOVED: _pointers_moved,
        EventType.QUEUE_MUSIC_FAILED: _music_failed,
        EventType.CALLER_JOINED: _joined,
        EventType.CALLER_RESUMED: _resumed,
        EventType.CALLER_LEFT: _left,
        EventType.CALLER_FINISHED: _removed,
        EventType.CALLER_DISCARDED: _removed,
        EventType.CALLER_POINTER_CLEARED: _pointer_cleared,
        EventType.CALLER_ANNOUNCEMENT_FAILED: _announcement_failed,
        EventType.AGENT_OFFERING: _offering,
        EventType.AGENT_RINGING: _ringing,
        EventType.AGENT_ANSWERED: _answered,
        EventType.AGENT_CONNECTED: _connected,
        EventType.AGENT_FAILED: _failed,
        EventType.CALLBACK_REQUESTED: _callback_requested,
        EventType.CALLBACK_DIALLED: _callback_dialled,
        EventType.CALLBACK_FAILED: _callback_failed,
        EventType.CALLBACK_CLOSED: _callback_closed,
    }
)


# --- streams of agents


def _evolve_agent(state: AccountQueues, agent_id: int, event: Event) -> None:
    agent = state.agents.get(agent_id)
    if event.type is EventType.AGENT_SNAPSHOT:
        state.agents[agent_id] = agent_of_data(event.data["state"])
        state.snapshots[event.stream] = event.seq
    elif event.type is EventType.AGENT_SET:
        settings = AgentSettings.stored(event.data["settings"])
        if agent is None:
            state.agents[agent_id] = Agent(agent_id, settings, status_changed_at=event.at)
        else:
            agent.settings = settings
    elif agent is None:
        return
    elif event.type is EventType.AGENT_REMOVED:
        if agent.engagement is None:
            del state.agents[agent_id]
        else:
            agent.is_removed = True
    elif (rule := _AGENT_RULES.get(event.type)) is not None:
        before = agent.state
        rule(agent, event.data, event.at)
        if agent.state is not before:
            agent.state_changed_at = event.at
        if agent.is_removed and agent.engagement is None:
            del state.agents[agent_id]


def _tier_set(agent: Agent, data: Data, at: Instant) -> None:
    tier = agent.tiers.setdefault(data["queue_id"], Tier(data["queue_id"]))
    tier.level, tier.position = data["level"], data["position"]


def _tier_removed(agent: Agent, data: Data, at: Instant) -> None:
    del agent.tiers[data["queue_id"]]


def _status_changed(agent: Agent, data: Data, at: Instant) -> None:
    status = AgentStatus(data["status"])
    if status is AgentStatus.AVAILABLE and agent.status is not status:
        agent.talk_time, agent.calls_answered, agent.no_answer_count = 0.0, 0, 0
    agent.status, agent.status_reason, agent.status_changed_at = status, data["reason"], at


def _state_changed(agent: Agent, data: Data, at: Instant) -> None:
    if data["afterwards"]:
        agent.parks_afterwards = True
    else:
        agent.move(AgentState(data["state"]))


def _wrap_up_set(agent: Agent, data: Data, at: Instant) -> None:
    agent.wrap_up_until = Instant(data["until"])
    agent.wrap_up_since = at


def _call_started(agent: Agent, data: Data, at: Instant) -> None:
    if not agent.external_calls:
        agent.external_changed_at = at
    agent.external_calls.add(data["call"])


def _call_ended(agent: Agent, data: Data, at: Instant) -> None:
    agent.external_calls.discard(data["call"])
    if not agent.external_calls:
        agent.external_changed_at = at


def _reserved(agent: Agent, data: Data, at: Instant) -> None:
    agent.move(AgentState.RESERVED)
    agent.engagement = Engagement(data["queue_id"], data["caller_id"], None)


def _released(agent: Agent, data: Data, at: Instant) -> None:
    if "seconds" in data:
        agent.calls_answered += 1
        _note_talk(agent, data, at)
    _disengage(agent)


def _offer_started(agent: Agent, data: Data, at: Instant) -> None:
    agent.move(AgentState.RECEIVING)
    agent.engagement = Engagement(data["queue_id"], data["caller_id"], data["offer_id"], data["on_demand"])
    agent.last_offered_call = at
    for tier in agent.tiers.values():
        if tier.queue_id == data["queue_id"]:
            tier.move(TierState.OFFERING)
        elif tier.state is TierState.READY:
            tier.move(TierState.STANDBY)


def _offer_connected(agent: Agent, data: Data, at: Instant) -> None:
    agent.move(AgentState.IN_CALL)
    agent.last_bridge_start = at
    agent.calls_answered += 1
    agent.no_answer_count = 0
    tier = agent.tiers.get(data["queue_id"])
    if tier is not None:
        tier.move(TierState.ACTIVE_INBOUND)


def _offer_ended(agent: Agent, data: Data, at: Instant) -> None:
    outcome = OfferOutcome(data["outcome"])
    agent.last_outcome = outcome.value
    after = TierState.NO_ANSWER if outcome is OfferOutcome.NO_ANSWER else TierState.READY
    if outcome is OfferOutcome.NO_ANSWER:
        agent.no_answer_count += 1
    if data["ready_time"] is not None:
        agent.ready_time = Instant(data["ready_time"])
    _settle_tiers(agent, data["queue_id"], after)
    _disengage(agent)


def _note_talk(agent: Agent, data: Data, at: Instant) -> None:
    agent.last_bridge_end = at
    agent.wrap_up_until = Instant(data["wrap_up_until"])
    agent.wrap_up_since = at
    agent.talk_time = round(agent.talk_time + data["seconds"], 6)


def _queue_call_ended(agent: Agent, data: Data, at: Instant) -> None:
    _note_talk(agent, data, at)
    _settle_tiers(agent, data["queue_id"], TierState.READY)
    if data["state"] == AgentState.IDLE:
        agent.parks_afterwards = True
    _disengage(agent)


def _restarted(agent: Agent, data: Data, at: Instant) -> None:
    """13.3: no leg of the agent is alive."""
    for tier in agent.tiers.values():
        tier.move(TierState.READY)


def _settle_tiers(agent: Agent, queue_id: int, after: TierState) -> None:
    """The tier of the offer or call, and those that stood by (3.4)."""
    for tier in agent.tiers.values():
        if tier.queue_id == queue_id and tier.state in (TierState.OFFERING, TierState.ACTIVE_INBOUND):
            tier.move(after)
        elif tier.state is TierState.STANDBY:
            tier.move(TierState.READY)


def _disengage(agent: Agent) -> None:
    agent.engagement = None
    agent.move(AgentState.IDLE if agent.parks_afterwards else AgentState.WAITING)
    agent.parks_afterwards = False


_AGENT_RULES: Mapping[EventType, Callable[[Agent, Data, Instant], None]] = MappingProxyType(
    {
        EventType.TIER_SET: _tier_set,
        EventType.TIER_REMOVED: _tier_removed,
        EventType.AGENT_STATUS_CHANGED: _status_changed,
        EventType.AGENT_STATE_CHANGED: _state_changed,
        EventType.AGENT_WRAP_UP_SET: _wrap_up_set,
        EventType.AGENT_CALL_STARTED: _call_started,
        EventType.AGENT_CALL_ENDED: _call_ended,
        EventType.AGENT_RESERVED: _reserved,
        EventType.AGENT_RELEASED: _released,
        EventType.OFFER_STARTED: _offer_started,
        EventType.OFFER_CONNECTED: _offer_connected,
        EventType.OFFER_ENDED: _offer_ended,
        EventType.QUEUE_CALL_ENDED: _queue_call_ended,
        EventType.AGENT_RESTARTED: _restarted,
    }
)
