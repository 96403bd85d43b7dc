"""Questions to the switch that wait for no slow answer: a flood keeps the switch busy just when its answer is wanted."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from trunkline.runtime.sip_connections import Ask, Known

WAIT_SECONDS = 0.02
"""A switch that is not busy answers within a few milliseconds."""


@dataclass
class _Question:
    addresses: frozenset[str]
    answer: Known | None = None
    done: threading.Event = field(default_factory=threading.Event)


class BackgroundAsk:
    """Asks in a thread, one question at a time, and returns what is answered within :data:`WAIT_SECONDS`.

    A later answer is returned by the next call, with the addresses that it is about (:attr:`Known.about`).

    :param ask: may take its time.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._open: _Question | None = None

    def __call__(self, addresses: Collection[str]) -> Known | None:
        late = self._open.answer if self._open is not None and self._open.done.is_set() else None
        if self._open is None or self._open.done.is_set():
            self._open = _Question(frozenset(addresses))
            threading.Thread(target=self._work, args=(self._open,), name="ask-switch", daemon=True).start()
        if not self._open.done.wait(WAIT_SECONDS):
            return late
        answer, self._open = self._open.answer, None
        return answer if answer is not None else late

    def _work(self, question: _Question) -> None:
        try:
            answer = self._ask(question.addresses)
            if answer is not None:
                question.answer = replace(answer, about=question.addresses)
        finally:
            question.done.set()
