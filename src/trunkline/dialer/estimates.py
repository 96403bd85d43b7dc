"""What is measured of a campaign: how many calls persons answer, how soon, and how long agents are busy. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

ANSWER_BIN, ANSWER_BINS = 1.0, 121
"""Seconds of one bin, and how many there are, for the time to the end of ringing."""

HANDLING_BIN, HANDLING_BINS = 5.0, 361
"""The same for talk and wrap-up."""

MEMORY = 2000.0
"""Dials and talks after which an older one counts e times less."""

HEAVIEST = 1e6
"""Weight of an observation from which on all are divided by it."""

LEAST_ANSWERS, LEAST_TALKS = 50, 30
"""Fewer than these are no basis for predictive dialing."""


@dataclass(slots=True)
class Estimates:
    """Decaying counts of a campaign.

    :ivar dials: that have ended, decayed.
    :ivar persons: of them, answered by a person.
    :ivar total_persons: without decay.
    """

    dials: float = 0.0
    persons: float = 0.0
    total_persons: int = 0
    total_talks: int = 0
    answer_seconds: float = 0.0
    answered_in: list[float] = field(default_factory=lambda: [0.0] * ANSWER_BINS)
    ended_in: list[float] = field(default_factory=lambda: [0.0] * ANSWER_BINS)
    handled_in: list[float] = field(default_factory=lambda: [0.0] * HANDLING_BINS)
    talks: float = 0.0
    weight: float = 1.0
    """Of the next observation: instead of making all older ones lighter, the newer ones get heavier."""
    _tables: tuple[list[float], list[float], float] | None = None
    _tables_age: int = 0

    def add_dial(self, seconds: float, *, is_person: bool) -> None:
        """A call has been answered, or has ended unanswered, after so many seconds."""
        self.weight *= 1 + 1 / MEMORY
        if self.weight > HEAVIEST:
            self._lighten()
        place = min(int(seconds / ANSWER_BIN), ANSWER_BINS - 1)
        self.dials += self.weight
        self.ended_in[place] += self.weight
        if is_person:
            self.persons += self.weight
            self.total_persons += 1
            self.answered_in[place] += self.weight
            self.answer_seconds += self.weight * seconds
        self._changed()

    def _lighten(self) -> None:
        """Divide all by the present weight: shares stay as they are, and no number grows without end."""
        factor, self.weight = 1 / self.weight, 1.0
        self.dials *= factor
        self.persons *= factor
        self.answer_seconds *= factor
        self.talks *= factor
        for bins in (self.answered_in, self.ended_in, self.handled_in):
            bins[:] = [one * factor for one in bins]

    def add_handling(self, seconds: float) -> None:
        """An agent has been busy with a call for so many seconds, wrap-up included."""
        place = min(int(seconds / HANDLING_BIN), HANDLING_BINS - 1)
        self.handled_in[place] += self.weight
        self.talks += self.weight
        self.total_talks += 1
        self._changed()

    @property
    def is_enough(self) -> bool:
        """Whether predictive dialing may use them."""
        return self.total_persons >= LEAST_ANSWERS and self.total_talks >= LEAST_TALKS

    @property
    def person_share(self) -> float:
        """p: the upper 95 % bound of the share of dials that a person answers."""
        if not self.dials:
            return 1.0
        count = min(self.dials / self.weight, MEMORY)
        share = self.persons / self.dials
        return float(min(1.0, share + 1.65 * (share * (1 - share) / count) ** 0.5))

    def will_be_answered(self, age: float) -> float:
        """q(a): that a call which has rung for so many seconds will be answered by a person."""
        table = self._made()[0]
        return table[min(int(age / ANSWER_BIN), ANSWER_BINS - 1)]

    def will_be_free(self, elapsed: float) -> float:
        """r(e): that an agent who has been busy for so many seconds is free within the mean time to answer."""
        table = self._made()[1]
        return table[min(int(elapsed / HANDLING_BIN), HANDLING_BINS - 1)]

    def _changed(self) -> None:
        self._tables_age += 1
        if self._tables_age >= 50:
            self._tables = None

    def _made(self) -> tuple[list[float], list[float], float]:
        if self._tables is None:
            self._tables_age = 0
            tau = self.answer_seconds / self.persons if self.persons else 10.0
            self._tables = (self._answer_table(), self._free_table(tau), tau)
        return self._tables

    def _answer_table(self) -> list[float]:
        share, table = self.person_share, []
        raw = self.persons / self.dials if self.dials else 1.0
        scale = share / raw if raw else 1.0
        answered_later, unresolved = self.persons, self.dials
        for answered, ended in zip(self.answered_in, self.ended_in, strict=True):
            table.append(min(1.0, scale * answered_later / unresolved) if unresolved > 1e-6 else 0.0)
            answered_later -= answered
            unresolved -= ended
        return table

    def _free_table(self, tau: float) -> list[float]:
        later = [0.0] * (HANDLING_BINS + 1)
        for place in range(HANDLING_BINS - 1, -1, -1):
            later[place] = later[place + 1] + self.handled_in[place]
        table = []
        for place in range(HANDLING_BINS):
            now = later[place]
            # Between two bins the share grows evenly.
            position = place + tau / HANDLING_BIN
            low = min(int(position), HANDLING_BINS - 1)
            part = min(position - low, 1.0)
            then = later[low] * (1 - part) + later[low + 1] * part
            table.append((now - then) / now if now > 1e-6 else 0.0)
        return table
