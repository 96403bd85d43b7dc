"""The priority of a process for the processor."""

from __future__ import annotations

import contextlib
import os

NICENESS = {"worker": 10}
"""Of roles that come after the others: deliveries and encoding may come later; calls may not."""


def lower_priority(niceness: int) -> None:
    """Lower the priority of this process, which leads a session of its own, for good.

    :param niceness: added to the present niceness (up to 19).
    """
    os.nice(niceness)
    # Where the kernel schedules by sessions, niceness applies only within a session, and this process
    # has a separate session: the session needs the niceness as well.
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as session:
        session.write(str(niceness))
