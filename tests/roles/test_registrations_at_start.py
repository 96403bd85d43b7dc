"""A call that waited for the switch, to a phone that is not registered."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.fake_engine import a_trunk
from tests.calls.restarted_node import Node
from trunkline.calls.effects import ConnectTargets
from trunkline.calls.switch import recovery
from trunkline.core.clock import Instant
from trunkline.events.catalogue import EventType
from trunkline.roles.health import StartPhases
from trunkline.roles.signal_follower import SignalFollower
from trunkline.telephony.port import Survey


class Recorder:
    def mark_all(self) -> None:
        """Nothing is recorded."""


class Snapshot:
    def __init__(self, node: Node) -> None:
        self.current = node.directory


class SurveyedEngine:
    """Lists the channels of a node."""

    is_connected = True
    signals_waiting = 0

    def __init__(self, node: Node, *, has_all_devices: bool) -> None:
        self._node = node
        self.has_all_devices = has_all_devices

    async def survey(self, _since: Instant) -> Survey:
        node = self._node
        return Survey(
            Instant(node.clock), [node.seen(one) for one in node.engine.channels], list(node.missed)
        )


@pytest.fixture
def _no_open_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(*_: object) -> list[Any]:
        return []

    monkeypatch.setattr(recovery, "open_sessions", none)
    monkeypatch.setattr(recovery, "ended_channels", none)


def follower_of(node: Node, engine: SurveyedEngine) -> SignalFollower:
    """A follower that has what a recovery needs."""
    return SignalFollower(
        None,  # type: ignore[arg-type]
        engine,  # type: ignore[arg-type]
        node.switch,
        Recorder(),  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        Snapshot(node),  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        None,
        None,
        StartPhases(time.monotonic()),
    )


async def recovered(*, has_all_devices: bool) -> Node:
    """A switch that was started while a call waited."""
    node = Node().kill()
    node.engine.arrive(a_trunk(), c.number_of(c.TO_ANNA), c.CUSTOMER)
    node.flow()
    node.clock += 1
    node.alive = True
    follower = follower_of(node, SurveyedEngine(node, has_all_devices=has_all_devices))
    await follower._recover()
    return node


@pytest.mark.usefixtures("_no_open_calls")
async def test_a_line_without_a_device_is_offline_for_a_call_that_waited() -> None:
    node = await recovered(has_all_devices=True)
    assert not any(isinstance(one, ConnectTargets) for one in node.engine.done)
    [events] = node.reported.events.values()
    [ended] = [one.data for one in events if one.type is EventType.LEG_ENDED and one.data["is_failed"]][:1]
    assert ended["finish_reason"] == "sip_offline"


@pytest.mark.usefixtures("_no_open_calls")
async def test_no_line_is_offline_while_the_registrations_are_not_known() -> None:
    node = await recovered(has_all_devices=False)
    assert any(isinstance(one, ConnectTargets) for one in node.engine.done)
