"""Transfers that phones asked for, and a switch that is killed before it has carried them out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.restarted_node import Node, ring
from tests.calls.test_consultation import DORA
from trunkline.calls.effects import Effect, OriginateLeg, TakeControl
from trunkline.calls.session import Phase
from trunkline.calls.switch.switch import Switch
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import Channel, TransferAsked

pytestmark = pytest.mark.durability


class TransferNode(Node):
    """A node whose switches take control of talks; the first one never gets that far."""

    def __init__(self) -> None:
        self.is_slow = True
        super().__init__()

    def _switch(self) -> Switch:
        switch = super()._switch()

        async def take_control(channels: Sequence[Channel], leaving: Channel | None = None) -> None:
            if self.is_slow:
                await asyncio.sleep(60)
            self.engine.perform([TakeControl(tuple(one for one in channels if one != leaving), None)])
            self.flow()

        self.hands.take_control = take_control  # type: ignore[method-assign]
        return switch

    @property
    def types(self) -> list[EventType]:
        return [event.type for events in self.reported.events.values() for event in events]


async def asked(node: TransferNode, to: str) -> tuple[Channel, Channel]:
    """A talk, whose phone has asked for a transfer of which the switch has carried out nothing."""
    customer = node.arrive(c.TWICE)
    phone = ring(node.at(5))
    node.engine.answer(phone)
    node.flow()
    node.at(9)
    node.switch.handle(TransferAsked(phone, node.engine.at(), to, None))
    await asyncio.sleep(0)
    assert EventType.TRANSFER_ASKED in node.types
    return customer, phone


async def test_the_next_switch_carries_it_out() -> None:
    node = TransferNode()
    customer, phone = await asked(node, DORA)
    node.kill()
    node.is_slow = False
    node.restart()
    [session] = node.switch.sessions.values()
    assert session.leaving == phone
    for _ in range(10):
        await asyncio.sleep(0)
        node.flow()
    assert EventType.THIRD_PARTY_CALLED in node.types
    assert session.phase is not Phase.ENDED
    assert customer in node.engine.channels
    assert session.asked_transfer is None


async def test_one_that_is_refused_is_not_asked_again() -> None:
    node = TransferNode()
    await asked(node, "77")
    for _ in range(10):
        await asyncio.sleep(0)
        node.flow()
    assert EventType.TRANSFER_REFUSED in node.types
    node.kill().restart()
    [session] = node.switch.sessions.values()
    assert session.leaving is None
    assert session.asked_transfer is None


class LostCommand(TransferNode):
    """A node whose switch is killed before it has called the third party."""

    def _switch(self) -> Switch:
        switch = super()._switch()
        perform = self.hands.perform
        loses = not hasattr(self, "switch")

        def lossy(key: int, effects: Sequence[Effect], *more: Any) -> None:
            perform(key, [one for one in effects if not (loses and isinstance(one, OriginateLeg))], *more)

        vars(self.hands)["perform"] = lossy
        return switch


@pytest.mark.parametrize("seconds", [1, 60])
async def test_a_third_party_whose_call_was_decided_and_not_begun_is_called(seconds: int) -> None:
    node = LostCommand()
    node.is_slow = False
    customer, _ = await asked(node, DORA)
    for _ in range(10):
        await asyncio.sleep(0)
        node.flow()
    assert EventType.THIRD_PARTY_CALLED in node.types
    assert len(node.engine.channels) == 1
    node.kill()
    node.clock += seconds
    node.restart()
    called = [one for one in node.engine.done if isinstance(one, OriginateLeg)]
    [one] = called
    node.engine.answer(one.channel)
    node.flow()
    [session] = node.switch.sessions.values()
    assert session.talking
    assert node.engine.hearing(customer) == {c.DORA_LINE}
