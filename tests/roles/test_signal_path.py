"""The heartbeat through the engine: when the switch is ready, when it reconnects, when it ends."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest

from tests.patience import PATIENCE
from trunkline.core.clock import Instant
from trunkline.core.errors import EngineError, EngineUnavailable
from trunkline.roles import signal_path
from trunkline.roles.signal_path import (
    EXIT_SECONDS,
    RECONNECT_SECONDS,
    RECOVERY_SECONDS,
    PathState,
    SignalPath,
    SignalPathBroken,
    Step,
    Watch,
)
from trunkline.telephony.port import EngineDown, HeartbeatReturned

AT = Instant(0.0)


def step(watch: Watch, now: float, *, connected: bool = True, recovering: bool = False) -> Step:
    return watch.step(now, connected=connected, recovering=recovering)


def test_a_silent_connection_is_opened_anew_again_and_again_until_the_process_ends() -> None:
    watch = Watch(returned_at=0.0)
    assert step(watch, RECONNECT_SECONDS - 1) is Step.WAIT
    reconnects = []
    now = RECONNECT_SECONDS
    while (what := step(watch, now)) is not Step.EXIT:
        reconnects += [now] if what is Step.RECONNECT else []
        now += 1.0
    assert now == EXIT_SECONDS + 1
    assert len(reconnects) >= 3
    assert all(later - earlier > RECONNECT_SECONDS for earlier, later in itertools.pairwise(reconnects))


def test_a_process_does_not_end_while_asterisk_is_unavailable() -> None:
    watch = Watch(returned_at=0.0)
    assert {step(watch, now, connected=False) for now in range(1000)} == {Step.WAIT}


def test_a_switch_that_recovers_many_calls_has_more_time() -> None:
    watch = Watch(returned_at=0.0)
    assert step(watch, EXIT_SECONDS + 1, recovering=True) is Step.WAIT
    assert step(watch, RECOVERY_SECONDS + 1, recovering=True) is Step.EXIT


def test_while_other_signals_arrive_the_connection_of_the_calls_stays() -> None:
    watch = Watch(returned_at=0.0)
    watch.signal_at = RECONNECT_SECONDS
    assert step(watch, RECONNECT_SECONDS + 1) is Step.RECONNECT
    assert not watch.is_silent(RECONNECT_SECONDS + 1)
    watch.signal_at = EXIT_SECONDS
    assert step(watch, EXIT_SECONDS + 1) is not Step.EXIT
    watch.signal_at = RECOVERY_SECONDS
    assert step(watch, RECOVERY_SECONDS + 1) is Step.EXIT, (
        "without a heartbeat for ever it is not ready for ever"
    )


class Engine:
    """Returns heartbeats while ``answers``; ``mends`` = a reconnect makes it answer again."""

    def __init__(self) -> None:
        self.is_up = True
        self.missing = "ARI"
        self.answers = True
        self.mends = False
        self.failure: EngineError | None = None
        self.reconnected = 0
        self.path: SignalPath

    async def heartbeat(self, token: str) -> None:
        if self.failure is not None:
            raise self.failure
        if self.answers:
            self.path.note(HeartbeatReturned(AT, token))

    def reconnect(self, reason: str, *, calls: bool) -> None:
        assert "ARI" in reason
        assert calls
        self.reconnected += 1
        self.answers = self.answers or self.mends


class Scene:
    def __init__(self) -> None:
        self.reported: list[str | None] = []
        self.changed = asyncio.Event()
        self.engine = Engine()
        self.path = self.engine.path = SignalPath(self.engine, self._changed, lambda: False)

    def _changed(self, reason: str | None) -> None:
        self.reported.append(reason)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {
        "PERIOD_SECONDS": 0.01, "HEARTBEAT_TIMEOUT_SECONDS": 0.05, "RETRY_SECONDS": 0.01,
        "RECONNECT_SECONDS": 0.1, "EXIT_SECONDS": 1.0,
    }.items():  # fmt: skip
        monkeypatch.setattr(signal_path, name, seconds)


@pytest.mark.usefixtures("quick")
async def test_ready_while_heartbeats_return_and_not_ready_with_a_reason_while_they_do_not() -> None:
    scene = Scene()
    assert scene.path.status()["state"] is PathState.STARTING
    running = asyncio.ensure_future(scene.path.run())
    await scene.until(lambda: scene.reported == [None])
    scene.engine.answers, scene.engine.mends = False, True
    await scene.until(lambda: len(scene.reported) == 3)
    assert scene.reported == [None, "the heartbeat does not return by ARI", None]
    assert scene.engine.reconnected >= 1
    assert scene.path.status()["state"] is PathState.READY
    running.cancel()


@pytest.mark.usefixtures("quick")
async def test_the_process_ends_when_nothing_brings_the_heartbeat_back() -> None:
    scene = Scene()
    scene.engine.answers = False
    with pytest.raises(SignalPathBroken, match="ARI"):
        await asyncio.wait_for(scene.path.run(), 10)
    assert scene.engine.reconnected > 1
    assert scene.reported == []  # it was never ready, so it could not become not ready


@pytest.mark.usefixtures("quick")
async def test_a_switch_without_asterisk_is_not_ready_and_ready_when_it_is_back() -> None:
    scene = Scene()
    running = asyncio.ensure_future(scene.path.run())
    await scene.until(lambda: scene.reported == [None])
    scene.engine.is_up, scene.engine.failure = False, EngineUnavailable("gone")
    await scene.until(lambda: len(scene.reported) == 2)
    assert "not connected" in str(scene.reported[1])
    scene.engine.is_up, scene.engine.failure = True, None
    await scene.until(lambda: len(scene.reported) == 3)
    assert scene.reported[2] is None
    running.cancel()


@pytest.mark.usefixtures("quick")
async def test_a_switch_that_works_off_many_signals_is_not_ready_and_is_not_restarted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its heartbeats return later than it waits for them, behind the signals of calls."""
    monkeypatch.setattr(signal_path, "RECOVERY_SECONDS", 0.5)
    scene = Scene()
    loop = asyncio.get_running_loop()

    async def late(token: str) -> None:
        loop.call_later(0.08, scene.path.note, HeartbeatReturned(AT, token))

    monkeypatch.setattr(scene.engine, "heartbeat", late)
    running = asyncio.ensure_future(scene.path.run())
    await asyncio.wait({running}, timeout=1.5)
    assert not running.done()
    assert scene.engine.reconnected == 0
    assert scene.reported == []
    running.cancel()


async def test_a_heartbeat_of_before_counts_for_nothing() -> None:
    scene = Scene()
    scene.path.note(HeartbeatReturned(AT, "7"))
    scene.path.note(EngineDown(AT))
    assert not scene.path._returned.is_set()
