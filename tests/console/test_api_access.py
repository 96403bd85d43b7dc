"""Keys of users, addresses of the APIs, and points: who may see and change what."""

from __future__ import annotations

import re

from tests.console.calls import SCRIPT
from tests.console.conftest import Office
from trunkline.accounts.model import Api
from trunkline.accounts.permissions import Role
from trunkline.accounts.service import Accounts
from trunkline.console.forms import FIELD
from trunkline.console.setup.api_access import PATH


async def test_a_key_is_shown_once_blocked_and_deleted(office: Office) -> None:
    browser = await office.browser("captain")
    user = str(office.users["captain"])
    page = await browser.get(PATH)
    assert "0 of" in page.words
    made = await browser.send(page, f"{PATH}/keys", user=user, key_name=SCRIPT, until="2999-01-01")
    [token] = re.findall(r'id="key"[^>]*>([^<]+)<', made.text)
    caller = await Accounts(office.db).authenticate(token, Api.DATA_API)
    assert caller.user_id == office.users["captain"]
    page = await browser.get(PATH)
    assert token not in page.text
    assert SCRIPT in page.words
    assert "<img src=x" not in made.text + page.text
    assert all(token not in str(one.request) for one in office.log.entries)
    for fields, control in (
        ({"until": "2001-01-01"}, "until"),
        ({"until": "soon"}, "until"),
        ({"user": ""}, "user"),
    ):
        wrong = await browser.send(page, f"{PATH}/keys", **{"user": user, **fields})
        assert wrong.status == 422
        assert re.search(rf'name="{control}"[^>]*aria-invalid', wrong.text), control
    path = next(one.action for one in reversed(page.reader.forms) if one.action.endswith("/block"))
    early = await browser.post(path.replace("/block", "/delete"), page.form(path).fields)
    assert early.status == 409  # it can still be used
    blocked = await browser.send(page, path)
    assert "Blocked" in blocked.words
    deleted = await browser.send(blocked, path.replace("/block", "/delete"))
    assert "Deleted." in deleted.words
    assert SCRIPT not in deleted.words


async def test_addresses(office: Office) -> None:
    browser = await office.browser("captain")
    page = await browser.get(PATH)
    added = await browser.send(
        page, f"{PATH}/addresses", api="data_api", network="203.0.113.9/24", comment=SCRIPT
    )
    assert "203.0.113.0/24" in added.words
    assert "<img src=x" not in added.text
    wrong = await browser.send(added, f"{PATH}/addresses", api="data_api", network="nowhere")
    assert wrong.status == 422
    assert re.search(r'name="network"[^>]*aria-invalid', wrong.text)
    token = {FIELD: page.form("/console/sign-out").fields[FIELD]}
    gone = await browser.post(
        f"{PATH}/addresses/delete", {**token, "api": "data_api", "network": "203.0.113.0/24"}
    )
    assert "203.0.113.0/24" not in gone.words
    own = {**token, "api": "console", "network": "127.0.0.0/8"}
    kept = await browser.post(f"{PATH}/addresses/delete", own)
    assert kept.status == 422
    assert "You use the console from this address" in kept.words
    assert (await browser.get(PATH)).status == 200
    assert (await browser.post(f"{PATH}/addresses", {**own, "api": "unknown"})).status == 400


async def test_by_role(office: Office) -> None:
    captain = await office.browser("captain")
    page = await captain.get(PATH)
    key = next(one.action for one in page.reader.forms if one.action.endswith("/block"))
    posts = (
        f"{PATH}/keys",
        key,
        key.replace("/block", "/delete"),
        f"{PATH}/addresses",
        f"{PATH}/addresses/delete",
    )
    for role in (Role.SUPERVISOR, Role.INTEGRATOR, Role.OPERATOR):
        browser = await office.browser(role)
        token = {FIELD: (await browser.get("/console/")).form("/console/sign-out").fields[FIELD]}
        assert (await browser.get(PATH)).status == 403, role
        for where in posts:
            assert (await browser.post(where, token)).status == 403, (role, where)
    # somebody who may change users neither makes nor blocks keys of a user with more rights
    for action in ("select", "update"):
        await office.db.execute(
            "insert into user_permissions (account_id, user_id, resource, action) values (%s, %s, 'users', %s)",
            (office.account_id, office.users[Role.MEMBER], action),
        )
    member = await office.browser(Role.MEMBER)
    token = {FIELD: (await member.get(PATH)).form("/console/sign-out").fields[FIELD]}
    wanted = {**token, "user": str(office.users["captain"])}
    assert (await member.post(f"{PATH}/keys", wanted)).status == 403
    assert (await member.post(key, token)).status == 403
    assert (
        await member.post(f"{PATH}/keys", {**token, "user": str(office.users[Role.MEMBER])})
    ).status == 200
    assert (await captain.post(key, {FIELD: "0" * 64})).status == 403
    rival = await office.browser("rival")
    token = {FIELD: (await rival.get(PATH)).form("/console/sign-out").fields[FIELD]}
    assert (await rival.post(key, token)).status == 404
    assert (await rival.post(f"{PATH}/keys", {**token, **wanted, FIELD: token[FIELD]})).status == 422
