"""Wrong passwords in a row, as they are stored: what is tried too often has to wait (:mod:`.login_throttle`)."""

from __future__ import annotations

from trunkline.accounts import login_throttle
from trunkline.core.clock import to_datetime
from trunkline.core.errors import AuthenticationFailed
from trunkline.core.failures import FORGOTTEN_AFTER
from trunkline.db.pool import Database


async def check_wait(db: Database, subject: str, now: float) -> None:
    """Whether the next try is allowed.

    :param subject: what is counted by.
    :param now: Unix seconds.
    :raises AuthenticationFailed: not yet; says in how many seconds.
    """
    row = await db.fetch_one(
        "select failures, last_failed_at from login_failures where subject = %s", (subject,)
    )
    if row is None:
        return
    wait = login_throttle.remaining_wait(row["failures"], row["last_failed_at"].timestamp(), now)
    if wait > 0:
        raise AuthenticationFailed(f"too many failed log-ins; try again in {wait:.0f} s")


async def note(db: Database, subject: str, now: float) -> None:
    """One more was wrong."""
    await db.execute(
        """
        insert into login_failures as f (subject, failures, last_failed_at)
        values (%(subject)s, 1, %(now)s)
        on conflict (subject) do update set
            failures = case when f.last_failed_at < %(forgotten)s then 1 else f.failures + 1 end,
            last_failed_at = greatest(f.last_failed_at, excluded.last_failed_at)
        """,
        {"subject": subject, "now": to_datetime(now), "forgotten": to_datetime(now - FORGOTTEN_AFTER)},
    )
