"""Telephone numbers on their way in: E.164 without the plus, as all interfaces carry them."""

from __future__ import annotations

import re

_DRESSING = re.compile(r"[\s()./\u00a0-]+")
_E164 = re.compile(r"[1-9][0-9]{5,14}\Z")


def normalise(text: str) -> str | None:
    """Digits of an E.164 number from its usual dressings (``+971 50-000 0001``, ``00971...``); None if it is none."""
    bare = _DRESSING.sub("", text.strip())
    if bare.startswith("+"):
        bare = bare[1:]
    elif bare.startswith("00"):
        bare = bare[2:]
    return bare if _E164.match(bare) else None
