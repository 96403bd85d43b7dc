"""The alarm of a queue of engine messages that grows."""

from __future__ import annotations

from trunkline.core.log import get_logger

FIRST = 10_000
"""Messages that wait at the first alarm; each further alarm needs twice as many."""

_log = get_logger("telephony")


class QueueAlarm:
    """Logs an error when the number of waiting messages reaches :data:`FIRST`, and each time it has doubled.

    Once fewer than half of :data:`FIRST` wait, the next alarm is at :data:`FIRST` again.

    :param event: name of the log line.
    """

    def __init__(self, event: str) -> None:
        self._event = event
        self._next = FIRST

    def check(self, waiting: int) -> None:
        """Call this after each message that was added.

        :param waiting: messages in the queue.
        """
        if waiting >= self._next:
            self._next *= 2
            _log.error(
                self._event,
                waiting=waiting,
                consequence="calls are handled late",
                remedy="check the CPU load and `trunkline status`; if `waiting` grows for a minute, restart the instance",
            )
        elif waiting < FIRST // 2:
            self._next = FIRST
