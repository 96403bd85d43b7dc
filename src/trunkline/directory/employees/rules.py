"""What an employee's coach may be, for every interface."""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum, auto


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
