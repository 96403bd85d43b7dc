"""Attempts of a caller: a call leaves the queue, and a later one takes over its place (section 11)."""

from __future__ import annotations

from trunkline.core.errors import InvalidState
from trunkline.events.catalogue import EventType
from trunkline.queues import offers
from trunkline.queues.callers import Caller
from trunkline.queues.decision import QueueDecision
from trunkline.queues.effects import LeaveQueue
from trunkline.queues.states import LeavingReason

DESTINATION_REASONS = frozenset({LeavingReason.TIMEOUT, LeavingReason.NO_AGENT_TIMEOUT})
"""Reasons after which the call goes on to the timeout destination (9.6)."""

OWN_MOVES = frozenset({LeavingReason.HANGUP})
"""Reasons for which the switch has nothing to do: the call is over."""


def resume(
    decision: QueueDecision, caller: Caller, call_session_id: int, *, is_callback: bool = False
) -> None:
    """A new call takes over the record of an abandoned one, with its place (11.3)."""
    decision.emit_for_caller(
        caller.queue_id,
        caller.caller_id,
        EventType.CALLER_RESUMED,
        call_session_id=call_session_id,
        attempt=caller.attempts + 1,
        is_callback=is_callback,
        waiting=decision.waiting(caller.queue_id) + 1,
    )
    decision.index.schedule_announcement(caller.queue_id, caller.caller_id, decision.now)


def leave(decision: QueueDecision, caller: Caller, reason: LeavingReason, *, key: str | None = None) -> None:
    """A caller leaves without having been connected (11.1): its offers are cancelled."""
    queue = decision.state.queues[caller.queue_id]
    destination = None
    if reason in DESTINATION_REASONS:
        destination = queue.settings.timeout_destination
    elif reason is LeavingReason.EXIT_KEY and key is not None:
        destination = queue.settings.exit_keys.get(key)
    decision.emit_for_caller(
        queue.queue_id,
        caller.caller_id,
        EventType.CALLER_LEFT,
        call_session_id=caller.call_session_id,
        reason=reason.value,
        key=key,
        destination=destination,
        waited=caller.waited(decision.now),
        attempts=caller.attempts,
        waiting=decision.waiting(queue.queue_id) - 1,
    )
    offers.cancel_of_caller(decision, caller)
    if reason not in OWN_MOVES:
        decision.do(LeaveQueue(caller.caller_id, caller.call_session_id, reason.value, destination, key))


def waiting_caller(decision: QueueDecision, caller_id: int) -> Caller:
    """A caller in Waiting or Trying.

    :raises InvalidState: there is none of this id.
    """
    caller = decision.caller(caller_id)
    if caller is None or not caller.is_in_queue:
        raise InvalidState("This caller does not wait in a queue", field="caller_id", value=caller_id)
    return caller
