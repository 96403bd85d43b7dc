"""Who asks: keys, sessions, agents, allow-lists, each with its errors."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.accounts.conftest import Clock
from trunkline.accounts import Accounts, Api, CallerKind, NewAccount, Role
from trunkline.accounts import components as component_names
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.model import Action, Status
from trunkline.core.clock import to_datetime
from trunkline.core.errors import AuthenticationFailed, NotFound, PermissionDenied, Refused
from trunkline.db.pool import Database


async def _refusal(work: object) -> str:
    with pytest.raises(Refused) as caught:
        await work  # type: ignore[misc]
    return caught.value.mnemonic


async def test_a_key_shows_its_caller(accounts: Accounts, company: NewAccount) -> None:
    caller = await accounts.authenticate(company.keys["call_api"], Api.CALL_API)
    assert (caller.account_id, caller.user_id, caller.login) == (
        company.account_id,
        company.user_id,
        "owner",
    )
    assert caller.kind is CallerKind.KEY
    assert caller.time_zone == ZoneInfo("Asia/Dubai")
    assert caller.role is Role.OWNER
    assert caller.components == component_names.DEFAULT
    assert caller.call_api_enabled
    assert caller.data_api_enabled
    assert not caller.is_agent
    assert caller.may("employees", "delete")


async def test_tokens_that_are_none(accounts: Accounts, company: NewAccount) -> None:
    for token in ("", "x", company.keys["call_api"] + "x", "\0", "\ud800", "x" * 100_000):
        assert await _refusal(accounts.authenticate(token, Api.CALL_API)) == "access_token_invalid"


async def test_the_database_knows_no_token_and_no_password(db: Database, company: NewAccount) -> None:
    secrets = [company.password, *company.keys.values()]
    tables = await db.fetch_all("select tablename from pg_tables where schemaname = 'public'")
    for table in tables:
        rows = await db.fetch_all(f"select * from {table['tablename']}".encode())
        assert not [secret for secret in secrets if secret in repr(rows)]


async def test_temporary_keys_expire(
    accounts: Accounts, administration: Administration, company: NewAccount, clock: Clock
) -> None:
    end = datetime.now(UTC) + timedelta(days=1)
    key = await administration.users.create_key(company.account_id, company.user_id, "short", end)
    assert key.token not in repr(key)
    clock.now = end.timestamp() - 1
    assert (await accounts.authenticate(key.token, Api.DATA_API)).user_id == company.user_id
    clock.now = end.timestamp()
    assert await _refusal(accounts.authenticate(key.token, Api.DATA_API)) == "access_token_expired"


async def test_blocked_keys_are_refused_at_once(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    key = await administration.users.create_key(company.account_id, company.user_id, "leaked")
    await accounts.authenticate(key.token, Api.CALL_API)
    await administration.users.block_key(company.account_id, key.key_id)
    assert await _refusal(accounts.authenticate(key.token, Api.CALL_API)) == "access_token_blocked"
    await accounts.authenticate(company.keys["call_api"], Api.CALL_API)


async def test_disabled_users_and_accounts(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    token = company.keys["call_api"]
    await administration.set_status(company.account_id, Status.DISABLED)
    assert await _refusal(accounts.authenticate(token, Api.CALL_API)) == "account_inactive"
    assert await _refusal(accounts.login("owner", "correct horse", Api.CALL_API)) == "account_inactive"
    await administration.set_status(company.account_id, Status.ACTIVE)
    await administration.users.set_status(company.account_id, company.user_id, Status.DISABLED)
    assert await _refusal(accounts.authenticate(token, Api.CALL_API)) == "access_token_blocked"
    assert await _refusal(accounts.login("owner", "correct horse", Api.CALL_API)) == "auth_error"


async def test_the_use_of_a_key_is_noted(
    accounts: Accounts, administration: Administration, company: NewAccount, clock: Clock
) -> None:
    for _ in range(2):
        await accounts.authenticate(company.keys["call_api"], Api.CALL_API)
    keys = await administration.users.list_keys(company.account_id)
    assert [key["last_used_at"] for key in keys] == [to_datetime(clock.now), None, None]
    assert keys[0]["token_hint"] == company.keys["call_api"][-4:]


async def test_a_session_lives_one_hour(accounts: Accounts, company: NewAccount, clock: Clock) -> None:
    session = await accounts.login("OWNER", "correct horse", Api.CALL_API)
    assert session.account_id == company.account_id
    assert session.expires_at == to_datetime(clock.now + 3600)
    assert session.access_token not in repr(session)
    clock.now += 3599
    caller = await accounts.authenticate(session.access_token, Api.CALL_API)
    assert (caller.kind, caller.user_id) == (CallerKind.SESSION, company.user_id)
    clock.now += 1
    assert await _refusal(accounts.authenticate(session.access_token, Api.CALL_API)) == "access_token_expired"
    clock.now += 2 * 86_400
    await accounts.prune()
    assert await _refusal(accounts.authenticate(session.access_token, Api.CALL_API)) == "access_token_invalid"


async def test_a_session_is_for_its_api(accounts: Accounts, company: NewAccount) -> None:
    session = await accounts.login("owner", "correct horse", Api.DATA_API)
    await accounts.authenticate(session.access_token, Api.DATA_API)
    assert await _refusal(accounts.authenticate(session.access_token, Api.CALL_API)) == "access_token_invalid"


async def test_logout_ends_the_session_and_no_other(accounts: Accounts, company: NewAccount) -> None:
    first, second = [await accounts.login("owner", "correct horse", Api.CALL_API) for _ in range(2)]
    await accounts.logout(first.access_token)
    assert await _refusal(accounts.authenticate(first.access_token, Api.CALL_API)) == "access_token_invalid"
    await accounts.authenticate(second.access_token, Api.CALL_API)
    await accounts.logout(company.keys["call_api"])
    await accounts.authenticate(company.keys["call_api"], Api.CALL_API)


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("owner", "wrong password"),
        ("owner", ""),
        ("nobody", "correct horse"),
        ("own\0er", "correct horse"),
        ("\ud800", "\ud800"),
        ("owner", "x" * 10_000),
    ],
)
async def test_wrong_login_or_password(
    accounts: Accounts, company: NewAccount, login: str, password: str
) -> None:
    with pytest.raises(AuthenticationFailed) as caught:
        await accounts.login(login, password, Api.CALL_API)
    assert caught.value.mnemonic == "auth_error"


async def test_a_user_without_password_cannot_log_in(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    await administration.users.create(company.account_id, "robot", None, apis=[Api.CALL_API])
    assert await _refusal(accounts.login("robot", "", Api.CALL_API)) == "auth_error"


async def test_a_new_password_ends_sessions(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    session = await accounts.login("owner", "correct horse", Api.CALL_API)
    await administration.users.set_password(company.account_id, company.user_id, "battery staple")
    assert await _refusal(accounts.authenticate(session.access_token, Api.CALL_API)) == "access_token_invalid"
    assert await _refusal(accounts.login("owner", "correct horse", Api.CALL_API)) == "auth_error"
    await accounts.login("owner", "battery staple", Api.CALL_API)


async def test_guessing_is_braked(accounts: Accounts, company: NewAccount, clock: Clock) -> None:
    for _ in range(5):
        assert await _refusal(accounts.login("owner", "wrong guess", Api.CALL_API)) == "auth_error"
    # Even the right password waits now, but only where the guesses came from, and not for long.
    with pytest.raises(AuthenticationFailed, match="try again in 1 s"):
        await accounts.login("owner", "correct horse", Api.CALL_API)
    await accounts.login("owner", "correct horse", Api.CALL_API, address="192.0.2.1")
    clock.now += 1
    await accounts.login("owner", "correct horse", Api.CALL_API)
    # A success forgets the failures.
    assert await _refusal(accounts.login("owner", "wrong guess", Api.CALL_API)) == "auth_error"
    await accounts.login("owner", "correct horse", Api.CALL_API)


async def test_honest_logins_at_once_are_not_braked(accounts: Accounts, company: NewAccount) -> None:
    sessions = await asyncio.gather(
        *(accounts.login("owner", "correct horse", Api.CALL_API) for _ in range(12))
    )
    assert len({session.access_token for session in sessions}) == 12


async def test_nothing_is_allowed_by_default(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    account_id = company.account_id

    async def come_from(ip: str, api: Api = Api.CALL_API) -> None:
        accounts.check_address(await accounts.authenticate(company.keys[api], api), ip)

    with pytest.raises(PermissionDenied) as caught:
        await come_from("::ffff:192.0.2.7")
    assert caught.value.mnemonic == "ip_not_whitelisted"
    assert caught.value.params == {"ip": "192.0.2.7"}
    assert await administration.allow_address(account_id, Api.CALL_API, "192.0.2.9/24") == "192.0.2.0/24"
    await administration.allow_address(account_id, Api.CALL_API, "192.0.2.0/24")
    await administration.allow_address(account_id, Api.CALL_API, "2001:db8::/32")
    for ip in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"):
        await come_from(ip)
    for ip in ("198.51.100.1", "2001:db9::1", "unknown", ""):
        assert await _refusal(come_from(ip)) == "ip_not_whitelisted"
    assert await _refusal(come_from("192.0.2.7", Api.DATA_API)) == "ip_not_whitelisted"
    await administration.disallow_address(account_id, Api.CALL_API, "192.0.2.0/24")
    assert await _refusal(come_from("192.0.2.7")) == "ip_not_whitelisted"
    with pytest.raises(NotFound):
        await administration.disallow_address(account_id, Api.CALL_API, "192.0.2.0/24")


async def test_permissions_and_components_are_in_force_at_once(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    account_id = company.account_id
    user_id = await administration.users.create(account_id, "anna", apis=[Api.DATA_API])
    token = (await administration.users.create_key(account_id, user_id)).token
    caller = await accounts.authenticate(token, Api.DATA_API)
    assert caller.role is Role.MEMBER
    assert not caller.may("employees", "select")
    assert (caller.call_api_enabled, caller.data_api_enabled) == (False, True)
    await administration.users.set_permission(account_id, user_id, "employees", Action.SELECT, True)
    await administration.set_component(account_id, "va", False)
    await administration.set_component(account_id, "call_tracking", True)
    await administration.users.set_apis(account_id, user_id, [Api.CALL_API])
    caller = await accounts.authenticate(token, Api.DATA_API)
    assert caller.may("employees", "select")
    assert not caller.may("employees", "update")
    assert caller.components == component_names.DEFAULT - {"va"} | {"call_tracking"}
    assert (caller.call_api_enabled, caller.data_api_enabled) == (True, False)
    await administration.users.set_permission(account_id, user_id, "employees", Action.SELECT, False)
    assert not (await accounts.authenticate(token, Api.DATA_API)).may("employees", "select")


async def test_agents_act_for_users_of_their_clients(
    accounts: Accounts, administration: Administration, company: NewAccount
) -> None:
    agent = await administration.create_account(AccountProfile("Partner", is_agent=True))
    client = await administration.create_account(
        AccountProfile("Client", time_zone="Europe/London", parent_account_id=agent.account_id)
    )
    asking = await accounts.authenticate(agent.keys["data_api"], Api.DATA_API)
    assert asking.is_agent
    acting = await accounts.acting_for(asking, client.user_id)
    assert (acting.account_id, acting.user_id) == (client.account_id, client.user_id)
    assert acting.time_zone == ZoneInfo("Europe/London")
    assert not acting.is_agent
    # Nobody else's users, no users that are not there, and only for agents.
    for user_id in (company.user_id, 999_999, agent.user_id):
        assert await _refusal(accounts.acting_for(asking, user_id)) == "forbidden"
    stranger = await accounts.authenticate(company.keys["data_api"], Api.DATA_API)
    assert await _refusal(accounts.acting_for(stranger, client.user_id)) == "forbidden"
    assert await _refusal(accounts.acting_for(acting, client.user_id)) == "forbidden"
    # A member of the agent needs the permission to see clients' users.
    member = await administration.users.create(agent.account_id, "member", apis=[Api.DATA_API])
    token = (await administration.users.create_key(agent.account_id, member)).token
    asking = await accounts.authenticate(token, Api.DATA_API)
    assert await _refusal(accounts.acting_for(asking, client.user_id)) == "forbidden"
    await administration.users.set_permission(agent.account_id, member, "client_user", Action.SELECT, True)
    asking = await accounts.authenticate(token, Api.DATA_API)
    assert (await accounts.acting_for(asking, client.user_id)).account_id == client.account_id
    await administration.set_status(client.account_id, Status.DISABLED)
    assert await _refusal(accounts.acting_for(asking, client.user_id)) == "account_inactive"
