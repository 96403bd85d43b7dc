"""What holds after every input: section 14, and the look-ups of the product compared with new ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import orjson

from trunkline.events.catalogue import Event, EventType
from trunkline.queues.account import AccountQueues
from trunkline.queues.evolution import replay
from trunkline.queues.index import Index
from trunkline.queues.rules import LiveQueues
from trunkline.queues.settings import Strategy
from trunkline.queues.states import AgentState, CallerState, TierState


def check_state(state: AccountQueues, live_calls: set[int]) -> None:
    """Invariants 1, 5 and 6."""
    engaged: Counter[int] = Counter()
    for queue in state.queues.values():
        calls: Counter[int] = Counter()
        for caller in queue.callers.values():
            for offer in caller.offers.values():
                engaged[offer.agent_id] += 1
                engagement = state.agents[offer.agent_id].engagement
                assert engagement is not None, "14.1: the agent has no mark of the offer"
                assert (engagement.offer_id, engagement.caller_id) == (offer.offer_id, caller.caller_id)
            if caller.state is CallerState.ANSWERED:
                assert caller.connected_agent is not None
                engaged[caller.connected_agent] += 1
            assert (caller.state is CallerState.TRYING) == bool(caller.offers)
            if caller.is_in_queue:
                assert caller.call_session_id in live_calls, "14.6: a waiting caller without a call"
                calls[caller.call_session_id] += 1
        assert not calls or max(calls.values()) == 1, "one call waits twice"
        for ticket in queue.tickets.values():
            assert queue.callers[ticket.caller_id].state is CallerState.ABANDONED
    assert not engaged or max(engaged.values()) == 1, f"14.1: {engaged}"
    for agent in state.agents.values():
        assert (agent.engagement is not None) == agent.state.is_engaged, "14.1"
        for tier in agent.tiers.values():
            if tier.state is TierState.OFFERING:
                assert agent.state is AgentState.RECEIVING, "14.5"
            if tier.state is TierState.ACTIVE_INBOUND:
                assert agent.state is AgentState.IN_CALL, "14.5"
            if tier.state in (TierState.OFFERING, TierState.ACTIVE_INBOUND):
                assert agent.engagement is not None
                assert agent.engagement.queue_id == tier.queue_id, "14.5"
            if tier.state is TierState.STANDBY:
                assert agent.engagement is not None, "3.4"
                assert agent.engagement.queue_id != tier.queue_id, "3.4"


def check_offers(state: AccountQueues, strategies: dict[int, Strategy]) -> None:
    """Invariant 2: with a strategy that rings one agent, a caller never has two offers that it started.

    :param strategies: of the queue when each offer started.
    """
    for queue in state.queues.values():
        for caller in queue.callers.values():
            single = [one for one in caller.offers if strategies[one] is not Strategy.RING_ALL]
            assert len(single) <= 1, "14.2"
            if single and queue.settings.strategy is not Strategy.RING_ALL:
                assert single[0] == min(caller.offers), "14.2: a second offer was added to a running one"


def check_ends(events: Iterable[Event], state: AccountQueues) -> None:
    """Invariant 4: each offer has one outcome and each attempt of a caller one reason, or it is still going on."""
    offers: dict[int, int] = {}
    attempts: dict[tuple[int, int], int] = {}
    attempt_of: dict[int, int] = {}
    for event in events:
        data = event.data
        match event.type:
            case EventType.AGENT_OFFERING:
                offers[data["offer_id"]] = 0
            case EventType.AGENT_CONNECTED:
                offers[data["offer_id"]] += 1
                attempts[data["caller_id"], attempt_of[data["caller_id"]]] += 1
            case EventType.AGENT_FAILED:
                offers[data["offer_id"]] += 1
            case EventType.CALLER_JOINED | EventType.CALLER_RESUMED:
                attempt_of[data["caller_id"]] = data.get("attempt", 1)
                attempts[data["caller_id"], attempt_of[data["caller_id"]]] = 0
            case EventType.CALLER_LEFT:
                attempts[data["caller_id"], attempt_of[data["caller_id"]]] += 1
    running = {
        offer
        for queue in state.queues.values()
        for caller in queue.callers.values()
        for offer in caller.offers
    }
    in_queue = {
        (caller.caller_id, attempt_of[caller.caller_id])
        for queue in state.queues.values()
        for caller in queue.waiting()
    }
    assert {one for one, ends in offers.items() if ends == 0} == running, "14.4"
    assert {one for one, ends in attempts.items() if ends == 0} == in_queue, "14.4"
    assert all(ends <= 1 for ends in (*offers.values(), *attempts.values())), "14.4"


def check_index(queues: LiveQueues) -> None:
    """The look-ups are those of an index that was made anew."""
    live, new = queues.index, Index(queues.state, queues.state.now)
    assert live.views.keys() == new.views.keys()
    for queue_id, view in live.views.items():
        fresh = new.views[queue_id]
        for name in ("free", "line", "joined", "pointed", "present", "openings"):
            assert getattr(view, name) == getattr(fresh, name), name
        callers = queues.state.queues[queue_id].callers
        assert view.attempts.keys() == fresh.attempts.keys()
        started = [callers[one].attempt_started_at for one in view.attempts]
        assert started == sorted(started), "the order of attempts"
        tickets = queues.state.queues[queue_id].tickets
        assert {one for one in fresh.abandoned if one[1] not in tickets} <= set(view.abandoned)
    for name in ("caller_of", "agent_of", "queue_of", "ticket_of", "caller_of_call"):
        assert getattr(live, name) == getattr(new, name), name
    assert live.next_announcement == new.next_announcement
    assert not live.touched


def interleaved(events: Iterable[Event], order: Iterable[int]) -> list[Event]:
    """The same events, as JSON stores them, with the streams in another order; each stream in its own.

    :param order: numbers that choose the next stream.
    """
    streams: dict[str, list[Event]] = {}
    for event in events:
        data = orjson.loads(orjson.dumps(event.data))
        streams.setdefault(event.stream, []).append(
            Event(event.account_id, event.stream, event.seq, event.type, event.at, data)
        )
    found = []
    for number in order:
        if not streams:
            break
        names = sorted(streams)
        name = names[number % len(names)]
        found.append(streams[name].pop(0))
        if not streams[name]:
            del streams[name]
    for rest in streams.values():
        found += rest
    return found


def check_replay(state: AccountQueues, events: Iterable[Event], order: Iterable[int]) -> None:
    """The state from the stored events is the live one, whatever the order of the streams."""
    stored = interleaved(events, order)
    assert replay(state.account_id, stored) == state
    recent = [one for one in stored if one.seq >= state.snapshots.get(one.stream, 0)]
    assert replay(state.account_id, recent) == state, "from the last snapshots on"
