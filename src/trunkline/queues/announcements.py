"""The periodic announcement to waiting callers (10.2).

When it plays follows from the start of the attempt and the settings, so no event is needed for it.
"""

from __future__ import annotations

import heapq

from trunkline.events.catalogue import EventType
from trunkline.queues.decision import Decision
from trunkline.queues.effects import PlayAnnouncement


def play_due(decision: Decision) -> None:
    """Play the announcement to every caller for whom it is time, and set the next time."""
    index, now = decision.index, decision.now
    while index.announcements and index.announcements[0][0] <= now:
        due, caller_id = heapq.heappop(index.announcements)
        if index.next_announcement.get(caller_id) != due:
            continue  # replaced, or the caller has left
        caller = decision.caller(caller_id)
        if caller is None or not caller.is_in_queue:
            continue
        settings = decision.state.queues[caller.queue_id].settings
        if settings.announce_id is not None and not caller.is_being_connected:
            is_playing = caller_id in index.announcing
            index.announcing.add(caller_id)
            decision.do(PlayAnnouncement(caller_id, caller.call_session_id, settings.announce_id, is_playing))
        index.schedule_announcement(caller.queue_id, caller_id, now)


def ended(decision: Decision, caller_id: int) -> None:
    """It was played to its end."""
    decision.index.announcing.discard(caller_id)


def failed(decision: Decision, caller_id: int) -> bool:
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
