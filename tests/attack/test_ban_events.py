"""A ban is reported once: as an event of the line, in the log, and in the status; an unlisted carrier is not."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import cast

import orjson
import pytest
import structlog

from tests.calls.company import company
from tests.patience import PATIENCE
from trunkline.calls.switch.login_bans import FAILURES
from trunkline.calls.switch.login_guard import NAME_LOOKUPS_MAX, REFUSED_NAME, LoginGuard, guarding
from trunkline.calls.switch.presence import Presence
from trunkline.core.clock import Instant
from trunkline.core.errors import DatabaseUnavailable, EngineError
from trunkline.db.pool import Connection, Database
from trunkline.directory.model import Directory
from trunkline.telephony.port import LineAccess, LoginFailed

pytestmark = pytest.mark.attack

ATTACKER, LINE = "203.0.113.9", "0260002"
GUIDE = Path(__file__).parents[2] / "docs/operations/security.md"


class Engine:
    """Accepts a publication at the second attempt."""

    def __init__(self) -> None:
        self.reported = 0
        self.addresses: list[str] = []
        self.lines: dict[str, LineAccess] = {}
        self.done = asyncio.Event()

    async def restrict_logins(self, addresses: Iterable[str], lines: dict[str, LineAccess]) -> None:
        self.reported += 1
        if self.reported == 1:
            raise EngineError("not connected")
        self.addresses, self.lines = list(addresses), dict(lines)
        self.done.set()


class Outage:
    """A database whose connections come only after the outage: the first request for one waits that long, and fails."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.asked = asyncio.Event()
        self.is_over = asyncio.Event()

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        if not self.is_over.is_set():
            self.asked.set()
            await self.is_over.wait()
            raise DatabaseUnavailable("no connection")
        async with self._db.connection() as connection:
            yield connection


@pytest.fixture
async def db(database: str) -> Database:
    return await Database.open(database, application_name="test")


async def test_one_event_for_each_ban(db: Database, tmp_path: Path) -> None:
    account = company()
    await db.execute(
        "insert into accounts (account_id, name, time_zone) values (%s, 'Example', 'UTC')",
        (account.account_id,),
    )
    engine = Engine()
    now = 1_700_000_000.0
    guard = LoginGuard(
        engine,
        db,
        Presence(),
        lambda: Directory({account.account_id: account}),
        tmp_path / "bans.json",
        clock=lambda: now,
    )
    for _ in range(50 * FAILURES):
        guard.handle(LoginFailed(Instant(now), LINE, ATTACKER, "wrong password"))
    async with guarding(guard), asyncio.timeout(PATIENCE):
        await engine.done.wait()
        while not (rows := await db.fetch_all("select * from outbox where type = 'login_banned'")):
            await asyncio.sleep(0.02)
    assert engine.lines == {LINE: LineAccess(denied=(ATTACKER,))}
    [row] = rows
    assert (row["account_id"], row["stream"]) == (account.account_id, "line:2")
    assert (row["data"]["ip"], row["data"]["phone_number"], row["data"]["scope"]) == (
        ATTACKER,
        LINE,
        "address_and_line",
    )
    status = guard.status()
    assert (status["in_force"], status["newest"][0]["ip"]) == (1, ATTACKER)
    await db.close()


async def test_bans_are_enforced_while_the_database_does_not_respond(db: Database, tmp_path: Path) -> None:
    """And their events are written afterwards, also those of a ban that was lifted meanwhile."""
    account = company()
    await db.execute(
        "insert into accounts (account_id, name, time_zone) values (%s, 'Example', 'UTC')",
        (account.account_id,),
    )
    outage = Outage(db)
    engine = Engine()
    engine.reported = 1  # connected
    now = 1_700_000_000.0
    guard = LoginGuard(
        engine,
        cast(Database, outage),
        Presence(),
        lambda: Directory({account.account_id: account}),
        tmp_path / "bans.json",
        clock=lambda: now,
    )

    async def ban(number: int) -> None:
        for _ in range(FAILURES):
            guard.handle(LoginFailed(Instant(now), LINE, f"203.0.113.{number}", "wrong password"))
        async with asyncio.timeout(PATIENCE):
            while f"203.0.113.{number}" not in engine.lines.get(LINE, LineAccess()).denied:
                await asyncio.sleep(0.01)

    async with guarding(guard):
        for number in range(4):
            await ban(number)
            async with asyncio.timeout(PATIENCE):
                await outage.asked.wait()
        guard.lift("203.0.113.2", None)
        outage.is_over.set()
        async with asyncio.timeout(PATIENCE):
            while len(rows := await db.fetch_all("select * from outbox where type = 'login_banned'")) < 4:
                await asyncio.sleep(0.02)
    assert sorted(row["data"]["ip"] for row in rows) == [f"203.0.113.{number}" for number in range(4)]
    await db.close()


async def test_a_password_for_no_line_is_logged_as_an_unknown_name(db: Database, tmp_path: Path) -> None:
    guard = LoginGuard(Engine(), db, Presence(), Directory, tmp_path / "bans.json", clock=lambda: 0.0)
    with structlog.testing.capture_logs() as logged:
        for line in ("", LINE):
            guard.handle(LoginFailed(Instant(1e9), line, ATTACKER, "wrong password"))
    assert [(one["event"], one["reason"]) for one in logged] == [
        ("login_unknown", REFUSED_NAME),
        ("login_failed", "wrong password"),
    ]
    await db.close()


async def test_an_unknown_name_is_in_the_log(db: Database, tmp_path: Path) -> None:
    """Looked up once for each line of the log, and not during a flood of requests."""
    looked_up = asyncio.Event()
    proceed = asyncio.Event()

    async def tried_name(failed: LoginFailed) -> str:
        looked_up.set()
        await proceed.wait()
        return f"name-of-{failed.call_id}"

    guard = LoginGuard(
        Engine(), db, Presence(), Directory, tmp_path / "b.json", clock=lambda: 0.0, tried_name=tried_name
    )
    with structlog.testing.capture_logs() as logged:
        for number in range(NAME_LOOKUPS_MAX + 1):
            ip = f"203.0.113.{number}"
            guard.handle(LoginFailed(Instant(1e9), "", ip, "wrong password", call_id=str(number)))
            guard.handle(LoginFailed(Instant(1e9), "", ip, "wrong password", call_id="again"))
        await looked_up.wait()
        assert [one["name"] for one in logged] == [""]
        proceed.set()
        async with asyncio.timeout(PATIENCE):
            while len(logged) <= NAME_LOOKUPS_MAX:
                await asyncio.sleep(0.01)
        guard.handle(LoginFailed(Instant(1e9), "", "203.0.113.99", "unknown name", name="carrier"))
    names = sorted(one["name"] for one in logged)
    assert names == sorted(["", "carrier", *(f"name-of-{number}" for number in range(NAME_LOOKUPS_MAX))])
    await db.close()


def test_the_filter_for_fail2ban() -> None:
    """Matches a banned address, and neither an unlisted carrier nor a phone with an old password."""
    [pattern] = re.findall(r"^failregex = (.*)$", GUIDE.read_text(), re.MULTILINE)
    matcher = re.compile(pattern.replace("<HOST>", r"(?P<host>\S+?)"))

    def line(event: str, **more: str | None) -> str:
        return orjson.dumps(
            {"package": "calls", **more, "event": event, "role": "switch", "level": "warning"}
        ).decode()

    banned = matcher.search(line("login_banned", scope="address", ip=ATTACKER, line=None))
    assert banned is not None
    assert banned["host"] == ATTACKER
    assert not matcher.search(line("login_unknown", line="", ip=ATTACKER, reason=REFUSED_NAME))
    assert not matcher.search(line("login_failed", line=LINE, ip=ATTACKER, reason="wrong password"))
    assert not matcher.search(line("login_banned", scope="address_and_line", ip=ATTACKER, line=LINE))
