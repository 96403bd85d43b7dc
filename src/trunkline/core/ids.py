"""Identifiers of call sessions and legs.

An id is a positive integer below 2**53, so that every JSON reader keeps it exact, ordered by time, with
the node inside, so that a command finds the switch that owns the call without a look-up::

    | 40 bits: milliseconds since 2024-01-01 UTC | 6 bits: node | 7 bits: counter |

40 bits of milliseconds last until 2058. A node may make 64 ids in a millisecond (counters 0 to 63); beyond that (or when
the clock steps back) the generator borrows from the next millisecond and stays strictly increasing.

A call that comes in from a phone or a trunk has an id that follows from its channel alone (counters 64 to 127,
:func:`id_of_channel`), so that every source that names the channel yields the same id: the signal of its arrival, the
listing of channels, and the CEL log.

Calls that were uploaded, not carried, have ids of a node of their own (:func:`uploaded_id`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

EPOCH_MS = 1_704_067_200_000
"""2024-01-01T00:00:00Z in Unix milliseconds."""

NODE_BITS = 6
COUNTER_BITS = 7
_SHIFT = NODE_BITS + COUNTER_BITS
MAX_NODE = (1 << NODE_BITS) - 1

_OWN_COUNTERS = 1 << (COUNTER_BITS - 1)
"""Ids of a millisecond that the generator makes; as many are left to calls that are named by their channel."""

_CHANNEL_ID = re.compile(r"(?:.*-)?([0-9]{9,11})\.([0-9]+)", re.DOTALL)
"""Asterisk's unique id of a channel: ``<Unix seconds>.<number of the channel>``, perhaps after the system's name."""

UPLOAD_NODE = MAX_NODE
"""Node of uploaded calls; no switch may have it."""

_EARLY_FIRST_MS = 3_600_000
_EARLY_SPAN_MS = 80_000_000
"""The range of ids of calls before the epoch: within its first day (and not at its very beginning, so that they are far
from the ids of everything that is simply numbered)."""


class IdGenerator:
    """Makes ids of one node. Not shared between processes of the same node: only the switch makes them.

    :param node: 0..63.
    :param now_ms: Unix time in milliseconds; injectable for tests.
    """

    def __init__(self, node: int, now_ms: Callable[[], int] | None = None) -> None:
        if not 0 <= node <= MAX_NODE:
            raise ValueError(f"node must be 0..{MAX_NODE}, not {node}")
        self._node = node
        self._now_ms = now_ms or (lambda: time.time_ns() // 1_000_000)
        self._last_ms = 0
        self._counter = 0

    def next(self) -> int:
        """The next id, greater than all before it."""
        ms = max(self._now_ms() - EPOCH_MS, self._last_ms)
        if ms == self._last_ms:
            self._counter += 1
            if self._counter >= _OWN_COUNTERS:
                ms += 1
                self._counter = 0
        else:
            self._counter = 0
        self._last_ms = ms
        return (ms << _SHIFT) | (self._node << COUNTER_BITS) | self._counter


def number_of_channel(channel: str) -> tuple[int, int] | None:
    """Unix second and number that Asterisk gave a channel; None: it has no unique id of Asterisk's making. A start of
    Asterisk begins the numbers again."""
    found = _CHANNEL_ID.fullmatch(channel)
    return (int(found[1]), int(found[2])) if found is not None else None


def id_of_channel(channel: str, node: int) -> int | None:
    """The id of the call that a channel of Asterisk began; None when the channel has no unique id of Asterisk's making.

    The second is exact. Within it the ids follow the numbers of the channels, not the milliseconds; two channels of a second
    have different ids unless 64 000 others lie between them.
    """
    made = number_of_channel(channel)
    if made is None:
        return None
    second, number = made
    ms = second * 1000 + number // _OWN_COUNTERS % 1000 - EPOCH_MS
    if not 0 <= ms < 1 << 40:
        return None
    return (ms << _SHIFT) | (node << COUNTER_BITS) | _OWN_COUNTERS | number % _OWN_COUNTERS


def node_of(identifier: int) -> int:
    """The node whose switch made this id."""
    return (identifier >> COUNTER_BITS) & MAX_NODE


def unix_ms_of(identifier: int) -> int:
    """When the id was made, Unix milliseconds."""
    return (identifier >> _SHIFT) + EPOCH_MS


def first_id_at(unix_ms: int) -> int:
    """The smallest id of that millisecond, any node: the bound of a time-partitioned table."""
    return max(unix_ms - EPOCH_MS, 0) << _SHIFT


def uploaded_id(started_ms: int, number: int) -> int:
    """An id for a call that began then (Unix milliseconds, any past) and was not carried by us.

    Two calls of the same second have different ids unless their numbers are a multiple of 128 000 apart. Calls before
    2024 are in the first day of the epoch.
    """
    if started_ms < EPOCH_MS:
        span, first = _EARLY_SPAN_MS, EPOCH_MS + _EARLY_FIRST_MS
    else:
        span, first = 1000, started_ms - started_ms % 1000
    counter = number // span % (1 << COUNTER_BITS)
    return first_id_at(first + number % span) | (UPLOAD_NODE << COUNTER_BITS) | counter
