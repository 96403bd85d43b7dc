"""Reads lists and reports for one account: request in, page of JSON out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from trunkline.db.query import Listing, Page, compile_request, fetch_page, parse_request
from trunkline.reports.period import THREE_MONTHS, Span, parse_period

if TYPE_CHECKING:
    from trunkline.db.pool import Database


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose rows are read, and how they are shown.

    :param zone: the account's zone: times of requests and answers are its wall clock.
    :param public_url: start of links to recordings, without a slash at the end.
    """

    database: Database
    account_id: int
    zone: ZoneInfo
    public_url: str = ""

    async def list(
        self,
        listing: Listing,
        params: Mapping[str, Any],
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
    ) -> Page:
        """One page of a list. ``params``: ``fields``, ``filter``, ``sort``, ``limit``, ``offset``.

        :param condition: constant SQL that narrows the list.
        :param values: what the condition, or the listing itself, refers to.
        :raises InvalidInput: see :mod:`trunkline.db.query`.
        """
        return await self._page(listing, params, condition, values or {})

    async def report(
        self,
        listing: Listing,
        params: Mapping[str, Any],
        condition: str | None,
        values: Mapping[str, Any] | None = None,
        longest: Span = THREE_MONTHS,
    ) -> Page:
        """One page of a report over the period ``date_from`` .. ``date_till`` of ``params``.

        :param condition: constant SQL that binds the period (:func:`trunkline.reports.period.condition`); None: the
            listing's table binds it.
        :param longest: how long the period may be.
        :param values: what else the condition refers to.
        :raises InvalidInput: see :func:`trunkline.reports.period.parse_period`, :mod:`trunkline.db.query`.
        """
        period = parse_period(params, self.zone, longest)
        return await self._page(listing, params, condition, {**period.params, **(values or {})})

    async def _page(
        self, listing: Listing, params: Mapping[str, Any], where: str | None, values: Mapping[str, Any]
    ) -> Page:
        query = compile_request(
            listing,
            parse_request(params, listing, self.zone),
            account_id=self.account_id,
            time_zone=self.zone.key,
            where=where,
            params={"public_url": self.public_url, **values},
        )
        return await fetch_page(self.database, query)
