"""Text that PostgreSQL stores: no NUL, and no half of a surrogate pair, both of which JSON can write."""

from __future__ import annotations

import re

_UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")

REPLACEMENT = "\ufffd"
"""The character that stands for each one that cannot be stored."""


def is_storable(text: str) -> bool:
    """Whether PostgreSQL takes all its characters."""
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """The text with :data:`REPLACEMENT` for each character that cannot be stored."""
    return _UNSTORABLE.sub(REPLACEMENT, text)
