"""Dialled channels: an answer is found and acted on once, whenever it comes and whatever Asterisk does not say."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from trunkline.core.clock import Instant
from trunkline.core.errors import ChannelGone, EffectTimedOut
from trunkline.telephony import dialled_channels
from trunkline.telephony.ari_events import Dialled, StasisStart, parse_channel
from trunkline.telephony.config.dialplan import ORIGINATED
from trunkline.telephony.config.pjsip import CONTEXT
from trunkline.telephony.dialled_channels import ALIAS, DIALLED, DialledChannels, device_groups
from trunkline.telephony.port import Answered, Channel, Signal
from trunkline.telephony.translate import Translator

NOW = Instant(100.0)
LINE = Channel("x")
DESK, TABLET = "x~1", "x~2"


class Asterisk:
    """Two devices of a line that are dialled, and who commands them.

    :ivar slow: requests from now on whose response comes too late, in order: whether each is carried out.
    """

    def __init__(self) -> None:
        self.states = dict.fromkeys((DESK, TABLET), "Ringing")
        self.contexts = dict.fromkeys((DESK, TABLET), CONTEXT)
        self.done: list[tuple[str, str]] = []
        self.slow: list[bool] = []
        self.signals: list[Signal] = []
        self._events: list[Dialled | StasisStart] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.restart()

    def restart(self) -> None:
        """Another switch comes: it knows of nothing."""
        self._events.clear()
        self.translator = Translator()
        self.dialled = DialledChannels(self.translator, self._command, self._spawn)

    def _spawn(self, work: Coroutine[Any, Any, None], _name: str) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def settle(self) -> None:
        """Events are handled, and all that follows from them is done."""
        while self._events or self._tasks:
            while self._events:
                self.signals += self.translator.signals(self._events.pop(0))
                self.dialled.process_pending()
            tasks, self._tasks = self._tasks, []
            await asyncio.gather(*tasks)

    def answer(self, device: str, *, is_reported: bool = True) -> None:
        self.states[device] = "Up"
        if is_reported:
            self._events.append(Dialled(NOW, "ANSWER", "", None, parse_channel(self.data(device))))

    def data(self, device: str) -> dict[str, Any]:
        context = self.contexts[device]
        return {
            "id": device,
            "name": f"PJSIP/1001-{device}",
            "state": self.states[device],
            "caller": {"number": "1001", "name": ""},
            "connected": {"number": ""},
            "dialplan": {"context": context, "exten": "s", "app_name": "Stasis"},
            "creationtime": "2026-03-01T08:12:40.000+0000",
        }

    async def _command(self, method: str, path: str, *_: Any) -> Any:
        device = path.split("/")[2].replace("%7E", "~")
        is_late, is_done = bool(self.slow), True
        if is_late:
            is_done = self.slow.pop(0)
        if device not in self.states:
            raise ChannelGone(device)
        if is_done and method != "GET":
            self.done.append((method, device))
            if method == "DELETE":
                del self.states[device]
            else:
                self.contexts[device] = ORIGINATED
                channel = parse_channel(self.data(device))
                self._events.append(StasisStart(NOW, channel, ("originated",), None))
        if is_late:
            raise EffectTimedOut(path)
        return self.data(device) if method == "GET" else None

    # --- what the engine does after a reconnect

    def listing(self) -> list[dict[str, Any]]:
        return [self.data(device) for device in self.states]

    def survey(self, listed: list[dict[str, Any]], logged: str | None) -> None:
        """As the engine's survey, with a listing of any age and who answered first by the log that is read after it."""
        channels = [(parse_channel(data), data) for data in listed]
        details = {one.id: {DIALLED: "1", ALIAS: str(LINE)} for one, _ in channels}
        resumed = self.dialled.resume(channels, details)
        self.translator.keep_only({one.id for one, _ in resumed})
        for public, devices in device_groups(resumed, details).items():
            up = [one.id for one in devices if one.state == "Up"]
            winner = self.translator.winner(public) or logged or next(iter(up), None)
            self.signals += self.translator.adopt_group(
                public, [one.id for one in devices], winner, rings=True
            )
        self.dialled.process_pending()

    @property
    def continued(self) -> list[str]:
        return [device for method, device in self.done if method == "POST"]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialled_channels, "_ANSWER_CHECK_SECONDS", (0.01, 0.01, 0.01))


STEPS = ("the switch is killed", "connected", "listed", "surveyed", "later")


@pytest.mark.durability
@pytest.mark.parametrize("is_settled", [True, False])
@pytest.mark.parametrize("at", STEPS)
async def test_a_device_that_answers_at_any_moment_of_a_recovery_goes_on_once(
    at: str, is_settled: bool
) -> None:
    """:param at: the step after which the tablet answers; :param is_settled: events are handled before the next one."""
    asterisk = Asterisk()
    listed: list[dict[str, Any]] = []
    for step in STEPS:
        match step:
            case "connected":
                asterisk.restart()
            case "listed":
                listed = asterisk.listing()
            case "surveyed":
                logged = TABLET if asterisk.states[TABLET] == "Up" else None
                asterisk.survey(listed, logged)
        if step == at:
            asterisk.answer(TABLET)
        if is_settled and step != "the switch is killed":
            await asterisk.settle()
    await asterisk.settle()
    assert asterisk.continued == [TABLET]
    assert asterisk.signals == [Answered(LINE, NOW)]
    assert list(asterisk.states) == [TABLET]
    assert asterisk.translator.members(LINE) == [TABLET]


async def test_an_answer_that_is_not_reported_is_found_although_asterisk_is_slow() -> None:
    """A response that comes too late was taken for the end of the channel: the party heard silence until it hung up."""
    asterisk = Asterisk()
    asterisk.answer(TABLET, is_reported=False)
    asterisk.slow = [True]
    await asterisk.dialled._find_lost_answer(TABLET)
    await asterisk.settle()
    assert asterisk.continued == [TABLET]


@pytest.mark.parametrize("is_done", [True, False])
async def test_an_answered_channel_goes_on_once_although_asterisk_is_slow(is_done: bool) -> None:
    asterisk = Asterisk()
    asterisk.translator.add_group(LINE, [DESK, TABLET])
    asterisk.slow = [is_done]
    asterisk.answer(TABLET)
    await asterisk.settle()
    assert asterisk.continued == [TABLET]
    assert asterisk.signals == [Answered(LINE, NOW)]


async def test_a_channel_that_ended_is_asked_for_once() -> None:
    asterisk = Asterisk()
    del asterisk.states[TABLET]
    await asterisk.dialled._find_lost_answer(TABLET)
    assert not asterisk.done
