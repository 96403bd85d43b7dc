"""How much of the disk uploaded recordings may take: of each account, and of what is free.

Before the recordings of a call are fetched, the bytes that they take at most are reserved: stored and reserved bytes of an
account together are never above its limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

_LOCK = """
insert into upload_totals (account_id, day) values (%s, (now() at time zone 'UTC')::date)
on conflict (account_id) do update set bytes = upload_totals.bytes
"""

_OTHERS = """
select coalesce(sum(bytes), 0)::bigint as bytes from upload_reservations
where account_id = %s and uploaded_call_id <> %s and uploaded_call_id = any(%s)
"""

_RESERVE = """
insert into upload_reservations (account_id, uploaded_call_id, bytes) values (%s, %s, %s)
on conflict (account_id, uploaded_call_id) do update set bytes = excluded.bytes
"""

_SHRINK = """
update upload_reservations set bytes = least(bytes, %s) where account_id = %s and uploaded_call_id = %s
"""

_REFUSED = """
insert into upload_limit_states (account_id, limit_name, refused_limit, refused_bytes, refused_at)
values (%s, %s, %s, %s, now())
on conflict (account_id, limit_name) do update set refused_limit = excluded.refused_limit,
    refused_bytes = excluded.refused_bytes, refused_at = excluded.refused_at
"""

_STORED = """
update upload_limit_states set refused_limit = null where account_id = %s and refused_limit is not null
"""

_RELEASE = "delete from upload_reservations where account_id = %s and uploaded_call_id = %s"

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


@dataclass(slots=True)
class Reservation:
    """Bytes that a call in process may take, besides the stored ones of its account.

    :ivar bytes: how many; less than it takes at most when the account has no more left, and nobody else uses them.
    :ivar limit: which limit leaves no more; None: the call has all that it can take.
    """

    account_id: int
    uploaded_call_id: int
    bytes: int
    limit: _Limit | None = None

    def exceeded(self) -> StorageFull:
        """It takes more than there is."""
        assert self.limit is not None
        return _refused(self.account_id, self.limit)

    async def shrink(self, connection: Connection, most: int) -> None:
        """Let others have what this call cannot take any more.

        :param most: bytes that it takes and may take yet.
        """
        if most < self.bytes:
            self.bytes = most
            await connection.execute(_SHRINK, (most, self.account_id, self.uploaded_call_id))


async def reserve(
    connection: Connection,
    account_id: int,
    uploaded_call_id: int,
    most: int,
    quota: Quota,
    running: Sequence[int],
) -> Reservation | None:
    """Reserve bytes for a call, in place of those that an earlier attempt of it has reserved.

    :param most: bytes that it can take.
    :param running: calls whose jobs run; those that wait for another attempt delay nobody.
    :returns: None when others of these have reserved so much that it has to wait for them.
    :raises UploadFailed: the account has as much as it may.
    """
    await connection.execute(_LOCK, (account_id,))  # two calls do not reserve the same bytes
    await release(connection, account_id, uploaded_call_id)
    limits = await _limits(connection, account_id, quota)
    for one in limits:
        if one.used >= one.limit:
            raise _refused(account_id, one)
    row = await (await connection.execute(_OTHERS, (account_id, uploaded_call_id, list(running)))).fetchone()
    assert row is not None
    others = row["bytes"]
    least = min(limits, key=lambda one: one.limit - one.used, default=None)
    reserved = Reservation(account_id, uploaded_call_id, most)
    if least is not None and most > least.limit - least.used - others:
        if others:
            return None
        reserved = Reservation(account_id, uploaded_call_id, least.limit - least.used, least)
    await connection.execute(_RESERVE, (account_id, uploaded_call_id, reserved.bytes))
    return reserved


async def release(connection: Connection, account_id: int, uploaded_call_id: int) -> None:
    """Free what a call has reserved: in the transaction that settles it, or when its files are removed."""
    await connection.execute(_RELEASE, (account_id, uploaded_call_id))


async def check_stored(connection: Connection, account_id: int, quota: Quota) -> None:
    """After recordings are stored, in their transaction: the row of the totals is locked by then, so that workers do not
    exceed the quota together.

    :raises UploadFailed: the account has more than it may.
    """
    for one in await _limits(connection, account_id, quota):
        if one.used > one.limit:
            raise _refused(account_id, one)


class StorageFull(UploadFailed):
    """The account has as much as it may. ``name``: of the limit, ``limit`` and ``used`` in bytes."""

    def __init__(self, one: _Limit) -> None:
        super().__init__(
            ErrorCode.PROCESSING,
            f"The recordings of uploaded calls of the account would take more than {one.limit} bytes: {one.remedy}.",
        )
        self.name, self.limit, self.used = one.name, one.limit, one.used


async def note_refused(connection: Connection, account_id: int, failure: StorageFull) -> None:
    """Keep that an upload was refused, until another one is stored."""
    await connection.execute(_REFUSED, (account_id, failure.name, failure.limit, failure.used))


async def note_stored(connection: Connection, account_id: int) -> None:
    """An upload was stored, so the account is below its limits again, if it was refused one."""
    await connection.execute(_STORED, (account_id,))


def _refused(account_id: int, one: _Limit) -> StorageFull:
    _log.warning(
        "uploads_limit_reached",
        account_id=account_id,
        limit=one.name,
        limit_max_value=one.limit,
        stored_bytes=one.used,
        consequence="recordings of uploaded calls of this account are refused until it is below the limit",
        remedy="raise the limit (`trunkline account uploads`), or shorten the retention (`trunkline retention`)",
    )
    return StorageFull(one)


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
