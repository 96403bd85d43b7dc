"""The operator hangs up at each moment of a command by which it leaves the call to others, before that is carried out.

A phone that has asked for a transfer hangs up when it likes: with the response, after it, or before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.fake_engine import FakeEngine
from tests.calls.restarted_node import FakeWriter
from tests.calls.simulation import CallSimulation
from tests.calls.test_consultation import DORA, talk
from trunkline.calls import rules
from trunkline.calls.effects import (
    AnswerTransfer,
    Effect,
    Hangup,
    Join,
    Leave,
    Music,
    OriginateLeg,
    PlayFiles,
    RecordVoice,
    StopPlay,
    TakeControl,
)
from trunkline.calls.session import Leg, Phase, Role, Session
from trunkline.calls.switch.executor import EffectExecutor
from trunkline.calls.switch.switch import Switch
from trunkline.core.errors import ChannelGone, EffectRefused, EffectTimedOut, EngineError
from trunkline.directory.model import Directory
from trunkline.telephony.port import Bridge, Channel, Originate, Registered, Signal, TransferAsked


class MomentEngine:
    """The fake engine as the executor sees it: a command for a channel that is gone fails.

    :ivar happens: what happens right before which command (counted from 0).
    :ivar is_prompt: whether signals arrive after each command, or only when all commands are done.
    """

    def __init__(self, fake: FakeEngine, happens: dict[int, Callable[[], None]], *, is_prompt: bool) -> None:
        self.fake = fake
        self.happens = happens
        self.is_prompt = is_prompt
        self.commands: list[Effect] = []
        self.deliver: Callable[[], None] = lambda: None

    async def _do(self, effect: Effect, channels: Sequence[Channel] | None = None) -> None:
        self.commands.append(effect)
        self.happens.get(len(self.commands) - 1, lambda: None)()
        await self._signals()
        if any(one not in self.fake.channels for one in ([effect.channel] if channels is None else channels)):
            raise ChannelGone("no such channel")
        self.fake.perform([effect])
        await self._signals()

    async def _signals(self) -> None:
        await asyncio.sleep(0)
        if self.is_prompt:
            self.deliver()

    async def take_control(self, channels: Sequence[Channel], leaving: Channel | None = None) -> None:
        needed = [one for one in channels if one != leaving]
        await self._do(TakeControl(tuple(channels), leaving), needed)

    async def keep_when_left(self, channels: Sequence[Channel]) -> None:
        pass

    async def originate(self, originate: Originate) -> None:
        await self._do(OriginateLeg(originate), [])

    async def hangup(self, channel: Channel, cause: int) -> None:
        await self._do(Hangup(channel, cause))

    async def play_files(self, channel: Channel, play_id: str, files: Sequence[str]) -> None:
        await self._do(PlayFiles(channel, play_id, tuple(files)))

    async def stop_play(self, channel: Channel, play_id: str) -> None:
        await self._do(StopPlay(channel, play_id))

    async def start_music(self, channel: Channel, file: str | None = None) -> None:
        await self._do(Music(channel, file))

    async def open_bridge(self, bridge: Bridge) -> None:
        pass

    async def close_bridge(self, bridge: Bridge) -> None:
        pass

    async def join(self, bridge: Bridge, channel: Channel, ends_with: Channel | None = None) -> None:
        await self._do(Join(channel, bridge, ends_with))

    async def leave(self, bridge: Bridge, channel: Channel) -> None:
        await self._do(Leave(channel, bridge))

    async def start_recording(self, channel: Channel, tag: str, part: int = 1) -> None:
        await self._do(RecordVoice(channel, on=True, part=part))

    async def stop_recording(self, channel: Channel) -> None:
        await self._do(RecordVoice(channel, on=False))

    async def answer_transfer(self, channel: Channel, *, is_done: bool) -> None:
        await self._do(AnswerTransfer(channel, is_done))


class Calls:
    """Anna talks with a customer, and in a second call with Dora."""

    def __init__(self, tmp_path: Path, moment: int, *, is_prompt: bool, is_second: bool, leaves: str) -> None:
        first = talk()
        self.engine = MomentEngine(first.engine, {}, is_prompt=is_prompt)
        simulations = [first]
        if is_second:
            second = CallSimulation(first.account, online=[c.ANNA_LINE, c.DORA_LINE])
            second.engine, second.ids, second.clock = first.engine, first.ids, first.clock
            second.dial(c.ANNA_LINE, DORA)
            second.answer(c.DORA_LINE)
            simulations.append(second)
        first.at(20)
        self.switch = Switch(
            node=1,
            directory=lambda: Directory({c.ACCOUNT: first.account}),
            writer=FakeWriter(),  # type: ignore[arg-type]
            executor=lambda one: EffectExecutor(self.engine, tmp_path, one.effect_failed),  # type: ignore[arg-type]
            clock=lambda: first.clock,
        )
        self.switch.presence.registrations_known = True
        for login in (c.ANNA_LINE, c.DORA_LINE):
            self.switch.presence.register(registered(login, first))
        for one in simulations:
            self.switch.restore(one.session, one.events)
        self.sessions = [one.session for one in simulations]
        self.engine.deliver = self.deliver
        own = [self.own(one).channel for one in self.sessions]
        gone = {"both": own, "first": own[:1], "second": own[1:]}[leaves]
        self.engine.happens[moment] = lambda: self.hang_up(gone)

    @property
    def first(self) -> Session:
        return self.sessions[0]

    @property
    def fake(self) -> FakeEngine:
        return self.engine.fake

    def own(self, session: Session) -> Leg:
        return next(
            one
            for one in session.legs.values()
            if c.ANNA_LINE in (one.called_phone_number, one.calling_phone_number)
        )

    def hang_up(self, channels: Sequence[Channel]) -> None:
        for channel in channels:
            if channel in self.fake.channels:
                self.fake.hang_up(channel)

    def deliver(self) -> None:
        pending: list[Signal] = self.fake.pending
        while pending:
            self.switch.handle(pending.pop(0))

    async def settled(self) -> None:
        """All commands are done, and all signals are handled."""
        for _ in range(2000):
            await asyncio.sleep(0)
            transfers = self.switch._phone_transfers._tasks
            if not transfers and not self.switch._executor.busy:
                if not self.fake.pending:
                    return
                self.deliver()
        raise AssertionError("it does not come to an end")

    @property
    def ringing(self) -> list[Channel]:
        return [one.channel for one in self.fake.channels.values() if one.originated and not one.answered]

    def is_over(self) -> bool:
        """Whether all calls ended, each with a reason, and nobody is left on a line."""
        assert all((one.phase is Phase.ENDED) == (not one.living) for one in self.sessions)
        if any(one.phase is not Phase.ENDED for one in self.sessions):
            return False
        assert not self.fake.channels
        assert all(one.finish["finish_reason"] for one in self.sessions)
        return True

    def check_nobody_waits(self) -> None:
        """Each call that did not end is a talk of two who hear each other."""
        for one in self.sessions:
            assert one.phase is Phase.ENDED or one.talking
            assert all(len(self.fake.hearing(leg.channel)) == 1 for leg in one.living)
        assert len(self.fake.channels) == sum(len(one.living) for one in self.sessions)

    def hearing(self) -> set[str]:
        """What the contact hears, as the only one besides the one it hears."""
        contact = self.first.contact
        assert contact is not None
        return self.fake.hearing(contact.channel)


def registered(login: str, simulation: CallSimulation) -> Registered:
    at = simulation.context().now
    contact = f"sip:{login}@192.0.2.9"
    return Registered(at, login, contact, "192.0.2.9", 5060, "udp", "", None, None, reachable=True)


def asked(calls: Calls, on: int, to: str | None) -> None:
    own = [calls.own(one).channel for one in calls.sessions]
    other = own[1 - on] if to is None else None
    calls.switch.handle(TransferAsked(own[on], calls.fake.at(), to, other))


MOMENTS = range(14)
both_ways = pytest.mark.parametrize("is_prompt", [True, False])
"""Whether signals arrive while the commands are carried out, or afterwards."""


@both_ways
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("leaves", ["both", "first", "second"])
@pytest.mark.parametrize("on", [0, 1])
async def test_an_attended_transfer(
    tmp_path: Path, on: int, leaves: str, moment: int, is_prompt: bool
) -> None:
    calls = Calls(tmp_path, moment, is_prompt=is_prompt, is_second=True, leaves=leaves)
    asked(calls, on, None)
    await calls.settled()
    if (moment < 2 and calls.sessions[1].phase is not Phase.ENDED) or calls.first.phase is Phase.ENDED:
        # The engine ended a talk with the phone, before the switch controlled it: the other talk, if any, goes on.
        assert moment < 2
        calls.check_nobody_waits()
        return
    if leaves == "second" and moment < 2 and calls.hearing() == {c.ANNA_LINE}:
        calls.check_nobody_waits()
        return
    assert calls.hearing() == {c.DORA_LINE}
    assert len(calls.fake.channels) == 2
    assert {one.role for one in calls.first.living} == {Role.CONTACT, Role.EMPLOYEE}
    assert calls.sessions[1].phase is Phase.ENDED
    assert calls.first.talking
    calls.fake.hang_up(calls.first.living[0].channel)
    await calls.settled()
    assert calls.is_over()


@both_ways
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("how", ["phone", "api"])
async def test_a_blind_transfer(tmp_path: Path, how: str, moment: int, is_prompt: bool) -> None:
    calls = Calls(tmp_path, moment, is_prompt=is_prompt, is_second=False, leaves="first")
    if how == "phone":
        asked(calls, 0, DORA)
    else:
        await command(calls, "transfer_talk", {"contact": DORA}, may_fail=moment == 0)
    await calls.settled()
    if moment == 0 and calls.is_over():
        return
    assert calls.hearing() == {"music"}
    [third] = calls.ringing
    calls.fake.answer(third)
    await calls.settled()
    assert calls.hearing() == {c.DORA_LINE}
    assert len(calls.fake.channels) == 2
    assert calls.first.talking


@pytest.mark.parametrize("how", ["attended", "blind", "refused"])
async def test_the_phone_hangs_up_before_the_transfer_begins(tmp_path: Path, how: str) -> None:
    """With the 202: the engine keeps whom it left, and the end of its calls is handled after the transfer."""
    calls = Calls(tmp_path, 99, is_prompt=True, is_second=how == "attended", leaves="both")
    calls.fake.keeps_left = True
    asked(calls, 0, {"attended": None, "blind": DORA, "refused": "000"}[how])
    calls.hang_up([calls.own(one).channel for one in calls.sessions])
    calls.deliver()
    await calls.settled()
    if how == "refused":
        assert calls.is_over()
        return
    if how == "blind":
        [third] = calls.ringing
        calls.fake.answer(third)
        await calls.settled()
    assert calls.hearing() == {c.DORA_LINE}
    assert len(calls.fake.channels) == 2
    assert calls.first.talking
    calls.fake.hang_up(calls.first.living[0].channel)
    await calls.settled()
    assert calls.is_over()


@pytest.mark.parametrize("who", ["operator", "contact"])
async def test_whom_the_other_party_left_is_hung_up(tmp_path: Path, who: str) -> None:
    """The engine keeps the party for a moment, the switch does not."""
    calls = Calls(tmp_path, 99, is_prompt=True, is_second=False, leaves="both")
    calls.fake.keeps_left = True
    contact = calls.first.contact
    assert contact is not None
    calls.hang_up([calls.own(calls.first).channel if who == "operator" else contact.channel])
    await calls.settled()
    assert calls.is_over()


@both_ways
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_contact_that_is_given_to_a_scenario(tmp_path: Path, moment: int, is_prompt: bool) -> None:
    calls = Calls(tmp_path, moment, is_prompt=is_prompt, is_second=False, leaves="first")
    await command(calls, "run_scenario", {"scenario_id": c.FULL}, may_fail=moment == 0)
    await calls.settled()
    if moment == 0 and calls.is_over():
        return
    assert calls.hearing() == {"message"}
    assert len(calls.fake.channels) == 1


async def command(calls: Calls, name: str, params: dict[str, Any], *, may_fail: bool) -> None:
    try:
        await calls.switch.command(
            c.ACCOUNT, name, {"call_session_id": calls.first.call_session_id, **params}
        )
    except Exception:
        if not may_fail:
            raise


@pytest.mark.parametrize("failure", [EffectRefused("no"), EffectTimedOut("no")])
@pytest.mark.parametrize("kind", ["attended", "blind", "scenario"])
async def test_who_cannot_be_connected_is_not_left_in_silence(
    tmp_path: Path, kind: str, failure: EngineError
) -> None:
    """The engine fails the command on which all others depend, after the operator has left the call."""
    calls = Calls(tmp_path, 99, is_prompt=True, is_second=kind == "attended", leaves="first")
    taken: list[int] = []
    take = calls.engine.take_control
    fails_at = 2 if kind == "attended" else 1

    async def take_control(channels: Sequence[Channel], leaving: Channel | None = None) -> None:
        taken.append(len(taken))
        if len(taken) > fails_at:
            raise failure
        await take(channels, leaving)

    vars(calls.engine)["take_control"] = take_control
    if kind == "scenario":
        await command(calls, "run_scenario", {"scenario_id": c.FULL}, may_fail=True)
    else:
        asked(calls, 0, None if kind == "attended" else DORA)
    await calls.settled()
    assert len(taken) == fails_at + 1
    assert calls.is_over()
    assert calls.first.finish["finish_reason"] == "internal_error"


async def test_a_refused_transfer_leaves_nobody_in_silence(tmp_path: Path) -> None:
    """The second talk cannot be taken under control: both talks go on."""
    calls = Calls(tmp_path, 99, is_prompt=True, is_second=True, leaves="both")
    take = calls.engine.take_control
    count: list[int] = []

    async def take_control(channels: Sequence[Channel], leaving: Channel | None = None) -> None:
        count.append(1)
        if len(count) == 2:
            raise EffectRefused("no")
        await take(channels, leaving)

    vars(calls.engine)["take_control"] = take_control
    asked(calls, 1, None)
    await calls.settled()
    assert calls.hearing() == {c.ANNA_LINE}
    assert len(calls.fake.channels) == 4
    assert all(one.talking for one in calls.sessions)


def test_a_party_that_is_not_called_is_not_waited_for() -> None:
    """Its call was left out with the command it depends on: no signal of it comes."""
    simulation = talk()
    simulation.command("transfer_talk", contact=DORA, flow=False)
    third = simulation.ringing(c.DORA_LINE)
    effect = next(one for one in simulation.engine.done if isinstance(one, OriginateLeg))
    del simulation.engine.channels[third]
    decision = rules.effect_failed(simulation.session, effect, EffectRefused("no"), simulation.context())
    simulation.take(decision)
    simulation.flow()
    assert simulation.end["finish_reason"]
