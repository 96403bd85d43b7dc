"""Identifiers in forms, paths and queries."""

from __future__ import annotations

_DIGITS_MAX = 18
"""So many always fit a ``bigint`` of PostgreSQL."""


def id_in_text(text: str) -> int | None:
    """The number that a text of ASCII digits is; None: it is something else, or longer than an identifier."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX else None
