"""HubSpot's limits of a portal, kept by all processes together: each request takes its place in a row of the portal.

The row has the time at which the next request may go, as in the generic cell rate algorithm: a burst goes at once, then one
request for each interval. A response that names a limit moves the time of the row for all.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from trunkline.db.pool import Database
from trunkline.hubspot.responses import TryLater


class LimitKind(StrEnum):
    REQUESTS = "requests"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Rate:
    """:ivar interval: seconds between two requests.
    :ivar burst: requests that may follow each other at once.
    """

    interval: float
    burst: int

    def within(self, seconds: float) -> int:
        """Requests within any such time at most."""
        return self.burst + int(seconds / self.interval)


RATES = {LimitKind.REQUESTS: Rate(0.125, 10), LimitKind.SEARCH: Rate(0.3, 1)}
"""90 requests in ten seconds (HubSpot permits 100 to an app of a free portal), four searches in a second (of five)."""

_TAKE = """
insert into hubspot_limits as place (portal_id, kind, next_at)
values (%(portal_id)s, %(kind)s, now() - %(slack)s * interval '1 second' + %(interval)s * interval '1 second')
on conflict (portal_id, kind) do update set next_at =
    greatest(place.next_at, now() - %(slack)s * interval '1 second') + %(interval)s * interval '1 second'
    where place.next_at <= now() + %(longest)s * interval '1 second'
returning extract(epoch from place.next_at - now())::float8 - %(interval)s as wait
"""

_WAIT = """
select extract(epoch from next_at - now())::float8 as wait from hubspot_limits
where portal_id = %(portal_id)s and kind = %(kind)s
"""

_BLOCK = """
insert into hubspot_limits as place (portal_id, kind, next_at)
values (%(portal_id)s, %(kind)s, now() + %(seconds)s * interval '1 second')
on conflict (portal_id, kind) do update
set next_at = greatest(place.next_at, now() + %(seconds)s * interval '1 second')
"""


LONGEST_WAIT = 10.0
"""Seconds that a request waits for its place; when others wait for longer it takes none."""


class Limits:
    """The places of all portals.

    :param rates: other ones than HubSpot's, for tests.
    """

    def __init__(self, db: Database, rates: dict[LimitKind, Rate] | None = None) -> None:
        self._db = db
        self._rates = rates or RATES

    async def turn(self, portal_id: int, *, is_search: bool = False) -> None:
        """Wait until a request may be sent.

        :raises TryLater: not within :data:`LONGEST_WAIT`.
        """
        kinds = (LimitKind.SEARCH, LimitKind.REQUESTS) if is_search else (LimitKind.REQUESTS,)
        waits = [await self._take(portal_id, kind) for kind in kinds]
        if max(waits) > 0:
            await asyncio.sleep(max(waits))

    async def _take(self, portal_id: int, kind: LimitKind) -> float:
        rate = self._rates[kind]
        place = {"portal_id": portal_id, "kind": kind.value}
        values = {
            **place,
            "interval": rate.interval,
            "slack": rate.interval * (rate.burst - 1),
            "longest": LONGEST_WAIT,
        }
        row = await self._db.fetch_one(_TAKE, values)
        if row is not None:
            return float(row["wait"])
        row = await self._db.fetch_one(_WAIT, place)
        raise TryLater(
            "other requests to this portal wait",
            max(float(row["wait"]), 1.0) if row is not None else 1.0,
            is_of_portal=kind is LimitKind.REQUESTS,
        )

    async def block(self, portal_id: int, seconds: float, *, is_search: bool = False) -> None:
        """Let no request go for a time."""
        kind = LimitKind.SEARCH if is_search else LimitKind.REQUESTS
        await self._db.execute(_BLOCK, {"portal_id": portal_id, "kind": kind.value, "seconds": seconds})
