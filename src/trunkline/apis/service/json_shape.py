"""Parses JSON of clients; counts the values of a text before it is parsed, so that parsing never takes long.

One pass of compiled code over the bytes counts the values and names outside strings. The counts are exact for JSON; for
other texts they are those of the part that a parser reads before it stops.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

VALUES_MAX = 20_000
"""Values (texts, numbers, arrays, objects...) of one request."""

MAX_DEPTH = 64
"""Levels of arrays and objects."""

_PART = 65_536
"""Bytes that are counted before the sum is looked at."""

_SMALL = 4096
"""Bytes of a text that is split at its quotes instead: calls of numpy take longer than that."""

_QUOTE, _COMMA, _COLON, _BRACKET = b'",:['


@dataclass(frozen=True, slots=True)
class Shape:
    """``values``: at least as many as the text has; ``names``: of the members of all objects."""

    values: int
    names: int


class JsonRefused(ValueError):  # noqa: N818
    """The text is not JSON, or more than one request may have; the message is what is wrong with it."""


def parse_json(body: bytes) -> Any:
    """The value of a JSON text (RFC 8259) in UTF-8 in which no object has a name twice.

    :raises JsonRefused: it is none, has more than :data:`VALUES_MAX` values or :data:`MAX_DEPTH` levels.
    """
    if has_many_values(body):
        raise JsonRefused(f"it has more than {VALUES_MAX} values, so send fewer at once")
    try:
        value = orjson.loads(body)
    except ValueError as error:
        raise JsonRefused(str(error).partition("\n")[0]) from None
    names = count_names(value)
    if names is None:
        raise JsonRefused(f"it has more than {MAX_DEPTH} levels of arrays and objects")
    if not has_each_name_once(body, names):
        raise JsonRefused("an object has a name twice")
    return value


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
    if len(body) <= _SMALL:
        outside_strings = b"".join(body.split(b'"')[::2])
        names = outside_strings.count(b":")
        return Shape(1 + names + outside_strings.count(b",") + outside_strings.count(b"["), names)
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


def has_each_name_once(body: bytes, names: int) -> bool:
    """Whether no object of the text has a name twice.

    :param names: of all objects as they were read, where the second of two equal names replaces the first.
    """
    # Each name is followed by a colon; strings may contain more colons.
    return body.count(b":") == names or shape_of(body).names == names


def count_names(message: Any) -> int | None:
    """The members of all objects; None when they are nested too deeply."""
    names = 0
    level = [message]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                names += len(item)
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return names
        level = inner
    return None
