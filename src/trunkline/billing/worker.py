"""The money's part of a worker process: charges calls soon after they are over, fees and limits now and then."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import psycopg

from trunkline.billing.fees import charge_fees
from trunkline.billing.limits import enforce_limits
from trunkline.billing.rating import Rater
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database

_log = get_logger("billing")

RATING_PERIOD = 1.0
"""Seconds between two looks for calls that are over."""

LIMITS_PERIOD = 30.0
FEES_PERIOD = 600.0
_PAUSE = 5.0
"""Seconds to wait after something failed."""


async def run_billing(database: Database, jobs: Jobs) -> None:
    """Charge until cancelled; survives the database's restarts. Any number of workers may do so.

    :param jobs: takes the mails that tell of limits; :class:`trunkline.billing.notices.Sender` does them.
    """
    rater = Rater(database)
    fees_at = limits_at = 0.0
    while True:
        try:
            await rater.rate_waiting()
            if time.monotonic() >= fees_at:
                await charge_fees(database, datetime.now(UTC))
                fees_at = time.monotonic() + FEES_PERIOD
            if time.monotonic() >= limits_at:
                await enforce_limits(database, jobs, datetime.now(UTC))
                limits_at = time.monotonic() + LIMITS_PERIOD
        except (psycopg.Error, DatabaseUnavailable) as error:
            _log.warning("billing_waits", error=repr(error))
            await asyncio.sleep(_PAUSE)
        await asyncio.sleep(RATING_PERIOD)
