"""A node that runs queues, for tests: the calls of a fake engine, and the events of queues in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Self

from tests.calls import company as c
from tests.calls.restarted_node import Node
from trunkline.calls.effects import TakeControl
from trunkline.calls.switch.queue_owner import QueueOwner
from trunkline.calls.switch.queues import CallQueues
from trunkline.calls.switch.switch import Switch
from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable, StreamConflict
from trunkline.directory.model import Account, AgentProfile, CallQueue, OperationKind, QueueTier, Scenario
from trunkline.directory.queues import exits
from trunkline.events.catalogue import Event
from trunkline.queues import inputs as i
from trunkline.queues.callers import Caller
from trunkline.queues.states import AgentStatus
from trunkline.telephony.port import Channel, Detection

QUEUE = 22001
TO_QUEUE = c.TO_ANNA
"""Number and scenario that lead to the queue."""


class MemoryStore:
    """Keeps events as PostgreSQL does."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_down = False

    async def read(self, account_id: int) -> list[Event]:
        return list(self.events)

    async def joined(self, account_id: int, calls: Collection[int]) -> set[int]:
        return {one.data["call_session_id"] for one in self.events if "call_session_id" in one.data} & set(
            calls
        )

    async def append(self, events: Sequence[Event]) -> None:
        if self.is_down:
            raise DatabaseUnavailable("the test stopped it")
        versions = {(one.account_id, one.stream): one.seq for one in self.events}
        for event in events:
            stream = event.account_id, event.stream
            if event.seq != versions.get(stream, 0) + 1:
                raise StreamConflict(f"{event.stream} is not at {event.seq - 1}")
            versions[stream] = event.seq
        self.events += events


class _Later:
    def __init__(self, at: float, function: Callable[[], None]) -> None:
        self.at, self.function = at, function

    def cancel(self) -> None:
        self.at = float("inf")


def with_queue(*employees: int, operation: dict[str, Any] | None = None, **changes: Any) -> Account:
    """The company with a queue of these employees; ``changes`` are those of the queue's settings."""
    tiers = changes.pop("tiers", None) or tuple(QueueTier(one, 1, n) for n, one in enumerate(employees, 1))
    settings = changes.pop("settings", {})
    queue = CallQueue(QUEUE, "Support", settings=settings, tiers=tiers, **changes)
    account = c.company()
    waiting = c.operation(TO_QUEUE, "q", OperationKind.QUEUE, queue_id=QUEUE, **(operation or {}))
    others = [
        c.operation(TO_QUEUE, "m", *c.voicemail()[:1], **c.voicemail()[1]),
        c.operation(TO_QUEUE, "b", OperationKind.FORWARD_EMPLOYEE, employee_id=c.BORIS, ring_seconds=20),
    ]
    scenarios = {
        **account.scenarios,
        TO_QUEUE: Scenario(TO_QUEUE, "Queue", (waiting, *others)),
        queue.scenario_id: exits.scenario_of(queue),
    }
    agents = {tier.employee_id: AgentProfile(tier.employee_id) for tier in tiers}
    return replace(account, queues={QUEUE: queue}, agents=agents, scenarios=scenarios)


class QueueNode(Node):
    """A node whose switch runs queues."""

    def __init__(self, account: Account) -> None:
        self.store = MemoryStore()
        self.armed: list[_Later] = []
        super().__init__(account)

    def _switch(self) -> Switch:
        switch = super()._switch()

        async def take_control(channels: tuple[Channel, ...], leaving: Channel | None = None) -> None:
            self.engine.perform([TakeControl(channels, leaving)])

        self.hands.take_control = take_control  # type: ignore[method-assign]
        return switch

    def _later(self, seconds: float, function: Callable[[], None]) -> _Later:
        later = _Later(self.clock + seconds, function)
        self.armed.append(later)
        return later

    def replace_switch(self) -> None:
        """A new switch whose queues exist before its recovery, and are not compared with the calls yet."""
        super().replace_switch()
        self._attach_queues()

    def _attach_queues(self) -> None:
        self.armed = []
        self.queues = self.switch.queues = CallQueues(
            self.switch,
            self.store,
            lambda: self.directory,
            clock=lambda: Instant(self.clock),
            call_later=self._later,
        )

    async def begin(self) -> Self:
        """The queues of a new switch, after its recovery."""
        if self.switch.queues is None:
            self._attach_queues()
        await self.queues.start()
        self.queues.recovered()
        await self.settle()
        return self

    async def kill_and_restart(self) -> None:
        """Another switch with the events of calls and queues."""
        self.kill()
        await self.queues.stop()
        self.restart()
        await self.begin()

    async def settle(self) -> None:
        """Until nothing more happens at this moment."""
        for _ in range(20):
            self.flow()
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)

    async def wait(self, seconds: float) -> None:
        """Let time pass; what is due happens in its order."""
        end = self.clock + seconds
        while due := [one for one in self.armed if one.at <= end]:
            first = min(due, key=lambda one: one.at)
            self.armed.remove(first)
            self.clock = max(self.clock, first.at)
            first.function()
            await self.settle()
        self.clock = end
        await self.settle()

    @property
    def owner(self) -> QueueOwner:
        owner = self.queues.owner(c.ACCOUNT)
        assert owner is not None
        return owner

    async def status(self, agent_id: int, status: AgentStatus = AgentStatus.AVAILABLE) -> None:
        self.owner.give(i.SetStatus(agent_id, status))
        await self.settle()

    async def call(self, customer: str = c.CUSTOMER) -> Channel:
        """A customer calls the queue."""
        from tests.calls.fake_engine import a_trunk

        channel = self.engine.arrive(a_trunk(), c.number_of(TO_QUEUE), customer)
        await self.settle()
        return channel

    def rings(self) -> list[str]:
        """Lines and numbers that ring now."""
        return sorted(
            chan.number or chan.endpoint.name
            for chan in self.engine.channels.values()
            if chan.originated and not chan.answered
        )

    def phone(self, name: str) -> Channel:
        """The channel of a phone that was called."""
        return next(
            chan.channel
            for chan in self.engine.channels.values()
            if chan.originated and (chan.number or chan.endpoint.name) == name
        )

    async def answers(
        self, name: str, detection: Detection | None = None, picked_up_at: Instant | None = None
    ) -> Channel:
        phone = self.phone(name)
        self.engine.answer(phone, detection, picked_up_at)
        await self.settle()
        return phone

    async def hangs_up(self, channel: Channel) -> None:
        self.engine.hang_up(channel)
        await self.settle()

    def callers(self) -> list[Caller]:
        return list(self.owner.state.queues[QUEUE].callers.values())

    def finished(self) -> list[dict[str, Any]]:
        """Data of the ends of all calls."""
        return [
            dict(events[-1].data)
            for events in self.reported.events.values()
            if events[-1].type.value == "session_finished"
        ]
