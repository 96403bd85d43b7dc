"""Thread pools for work that takes processor time: bounded, with a lower priority than the event loop.

The default pool of the event loop resolves names and waits for disks; work that a client can request in any amount would
occupy it, and the processor.
"""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

NICENESS = 10
"""Of these threads, so that the event loop, which handles calls and commands, has priority."""


def working_threads(name: str, most: int) -> ThreadPoolExecutor:
    """A pool of at most ``most`` threads, started when they are needed."""
    return ThreadPoolExecutor(max_workers=most, thread_name_prefix=name, initializer=_lower_priority)


def half_of_the_processors() -> int:
    """At least one."""
    return max(1, (os.cpu_count() or 1) // 2)


def _lower_priority() -> None:
    """Lower the priority of this thread alone, as Linux has one for each."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
