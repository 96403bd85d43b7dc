"""Queue callbacks: a caller hangs up, keeps the place, and is called back.

The rules, which the numbered ones do not have:

- A caller who asks for it leaves with ``break_out``; the record stays, with its id, ``joined_at`` and score, and an open
  ticket.
- One open ticket for each number, over all queues of the account.
- A ticket has its place among the callers of all queues by its score, as if its caller waited. So it is never ahead of
  those who wait longer, and after a failed try it has the same place again.
- When it can be placed, one agent is reserved and the customer is called. Who answers
  is connected; a voice mail counts as an answer. Then the record is resumed, and the reserved agent gets the first offer.
- A customer who is not reached is called again after ``callback_retry_time``, ``callback_tries`` times in all. The agent
  is free at once.
- A customer who calls in has the ticket cancelled; in the same queue the call has the place of the ticket.
"""

from __future__ import annotations

import heapq
from enum import StrEnum

from trunkline.core.errors import Duplicate, InvalidInput, NotFound
from trunkline.events.catalogue import EventType
from trunkline.queues import attempts, offers
from trunkline.queues.account import Queue
from trunkline.queues.agents import Agent
from trunkline.queues.callers import Caller, Ticket, after
from trunkline.queues.decision import QueueDecision
from trunkline.queues.effects import CancelDial, DialCallback, PlayMusic
from trunkline.queues.inputs import CallbackFailure
from trunkline.queues.states import AgentState, LeavingReason, TicketState


class ClosingReason(StrEnum):
    """Why a ticket is not open any more."""

    CONFIRMED = "confirmed"
    """The customer was reached and waits for the agent, as any caller does."""
    CALLED_IN = "called_in"
    CANCELLED = "cancelled"
    NOT_REACHED = "not_reached"
    EXPIRED = "expired"
    QUEUE_REMOVED = "queue_removed"


def request(decision: QueueDecision, caller_id: int, number: str) -> None:
    """A waiting caller leaves and is called back.

    :raises InvalidInput: no number.
    :raises InvalidState: the caller does not wait.
    :raises Duplicate: a callback to this number is open.
    """
    caller = attempts.waiting_caller(decision, caller_id)
    if not number:
        raise InvalidInput("A callback needs a number", field="number", value=number)
    if number in decision.index.ticket_of:
        raise Duplicate("A callback to this number is open", field="number", value=number)
    attempts.leave(decision, caller, LeavingReason.BREAK_OUT)
    decision.emit_for_ticket(caller.queue_id, caller_id, EventType.CALLBACK_REQUESTED, number=number)


def cancel(decision: QueueDecision, number: str) -> None:
    """Cancel the open callback to a number.

    :raises NotFound: there is none.
    """
    found = decision.index.ticket_of.get(number)
    if found is None:
        raise NotFound("There is no open callback to this number", field="number", value=number)
    _close(decision, decision.state.queues[found[0]], found[1], ClosingReason.CANCELLED)


def called_in(decision: QueueDecision, queue: Queue, number: str) -> Caller | None:
    """A customer calls in: open callbacks to the number, and those which were asked for from it, are cancelled.

    :returns: whose place the call takes over, when there was one in the same queue.
    """
    place = None
    for queue_id, caller_id in _tickets_of(decision, number) if number else []:
        _close(decision, decision.state.queues[queue_id], caller_id, ClosingReason.CALLED_IN)
        if queue_id == queue.queue_id:
            place = queue.callers[caller_id]
    return place


def _tickets_of(decision: QueueDecision, number: str) -> list[tuple[int, int]]:
    """Queue and caller of the open callbacks to a number, or of callers from it."""
    to_number = decision.index.ticket_of.get(number)
    from_number = [
        (queue.queue_id, caller_id)
        for queue in decision.state.queues.values()
        for caller_id in sorted(decision.index.abandoned_with(queue.queue_id, number))
        if caller_id in queue.tickets
    ]
    return list(dict.fromkeys([*from_number, *([to_number] if to_number is not None else [])]))


def dial(decision: QueueDecision, queue: Queue, ticket: Ticket, agent: Agent) -> bool:
    """Reserve an agent and call the customer. False: one of them is not free any more."""
    if ticket.state is not TicketState.QUEUED or not decision.index.is_free_for(agent, queue.queue_id):
        return False
    decision.emit_for_agent(
        agent, EventType.AGENT_RESERVED, queue_id=queue.queue_id, caller_id=ticket.caller_id
    )
    decision.emit_for_ticket(
        queue.queue_id, ticket.caller_id, EventType.CALLBACK_DIALLED, agent_id=agent.agent_id
    )
    seconds = queue.settings.callback_ring_time
    decision.do(DialCallback(ticket.caller_id, queue.queue_id, ticket.number, agent.agent_id, seconds))
    return True


def confirmed(decision: QueueDecision, caller_id: int, call_session_id: int) -> bool:
    """The customer was reached and has confirmed: the caller waits at its place, and the reserved agent is called.

    False: the ticket is not open any more, and the call is to be ended.
    """
    found = _ticket(decision, caller_id)
    if found is None or found[1].state is not TicketState.DIALLING:
        decision.do(CancelDial(caller_id))
        return False
    queue, ticket = found
    agent = _reserved(decision, queue, ticket)
    _closed(decision, queue, caller_id, ClosingReason.CONFIRMED)
    caller = queue.callers[caller_id]
    attempts.resume(decision, caller, call_session_id, is_callback=True)
    decision.do(PlayMusic(caller_id, call_session_id, queue.settings.moh_id))
    if agent is not None and not offers.start(decision, caller, agent, is_reserved=True):
        _release(decision, queue, caller_id, agent)
    return True


def failed(decision: QueueDecision, caller_id: int, failure: CallbackFailure) -> bool:
    """The customer was not reached. False: nobody was being called."""
    found = _ticket(decision, caller_id)
    if found is None or found[1].state is not TicketState.DIALLING:
        return False
    _not_reached(decision, *found, failure.value)
    return True


def withdraw_agent(decision: QueueDecision, agent: Agent, *, queue_id: int | None = None) -> None:
    """A reserved agent is not available any more: the customer is still being called, and waits for another one then.

    :param queue_id: only a reservation for this queue.
    """
    engagement = agent.engagement
    if agent.state is AgentState.RESERVED and engagement and queue_id in (None, engagement.queue_id):
        _release(decision, decision.state.queues[engagement.queue_id], engagement.caller_id, agent)


def handle_due(decision: QueueDecision) -> None:
    """What the passing of time does: tickets may be tried again, calls to customers took too long, tickets expire."""
    index, now = decision.index, decision.now
    while index.tickets and index.tickets[0][0] <= now:
        _, queue_id, caller_id = heapq.heappop(index.tickets)
        found = _ticket(decision, caller_id)
        if found is None:
            continue
        queue, ticket = found
        expires = queue.settings.callback_expires_after
        if ticket.state is TicketState.QUEUED:
            if expires and now >= after(ticket.requested_at, expires):
                _close(decision, queue, caller_id, ClosingReason.EXPIRED)
            else:
                index.sync_ticket(queue_id, caller_id, now)
        elif ticket.dialled_at is not None:
            if now >= after(ticket.dialled_at, queue.settings.callback_ring_time):
                decision.do(CancelDial(caller_id))
                _not_reached(decision, queue, ticket, CallbackFailure.NO_ANSWER.value)
            else:
                index.sync_ticket(queue_id, caller_id, now)


def interrupted(decision: QueueDecision, queue: Queue, ticket: Ticket) -> None:
    """After a restart the customer is not being called any more: that is no try (13.2)."""
    agent = _reserved(decision, queue, ticket)
    decision.emit_for_ticket(
        queue.queue_id,
        ticket.caller_id,
        EventType.CALLBACK_FAILED,
        failure="interrupted",
        tries=ticket.tries - 1,
        next_try_at=decision.now,
    )
    if agent is not None:
        _release(decision, queue, ticket.caller_id, agent)


def close_all(decision: QueueDecision, queue: Queue) -> None:
    """The queue is being removed."""
    for caller_id in list(queue.tickets):
        _close(decision, queue, caller_id, ClosingReason.QUEUE_REMOVED)


def _not_reached(decision: QueueDecision, queue: Queue, ticket: Ticket, failure: str) -> None:
    agent = _reserved(decision, queue, ticket)
    decision.emit_for_ticket(
        queue.queue_id,
        ticket.caller_id,
        EventType.CALLBACK_FAILED,
        failure=failure,
        tries=ticket.tries,
        next_try_at=after(decision.now, queue.settings.callback_retry_time),
    )
    if agent is not None:
        _release(decision, queue, ticket.caller_id, agent)
    if ticket.tries >= queue.settings.callback_tries:
        _closed(decision, queue, ticket.caller_id, ClosingReason.NOT_REACHED)


def _close(decision: QueueDecision, queue: Queue, caller_id: int, reason: ClosingReason) -> None:
    ticket = queue.tickets[caller_id]
    agent = _reserved(decision, queue, ticket)
    if ticket.state is TicketState.DIALLING:
        decision.do(CancelDial(caller_id))
    _closed(decision, queue, caller_id, reason)
    if agent is not None:
        _release(decision, queue, caller_id, agent)


def _closed(decision: QueueDecision, queue: Queue, caller_id: int, reason: ClosingReason) -> None:
    decision.emit_for_ticket(queue.queue_id, caller_id, EventType.CALLBACK_CLOSED, reason=reason.value)


def _release(decision: QueueDecision, queue: Queue, caller_id: int, agent: Agent) -> None:
    decision.emit_for_agent(agent, EventType.AGENT_RELEASED, queue_id=queue.queue_id, caller_id=caller_id)


def _reserved(decision: QueueDecision, queue: Queue, ticket: Ticket) -> Agent | None:
    """The agent who is still reserved for a ticket."""
    agent = decision.state.agents.get(ticket.agent_id) if ticket.agent_id is not None else None
    if agent is None or agent.engagement is None or agent.state is not AgentState.RESERVED:
        return None
    is_for_it = agent.engagement.caller_id == ticket.caller_id and agent.engagement.queue_id == queue.queue_id
    return agent if is_for_it else None


def _ticket(decision: QueueDecision, caller_id: int) -> tuple[Queue, Ticket] | None:
    queue_id = decision.index.queue_of.get(caller_id)
    queue = decision.state.queues.get(queue_id) if queue_id is not None else None
    ticket = queue.tickets.get(caller_id) if queue is not None else None
    return (queue, ticket) if queue is not None and ticket is not None else None
