"""What a phone list and a lead may be: the limits, for every interface. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from trunkline.core.names import in_one_line
from trunkline.core.phone import normalise

MAX_NAME = 255
MAX_TAGS = 1000
MAX_VARIABLES = 100
MAX_VARIABLES_BYTES = 8192
"""Of the variables of one lead, as JSON."""

MIN_PRIORITY, MAX_PRIORITY = -(2**31), 2**31 - 1


def list_name(text: str) -> str:
    """:raises ValueError: it is no name."""
    if not text.strip():
        raise ValueError("send a name with at least one character")
    if len(text) > MAX_NAME:
        raise ValueError(f"send a name of at most {MAX_NAME} characters")
    return text.strip()


def variables(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """:raises ValueError: they are too long."""
    if len(orjson.dumps(value)) > MAX_VARIABLES_BYTES:
        raise ValueError(f"send variables of at most {MAX_VARIABLES_BYTES} bytes as JSON")
    return value


MAX_LINES_OF_TEXT = 5000
"""Leads that one text may have."""

_SEPARATORS = re.compile(r"[,;\t]")


def leads_in_text(text: str) -> list[dict[str, Any]]:
    """The leads of a text as people paste it: a number a line, and its name after a comma, semicolon or tab.

    Empty lines are passed over.

    :returns: ``phone`` (normalised), and ``name`` where there is one.
    :raises ValueError: a line without a number, with its place; too many lines, or none.
    """
    found: list[dict[str, Any]] = []
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if len(found) == MAX_LINES_OF_TEXT:
            raise ValueError(f"send at most {MAX_LINES_OF_TEXT} numbers at once")
        number, *rest = _SEPARATORS.split(line, maxsplit=1)
        digits = normalise(number)
        if digits is None:
            raise ValueError(f"line {place}: write the number in full, for example +12025550110")
        name = in_one_line(rest[0]).strip().strip('"') if rest else ""
        if len(name) > MAX_NAME:
            raise ValueError(f"line {place}: a name has at most {MAX_NAME} characters")
        found.append({"phone": digits, "name": name} if name else {"phone": digits})
    if not found:
        raise ValueError("write at least one number")
    return found
