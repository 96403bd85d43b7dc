"""The stages of a request: key, address, permission, limits, body; paths; web pages of other origins; the request log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from multidict import CIMultiDict

from tests.apis.call_center.rest import PASSWORD, Rest, opened
from trunkline.accounts.model import Action, Api, Status
from trunkline.apis.call_center.declaration import Operation
from trunkline.apis.call_center.operations import OPERATIONS
from trunkline.core.settings import Settings

LISTS = "/api/phone_list"
UNAUTHORIZED = {"success": False, "msg": "Unauthorized"}


def path_of(operation: Operation) -> str:
    """The path with values that may be."""
    found = operation.path.replace("{id}", "1").replace("{phone}", "12025550110")
    return found.replace("{uuid}", "70b27a69-1363-42e1-9c37-4f9c159beb3b")


async def test_the_key_is_in_the_query_a_header_a_form_or_the_body(rest: Rest) -> None:
    key = rest.key
    assert (await rest.ask("GET", f"{LISTS}?api_key={key}", key=None)).status == 200
    for headers in ({"api_key": key}, {"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        assert (await rest.ask("GET", LISTS, key=None, headers=headers)).status == 200, headers
    names = iter("abcdef")
    form = aiohttp.FormData({"api_key": key, "name": next(names)})
    assert (await rest.ask("POST", LISTS, key=None, data=form)).status == 200
    multipart = aiohttp.FormData({"api_key": key, "name": next(names)}, default_to_multipart=True)
    assert (await rest.ask("POST", LISTS, key=None, data=multipart)).status == 200
    assert (await rest.ask("POST", LISTS, {"api_key": key, "name": next(names)}, key=None)).status == 200
    assert (await rest.ask("POST", f"{LISTS}?name={next(names)}&api_key={key}", key=None)).status == 200
    assert [one["name"] for one in await rest.get(LISTS)] == ["a", "b", "c", "d"]


async def test_a_missing_or_wrong_key_is_401_at_every_path(rest: Rest) -> None:
    for operation in OPERATIONS:
        if operation.is_public:
            assert operation.path == "/api/user/login"
            continue
        path = path_of(operation)
        for key in (None, "wrong", "x" * 600, "\u00e9"):
            refused = await rest.ask(operation.verb, path, key=None, params={"api_key": key} if key else None)
            assert (refused.status, refused.content) == (401, UNAUTHORIZED), (operation.name, key)


async def test_keys_that_have_ended_are_401(rest: Rest) -> None:
    users, account_id = rest.administration.users, rest.company.account_id
    key = await rest.user_key("phone_lists:select")
    assert (await rest.ask("GET", LISTS, key=key)).status == 200
    [row] = [one for one in await users.list_users(account_id) if one["login"] == "clerk"]
    await users.set_status(account_id, row["user_id"], Status.DISABLED)
    assert (await rest.ask("GET", LISTS, key=key)).content == UNAUTHORIZED


async def test_address_permission_component_and_api_are_403_with_the_remedy(rest: Rest) -> None:
    account_id, administration = rest.company.account_id, rest.administration
    key = await rest.user_key("phone_lists:select")
    refused = await rest.ask("POST", LISTS, {"name": "x"}, key=key)
    assert refused.status == 403
    assert f"trunkline user permit --user clerk phone_lists insert --account {account_id}" in refused.msg
    await administration.set_component(account_id, "call_center", False)
    refused = await rest.ask("GET", LISTS, key=key)
    assert refused.status == 403
    assert "trunkline account component call_center on" in refused.msg
    await administration.set_component(account_id, "call_center", True)
    [row] = [one for one in await administration.users.list_users(account_id) if one["login"] == "clerk"]
    await administration.users.set_apis(account_id, row["user_id"], [Api.DATA_API])
    refused = await rest.ask("GET", LISTS, key=key)
    assert refused.status == 403
    assert "trunkline user apis --user clerk data_api call_center" in refused.msg
    await administration.users.set_apis(account_id, row["user_id"], [Api.CALL_CENTER])
    assert (await rest.ask("GET", LISTS, key=key)).status == 200
    await administration.disallow_address(account_id, Api.CALL_CENTER, "127.0.0.0/8")
    refused = await rest.ask("GET", LISTS, key=key)
    assert refused.status == 403
    assert "127.0.0.1 is not on the allow-list" in refused.msg


@pytest.mark.isolation
async def test_every_operation_needs_its_own_permission(rest: Rest) -> None:
    key = await rest.user_key()
    users = rest.administration.users
    [row] = [one for one in await users.list_users(rest.company.account_id) if one["login"] == "clerk"]
    for operation in OPERATIONS:
        if operation.permission is None:
            continue
        resource, action = operation.permission
        path = path_of(operation)
        refused = await rest.ask(operation.verb, path, key=key)
        assert refused.status == 403, operation.name
        assert f"{resource} {action}" in refused.msg
        await users.set_permission(rest.company.account_id, row["user_id"], resource, Action(action), True)
        assert (await rest.ask(operation.verb, path, key=key)).status != 403, operation.name
        await users.set_permission(rest.company.account_id, row["user_id"], resource, Action(action), False)


async def test_points_are_taken_and_given_back(rest: Rest) -> None:
    account_id = rest.company.account_id
    await rest.administration.set_limits(account_id, Api.CALL_CENTER, minute=10_000, day=5)
    for _ in range(5):
        assert (await rest.ask("GET", f"{LISTS}/77")).status == 404, "a failed request costs nothing"
    answers = await asyncio.gather(*(rest.ask("GET", LISTS) for _ in range(12)))
    assert sorted(one.status for one in answers) == [200] * 5 + [429] * 7
    refused = next(one for one in answers if one.status == 429)
    assert "5 points a day" in refused.msg
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert (await rest.ask("GET", LISTS, key=rest.other_key)).status == 200


async def test_bodies_that_cannot_be_read(rest: Rest) -> None:
    cases: list[tuple[bytes, str, str]] = [
        (b'{"name": ', "application/json", "not JSON"),
        (b'{"name": "a", "name": "b"}', "application/json", "a name twice"),
        (b"\xff\xfe", "application/x-www-form-urlencoded", "UTF-8"),
        (b"name=%ff", "application/x-www-form-urlencoded", "UTF-8"),
        (b"--x\r\n\r\nhello\r\n--x--", "multipart/form-data; boundary=x", "no name"),
        (b"hello", "multipart/form-data", "no boundary"),
        (b'["a"]', "application/json", "send an object"),
        (b'"a"', "application/json", "neither an object"),
        (b"[" * 100 + b"]" * 100, "application/json", "levels"),
        (b"[" + b"1," * 30_000 + b"1]", "application/json", "fewer at once"),
    ]
    for body, kind, part in cases:
        refused = await rest.ask("POST", LISTS, data=body, headers={"Content-Type": kind})
        assert (refused.status, part in refused.msg) == (400, True), (body[:40], refused)
    async with rest.session.post(
        f"{rest.base}{LISTS}", data=b" " * 2_000_000, headers={"api_key": rest.key}
    ) as response:
        assert response.status == 413
        assert "fewer records at once" in (await response.json())["msg"]
    assert await rest.get(LISTS) == []


async def test_unknown_paths_and_methods_answer_in_the_same_form(rest: Rest) -> None:
    for path in ("/api", "/api/", "/api/nothing", "/api/cc_agent/nothing"):
        answered = await rest.ask("GET", path)
        assert answered.status == 404, path
        if path != "/api":
            assert "/api/openapi.json" in answered.msg
    refused = await rest.ask("PATCH", LISTS)
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, POST")
    assert (await rest.ask("HEAD", LISTS)).status == 405


async def test_a_slash_behind_a_path_changes_nothing(rest: Rest) -> None:
    made = await rest.post(f"{LISTS}/", {"name": "Spring"})
    assert await rest.get(f"{LISTS}/") == [made]
    await rest.post(f"{LISTS}/{made['id']}/lead/", {"phone": "12025550110"})
    assert (await rest.ask("DELETE", f"{LISTS}/{made['id']}/lead/12025550110/")).status == 200


async def test_the_country_of_a_user(database: str, free_ports: Callable[[int], list[int]]) -> None:
    [port] = free_ports(1)
    web: dict[str, Any] = {"trusted_proxies": ["127.0.0.1"], "country_header": "X-Country"}
    async with opened(database, port, **web) as rest:
        key = await rest.user_key("phone_lists:select")
        forwarded = {"X-Forwarded-For": "127.0.0.9"}
        await rest.db.execute(
            "update users set geo_limit = '{AE,US}' where account_id = %s and login = 'clerk'",
            (rest.company.account_id,),
        )
        for country, status in (("AE", 200), ("us", 200), ("FR", 403), ("", 403), ("XXX", 403)):
            headers = {**forwarded, "X-Country": country}
            assert (await rest.ask("GET", LISTS, key=key, headers=headers)).status == status, country
        assert (await rest.ask("GET", LISTS, headers={"X-Country": "FR"})).status == 200, "without a limit"


async def test_the_header_of_a_client_itself_names_no_country(rest: Rest) -> None:
    key = await rest.user_key("phone_lists:select")
    await rest.db.execute(
        "update users set geo_limit = '{AE}' where account_id = %s and login = 'clerk'",
        (rest.company.account_id,),
    )
    refused = await rest.ask("GET", LISTS, key=key, headers={"CF-IPCountry": "AE"})
    assert refused.status == 403
    assert "web.country_header" in refused.msg


async def test_web_pages_of_the_origins_of_an_account(rest: Rest) -> None:
    origin, theirs = "https://crm.example", "https://other.example"
    await rest.administration.set_cors_origins(rest.company.account_id, [origin])
    await rest.administration.set_cors_origins(rest.other.account_id, [theirs])
    preflight = {"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    async with rest.session.options(f"{rest.base}{LISTS}", headers=preflight) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert "DELETE" in response.headers["Access-Control-Allow-Methods"]
        assert "X-Api-Key" in response.headers["Access-Control-Allow-Headers"]
    async with rest.session.options(f"{rest.base}/v2.0", headers=preflight) as response:
        assert "Access-Control-Allow-Origin" not in response.headers, "only of this API"
    unknown = {**preflight, "Origin": "https://unknown.example"}
    async with rest.session.options(f"{rest.base}{LISTS}", headers=unknown) as response:
        assert "Access-Control-Allow-Origin" not in response.headers
    for sent, key, expected in (
        (origin, rest.key, origin),
        (theirs, rest.key, None),
        (theirs, rest.other_key, theirs),
        (origin, "wrong", origin),  # so that a developer sees the 401
    ):
        answered = await rest.ask("GET", LISTS, key=key, headers={"Origin": sent})
        assert answered.headers.get("Access-Control-Allow-Origin") == expected
        assert "Access-Control-Allow-Credentials" not in answered.headers
        assert "Origin" in CIMultiDict(answered.headers)["Vary"]


async def test_the_request_log_has_requests_without_their_secrets(rest: Rest) -> None:
    await rest.post(LISTS, {"name": "Spring", "api_key": rest.key})
    assert (await rest.ask("GET", f"{LISTS}/77?api_key={rest.key}")).status == 404
    rows: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while len(rows) < 2:
            await asyncio.sleep(0.05)
            rows = await rest.db.fetch_all(
                "select * from api_requests where account_id = %s order by requested_at",
                (rest.company.account_id,),
            )
    assert [(row["method"], row["is_success"], row["points"], row["error_mnemonic"]) for row in rows] == [
        ("POST /api/phone_list", True, 1, None),
        ("GET /api/phone_list/{id}", False, 0, "entity_not_found"),
    ]
    assert {row["api"] for row in rows} == {"call_center"}
    assert rest.key not in str(rows)


async def test_requests_with_wrong_keys_wait_in_the_end(rest: Rest) -> None:
    """Bytes of requests without a valid key are counted for their address."""
    body = b'{"name": "' + b"x" * 1_000_000 + b'"}'
    async with asyncio.timeout(60):
        answers = [await rest.ask("POST", f"{LISTS}?api_key=wrong", data=body, key=None) for _ in range(5)]
    assert [one.status for one in answers] == [401] * 5


def test_settings_name_a_header() -> None:
    with pytest.raises(ValueError, match="CF-IPCountry"):
        Settings.model_validate({"data_dir": "/nonexistent", "web": {"country_header": "a b"}})


async def test_a_new_user_of_the_api_may_manage_all_modules(rest: Rest) -> None:
    users = rest.administration.users
    user_id = await users.create(
        rest.company.account_id, "robot", PASSWORD, role=None, apis=[Api.CALL_CENTER]
    )
    key = (await users.create_key(rest.company.account_id, user_id)).token
    assert (await rest.ask("POST", LISTS, {"name": "x"}, key=key)).status == 200


async def test_an_address_that_is_too_long_is_refused_and_its_key_is_not_logged(
    rest: Rest, caplog: pytest.LogCaptureFixture
) -> None:
    for sent in (f"GET {LISTS}?api_key={rest.key}&q={'x' * 9000} HTTP/1.1", f"{rest.key} is no HTTP"):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(rest.base.rpartition(":")[2]))
        writer.write(f"{sent}\r\nHost: localhost\r\n\r\n".encode())
        answer = (await asyncio.wait_for(reader.read(), 10)).decode()
        writer.close()
        assert answer.partition(" ")[2].startswith("400"), answer
        assert "Server: trunkline" in answer
        assert "application/json" in answer
        assert rest.key not in answer
    assert rest.key[:20] not in caplog.text


async def test_a_long_answer_ends_when_its_reader_does_or_the_database_does(rest: Rest) -> None:
    made = await rest.post(LISTS, {"name": "Long"})
    path = f"{LISTS}/{made['id']}/lead"
    await rest.db.execute(
        "insert into leads (account_id, phone_list_id, phone, name)"
        " select %s, %s, (971500000000 + n)::text, repeat('x', 200) from generate_series(1, 60000) n",
        (rest.company.account_id, made["id"]),
    )
    async with rest.session.get(f"{rest.base}{path}", headers={"api_key": rest.key}) as response:
        await response.content.readany()
    assert (await rest.ask("GET", LISTS)).status == 200
    async with rest.session.get(f"{rest.base}{path}", headers={"api_key": rest.key}) as response:
        await response.content.readany()
        await rest.db.execute("alter table leads rename to leads_elsewhere")
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert (await rest.ask("GET", "/api/user")).status == 200
