"""Executes effects on the engine: in order for each session, sessions concurrently."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from trunkline.calls.effects import (
    Answer,
    AnswerTransfer,
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
from trunkline.core import engine_values, metrics
from trunkline.core.engine_values import BadEngineValue, CallTag, EngineValue, MediaPath
from trunkline.core.errors import (
    ChannelGone,
    EffectRefused,
    EffectTimedOut,
    EngineError,
    EngineUnavailable,
    NoChannelFree,
)
from trunkline.core.hangup_causes import SWITCH_CONGESTION
from trunkline.core.log import get_logger
from trunkline.core.tasks import item_task
from trunkline.telephony.port import Bridge, Channel, Engine

EFFECTS_WAIT_SECONDS = 1.0
"""How long the effects of a decision wait for its events to be kept (:data:`trunkline.events.catalogue.KEPT_FIRST`);
then they are carried out without that, so that calls go on while PostgreSQL does not respond."""

OUTCOMES = {
    ChannelGone: "gone",
    NoChannelFree: "no_channel",
    EffectRefused: "refused",
    EffectTimedOut: "timed_out",
    EngineUnavailable: "unavailable",
}
"""Label of the metric of effects by kind of failure; ``done`` without one."""

_V = TypeVar("_V", bound=EngineValue)
_log = get_logger("calls")

Failed = Callable[[int, Effect, EngineError], None]
"""Called when the engine did not carry out an effect: session id, effect, one of the kinds of failure."""


class EffectOutcome:
    """What became of the effects of one command."""

    def __init__(self) -> None:
        self.failure: EngineError | None = None
        """Of the first required effect that failed. A hang-up of a channel that is gone has not failed."""
        self._left = 0
        self._settled = asyncio.Event()
        self._settled.set()

    def expect(self, count: int) -> None:
        """So many more effects are to come."""
        self._left += count
        if count:
            self._settled.clear()

    def note(self, effect: Effect, failure: EngineError | None) -> None:
        """One effect is done, or has failed."""
        is_done = isinstance(effect, Hangup) and isinstance(failure, ChannelGone)
        if effect.policy.required and not is_done:
            self.failure = self.failure or failure
        self._left -= 1
        if not self._left:
            self._settled.set()

    async def wait_done(self, seconds: float) -> None:
        """Return when all is done; :class:`EffectTimedOut` when that takes longer."""
        try:
            await asyncio.wait_for(self._settled.wait(), seconds)
        except TimeoutError:
            raise EffectTimedOut(f"Asterisk did not carry out the command within {seconds:.0f} s") from None


@dataclass(slots=True)
class _Batch:
    """The effects of one decision."""

    outcome: EffectOutcome | None
    kept: Callable[[], Awaitable[None]] | None = None
    """What they wait for."""
    wait_until: float = 0.0
    """Loop time at which they do not wait any longer."""
    is_stopped: bool = False


class EffectExecutor:
    """Performs effects. A channel that is gone needs nothing more: that is normal in races, and ignored."""

    def __init__(
        self, engine: Engine, spool_dir: Path, failed: Failed, is_fenced: Callable[[], bool] = lambda: False
    ) -> None:
        """``is_fenced``: whether another switch commands the engine now; nothing is performed then."""
        self._is_fenced = is_fenced
        self._engine = engine
        self._spool_dir = spool_dir
        self._failed = failed
        self.admit: Callable[[int, Effect], Effect] = lambda _call_session_id, effect: effect
        """Called with the session id and each effect right before it is performed; returns what is performed instead, or
        raises an :class:`EngineError` when nothing may be."""
        self.ring_commanded: Callable[[int], None] = lambda _call_session_id: None
        """Called with the session id when the engine has the command to ring a phone."""
        self._queues: dict[int, deque[tuple[Effect, _Batch]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals = 0

    def perform(
        self,
        call_session_id: int,
        effects: Sequence[Effect],
        outcome: EffectOutcome | None = None,
        kept: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Queue the effects of a decision; never waits.

        :param outcome: gets what becomes of them.
        :param kept: waits until the events of the decision survive a kill of this process: they are in a file, else in
            PostgreSQL. The effects are carried out afterwards, or ``EFFECTS_WAIT_SECONDS`` after this call.
        """
        if not effects:
            return
        if outcome is not None:
            outcome.expect(len(effects))
        batch = _Batch(outcome)
        if kept is not None:
            batch.kept, batch.wait_until = kept, asyncio.get_running_loop().time() + EFFECTS_WAIT_SECONDS
        queued = [(effect, batch) for effect in effects]
        queue = self._queues.get(call_session_id)
        if queue is not None:
            queue.extend(queued)
            return
        queue = self._queues[call_session_id] = deque(queued)
        item_task(self._drain(call_session_id, queue), name="effects", among=self._tasks)

    async def wait_engine_up(self, seconds: float) -> None:
        """Return when commands can be sent: a connection that just broke is back in a moment.

        :raises EngineUnavailable: not within this time.
        """
        try:
            await self._engine.wait_up(seconds)
        except TimeoutError:
            raise EngineUnavailable(
                "Asterisk is not connected now: nobody was called. Try again in a few seconds."
            ) from None

    async def take_control(self, channels: tuple[Channel, ...], leaving: Channel | None = None) -> None:
        """Take control of channels that the engine connected, before anything is decided that needs it.

        :param leaving: the one of them that is not needed: when it has hung up, the others come under control without it.
        :raises EngineError: it was not done; the channels are where they were, or their end follows as a signal.
        """
        await self._engine.take_control(channels, leaving)

    async def keep_when_left(self, channels: Sequence[Channel]) -> None:
        """Parties that the engine keeps for a switch when the other one has hung up; without that, for half a second."""
        try:
            await self._engine.keep_when_left(channels)
        except EngineError as error:
            _log.debug("parties_not_kept", channels=list(channels), error=str(error))

    def refuse_channel(self, channel: Channel, cause: int = SWITCH_CONGESTION) -> None:
        """Hang up a channel that belongs to no session; never waits for another one.

        :param cause: Q.850.
        """
        self._refusals += 1
        self.perform(
            -self._refusals, [Hangup(channel, cause)]
        )  # no session has a negative id: each is in a queue of its own

    def has_pending(self, call_session_id: int) -> bool:
        """Whether effects of a session are under way or queued."""
        return call_session_id in self._queues

    @property
    def busy(self) -> int:
        """Sessions with effects under way."""
        return len(self._queues)

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drain(self, call_session_id: int, queue: deque[tuple[Effect, _Batch]]) -> None:
        try:
            while queue:
                effect, batch = queue[0]
                if batch.kept is not None:
                    await self._wait_kept(batch.kept, batch.wait_until)
                    batch.kept = None
                queue.popleft()
                failure: EngineError | None = None
                if self._is_fenced():
                    failure = EngineUnavailable("another switch commands the engine now")
                elif effect.channel and batch.is_stopped and not isinstance(effect, Hangup):
                    self._skip(call_session_id, effect)
                elif effect.channel:
                    failure = await self._perform_and_report(call_session_id, effect)
                    batch.is_stopped = batch.is_stopped or (
                        failure is not None and effect.policy.stops_decision
                    )
                if batch.outcome is not None:
                    batch.outcome.note(effect, failure)
        finally:
            self._queues.pop(call_session_id, None)

    @staticmethod
    async def _wait_kept(kept: Callable[[], Awaitable[None]], until: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await kept()

    async def _perform_and_report(self, call_session_id: int, effect: Effect) -> EngineError | None:
        """Perform an effect; what went wrong, after its compensation was queued."""
        try:
            await self._send_checked(call_session_id, effect)
        except EngineError as error:
            _count(effect, error)
            named = {"effect": type(effect).__name__, "channel": effect.channel, "error": str(error)}
            if isinstance(error, ChannelGone):
                _log.debug("effect_too_late", call_session_id=call_session_id, **named)
            else:
                _log.warning(
                    "effect_failed",
                    call_session_id=call_session_id,
                    kind=type(error).__name__,
                    compensation=effect.policy.compensation(error),
                    consequence="the call goes on as `compensation` names it",
                    **named,
                )
            self._call_back(call_session_id, effect, partial(self._failed, call_session_id, effect, error))
            return error
        _count(effect, None)
        if isinstance(effect, ConnectTargets | OriginateLeg):
            self._call_back(call_session_id, effect, partial(self.ring_commanded, call_session_id))
        return None

    def _call_back(self, call_session_id: int, effect: Effect, callback: Callable[[], None]) -> None:
        """A callback that raises must not drop the later effects of the call, of which one may be its hang-up."""
        try:
            callback()
        except Exception:
            _log.exception(
                "effect_callback_failed",
                call_session_id=call_session_id,
                effect=type(effect).__name__,
                channel=effect.channel,
                consequence="the call goes on as if the effect had been carried out",
                remedy="report this line with its traceback",
            )

    def _skip(self, call_session_id: int, effect: Effect) -> None:
        """An effect that depends on one that failed is left out. No signal would ever end a leg that is not called."""
        if isinstance(effect, OriginateLeg):
            _log.warning(
                "leg_not_called",
                call_session_id=call_session_id,
                channel=effect.channel,
                reason="the parties of the talk did not come under the control of the switch",
                consequence="the party counts as not reached",
            )
            error = EffectRefused("the talk is not controlled by the switch")
            self._call_back(call_session_id, effect, partial(self._failed, call_session_id, effect, error))

    async def _send_checked(self, call_session_id: int, effect: Effect) -> None:
        """Whatever goes wrong is one of the kinds of failure, so that the call does not wait for this effect for ever.

        :raises EngineError: the effect was not carried out.
        """
        try:
            await self._send(call_session_id, self.admit(call_session_id, effect))
        except EngineError:
            raise
        except TimeoutError as error:
            raise EffectTimedOut(repr(error)) from error
        except OSError as error:
            raise EffectRefused(str(error)) from error
        except Exception as error:
            _log.exception(
                "effect_raised",
                call_session_id=call_session_id,
                effect=type(effect).__name__,
                channel=effect.channel,
                consequence="it counts as refused by Asterisk",
                remedy="report this line with its traceback",
            )
            raise EffectRefused(repr(error)) from error

    async def _send(self, call_session_id: int, effect: Effect) -> None:
        engine = self._engine
        match effect:
            case Answer(channel):
                await engine.answer(channel)
            case PlayFiles(channel, play_id, files):
                await engine.play_files(channel, play_id, [_value(MediaPath, file) for file in files])
            case RecordMessage(channel, record_id, path, max_seconds, silence_seconds, note):
                target = self._spool_dir / path
                await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
                await engine.record_message(
                    channel, record_id, str(target), max_seconds, silence_seconds, beep=False, note=note
                )
            case StopMessage(channel, record_id):
                await engine.stop_message(channel, record_id)
            case ConnectTargets(channel, connect):
                await engine.connect(channel, connect)
            case OriginateLeg(originate):
                await engine.originate(originate)
            case PickUp(channel, ringing):
                await engine.pick_up(channel, ringing)
            case Hangup(channel, cause):
                await engine.hangup(channel, cause)
            case _:
                await self._send_controlled(call_session_id, effect)

    async def _send_controlled(self, call_session_id: int, effect: Effect) -> None:
        """Effects on conversations that the switch controls."""
        engine = self._engine
        match effect:
            case TakeControl(channels, leaving):
                await engine.take_control(channels, leaving)
            case StopPlay(channel, play_id):
                await engine.stop_play(channel, play_id)
            case Music(channel, file):
                await engine.start_music(channel, None if file is None else _value(MediaPath, file))
            case StopMusic(channel):
                await engine.stop_music(channel)
            case Join(channel, bridge, ends_with):
                await engine.open_bridge(bridge)
                await engine.join(bridge, channel, ends_with)
            case Leave(channel, bridge):
                await engine.leave(bridge, channel)
            case SendKeys(channel, keys):
                await engine.send_keys(channel, _value(engine_values.Keys, keys))
            case RecordVoice(channel, on, part):
                if on:
                    await engine.start_recording(channel, CallTag(str(call_session_id)), part)
                else:
                    await engine.stop_recording(channel)
            case AnswerTransfer(channel, is_done):
                await engine.answer_transfer(channel, is_done=is_done)
            case Supervise(channel, target, mode):
                await engine.supervise(channel, target, mode)
            case PlayIntoTalk(channel, file):
                await engine.play_into_talk(channel, _value(MediaPath, file))
            case StopPlayIntoTalk(channel):
                await engine.stop_playing_into_talk(channel)
            case _:
                raise TypeError(f"no way to perform {effect!r}")

    def close_bridges(self, bridges: Sequence[Bridge]) -> None:
        """Remove the bridges of a session that has ended."""
        item_task(self._close(bridges), name="close-bridges", among=self._tasks)

    async def _close(self, bridges: Sequence[Bridge]) -> None:
        for bridge in bridges:
            with contextlib.suppress(EngineError):
                await self._engine.close_bridge(bridge)


def _count(effect: Effect, failure: EngineError | None) -> None:
    outcome = "done"
    if failure is not None:
        outcome = next((name for kind, name in OUTCOMES.items() if isinstance(failure, kind)), metrics.OTHER)
    metrics.EFFECTS.labels(type(effect).__name__, outcome).inc()


def _value(kind: type[_V], text: str) -> _V:
    try:
        return kind(text)
    except BadEngineValue as error:
        raise EffectRefused(str(error)) from error
