"""How long a caller waits at most, and for how long an abandoned one is kept (sections 9 and 11.2)."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator

from trunkline.core.clock import Instant
from trunkline.events.catalogue import EventType
from trunkline.queues import attempts
from trunkline.queues.account import Queue
from trunkline.queues.callers import MICROSECONDS, NEVER, Caller, after, exact, microseconds
from trunkline.queues.decision import QueueDecision
from trunkline.queues.index import QueueView
from trunkline.queues.states import CallerState, LeavingReason

_JUST_AFTER = 1 / MICROSECONDS


def timeout_at(queue: Queue, caller: Caller) -> Instant | None:
    """When 9.1 applies to a caller; None: never."""
    seconds = queue.settings.max_wait_time
    return after(caller.attempt_started_at, seconds) if seconds else None


def no_agent_timeout_at(queue: Queue, caller: Caller) -> Instant | None:
    """When 9.3 applies to a caller if no agent turns up before; None: an agent is present, or never."""
    empty = queue.settings.max_wait_time_with_no_agent
    if not empty or queue.empty_since is None:
        return None
    grace = queue.settings.max_wait_time_with_no_agent_time_reached
    least = after(caller.attempt_started_at, empty + grace) if grace else caller.attempt_started_at
    return least if queue.empty_since == NEVER else max(after(queue.empty_since, empty), least)


def limit_of(queue: Queue, caller: Caller) -> tuple[Instant, LeavingReason] | None:
    """The first limit of a caller; of two at the same time the timeout (9.7)."""
    timeout, no_agent = timeout_at(queue, caller), no_agent_timeout_at(queue, caller)
    if timeout is not None and (no_agent is None or timeout <= no_agent):
        return timeout, LeavingReason.TIMEOUT
    return (no_agent, LeavingReason.NO_AGENT_TIMEOUT) if no_agent is not None else None


def is_over(queue: Queue, caller: Caller, now: Instant) -> bool:
    """Whether a caller gets no new offers: its limit was reached while an offer was running (9.1)."""
    limit = limit_of(queue, caller)
    return limit is not None and now >= limit[0]


def apply(decision: QueueDecision, queue: Queue) -> None:
    """Callers whose limit is reached leave, except while an offer rings for them."""
    over: list[tuple[Caller, LeavingReason]] = []
    for caller, due, reason in _by_limit(queue, decision.view(queue.queue_id)):
        if due > decision.now:
            break
        if not caller.offers:
            over.append((caller, reason))
    for caller, reason in over:
        attempts.leave(decision, caller, reason)


def discard(decision: QueueDecision, queue: Queue) -> None:
    """Remove abandoned callers that were kept long enough (11.2). One with an open callback is kept."""
    abandoned = decision.view(queue.queue_id).abandoned
    while abandoned:
        at, caller_id = abandoned[0]
        is_current = _is_abandoned_since(queue, caller_id, at)
        if is_current and decision.now <= after(at, queue.settings.discard_abandoned_after):
            return
        heapq.heappop(abandoned)
        if is_current:
            decision.emit_for_caller(queue.queue_id, caller_id, EventType.CALLER_DISCARDED)


def next_due(queue: Queue, view: QueueView, now: Instant) -> Instant | None:
    """When something happens in a queue by the passing of time, later than now: a limit, the end of a record, or a level
    that opens for a caller and has a free agent (2.2)."""
    found: list[Instant] = []
    for caller, due, _ in _by_limit(queue, view):
        if due > now:
            found.append(due)
            break
        if caller.state is CallerState.WAITING:
            found.append(now)
            break
    while view.abandoned and not _is_abandoned_since(queue, view.abandoned[0][1], view.abandoned[0][0]):
        heapq.heappop(view.abandoned)
    if view.abandoned:
        found.append(exact(after(view.abandoned[0][0], queue.settings.discard_abandoned_after) + _JUST_AFTER))
    if queue.settings.tier_rules_apply and view.joined:
        now_us = microseconds(now)
        for opening in view.openings or ():
            if opening.seconds and opening.level in view.free:
                waiting_us = opening.seconds * MICROSECONDS
                first = bisect_right(view.joined, (now_us - waiting_us, MICROSECONDS**3))
                if first < len(view.joined):
                    found.append(exact((view.joined[first][0] + waiting_us) / MICROSECONDS))
    return min(found, default=None)


def _by_limit(queue: Queue, view: QueueView) -> Iterator[tuple[Caller, Instant, LeavingReason]]:
    """Callers that have a limit, the first limit at the beginning: all of a queue have the same settings, so it is the one
    whose attempt began first."""
    for caller_id in view.attempts:
        caller = queue.callers[caller_id]
        limit = limit_of(queue, caller)
        if limit is None:
            return
        yield caller, *limit


def _is_abandoned_since(queue: Queue, caller_id: int, at: Instant) -> bool:
    caller = queue.callers.get(caller_id)
    return caller is not None and caller.abandoned_at == at and caller_id not in queue.tickets
