"""The rules of queues: what each input means. Pure: no I/O, no clock, no randomness of its own.

``decide`` applies the facts of an input first, then what the passing of time does, and then evaluates once, so that a
caller with a better place is never passed over by the order in which facts are applied.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from trunkline.core.clock import Instant
from trunkline.events.catalogue import EventType
from trunkline.queues import (
    agent_commands,
    announcements,
    callbacks,
    configuration,
    evaluation,
    joining,
    limits,
    offers,
    reservations,
    restart,
)
from trunkline.queues import inputs as i
from trunkline.queues.account import AccountQueues
from trunkline.queues.callers import exact
from trunkline.queues.context import QueueContext
from trunkline.queues.decision import QueueDecision
from trunkline.queues.index import Index


class LiveQueues:
    """The queues of an account with the look-ups that the rules need. One for each account, in the process that owns them.

    :param state: new, or from :func:`trunkline.queues.evolution.replay`. After a replay the first input is ``Restarted``.
    """

    def __init__(self, state: AccountQueues) -> None:
        self.state = state
        self.index = Index(state, state.now)


def decide(queues: LiveQueues, given: i.Input, context: QueueContext, at: Instant) -> QueueDecision:
    """Apply one input.

    :param at: of the injected clock (2.1); a time before that of the last input counts as that.
    :raises Refused: a command that is not possible; nothing has changed then.
    """
    now = exact(max(at, queues.state.now))
    decision = QueueDecision(queues.state, queues.index, context, now)
    if _RULES[type(given)](decision, given) is False:
        decision.ignore(given)
    queues.state.now = now
    _time(decision)
    _settle(decision)
    decision.take_snapshots()
    decision.alarm = _alarm(queues.index)
    return decision


def _time(decision: QueueDecision) -> None:
    """What the passing of time does by itself: ring times, rests, callbacks, the wake-ups of queues."""
    index, now = decision.index, decision.now
    while index.ringing and index.ringing[0][0] <= now:
        offers.time_over(decision, heapq.heappop(index.ringing)[1])
    while index.resting and index.resting[0][0] <= now:
        index.sync_agent(heapq.heappop(index.resting)[1], now)
    callbacks.handle_due(decision)
    while index.wakes and index.wakes[0][0] <= now:
        due, queue_id = heapq.heappop(index.wakes)
        if index.wake_of.get(queue_id) == due:
            del index.wake_of[queue_id]
            index.touched.add(queue_id)


def _settle(decision: QueueDecision) -> None:
    """Presence and limits of the queues in which something changed, then the evaluation (2.2)."""
    index = decision.index
    for queue_id in sorted(index.touched):
        queue = decision.state.queues.get(queue_id)
        if queue is None:
            continue
        present = bool(index.views[queue_id].present)
        if present and queue.empty_since is not None:
            decision.emit_for_queue(queue, EventType.QUEUE_STAFFED)
        elif not present and queue.empty_since is None:
            decision.emit_for_queue(queue, EventType.QUEUE_EMPTIED)
        limits.apply(decision, queue)
        limits.discard(decision, queue)
    evaluation.evaluate(decision)
    announcements.play_due(decision)
    for queue_id in index.touched:
        queue = decision.state.queues.get(queue_id)
        due = limits.next_due(queue, index.views[queue_id], decision.now) if queue is not None else None
        if due is None:
            index.wake_of.pop(queue_id, None)
        elif index.wake_of.get(queue_id) != due:
            index.wake_of[queue_id] = due
            heapq.heappush(index.wakes, (due, queue_id))
    index.touched.clear()


def _alarm(index: Index) -> Instant | None:
    """The next moment at which something happens by itself. Stale deadlines may make it too early, never too late."""
    while index.ringing and index.ringing[0][1] not in index.caller_of:
        heapq.heappop(index.ringing)
    while index.wakes and index.wake_of.get(index.wakes[0][1]) != index.wakes[0][0]:
        heapq.heappop(index.wakes)
    while (
        index.announcements
        and index.next_announcement.get(index.announcements[0][1]) != index.announcements[0][0]
    ):
        heapq.heappop(index.announcements)
    heads = (index.ringing, index.resting, index.tickets, index.announcements, index.wakes)
    return min((heap[0][0] for heap in heads if heap), default=None)


def _elapsed(decision: QueueDecision, given: i.Elapsed) -> None:
    """Nothing but time has passed."""


_RULES: Mapping[type, Callable[[QueueDecision, Any], bool | None]] = MappingProxyType(
    {
        i.SetQueue: configuration.set_queue,
        i.RemoveQueue: configuration.remove_queue,
        i.SetAgent: configuration.set_agent,
        i.RemoveAgent: configuration.remove_agent,
        i.SetTier: configuration.set_tier,
        i.RemoveTier: configuration.remove_tier,
        i.SetStatus: agent_commands.set_status,
        i.SetState: agent_commands.set_state,
        i.SetWrapUp: agent_commands.set_wrap_up,
        i.AgentCallStarted: agent_commands.call_started,
        i.AgentCallEnded: agent_commands.call_ended,
        i.JoinQueue: joining.join,
        i.CallerHungUp: lambda decision, given: joining.hung_up(decision, given.caller_id),
        i.CallerTaken: lambda decision, given: joining.taken(decision, given.caller_id),
        i.CallerPressedKey: lambda decision, given: joining.pressed_key(decision, given.caller_id, given.key),
        i.MusicFailed: lambda decision, given: joining.music_failed(decision, given.caller_id),
        i.AnnouncementEnded: lambda decision, given: announcements.ended(decision, given.caller_id),
        i.AnnouncementFailed: lambda decision, given: announcements.failed(decision, given.caller_id),
        i.OfferRinging: lambda decision, given: offers.ringing(decision, given.offer_id),
        i.OfferAnswered: lambda decision, given: offers.answered(decision, given.offer_id),
        i.OfferConnected: lambda decision, given: offers.connected(decision, given.offer_id),
        i.OfferFailed: lambda decision, given: offers.failed(decision, given.offer_id, given.outcome),
        i.AgentLegEnded: lambda decision, given: offers.call_ended(decision, given.offer_id),
        i.RequestCallback: lambda decision, given: callbacks.request(decision, given.caller_id, given.number),
        i.CancelCallback: lambda decision, given: callbacks.cancel(decision, given.number),
        i.CallbackConfirmed: lambda decision, given: callbacks.confirmed(
            decision, given.caller_id, given.call_session_id
        ),
        i.CallbackFailed: lambda decision, given: callbacks.failed(decision, given.caller_id, given.failure),
        i.ReserveAgent: lambda decision, given: reservations.reserve(
            decision, given.queue_id, given.reservation_id, given.without
        ),
        i.ReleaseAgent: lambda decision, given: reservations.release(
            decision, given.reservation_id, given.talked
        ),
        i.Elapsed: _elapsed,
        i.Restarted: restart.restarted,
    }
)
"""What each input does; False: it had no meaning, because of a race."""
