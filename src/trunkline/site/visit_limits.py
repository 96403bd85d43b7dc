"""How many pages, visits, changes and calls one address, and one website, may send requests for.

Each visit is a row, each further page or property writes that row again, and each request for a call asks the switch, for
anybody who asks. In memory of a web process: with several processes the limits are so many times higher. Calls that are
accepted are counted in the database besides, by the limits of the website (:mod:`.requests`).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from trunkline.core.errors import LimitExceeded

_KEPT_MAX = 20_000
"""Addresses and websites that are remembered; those that asked least recently are forgotten first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """:ivar mnemonic: of the error.
    :ivar burst: requests at once.
    :ivar per_hour: so many come back in an hour.
    """

    mnemonic: str
    burst: int
    per_hour: int


PAGES_OF_ADDRESS = Rate("pages_per_address", 300, 1200)
VISITS_OF_ADDRESS = Rate("visits_per_address", 60, 300)
"""A company or a mobile network may be behind one address."""
VISITS_OF_SITE = Rate("visits_per_site", 2000, 20_000)
CHANGES_OF_ADDRESS = Rate("changes_per_address", 300, 1200)
CALLS_OF_ADDRESS = Rate("calls_per_address", 20, 120)
CALLS_OF_SITE = Rate("calls_per_minute", 200, 2000)


class VisitLimits:
    """The limits of one process.

    :param clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[Rate, OrderedDict[tuple[int, str], tuple[float, float]]] = {}

    def page(self, site_id: int, network: str) -> None:
        """A page was opened.

        :raises LimitExceeded: mnemonic ``pages_per_address``.
        """
        self._take(PAGES_OF_ADDRESS, (site_id, network))

    def visit(self, site_id: int, network: str) -> None:
        """A visit begins.

        :raises LimitExceeded: mnemonic ``visits_per_address`` or ``visits_per_site``.
        """
        self._take(VISITS_OF_ADDRESS, (site_id, network))
        self._take(VISITS_OF_SITE, (site_id, ""))

    def change(self, site_id: int, network: str) -> None:
        """A property or the contact of a visitor is read or written.

        :raises LimitExceeded: mnemonic ``changes_per_address``.
        """
        self._take(CHANGES_OF_ADDRESS, (site_id, network))

    def call(self, site_id: int, network: str) -> None:
        """A call or a callback is asked for, whatever becomes of it.

        :raises LimitExceeded: mnemonic ``calls_per_address`` or ``calls_per_minute``.
        """
        self._take(CALLS_OF_ADDRESS, (site_id, network))
        self._take(CALLS_OF_SITE, (site_id, ""))

    def _take(self, rate: Rate, key: tuple[int, str]) -> None:
        kept = self._left.setdefault(rate, OrderedDict())
        now = self._clock()
        left, since = kept.get(key, (float(rate.burst), now))
        left = min(float(rate.burst), left + (now - since) * rate.per_hour / 3600)
        kept[key] = (max(left - 1, 0.0) if left >= 1 else left, now)
        kept.move_to_end(key)
        if len(kept) > _KEPT_MAX:
            kept.popitem(last=False)
        if left < 1:
            raise LimitExceeded("Too many requests: try again later.", mnemonic=rate.mnemonic)
