"""Lines of the phone in the browser: one of each employee, and credentials that end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from cryptography.fernet import Fernet

from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.model import Status
from trunkline.accounts.permissions import Role
from trunkline.accounts.secrets import Cipher
from trunkline.accounts.users import Users, delete_user
from trunkline.core.errors import InvalidInput, NotFound
from trunkline.db.pool import Database
from trunkline.db.rows import one_at_a_time
from trunkline.directory.lines.changes import change_password, set_password
from trunkline.provisioning import browser_lines
from trunkline.provisioning.browser_lines import CHANNELS, BrowserLine, browser_line, end_expired


@dataclass
class Scene:
    db: Database
    account_id: int
    other_account_id: int
    employee_id: int
    cipher: Cipher

    async def line(self) -> BrowserLine:
        return await browser_line(self.db, self.cipher, self.account_id, self.employee_id)

    async def row(self) -> dict[str, object]:
        found = await self.db.fetch_one(
            "select * from sip_lines where account_id = %s and employee_id = %s",
            (self.account_id, self.employee_id),
        )
        assert found is not None
        return dict(found)

    async def lasts(self, interval: str) -> None:
        await self.db.execute(
            "update browser_lines set expires_at = now() + %s::interval where account_id = %s",
            (interval, self.account_id),
        )


@pytest.fixture
async def scene(database: str, quick_passwords: None) -> AsyncIterator[Scene]:
    async with await Database.open(database) as db:
        administration = Administration(db)
        made = [
            await administration.create_account(AccountProfile(name), login=name, password="a long password")
            for name in ("Sample", "Other")
        ]
        account_id = made[0].account_id
        employee = await db.fetch_one(
            """insert into employees (account_id, key, first_name, last_name)
               values (%s, 'dora', 'Dora', 'Finch') returning employee_id""",
            (account_id,),
        )
        assert employee is not None
        cipher = Cipher(Fernet.generate_key())
        yield Scene(db, account_id, made[1].account_id, employee["employee_id"], cipher)


async def test_an_employee_has_one_line_however_often_a_page_asks(scene: Scene) -> None:
    lines = await asyncio.gather(*(scene.line() for _ in range(5)))
    assert len({(one.login, one.ha1) for one in lines}) == 1
    assert [one.is_new for one in lines].count(True) == 1
    row = await scene.row()
    assert (row["phone_number"], row["ha1_md5"]) == (lines[0].login, lines[0].ha1)
    assert row["channels_count"] == CHANNELS
    assert lines[0].ha1 not in repr(lines[0])


async def test_a_line_without_a_number_only_takes_calls(scene: Scene) -> None:
    assert not (await scene.line()).may_call


async def test_a_line_calls_with_the_only_number_of_the_account(scene: Scene) -> None:
    await scene.db.execute(
        """insert into virtual_numbers (account_id, phone_number, status, is_verified)
           values (%s, '97140000200', 'active', true)""",
        (scene.account_id,),
    )
    assert (await scene.line()).may_call


@pytest.mark.parametrize("interval", ["59 minutes", "-1 minute"])
async def test_a_credential_that_ends_soon_is_replaced(scene: Scene, interval: str) -> None:
    first = await scene.line()
    await scene.lasts("61 minutes")
    assert (await scene.line()).ha1 == first.ha1
    await scene.lasts(interval)
    second = await scene.line()
    assert second.login == first.login
    assert second.is_new
    assert second.ha1 != first.ha1
    assert (await scene.row())["ha1_md5"] == second.ha1


async def test_a_changed_password_of_the_line_ends_the_credential(scene: Scene) -> None:
    first = await scene.line()
    row = await scene.row()
    assert isinstance(row["sip_line_id"], int)
    await change_password(scene.db, scene.account_id, row["sip_line_id"])
    second = await scene.line()
    assert second.ha1 not in (first.ha1, row["ha1_md5"])


async def test_an_ended_credential_registers_nothing(scene: Scene) -> None:
    first = await scene.line()
    assert await end_expired(scene.db) == 0
    await scene.lasts("-1 minute")
    assert await end_expired(scene.db) == 1
    assert (await scene.row())["ha1_md5"] != first.ha1
    assert await end_expired(scene.db) == 0
    third = await scene.line()
    assert (await scene.row())["ha1_md5"] == third.ha1 != first.ha1


@pytest.mark.parametrize("change", ["password", "disabled", "deleted"])
async def test_a_user_who_loses_the_access_loses_the_credential(scene: Scene, change: str) -> None:
    users = Users(scene.db)
    user_id = await users.create(
        scene.account_id, "dora", "a long password", role=Role.OPERATOR, employee_id=scene.employee_id
    )
    line = await scene.line()
    assert await end_expired(scene.db) == 0
    if change == "password":
        await users.set_password(scene.account_id, user_id, "another long password")
    elif change == "disabled":
        await users.set_status(scene.account_id, user_id, Status.DISABLED)
    else:
        async with scene.db.connection() as connection:
            await delete_user(connection, scene.account_id, user_id)
    assert await end_expired(scene.db) == 1
    assert (await scene.row())["ha1_md5"] != line.ha1


async def test_a_credential_that_is_renewed_meanwhile_stays(scene: Scene) -> None:
    await scene.line()
    await scene.lasts("-1 minute")
    async with scene.db.connection() as page:
        await one_at_a_time(page, scene.account_id)
        ending = asyncio.create_task(end_expired(scene.db))
        await asyncio.sleep(0.3)  # it reads, and waits for the lock of the page that renews
        row = await browser_lines._row(page, scene.account_id, scene.employee_id)
        assert row is not None
        await browser_lines._renew(page, scene.cipher, scene.account_id, scene.employee_id, row)
    assert await ending == 0
    line = await scene.line()
    assert not line.is_new
    assert (await scene.row())["ha1_md5"] == line.ha1


async def test_a_line_that_fails_delays_no_other(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await scene.line()
    await scene.db.execute(
        "insert into employees (account_id, employee_id, key, last_name) values (%s, 990, 'x990', 'Ruiz')",
        (scene.account_id,),
    )
    second = await browser_line(scene.db, scene.cipher, scene.account_id, 990)
    await scene.lasts("-1 minute")
    await scene.db.execute(
        "update browser_lines set expires_at = now() - interval '2 minutes' where employee_id = 990"
    )
    change = set_password

    async def fails(connection: object, account_id: int, line_id: int, login: str) -> object:
        if login == second.login:
            raise InvalidInput("The line cannot be changed.")
        return await change(connection, account_id, line_id, login)  # type: ignore[arg-type]

    monkeypatch.setattr(browser_lines, "set_password", fails)
    assert await end_expired(scene.db) == 1
    assert (await scene.row())["ha1_md5"] != first.ha1


async def test_an_employee_of_another_account_is_unknown(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await browser_line(scene.db, scene.cipher, scene.other_account_id, scene.employee_id)
