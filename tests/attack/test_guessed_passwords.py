"""Guessing passwords of SIP lines against a real engine: guesses stop, phones of others go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from tests.attack.guesser import Guesser
from tests.telephony.conftest import Pbx
from trunkline.calls.switch.login_bans import FAILURES, LINES
from trunkline.calls.switch.login_guard import BanSettings, LoginGuard, guarding
from trunkline.calls.switch.presence import Presence
from trunkline.db.pool import Database
from trunkline.directory.model import Directory
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import LoginFailed, Registered, RequestFlood, Unregistered
from trunkline.telephony.request_rates import REQUESTS_MAX

pytestmark = [pytest.mark.attack, pytest.mark.engine]

ATTACKER, OFFICE, OTHER_ACCOUNT = "127.0.0.90", "127.0.0.91", "127.0.0.92"
LINE, OTHER, PASSWORD = "1001", "1002", "secret"
PATIENCE = 15.0


class Guarded:
    """An engine whose logins are guarded, as in the switch."""

    def __init__(self, engine: AsteriskEngine, guard: LoginGuard) -> None:
        self.engine = engine
        self.guard = guard
        self.failed: list[LoginFailed] = []


@asynccontextmanager
async def guarded(pbx: Pbx, file: Path, **settings: Any) -> AsyncIterator[Guarded]:
    presence = Presence()
    async with AsteriskEngine(pbx.config) as engine:
        await engine.wait_up()
        await engine.configure(pbx.directory)
        # Without an account in the directory no event is written: the database is not used.
        guard = LoginGuard(engine, cast(Database, None), presence, Directory, file, BanSettings(**settings))
        made = Guarded(engine, guard)

        async def follow() -> None:
            async for signal in engine.signals():
                match signal:
                    case Registered():
                        presence.register(signal)
                    case Unregistered():
                        presence.unregister(signal)
                    case LoginFailed():
                        made.failed.append(signal)
                        guard.handle(signal)
                    case RequestFlood():
                        guard.handle_flood(signal)

        task = asyncio.create_task(follow())
        try:
            async with guarding(guard):
                yield made
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def until_refused(setup: Guarded, guesser: Guesser, line: str) -> int:
    """Guess until the engine does not look at the password any more; the number of guesses that it looked at."""
    for number in range(20_000):
        assert await guesser.guess(line, f"guess{number}") == 401
        if setup.failed and setup.failed[-1].line == "":
            return sum(one.line == line for one in setup.failed)
    pytest.fail("the guesses never stopped")


async def test_guesses_stop_and_others_go_on(pbx: Pbx, tmp_path: Path) -> None:
    port = pbx.config.ports.udp
    async with (
        guarded(pbx, tmp_path / "bans.json") as setup,
        Guesser(port, ATTACKER) as attacker,
        Guesser(port, OFFICE) as phone,
    ):
        assert await phone.guess(LINE, PASSWORD) == 200
        looked_at = await until_refused(setup, attacker, LINE)
        assert looked_at >= FAILURES
        # The right password does not help any more, at this line, and the response does not distinguish it from a wrong one.
        assert await attacker.guess(LINE, PASSWORD) == 401
        assert await attacker.guess(OTHER, PASSWORD) == 200
        assert await phone.guess(LINE, PASSWORD) == 200
        [ban] = setup.guard.listed()
        assert (ban["scope"], ban["ip"], ban["line"]) == ("address_and_line", ATTACKER, LINE)

        setup.guard.lift(ATTACKER, None)

        async def let_in() -> bool:
            return await attacker.guess(LINE, PASSWORD) == 200

        await until(let_in)


async def test_a_device_with_the_password_that_floods_is_refused_and_others_go_on(
    pbx: Pbx, tmp_path: Path
) -> None:
    """Each registration takes memory of Asterisk for half a minute."""
    port = pbx.config.ports.udp
    async with guarded(pbx, tmp_path / "bans.json") as setup, Guesser(port, OFFICE) as phone:

        async def banned() -> bool:
            async with Guesser(
                port, ATTACKER
            ) as attacker:  # a new one: responses fill the queue of the former
                await attacker.flood(OTHER, PASSWORD, REQUESTS_MAX, PATIENCE)
            return bool(setup.guard.listed())

        await until(banned)
        [ban] = setup.guard.listed()
        assert (ban["scope"], ban["ip"], ban["line"]) == ("address_and_line", ATTACKER, OTHER)

        async def refused() -> bool:
            async with Guesser(port, ATTACKER) as attacker:
                return await attacker.guess(OTHER, PASSWORD) == 401

        await until(refused)
        assert await phone.guess(OTHER, PASSWORD) == 200
        assert await phone.guess(LINE, PASSWORD) == 200


async def test_an_address_that_tries_many_lines_is_refused_at_all(pbx: Pbx, tmp_path: Path) -> None:
    async with (
        guarded(pbx, tmp_path / "bans.json") as setup,
        Guesser(pbx.config.ports.udp, ATTACKER) as attacker,
        Guesser(pbx.config.ports.udp, OFFICE) as phone,
    ):
        for number in range(LINES):
            setup.guard.handle(LoginFailed(time.time(), f"20{number}", ATTACKER, "", proven=True))  # type: ignore[arg-type]
            for _ in range(FAILURES):
                setup.guard.handle(LoginFailed(time.time(), f"20{number}", ATTACKER, "", proven=True))  # type: ignore[arg-type]

        async def refused() -> bool:
            return await attacker.guess(OTHER, PASSWORD) in (0, 403)

        await until(refused)
        assert await phone.guess(LINE, PASSWORD) == 200


async def test_a_ban_survives_a_restart_of_the_switch(pbx: Pbx, tmp_path: Path) -> None:
    file = tmp_path / "bans.json"
    async with Guesser(pbx.config.ports.udp, ATTACKER) as attacker:
        async with guarded(pbx, file) as setup:
            await until_refused(setup, attacker, LINE)
            before = setup.guard.listed()

            async def saved() -> bool:
                return file.exists()

            await until(saved)
        async with guarded(pbx, file) as setup:
            assert setup.guard.listed() == before

            async def refused() -> bool:
                return await attacker.guess(LINE, PASSWORD) == 401

            await until(refused)


async def test_an_unlisted_carrier_is_not_banned(pbx: Pbx, tmp_path: Path) -> None:
    """It tries no password: its requests are refused by their name."""
    async with (
        guarded(pbx, tmp_path / "bans.json") as setup,
        Guesser(pbx.config.ports.udp, OTHER_ACCOUNT) as carrier,
    ):
        for _ in range(3 * FAILURES):
            assert await carrier.send("4711", None) == 401
        assert await carrier.guess(LINE, PASSWORD) == 200
        assert not any(one.tried_password for one in setup.failed)
        assert setup.guard.listed() == []


async def test_exempt_networks_are_never_banned(pbx: Pbx, tmp_path: Path) -> None:
    async with (
        guarded(pbx, tmp_path / "bans.json", exempt=["127.0.0.0/8"]) as setup,
        Guesser(pbx.config.ports.udp, ATTACKER) as attacker,
    ):
        for _ in range(2 * FAILURES):
            assert await attacker.guess(LINE, "wrong") == 401

        async def all_heard() -> bool:
            return len(setup.failed) >= 2 * FAILURES

        await until(all_heard)
        assert setup.guard.listed() == []
