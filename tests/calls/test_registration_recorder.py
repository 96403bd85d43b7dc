"""Table ``registrations`` follows the devices that the switch knows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from tests.calls.company import ACCOUNT, ANNA_LINE, BORIS_LINE, company
from trunkline.calls.switch.presence import Presence
from trunkline.calls.switch.registration_recorder import RegistrationRecorder, registering
from trunkline.core.clock import Instant
from trunkline.db.pool import Connection, Database
from trunkline.directory.model import Directory
from trunkline.telephony.port import Registered, Unregistered

LINES = {1: ANNA_LINE, 2: BORIS_LINE}


def registered(line: str, expires_at: float, at: float) -> Registered:
    return Registered(
        at=Instant(at), line=line, contact_uri=f"sip:{line}@192.0.2.1", ip="192.0.2.1", port=5060, transport="udp",
        user_agent="Desk", expires_at=Instant(expires_at), round_trip_us=None, reachable=True,
    )  # fmt: skip


async def rows(db: Database) -> dict[int, float]:
    found = await db.fetch_all(
        "select sip_line_id, extract(epoch from expires_at)::float8 as ends from registrations where account_id = %s",
        (ACCOUNT,),
    )
    return {row["sip_line_id"]: row["ends"] for row in found}


async def wait_rows(db: Database, expected: dict[int, float]) -> None:
    deadline = time.monotonic() + 30
    while (found := await rows(db)) != expected:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)


class Counting:
    """The database; counts the connections that were taken."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.taken = 0

    def connection(self, *args: Any, **more: Any) -> AbstractAsyncContextManager[Connection]:
        self.taken += 1
        return self._db.connection(*args, **more)


def recorder_of(db: Any, lines: Sequence[int] = (1, 2)) -> RegistrationRecorder:
    directory = Directory({ACCOUNT: company()})
    assert {line_id: company().lines[line_id].phone_number for line_id in lines} == LINES
    return RegistrationRecorder(db, Presence(), lambda: directory)


async def test_refreshes_move_the_expiry_of_many_lines_in_one_transaction(db: Database) -> None:
    for line_id, login in LINES.items():
        await db.execute(
            "insert into sip_lines (account_id, sip_line_id, phone_number, ha1_md5, ha1_sha256)"
            " values (%s, %s, %s, %s, %s)",
            (ACCOUNT, line_id, login, "0" * 32, "0" * 64),
        )
    counting = Counting(db)
    recorder = recorder_of(counting)
    async with registering(recorder):
        for login in LINES.values():
            recorder.handle(registered(login, 1_000.0, 900.0))
        await wait_rows(db, {1: 1_000.0, 2: 1_000.0})
        before = counting.taken
        for login in LINES.values():
            recorder.handle(registered(login, 2_000.0, 990.0))
        await wait_rows(db, {1: 2_000.0, 2: 2_000.0})
        assert counting.taken - before == 1
        recorder.handle(Unregistered(Instant(2_001.0), BORIS_LINE, f"sip:{BORIS_LINE}@192.0.2.1"))
        await wait_rows(db, {1: 2_000.0})
