"""What the rules look up: who is free in which queue, who waits in which order, which deadline is next.

Derived from :class:`~trunkline.queues.account.AccountQueues` and kept up to date with every event; a restarted process
builds it anew. It decides nothing.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from trunkline.core.clock import Instant
from trunkline.queues.account import AccountQueues, Queue
from trunkline.queues.agents import Agent
from trunkline.queues.callers import Ticket, after, microseconds
from trunkline.queues.order import LineKey, line_key
from trunkline.queues.settings import Strategy
from trunkline.queues.states import CallerState, TicketState, TierState
from trunkline.queues.strategies import KEYS, FreeLevel, Key
from trunkline.queues.tiers import Opening, openings


@dataclass(slots=True)
class QueueView:
    """One queue, as the evaluation needs it.

    :ivar free: sorted keys of the agents who may be offered a call of this queue now, by level (5.1 to 5.6).
    :ivar line: callers and callbacks to place, in the order of :mod:`trunkline.queues.order`.
    :ivar joined: the same by the time of joining: microseconds and id.
    :ivar attempts: callers in Waiting and Trying, the one whose call joined first at the beginning.
    :ivar abandoned: ids by the time they were abandoned, perhaps stale.
    :ivar pointed: callers in Waiting who have a pointer.
    :ivar present: number of present agents by level.
    """

    free: dict[int, list[Key]] = field(default_factory=dict)
    line: list[LineKey] = field(default_factory=list)
    joined: list[tuple[int, int]] = field(default_factory=list)
    attempts: dict[int, None] = field(default_factory=dict)
    abandoned: list[tuple[Instant, int]] = field(default_factory=list)
    pointed: set[int] = field(default_factory=set)
    present: dict[int, int] = field(default_factory=dict)
    openings: list[Opening] | None = None

    def open_free(self, waited: float) -> list[FreeLevel]:
        """The open levels with free agents for a caller who has waited so many seconds, the lowest first."""
        return [
            FreeLevel(one.level, self.free[one.level])
            for one in self.openings or ()
            if waited >= one.seconds and one.level in self.free
        ]

    def first_free(self) -> Opening | None:
        """The opening of the lowest level that has a free agent."""
        return next((one for one in self.openings or () if one.level in self.free), None)


@dataclass(frozen=True, slots=True)
class _Membership:
    """What the index has of one agent in one queue."""

    level: int
    is_present: bool
    key: Key | None


class Index:
    """All look-ups of one account.

    :ivar caller_of: queue and caller, by the id of an offer in progress.
    :ivar agent_of: agent, by the id of an offer in progress or of a connected one.
    :ivar queue_of: queue, by the id of a caller.
    :ivar caller_of_call: caller in Waiting, Trying or Answered, by the id of its call session.
    :ivar ticket_of: queue and caller of the open callback to a number.
    :ivar touched: queues in which something changed since they were last evaluated.
    :ivar resting: agents by the end of their rest; like the other heaps of deadlines it may have stale entries.
    :ivar ringing: offers by the end of their ring time.
    :ivar wakes: queues by the next moment at which something happens in them; ``wake_of`` has the valid ones.
    :ivar announcing: callers to whom the announcement is being played.
    """

    def __init__(self, state: AccountQueues, now: Instant) -> None:
        self._state = state
        self.views: dict[int, QueueView] = {}
        self.caller_of: dict[int, tuple[int, int]] = {}
        self.agent_of: dict[int, int] = {}
        self.queue_of: dict[int, int] = {}
        self.caller_of_call: dict[int, int] = {}
        self.ticket_of: dict[str, tuple[int, int]] = {}
        self.touched: set[int] = set()
        self.resting: list[tuple[Instant, int]] = []
        self.ringing: list[tuple[Instant, int]] = []
        self.tickets: list[tuple[Instant, int, int]] = []
        self.announcements: list[tuple[Instant, int]] = []
        self.wakes: list[tuple[Instant, int]] = []
        self.wake_of: dict[int, Instant] = {}
        self.next_announcement: dict[int, Instant] = {}
        self.announcing: set[int] = set()
        self._members: dict[int, dict[int, _Membership]] = {}
        self._lines: dict[int, tuple[int, LineKey]] = {}
        self._abandoned: dict[tuple[int, str], set[int]] = {}
        self._abandoned_key: dict[int, tuple[int, str]] = {}
        self._call_of: dict[int, int] = {}
        self.views = {queue_id: QueueView() for queue_id in state.queues}
        for queue_id in state.queues:
            self.sync_queue(queue_id, now)
        for agent_id in state.agents:
            self.sync_agent(agent_id, now)

    # --- queues

    def sync_queue(self, queue_id: int, now: Instant) -> None:
        """A queue was created, changed or removed."""
        queue = self._state.queues.get(queue_id)
        self.touched.add(queue_id)
        if queue is None:
            if self.views.pop(queue_id, None) is not None:
                self._forget_queue(queue_id)
            return
        view = self.views.setdefault(queue_id, QueueView())
        self._forget_free(queue_id, view)  # the strategy may have changed, and with it the keys
        for agent in self._state.members(queue_id):
            self.sync_agent(agent.agent_id, now)
        for caller_id in sorted(queue.callers, key=lambda one: queue.callers[one].attempt_started_at):
            self.sync_caller(queue_id, caller_id)
            self.schedule_announcement(queue_id, caller_id, now)
            for offer_id in queue.callers[caller_id].offers:
                self.sync_offer(queue_id, caller_id, offer_id)
        for ticket in queue.tickets.values():
            self.sync_ticket(queue_id, ticket.caller_id, now)
        view.openings = openings(queue.settings, view.present)

    def _forget_free(self, queue_id: int, view: QueueView) -> None:
        view.free.clear()
        for memberships in self._members.values():
            old = memberships.get(queue_id)
            if old is not None and old.key is not None:
                memberships[queue_id] = _Membership(old.level, old.is_present, None)

    def _forget_queue(self, queue_id: int) -> None:
        for caller_id in [one for one, of in self.queue_of.items() if of == queue_id]:
            del self.queue_of[caller_id]
            self._set_call(caller_id, None)
            self._lines.pop(caller_id, None)
            self.next_announcement.pop(caller_id, None)
            self.announcing.discard(caller_id)
        for number in [one for one, (of, _) in self.ticket_of.items() if of == queue_id]:
            del self.ticket_of[number]
        for caller_id in [one for one, of in self._abandoned_key.items() if of[0] == queue_id]:
            self._abandoned.pop(self._abandoned_key.pop(caller_id), None)

    # --- callers

    def sync_caller(self, queue_id: int, caller_id: int) -> None:
        """A caller of a queue has joined, changed or gone."""
        queue, view = self._state.queues[queue_id], self.views[queue_id]
        caller = queue.callers.get(caller_id)
        self.touched.add(queue_id)
        if caller is None:
            self._out_of_line(caller_id)
            view.attempts.pop(caller_id, None)
            view.pointed.discard(caller_id)
            self._set_abandoned(queue, caller_id, None)
            self.queue_of.pop(caller_id, None)
            self._set_call(caller_id, None)
            self.next_announcement.pop(caller_id, None)
            self.announcing.discard(caller_id)
            return
        self.queue_of[caller_id] = queue_id
        has_call = caller.state is not CallerState.ABANDONED
        self._set_call(caller_id, caller.call_session_id if has_call else None)
        if caller.is_in_queue:
            view.attempts.setdefault(caller_id)
        else:
            view.attempts.pop(caller_id, None)
            self.next_announcement.pop(caller_id, None)
            self.announcing.discard(caller_id)
        is_trying = caller.state is CallerState.TRYING
        if caller.state is CallerState.WAITING or (
            is_trying and queue.settings.strategy is Strategy.RING_ALL
        ):
            self._into_line(queue_id, line_key(caller))
        elif caller_id not in queue.tickets:
            self._out_of_line(caller_id)
        if caller.state is CallerState.WAITING and caller.pointer is not None:
            view.pointed.add(caller_id)
        else:
            view.pointed.discard(caller_id)
        self._set_abandoned(queue, caller_id, caller.abandoned_at)

    def sync_offer(self, queue_id: int, caller_id: int, offer_id: int) -> None:
        """An offer has started, was answered or has ended."""
        queue = self._state.queues.get(queue_id)
        caller = queue.callers.get(caller_id) if queue is not None else None
        offer = caller.offers.get(offer_id) if caller is not None else None
        if offer is None:
            self.caller_of.pop(offer_id, None)
        else:
            self.caller_of[offer_id] = queue_id, caller_id
            if not offer.is_answered:
                heapq.heappush(self.ringing, (offer.deadline, offer_id))

    def abandoned_with(self, queue_id: int, number: str) -> Iterator[int]:
        """Ids of the abandoned callers of a number in a queue."""
        return iter(tuple(self._abandoned.get((queue_id, number), ())))

    def _set_call(self, caller_id: int, call_session_id: int | None) -> None:
        before = self._call_of.pop(caller_id, None)
        if before is not None and self.caller_of_call.get(before) == caller_id:
            del self.caller_of_call[before]
        if call_session_id is not None:
            self._call_of[caller_id] = call_session_id
            self.caller_of_call[call_session_id] = caller_id

    def _set_abandoned(self, queue: Queue, caller_id: int, at: Instant | None) -> None:
        key = self._abandoned_key.get(caller_id)
        if at is None:
            if key is not None:
                del self._abandoned_key[caller_id]
                self._abandoned[key].discard(caller_id)
                if not self._abandoned[key]:
                    del self._abandoned[key]
        elif key is None:
            key = queue.queue_id, queue.callers[caller_id].number
            self._abandoned_key[caller_id] = key
            self._abandoned.setdefault(key, set()).add(caller_id)
            heapq.heappush(self.views[queue.queue_id].abandoned, (at, caller_id))

    def _into_line(self, queue_id: int, key: LineKey) -> None:
        if key[-1] not in self._lines:
            view = self.views[queue_id]
            insort(view.line, key)
            insort(view.joined, (key[1], key[2]))
            self._lines[key[-1]] = queue_id, key

    def _out_of_line(self, caller_id: int) -> None:
        found = self._lines.pop(caller_id, None)
        if found is not None:
            queue_id, key = found
            view = self.views[queue_id]
            del view.line[bisect_left(view.line, key)]
            del view.joined[bisect_left(view.joined, (key[1], key[2]))]

    def schedule_announcement(self, queue_id: int, caller_id: int, now: Instant) -> None:
        """The next time at which the announcement plays to a caller, later than now (10.2)."""
        queue = self._state.queues[queue_id]
        caller = queue.callers.get(caller_id)
        settings = queue.settings
        has_words = settings.announce_id is not None or settings.announces_place
        every = settings.announce_frequency if has_words else 0
        if caller is None or not caller.is_in_queue or not every or caller.is_announcement_broken:
            self.next_announcement.pop(caller_id, None)
            return
        times = (microseconds(now) - microseconds(caller.attempt_started_at)) // (every * 1_000_000) + 1
        due = after(caller.attempt_started_at, times * every)
        self.next_announcement[caller_id] = due
        heapq.heappush(self.announcements, (due, caller_id))

    # --- callbacks

    def sync_ticket(self, queue_id: int, caller_id: int, now: Instant) -> None:
        """A callback was requested, has changed, was closed, or may be tried now."""
        queue = self._state.queues[queue_id]
        ticket = queue.tickets.get(caller_id)
        self.touched.add(queue_id)
        if ticket is None:
            for number in [one for one, of in self.ticket_of.items() if of == (queue_id, caller_id)]:
                del self.ticket_of[number]
            caller = queue.callers.get(caller_id)
            if caller is None or not caller.is_in_queue:
                self._out_of_line(caller_id)
            if caller is not None and caller.abandoned_at is not None:
                heapq.heappush(self.views[queue_id].abandoned, (caller.abandoned_at, caller_id))
            return
        self.ticket_of[ticket.number] = queue_id, caller_id
        if ticket.state is TicketState.QUEUED and now >= ticket.next_try_at:
            self._into_line(queue_id, line_key(queue.callers[caller_id]))
        else:
            self._out_of_line(caller_id)
        due = ticket_due(queue, ticket, now)
        if due is not None:
            heapq.heappush(self.tickets, (due, queue_id, caller_id))

    # --- agents

    def sync_agent(self, agent_id: int, now: Instant) -> None:
        """An agent was created, changed or removed, or its rest is over."""
        agent = self._state.agents.get(agent_id)
        before = self._members.get(agent_id, {})
        memberships: dict[int, _Membership] = {}
        if agent is not None:
            engagement = agent.engagement
            if engagement is not None and engagement.offer_id is not None:
                self.agent_of[engagement.offer_id] = agent_id
            if agent.status.receives_offers and now < agent.rest_until:
                heapq.heappush(self.resting, (agent.rest_until, agent_id))
            is_free = agent.is_free(now)
            for queue_id, tier in agent.tiers.items():
                queue = self._state.queues.get(queue_id)
                if queue is None or not agent.settings.has(queue.settings.required_skills):
                    continue
                settings = queue.settings
                is_eligible = (
                    is_free
                    and tier.state in (TierState.READY, TierState.NO_ANSWER)
                    and not (agent.external_calls and settings.skip_agents_with_external_calls)
                )
                key = KEYS[settings.strategy](agent, tier) if is_eligible else None
                memberships[queue_id] = _Membership(tier.level, agent.status.is_present, key)
        for queue_id in before.keys() | memberships.keys():
            old, new = before.get(queue_id), memberships.get(queue_id)
            if old != new and queue_id in self.views:
                self._change_membership(queue_id, old, new)
        self._members[agent_id] = memberships
        if agent is None:
            del self._members[agent_id]

    def engaged_ended(self, offer_id: int) -> None:
        """The agent of an offer is not engaged by it any more."""
        self.agent_of.pop(offer_id, None)

    def _change_membership(self, queue_id: int, old: _Membership | None, new: _Membership | None) -> None:
        view = self.views[queue_id]
        if old is not None and old.key is not None:
            keys = view.free[old.level]
            del keys[bisect_left(keys, old.key)]
            if not keys:
                del view.free[old.level]
        if new is not None and new.key is not None:
            insort(view.free.setdefault(new.level, []), new.key)
        was = old.level if old is not None and old.is_present else None
        now = new.level if new is not None and new.is_present else None
        if was != now:
            if was is not None:
                view.present[was] -= 1
                if not view.present[was]:
                    del view.present[was]
            if now is not None:
                view.present[now] = view.present.get(now, 0) + 1
            view.openings = openings(self._state.queues[queue_id].settings, view.present)
        self.touched.add(queue_id)

    def is_free_for(self, agent: Agent, queue_id: int) -> bool:
        """Whether an agent may be offered a call of a queue now, the levels aside (2.5)."""
        found = self._members.get(agent.agent_id, {}).get(queue_id)
        return found is not None and found.key is not None


def ticket_due(queue: Queue, ticket: Ticket, now: Instant) -> Instant | None:
    """When something happens to a callback by itself, later than now: it may be tried, its call was too long, it
    expires.
    """
    found = []
    if ticket.state is TicketState.QUEUED:
        found.append(ticket.next_try_at)
        if queue.settings.callback_expires_after:
            found.append(after(ticket.requested_at, queue.settings.callback_expires_after))
    elif ticket.dialled_at is not None:
        found.append(after(ticket.dialled_at, queue.settings.callback_ring_time))
    return min((one for one in found if one > now), default=None)
