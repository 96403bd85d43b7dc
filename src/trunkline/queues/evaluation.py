"""The evaluation: who is offered to whom (2.3, 2.4).

All callers of all queues are tried, best score first. Only pairs that can have become possible are looked at: a queue in
which nothing changed since the last evaluation has no caller who could be placed, and one without a free agent has none
either. No agent becomes free during an evaluation, since all facts of an input are applied before it; so the restart of
2.4 never needs to happen.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from trunkline.core.clock import Instant
from trunkline.events.catalogue import EventType
from trunkline.queues import callbacks, limits, offers
from trunkline.queues.account import Queue
from trunkline.queues.callers import MICROSECONDS, Caller, Rank, microseconds
from trunkline.queues.decision import QueueDecision
from trunkline.queues.index import QueueView
from trunkline.queues.order import in_order
from trunkline.queues.settings import Strategy
from trunkline.queues.strategies import FreeLevel, choose, choose_all


def evaluate(decision: QueueDecision) -> None:
    """Start all offers that are possible now."""
    queue_ids = sorted(decision.index.touched)
    heads: list[tuple[Rank, int, Iterator[Rank]]] = []
    for queue_id in queue_ids:
        view = decision.index.views.get(queue_id)
        if view is not None and _may_place(view, decision.now):
            ranks = in_order(tuple(view.line), decision.now)
            heads.append((next(ranks), queue_id, ranks))
    heapq.heapify(heads)
    while heads:
        rank, queue_id, ranks = heads[0]
        view = decision.view(queue_id)
        if not _may_place(view, decision.now):
            heapq.heappop(heads)
            continue
        _place(decision, decision.state.queues[queue_id], view, rank)
        following = next(ranks, None)
        if following is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (following, queue_id, ranks))
    for queue_id in queue_ids:
        _clear_pointers(decision, queue_id)


def _may_place(view: QueueView, now: Instant) -> bool:
    """Whether somebody in the line has waited long enough for the lowest level that has a free agent."""
    if not view.line or not view.free:
        return False
    first = view.first_free()
    if first is None:
        return False
    return not first.seconds or microseconds(now) - view.joined[0][0] >= first.seconds * MICROSECONDS


def _place(decision: QueueDecision, queue: Queue, view: QueueView, rank: Rank) -> None:
    """Try to place one caller, or the callback of one."""
    waited = (microseconds(decision.now) - rank.joined_us) / MICROSECONDS
    levels = view.open_free(waited)
    if not levels:
        return
    ticket = queue.tickets.get(rank.caller_id)
    caller = queue.callers[rank.caller_id]
    if ticket is not None:
        agent_id = _choose(decision, queue, levels, None)
        if agent_id is not None:
            callbacks.dial(decision, queue, ticket, decision.state.agents[agent_id])
    elif queue.settings.strategy is Strategy.RING_ALL:
        if not caller.is_being_connected and not (
            caller.offers and limits.is_over(queue, caller, decision.now)
        ):
            for agent_id in choose_all(levels):
                offers.start(decision, caller, decision.state.agents[agent_id])
    else:
        agent_id = _choose(decision, queue, levels, caller)
        if agent_id is not None:
            offers.start(decision, caller, decision.state.agents[agent_id])


def _choose(
    decision: QueueDecision, queue: Queue, levels: list[FreeLevel], caller: Caller | None
) -> int | None:
    """The next agent; a caller whom nobody after its pointer can serve starts again from the top (6.3)."""
    strategy, random = queue.settings.strategy, decision.context.random
    pointer = caller.pointer if caller is not None else None
    agent_id = choose(strategy, levels, pointer, queue.pointer, random)
    if agent_id is None and pointer is not None:
        agent_id = choose(strategy, levels, None, queue.pointer, random)
    return agent_id


def _clear_pointers(decision: QueueDecision, queue_id: int) -> None:
    """Callers of ``top-down`` who are still Waiting had nobody after their pointer: it is emptied (6.3)."""
    queue = decision.state.queues.get(queue_id)
    if queue is not None and queue.settings.strategy is Strategy.TOP_DOWN:
        for caller_id in sorted(decision.view(queue_id).pointed):
            decision.emit_for_caller(queue_id, caller_id, EventType.CALLER_POINTER_CLEARED)
