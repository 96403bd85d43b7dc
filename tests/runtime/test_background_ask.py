"""The supervisor does not wait for a switch that a flood keeps busy."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

import pytest

from trunkline.runtime import background_ask
from trunkline.runtime.background_ask import BackgroundAsk
from trunkline.runtime.sip_connections import Known


class Switch:
    """Answers when it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked: list[frozenset[str]] = []

    def ask(self, addresses: Collection[str]) -> Known | None:
        self.asked.append(frozenset(addresses))
        self.released.wait(10)
        return Known(trunks=frozenset({"192.0.2.9"}))


def _until(ask: BackgroundAsk, addresses: set[str]) -> Known:
    for _ in range(1000):
        if (answer := ask(addresses)) is not None:
            return answer
        time.sleep(0.005)
    raise AssertionError("no answer")


def test_a_slow_answer_is_returned_later_with_what_it_is_about() -> None:
    switch = Switch()
    ask = BackgroundAsk(switch.ask)
    assert ask({"192.0.2.1"}) is None
    assert ask({"192.0.2.2"}) is None
    assert switch.asked == [{"192.0.2.1"}], "one question at a time"
    switch.released.set()
    assert _until(ask, {"192.0.2.3"}).about == frozenset({"192.0.2.1"})


def test_a_fast_answer_is_returned_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_ask, "WAIT_SECONDS", 10.0)
    switch = Switch()
    switch.released.set()
    ask = BackgroundAsk(switch.ask)
    for address in ("192.0.2.1", "192.0.2.2"):
        answer = ask({address})
        assert answer is not None
        assert answer.about == frozenset({address})
        assert answer.trunks == {"192.0.2.9"}


def test_a_question_that_fails_is_followed_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_ask, "WAIT_SECONDS", 10.0)
    answers = iter([None, Known()])
    ask = BackgroundAsk(lambda _addresses: next(answers))
    assert ask({"192.0.2.1"}) is None
    assert ask({"192.0.2.1"}) == Known(about=frozenset({"192.0.2.1"}))
