"""Users: employees, their log-ins and their settings, seen by all APIs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.apis.call_center.rest import PASSWORD, Rest
from tests.apis.support import NotedSwitch
from trunkline.accounts.model import Api
from trunkline.accounts.service import Accounts
from trunkline.apis.call_center.users import USER_FIELDS
from trunkline.apis.catalogue import DATA_API
from trunkline.apis.jsonrpc import Services
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.service.request_log import MemoryRequestLog
from trunkline.core.settings import Settings

JOHN = {"name": "John Smith", "username": "Jonh123", "password": "Ab123456", "email": "usersmail@example.com"}

SETTINGS: dict[str, Any] = {
    "timezone": "Asia/Jerusalem", "sites": [1, 2], "intercept_groups": [], "intercept_other_groups": [],
    "follow_me": 5, "dr_id": 6, "call_timeout": 30, "vm_id": 7, "override_device": True, "ecnam": "Palm",
    "ecnum": "12025550110", "ocnam": "Ida", "ocnum": "101", "user_record": 1, "cnum_by_country": False,
    "blf_ext": "102", "rec_inb_ext": 1, "rec_out_ext": 0, "rec_inb_int": 1, "rec_out_int": 0,
    "max_snooze": 2, "web_device_id": 9, "call_waiting": True, "wrap_up_out": False,
}  # fmt: skip
"""A value of each setting that is kept and returned."""

OWN: dict[str, Any] = {
    "is_agent": True, "in_reports": False, "active": 0, "geo_limit": "IL,US", "ext_user_id": "crm-7", "session_ttl": 600,
    "wrap_up_time": 10, "no_answer_delay_time": 0, "reject_delay_time": 20, "busy_delay_time": 30, "max_no_answer": 3,
}  # fmt: skip


async def data_api(rest: Rest, method: str, **params: Any) -> dict[str, Any]:
    """The result of a method of the Data API, with the owner's key."""
    services = Services(Accounts(rest.db), NotedSwitch(), Settings(data_dir=Path("/nonexistent")), rest.db)
    message = {
        "jsonrpc": "2.0", "id": 1, "method": method, "params": {"access_token": rest.company.keys["data_api"], **params}
    }  # fmt: skip
    dispatcher = Dispatcher(DATA_API, services, MemoryRequestLog())
    answer = orjson.loads(await dispatcher.answer(orjson.dumps(message), "127.0.0.1"))
    assert "result" in answer, answer
    return dict(answer["result"])


async def test_a_user_is_created_found_changed_and_deleted(rest: Rest) -> None:
    before = int(time.time())
    made = await rest.post("/api/user", JOHN)
    assert made["account_id"] == rest.company.account_id
    assert (made["name"], made["username"], made["email"]) == (
        "John Smith",
        "Jonh123",
        "usersmail@example.com",
    )
    assert (made["active"], made["is_agent"], made["in_reports"], made["pgroup_id"]) == (1, False, True, 0)
    assert made["timezone"] == "UTC", "the zone of the account"
    assert before <= made["ts"] <= before + 60
    assert "password" not in made
    await rest.post(
        "/api/user", {**JOHN, "name": "Ida", "username": "ida", "email": "ida@example.com", "is_agent": 1}
    )
    for query, expected in (
        ("", ["John Smith", "Ida"]), ("?q=smith", ["John Smith"]), ("?q=john smi", ["John Smith"]),
        ("?q=JONH", ["John Smith"]),
        ("?q=ida@", ["Ida"]), ("?q=&is_agent=0", ["John Smith", "Ida"]), ("/?is_agent=1", ["Ida"]), ("?q=none", []),
        ("?limit=1&offset=1", ["Ida"]),
    ):  # fmt: skip
        assert [one["name"] for one in await rest.get(f"/api/user{query}")] == expected, query
    path = f"/api/user/{made['id']}"
    changed = await rest.put(path, {"name": "Anna Maria Reed"})
    assert changed == {**made, "name": "Anna Maria Reed"}, "only submitted values are updated"
    assert await rest.put(path, changed) == changed, "a record can be sent back as it was read"
    assert (await rest.ask("DELETE", path)).content == {"success": True}
    assert (await rest.ask("GET", path)).status == 404
    assert (await rest.ask("PUT", path, {})).status == 404
    assert (await rest.ask("DELETE", path)).status == 404


async def test_every_field_is_kept_and_returned(rest: Rest) -> None:
    writable = {one.name for one in USER_FIELDS if not one.read_only}
    extra = {"groups", "permissions", "queue_perms", "pgroup_id"}
    assert writable == JOHN.keys() | SETTINGS.keys() | OWN.keys() | extra & writable
    made = await rest.post("/api/user", {**JOHN, **SETTINGS, **OWN})
    for name, value in {**SETTINGS, **OWN}.items():
        assert made[name] == value, name
    cleared = await rest.put(f"/api/user/{made['id']}", dict.fromkeys([*SETTINGS, *OWN]))
    plain = await rest.post("/api/user", {**JOHN, "username": "plain"})
    for name in [*SETTINGS, *OWN]:
        assert cleared[name] == plain[name], name


async def test_a_user_without_a_time_zone_has_that_of_the_account(rest: Rest) -> None:
    await rest.db.execute(
        "update accounts set time_zone = 'Asia/Dubai' where account_id = %s", (rest.company.account_id,)
    )
    made = await rest.post("/api/user", JOHN)
    assert made["timezone"] == "Asia/Dubai"
    for sent, shown in (("Asia/Tokyo", "Asia/Tokyo"), (None, "Asia/Dubai")):
        seen = await rest.put(f"/api/user/{made['id']}", {"timezone": sent})
        assert seen["timezone"] == shown
    await rest.put(f"/api/user/{made['id']}", seen)
    await rest.db.execute(
        "update accounts set time_zone = 'UTC' where account_id = %s", (rest.company.account_id,)
    )
    assert (await rest.get(f"/api/user/{made['id']}"))["timezone"] == "UTC", (
        "not made its own by sending it back"
    )


async def test_the_password_rule(rest: Rest) -> None:
    for password in ("Ab12345", "ab123456", "AB123456", "Abcdefgh", "", 12345678, None):
        refused = await rest.ask("POST", "/api/user", {**JOHN, "password": password})
        assert refused.status == 400, password
        assert "password" in refused.msg
        assert not password or str(password) not in refused.msg
    assert (
        "password is missing"
        in (await rest.ask("POST", "/api/user", {k: v for k, v in JOHN.items() if k != "password"})).msg
    )
    assert await rest.get("/api/user") == []


async def test_values_that_cannot_be(rest: Rest) -> None:
    made = await rest.post("/api/user", JOHN)
    await rest.post("/api/user", {**JOHN, "username": "second", "ext_user_id": "7"})
    for body, status in (
        ({"email": "no address"}, 400), ({"timezone": "Mars/Olympus"}, 400), ({"geo_limit": "ILL"}, 400),
        ({"username": "two words"}, 400), ({"username": "SECOND"}, 409), ({"username": "palm"}, 409),
        ({"groups": [77]}, 404), ({"intercept_groups": [77]}, 404), ({"intercept_other_groups": [77]}, 404),
        ({"timezone": "posixrules"}, 400), ({"timezone": "localtime"}, 400), ({"timezone": "Factory"}, 400),
        ({"wrap_up_time": 86_401}, 400), ({"wrap_up_time": -1}, 400), ({"active": 2}, 400),
        ({"ext_user_id": "7"}, 409), ({"permissions": {"nothing": ["select"]}}, 400), ({"name": "  "}, 400),
        ({"permissions": {"queues": ["erase"]}}, 400), ({"sites": "a,b"}, 400), ({"session_ttl": 1}, 400),
        ({"permissions": {"queues": [["select"]]}}, 400), ({"name": None}, 400), ({"username": None}, 400),
    ):  # fmt: skip
        refused = await rest.ask("PUT", f"/api/user/{made['id']}", body)
        assert refused.status == status, (body, refused)
    assert await rest.get(f"/api/user/{made['id']}") == made


async def test_log_in_use_and_log_out(rest: Rest) -> None:
    made = await rest.post(
        "/api/user", {**JOHN, "permissions": {"users": ["select"], "call_center_api": True}}
    )
    assert made["permissions"] == {"users": ["select"], "call_center_api": True}
    log_in = {"username": "jonh123", "password": "Ab123456"}
    session = (await rest.ask("POST", "/api/user/login", log_in, key=None)).data
    assert (session["id"], session["username"]) == (made["id"], "Jonh123")
    assert abs(session["expires"] - time.time() - 3600) < 60
    key = session["api_key"]
    assert (await rest.get("/api/user", key=key))[0]["last_login"] is not None
    assert (await rest.ask("GET", "/api/user/logout", key=key)).content == {"success": True}
    assert (await rest.ask("GET", "/api/user", key=key)).status == 401
    wrong = await rest.ask("POST", "/api/user/login", {**log_in, "password": "Ab123457"}, key=None)
    assert wrong.status == 401
    assert key not in str(wrong.content)
    assert (await rest.ask("GET", "/api/user/logout", key=None)).status == 401
    await rest.put(f"/api/user/{made['id']}", {"session_ttl": 120})
    form = await rest.ask("POST", "/api/user/login", key=None, data=log_in)
    assert abs(form.data["expires"] - time.time() - 120) < 60
    await rest.put(f"/api/user/{made['id']}", {"active": 0})
    assert (await rest.ask("GET", "/api/user", key=form.data["api_key"])).status == 401
    assert (await rest.ask("POST", "/api/user/login", log_in, key=None)).status == 401
    await rest.put(f"/api/user/{made['id']}", {"active": 1, "password": "Xy123456", "permissions": {}})
    session = (await rest.ask("POST", "/api/user/login", {**log_in, "password": "Xy123456"}, key=None)).data
    assert (await rest.ask("GET", "/api/user", key=session["api_key"])).status == 403


async def test_a_log_in_from_a_place_that_is_not_permitted_opens_no_session(rest: Rest) -> None:
    await rest.post("/api/user", {**JOHN, "geo_limit": "IL"})
    log_in = {"username": "Jonh123", "password": "Ab123456"}
    assert (await rest.ask("POST", "/api/user/login", log_in, key=None)).status == 403
    count = await rest.db.fetch_one(
        "select count(*) as n from login_sessions where account_id = %s", (rest.company.account_id,)
    )
    assert count == {"n": 0}
    owner = (
        await rest.ask("POST", "/api/user/login", {"username": "palm", "password": PASSWORD}, key=None)
    ).data
    assert owner["id"] is None, "the owner is no employee"


@pytest.mark.isolation
async def test_nobody_gives_or_takes_rights_without_having_them(rest: Rest) -> None:
    """A user who manages users cannot become an owner by the password of one."""
    key = await rest.user_key("users:select", "users:insert", "users:update", "users:delete")
    made = await rest.post("/api/user", {**JOHN, "permissions": {"users": ["select"]}}, key=key)
    refused = await rest.ask(
        "PUT", f"/api/user/{made['id']}", {"permissions": {"queues": ["select"]}}, key=key
    )
    assert refused.status == 403
    assert "queues select" in refused.msg
    refused = await rest.ask(
        "POST", "/api/user", {**JOHN, "username": "x", "permissions": {"employees": ["delete"]}}, key=key
    )
    assert refused.status == 403
    await rest.db.execute(
        "update users set role = 'admin' where account_id = %s and login = 'Jonh123'",
        (rest.company.account_id,),
    )
    path = f"/api/user/{made['id']}"
    for body in ({"password": "Xy123456"}, {"username": "y"}, {"email": "y@example.com"}, {"active": 0}):
        assert (await rest.ask("PUT", path, body, key=key)).status == 403, body
    assert (await rest.ask("DELETE", path, key=key)).status == 403
    assert (await rest.ask("PUT", path, {"wrap_up_time": 5}, key=key)).status == 200, (
        "no matter of the log-in"
    )
    assert (await rest.ask("PUT", path, {"password": "Xy123456"})).status == 200, "the owner may"


async def test_nobody_deletes_itself_or_the_last_owner(rest: Rest) -> None:
    made = await rest.post("/api/user", JOHN)
    account_id = rest.company.account_id
    await rest.db.execute(
        "update users set employee_id = null where account_id = %s and login = 'Jonh123'", (account_id,)
    )
    await rest.db.execute(
        "update users set employee_id = %s where account_id = %s and login = 'palm'", (made["id"], account_id)
    )
    assert (await rest.ask("DELETE", f"/api/user/{made['id']}")).status == 409
    admin = await rest.administration.users.create(account_id, "admin", PASSWORD, apis=[Api.CALL_CENTER])
    await rest.db.execute(
        "update users set role = 'admin' where account_id = %s and user_id = %s", (account_id, admin)
    )
    key = (await rest.administration.users.create_key(account_id, admin)).token
    refused = await rest.ask("DELETE", f"/api/user/{made['id']}", key=key)
    assert (refused.status, "no other owner" in refused.msg) == (409, True)


async def test_the_same_employee_line_and_group_are_seen_by_the_data_api(rest: Rest) -> None:
    ida = await data_api(
        rest, "create.employees", first_name="Ida", last_name="Reed", email="ida@example.com"
    )
    ida_id = ida["data"]["id"]
    found = await rest.get(f"/api/user/{ida_id}")
    assert (found["name"], found["email"], found["username"]) == ("Ida Reed", "ida@example.com", None)
    refused = await rest.ask("PUT", f"/api/user/{ida_id}", {"password": "Ab123456"})
    assert (refused.status, "send username" in refused.msg) == (400, True)
    assert (await rest.put(f"/api/user/{ida_id}", {"email": "i@example.com"}))["email"] == "i@example.com"
    with_log_in = await rest.put(f"/api/user/{ida_id}", {"username": "ida", "password": "Ab123456"})
    assert with_log_in["username"] == "ida"
    line = await data_api(rest, "create.sip_lines", employee_id=ida_id, virtual_phone_number=None)
    group = await data_api(rest, "create.group_employees", name="Desk", members=[ida_id])
    john = await rest.post("/api/user", {**JOHN, "groups": [group["data"]["id"]]})
    seen = await rest.get(f"/api/user/{ida_id}")
    assert seen["devices"] == [
        {
            "device_id": line["data"]["id"],
            "ring": 0,
            "delay": 0,
            "timeout": 60,
            "name": line["phone_number"],
        }
    ]
    assert (seen["groups"], seen["online"], seen["pause_id"]) == ([group["data"]["id"]], 0, 0)
    rows = (await data_api(rest, "get.employees"))["data"]
    by_id = {row["id"]: row for row in rows}
    assert (by_id[john["id"]]["full_name"], by_id[john["id"]]["login"]) == ("Smith John", "Jonh123")
    assert (by_id[ida_id]["email"], by_id[ida_id]["login"]) == ("i@example.com", "ida")
    await data_api(rest, "update.employees", id=ida_id, status_id=2)
    assert (await rest.get(f"/api/user/{ida_id}"))["pause_id"] == 2
    assert (await rest.ask("DELETE", f"/api/user/{ida_id}")).status == 200
    lines = (await data_api(rest, "get.sip_lines"))["data"]
    assert [(row["id"], row["employee_id"]) for row in lines] == [(line["data"]["id"], None)]
    assert (
        await rest.ask("POST", "/api/user/login", {"username": "ida", "password": "Ab123456"}, key=None)
    ).status == 401


@pytest.mark.isolation
async def test_two_companies_with_equal_users_never_meet(rest: Rest) -> None:
    ours = await rest.post("/api/user", {**JOHN, "ext_user_id": "7", "is_agent": True})
    theirs_id, theirs = ours["id"], rest.other_key
    await rest.db.execute(
        "insert into employees (account_id, employee_id, key, last_name) values (%s, %s, 'x', 'Smith')",
        (rest.other.account_id, theirs_id),
    )
    await rest.put(f"/api/user/{theirs_id}", {"ext_user_id": "7", "name": "Their Smith"}, key=theirs)
    assert [one["name"] for one in await rest.get("/api/user?q=smith", key=theirs)] == ["Their Smith"]
    assert [one["name"] for one in await rest.get("/api/user?q=smith")] == ["John Smith"]
    assert (
        await rest.ask("PUT", f"/api/user/{theirs_id}", {"username": "Jonh123"}, key=theirs)
    ).status == 409
    only_ours = await rest.post("/api/user", {**JOHN, "username": "second"})
    for verb in ("GET", "PUT", "DELETE"):
        body = {"name": "x"} if verb == "PUT" else None
        assert (await rest.ask(verb, f"/api/user/{only_ours['id']}", body, key=theirs)).status == 404
    group = await data_api(rest, "create.group_employees", name="Desk", members=[])
    refused = await rest.ask("PUT", f"/api/user/{theirs_id}", {"groups": [group["data"]["id"]]}, key=theirs)
    assert refused.status == 404
    for setting in ("intercept_groups", "intercept_other_groups"):
        wanted = {setting: [group["data"]["id"]]}
        refused = await rest.ask("PUT", f"/api/user/{theirs_id}", wanted, key=theirs)
        assert refused.status == 404, refused
        assert (await rest.put(f"/api/user/{ours['id']}", wanted))[setting] == [group["data"]["id"]]
        ours = await rest.put(f"/api/user/{ours['id']}", {setting: None})
    assert (await rest.ask("DELETE", f"/api/user/{theirs_id}", key=theirs)).status == 200
    assert await rest.get(f"/api/user/{ours['id']}") == ours


def test_the_page_says_what_each_setting_does() -> None:
    page = (Path(__file__).parents[3] / "docs" / "api" / "call-center.md").read_text()
    section = page.partition("### What settings of a user do")[2].partition("## Queues")[0]
    assert SETTINGS.keys() <= set(section.split("`"))
