"""The examples of the source document, and a client that is written from the document alone.

Those of calls and of agents at work are in ``test_agents.py`` and ``test_agents_at_work.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from tests.apis.call_center.rest import Rest


@dataclass
class Client:
    """Does what the document says, and no more: the key in the query, JSON bodies, the flag ``success``."""

    session: aiohttp.ClientSession
    url: str
    key: str

    async def request(self, verb: str, path: str, body: Any = None, **query: Any) -> Any:
        parameters = {**query, "api_key": self.key}
        async with self.session.request(verb, f"{self.url}{path}", params=parameters, json=body) as response:
            answer = await response.json()
            success = answer.get("success", answer.get("Success"))
            if not success:
                raise RuntimeError(answer["msg"])
            return answer.get("data")


@pytest.fixture
async def client(rest: Rest) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, rest.base, rest.key)


async def asked(rest: Rest, verb: str, address: str, body: Any = None) -> dict[str, Any]:
    """The answer to an example as it is written, with ``{key}`` filled in."""
    url = f"{rest.base}{address}".replace("{key}", rest.key)
    async with rest.session.request(verb, url, json=body) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


# --- examples -------------------------------------------------------------------------------------------------


async def test_example_of_phone_lists(rest: Rest) -> None:
    made = await rest.post("/api/phone_list", {"name": "XXXXXXXXXXXXX"})
    leads = [{"phone": f"9725000000{number}"} for number in range(10, 14)]
    await rest.post(f"/api/phone_list/{made['id']}/lead", leads)
    assert await asked(rest, "GET", "/api/phone_list?api_key={key}") == {
        "success": True,
        "data": [
            {"id": made["id"], "account_id": rest.company.account_id, "name": "XXXXXXXXXXXXX", "list_rows": 4}
        ],
    }


async def test_example_of_leads(rest: Rest) -> None:
    made = await rest.post("/api/phone_list", {"name": "Leads"})
    leads: list[dict[str, Any]] = [
        {"phone": "972500000010", "lead_id": "3", "priority": 1, "name": "ABC office", "ext_api_vars": {}},
        {"phone": "19150000001", "lead_id": "2", "priority": 1, "name": "Mike US", "ext_api_vars": {}},
        {"phone": "97254000000", "lead_id": "04", "priority": 1, "name": "Mike Cell"},
    ]
    await rest.post(f"/api/phone_list/{made['id']}/lead", leads)
    usual = {"tags": None, "ext_api_vars": None}
    expected = [
        {**usual, **lead, "id": lead["phone"]} for lead in sorted(leads, key=lambda one: one["phone"])
    ]
    for path in (f"/api/phone_list/{made['id']}/", f"/api/phone_list/{made['id']}/lead"):
        answer = await asked(rest, "GET", f"{path}?api_key={{key}}")
        assert answer == {"success": True, "data": expected}


async def test_examples_of_users(rest: Rest) -> None:
    body = {
        "name": "John Smith",
        "username": "Jonh123",
        "password": "Ab123456",
        "email": "usersmail@example.com",
        "in_reports": True,
        "is_agent": True,
    }
    answer = await asked(rest, "POST", "/api/user?api_key={key}", body)
    data = answer["data"]
    assert answer["success"] is True
    shown = {
        "id": data["id"], "account_id": rest.company.account_id, "active": 1, "in_reports": True, "pgroup_id": 0,
        "username": "Jonh123", "email": "usersmail@example.com", "name": "John Smith",
    }  # fmt: skip
    assert {name: data[name] for name in shown} == shown
    assert isinstance(data["id"], int)
    assert await asked(rest, "DELETE", f"/api/user/{data['id']}?api_key={{key}}") == {"success": True}


async def test_example_of_a_queue(rest: Rest) -> None:
    """The document creates a queue by this address; asked twice it is the same queue."""
    address = "/api/cc_queue?name=QUEUE-NAME&strategy=longest-idle-agent&time_base_score=queue&api_key={key}"
    first = await asked(rest, "GET", address)
    shown = {
        "account_id": rest.company.account_id, "site_id": None, "name": "QUEUE-NAME", "tv_name": None,
        "strategy": "longest-idle-agent", "record": 0,
    }  # fmt: skip
    assert {name: first["data"][name] for name in shown} == shown
    assert await asked(rest, "GET", address) == first
    assert len(await rest.get("/api/cc_queue")) == 1


async def test_example_of_the_agents_of_a_queue(rest: Rest, client: Client) -> None:
    users = [await make_user(client, name) for name in ("User 1", "John Smith")]
    queue = await client.request("POST", "/api/cc_queue", queue_named("Training Queue"))
    rows = [[user, 4, 10, 1] for user in users]
    await client.request("POST", f"/api/cc_queue/{queue['id']}/users", {"users": rows})
    assert await asked(rest, "GET", f"/api/cc_queue/{queue['id']}/users?api_key={{key}}") == {
        "success": True,
        "data": [
            [users[0], 4, 10, 1, "User 1", None, False],
            [users[1], 4, 10, 1, "John Smith", None, False],
        ],
    }


async def test_example_of_set_queues(rest: Rest, client: Client) -> None:
    user = await make_user(client, "user name")
    queue = await client.request(
        "POST", "/api/cc_queue", {**queue_named("Training Queue"), "users": [[user, 3, 10, 1]]}
    )
    query = f"queue_ids={queue['id']}&user_id={user}&api_key={{key}}"
    for path in ("/api/setQueues", "/api/cc_agent/setQueues"):
        answer = await asked(rest, "GET", f"{path}?{query}")
        shown = {
            "id": queue["id"], "account_id": rest.company.account_id, "site_id": None, "name": "Training Queue",
            "tv_name": None, "strategy": "longest-idle-agent", "record": 0,
            "users": [[user, 3, 10, 1, "user name", None, False]],
        }  # fmt: skip
        assert {name: answer["data"][name] for name in shown} == shown


async def test_a_wrong_key(client: Client) -> None:
    client.key = "wrong"
    with pytest.raises(RuntimeError, match=r"^Unauthorized$"):
        await client.request("GET", "/api/user")


# --- the client -----------------------------------------------------------------------------------------------


def queue_named(name: str) -> dict[str, Any]:
    return {"name": name, "strategy": "longest-idle-agent", "time_base_score": "queue"}


async def make_user(client: Client, name: str) -> int:
    words = name.lower().replace(" ", ".")
    body = {"name": name, "username": words, "password": "Ab123456", "email": f"{words}@example.com"}
    made = await client.request("POST", "/api/user", body)
    return int(made["id"])


async def test_a_day_of_a_client(client: Client) -> None:
    """All that the document describes of lists, users and queues, one after another."""
    phone_list = await client.request("POST", "/api/phone_list", {"name": "Spring"})
    path = f"/api/phone_list/{phone_list['id']}"
    await client.request("PUT", path, {"name": "Spring offer"})
    assert (await client.request("GET", path))["name"] == "Spring offer"
    assert [one["id"] for one in await client.request("GET", "/api/phone_list/", q="spring")] == [
        phone_list["id"]
    ]
    await client.request("POST", f"{path}/lead", {"phone": "12025550110", "name": "Ida"})
    await client.request(
        "POST", f"{path}/lead", [{"phone": "12025550111"}, {"phone": "12025550112", "priority": 5}]
    )
    await client.request("PUT", f"{path}/lead/12025550110", {"tags": "vip", "ext_api_vars": {"plan": "gold"}})
    await client.request("DELETE", f"{path}/lead/12025550111")
    await client.request("DELETE", f"{path}/lead", ["12025550112"])
    [lead] = await client.request("GET", f"{path}/lead")
    assert (lead["phone"], lead["tags"], lead["ext_api_vars"]) == ("12025550110", "vip", {"plan": "gold"})

    user = await make_user(client, "John Smith")
    changed = await client.request("PUT", f"/api/user/{user}", {"is_agent": True, "wrap_up_time": 15})
    assert (changed["is_agent"], changed["wrap_up_time"], changed["name"]) == (True, 15, "John Smith")
    assert [one["id"] for one in await client.request("GET", "/api/user/", q="smith", is_agent=1)] == [user]
    session = await client.request(
        "POST", "/api/user/login", {"username": "john.smith", "password": "Ab123456"}
    )
    own, client.key = client.key, session["api_key"]
    await client.request("GET", "/api/user/logout")
    with pytest.raises(RuntimeError, match="Unauthorized"):
        await client.request("GET", "/api/user/logout")
    client.key = own

    queue = await client.request("POST", "/api/cc_queue", queue_named("Sales"))
    await client.request(
        "PUT", f"/api/cc_queue/{queue['id']}", {"strategy": "ring-all", "max_wait_time": 120}
    )
    await client.request("PUT", f"/api/cc_queue/{queue['id']}/users", {"users": [[user, 4, 10, 1, None]]})
    assert (await client.request("GET", f"/api/user/{user}"))["queues"] == [queue["id"]]
    assert [one[0] for one in await client.request("GET", f"/api/user/{user}/queues")] == [queue["id"]]
    await client.request("DELETE", f"/api/cc_queue/{queue['id']}/users", {"ids": f"{user}"})
    assert await client.request("GET", f"/api/cc_queue/{queue['id']}/users") == []
    for path_ in (f"/api/cc_queue/{queue['id']}", f"/api/user/{user}", path):
        await client.request("DELETE", path_)
    for path_ in ("/api/cc_queue", "/api/user", "/api/phone_list"):
        assert await client.request("GET", path_) == []
