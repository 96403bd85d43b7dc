"""For how many days an account's data is kept: its own value, else the installation's; none = for ever."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import psycopg

from trunkline.core.errors import InvalidInput, NotFound
from trunkline.core.settings import Settings
from trunkline.db.pool import Database

CALLS_MIN = 62
"""Minimum days for which calls are kept: the charges of this month and the one before are computed from them."""

_OWN = "select account_id, kind, days from account_retention where account_id = any(%s)"


class DataKind(StrEnum):
    """Kinds of data with a retention."""

    RECORDINGS = "recordings"
    """Audio of talks and of voice mail."""
    CALLS = "calls"
    """Calls with their legs, events and charges, and their recordings."""
    REQUEST_LOG = "request_log"
    """Requests to the APIs."""
    DELIVERY_LOG = "delivery_log"
    """Deliveries of notifications and callbacks that are over."""
    VISITS = "visits"
    """Visits that pages of websites began; uploaded ones are kept."""


@dataclass(frozen=True, slots=True)
class Days:
    """An account's value. ``days``: None = for ever. ``is_own``: set for this account."""

    days: int | None
    is_own: bool


def defaults(settings: Settings) -> dict[DataKind, int | None]:
    """The installation's values."""
    return {
        DataKind.RECORDINGS: settings.retention.recordings_days,
        DataKind.CALLS: settings.retention.calls_days,
        DataKind.REQUEST_LOG: settings.web.request_log_days,
        DataKind.DELIVERY_LOG: settings.notifications.delivery_log_days,
        DataKind.VISITS: settings.retention.visits_days,
    }


async def of_all_accounts(db: Database, settings: Settings) -> dict[int, dict[DataKind, Days]]:
    """The values in force for each account, disabled ones included."""
    accounts = [row["account_id"] for row in await db.fetch_all("select account_id from accounts")]
    general = defaults(settings)
    found = {one: {kind: Days(days, False) for kind, days in general.items()} for one in accounts}
    for row in await db.fetch_all(_OWN, (accounts,)):
        found[row["account_id"]][DataKind(row["kind"])] = Days(row["days"], True)
    return found


async def set_days(db: Database, account_id: int, kind: DataKind, days: int | None) -> None:
    """Keep an account's data for so many days; None = for ever.

    :raises InvalidInput: fewer than allowed.
    :raises NotFound: no such account.
    """
    least = CALLS_MIN if kind is DataKind.CALLS else 1
    if days is not None and days < least:
        raise InvalidInput(f"Keep {kind} for {least} days at least.", field="days", value=str(days))
    try:
        await db.execute(
            "insert into account_retention (account_id, kind, days) values (%s, %s, %s)"
            " on conflict (account_id, kind) do update set days = excluded.days",
            (account_id, kind.value, days),
        )
    except psycopg.errors.ForeignKeyViolation as error:
        raise NotFound(f"There is no account {account_id}.", field="account_id") from error


async def reset(db: Database, account_id: int, kind: DataKind) -> None:
    """Use the installation's value for an account again."""
    await db.execute(
        "delete from account_retention where account_id = %s and kind = %s", (account_id, kind.value)
    )
