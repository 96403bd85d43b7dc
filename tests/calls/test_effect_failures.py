"""Every effect with every kind of failure: what the rules do instead, and what the command returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
import structlog

from tests.calls import company as c
from tests.calls.restarted_node import FakeWriter
from tests.calls.simulation import CallSimulation
from tests.calls.test_any_command import settled
from tests.calls.test_consultation import DORA, anna, contact, dialing, hold, phase_of, talk
from trunkline.calls import rules
from trunkline.calls.effects import (
    Answer,
    AnswerTransfer,
    Compensation,
    ConnectTargets,
    Effect,
    Hangup,
    Join,
    Leave,
    Music,
    OriginateLeg,
    PickUp,
    PlayFiles,
    PlayIntoTalk,
    Policy,
    RecordMessage,
    RecordVoice,
    SendKeys,
    StopMessage,
    StopMusic,
    StopPlay,
    StopPlayIntoTalk,
    Supervise,
    TakeControl,
)
from trunkline.calls.flows.channel_quota import share
from trunkline.calls.flows.consultation import talk_bridge
from trunkline.calls.session import Phase
from trunkline.calls.states import Connecting, ControlledLate
from trunkline.calls.switch.executor import EffectExecutor, EffectOutcome
from trunkline.calls.switch.switch import Switch
from trunkline.core.engine_values import CallTag, EndpointName
from trunkline.core.errors import (
    ChannelGone,
    EffectRefused,
    EffectTimedOut,
    EngineError,
    EngineUnavailable,
    InvalidState,
    LimitExceeded,
    NoChannelFree,
    NotCarriedOut,
    SwitchInterrupted,
    TrunklineError,
)
from trunkline.core.hangup_causes import SWITCH_CONGESTION
from trunkline.directory.model import Directory
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import (
    Bridge,
    Channel,
    Connect,
    ControlTaken,
    Endpoint,
    EndpointKind,
    Originate,
    Supervision,
    Target,
)

KINDS = (ChannelGone, EffectRefused, EffectTimedOut, EngineUnavailable)
EFFECTS: tuple[type[Any], ...] = get_args(Effect)
MOBILE = Target.of(Endpoint(EndpointKind.TRUNK, EndpointName("trunk-1")), c.CUSTOMER)


def _coached() -> CallSimulation:
    simulation = talk()
    simulation.command("add_coach", phone_number=DORA)
    simulation.answer(c.DORA_LINE)
    return simulation


def _recorded() -> CallSimulation:
    simulation = talk()
    assert any(leg.is_recorded for leg in simulation.session.living)
    return simulation


def _greeted() -> CallSimulation:
    return CallSimulation().arrive(c.FULL)


def _ringing() -> CallSimulation:
    simulation = _greeted()
    simulation.engine.played(simulation.channel)
    simulation.flow()
    assert simulation.session.connecting_channel == simulation.channel
    return simulation


def _undo(simulation: CallSimulation, effect: Effect) -> None:
    """The engine did nothing of it."""
    simulation.engine.pending.clear()
    match effect:
        case OriginateLeg():
            simulation.engine.channels.pop(effect.channel)
        case ConnectTargets(channel):
            for target in simulation.engine.targets(channel):
                del simulation.engine.channels[target.channel]
            simulation.engine.channels[channel].connect = None
        case PlayFiles(channel):
            simulation.engine.channels[channel].play = None


def _coach(simulation: CallSimulation) -> Channel:
    return next(leg.channel for leg in simulation.session.living if leg.role == "coach")


CASES: dict[type[Any], tuple[Callable[[], CallSimulation], Callable[[CallSimulation], Effect]]] = {
    Answer: (talk, lambda simulation: Answer(contact(simulation))),
    PlayFiles: (hold, lambda simulation: PlayFiles(contact(simulation), "message", ("/x",))),
    StopPlay: (hold, lambda simulation: StopPlay(contact(simulation), "message")),
    StopMessage: (talk, lambda simulation: StopMessage(contact(simulation), "r")),
    RecordMessage: (talk, lambda simulation: RecordMessage(contact(simulation), "r", "x", 60, 5)),
    ConnectTargets: (_ringing, lambda simulation: ConnectTargets(simulation.channel, Connect([MOBILE], 20))),
    OriginateLeg: (
        dialing,
        lambda simulation: OriginateLeg(Originate(simulation.ringing(c.DORA_LINE), MOBILE, 20, CallTag(""))),
    ),
    PickUp: (_ringing, lambda simulation: PickUp(simulation.channel, Channel("another"))),
    Hangup: (talk, lambda simulation: Hangup(contact(simulation))),
    TakeControl: (_coached, lambda simulation: TakeControl((contact(simulation), anna(simulation)))),
    Music: (hold, lambda simulation: Music(contact(simulation))),
    StopMusic: (hold, lambda simulation: StopMusic(contact(simulation))),
    Join: (_coached, lambda simulation: Join(_coach(simulation), talk_bridge(simulation.session))),
    Leave: (hold, lambda simulation: Leave(contact(simulation), talk_bridge(simulation.session))),
    SendKeys: (talk, lambda simulation: SendKeys(contact(simulation), "1")),
    RecordVoice: (_recorded, lambda simulation: RecordVoice(contact(simulation), on=True, part=1)),
    AnswerTransfer: (hold, lambda simulation: AnswerTransfer(anna(simulation), is_done=True)),
    PlayIntoTalk: (talk, lambda simulation: PlayIntoTalk(anna(simulation), "/media/1")),
    StopPlayIntoTalk: (talk, lambda simulation: StopPlayIntoTalk(anna(simulation))),
    Supervise: (
        _coached,
        lambda simulation: Supervise(_coach(simulation), anna(simulation), Supervision.WHISPER),
    ),
}
"""Of each effect: a call in which it is usual, and the effect."""

ENDS_THE_CALL = {Compensation.END_CALL}


def test_each_effect_has_a_policy_and_a_case() -> None:
    assert set(CASES) == set(EFFECTS)
    for kind in EFFECTS:
        assert isinstance(kind.policy, Policy), f"{kind.__name__}: say what its failure means"


@pytest.mark.durability
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("effect_type", EFFECTS)
def test_what_each_failure_of_each_effect_does(effect_type: type[Any], kind: type[EngineError]) -> None:
    begin, make = CASES[effect_type]
    simulation = begin()
    effect, policy = make(simulation), effect_type.policy
    before, talking = phase_of(simulation), simulation.session.talking
    if kind is EffectRefused:
        _undo(simulation, effect)
    decision = rules.effect_failed(simulation.session, effect, kind("no"), simulation.context())
    assert decision.failure is None
    left_alone = kind is ChannelGone or (kind is EngineUnavailable and policy.resumed)
    compensation = policy.compensation(kind("no"))
    if left_alone or compensation is Compensation.NOTHING:
        assert not decision.events
        assert not decision.effects
    if compensation not in ENDS_THE_CALL:
        assert simulation.session.ending is None, "only what nothing can replace ends a call"
        assert simulation.session.talking == talking
    simulation.take(decision)
    simulation.flow()
    if effect_type is OriginateLeg and not left_alone:
        assert phase_of(simulation) is Phase.HOLD  # the third party is gone, the contact is still held
    elif compensation not in ENDS_THE_CALL and effect_type is not ConnectTargets:
        assert phase_of(simulation) is before
    if effect_type in (TakeControl, Join, Supervise) and not left_alone:
        assert not [leg for leg in simulation.session.living if leg.role == "coach"], "the coach leaves"
    if effect_type is RecordVoice and not left_alone:
        assert not simulation.session.legs[_leg_of(simulation, effect.channel)].is_recorded
    if compensation in ENDS_THE_CALL and not left_alone:
        assert simulation.end["finish_reason"] == "internal_error"
    settled(simulation)


def _leg_of(simulation: CallSimulation, channel: Channel) -> int:
    leg = simulation.session.leg_of(channel)
    assert leg is not None
    return leg.leg_id


@pytest.mark.parametrize("kind", KINDS)
def test_a_greeting_that_cannot_be_played_does_not_end_the_call(kind: type[EngineError]) -> None:
    simulation = _greeted()
    chan = simulation.engine.channels[simulation.channel]
    assert chan.play is not None
    effect = PlayFiles(simulation.channel, chan.play, ("x",))
    chan.play = None
    simulation.take(rules.effect_failed(simulation.session, effect, kind("no"), simulation.context()))
    assert simulation.session.ending is None
    assert (simulation.session.playing is None) == (kind in (EffectRefused, EffectTimedOut))


@pytest.mark.parametrize("kind", [EffectRefused, EffectTimedOut])
def test_a_talk_that_cannot_be_joined_again_stays_on_hold(kind: type[EngineError]) -> None:
    simulation = hold()
    simulation.command("unhold_call", flow=False)
    simulation.engine.pending.clear()
    effect = Join(contact(simulation), talk_bridge(simulation.session))
    simulation.take(rules.effect_failed(simulation.session, effect, kind("no"), simulation.context()))
    simulation.flow()
    assert phase_of(simulation) is Phase.HOLD
    assert not isinstance(simulation.session.state, Connecting)
    simulation.command("unhold_call")
    assert phase_of(simulation) is Phase.TALK


def test_a_refused_connect_goes_on_with_the_scenario() -> None:
    simulation = _ringing()
    effect = ConnectTargets(simulation.channel, Connect([MOBILE], 20))
    _undo(simulation, effect)
    simulation.take(
        rules.effect_failed(simulation.session, effect, EffectRefused("no"), simulation.context())
    )
    assert simulation.session.operation_key == "c"  # the voice mail that follows the group
    assert simulation.session.ending is None


class FailingEngine:
    """Fails each command it is given with ``failure``; the names of the commands are in ``asked``."""

    def __init__(self, failure: EngineError | None) -> None:
        self.failure = failure
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def command(*_: Any, **__: Any) -> None:
            self.asked.append(name)
            if self.failure is not None:
                raise self.failure

        return command


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("effect_type", EFFECTS)
async def test_the_outcome_of_a_command_has_the_failure_of_each_required_effect(
    effect_type: type[Any], kind: type[EngineError], tmp_path: Path
) -> None:
    begin, make = CASES[effect_type]
    effect = make(begin())
    failed: list[tuple[Effect, EngineError]] = []
    executor = EffectExecutor(FailingEngine(kind("no")), tmp_path, lambda _, *what: failed.append(what))
    outcome = EffectOutcome()
    executor.perform(1, [effect], outcome)
    await outcome.wait_done(5)
    [(reported, error)] = failed
    assert (reported, type(error)) == (effect, kind)
    is_done = effect_type is Hangup and kind is ChannelGone
    assert (outcome.failure is error) == (effect_type.policy.required and not is_done)


@pytest.mark.parametrize("fault", ["spool", "bug", "slow"])
async def test_an_effect_fails_as_a_value_whatever_goes_wrong(tmp_path: Path, fault: str) -> None:
    """Otherwise the caller of a voice mail would wait in silence, and later effects of the call would be lost."""
    engine, failures = FailingEngine(None), []
    raised = {"bug": ValueError("a bug"), "slow": TimeoutError()}.get(fault)

    async def record_message(*_: Any, **__: Any) -> None:
        if raised is not None:
            raise raised

    vars(engine)["record_message"] = record_message
    spool = tmp_path / "spool"
    if fault == "spool":
        spool.write_text("a file is in the place of the folder")
    executor = EffectExecutor(
        engine,
        spool,
        lambda call, effect, error: failures.append((call, type(effect), type(error))),
    )
    channel = Channel("one")
    executor.perform(7, [RecordMessage(channel, "7-1", "7/1-voice-mail.wav", 60, 5), Answer(channel)])
    await executor.drain()
    assert failures == [(7, RecordMessage, EffectTimedOut if fault == "slow" else EffectRefused)]
    assert engine.asked == ["answer"]


def test_a_third_party_that_gets_no_channel_has_that_reason() -> None:
    simulation = dialing()
    channel = simulation.ringing(c.DORA_LINE)
    effect = OriginateLeg(Originate(channel, MOBILE, 20, CallTag("")))
    _undo(simulation, effect)
    simulation.take(
        rules.effect_failed(simulation.session, effect, NoChannelFree("no"), simulation.context())
    )
    leg = simulation.session.leg_of(channel)
    assert leg is not None
    assert (leg.finish_reason, leg.cause) == ("no_resources", SWITCH_CONGESTION)
    assert phase_of(simulation) is Phase.HOLD


async def test_a_refusal_does_not_wait_for_the_hang_up_of_another(tmp_path: Path) -> None:
    """A node that was away refuses many calls at once; each hang-up may take as long as its time-out."""
    engine, begun, may_end = FailingEngine(None), [], asyncio.Event()

    async def hangup(channel: Channel, _cause: int) -> None:
        begun.append(channel)
        await may_end.wait()

    vars(engine)["hangup"] = hangup
    executor = EffectExecutor(engine, tmp_path, lambda *_: None)
    for name in ("one", "two"):
        executor.refuse_channel(Channel(name))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun == ["one", "two"]
    may_end.set()
    await executor.drain()


@pytest.mark.parametrize("callback", ["failed", "dialled"])
async def test_a_callback_that_raises_drops_no_later_effect(tmp_path: Path, callback: str) -> None:
    """Otherwise a party stays on a line that nobody commands, and the command waits for its time-out."""
    engine = FailingEngine(None)

    def raises(*_: Any) -> None:
        raise KeyError("a bug")

    async def originate(*_: Any) -> None:
        if callback == "failed":
            raise EffectRefused("no")

    vars(engine)["originate"] = originate
    executor = EffectExecutor(engine, tmp_path, raises)
    executor.ring_commanded = raises
    outcome, channel = EffectOutcome(), Channel("one")
    call = OriginateLeg(Originate(channel, MOBILE, 30, CallTag("7")))
    with structlog.testing.capture_logs() as logged:
        executor.perform(7, [call, Hangup(channel)], outcome)
        await outcome.wait_done(5)
    assert engine.asked == ["hangup"]
    [line] = [one for one in logged if one["log_level"] == "error"]
    assert (line["event"], line["call_session_id"]) == ("effect_callback_failed", 7)
    assert not executor.has_pending(7)


async def test_what_was_decided_is_written_and_done_though_it_cannot_be_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch, engine, journal, simulation = await _switch_in_talk(tmp_path)

    def raises(*_: Any) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(switch.presence, "apply", raises)
    with structlog.testing.capture_logs() as logged:
        await switch.command(c.ACCOUNT, "hold_call", {"call_session_id": simulation.session.call_session_id})
    await switch._executor.drain()
    assert phase_of(simulation) is Phase.HOLD
    assert journal.events
    assert "start_music" in engine.asked
    assert {one["call_session_id"] for one in logged if one["event"] == "decision_not_counted"} == {
        simulation.session.call_session_id
    }


async def test_what_builds_on_a_failed_effect_is_left_out_but_hang_ups_are_not(tmp_path: Path) -> None:
    engine = FailingEngine(EffectRefused("no"))
    executor = EffectExecutor(engine, tmp_path, lambda *_: None)
    one, other, third = (Channel(name) for name in "abc")
    outcome = EffectOutcome()
    executor.perform(
        1,
        [TakeControl((one, other)), Join(one, Bridge("b")), Join(other, Bridge("b")), Hangup(third)],
        outcome,
    )
    executor.perform(1, [Music(one)])
    await executor.drain()
    assert engine.asked == ["take_control", "hangup", "start_music"]
    assert isinstance(outcome.failure, EffectRefused)


# --- commands


async def _switch_in_talk(tmp_path: Path) -> tuple[Switch, FailingEngine, FakeWriter, CallSimulation]:
    simulation, engine, journal = talk(), FailingEngine(None), FakeWriter()
    switch = Switch(
        node=1,
        directory=lambda: Directory({c.ACCOUNT: simulation.account}),
        writer=journal,  # type: ignore[arg-type]
        executor=lambda one: EffectExecutor(engine, tmp_path, one.effect_failed),
        clock=lambda: simulation.clock,
    )
    switch.restore(simulation.session, simulation.events)
    return switch, engine, journal, simulation


REPORTED: dict[type[EngineError], type[TrunklineError]] = {
    ChannelGone: InvalidState,
    EffectRefused: NotCarriedOut,
    EffectTimedOut: SwitchInterrupted,
    EngineUnavailable: NotCarriedOut,
}
"""The error of a command by the failure of its effect: the client reads its message."""

NEEDS_CONTROL = [("hold_call", {}), ("transfer_talk", {"contact": DORA})]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "params"), NEEDS_CONTROL)
async def test_a_command_that_cannot_take_control_fails_and_leaves_the_talk_alone(
    name: str, params: dict[str, Any], kind: type[EngineError], tmp_path: Path
) -> None:
    switch, engine, journal, simulation = await _switch_in_talk(tmp_path)
    engine.failure = kind("no")
    expected = REPORTED[kind]
    with pytest.raises(TrunklineError) as raised:
        await switch.command(
            c.ACCOUNT, name, {"call_session_id": simulation.session.call_session_id, **params}
        )
    assert type(raised.value) is expected
    assert raised.value.mnemonic == ("invalid_state" if kind is ChannelGone else "internal_error")
    assert not journal.events
    assert (phase_of(simulation), simulation.session.talking, simulation.session.taking_control) == (
        Phase.TALK,
        True,
        False,
    )
    assert engine.asked == ["take_control"]
    engine.failure = None
    await switch.command(c.ACCOUNT, "hold_call", {"call_session_id": simulation.session.call_session_id})
    assert phase_of(simulation) is Phase.HOLD


@pytest.mark.durability
@pytest.mark.parametrize("kind", KINDS)
async def test_an_optional_effect_that_fails_does_not_fail_the_command(
    kind: type[EngineError], tmp_path: Path
) -> None:
    switch, engine, _, simulation = await _switch_in_talk(tmp_path)
    params = {"call_session_id": simulation.session.call_session_id, "dtmf_string": "5"}
    engine.failure = kind("no")
    await switch.command(c.ACCOUNT, "send_dtmf", params)
    assert engine.asked == ["send_keys"]
    assert simulation.session.talking


@pytest.mark.parametrize("kind", [EffectRefused, EffectTimedOut, EngineUnavailable])
async def test_a_release_that_was_not_carried_out_is_no_success(
    kind: type[EngineError], tmp_path: Path
) -> None:
    switch, engine, _, simulation = await _switch_in_talk(tmp_path)
    engine.failure = kind("no")
    with pytest.raises(REPORTED[kind]):
        await switch.command(
            c.ACCOUNT, "release_call", {"call_session_id": simulation.session.call_session_id}
        )


async def test_the_limit_of_channels_is_that_of_the_account(tmp_path: Path) -> None:
    """Not the channels of the one call that it refused something to."""
    switch, engine, _, simulation = await _switch_in_talk(tmp_path)
    engine.failure = NoChannelFree("no")
    params = {"call_session_id": simulation.session.call_session_id}
    switch.commands._admission._channels_max = 40
    with pytest.raises(LimitExceeded) as refused:
        await switch.command(c.ACCOUNT, "hold_call", params)
    assert refused.value.params["limit_max_value"] == share(2, 2, 40) == 32


async def test_two_commands_do_not_move_one_talk_at_once(tmp_path: Path) -> None:
    switch, engine, _, simulation = await _switch_in_talk(tmp_path)
    free = asyncio.Event()

    async def take_control(channels: Sequence[Channel], leaving: Channel | None = None) -> None:
        engine.asked.append("take_control")
        await free.wait()

    vars(engine)["take_control"] = take_control
    params = {"call_session_id": simulation.session.call_session_id}
    first = asyncio.ensure_future(switch.command(c.ACCOUNT, "hold_call", params))
    while not engine.asked:
        await asyncio.sleep(0)
    with pytest.raises(InvalidState):
        await switch.command(c.ACCOUNT, "hold_call", params)
    free.set()
    await first
    assert phase_of(simulation) is Phase.HOLD


async def test_a_party_that_hangs_up_while_control_is_taken_ends_the_call(tmp_path: Path) -> None:
    switch, engine, _, simulation = await _switch_in_talk(tmp_path)
    operator = anna(simulation)

    async def take_control(channels: Sequence[Channel], leaving: Channel | None = None) -> None:
        engine.asked.append("take_control")
        switch.gone(operator, simulation.context().now)

    vars(engine)["take_control"] = take_control
    with pytest.raises(InvalidState):
        await switch.command(c.ACCOUNT, "hold_call", {"call_session_id": simulation.session.call_session_id})
    assert simulation.session.ending is not None
    await switch._executor.drain()
    assert "hangup" in engine.asked


def test_parties_moved_after_the_command_had_failed_go_on_talking() -> None:
    simulation = talk()
    for channel in (contact(simulation), anna(simulation)):
        chan = simulation.engine.channels[channel]
        simulation.engine._leave(chan)
        chan.connect = chan.dialler = None
        simulation.engine.pending.append(_control_taken(simulation, channel))
    simulation.flow()
    assert phase_of(simulation) is Phase.TALK
    assert isinstance(simulation.session.state, ControlledLate)
    assert EventType.CALL_TAKEN in simulation.types
    assert {one.bridge for one in simulation.engine.channels.values()} == {talk_bridge(simulation.session)}
    simulation.hang_up()
    assert simulation.end


def _control_taken(simulation: CallSimulation, channel: Channel) -> Any:
    return ControlTaken(channel, simulation.engine.at())


@pytest.mark.parametrize("arrived_before", range(3))
def test_a_barge_in_whose_redirect_is_late_leaves_the_parties_talking(
    arrived_before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The redirect of the two timed out, but is carried out: before the failure is known, after it, or in two halves."""
    simulation = talk()
    simulation.command("add_coach", phone_number=DORA, mode="barge")
    with monkeypatch.context() as patch:
        patch.setattr(simulation.engine, "perform", lambda _: None)
        coach = simulation.answer(c.DORA_LINE)
    two = (contact(simulation), anna(simulation))
    simulation.engine.pending.clear()
    for channel in two:
        simulation.engine.channels[channel].connect = simulation.engine.channels[channel].dialler = None
        simulation.engine.channels[channel].bridge = None
    taken = [_control_taken(simulation, channel) for channel in two]
    for signal in taken[:arrived_before]:
        simulation.handle(signal)
    simulation.take(
        rules.effect_failed(simulation.session, TakeControl(two), EffectTimedOut("no"), simulation.context())
    )
    for signal in taken[arrived_before:]:
        simulation.handle(signal)
    simulation.flow()
    assert coach not in simulation.engine.channels
    assert {one.channel for one in simulation.engine.channels.values()} == set(two)
    assert {one.bridge for one in simulation.engine.channels.values()} == {talk_bridge(simulation.session)}
    assert simulation.session.talking
    assert EventType.TALK_ENDED not in simulation.types
    simulation.command("hold_call").command("unhold_call")
    assert phase_of(simulation) is Phase.TALK
    simulation.hang_up()
    assert simulation.end["finish_reason"] == "caller_disconnects"
