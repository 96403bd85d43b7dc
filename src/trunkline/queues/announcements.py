"""Announcements to waiting callers: when they join, and periodically (10.2); position and expected wait.

When they play follows from the start of the attempt and the settings, so no event is needed for it.
"""

from __future__ import annotations

import heapq
import math

from trunkline.events.catalogue import EventType
from trunkline.queues import overview
from trunkline.queues.account import Queue
from trunkline.queues.callers import Caller
from trunkline.queues.decision import QueueDecision
from trunkline.queues.effects import NOTHING_TO_SAY, PlaceInQueue, PlayAnnouncement, PlayJoinAnnouncement


def joined(decision: QueueDecision, caller: Caller) -> None:
    """Play what a caller hears once after joining."""
    queue = decision.state.queues[caller.queue_id]
    media_id = queue.settings.join_announce
    place = _place(queue, caller, _positions(decision, queue))
    if media_id is not None or place != NOTHING_TO_SAY:
        decision.do(PlayJoinAnnouncement(caller.caller_id, caller.call_session_id, media_id, place))


def play_due(decision: QueueDecision) -> None:
    """Play the announcement to every caller for whom it is time, and set the next time."""
    index, now = decision.index, decision.now
    positions: dict[int, dict[int, int]] = {}
    while index.announcements and index.announcements[0][0] <= now:
        due, caller_id = heapq.heappop(index.announcements)
        if index.next_announcement.get(caller_id) != due:
            continue  # replaced, or the caller has left
        caller = decision.caller(caller_id)
        if caller is None or not caller.is_in_queue:
            continue
        queue = decision.state.queues[caller.queue_id]
        if queue.queue_id not in positions:
            positions[queue.queue_id] = _positions(decision, queue)
        place = _place(queue, caller, positions[queue.queue_id])
        media_id = queue.settings.announce_id
        if (media_id is not None or place != NOTHING_TO_SAY) and not caller.is_being_connected:
            is_playing = caller_id in index.announcing
            index.announcing.add(caller_id)
            decision.do(PlayAnnouncement(caller_id, caller.call_session_id, media_id, is_playing, place))
        index.schedule_announcement(caller.queue_id, caller_id, now)


def expected_minutes(queue: Queue) -> int | None:
    """The expected wait in minutes, rounded up: the mean of the last callers who were connected; None: nobody was yet."""
    waits = queue.recent_waits
    return max(1, math.ceil(sum(waits) / len(waits) / 60)) if waits else None


def ended(decision: QueueDecision, caller_id: int) -> None:
    """It was played to its end."""
    decision.index.announcing.discard(caller_id)


def failed(decision: QueueDecision, caller_id: int) -> bool:
    """It cannot be played: it is not tried again for this caller. False: the caller has gone, or this is known."""
    caller = decision.caller(caller_id)
    decision.index.announcing.discard(caller_id)
    if caller is None or not caller.is_in_queue or caller.is_announcement_broken:
        return False
    media_id = decision.state.queues[caller.queue_id].settings.announce_id
    decision.emit_for_caller(
        caller.queue_id, caller_id, EventType.CALLER_ANNOUNCEMENT_FAILED, media_id=media_id
    )
    decision.index.schedule_announcement(caller.queue_id, caller_id, decision.now)
    return True


def _positions(decision: QueueDecision, queue: Queue) -> dict[int, int]:
    """Position of each waiting caller, 1 is served first; empty when nobody hears it."""
    if not queue.settings.announce_position:
        return {}
    waiting = overview.waiting_list(decision.state, queue.queue_id, decision.now)
    return {one.caller_id: one.position for one in waiting}


def _place(queue: Queue, caller: Caller, positions: dict[int, int]) -> PlaceInQueue:
    minutes = expected_minutes(queue) if queue.settings.announce_wait else None
    return PlaceInQueue(positions.get(caller.caller_id), minutes)
