"""Many wrong passwords at one line are reported to its owner and the administrator, from whichever addresses; nothing is
refused because of them that is not refused without."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.calls.company import company
from trunkline.calls.switch.login_guard import BanSettings, LoginGuard, guarding
from trunkline.calls.switch.login_guessing import (
    ADDRESSES_MAX,
    GUESSES,
    LINES_MAX,
    PERIOD_SECONDS,
    GuessCounter,
)
from trunkline.calls.switch.presence import Presence
from trunkline.core.clock import Instant
from trunkline.db.pool import Database
from trunkline.directory.model import Directory
from trunkline.telephony.port import LineAccess, LoginFailed, Registered

pytestmark = pytest.mark.attack

OFFICE, LINE = "203.0.113.9", "0260002"
NOW = 1_772_366_400.0


class Engine:
    def __init__(self) -> None:
        self.restrictions: list[tuple[list[str], dict[str, LineAccess]]] = []

    async def restrict_logins(self, addresses: Iterable[str], lines: dict[str, LineAccess]) -> None:
        self.restrictions.append((list(addresses), dict(lines)))


@pytest.mark.parametrize("exempt", [[], ["203.0.113.0/24"]])
async def test_guesses_from_an_exempt_address_raise_an_alarm_and_ban_nobody(
    database: str, tmp_path: Path, exempt: list[str]
) -> None:
    async with await Database.open(database, application_name="test") as db:
        account = company()
        await db.execute(
            "insert into accounts (account_id, name, time_zone) values (%s, 'Example', 'UTC')",
            (account.account_id,),
        )
        presence = Presence()
        presence.register(
            Registered(
                Instant(NOW),
                LINE,
                f"sip:{LINE}@{OFFICE}:5062",
                OFFICE,
                5062,
                "UDP",
                "phone",
                Instant(NOW + 60),
                None,
                True,
            )
        )
        engine = Engine()
        guard = LoginGuard(
            engine,
            db,
            presence,
            lambda: Directory({account.account_id: account}),
            tmp_path / "bans.json",
            BanSettings(exempt=exempt),
            clock=lambda: NOW,
        )
        for number in range(3 * GUESSES):
            at = Instant(NOW + number / 100)
            guard.handle(LoginFailed(at, LINE, OFFICE, "wrong password", proven=False))
        async with guarding(guard), asyncio.timeout(20):
            while not await db.fetch_all("select from installation_events where type = 'login_guessing'"):
                await asyncio.sleep(0.02)
        assert guard.listed() == []
        assert all(one == ([], {}) for one in engine.restrictions)
        [event] = await db.fetch_all("select * from outbox where type = 'login_guessing'")
        assert (event["account_id"], event["data"]["entity_name"]) == (account.account_id, LINE)
        assert event["data"]["addresses"] == [{"ip": OFFICE, "failures": GUESSES}]
        [guessed] = guard.status()["guessed_lines"]
        assert (guessed["line"], guessed["failures"]) == (LINE, 3 * GUESSES)


def test_guesses_are_counted_over_all_addresses_and_reported_once_in_a_period() -> None:
    counter = GuessCounter()
    reports = [
        counter.failed(LINE, f"198.51.100.{number % 250}", Instant(NOW + number))
        for number in range(3 * GUESSES)
    ]
    [report] = [one for one in reports if one is not None]
    assert (report.failures, report.seconds) == (GUESSES, GUESSES - 1)
    later = [
        counter.failed(LINE, OFFICE, Instant(NOW + PERIOD_SECONDS + number)) for number in range(GUESSES)
    ]
    assert [one is not None for one in later] == [False] * (GUESSES - 1) + [True]


def test_few_guesses_are_no_alarm() -> None:
    counter = GuessCounter()
    assert not any(counter.failed(LINE, OFFICE, Instant(NOW + number)) for number in range(GUESSES - 1))
    assert counter.reported(Instant(NOW)) == []


def test_lines_and_addresses_that_are_counted_are_bounded() -> None:
    counter = GuessCounter()
    for number in range(LINES_MAX + 100):
        counter.failed(str(number), OFFICE, Instant(NOW))
    for number in range(ADDRESSES_MAX + 100):
        counter.failed(LINE, f"2001:db8::{number:x}", Instant(NOW))
    assert len(counter._lines) == LINES_MAX
    assert len(counter._lines[LINE].addresses) == ADDRESSES_MAX
