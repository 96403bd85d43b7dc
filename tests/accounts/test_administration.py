"""Making accounts and users; what is refused; tenants apart; the first account; the commands."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from trunkline.accounts import Accounts, Api, NewAccount, components
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.first import ensure_first_account
from trunkline.accounts.model import Action, Caller, Status
from trunkline.accounts.permissions import Role
from trunkline.cli.main import commands
from trunkline.core.errors import InvalidInput, NotFound, TrunklineError
from trunkline.db.pool import Database


async def test_a_new_account(administration: Administration) -> None:
    made = await administration.create_account(AccountProfile("Example"))
    shown = await administration.account(made.account_id)
    assert made.login == f"owner{made.account_id}"
    assert set(made.keys) == {"call_api", "data_api", "call_center"}
    assert made.password not in repr(made)
    assert shown["security_rules"] == {
        "mobile": True,
        "national": True,
        "international": False,
        "premium": False,
    }
    assert shown["limits"]["call_api"] == {"day_points": 10_000, "minute_points": 250}
    assert shown["status"] == "active"
    assert await administration.allowed_addresses(made.account_id) == []


@pytest.mark.parametrize(
    ("profile", "field"),
    [
        (AccountProfile(" "), "name"),
        (AccountProfile("Example", time_zone="Mars/Olympus"), "time_zone"),
        (AccountProfile("Example", time_zone="../etc/passwd"), "time_zone"),
        (AccountProfile("Example", time_zone=""), "time_zone"),
        (AccountProfile("Example", locale="english"), "locale"),
        (AccountProfile("Example", currency="usd"), "currency"),
        (AccountProfile("Example", country="ARE"), "country"),
    ],
)
async def test_profiles_that_cannot_be_used(
    administration: Administration, profile: AccountProfile, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await administration.create_account(profile)
    assert caught.value.field == field


async def test_a_refused_account_leaves_nothing(administration: Administration, company: NewAccount) -> None:
    with pytest.raises(InvalidInput) as caught:
        await administration.create_account(AccountProfile("Second"), login="OWNER")
    assert (caught.value.mnemonic, caught.value.field) == ("already_in_use", "login")
    for refused in (
        administration.create_account(AccountProfile("Second"), password="short"),
        administration.create_account(AccountProfile("Second"), allow=["nowhere"]),
        administration.create_account(AccountProfile("Second", parent_account_id=company.account_id)),
    ):
        with pytest.raises(TrunklineError):
            await refused
    assert len(await administration.list_accounts()) == 1


async def test_logins_that_are_none(administration: Administration, company: NewAccount) -> None:
    for login in ("", " ", "two words", "x" * 101, "a\0b"):
        with pytest.raises(InvalidInput):
            await administration.users.create(company.account_id, login)
    with pytest.raises(NotFound):
        await administration.users.create(99, "somebody")
    with pytest.raises(NotFound):
        await administration.users.create(company.account_id, "somebody", employee_id=1)


async def test_keys_end_in_the_future(administration: Administration, company: NewAccount) -> None:
    who = (company.account_id, company.user_id)
    for end in (datetime.now(UTC) - timedelta(seconds=1), datetime.now()):  # noqa: DTZ005
        with pytest.raises(InvalidInput) as caught:
            await administration.users.create_key(*who, "old", end)
        assert caught.value.field == "expires_at"


async def test_tenants_cannot_change_each_other(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    other = await administration.create_account(AccountProfile("Other"))
    users = administration.users
    key = await users.create_key(other.account_id, other.user_id)
    mine = company.account_id
    for refused in (
        users.set_password(mine, other.user_id, "battery staple"),
        users.set_status(mine, other.user_id, Status.DISABLED),
        users.set_apis(mine, other.user_id, []),
        users.set_permission(mine, other.user_id, "employees", Action.SELECT, True),
        users.create_key(mine, other.user_id),
        users.block_key(mine, key.key_id),
    ):
        with pytest.raises(NotFound):
            await refused
    await accounts.login(other.login, other.password, Api.CALL_API)
    await accounts.authenticate(key.token, Api.CALL_API)
    assert [row["user_id"] for row in await users.list_users(mine)] == [company.user_id]
    assert all(row["user_id"] == company.user_id for row in await users.list_keys(mine))


async def test_changes_of_what_is_not_there(administration: Administration, company: NewAccount) -> None:
    for refused in (
        administration.account(99),
        administration.set_status(99, Status.DISABLED),
        administration.set_limits(99, Api.CALL_API, day=1),
        administration.set_weight(99, Api.CALL_API, "x", 1),
        administration.set_component(99, "va", True),
        administration.set_security_rule(99, "mobile", True),
        administration.allow_address(99, Api.CALL_API, "192.0.2.1"),
    ):
        with pytest.raises(NotFound):
            await refused
    for wrong in (
        administration.set_limits(company.account_id, Api.CONSOLE, day=1),
        administration.set_limits(company.account_id, Api.CALL_API, day=-1),
        administration.set_component(company.account_id, "telepathy", True),
        administration.set_security_rule(company.account_id, "upwards", True),
    ):
        with pytest.raises(InvalidInput):
            await wrong


async def test_security_rules_change(administration: Administration, company: NewAccount) -> None:
    await administration.set_security_rule(company.account_id, "international", True)
    shown = await administration.account(company.account_id)
    assert shown["security_rules"]["international"] is True


async def test_the_switch_hears_of_components(
    db: Database, administration: Administration, company: NewAccount
) -> None:
    heard = db.listen("trunkline_directory")
    assert await anext(heard) == ""
    await administration.set_component(company.account_id, "va", False)
    async with asyncio.timeout(20):
        assert await anext(heard) == str(company.account_id)
    await heard.aclose()


async def test_the_first_account_is_made_once(db: Database, accounts: Accounts) -> None:
    made = [each for each in await asyncio.gather(*(ensure_first_account(db) for _ in range(5))) if each]
    assert len(made) == 1
    assert made[0].login == "admin"
    login = await accounts.login("admin", made[0].password, Api.DATA_API)
    admin = await accounts.authenticate(login.access_token, Api.DATA_API)
    for ip in ("127.0.0.1", "::1"):
        accounts.check_address(admin, ip)
    assert await ensure_first_account(db) is None


def test_the_first_account_needs_one_connection_only(database: str) -> None:
    async def run() -> NewAccount | None:
        async with await Database.open(database, max_size=1) as db:
            return await ensure_first_account(db)

    assert asyncio.run(run()) is not None


class Shell:
    """Runs commands against one database."""

    def __init__(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)

    def __call__(self, *words: str, text: str = "") -> str:
        result = CliRunner().invoke(commands, words, input=text, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    def json(self, *words: str) -> dict[str, object]:
        answer: dict[str, object] = json.loads(self(*words, "--json"))
        return answer


@pytest.fixture
def shell(database: str, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(database, monkeypatch)


def test_commands_from_account_to_key(shell: Shell, database: str) -> None:
    made = shell.json("account", "create", "--name", "Example", "--time-zone", "Asia/Dubai",
                      "--allow", "127.0.0.0/8", "--allow", "::1")  # fmt: skip
    assert set(made) == {"account_id", "user_id", "login", "password", "keys", "urls", "name", "time_zone"}
    assert "Asia/Dubai" in shell("account", "show")
    assert "::1/128" in shell("allow", "list")
    shell("allow", "remove", "::1", "--api", "call_api")
    shell("allow", "remove", "::1")
    assert "::1" not in shell("allow", "list")
    shell("allow", "add", "192.0.2.0/24", "--api", "data_api", "--comment", "office")
    assert "office" in shell("allow", "list")
    shell("user", "create", "--login", "anna", "--api", "data_api")
    shell("user", "permit", "--user", "anna", "employees", "select")
    shell("user", "password", "--user", "anna", text="battery staple\nbattery staple\n")
    key = shell.json("key", "create", "--user", "anna", "--expires-in", "90d")
    shell("key", "block", str(key["key_id"]))
    assert "blocked" in shell("key", "list")
    assert str(key["token"]) not in shell("key", "list")
    shell("account", "component", "va", "off")
    shell("account", "direction", "international", "on")
    shell("account", "limit", "call_api", "--minute", "7")
    shown = shell.json("account", "show")
    assert shown["limits"]["call_api"] == {"day_points": 10_000, "minute_points": 7}  # type: ignore[index]
    assert "va" not in shown["components"]  # type: ignore[operator]
    shell("user", "disable", "--user", "anna")
    assert "disabled" in shell("user", "list")
    shell("account", "disable", str(made["account_id"]))
    assert "disabled" in shell("account", "list")

    async def login() -> None:
        async with await Database.open(database) as db:
            await Accounts(db).login(str(made["login"]), str(made["password"]), Api.CALL_API)

    with pytest.raises(TrunklineError) as caught:
        asyncio.run(login())
    assert caught.value.mnemonic == "account_inactive"


def test_the_only_account_needs_no_name(shell: Shell) -> None:
    with pytest.raises(InvalidInput, match="account create"):
        shell("allow", "list")
    shell("account", "create", "--name", "One")
    assert shell("allow", "list") == "no address\n"
    shell("account", "create", "--name", "Two")
    with pytest.raises(InvalidInput, match="account list"):
        shell("allow", "list")
    assert shell("allow", "list", "--account", "1002") == "no address\n"


def test_what_the_commands_refuse(shell: Shell) -> None:
    shell("account", "create", "--name", "One", "--login", "owner")
    with pytest.raises(InvalidInput, match="30m"):
        shell("key", "create", "--user", "owner", "--expires-in", "soon")
    with pytest.raises(NotFound, match="user list"):
        shell("key", "create", "--user", "nobody")
    with pytest.raises(NotFound):
        shell("allow", "remove", "192.0.2.1")
    with pytest.raises(InvalidInput, match="--day"):
        shell("account", "limit", "call_api")


def test_schema_commands(shell: Shell) -> None:
    assert shell("db", "upgrade") == "nothing to do\n"
    state = shell.json("db", "current")
    assert state["current"] == state["newest"]


async def test_the_first_account_has_all_components(db: Database, administration: Administration) -> None:
    made = await ensure_first_account(db)
    assert made is not None
    assert (await administration.account(made.account_id))["components"] == sorted(components.TITLES)


def test_the_first_account_by_a_command_has_all_components(shell: Shell) -> None:
    shell("account", "create", "--name", "First")
    shown = shell.json("account", "show")
    assert shown["components"] == sorted(components.TITLES)
    second = shell.json("account", "create", "--name", "Second")
    shown = shell.json("account", "show", str(second["account_id"]))
    assert shown["components"] == sorted(components.DEFAULT)


async def test_keys_are_named_after_the_apis_that_they_open(
    administration: Administration, company: NewAccount
) -> None:
    account_id, users = company.account_id, administration.users
    assert {key["name"] for key in await users.list_keys(account_id)} == {"call_api, data_api, call_center"}
    user_id = await users.create(account_id, "reports", apis=[Api.DATA_API])
    assert (await users.create_key(account_id, user_id)).name == "data_api"
    assert (await users.create_key(account_id, user_id, "CRM")).name == "CRM"
    await users.set_apis(account_id, user_id, [])
    assert (await users.create_key(account_id, user_id)).name == "no API"


async def test_a_user_made_for_an_api_may_use_it(
    administration: Administration, accounts: Accounts, company: NewAccount
) -> None:
    async def caller(login: str, apis: list[Api], api: Api, role: Role | None = None) -> Caller:
        user_id = await administration.users.create(company.account_id, login, role=role, apis=apis)
        key = await administration.users.create_key(company.account_id, user_id)
        return await accounts.authenticate(key.token, api)

    reader = await caller("reader", [Api.DATA_API], Api.DATA_API)
    assert reader.may("reports", "select")
    assert not reader.may("call_control", "update")
    dialer = await caller("dialer", [Api.CALL_API], Api.CALL_API)
    assert dialer.may("call_control", "update")
    assert dialer.may("call_control", "select")
    member = await caller("member", [Api.CALL_API], Api.CALL_API, Role.MEMBER)
    assert not member.may("call_control", "update")


def test_the_apis_of_a_user_are_shown_with_a_key_and_changed(shell: Shell) -> None:
    shell("account", "create", "--name", "Example")
    shell("user", "create", "--login", "anna")
    assert "trunkline user apis --user anna" in shell("key", "create", "--user", "anna")
    shell("user", "apis", "--user", "anna", "data_api")
    assert "it opens data_api;" in shell("key", "create", "--user", "anna")
    assert shell.json("key", "create", "--user", "anna")["apis"] == ["data_api"]


@pytest.mark.parametrize(
    "email", ["layla", "layla@", "layla@example", "a b@example.com", "a@exa mple.com", "a@b..com"]
)
async def test_what_is_no_address(administration: Administration, company: NewAccount, email: str) -> None:
    with pytest.raises(InvalidInput, match=r"is not an e-mail address; write layla@example\.com"):
        await administration.users.create(company.account_id, "layla", email=email)


async def test_addresses_of_users(administration: Administration, company: NewAccount) -> None:
    for login, email in (("a", "layla@example.com"), ("b", "l.haddad+crm@mail.palm-office.example")):
        await administration.users.create(company.account_id, login, email=email)


@pytest.mark.parametrize("granted", [True, False])
async def test_an_unknown_permission_is_refused(
    administration: Administration, company: NewAccount, granted: bool
) -> None:
    with pytest.raises(InvalidInput, match=r"there is no resource 'report'; did you mean reports\?"):
        await administration.users.set_permission(
            company.account_id, company.user_id, "report", Action.SELECT, granted
        )
