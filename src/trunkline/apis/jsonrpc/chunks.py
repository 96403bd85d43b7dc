"""JSON that is made already, in pieces: a large report is never joined into one more copy of itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunks:
    """One JSON value; the pieces follow one another without anything between them."""

    chunks: Sequence[bytes]

    def within(self, before: bytes, after: bytes) -> Chunks:
        """The value with text before and behind it."""
        return Chunks((before, *self.chunks, after))

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(map(len, self.chunks))

    def joined(self) -> bytes:
        return b"".join(self.chunks)
