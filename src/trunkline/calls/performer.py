"""Effects onto the engine: in order for each session, sessions beside one another."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from trunkline.calls.effects import (
    Answer,
    Call,
    Dial,
    Effect,
    Hangup,
    Join,
    Keys,
    Leave,
    Music,
    PlayFiles,
    RecordMessage,
    RecordVoice,
    StopPlay,
    Supervise,
    Take,
)
from trunkline.core.errors import ChannelGone, EngineError
from trunkline.core.log import get_logger
from trunkline.core.tasks import item_task
from trunkline.telephony.port import Bridge, Channel, Engine

_log = get_logger("calls")

Refused = Callable[[int, Channel], None]
"""Told when the engine refused an effect on a channel that should live: session id, channel."""


class Performer:
    """Performs effects. A channel that is gone needs nothing more: that is normal in races, and ignored."""

    def __init__(self, engine: Engine, spool_dir: Path, refused: Refused) -> None:
        self._engine = engine
        self._spool_dir = spool_dir
        self._refused = refused
        self._queues: dict[int, deque[Effect]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def perform(self, call_session_id: int, effects: Sequence[Effect]) -> None:
        """Queue effects; never waits."""
        if not effects:
            return
        queue = self._queues.get(call_session_id)
        if queue is not None:
            queue.extend(effects)
            return
        queue = self._queues[call_session_id] = deque(effects)
        item_task(self._drain(call_session_id, queue), name="effects", among=self._tasks)

    def hang_up_stranger(self, channel: Channel) -> None:
        """Turn away a call that has no session (Q.850 42, congestion)."""
        self.perform(0, [Hangup(channel, 42)])

    @property
    def busy(self) -> int:
        """Sessions with effects under way."""
        return len(self._queues)

    async def settle(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drain(self, call_session_id: int, queue: deque[Effect]) -> None:
        try:
            while queue:
                effect = queue.popleft()
                channel = effect.originate.channel if isinstance(effect, Call) else effect.channel
                if not channel:
                    continue
                try:
                    await self._do(call_session_id, effect)
                except EngineError as error:
                    if isinstance(error, ChannelGone):
                        _log.debug(
                            "effect_too_late",
                            call_session_id=call_session_id,
                            effect=type(effect).__name__,
                            channel=channel,
                            error=str(error),
                        )
                    else:
                        _log.warning(
                            "effect_refused",
                            call_session_id=call_session_id,
                            effect=type(effect).__name__,
                            channel=channel,
                            error=str(error),
                        )
                        if not isinstance(effect, Hangup):
                            # A refused hang-up is done when the engine is back (recovery): asking again now
                            # would only go round.
                            self._refused(call_session_id, channel)
        finally:
            self._queues.pop(call_session_id, None)

    async def _do(self, call_session_id: int, effect: Effect) -> None:
        engine = self._engine
        match effect:
            case Answer(channel):
                await engine.answer(channel)
            case PlayFiles(channel, play_id, files):
                await engine.play(channel, play_id, files)
            case RecordMessage(channel, record_id, path, max_seconds, silence_seconds):
                target = self._spool_dir / path
                await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
                await engine.record(channel, record_id, str(target), max_seconds, silence_seconds, beep=False)
            case Dial(channel, connect):
                await engine.connect(channel, connect)
            case Call(originate):
                await engine.originate(originate)
            case Hangup(channel, cause):
                await engine.hangup(channel, cause)
            case _:
                await self._do_managed(call_session_id, effect)

    async def _do_managed(self, call_session_id: int, effect: Effect) -> None:
        """Effects on conversations in our own hands."""
        engine = self._engine
        match effect:
            case Take(channels):
                await engine.take(channels)
            case StopPlay(channel, play_id):
                await engine.stop_play(channel, play_id)
            case Music(channel, file):
                await engine.start_music(channel, file)
            case Join(channel, bridge):
                await engine.open_bridge(bridge)
                await engine.join(bridge, channel)
            case Leave(channel, bridge):
                await engine.leave(bridge, channel)
            case Keys(channel, keys):
                await engine.send_keys(channel, keys)
            case RecordVoice(channel, on, part):
                if on:
                    await engine.start_recording(channel, str(call_session_id), part)
                else:
                    await engine.stop_recording(channel)
            case Supervise(channel, target, mode):
                await engine.supervise(channel, target, mode)
            case _:
                raise TypeError(f"no way to perform {effect!r}")

    def close_bridges(self, bridges: Sequence[Bridge]) -> None:
        """Remove the bridges of a session that has ended."""
        item_task(self._close(bridges), name="close-bridges", among=self._tasks)

    async def _close(self, bridges: Sequence[Bridge]) -> None:
        for bridge in bridges:
            with contextlib.suppress(EngineError):
                await self._engine.close_bridge(bridge)
