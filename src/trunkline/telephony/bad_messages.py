"""Messages of Asterisk that cannot be handled: each concerns only itself, is counted, and is logged at a limited rate."""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.core.log import get_logger
from trunkline.core.log_limit import LogLimit

SHOWN = 500
"""Characters of a message that are logged."""


class BadMessages:
    """Counts bad messages by interface (``ami``, ``ari``, ``cel``) since the start of the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._log_limit: LogLimit[str] = LogLimit()
        """Anybody who can send a SIP packet could fill the log."""
        self._log = get_logger("telephony")

    @property
    def counts(self) -> dict[str, int]:
        """Bad messages by interface; an interface without any is absent."""
        return dict(self._counts)

    def add(self, interface: str, message: object, reason: BaseException | str) -> None:
        """Count a message and log it, unless one of this interface was logged within a minute.

        :param message: only the start of its representation is logged.
        :param reason: an exception is logged with its traceback.
        """
        self._counts[interface] = self._counts.get(interface, 0) + 1
        messages = self._log_limit.add(interface, self._clock())
        if not messages:
            return
        self._log.error(
            "engine_message_not_handled",
            interface=interface,
            detail=repr(message)[:SHOWN],
            reason=reason if isinstance(reason, str) else repr(reason)[:SHOWN],
            messages=messages,
            consequence="the message is ignored",
            remedy="see bad_engine_messages in docs/operations/status.md; report this line unless interface is ami",
            exc_info=None if isinstance(reason, str) else reason,
        )
