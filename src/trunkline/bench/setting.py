"""What a part of the benchmark is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.testing.foreign import ForeignPhones

Say = Callable[[str], None]
"""Shows the progress on the terminal."""


@dataclass(frozen=True)
class Setting:
    """Where and how a part measures.

    :ivar folder: its own, for data and logs; may not be there yet.
    :ivar quick: a rough answer in a few minutes, not the thorough one.
    """

    install: AsteriskInstall
    phones: ForeignPhones
    folder: Path
    quick: bool
    say: Say

    def within(self, name: str) -> Self:
        """The same, with a folder inside this one's."""
        return replace(self, folder=self.folder / name)


@dataclass(frozen=True)
class Figure:
    """A measured value and its aim.

    :ivar value: in the unit that the figure's name ends with; None: nothing was measured.
    :ivar is_least: the aim is the least value that meets it; otherwise the greatest.
    """

    value: float | None
    aim: float
    is_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the value meets the aim."""
        if self.value is None:
            return False
        return self.value >= self.aim if self.is_least else self.value <= self.aim

    def report(self) -> dict[str, float | bool | None]:
        """For ``bench-report.json``."""
        return {"value": self.value, "aim": self.aim, "met": self.met}


@dataclass(frozen=True)
class Finding:
    """What a part found.

    :ivar ok: no losses, wrong results or leaks; independent of speed.
    :ivar table: lines for a terminal, see :func:`rows`.
    :ivar data: JSON values for the report; ``"ok"``, ``"method"`` and ``"figures"`` are added to it.
    :ivar figures: those that have an aim, by name.
    """

    ok: bool
    table: str
    data: dict[str, Any]
    figures: Mapping[str, Figure] = field(default_factory=dict)


def rows(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of four columns: what, one side, the other, ratio."""
    return "\n".join(f"{one[0]:<42}{one[1]:>10}{one[2]:>12}{one[3]:>8}" for one in (head, *lines))
