"""A call joins a queue; what the customer does there (sections 10 and 11)."""

from __future__ import annotations

from trunkline.core.errors import InvalidInput, InvalidState
from trunkline.events.catalogue import EventType
from trunkline.queues import announcements, callbacks, offers, reservations
from trunkline.queues.attempts import leave, resume, waiting_caller
from trunkline.queues.callers import Caller, after, base_score, exact
from trunkline.queues.decision import QueueDecision
from trunkline.queues.effects import PlayMusic
from trunkline.queues.inputs import JoinQueue
from trunkline.queues.settings import KEYS
from trunkline.queues.states import CallerState, LeavingReason


def join(decision: QueueDecision, given: JoinQueue) -> None:
    """A call joins a queue as a new caller, or takes over a place (11.3, or the place of an open callback).

    :raises NotFound: there is no such queue.
    :raises InvalidInput: the call was answered later than it joins (10.1).
    :raises InvalidState: the call is in a queue.
    """
    queue = decision.state.queue(given.queue_id)
    if exact(given.answered_at) > decision.now:
        raise InvalidInput(
            "A call is answered before it joins a queue", field="answered_at", value=given.answered_at
        )
    if given.call_session_id in decision.index.caller_of_call:
        raise InvalidState("This call is in a queue", field="call_session_id", value=given.call_session_id)
    place = callbacks.called_in(decision, queue, given.number) or _resumable(decision, given)
    if place is not None:
        decision.caller_id = place.caller_id
        resume(decision, place, given.call_session_id)
    else:
        caller_id = decision.caller_id = decision.context.next_id()
        settings = queue.settings
        decision.emit_for_caller(
            queue.queue_id,
            caller_id,
            EventType.CALLER_JOINED,
            call_session_id=given.call_session_id,
            number=given.number,
            base_score=base_score(
                given.base_score, settings.time_base_score, exact(given.answered_at), decision.now
            ),
            skill_score=settings.skill_score,
            waiting=decision.waiting(queue.queue_id) + 1,
            **({"is_lead": True} if given.is_lead else {}),
        )
        decision.index.schedule_announcement(queue.queue_id, caller_id, decision.now)
    caller = queue.callers[decision.caller_id]
    if given.is_over:
        leave(decision, caller, LeavingReason.HANGUP)
        return
    announcements.joined(decision, caller)
    decision.do(PlayMusic(caller.caller_id, caller.call_session_id, queue.settings.moh_id))
    reservations.take(decision, caller)


def _resumable(decision: QueueDecision, given: JoinQueue) -> Caller | None:
    """The most recently abandoned record that a call may take over (11.2 to 11.4)."""
    queue = decision.state.queues[given.queue_id]
    if not queue.settings.abandoned_resume_allowed or not given.number:
        return None
    found = [
        caller
        for caller_id in decision.index.abandoned_with(queue.queue_id, given.number)
        if (caller := queue.callers[caller_id]).abandoned_at is not None
        and decision.now <= after(caller.abandoned_at, queue.settings.discard_abandoned_after)
    ]
    return max(found, key=lambda one: (one.abandoned_at, one.caller_id), default=None)


def hung_up(decision: QueueDecision, caller_id: int) -> bool:
    """The caller's call has ended. False: the caller was not there any more."""
    caller = decision.caller(caller_id)
    if caller is None or caller.state is CallerState.ABANDONED:
        return False
    if caller.state is CallerState.ANSWERED:
        offers.finish(decision, caller, "caller")
    else:
        leave(decision, caller, LeavingReason.HANGUP)
    return True


def taken(decision: QueueDecision, caller_id: int) -> None:
    """A transfer or a command takes a caller out (``break_out``).

    :raises InvalidState: the caller is not waiting.
    """
    leave(decision, waiting_caller(decision, caller_id), LeavingReason.BREAK_OUT)


def pressed_key(decision: QueueDecision, caller_id: int, key: str) -> bool:
    """Exit keys (10.4). False: the caller is not waiting, is being connected, or the key means nothing.

    :raises InvalidInput: there is no such key.
    """
    if key not in KEYS:
        raise InvalidInput("A key is one of 0 to 9, * and #", field="key", value=key)
    caller = decision.caller(caller_id)
    if caller is None or not caller.is_in_queue or caller.is_being_connected:
        return False
    if key not in decision.state.queues[caller.queue_id].settings.exit_keys:
        return False
    leave(decision, caller, LeavingReason.EXIT_KEY, key=key)
    return True


def music_failed(decision: QueueDecision, caller_id: int) -> bool:
    """The caller hears silence; that is reported once until the settings change (10.1). False: nobody waits."""
    caller = decision.caller(caller_id)
    if caller is None:
        return False
    queue = decision.state.queues[caller.queue_id]
    if not queue.is_music_broken:
        decision.emit_for_queue(queue, EventType.QUEUE_MUSIC_FAILED, moh_id=queue.settings.moh_id)
    return True
