"""Connecting: service key, private app, OAuth; secrets at rest; checks; owners of employees; the commands."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from tests.hubspot.rig import ANNA, BEN, Rig, settings_for
from tests.notifications.rig import LOOPBACK
from trunkline.cli.main import commands
from trunkline.core.errors import InvalidInput, NotFound
from trunkline.core.settings import Settings
from trunkline.hubspot.client import Client
from trunkline.hubspot.connections import App, ConnectionKind
from trunkline.hubspot.responses import ConnectionProblem
from trunkline.hubspot.setup import Invitation, code_of, invite
from trunkline.runtime import secrets

pytestmark = pytest.mark.shells

REDIRECT = "http://localhost:8917/hubspot"
APP = App("client-1", "the app's secret")


def test_the_code_is_taken_from_the_answer_to_this_invitation() -> None:
    invitation = invite("client-1", REDIRECT)
    query = parse_qs(urlsplit(invitation.url).query)
    assert query["redirect_uri"] == [REDIRECT]
    assert "crm.objects.contacts.write" in query["scope"][0]
    assert code_of(f"{REDIRECT}?code=c1&state={invitation.state}", invitation) == "c1"
    for wrong in (f"{REDIRECT}?code=c1&state=x", REDIRECT, f"{REDIRECT}?error=access_denied", "c1"):
        with pytest.raises(InvalidInput):
            code_of(wrong, Invitation("", REDIRECT, invitation.state))


async def test_oauth_connects_and_the_secrets_are_encrypted(rig: Rig) -> None:
    account_id = await rig.account()
    rig.hubspot.portal(501)
    rig.hubspot.codes["c1"] = (501, APP.client_id, APP.client_secret, REDIRECT)
    setup = await rig.setup(account_id)
    made = await setup.with_code(APP, "c1", REDIRECT)
    assert (made.portal_id, made.kind) == (501, ConnectionKind.OAUTH)
    row = await rig.db.fetch_one("select * from hubspot_connections where account_id = %s", (account_id,))
    assert row is not None
    stored = b"".join(bytes(value) for value in row.values() if isinstance(value, bytes | memoryview))
    assert b"access" not in stored
    assert b"secret" not in stored
    assert rig.cipher.decrypt(row["refresh_token_encrypted"]) == "refresh-1"
    with pytest.raises(ConnectionProblem):
        await setup.with_code(APP, "c1", REDIRECT)


@pytest.mark.parametrize("body", [{}, [], {"portalId": "x"}])
async def test_a_server_that_is_not_hubspot_is_named(body: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a wrong ``hubspot.api_url``."""
    client = Client(settings_for("https://other.example"), cast(Any, None), cast(Any, None), cast(Any, None))

    async def answer(*_: object, **__: object) -> tuple[int, dict[str, str], object]:
        return 200, {}, body

    monkeypatch.setattr(client, "_exchange", answer)
    with pytest.raises(ConnectionProblem, match=r"other\.example names no portal"):
        await client.portal_of("token")


async def test_a_token_is_refreshed_before_its_end_once_for_all_who_need_it(rig: Rig) -> None:
    account_id = await rig.account()
    rig.hubspot.portal(501)
    rig.hubspot.codes["c1"] = (501, APP.client_id, APP.client_secret, REDIRECT)
    setup = await rig.setup(account_id)
    connection = await setup.with_code(APP, "c1", REDIRECT)
    row = await rig.db.fetch_one("select access_token_until from hubspot_connections")
    assert row is not None
    assert row["access_token_until"].timestamp() == pytest.approx(time.time() + 1500, abs=20)
    await rig.db.execute("update hubspot_connections set access_token_until = now()")
    await asyncio.gather(*(setup.owners(connection) for _ in range(5)))
    assert sum(one.path.endswith("/token") for one in rig.hubspot.requests) == 2
    # A token that HubSpot does not accept although it is not over is replaced, too.
    rig.hubspot.portals[501].tokens = dict.fromkeys(rig.hubspot.portals[501].tokens, time.time() - 1)
    await setup.owners(connection)
    rig.hubspot.portals[501].tokens.clear()
    rig.hubspot.dead_grants = True
    await rig.db.execute("update hubspot_connections set access_token_until = now()")
    with pytest.raises(ConnectionProblem, match="connect"):
        await setup.owners(connection)


async def test_another_portal_begins_anew(rig: Rig) -> None:
    account_id, _ = await rig.connected(501)
    async with rig.worker():
        await rig.call(account_id)
        await rig.settled()
    rig.hubspot.portal(502, "pat-502")
    setup = await rig.setup(account_id)
    await setup.with_token(ConnectionKind.SERVICE_KEY, " pat-501\n")
    assert await rig.rows(account_id)
    await setup.with_token(ConnectionKind.PRIVATE_APP, "pat-502")
    assert not await rig.rows(account_id)
    assert {one.why for one in await setup.matches()} == {"none"}
    await rig.connections.remove(account_id)
    with pytest.raises(NotFound):
        await setup.state()


async def test_checks_name_what_is_missing(rig: Rig) -> None:
    account_id = await rig.account()
    setup = await rig.setup(account_id)
    [unconnected] = await setup.checks(None)
    assert not unconnected.is_met
    account_id, portal = await rig.connected()
    setup = await rig.setup(account_id)
    assert all(one.is_met for one in await setup.checks("https://pbx.example"))
    await setup.set_owner(BEN, "")
    portal.scopes.remove("crm.objects.contacts.read")
    await rig.db.execute("update accounts set open_recording_links = false")
    missing = [one.what for one in await setup.checks("http://pbx.example") if not one.is_met]
    assert [what.split(" (")[0].split(":")[0] for what in missing] == [
        "HubSpot accepts the token, and contacts can be read",
        "calls can be read",
        "each employee has an owner",
        "recordings have an https address",
        "recordings play without a token",
    ]
    assert "Okoye" in missing[2]


@pytest.fixture
def run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRUNKLINE_HUBSPOT__ALLOWED_PRIVATE_NETWORKS", json.dumps(LOOPBACK))
    secrets.ensure(Settings())
    return CliRunner()


async def test_the_commands(rig: Rig, run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_HUBSPOT__API_URL", rig.hubspot.url)

    async def hubspot(*words: str, said: str = "") -> Result:
        return await asyncio.to_thread(run.invoke, commands, ["hubspot", *words], input=said)

    account_id = await rig.account()
    portal = rig.hubspot.portal(501, "pat-501")
    portal.owners = [{"id": "71", "email": "anna@example.com", "firstName": "Anna", "lastName": "Ruiz"}]
    assert (await hubspot("check")).exit_code == 1
    assert isinstance((await hubspot("connect")).exception, InvalidInput)
    made = await hubspot("connect", "--service-key", "--json", said="pat-501\n")
    assert json.loads(made.output)["portal"] == 501, made.output
    assert "pat-501" not in made.output
    proposed = json.loads((await hubspot("map", "--json")).output)
    assert [(one["employee_id"], one["owner_id"], one["by"]) for one in proposed] == [
        (BEN, None, "none"),
        (ANNA, "71", "email"),
    ]
    assert "--accept" in (await hubspot("map")).output
    accepted = json.loads((await hubspot("map", "--accept", "--json")).output)
    assert [one["by"] for one in accepted] == ["none", "set"]
    wrong = await hubspot("map", "--employee", str(BEN), "--owner", "99")
    assert isinstance(wrong.exception, InvalidInput)
    assert "71 anna@example.com" in str(wrong.exception)
    assert (await hubspot("set", "create_contacts", "on")).output == "create_contacts: on\n"
    assert (await hubspot("set", "default_owner", "71")).exit_code == 0
    state = json.loads((await hubspot("status", "--json")).output)
    assert (state["create_contacts"], state["default_owner"], state["calls"]) == (True, "71", {})
    assert "portal: 501" in (await hubspot("status")).output
    assert (await hubspot("disconnect")).output == "disconnected\n"
    assert await rig.connections.find(account_id) is None
