"""How much of the disk uploaded recordings may take: of each account, and of what is free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from trunkline.core.disk import folders_of, free_bytes
from trunkline.core.errors import QuotaReached
from trunkline.core.log import get_logger
from trunkline.core.settings import Settings
from trunkline.db.pool import Connection
from trunkline.uploads.model import ErrorCode, ServerFault, UploadFailed

_log = get_logger("uploads")

_TOTALS = """
select coalesce(t.bytes, 0) as bytes,
    case when t.day = (now() at time zone 'UTC')::date then t.day_bytes else 0 end as day_bytes,
    l.bytes as own_limit, l.bytes_per_day as own_day_limit
from accounts a left join upload_totals t on t.account_id = a.account_id
    left join upload_limits l on l.account_id = a.account_id
where a.account_id = %s
"""

CheckSpace = Callable[[int], None]
"""Called with bytes that are to be written; raises :class:`ServerFault` when the disk has no space for them."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Bytes of stored recordings of an account's uploaded calls, unless it has limits of its own
    (``trunkline account uploads``). 0 = no limit."""

    bytes: int = 0
    day_bytes: int = 0
    """Stored on one day (UTC), whether they are still there or not."""

    @classmethod
    def of(cls, settings: Settings) -> Quota:
        return cls(settings.limits.account_uploads_bytes, settings.limits.account_uploads_bytes_per_day)


@dataclass(frozen=True, slots=True)
class _Limit:
    name: str
    """Of the column of ``upload_limits``."""
    limit: int
    used: int
    remedy: str


async def check_request(connection: Connection, account_id: int, quota: Quota) -> None:
    """Before recordings are accepted.

    :raises QuotaReached: the account has as much as it may.
    """
    for one in await _limits(connection, account_id, quota):
        if one.used >= one.limit:
            raise QuotaReached(
                f"The recordings of uploaded calls take as many bytes as they may ({one.limit}): {one.remedy}.",
                params={"limit": one.limit},
            )


async def check_stored(connection: Connection, account_id: int, quota: Quota, more: int = 0) -> None:
    """Before and after a recording is stored. After it, in its transaction: the row of the totals is locked by then, so that
    workers do not exceed the quota together.

    :param more: bytes that are not counted yet.
    :raises UploadFailed: the account has more than it may.
    """
    for one in await _limits(connection, account_id, quota):
        if one.used + more > one.limit:
            _log.warning(
                "uploads_limit_reached",
                account_id=account_id,
                limit=one.name,
                limit_max_value=one.limit,
                stored_bytes=one.used,
                consequence="recordings of uploaded calls of this account are refused until it is below the limit",
                remedy="raise the limit (`trunkline account uploads`), or shorten the retention (`trunkline retention`)",
            )
            raise UploadFailed(
                ErrorCode.PROCESSING,
                f"The recordings of uploaded calls of the account would take more than {one.limit} bytes: {one.remedy}.",
            )


async def _limits(connection: Connection, account_id: int, quota: Quota) -> list[_Limit]:
    row = await (await connection.execute(_TOTALS, (account_id,))).fetchone()
    if row is None:
        return []
    own, own_day = row["own_limit"], row["own_day_limit"]
    limits = (
        _Limit("bytes", quota.bytes if own is None else own, row["bytes"], "have old ones removed first"),
        _Limit(
            "bytes_per_day",
            quota.day_bytes if own_day is None else own_day,
            row["day_bytes"],
            "continue on the next day (UTC)",
        ),
    )
    return [one for one in limits if one.limit]


def check_disk(settings: Settings, more: int) -> None:
    """Uploads stop before calls are not recorded.

    :param more: bytes that are to be written.
    :raises ServerFault: less than ``disk.recordings_free`` would be free after them.
    """
    free = min(free_bytes(folder) for folder in folders_of(settings) if folder.exists())
    if free - more < settings.disk.recordings_free:
        raise ServerFault(
            f"the disk has {free} bytes free: {more} for an upload would leave less than disk.recordings_free"
        )
