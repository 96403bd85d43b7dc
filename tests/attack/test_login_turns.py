"""Log-ins that are refused, of one address or of many, do not keep others from logging in."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from trunkline.accounts import passwords
from trunkline.accounts.administration import Administration
from trunkline.accounts.model import Api
from trunkline.accounts.service import Accounts
from trunkline.core.errors import AuthenticationFailed, LimitExceeded
from trunkline.db.pool import Database

pytestmark = pytest.mark.attack


_logins = itertools.count()


class SlowPasswords:
    """Checks passwords one at a time, when asked to; none is right.

    :ivar checked: the passwords.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checked: list[str] = []
        self._go = asyncio.Semaphore(0)
        monkeypatch.setattr(passwords, "fits", self._fits)

    async def _fits(self, password: str, _stored: str | None) -> bool:
        await self._go.acquire()
        self.checked.append(password)
        return False

    async def check(self, count: int) -> None:
        before = len(self.checked)
        for _ in range(count):
            self._go.release()
        async with asyncio.timeout(20):
            while len(self.checked) < before + count:
                await asyncio.sleep(0.01)


async def _log_in(accounts: Accounts, password: str, address: str) -> str:
    try:
        await accounts.login(f"login {next(_logins)}", password, "call_api", address)
    except (AuthenticationFailed, LimitExceeded) as error:
        return error.mnemonic
    return "ok"


async def _begin(*log_ins: tuple[Accounts, str, str]) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(_log_in(*one)) for one in log_ins]
    await asyncio.sleep(0.3)
    return tasks


async def test_one_address_does_not_delay_another(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowPasswords(monkeypatch)
    async with await Database.open(database) as db:
        accounts = Accounts(db)
        guesses = await _begin(*((accounts, "guess", "192.0.2.1") for _ in range(40)))
        refused = [one.result() for one in guesses if one.done()]
        assert len(refused) >= 20
        assert set(refused) == {"limit_exceeded"}
        [other] = await _begin((accounts, "other", "192.0.2.2"))
        await slow.check(9)  # two were being checked; how long a check takes besides varies
        assert "other" in slow.checked
        await slow.check(10)
        assert await other == "auth_error"
        await asyncio.gather(*guesses)


async def test_addresses_that_were_refused_come_after_others(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowPasswords(monkeypatch)
    async with await Database.open(database) as db:
        accounts = Accounts(db)
        addresses = [f"198.51.100.{number}" for number in range(30)]
        tasks = await _begin(*((accounts, "guess", one) for one in addresses))
        await slow.check(len(addresses))
        await asyncio.gather(*tasks)
        guesses = await _begin(*((accounts, "guess", one) for one in addresses))
        [other] = await _begin((accounts, "other", "192.0.2.2"))
        slow.checked.clear()
        await slow.check(6)
        assert "other" in slow.checked
        await slow.check(25)
        await asyncio.gather(other, *guesses)


async def test_an_address_from_which_somebody_logged_in_comes_first(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await Database.open(database) as db:
        row = await db.fetch_one("insert into accounts (name) values ('Sample Ltd') returning account_id")
        assert row is not None
        await Administration(db).users.create(
            row["account_id"], "mira", "correct horse battery", apis=[Api.CALL_API]
        )
        accounts = Accounts(db)
        await accounts.login("mira", "correct horse battery", "call_api", "192.0.2.200")
        slow = SlowPasswords(monkeypatch)
        guesses = await _begin(*((accounts, "guess", f"198.51.100.{n}") for n in range(1, 60)))
        [known] = await _begin((accounts, "known", "192.0.2.200"))
        await slow.check(10)
        assert "known" in slow.checked
        await slow.check(50)
        assert await known == "auth_error"
        await asyncio.gather(*guesses)
