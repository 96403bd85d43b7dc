"""Calls that come while Asterisk does not offer new calls to the switch, and end before it does."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.fake_engine import a_trunk
from tests.calls.restarted_node import Node
from tests.roles.test_registrations_at_start import SurveyedEngine, follower_of
from trunkline.calls.switch import recovery
from trunkline.core.clock import Instant
from trunkline.events.catalogue import EventType
from trunkline.roles import signal_follower
from trunkline.telephony.port import Channel, Signal

pytestmark = [pytest.mark.asyncio, pytest.mark.durability]


class OfferingEngine(SurveyedEngine):
    """Has offered calls from some time on, and has a log."""

    times_offered = 1
    is_offering = True

    def __init__(self, node: Node) -> None:
        super().__init__(node, has_all_devices=True)
        self._logging_node = node
        self.reads = 0

    async def logged_since(self, _since: Instant) -> list[Signal]:
        self.reads += 1
        return list(self._logging_node.missed)


def call_and_cancel(node: Node, customer: str) -> None:
    channel = node.engine.arrive(a_trunk(), c.number_of(c.TO_ANNA), customer)
    node.flow()
    node.clock += 0.3
    node.engine.hang_up(Channel(channel))
    node.flow()


@pytest.fixture
def _database(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: object) -> list[Any]:
        return []

    monkeypatch.setattr(recovery, "open_sessions", none)
    monkeypatch.setattr(recovery, "ended_channels", none)
    monkeypatch.setattr(signal_follower, "OFFERED_PERIOD_SECONDS", 0.005)
    monkeypatch.setattr(signal_follower, "UNOFFERED_READ_AFTER_SECONDS", (0.005, 0.005))


@pytest.mark.usefixtures("_database")
async def test_a_call_that_ended_in_the_dialplan_has_a_row() -> None:
    node = Node()
    engine = OfferingEngine(node)
    follower = follower_of(node, engine)
    call_and_cancel(node, c.CUSTOMER)
    await follower._recover()
    node.kill()  # no signal of the next call comes
    call_and_cancel(node, "971500000031")
    node.alive = True
    reading = asyncio.create_task(follower.find_unoffered_calls())
    async with asyncio.timeout(10):
        while engine.reads < 2:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading
    ends = [
        next(one.data for one in events if one.type is EventType.SESSION_FINISHED)
        for events in node.reported.events.values()
    ]
    assert [one["contact_phone_number"] for one in ends] == [c.CUSTOMER, "971500000031"]
    assert ends[1]["finish_reason"] == "disconnect_before_call_processing"
    assert not node.switch.sessions
