"""Two devices of one line ring while the connection to Asterisk breaks, or the switch is replaced by another.

The one that answers first has the call, the other stops ringing, and its end is not the end of the call.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.drills.proxied_setup import ANNA, PATIENCE, ProxiedSetup
from tests.telephony.conftest import Pbx, SignalLog
from trunkline.core.clock import Instant
from trunkline.core.engine_values import CallTag
from trunkline.core.errors import EffectTimedOut, EngineUnavailable
from trunkline.demo import outside
from trunkline.demo.outside.config import Registrar
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.telephony import cel_log
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import (
    Answered,
    Channel,
    Ended,
    Endpoint,
    EngineDown,
    EngineUp,
    HeartbeatReturned,
    Originate,
    Registered,
    Ringing,
    SeenChannel,
    Target,
)
from trunkline.testing.proxy import FaultProxy

pytestmark = [pytest.mark.drill, pytest.mark.engine]

LINE = Endpoint.line("1001")
MINE = Channel("leg-71")


@pytest.fixture
async def pbx(asterisk_install: AsteriskInstall, tmp_path: Path) -> AsyncIterator[Pbx]:
    pbx = Pbx(asterisk_install, tmp_path)
    pbx.config = replace(pbx.config, away_wait=8)
    await pbx.start()
    try:
        yield pbx
    finally:
        await pbx.stop()


class Scene:
    """Asterisk, the connections to it, and two devices of line 1001."""

    def __init__(self, pbx: Pbx, world: outside.OutsideWorld, ari: FaultProxy, ami: FaultProxy) -> None:
        self.pbx, self.world, self.ari, self.ami = pbx, world, ari, ami
        self.devices: list[outside.Phone] = []

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[tuple[AsteriskEngine, SignalLog]]:
        ports = replace(self.pbx.config.ports, ari=self.ari.port, ami=self.ami.port)
        async with AsteriskEngine(replace(self.pbx.config, ports=ports)) as engine:
            signals = SignalLog(engine)
            try:
                await signals.wait(EngineUp)
                yield engine, signals
            finally:
                await signals.close()

    async def ring(self, engine: AsteriskEngine, signals: SignalLog) -> tuple[outside.Call, outside.Call]:
        """Both devices ring under one id."""
        self.devices = [await self.world.phone("1001", "secret", name=name) for name in ("desk", "mobile")]
        await signals.wait(Registered, lambda _: len({one.uri for one in engine.contacts()}) == 2)
        for device in self.devices:
            device.on_call(outside.Ignore())
        await engine.originate(
            Originate(MINE, Target.of(LINE, caller_number="12025550110"), 60, CallTag("71"))
        )
        calls = [await device.next_call() for device in self.devices]
        for call in calls:
            await call.ringing()
        await signals.wait(Ringing, lambda one: one.channel == MINE)
        return calls[0], calls[1]

    async def answer(self, call: outside.Call, since: Instant, answers: int = 1) -> None:
        """A device answers while no switch is connected: wait until Asterisk has its answer, the last of ``answers``.

        The device counts as answered when it has sent its response, which Asterisk may not have read yet.
        """
        await call.answer()
        async with asyncio.timeout(PATIENCE):
            while self._logged(since, "ANSWER") < answers:
                await asyncio.sleep(0.05)

    def _logged(self, since: Instant, event: str) -> int:
        entries = cel_log.read(self.pbx.config.paths.cel_log, since)
        return len([entry for entry in entries if entry.alias == MINE and entry.event == event])


@pytest.fixture
async def scene(pbx: Pbx, asterisk_install: AsteriskInstall, tmp_path: Path) -> AsyncIterator[Scene]:
    ports = pbx.config.ports
    async with AsyncExitStack() as stack:
        ari = await stack.enter_async_context(FaultProxy(ports.ari))
        ami = await stack.enter_async_context(FaultProxy(ports.ami))
        world = outside.OutsideWorld(
            asterisk_install,
            tmp_path / "w",
            Registrar("127.0.0.1", ports.udp),
            Registrar("127.0.0.1", ports.tls),
            pbx.world_ports,
        )
        yield Scene(pbx, await stack.enter_async_context(world), ari, ami)


async def mine(engine: AsteriskEngine, since: Instant) -> list[SeenChannel]:
    """What the switch looks at after each connect."""
    return [one for one in (await engine.survey(since)).channels if one.channel == MINE]


async def prove(
    engine: AsteriskEngine, signals: SignalLog, first: outside.Call, second: outside.Call, answers: int = 1
) -> None:
    """The first has the call, the second rings no more, and nothing but the first's end ends the call."""
    await signals.wait(Answered, lambda one: one.channel == MINE)
    await second.ended()
    [seen] = await mine(engine, Instant(time.time()))
    assert (seen.answered, seen.controlled) == (True, True)
    assert not first.is_ended
    assert not [one for one in signals.of(Ended) if one.channel == MINE]
    await first.hangup()
    await signals.wait(Ended, lambda one: one.channel == MINE)
    assert len([one for one in signals.of(Answered) if one.channel == MINE]) == answers
    assert len([one for one in signals.of(Ended) if one.channel == MINE]) == 1


@pytest.mark.parametrize("winner", [0, 1])
async def test_the_connection_breaks_while_two_devices_ring(scene: Scene, winner: int) -> None:
    async with scene.engine() as (engine, signals):
        calls = await scene.ring(engine, signals)
        for _ in range(2):
            before, since = len(signals.of(EngineUp)), Instant(time.time())
            scene.ari.reset()
            scene.ami.reset()
            await signals.wait(EngineUp, lambda _: len(signals.of(EngineUp)) > before)  # noqa: B023
            [seen] = await mine(engine, since)
            assert seen.ringing
        await calls[winner].answer()
        await prove(engine, signals, calls[winner], calls[1 - winner])


@pytest.mark.parametrize("winner", [0, 1])
async def test_another_switch_takes_over_while_two_devices_ring(scene: Scene, winner: int) -> None:
    since = Instant(time.time())
    async with scene.engine() as (engine, signals):
        calls = await scene.ring(engine, signals)
    async with scene.engine() as (engine, signals):
        [seen] = await mine(engine, since)
        assert (seen.ringing, seen.answered) == (True, False)
        await calls[winner].answer()
        await prove(engine, signals, calls[winner], calls[1 - winner])


@pytest.mark.parametrize("winner", [0, 1])
async def test_a_device_answers_while_the_connection_is_lost(scene: Scene, winner: int) -> None:
    async with scene.engine() as (engine, signals):
        calls = await scene.ring(engine, signals)
        since = Instant(time.time())
        scene.ari.down()
        await signals.wait(EngineDown)
        await scene.answer(calls[winner], since)
        scene.ari.heal()
        await signals.wait(EngineUp, lambda _: len(signals.of(EngineUp)) > 1)
        [seen] = await mine(engine, since)
        assert seen.answered
        await prove(engine, signals, calls[winner], calls[1 - winner])


async def test_both_devices_answer_while_no_switch_is_there(scene: Scene) -> None:
    since = Instant(time.time())
    async with scene.engine() as (engine, signals):
        calls = await scene.ring(engine, signals)
    for number, call in enumerate(calls, 1):
        await scene.answer(call, since, number)
    async with scene.engine() as (engine, signals):
        [seen] = await mine(engine, since)
        assert seen.answered
        await prove(engine, signals, calls[0], calls[1])


async def test_one_device_declines_while_no_switch_is_there(scene: Scene) -> None:
    since = Instant(time.time())
    async with scene.engine() as (engine, signals):
        calls = await scene.ring(engine, signals)
    await calls[0].hangup(17)
    await calls[0].ended()
    async with scene.engine() as (engine, signals):
        survey = await engine.survey(since)
        assert not [one for one in survey.missed if isinstance(one, Ended)]
        await calls[1].answer()
        await signals.wait(Answered, lambda one: one.channel == MINE)
        await calls[1].hangup()
        await signals.wait(Ended, lambda one: one.channel == MINE)


async def test_the_other_device_is_reported_that_the_call_was_answered_elsewhere(scene: Scene) -> None:
    since = Instant(time.time())
    async with scene.engine() as (engine, signals):
        calls = await scene.ring(engine, signals)
    async with scene.engine() as (engine, signals):
        await asyncio.gather(engine.survey(since), signals.wait(EngineUp))
        await calls[1].answer()
        await calls[0].ended()
        assert calls[0].cause == 26
        await engine.hangup(MINE)
        await calls[1].ended()


async def test_a_heartbeat_returns_by_both_interfaces_or_its_lack_names_one(scene: Scene) -> None:
    async with scene.engine() as (engine, signals):
        await engine.wait_up()
        await engine.heartbeat("first")
        await signals.wait(HeartbeatReturned, lambda one: one.token == "first")
        assert engine.missing == ""
        scene.ami.silence()
        with pytest.raises((EffectTimedOut, EngineUnavailable)):
            await engine.heartbeat("second")
        assert "AMI" in engine.missing
        engine.reconnect("silent")
        scene.ami.heal()
        await engine.wait_up()
        await engine.heartbeat("third")
        await signals.wait(HeartbeatReturned, lambda one: one.token == "third")


@pytest.mark.xdist_group("proxied setup")
@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("restarted", [False, True], ids=["during the outage", "after the restart"])
@pytest.mark.parametrize("kind", ["incoming", "click to call"])
async def test_the_switch_is_killed_while_two_devices_ring(
    setup: ProxiedSetup, kind: str, restarted: bool
) -> None:
    """The tablet answers, and talks with the customer; the desk phone stops ringing."""
    before = await setup.last_id()
    async with setup.tablet() as tablet:
        customer = await setup.customer()
        customer.on_call(outside.Answer())
        if kind == "incoming":
            contact = await customer.dial(ANNA)
        else:
            await setup.click_to_call(customer)
        desk, answers = await setup.anna.next_call(), await tablet.next_call()
        await asyncio.gather(desk.ringing(), answers.ringing())
        killed = setup.installation.kill("switch")
        if restarted:
            await setup.installation.wait_restarted("switch", killed)
        await answers.answer()
        await desk.ended(PATIENCE)
        if kind == "click to call":
            contact = await customer.next_call(PATIENCE)
        await answers.unmute()
        await setup.hears(contact, tablet.tone)
        await setup.installation.wait_restarted("switch", killed)
        assert not answers.is_ended
        await contact.hangup()
        await answers.ended()
    row = await setup.row(before, timeout=40)
    assert (row["is_lost"], row["employees"][0]["employee_full_name"]) == (False, "Berg Anna"), row
    await setup.nobody_left()
