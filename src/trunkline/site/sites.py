"""The website that a page names by its key."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from trunkline.db.pool import Database

KEPT_SECONDS = 5.0
"""After which a website is read again: anybody may ask."""
_KEPT_MAX = 10_000

# One website of the installation has a key, whatever its account.
_BY_KEY = """
select account_id, site_id, domain_name, origins, track_subdomains, calls_per_minute, calls_per_number,
    calls_per_address, cookie_lifetime, phone_scenario_id is not null as has_phone
from sites where account_id > 0 and site_key = %s and calls_enabled and services_enabled
"""


@dataclass(frozen=True, slots=True)
class Website:
    """A website whose visitors may ask for calls, as the endpoints need it."""

    account_id: int
    site_id: int
    domain_name: str
    origins: tuple[str, ...]
    track_subdomains: bool
    calls_per_minute: int
    calls_per_number: int
    calls_per_address: int
    cookie_lifetime: int
    has_phone: bool


class Websites:
    """Finds websites by their keys.

    :param clock: seconds, monotonic.
    """

    def __init__(self, db: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._clock = clock
        self._kept: OrderedDict[str, tuple[Website | None, float]] = OrderedDict()

    async def of(self, site_key: str) -> Website | None:
        """None: there is no such website, or calls from it are turned off."""
        found, until = self._kept.get(site_key, (None, 0.0))
        if self._clock() < until:
            return found
        row = await self._db.fetch_one(_BY_KEY, (site_key,))
        found = None if row is None else Website(**{**row, "origins": tuple(row["origins"])})
        self._kept[site_key] = (found, self._clock() + KEPT_SECONDS)
        self._kept.move_to_end(site_key)
        if len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)
        return found
