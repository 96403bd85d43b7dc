"""Threads for work that takes processor time: of their own, so many at most, and behind the event loop.

The threads of the event loop's default pool look names up and wait for disks; work that a client can ask for in any amount
would keep them, and the processor, from the rest.
"""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

NICENESS = 10
"""Of these threads: the event loop, which answers calls and commands, goes before them."""


def working_threads(name: str, most: int) -> ThreadPoolExecutor:
    """At most so many threads, started when they are needed."""
    return ThreadPoolExecutor(max_workers=most, thread_name_prefix=name, initializer=_lower_priority)


def half_of_the_processors() -> int:
    """At least one."""
    return max(1, (os.cpu_count() or 1) // 2)


def _lower_priority() -> None:
    """Lower the priority of this thread alone, as Linux has one for each."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
