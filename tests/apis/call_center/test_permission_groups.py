"""Permission groups, and the defaults of the users of an account."""

from __future__ import annotations

import time
from typing import Any

from cryptography.fernet import Fernet

from tests.apis.call_center.rest import PASSWORD, Rest
from tests.apis.call_center.test_agents import make_user
from tests.apis.call_center.test_users import JOHN
from trunkline.accounts.secrets import Cipher
from trunkline.directory.live.load import load_accounts
from trunkline.directory.model import AgentProfile

GROUPS = "/api/pgroup"
DEFAULTS = "/api/account_defaults"


async def log_in(rest: Rest, name: str) -> str:
    answered = await rest.post("/api/user/login", {"username": name, "password": JOHN["password"]}, key=None)
    return str(answered["api_key"])


async def test_users_have_the_permissions_of_their_group(rest: Rest) -> None:
    group = await rest.post(GROUPS, {"name": "Desk", "permissions": {"queues": ["select"]}})
    assert group == {
        "id": group["id"], "account_id": rest.company.account_id, "name": "Desk", "permissions": {"queues": ["select"]}
    }  # fmt: skip
    path = f"{GROUPS}/{group['id']}"
    user = await make_user(rest, pgroup_id=group["id"])
    shown = await rest.get(f"/api/user/{user}")
    assert (shown["pgroup_id"], shown["pgroup"]) == (group["id"], "Desk")
    assert shown["permissions"] == {"call_center_api": True}, "these are the user's own"
    key = await log_in(rest, "john")
    assert (await rest.ask("GET", "/api/cc_queue", key=key)).status == 200
    assert (await rest.ask("GET", "/api/phone_list", key=key)).status == 403
    await rest.put(path, {"permissions": {"phone_lists": ["select"]}})
    assert (await rest.ask("GET", "/api/cc_queue", key=key)).status == 403, "with the next request"
    assert (await rest.ask("GET", "/api/phone_list", key=key)).status == 200
    assert (await rest.ask("DELETE", path)).status == 409
    assert await rest.put(f"/api/user/{user}", shown) == await rest.get(f"/api/user/{user}")
    await rest.put(f"/api/user/{user}", {"pgroup_id": 0})
    assert (await rest.ask("GET", "/api/phone_list", key=key)).status == 403
    assert await rest.put(path, {"name": "Night"}) == {
        **group, "name": "Night", "permissions": {"phone_lists": ["select"]}
    }  # fmt: skip
    assert [one["id"] for one in await rest.get(f"{GROUPS}?q=nig")] == [group["id"]]
    assert (await rest.ask("DELETE", path)).content == {"success": True}
    assert (await rest.ask("GET", path)).status == 404


async def test_values_that_cannot_be(rest: Rest) -> None:
    await rest.post(GROUPS, {"name": "Desk"})
    for body, status in (
        ({"name": "Desk"}, 409), ({"name": ""}, 400), ({}, 400),
        ({"name": "a", "permissions": {"nothing": ["select"]}}, 400),
        ({"name": "a", "permissions": {"queues": ["erase"]}}, 400), ({"name": "a", "permissions": {"queues": 1}}, 400),
        ({"name": "a", "permissions": {"call_center_api": True}}, 400),
    ):  # fmt: skip
        assert (await rest.ask("POST", GROUPS, body)).status == status, body
    assert (await rest.ask("POST", "/api/user", {**JOHN, "pgroup_id": 987654})).status == 404


async def test_nobody_gets_more_rights_by_a_group_than_the_own_key_has(rest: Rest) -> None:
    strong = await rest.post(GROUPS, {"name": "Strong", "permissions": {"queues": ["delete"]}})
    weak = await rest.post(GROUPS, {"name": "Weak", "permissions": {"users": ["select"]}})
    key = await rest.user_key("users:select", "users:insert", "users:update")
    chief = await make_user(rest, "chief", pgroup_id=strong["id"])
    user = await make_user(rest)
    for verb, path, body in (
        ("POST", GROUPS, {"name": "New", "permissions": {"queues": ["select"]}}),
        ("PUT", f"{GROUPS}/{weak['id']}", {"permissions": {"queues": ["select"]}}),
        ("PUT", f"{GROUPS}/{strong['id']}", {"permissions": {}}),
        ("PUT", f"/api/user/{user}", {"pgroup_id": strong["id"]}),
        ("POST", "/api/user", {**JOHN, "username": "new", "pgroup_id": strong["id"]}),
        ("PUT", f"/api/user/{chief}", {"password": PASSWORD}),
    ):
        assert (await rest.ask(verb, path, body, key=key)).status == 403, (verb, path)
    assert (await rest.ask("PUT", f"/api/user/{user}", {"pgroup_id": weak["id"]}, key=key)).status == 200


async def test_two_companies_with_equal_groups_never_meet(rest: Rest) -> None:
    ours, theirs = await rest.post(GROUPS, {"name": "Desk"}), rest.other_key
    other = await rest.post(GROUPS, {"name": "Desk"}, key=theirs)
    assert [one["id"] for one in await rest.get(GROUPS, key=theirs)] == [other["id"]]
    for verb, body in (("GET", None), ("PUT", {"name": "x"}), ("DELETE", None)):
        assert (await rest.ask(verb, f"{GROUPS}/{ours['id']}", body, key=theirs)).status == 404
    assert (await rest.ask("POST", "/api/user", {**JOHN, "pgroup_id": ours["id"]}, key=theirs)).status == 404
    await rest.put(DEFAULTS, {"wrap_up_time": 7})
    assert (await rest.get(DEFAULTS, key=theirs))["wrap_up_time"] is None


async def profiles(rest: Rest, tmp_path: Any) -> dict[int, AgentProfile]:
    """Agents as calls have them."""
    account_id = rest.company.account_id
    async with rest.db.connection() as connection:
        loaded = await load_accounts(connection, Cipher(Fernet.generate_key()), tmp_path, [account_id])
    return dict(loaded.accounts[account_id].agents)


async def test_defaults_of_the_account(rest: Rest, tmp_path: Any) -> None:
    unset = await rest.get(DEFAULTS)
    assert set(unset.values()) == {None}
    own, usual = await make_user(rest, is_agent=True, wrap_up_time=5), await make_user(rest, "usual")
    queue = await rest.post(
        "/api/cc_queue",
        {"name": "Sales", "strategy": "random", "time_base_score": "queue", "users": [[usual]]},
    )
    changed = await rest.put(DEFAULTS, {"wrap_up_time": 30, "max_no_answer": 3, "session_ttl": 120})
    assert changed == {**unset, "wrap_up_time": 30, "max_no_answer": 3, "session_ttl": 120}
    assert await rest.get(DEFAULTS) == changed
    agents = await profiles(rest, tmp_path)
    assert agents[own].settings == {"wrap_up_time": 5, "max_no_answer": 3}
    assert agents[usual].settings == {"wrap_up_time": 30, "max_no_answer": 3}
    session = await rest.post(
        "/api/user/login", {"username": "usual", "password": JOHN["password"]}, key=None
    )
    assert 100 < session["expires"] - time.time() <= 120
    await rest.put(DEFAULTS, {"wrap_up_time": None})
    assert (await profiles(rest, tmp_path))[usual].settings == {"max_no_answer": 3}
    assert (await rest.ask("PUT", DEFAULTS, {"wrap_up_time": 90_000})).status == 400
    assert queue["user_ids"] == [usual]
