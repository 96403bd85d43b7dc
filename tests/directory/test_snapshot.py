"""The snapshot follows the database."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.attack.test_configuration_freeze import account as company
from tests.attack.test_configuration_freeze import line
from tests.directory.conftest import Administrator, new_account, until
from tests.directory.test_apply import DEMO, SMALL
from trunkline.accounts.secrets import Cipher
from trunkline.db.migrate import upgrade
from trunkline.db.pool import Database
from trunkline.directory.blacklist.changes import block_digits
from trunkline.directory.contacts.saving import save_contact
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import Account, Directory, NumberStatus, OperationKind, VirtualNumber
from trunkline.runtime.postgres import EmbeddedPostgres

pytestmark = pytest.mark.shells


def account(account_id: int, *logins: str) -> Account:
    return company(account_id, [line(account_id, login) for login in logins])


def number(account_id: int, virtual_number_id: int) -> VirtualNumber:
    return VirtualNumber(
        account_id=account_id,
        virtual_number_id=virtual_number_id,
        phone_number="12025550110",
        name="",
        status=NumberStatus.ACTIVE,
        trunk_id=None,
        default_sip_line_id=None,
        max_in_calls=0,
        max_out_calls=0,
        rules=(),
    )


async def test_the_demo_company_as_the_switch_sees_it(
    admin: Administrator, snapshot: DirectorySnapshot
) -> None:
    await admin.apply(
        DEMO.read_text("utf-8"), env={"DEMO_CARRIER_HOST": "192.0.2.7", "DEMO_CARRIER_PORT": "5099"}
    )
    await until(lambda: snapshot.current.number("97140000100"))
    found = snapshot.current.number("97140000100")
    assert found is not None
    account, number = found
    assert account.account_id == admin.account_id
    assert str(account.time_zone) == "Asia/Dubai"
    scenario = account.scenarios[number.rules[0].scenario_id]
    welcome, team, message = scenario.operations
    assert [each.kind for each in scenario.operations] == [
        OperationKind.GREETING,
        OperationKind.FORWARD_GROUP,
        OperationKind.VOICEMAIL,
    ]
    assert scenario.start is welcome
    assert scenario.operation(welcome.settings["next"]) is team
    assert message.settings["max_seconds"] == 120
    assert message.settings["employee_id"] is None
    media = account.media[welcome.settings["media_file_ids"][0]]
    assert media.path.with_suffix(".wav").is_file()
    group = account.groups[team.settings["group_id"]]
    assert [account.employees[each].extension for each in group.employee_ids] == ["101", "102", "103"]
    assert team.settings["strategy"] is None
    line = account.line_by_login("0160001")
    assert line is not None
    owner = account.employee_of_line(line.sip_line_id)
    assert owner is not None
    assert owner.full_name == "Haddad Layla"
    assert number.default_sip_line_id == line.sip_line_id
    assert number.trunk_id is not None
    trunk = snapshot.current.trunk(number.trunk_id)
    assert trunk is not None
    assert (trunk[1].host, trunk[1].port) == ("192.0.2.7", 5099)
    assert account.contacts_by_phone["971500000010"].full_name == "Harbour Cafe"
    assert account.blacklist == {"12025550199"}
    assert not account.may_call("international")
    assert account.may_call("mobile")
    assert account.system_media("dialing_music") is not None
    assert line.ha1_sha256 not in repr(snapshot.current.accounts)


async def test_a_change_arrives_by_itself_and_listeners_hear_of_it(
    admin: Administrator, snapshot: DirectorySnapshot
) -> None:
    other = await new_account(admin.db, "Other")
    await until(lambda: other in snapshot.current.accounts)
    untouched = snapshot.current.accounts[other]
    heard: list[frozenset[int]] = []
    unsubscribe = snapshot.subscribe(lambda _directory, accounts: heard.append(accounts))
    await admin.apply(SMALL)
    await until(lambda: snapshot.current.line("0160001"))
    assert heard[-1] == {admin.account_id}
    assert snapshot.current.accounts[other] is untouched
    unsubscribe()
    count = len(heard)
    await admin.db.execute("delete from accounts where account_id = %s", (other,))
    await until(lambda: other not in snapshot.current.accounts)
    assert len(heard) == count


async def test_a_burst_of_commits_is_one_load(admin: Administrator, snapshot: DirectorySnapshot) -> None:
    seen: list[Directory] = []
    snapshot.subscribe(lambda directory, _accounts: seen.append(directory))
    for number in range(40):
        await admin.db.execute(
            "insert into tags (account_id, key, name) values (%s, %s, %s)",
            (admin.account_id, f"tag{number}", f"Tag {number}"),
        )
    await until(lambda: len(snapshot.current.accounts[admin.account_id].tags) == 40)
    assert len(seen) < 20


@pytest.mark.durability
async def test_a_contact_and_the_blacklist_concern_numbers_only(
    admin: Administrator, snapshot: DirectorySnapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else of the account is read, and nobody renders anything for it."""
    await admin.apply(SMALL)
    await until(lambda: snapshot.current.line("0160001"))
    heard: list[frozenset[int]] = []
    snapshot.subscribe(lambda _directory, accounts: heard.append(accounts))
    before = snapshot.current.accounts[admin.account_id]

    async def no_account(*_: object) -> None:
        raise AssertionError("an account was read")

    monkeypatch.setattr("trunkline.directory.live.snapshot.load_accounts", no_account)

    def now() -> Account:
        return snapshot.current.accounts[admin.account_id]

    number = "12025550177"
    saved = await save_contact(admin.db, admin.account_id, number)
    await until(lambda: number in now().contacts_by_phone)
    assert now().contacts_by_phone[number].contact_id == saved
    found = snapshot.current.line("0160001")
    assert found is not None
    assert found[0] is now(), "the indexes lead to the account of now"
    await admin.db.execute(
        "update contacts set last_name = 'Stone' where account_id = %s and contact_id = %s",
        (admin.account_id, saved),
    )
    await until(lambda: now().contacts_by_phone[number].full_name == "Stone")
    await block_digits(admin.db, admin.account_id, 0, number, "")
    await until(lambda: number in now().blacklist)
    await admin.db.execute("delete from blacklist where account_id = %s", (admin.account_id,))
    await until(lambda: number not in now().blacklist)
    group = await admin.db.fetch_one(
        "select contact_group_id as id from contact_groups where account_id = %s and key = 'system-blacklist'",
        (admin.account_id,),
    )
    assert group is not None
    await admin.db.execute(
        "insert into contact_group_members (account_id, contact_group_id, contact_id) values (%s, %s, %s)",
        (admin.account_id, group["id"], saved),
    )
    await until(lambda: number in now().blacklist)
    await admin.db.execute("delete from contacts where account_id = %s", (admin.account_id,))
    await until(lambda: number not in now().contacts_by_phone and number not in now().blacklist)
    await admin.db.execute(
        "insert into blacklist (account_id, phone_number) select %s, (12025560000 + n)::text"
        " from generate_series(1, 2000) n",
        (admin.account_id,),
    )
    await until(lambda: len(now().blacklist) == 2000 + len(before.blacklist))
    assert now().employees is before.employees
    assert now().lines is before.lines
    assert heard == []


def test_a_directory_with_other_accounts_is_as_if_made_anew() -> None:
    first, second = account(1, "1001", "1002"), account(2, "2001")
    directory = Directory({1: first, 2: second})
    for changed, gone in (
        ({1: account(1, "1002", "1003")}, []),
        ({1: account(1), 2: account(2, "1001", "2001")}, []),
        ({2: account(2, "2001"), 3: account(3, "1001")}, [1]),
        ({}, [2, 9]),
    ):
        directory = directory.with_accounts(changed, gone)
        anew = Directory(directory.accounts)
        for login in ("1001", "1002", "1003", "2001"):
            found, expected = directory.line(login), anew.line(login)
            assert (found is None) == (expected is None), login
            assert found is None or expected is None or found[0] is expected[0]
            assert directory.number(f"9{login}") == anew.number(f"9{login}")
        assert {*directory.accounts} == {*anew.accounts}
    assert {*directory.accounts} == {3}


def test_a_claim_of_a_changed_account_takes_no_number() -> None:
    owner = dataclasses.replace(account(1), numbers={11: number(1, 11)})
    other = dataclasses.replace(
        account(2), numbers={21: dataclasses.replace(number(2, 21), is_verified=False)}
    )
    found = Directory({1: owner}).with_accounts({2: other}).number("12025550110")
    assert found is not None
    assert found[0] is owner


async def test_one_failing_listener_does_not_silence_the_others(
    admin: Administrator, snapshot: DirectorySnapshot
) -> None:
    def fail(_directory: Directory, _accounts: frozenset[int]) -> None:
        raise RuntimeError("a mistake")

    heard: list[Directory] = []
    snapshot.subscribe(fail)
    snapshot.subscribe(lambda directory, _accounts: heard.append(directory))
    await admin.apply("tags: {vip: VIP}")
    await until(lambda: heard)


async def test_lost_connections_cost_no_change(admin: Administrator, snapshot: DirectorySnapshot) -> None:
    await admin.apply(SMALL)
    await until(lambda: snapshot.current.line("0160001"))
    # Waits until they have ended: a statement that meets one as it ends fails, and is not repeated by itself.
    await admin.db.execute(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    await admin.db.execute("update employees set last_name = 'Meanwhile' where key = 'anna'")

    def names() -> set[str]:
        return {each.full_name for each in snapshot.current.accounts[admin.account_id].employees.values()}

    assert snapshot.current.line("0160001") is not None
    await until(lambda: "Meanwhile" in names())


async def test_while_the_server_is_away_the_last_directory_stays(cipher: Cipher, tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "postgres")
    await asyncio.to_thread(server.start)
    try:
        await asyncio.to_thread(upgrade, server.dsn)
        async with await Database.open(server.dsn, application_name="test", connect_timeout=20) as db:
            account_id = await new_account(db, "Palm")
            snapshot = DirectorySnapshot(db, cipher, tmp_path)
            await snapshot.start()
            try:
                await asyncio.to_thread(server.stop)
                await asyncio.sleep(0.5)
                assert snapshot.current.accounts[account_id].name == "Palm"
                await asyncio.to_thread(server.start)
                await db.execute("update accounts set name = 'Oasis' where account_id = %s", (account_id,))
                await until(lambda: snapshot.current.accounts[account_id].name == "Oasis", seconds=20)
            finally:
                await snapshot.stop()
    finally:
        await asyncio.to_thread(server.stop)


async def test_one_broken_account_harms_nobody(admin: Administrator, snapshot: DirectorySnapshot) -> None:
    await admin.apply(SMALL)
    await until(lambda: snapshot.current.line("0160001"))
    other = await new_account(admin.db, "Broken")
    await until(lambda: other in snapshot.current.accounts)
    await admin.db.execute("update accounts set time_zone = 'Mars/North' where account_id = %s", (other,))
    await admin.apply("tags: {vip: VIP}")
    await until(lambda: snapshot.current.accounts[admin.account_id].tags)
    assert snapshot.current.accounts[other].name == "Broken"
    fresh = DirectorySnapshot(admin.db, admin.cipher, admin.media_dir)
    await fresh.start()
    await fresh.stop()
    assert set(fresh.current.accounts) == {admin.account_id}


async def test_a_lost_master_key_leaves_the_numbers(admin: Administrator, tmp_path: Path) -> None:
    await admin.apply("trunks: {c: {host: 192.0.2.1, mode: register, username: u, password: p4ssword}}")
    for cipher, password in ((admin.cipher, "p4ssword"), (Cipher(Fernet.generate_key()), None)):
        snapshot = DirectorySnapshot(admin.db, cipher, admin.media_dir)
        await snapshot.start()
        await snapshot.stop()
        trunk = next(iter(snapshot.current.accounts[admin.account_id].trunks.values()))
        assert trunk.password == password
        assert "p4ssword" not in repr(trunk)
