"""Messages of Asterisk that cannot be handled: each concerns only itself, is counted, and is logged at a limited rate."""

from __future__ import annotations

import time
from collections.abc import Callable

from trunkline.core.log import get_logger

LOG_SECONDS = 60.0
"""Bad messages of one interface are logged at most so often: anybody who can send a SIP packet could fill the log."""
SHOWN = 500
"""Characters of a message that are logged."""


class BadMessages:
    """Counts bad messages by interface (``ami``, ``ari``, ``cel``) since the start of the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._logged: dict[str, tuple[float, int]] = {}
        self._log = get_logger("telephony")

    @property
    def counts(self) -> dict[str, int]:
        """Bad messages by interface; an interface without any is absent."""
        return dict(self._counts)

    def add(self, interface: str, message: object, reason: BaseException | str) -> None:
        """Count a message and log it, unless one of this interface was logged within :data:`LOG_SECONDS`.

        :param message: only the start of its representation is logged.
        :param reason: an exception is logged with its traceback.
        """
        count = self._counts[interface] = self._counts.get(interface, 0) + 1
        now = self._clock()
        at, logged = self._logged.get(interface, (-LOG_SECONDS, 0))
        if now - at < LOG_SECONDS:
            return
        self._logged[interface] = (now, count)
        self._log.error(
            "engine_message_not_handled",
            interface=interface,
            detail=repr(message)[:SHOWN],
            reason=reason if isinstance(reason, str) else repr(reason)[:SHOWN],
            messages=count - logged,
            consequence="the message is ignored",
            remedy="see bad_engine_messages in docs/operations/status.md; report this line unless interface is ami",
            exc_info=None if isinstance(reason, str) else reason,
        )
