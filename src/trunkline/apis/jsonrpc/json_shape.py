"""Counts the values of a JSON text before it is parsed, so that parsing never takes long.

One pass of compiled code over the bytes counts the values and names outside strings. The counts are exact for JSON; for
other texts they are those of the part that a parser reads before it stops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VALUES_MAX = 20_000
"""Values (texts, numbers, arrays, objects...) of one request."""

_QUOTE, _COMMA, _COLON, _BRACKET = b'",:['


@dataclass(frozen=True, slots=True)
class Shape:
    """``values``: at least as many as the text has; ``names``: of the members of all objects."""

    values: int
    names: int


def has_many_values(body: bytes, most: int = VALUES_MAX) -> bool:
    """Whether the text has more values than a request may have."""
    # Each value but the first follows one of these; in strings they only make the estimate larger.
    if 1 + body.count(b",") + body.count(b":") + body.count(b"[") <= most:
        return False
    return shape_of(body).values > most


def shape_of(body: bytes) -> Shape:
    """Counts of characters outside strings."""
    if b"\\" in body:
        # Each remaining quote begins or ends a string.
        body = body.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
    characters = np.frombuffer(body, dtype=np.uint8)
    # Wraps around at 256 and stays even or odd.
    outside = (np.cumsum(characters == _QUOTE, dtype=np.uint8) & 1) == 0
    names = int(np.count_nonzero(outside & (characters == _COLON)))
    others = (characters == _COMMA) | (characters == _BRACKET)
    return Shape(1 + names + int(np.count_nonzero(outside & others)), names)
