"""The advertising campaign of a visit, by the conditions of the site's campaigns."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trunkline.core.errors import TooExpensive
from trunkline.core.patterns import PatternError, compile_pattern, in_thread
from trunkline.db.pool import Database

_OF_SITES = """
select campaign_id, site_id, group_conditions from campaigns
where account_id = %s and site_id = any(%s) and status = 'active' and group_conditions <> '[]' order by campaign_id
"""

_VALUE_MAX = 2000
"""Characters of a value that a condition is applied to."""

SECONDS_MAX = 5.0
"""For the conditions of one request."""


@dataclass(frozen=True, slots=True)
class Visit:
    """``parameters``: what the conditions of campaigns may use, by its name there."""

    site_id: int
    parameters: Mapping[str, Any]


async def campaigns_of(db: Database, account_id: int, visits: Sequence[Visit]) -> list[int | None]:
    """For each visit the first campaign of its site whose conditions it meets; None when it meets none's.

    No transaction is open while the conditions are compared.

    :raises TooExpensive: the conditions take longer than one request may.
    """
    if not visits:
        return []
    sites = sorted({visit.site_id for visit in visits})
    rows = await db.fetch_all(_OF_SITES, (account_id, sites))
    if not rows:
        return [None] * len(visits)
    return await in_thread(_choose, rows, visits, time.monotonic() + SECONDS_MAX)


def _choose(
    campaigns: Sequence[Mapping[str, Any]], visits: Sequence[Visit], deadline: float
) -> list[int | None]:
    return [
        next(
            (
                int(campaign["campaign_id"])
                for campaign in campaigns
                if campaign["site_id"] == visit.site_id and _belongs(campaign, visit, deadline)
            ),
            None,
        )
        for visit in visits
    ]


def _belongs(campaign: Mapping[str, Any], visit: Visit, deadline: float) -> bool:
    return any(
        _meets(group.get("conditions", ()), visit.parameters, deadline)
        for group in campaign["group_conditions"]
    )


def _meets(conditions: Any, visit: Mapping[str, Any], deadline: float) -> bool:
    """Whether all conditions that include hold, and none that excludes."""
    if time.monotonic() > deadline:
        text = "The conditions of the site's campaigns take too long: upload fewer visits at once or simplify them"
        raise TooExpensive(text, params={"error_message": text})
    return bool(conditions) and all(
        _holds(condition, visit) == (condition.get("type", "include") == "include")
        for condition in conditions
    )


def _holds(condition: Mapping[str, Any], visit: Mapping[str, Any]) -> bool:
    value = visit.get(str(condition.get("campaign_parameter")))
    if value is None:
        return False
    text, wanted = str(value)[:_VALUE_MAX], str(condition.get("value", ""))
    match condition.get("operator"):
        case "=":
            return text == wanted
        case "sub":
            return wanted in text
        case "~":
            return _matches(text, wanted)
        case _:
            return False


def _matches(text: str, pattern: str) -> bool:
    try:
        return compile_pattern(pattern).matches(text)
    except PatternError:  # kept before patterns were checked
        return False
