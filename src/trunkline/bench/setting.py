"""What a part of the benchmark is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.testing.foreign import ForeignPhones

Say = Callable[[str], None]
"""Tells the person who waits how far it is."""


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
class Finding:
    """What a part found.

    :ivar ok: nothing was lost, wrong or left over; says nothing of speed.
    :ivar table: lines for a terminal, see :func:`rows`.
    :ivar data: JSON values for the report; ``"ok"`` and ``"method"`` are added to it.
    """

    ok: bool
    table: str
    data: dict[str, Any]


def rows(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of four columns: what, one side, the other, ratio."""
    return "\n".join(f"{one[0]:<42}{one[1]:>10}{one[2]:>12}{one[3]:>8}" for one in (head, *lines))
