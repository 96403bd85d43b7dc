"""Which accounts may not record any more, so that one account does not fill the disk of all. Pure.

An account has a limit of the bytes of its recordings: its own (``trunkline account recordings``), or that of the settings.
Without one it is half of the disk, while there are other accounts.

When the disk is nearly full (``disk.alarm_free``), the space is shared besides: what the accounts recorded lately and what
is left until no account is recorded any more, in equal parts. An account that recorded more than its part is not
recorded any more, while the others are. What was stored before counts for the limit only: who fills the disk now is
stopped, not who has the oldest recordings.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from trunkline.core import not_recorded

_RESUMES = 0.9
"""An account is recorded again below this part of its share, so that it does not change with each call."""


class LimitKind(StrEnum):
    BYTES = "bytes"
    SHARE = "share"

    @property
    def reason(self) -> str:
        """Of :mod:`trunkline.core.not_recorded`."""
        return not_recorded.ACCOUNT_LIMIT if self is LimitKind.BYTES else not_recorded.ACCOUNT_SHARE


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of the recordings and voice messages of an account's own calls.

    :ivar stored: of those that are made.
    :ivar lately: of those that were made today and yesterday (UTC), whether they are still there or not.
    :ivar raw: raw audio in the spool folder of this node.
    :ivar own_limit: 0 = no limit; None = the usual one.
    """

    account_id: int
    stored: int = 0
    lately: int = 0
    raw: int = 0
    own_limit: int | None = None


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """The disk that recordings are on, in bytes.

    :ivar left: that may be written until no account is recorded any more.
    :ivar is_scarce: whether less than ``disk.alarm_free`` is free.
    """

    size: int
    left: int
    is_scarce: bool


@dataclass(frozen=True, slots=True)
class LimitReached:
    """``limit`` and ``used`` in bytes: of all recordings, or for a share of what was recorded lately."""

    account_id: int
    kind: LimitKind
    limit: int
    used: int


def limits_reached(
    usages: Sequence[Usage],
    usual: int | None,
    space: DiskSpace,
    *,
    has_others: bool,
    shared_before: Collection[int] = (),
) -> dict[int, LimitReached]:
    """Accounts that may not record now.

    :param usages: of all accounts that have recordings or raw audio.
    :param usual: limit of accounts without their own: 0 = none, None = half of the disk.
    :param has_others: whether there are accounts besides one.
    :param shared_before: accounts that had recorded more than their share at the last check.
    """
    found = _over_share(usages, space, has_others, shared_before) if space.is_scarce else {}
    for one in usages:
        limit = limit_of(one.own_limit, usual, space.size, has_others=has_others)
        used = one.stored + one.raw
        if limit and used >= limit:
            found[one.account_id] = LimitReached(one.account_id, LimitKind.BYTES, limit, used)
    return found


def limit_of(own: int | None, usual: int | None, size: int, *, has_others: bool) -> int:
    """Limit of an account in bytes; 0 = none."""
    if own is not None:
        return own
    if usual is not None:
        return usual
    return size // 2 if has_others else 0


def _over_share(
    usages: Sequence[Usage], space: DiskSpace, has_others: bool, before: Collection[int]
) -> dict[int, LimitReached]:
    """There are at least two shares while there are other accounts: one that recorded nothing lately may record now."""
    recorded = {one.account_id: one.lately + one.raw for one in usages if one.lately + one.raw}
    shares = max(len(recorded), 2 if has_others else 1)
    if shares < 2:
        return {}
    share = (sum(recorded.values()) + max(space.left, 0)) // shares
    return {
        account_id: LimitReached(account_id, LimitKind.SHARE, share, used)
        for account_id, used in recorded.items()
        if used > (share * _RESUMES if account_id in before else share)
    }
