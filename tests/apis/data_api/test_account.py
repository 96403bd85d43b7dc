"""The account and its media files by the Data API."""

from __future__ import annotations

from tests.apis.data_api.client import DataApiClient
from trunkline.accounts.components import DEFAULT
from trunkline.accounts.permissions import RESOURCES
from trunkline.apis.catalogue import DATA_API
from trunkline.billing.tariffs import assign_plan


async def test_the_account_of_an_owner(client: DataApiClient) -> None:
    data = (await client.do("getobj.account"))["data"]
    permissions = data.pop("permissions")
    assert data == {
        "app_id": 1001,
        "app_state": "active",
        "app_name": "Harbour Tours",
        "is_agent_app": False,
        "customer_id": 1001,
        "user_id": 2001,
        "user_type": "member",
        "user_login": "captain1001",
        "user_name": None,
        "tp_id": None,
        "tp_name": None,
        "crm_type": None,
        "lang": "en",
        "project": "trunkline",
        "timezone": "Asia/Dubai",
        "components": sorted(DEFAULT),
        "is_bi_available": False,
        "report_currency": "USD",
        "is_agent": False,
        "agent_type": None,
    }
    assert [one["unit_id"] for one in permissions] == sorted(RESOURCES)
    assert all(
        all(one[f"is_{action}"] for action in ("select", "insert", "update", "delete")) for one in permissions
    )


async def test_the_permissions_of_a_member(client: DataApiClient) -> None:
    client.as_member("employees:select", "employees:update")
    data = (await client.do("getobj.account"))["data"]
    assert data["permissions"] == [
        {
            "unit_id": "employees",
            "is_delete": False,
            "is_insert": False,
            "is_select": True,
            "is_update": True,
        }
    ]


async def test_a_client_of_an_agent(client: DataApiClient) -> None:
    await client.db.execute("update accounts set parent_account_id = 1002 where account_id = 1001")
    await client.db.execute("update accounts set is_agent = true where account_id = 1002")
    await client.db.execute(
        "insert into customers (account_id, customer_id, tariff_plan_id)"
        " select 1002, 1001, tariff_plan_id from tariff_plans where key = 'standard'"
    )
    data = (await client.do("getobj.account"))["data"]
    assert (data["is_agent_app"], data["is_agent"], data["tp_name"]) == (True, False, "Standard")
    await client.db.execute("update users set user_id = 2001 where account_id = 1002")
    client.as_other_account()
    data = (await client.do("getobj.account"))["data"]
    assert (data["is_agent_app"], data["is_agent"], data["agent_type"]) == (False, True, "agent")


async def test_a_component_is_needed(client: DataApiClient) -> None:
    client.with_components("va")
    assert (await client.fault("getobj.account"))[0] == "method_component_disabled"
    assert (await client.do("get.account"))["data"] == [
        {"app_id": 1001, "name": "Harbour Tours", "timezone": "Asia/Dubai"}
    ]


def test_every_permission_is_of_a_known_resource() -> None:
    asked = {resource for method in DATA_API.methods for resource, _ in method.permissions}
    assert asked <= set(RESOURCES)


async def test_media_files(client: DataApiClient) -> None:
    await client.db.execute(
        """
        insert into media_files (account_id, media_file_id, key, name, kind, sha256, duration_ms, size_bytes)
        values (0, 2501, 'beep', 'Beep', 'system', 'a', 400, 6444), (1001, 2502, 'hello', 'Hello', 'user', 'b', 2600, 41644),
               (1002, 2503, 'hello', 'Hello', 'user', 'b', 2600, 41644)"""
    )
    rows = await client.rows("get.media_files")
    assert [row["id"] for row in rows] == [2501, 2502]
    assert rows[1] == {
        "id": 2502,
        "name": "Hello",
        "duration": 3,
        "play_link": "http://127.0.0.1:8080/system/media/file/2502/",
        "normalization": False,
        "size": 41644,
        "type": "user",
    }
    mine = {"field": "type", "operator": "=", "value": "user"}
    assert [row["id"] for row in await client.rows("get.media_files", filter=mine)] == [2502]


async def test_the_plan_of_an_account_that_is_nobodys_client(client: DataApiClient) -> None:
    await assign_plan(client.db, 1001, "standard")
    data = (await client.do("getobj.account"))["data"]
    assert data["tp_name"] == "Standard"
    await assign_plan(client.db, 1001, None)
    assert (await client.do("getobj.account"))["data"]["tp_id"] is None
