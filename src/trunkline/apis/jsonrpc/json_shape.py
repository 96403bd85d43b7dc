"""Counts the values of a JSON text before it is parsed, so that parsing never takes long.

One pass of compiled code over the bytes counts the values and names outside strings. The counts are exact for JSON; for
other texts they are those of the part that a parser reads before it stops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VALUES_MAX = 20_000
"""Values (texts, numbers, arrays, objects...) of one request."""

_PART = 65_536
"""Bytes that are counted before the sum is looked at."""

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
    return shape_of(body, most).values > most


def shape_of(body: bytes, most: int | None = None) -> Shape:
    """Counts of characters outside strings.

    :param most: values after which the rest is not read.
    """
    if b"\\" in body:
        # Each remaining quote begins or ends a string.
        body = body.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
    values, names, inside = 1, 0, 0
    for begin in range(0, len(body), _PART):
        characters = np.frombuffer(body, np.uint8, min(_PART, len(body) - begin), begin)
        # Wraps around at 256 and stays even or odd.
        quotes = np.cumsum(characters == _QUOTE, dtype=np.uint8)
        outside = ((quotes + inside) & 1) == 0
        colons = int(np.count_nonzero(outside & (characters == _COLON)))
        others = (characters == _COMMA) | (characters == _BRACKET)
        names += colons
        values += colons + int(np.count_nonzero(outside & others))
        inside = (inside + int(quotes[-1])) & 1
        if most is not None and values > most:
            break
    return Shape(values, names)
