"""Where a communication came from: a visit, or else a campaign, a site and a traffic source."""

from __future__ import annotations

from typing import Any

from trunkline.db.pool import Connection

_OF_VISIT = "select visit_of(%s, %s) as visit"

_SITE_OF_CAMPAIGN = "select site_id from campaigns where account_id = %s and campaign_id = %s"


async def visit_behind(
    connection: Connection,
    account_id: int,
    *,
    visitor_session_id: int | None,
    campaign_id: int | None,
    site_id: int | None,
    source_id: int | None,
) -> dict[str, Any]:
    """What a communication keeps in ``extra`` of where it came from, under the names of the reports.

    A known visit has all data. Otherwise a campaign determines its site.
    """
    if visitor_session_id is not None:
        row = await (await connection.execute(_OF_VISIT, (account_id, visitor_session_id))).fetchone()
        if row is not None and row["visit"]:
            return dict(row["visit"])
    if site_id is None and campaign_id is not None:
        row = await (await connection.execute(_SITE_OF_CAMPAIGN, (account_id, campaign_id))).fetchone()
        site_id = row["site_id"] if row is not None else None
    found = {"campaign_id": campaign_id, "site_id": site_id, "source_id": source_id}
    return {name: value for name, value in found.items() if value is not None}
