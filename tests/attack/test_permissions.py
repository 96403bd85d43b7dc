"""Each method of each API, recordings, media files and the stream refuse a user without the permission, and each serves
one who has it; an agent that acts for a client needs its own address and its own rights, too."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.apis.data_api.walk import sample
from tests.apis.support import ADDRESS, CALLER, TOKEN, ApisOnFakes, fault, mnemonic
from tests.recordings.test_media import Scene
from tests.recordings.test_media import scene as scene  # the fixture
from trunkline.accounts.administration import Administration
from trunkline.accounts.components import TITLES
from trunkline.accounts.model import Action, Api
from trunkline.accounts.permissions import GROUPS, RESOURCES, ROLE_PERMISSIONS, UNRESTRICTED, Role
from trunkline.apis.catalogue import SERVICE_SPECS
from trunkline.apis.jsonrpc import Method
from trunkline.apis.permissions import FOR_EVERY_USER, table, with_permissions
from trunkline.apis.web import build_app
from trunkline.core.errors import InvalidInput, InvalidState
from trunkline.db import migrate, migrations
from trunkline.db.pool import Database
from trunkline.events.feed import CallFeed

pytestmark = pytest.mark.attack

METHODS = [method for service_spec in SERVICE_SPECS for method in service_spec.methods]
GUARDED = [method for method in METHODS if method.name not in FOR_EVERY_USER]


def _id(method: Method) -> str:
    return f"{method.api}:{method.name}"


def _fakes(*permissions: str, role: Role = Role.MEMBER) -> ApisOnFakes:
    fakes = ApisOnFakes()
    fakes.accounts.allow(role=role, permissions=frozenset(permissions), components=frozenset(TITLES))
    return fakes


async def _asked(fakes: ApisOnFakes, method: Method, **more: object) -> str:
    """``unexpected_parameters`` once the access to the method has been given."""
    sent = {name: value for name, value in sample(method.params).items() if name != "access_token"}
    return mnemonic(await fakes.ask(method.api, method.name, {**sent, "no_such_parameter": 1, **more}))


@pytest.mark.parametrize("method", GUARDED, ids=_id)
async def test_a_method_needs_each_of_its_permissions(method: Method) -> None:
    needed = [f"{resource}:{action}" for resource, action in method.permissions]
    assert needed
    assert await _asked(_fakes(), method) == "forbidden"
    for one in needed:
        others = {f"{resource}:{action}" for resource in RESOURCES for action in Action} - {one}
        fakes = _fakes(*others)
        assert await _asked(fakes, method) == "forbidden"
        assert fakes.accounts.used == 0, "a refused request costs no points"
    assert await _asked(_fakes(*needed), method) == "unexpected_parameters"
    for role in UNRESTRICTED:
        assert await _asked(_fakes(role=role), method) == "unexpected_parameters"


@pytest.mark.parametrize("role", [role for role in Role if role not in UNRESTRICTED])
async def test_a_role_gives_its_permissions_and_no_others(role: Role) -> None:
    for method in GUARDED:
        given = all(
            f"{resource}:{action}" in ROLE_PERMISSIONS[role] for resource, action in method.permissions
        )
        expected = "unexpected_parameters" if given else "forbidden"
        assert await _asked(_fakes(role=role), method) == expected, method.name


async def test_what_every_user_may_ask_is_a_session_and_the_own_account() -> None:
    assert {method.name for method in METHODS if not method.permissions} == FOR_EVERY_USER
    for method in METHODS:
        if method.name in FOR_EVERY_USER and method.identify is None:
            assert await _asked(_fakes(), method) == "unexpected_parameters"


def test_a_method_without_a_permission_cannot_be_served() -> None:
    new = dataclasses.replace(GUARDED[0], name="get.something_new", permissions=())
    with pytest.raises(ValueError, match=r"get\.something_new needs a permission"):
        with_permissions([new])
    doubled = dataclasses.replace(
        new, name="get.calls_report", api=METHODS[-1].api, permissions=(("va", "select"),)
    )
    with pytest.raises(ValueError, match="needs no default"):
        with_permissions([doubled])


def test_permissions_name_resources_that_can_be_granted() -> None:
    for method in METHODS:
        for resource, action in method.permissions:
            assert resource in RESOURCES
            assert action in list(Action)
    used = {permission for method in METHODS for permission in method.permissions}
    assert set(GROUPS) <= used, "no default permission without a method"


def test_the_documentation_names_each_permission() -> None:
    page = Path(__file__).parents[2] / "docs" / "api" / "permissions.md"
    text = page.read_text(encoding="utf-8")
    for service_spec in SERVICE_SPECS:
        assert table(service_spec.methods) in text, (
            f"{page.name}, {service_spec.title}:\n{table(service_spec.methods)}"
        )
    for (resource, action), meaning in GROUPS.items():
        assert f"| `{resource}: {action}` | {meaning} |" in text
    for role in Role:
        assert f"| `{role}` |" in text


# --- recordings, media files, the stream ----------------------------------------------------------------------


async def test_a_recording_needs_the_permission_to_read_reports(scene: Scene) -> None:
    administration = Administration(scene.db)
    users = administration.users
    member = await users.create(scene.account_id, "member", apis=[Api.DATA_API])
    key = (await users.create_key(scene.account_id, member)).token
    paths = [f"/system/media/{kind}/{scene.tail}/" for kind in ("talk", "wav")]
    for path in paths:
        assert await scene.status(path, params={"access_token": key}) == 404
    await users.set_permission(scene.account_id, member, "reports", Action.SELECT, True)
    for path in paths:
        assert await scene.status(path, params={"access_token": key}) == 200


async def test_a_media_file_needs_the_permission_to_read_configuration(scene: Scene) -> None:
    users = Administration(scene.db).users
    member = await users.create(scene.account_id, "member", apis=[Api.DATA_API])
    key = (await users.create_key(scene.account_id, member)).token
    row = await scene.db.fetch_one(
        "insert into media_files (account_id, key, name, kind, sha256, duration_ms, size_bytes)"
        " values (%s, 'greeting', 'Greeting', 'user', 'a', 1000, 16000) returning media_file_id",
        (scene.account_id,),
    )
    assert row is not None
    path = f"/system/media/file/{row['media_file_id']}/"
    assert await scene.status(path, params={"access_token": scene.key}) == 200
    assert await scene.status(path, params={"access_token": key}) == 404
    await users.set_permission(scene.account_id, member, "configuration", Action.SELECT, True)
    assert await scene.status(path, params={"access_token": key}) == 200


@pytest.fixture
async def streaming(database: str) -> AsyncIterator[tuple[ApisOnFakes, TestClient]]:  # type: ignore[type-arg]
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(await Database.open(database))
        feed = await stack.enter_async_context(CallFeed(db))
        fakes = ApisOnFakes(database=db)
        app = build_app(fakes.services, request_log=fakes.request_log, feed=feed)
        yield fakes, await stack.enter_async_context(TestClient(TestServer(app)))


async def test_the_stream_needs_the_permission_to_watch_calls(
    streaming: tuple[ApisOnFakes, TestClient],  # type: ignore[type-arg]
) -> None:
    fakes, client = streaming
    components = frozenset(TITLES)
    fakes.accounts.allow(role=Role.MEMBER, permissions=frozenset(), components=components)
    async with client.get("/v4.0/stream", params={"access_token": TOKEN}) as response:
        assert response.status == 403
        assert mnemonic(await response.json()) == "forbidden"
    fakes.accounts.allow(permissions=frozenset({"call_control:select"}))
    async with client.ws_connect("/v4.0/stream", params={"access_token": TOKEN}) as socket:
        assert not socket.closed


# --- an agent in the name of a client -------------------------------------------------------------------------

ACTING = [method for method in GUARDED if any(param.name == "user_id" for param in method.params)]


def _agency(*permissions: str) -> ApisOnFakes:
    """The usual token is a member of an agent's account; its client's owner has number 3001."""
    fakes = ApisOnFakes()
    fakes.accounts.clients[3001] = dataclasses.replace(
        CALLER, account_id=1002, user_id=3001, components=frozenset(TITLES)
    )
    fakes.accounts.networks[1002] = ["0.0.0.0/0"]
    fakes.accounts.allow(is_agent=True, role=Role.MEMBER, permissions=frozenset(permissions))
    return fakes


@pytest.mark.parametrize("method", ACTING, ids=_id)
async def test_an_agents_user_needs_its_own_rights_too(method: Method) -> None:
    needed = [f"{resource}:{action}" for resource, action in method.permissions]
    assert await _asked(_agency(), method, user_id=3001) == "forbidden"
    assert await _asked(_agency(*needed), method, user_id=3001) == "unexpected_parameters"
    fakes = _agency(*needed)
    fakes.accounts.allow(call_api_enabled=False, data_api_enabled=False)
    assert await _asked(fakes, method, user_id=3001) == "forbidden"


async def test_an_agents_address_must_be_on_its_own_list_too() -> None:
    [method] = [method for method in ACTING if method.name == "get.calls_report"]
    fakes = _agency("reports:select")
    fakes.accounts.networks[1001] = ["203.0.113.9/32"]
    sent = {**sample(method.params), "user_id": 3001}
    answer = await fakes.ask(method.api, method.name, sent)
    assert fault(answer)[1] == "ip_not_whitelisted"
    assert ADDRESS in answer["error"]["message"]
    fakes.accounts.networks[1001].append("127.0.0.0/8")
    assert await _asked(fakes, method, user_id=3001) == "unexpected_parameters"


# --- roles of users -------------------------------------------------------------------------------------------


async def test_the_last_owner_stays_owner_and_resources_must_exist(scene: Scene) -> None:
    users = Administration(scene.db).users
    [owner] = await users.list_users(scene.account_id)
    with pytest.raises(InvalidState):
        await users.set_role(scene.account_id, owner["user_id"], Role.MEMBER)
    second = await users.create(scene.account_id, "second", role=Role.OWNER)
    await users.set_role(scene.account_id, owner["user_id"], Role.SUPERVISOR)
    assert {row["user_id"]: row["role"] for row in await users.list_users(scene.account_id)} == {
        owner["user_id"]: "supervisor",
        second: "owner",
    }
    with pytest.raises(InvalidInput):
        await users.set_permission(scene.account_id, second, "repotrs", Action.SELECT, True)


def test_an_upgrade_keeps_what_keys_of_members_do(empty_database: str) -> None:
    [file] = Path(migrations.__file__).parent.glob("*_permissions.sql")
    migrate.upgrade(empty_database, f"{int(file.name[:4]) - 1:04d}")
    with psycopg.connect(empty_database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'A')")
        connection.execute(
            "insert into users (account_id, user_id, login, role, call_api_enabled, data_api_enabled) values"
            " (1, 11, 'owner', 'owner', true, true), (1, 12, 'keyed', 'member', true, true),"
            " (1, 13, 'caller', 'member', true, true), (1, 14, 'blocked', 'member', false, true)"
        )
        connection.execute(
            "insert into api_keys (account_id, user_id, token_hash, token_hint, blocked_at) values"
            " (1, 12, 'a', 'a', null), (1, 14, 'b', 'b', now())"
        )
    migrate.upgrade(empty_database)
    with psycopg.connect(empty_database) as connection:
        found = connection.execute(
            "select user_id, array_agg(resource || ':' || action) from user_permissions group by 1"
        ).fetchall()
    granted = {user_id: set(permissions) for user_id, permissions in found}
    calls = {"call_control:select", "call_control:update"}
    assert granted == {12: {f"{resource}:{action}" for resource, action in GROUPS}, 13: calls}
