"""Bounds the log of a process that writes lines for each packet of an unauthenticated sender. Pure.

Lines are counted by severity, source file and address; beyond a number in a minute they are left out, and one line has how
many. Other messages of the process stay readable, and are not rotated away.
"""

from __future__ import annotations

import re
from collections import Counter

PERIOD_SECONDS = 60.0
LINES = 30
"""Lines of one source file about one address that are written in a period."""
LINES_OF_FILE = 600
"""Lines of one source file about all addresses, which may be forged."""

_HEAD = re.compile(
    rb"\[[^\]]*\] (?P<severity>[A-Z]+)\[\d+\](?:\[C-[0-9a-f]+\])?:? (?P<file>[\w./-]+\.c): ", re.ASCII
)
_ADDRESS = re.compile(
    rb"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}\]?)(?![\w.])",
    re.IGNORECASE,
)


class LineLimit:
    """One process's lines; lines without the form of Asterisk's log are never left out."""

    def __init__(self) -> None:
        self._since = float("-inf")
        self._written: Counter[bytes] = Counter()
        self._left_out: Counter[bytes] = Counter()

    def filter(self, lines: bytes, now: float) -> bytes:
        """The lines to write.

        :param lines: whole lines.
        :param now: seconds of any clock that never goes back.
        """
        kept: list[bytes] = []
        if now - self._since >= PERIOD_SECONDS:
            kept += self._summary()
            self._since = now
            self._written.clear()
            self._left_out.clear()
        kept += [line for line in lines.splitlines(keepends=True) if self._is_kept(line)]
        return b"".join(kept)

    def _summary(self) -> list[bytes]:
        return [
            b"trunkline: %d more lines of %s were left out in %d s\n" % (count, source, PERIOD_SECONDS)
            for source, count in sorted(self._left_out.items())
        ]

    def _is_kept(self, line: bytes) -> bool:
        head = _HEAD.match(line)
        if head is None:
            return True
        source = head["severity"] + b" " + head["file"]
        # The name that a sender wrote comes before the address of the packet, and the Call-ID after it. Who writes an
        # address there as well is held by the limit of all addresses.
        addresses = _ADDRESS.findall(line.partition(b" (callid: ")[0], head.end())
        about = source + b" " + (addresses[-1].strip(b"[]") if addresses else b"")
        if self._written[about] >= LINES or self._written[source] >= LINES_OF_FILE:
            self._left_out[source] += 1
            return False
        self._written[about] += 1
        if about != source:
            self._written[source] += 1
        return True
