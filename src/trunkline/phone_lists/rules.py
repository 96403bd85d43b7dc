"""What a phone list and a lead may be: the limits, for every interface. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

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
    return text.strip()


def variables(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """:raises ValueError: they are too long."""
    if len(orjson.dumps(value)) > MAX_VARIABLES_BYTES:
        raise ValueError(f"send variables of at most {MAX_VARIABLES_BYTES} bytes as JSON")
    return value
