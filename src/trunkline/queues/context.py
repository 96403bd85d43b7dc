"""What the rules of queues are given besides the state and the input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True, slots=True)
class QueueContext:
    """
    :ivar next_id: a fresh id for an offer or a caller; they grow.
    :ivar random: for the strategy ``random``.
    :ivar snapshot_after: a stream has a snapshot after so many events.
    """

    next_id: Callable[[], int]
    random: Random = field(default_factory=Random)
    snapshot_after: int = 500
