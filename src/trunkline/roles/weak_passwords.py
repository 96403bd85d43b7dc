"""Examines passwords of SIP lines that an older version stored, and publishes an event for each weak one."""

from __future__ import annotations

import asyncio
import time

import psycopg

from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable, first_line
from trunkline.core.log import get_logger
from trunkline.db.pool import Database, log_cause
from trunkline.directory.lines.weak_passwords import WeakLine, examine, weak_lines
from trunkline.events.catalogue import EventType, row_stream
from trunkline.events.store import append_to_end

PERIOD_SECONDS = 300.0

_log = get_logger("roles")


async def run_weak_passwords(db: Database) -> None:
    """Examine and publish periodically, until cancelled."""
    while True:
        try:
            await report_weak_passwords(db)
        except (psycopg.Error, DatabaseUnavailable) as error:
            _log.warning(
                "weak_passwords_not_examined",
                cause=log_cause(error),
                error=first_line(error),
                consequence="passwords are examined at the next check",
            )
        await asyncio.sleep(PERIOD_SECONDS)


async def report_weak_passwords(db: Database) -> list[WeakLine]:
    """Examine what was not examined, and publish what was not published; the weak lines of the installation."""
    await examine(db)
    found = await weak_lines(db)
    for line in found:
        await _publish(db, line)
    return found


async def _publish(db: Database, line: WeakLine) -> None:
    """The event SIP_PASSWORD_WEAK, once for each reason of each line."""
    reason = f"the password can be guessed: {line.weakness.value}"
    stream = row_stream("sip_line", line.sip_line_id, reason)
    async with db.connection() as connection:
        cursor = await connection.execute(
            "select from stream_positions where account_id = %s and stream = %s", (line.account_id, stream)
        )
        if await cursor.fetchone() is not None:
            return
        data = {
            "entity": "sip_line",
            "entity_id": line.sip_line_id,
            "entity_name": line.login,
            "reason": reason,
        }
        await append_to_end(
            connection, line.account_id, stream, EventType.SIP_PASSWORD_WEAK, Instant(time.time()), data
        )
    _log.warning(
        "sip_password_weak",
        account_id=line.account_id,
        line=line.login,
        weakness=line.weakness.value,
        consequence="the line works; who guesses the password can call at its expense",
        remedy="set a new password: change of the line in the API, or trunkline apply",
    )
