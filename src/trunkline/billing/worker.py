"""Tasks of the worker process for billing: charges calls soon after their end; fees and limits periodically."""

from __future__ import annotations

import asyncio
import contextlib
import time
from datetime import UTC, datetime

import psycopg

from trunkline.billing.fees import charge_fees
from trunkline.billing.limits import enforce_limits
from trunkline.billing.rating import CHANNEL, Rater
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.db.jobs import Jobs
from trunkline.db.leader import woken_by
from trunkline.db.pool import Database, log_cause

_log = get_logger("billing")

RATING_PERIOD = 10.0
"""Seconds between two searches for finished calls, when none is announced."""

_REST_PERIOD = 1.0
"""Seconds between two searches at least: calls that end together are charged together."""

LIMITS_PERIOD = 30.0
FEES_PERIOD = 600.0
_PAUSE = 5.0
"""Seconds to wait after something failed."""


async def run_billing(database: Database, jobs: Jobs) -> None:
    """Charge until cancelled; survives the database's restarts. Any number of workers may do so.

    :param jobs: queue of the mails on limits; :class:`trunkline.billing.notices.Sender` sends them.
    """
    wake = asyncio.Event()
    async with woken_by(database, CHANNEL, wake):
        await _charge_for_ever(database, jobs, wake)


async def _charge_for_ever(database: Database, jobs: Jobs, wake: asyncio.Event) -> None:
    rater = Rater(database)
    fees_at = limits_at = 0.0
    while True:
        wake.clear()
        try:
            await rater.rate_waiting()
            if time.monotonic() >= fees_at:
                await charge_fees(database, datetime.now(UTC))
                fees_at = time.monotonic() + FEES_PERIOD
            if time.monotonic() >= limits_at:
                await enforce_limits(database, jobs, datetime.now(UTC))
                limits_at = time.monotonic() + LIMITS_PERIOD
        except (psycopg.Error, DatabaseUnavailable) as error:
            _log.warning(
                "billing_waits",
                cause=log_cause(error),
                error=repr(error),
                consequence="calls are charged later; it is tried again",
            )
            await asyncio.sleep(_PAUSE)
        await asyncio.sleep(_REST_PERIOD)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), RATING_PERIOD)
