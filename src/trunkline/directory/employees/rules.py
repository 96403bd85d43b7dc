"""What an employee's name, phones and short number may be: the limits, for every interface."""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum, auto

MAX_PHONES = 10
"""Phones of one employee."""

MAX_CHANNELS = 150
"""Concurrent calls on one phone."""

MIN_DIAL_SECONDS, MAX_DIAL_SECONDS = 1, 100

MIN_EXTENSION, MAX_EXTENSION = 2, 5
"""Digits of a short number."""

MAX_NAME = 255


class CoachFault(Enum):
    """Why an employee cannot have this coach."""

    IS_SELF = auto()
    """An employee cannot be their own coach."""
    NOT_NAMED = auto()
    """A coach who is always called must be named."""


def coach_fault(employee: Hashable, coach: Hashable | None, *, is_always_called: bool) -> CoachFault | None:
    """What is wrong with an employee's coach, by their ids or their keys; None: nothing."""
    if coach is None:
        return CoachFault.NOT_NAMED if is_always_called else None
    return CoachFault.IS_SELF if coach == employee else None


def is_extension(text: str) -> bool:
    """Whether a text is a short number."""
    return text.isascii() and text.isdigit() and MIN_EXTENSION <= len(text) <= MAX_EXTENSION
