"""Calls of one tenant, however many come in, leave media ports to the calls of others and to emergency calls."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import company as c
from tests.calls.company import company, number_of
from tests.calls.fake_engine import a_line
from tests.calls.restarted_node import FakeWriter
from tests.calls.test_effect_failures import FailingEngine
from trunkline.calls.flows.channel_quota import free_channels, reserve_has_room, reserved
from trunkline.calls.switch.executor import EffectExecutor
from trunkline.calls.switch.switch import Switch
from trunkline.core.clock import Instant
from trunkline.core.errors import LimitExceeded
from trunkline.directory.model import Directory
from trunkline.telephony.port import Arrived, Channel

pytestmark = pytest.mark.attack

CAPACITY = 10
NOW = Instant(1_772_366_400.0)


@pytest.mark.parametrize("hungry", [1, 2, 5, 20])
def test_there_is_always_room_for_who_has_little(hungry: int) -> None:
    capacity, own = 2500, [0] * hungry
    while any(free_channels(one, sum(own), capacity) for one in own):
        for account in range(hungry):
            own[account] += free_channels(own[account], sum(own), capacity) > 0
    assert sum(own) < capacity
    assert free_channels(0, sum(own), capacity)
    assert sum(own) > capacity * 0.85, "and most of it can be used"


@pytest.mark.parametrize("capacity", [10, 20, 200, 2500])
def test_however_many_are_hungry_emergency_calls_have_channels(capacity: int) -> None:
    own = [0] * capacity
    for account in range(capacity):
        own[account] += free_channels(0, sum(own), capacity) > 0
    assert sum(own) == capacity - reserved(capacity)
    assert reserved(capacity) >= 2, "one call"


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300))
def test_so_many_channels_one_by_one(own: int, others: int, capacity: int) -> None:
    free = free_channels(own, own + others, capacity)
    for number in range(free):
        assert free_channels(own + number, own + others + number, capacity) == free - number
    assert free_channels(own + free, own + others + free, capacity) == 0


async def test_a_flood_of_calls_to_one_tenant(tmp_path: Path) -> None:
    engine = FailingEngine(None)
    performers: list[EffectExecutor] = []

    def executor(switch: Switch) -> EffectExecutor:
        performers.append(EffectExecutor(engine, tmp_path, switch.effect_failed))
        return performers[0]

    switch = Switch(
        node=1,
        directory=lambda: Directory({c.ACCOUNT: company()}),
        writer=FakeWriter(),  # type: ignore[arg-type]
        executor=executor,
        channels_max=CAPACITY,
        clock=lambda: float(NOW),
    )

    def arrive(channel: str, called: str) -> None:
        switch.handle(Arrived(Channel(channel), NOW, a_line(c.ANNA_LINE), called, c.ANNA_LINE, "", NOW))

    for number in range(30):
        arrive(f"flood-{number}", number_of(c.TO_ANNA))
    assert 0 < len(switch.sessions) < CAPACITY
    with pytest.raises(LimitExceeded):
        await switch.command(
            c.ACCOUNT,
            "start_simple_call",
            {
                "contact": "12025550111",
                "operator": "12025550112",
                "virtual_phone_number": number_of(c.TO_ANNA),
            },
        )
    before = len(switch.sessions)
    arrive("emergency", "112")
    assert len(switch.sessions) == before + 1
    await performers[0].drain()


@pytest.mark.parametrize("capacity", [10, 20, 200, 2500])
def test_emergency_calls_of_one_account_leave_half_of_the_reserve(capacity: int) -> None:
    used, calls = capacity - reserved(capacity), 0
    while reserve_has_room(calls, used, capacity):
        calls, used = calls + 1, used + 2
    assert 1 <= calls <= max(1, reserved(capacity) // 4)
    if reserved(capacity) >= 4:
        assert reserve_has_room(0, used, capacity), "another account has an emergency call"


@pytest.mark.parametrize("capacity", [20, 200])
async def test_a_flood_of_emergency_calls_of_one_tenant(tmp_path: Path, capacity: int) -> None:
    engine = FailingEngine(None)
    executors: list[EffectExecutor] = []
    victims_line = "4401"
    victim = dataclasses.replace(
        company(lines={1: c.line(1, victims_line)}), account_id=1002, employees={}, groups={}
    )

    def executor(switch: Switch) -> EffectExecutor:
        executors.append(EffectExecutor(engine, tmp_path, switch.effect_failed))
        return executors[0]

    switch = Switch(
        node=1,
        directory=lambda: Directory({c.ACCOUNT: company(), 1002: victim}),
        writer=FakeWriter(),  # type: ignore[arg-type]
        executor=executor,
        channels_max=capacity,
        clock=lambda: float(NOW),
    )
    for number in range(2 * capacity):
        switch.handle(
            Arrived(Channel(f"flood-{number}"), NOW, a_line(c.ANNA_LINE), "112", c.ANNA_LINE, "", NOW)
        )
        await executors[0].drain()
    assert switch.presence.all_channels() <= capacity - reserved(capacity) // 2
    own = switch.presence.channels_of(1002)
    switch.handle(Arrived(Channel("victim"), NOW, a_line(victims_line), "112", victims_line, "", NOW))
    await executors[0].drain()
    assert switch.presence.channels_of(1002) == own + 2
