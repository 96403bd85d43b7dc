"""Legs that a running call adds (a group that rings, a consultation, a coach) count for the share of channels, too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.apis.call_api.requests import COMMANDS
from tests.calls import company as c
from tests.calls.company import company, number_of
from tests.calls.fake_engine import a_line, a_trunk
from tests.calls.restarted_node import FakeWriter
from tests.calls.simulation import CallSimulation
from tests.calls.test_consultation import DORA, contact, phase_of, talk
from tests.calls.test_effect_failures import FailingEngine
from trunkline.calls.command_names import CHECK
from trunkline.calls.flows.channel_quota import free_channels, reserved
from trunkline.calls.session import Phase
from trunkline.calls.switch.executor import EffectExecutor
from trunkline.calls.switch.switch import Switch
from trunkline.core.clock import Instant
from trunkline.core.errors import LimitExceeded, NotFound
from trunkline.core.hangup_causes import SWITCH_CONGESTION
from trunkline.directory.model import Account, Directory, OutgoingLimits
from trunkline.events.reasons import Reason
from trunkline.telephony.port import (
    Arrived,
    Channel,
    Connect,
    ConnectFinished,
    ConnectResult,
    Registered,
)

pytestmark = pytest.mark.attack

NOW = Instant(1_772_366_400.0)


class Engine(FailingEngine):
    """Executes all commands, and records the targets of connects and the hang-ups."""

    def __init__(self) -> None:
        super().__init__(None)
        self.connects: list[Connect] = []
        self.hung_up: list[tuple[Channel, int]] = []

    async def connect(self, _channel: Channel, connect: Connect) -> None:
        self.connects.append(connect)

    async def hangup(self, channel: Channel, cause: int = 16) -> None:
        self.hung_up.append((channel, cause))


@dataclass
class Rig:
    """A switch over an engine that rings the targets and never gets an answer."""

    switch: Switch
    engine: Engine
    performers: list[EffectExecutor]

    def arrive(self, channel: str, called: str, line: str = c.ANNA_LINE) -> None:
        self.switch.handle(Arrived(Channel(channel), NOW, a_line(line), called, line, "", NOW))

    async def drain(self) -> None:
        await self.performers[0].drain()

    @property
    def dialled(self) -> list[int]:
        """Targets of each connect so far."""
        return [len(one.targets) for one in self.engine.connects]


def rig(folder: Path, account: Account, capacity: int) -> Rig:
    engine, performers = Engine(), []

    def executor(switch: Switch) -> EffectExecutor:
        performers.append(EffectExecutor(engine, folder, switch.effect_failed))
        return performers[0]

    switch = Switch(
        node=1,
        directory=lambda: Directory({c.ACCOUNT: account}),
        writer=FakeWriter(),  # type: ignore[arg-type]
        executor=executor,
        channels_max=capacity,
        clock=lambda: float(NOW),
    )
    return Rig(switch, engine, performers)


@pytest.mark.parametrize("capacity", [10, 20, 40])
async def test_calls_that_ring_many_phones_leave_ports_for_emergency_calls(
    tmp_path: Path, capacity: int
) -> None:
    it = rig(tmp_path, company(), capacity)
    for number in range(3 * capacity):
        it.arrive(f"flood-{number}", c.DORA_LINE)
        await it.drain()
    assert it.dialled
    assert it.switch.presence.all_channels() <= capacity - reserved(capacity)
    before = it.dialled
    it.arrive("emergency", "112")
    await it.drain()
    assert it.dialled == [*before, 1], "an emergency call is placed whatever is in use"


async def test_each_device_of_a_line_is_a_channel(tmp_path: Path) -> None:
    it = rig(tmp_path, company(), 20)
    for number in range(9):
        device = Registered(
            NOW,
            c.DORA_LINE,
            f"sip:{number}@127.0.0.1",
            "127.0.0.1",
            5060 + number,
            "udp",
            "",
            None,
            None,
            None,
        )
        it.switch.presence.register(device)
    it.arrive("one", c.DORA_LINE)
    await it.drain()
    assert it.switch.presence.channels_of(c.ACCOUNT) == 10
    assert it.dialled == [1]


def running(simulation: CallSimulation, folder: Path, free: int) -> tuple[Switch, FailingEngine]:
    """A switch with the call of the simulation, and so many channels left to its account."""
    engine = FailingEngine(None)
    own = len([leg for leg in simulation.session.living if leg.channel])
    capacity = next(one for one in range(2, 200) if free_channels(own, own, one) == free)
    switch = Switch(
        node=1,
        directory=lambda: Directory({c.ACCOUNT: simulation.account}),
        writer=FakeWriter(),  # type: ignore[arg-type]
        executor=lambda one: EffectExecutor(engine, folder, one.effect_failed),
        channels_max=capacity,
        clock=lambda: simulation.clock,
    )
    switch.restore(simulation.session, simulation.events)
    return switch, engine


ADDING: list[tuple[str, dict[str, Any]]] = [
    ("transfer_talk", {"contact": DORA}),
    ("add_coach", {"phone_number": DORA, "mode": "whisper"}),
]


@pytest.mark.parametrize(("name", "params"), ADDING)
async def test_a_running_call_adds_no_leg_beyond_the_share(
    name: str, params: dict[str, Any], tmp_path: Path
) -> None:
    simulation = talk()
    switch, engine = running(simulation, tmp_path, free=0)
    with pytest.raises(LimitExceeded):
        await switch.command(
            c.ACCOUNT, name, {"call_session_id": simulation.session.call_session_id, **params}
        )
    assert "originate" not in engine.asked
    assert contact(simulation)
    assert phase_of(simulation) in (Phase.TALK, Phase.HOLD)


@pytest.mark.parametrize(("name", "params"), ADDING)
async def test_the_check_before_a_text_is_spoken_refuses_and_changes_nothing(
    name: str, params: dict[str, Any], tmp_path: Path
) -> None:
    simulation = talk()
    asked = {"call_session_id": simulation.session.call_session_id, **params, "command": name}
    switch, engine = running(simulation, tmp_path, free=0)
    with pytest.raises(LimitExceeded):
        await switch.command(c.ACCOUNT, CHECK, asked)
    switch, engine = running(simulation, tmp_path, free=1)
    assert await switch.command(c.ACCOUNT, CHECK, asked) == {}
    with pytest.raises(NotFound):
        await switch.command(c.ACCOUNT + 1, CHECK, asked)
    assert engine.asked == []
    assert phase_of(simulation) is Phase.TALK


async def test_the_check_of_a_start_refuses_what_the_start_refuses(tmp_path: Path) -> None:
    it = rig(tmp_path, company(), 20)
    asked = {
        **COMMANDS["start.simple_call"][1],
        "contact": "12025550111",
        "operator": "12025550112",
        "virtual_phone_number": number_of(c.TO_ANNA),
        "contact_message": {"type": "tts", "value": "Good day", "file": ""},
    }
    check = {**asked, "command": "start_simple_call"}
    assert await it.switch.command(c.ACCOUNT, CHECK, check) == {}
    assert not it.switch.sessions
    it.switch.presence.outgoing.account_limits = OutgoingLimits(calls_per_minute=1, concurrent_calls=1)
    await it.switch.command(c.ACCOUNT, "start_simple_call", asked)
    for name, params in (("start_simple_call", asked), (CHECK, check)):
        with pytest.raises(LimitExceeded) as raised:
            await it.switch.command(c.ACCOUNT, name, params)
        assert raised.value.params["limit_type"] == "concurrent_calls"
    await it.drain()


@pytest.mark.parametrize(("name", "params"), ADDING)
async def test_a_running_call_adds_a_leg_within_the_share(
    name: str, params: dict[str, Any], tmp_path: Path
) -> None:
    simulation = talk()
    switch, engine = running(simulation, tmp_path, free=1)
    await switch.command(c.ACCOUNT, name, {"call_session_id": simulation.session.call_session_id, **params})
    assert "originate" in engine.asked


async def test_a_number_is_a_group_of_phones(tmp_path: Path) -> None:
    it = rig(tmp_path, company(), 200)
    it.arrive("one", number_of(c.ALL))
    await it.drain()
    counted = it.switch.presence.channels_of(c.ACCOUNT)
    assert counted == 1 + sum(it.dialled)


def ends(it: Rig) -> list[tuple[str, str, int]]:
    """Of each ended leg: what was called, the reason and the cause."""
    [session] = it.switch.sessions.values()
    return [
        (leg.called_phone_number or "", str(leg.finish_reason), leg.cause or 0)
        for leg in session.legs.values()
        if leg.ended_at is not None
    ]


async def test_a_phone_that_gets_no_channel_has_that_reason(tmp_path: Path) -> None:
    """Neither the network nor a carrier refused anything."""
    it = rig(tmp_path, company(), 1)
    it.arrive("caller", c.DORA_LINE)
    await it.drain()
    assert not it.dialled
    assert ends(it) == [(c.DORA_LINE, "no_resources", SWITCH_CONGESTION)]
    [session] = it.switch.sessions.values()
    assert session.ending is Reason.NO_RESOURCES
    assert it.engine.hung_up == [("caller", SWITCH_CONGESTION)]


async def test_the_phones_of_a_group_that_get_no_channel_have_that_reason(tmp_path: Path) -> None:
    it = rig(tmp_path, company(), 2)
    called_number = number_of(c.ALL)
    it.switch.handle(Arrived(Channel("caller"), NOW, a_trunk(), called_number, c.CUSTOMER, "", NOW))
    await it.drain()
    [called] = it.dialled
    [session] = it.switch.sessions.values()
    assert session.connect is not None
    given = len(session.connect.targets)
    assert 1 == called < given
    it.switch.handle(ConnectFinished(Channel("caller"), Instant(NOW + 20), ConnectResult.NO_ANSWER, 0))
    reasons = [reason for _, reason, _ in ends(it)]
    assert sorted(reasons) == ["no_resources"] * (given - 1) + ["sip_offline"], (
        "no channel was made for the one"
    )
    await it.drain()
