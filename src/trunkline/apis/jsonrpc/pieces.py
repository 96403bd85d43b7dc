"""JSON that is made already, in pieces: a large report is never joined into one more copy of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pieces:
    """One JSON value; the pieces follow one another without anything between them."""

    pieces: Sequence[bytes]

    def within(self, before: bytes, after: bytes) -> Pieces:
        """The value with text before and behind it."""
        return Pieces((before, *self.pieces, after))

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(map(len, self.pieces))

    def joined(self) -> bytes:
        return b"".join(self.pieces)
