"""An agent and its clients by the Data API: the real accounts, their allow-lists, limits and request log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from tests.apis.support import SETTINGS, NotedSwitch, mnemonic
from trunkline.accounts import Accounts, Api, NewAccount
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.model import Action, Status
from trunkline.apis.catalogue import DATA_API
from trunkline.apis.jsonrpc import Services
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.service.request_log import DatabaseRequestLog
from trunkline.db.pool import Database

AGENTS_ADDRESS = "192.0.2.10"
CLIENTS_ADDRESS = "198.51.100.20"


@dataclass
class Agency:
    """An agent with a client, and a company without an agent."""

    db: Database
    administration: Administration
    agent: NewAccount
    client: NewAccount
    stranger: NewAccount
    request_log: DatabaseRequestLog
    address: str = AGENTS_ADDRESS
    token: str = field(default="", repr=False)

    async def answer(self, method: str, **params: Any) -> dict[str, Any]:
        """What the agent (or who holds ``token``) is answered at ``address``."""
        dispatcher = Dispatcher(
            DATA_API, Services(Accounts(self.db), NotedSwitch(), SETTINGS, self.db), self.request_log
        )
        token = self.token or self.agent.keys["data_api"]
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"access_token": token, **params}}
        answer: dict[str, Any] = orjson.loads(await dispatcher.answer(orjson.dumps(message), self.address))
        return answer

    async def do(self, method: str, **params: Any) -> Any:
        answer = await self.answer(method, **params)
        assert "result" in answer, answer
        result = answer["result"]
        return result.get("data", result)

    async def fault(self, method: str, **params: Any) -> tuple[str, str | None]:
        answer = await self.answer(method, **params)
        return mnemonic(answer), answer.get("error", {}).get("data", {}).get("field")

    async def used(self, account: NewAccount) -> int:
        """Points that an account has spent today."""
        row = await self.db.fetch_one(
            "select coalesce(sum(used), 0) as used from points_used"
            " where account_id = %s and api = 'data_api' and period = 'day'",
            (account.account_id,),
        )
        assert row is not None
        return int(row["used"])

    async def lines(self, account: NewAccount, count: int) -> list[tuple[str, str]]:
        """The account's report of requests, once it has so many lines: method and login."""
        for _ in range(200):
            rows = await self.db.fetch_all(
                "select method, user_login from api_requests where account_id = %s order by requested_at",
                (account.account_id,),
            )
            if len(rows) >= count:
                break
            await asyncio.sleep(0.05)
        return [(row["method"], row["user_login"]) for row in rows]


async def found(dsn: str) -> tuple[NewAccount, NewAccount, NewAccount]:
    async with await Database.open(dsn) as db:
        administration = Administration(db)
        agent = await administration.create_account(
            AccountProfile("Partner", time_zone="Asia/Dubai", currency="AED", is_agent=True),
            login="partner",
            allow=[AGENTS_ADDRESS],
        )
        client = await administration.create_account(
            AccountProfile("Client", parent_account_id=agent.account_id),
            login="client",
            password="long enough",
        )
        stranger = await administration.create_account(
            AccountProfile("Stranger"), login="stranger", allow=[AGENTS_ADDRESS]
        )
    return agent, client, stranger


@pytest.fixture
async def agency(database: str, quick_passwords: None) -> AsyncIterator[Agency]:
    agent, client, stranger = await found(database)
    async with await Database.open(database) as db, DatabaseRequestLog(db) as request_log:
        yield Agency(db, Administration(db), agent, client, stranger, request_log)


CUSTOMER: dict[str, Any] = {
    "name": "Palm Café",
    "email": "owner@palm.example",
    "password": "sun and sand",
    "monthly_base_notify_emails": ["money@palm.example"],
    "monthly_calls_notify_emails": [],
    "daily_calls_notify_emails": [],
}


async def plan(agency: Agency) -> int:
    [standard] = await agency.do("get.tariff_plans")
    assert standard["name"] == "Standard"
    return int(standard["id"])


async def customer(agency: Agency, customer_id: int) -> dict[str, Any]:
    [row] = await agency.do("get.customers", filter={"field": "id", "operator": "=", "value": customer_id})
    return dict(row)


# --- acting for a client -------------------------------------------------------------------------------------


async def test_the_clients_allow_list_counts(agency: Agency) -> None:
    for_client = {"user_id": agency.client.user_id}
    answer = await agency.answer("get.virtual_numbers", **for_client)
    assert mnemonic(answer) == "ip_not_whitelisted"
    assert answer["error"]["message"] == f"Your IP {AGENTS_ADDRESS} is not whitelisted"
    await agency.administration.allow_address(agency.client.account_id, Api.DATA_API, CLIENTS_ADDRESS)
    assert (await agency.fault("get.virtual_numbers", **for_client))[0] == "ip_not_whitelisted"
    agency.address = CLIENTS_ADDRESS  # not on the agent's own list
    assert (await agency.fault("get.virtual_numbers", **for_client))[0] == "ip_not_whitelisted"
    assert (await agency.fault("get.customers"))[0] == "ip_not_whitelisted"
    await agency.administration.allow_address(agency.agent.account_id, Api.DATA_API, CLIENTS_ADDRESS)
    await agency.do("get.virtual_numbers", **for_client)
    agency.address = AGENTS_ADDRESS
    await agency.administration.allow_address(agency.client.account_id, Api.DATA_API, AGENTS_ADDRESS)
    await agency.do("get.virtual_numbers", **for_client)
    await agency.administration.disallow_address(agency.client.account_id, Api.DATA_API, AGENTS_ADDRESS)
    assert (await agency.fault("get.virtual_numbers", **for_client))[0] == "ip_not_whitelisted"


async def test_whose_users_an_agent_may_be(agency: Agency) -> None:
    for user_id in (agency.stranger.user_id, 999_999):
        answer = await agency.answer("get.virtual_numbers", user_id=user_id)
        assert answer["error"]["code"] == -32003
        assert (mnemonic(answer), answer["error"]["data"]["field"]) == ("forbidden", "user_id")
    assert await agency.fault("get.virtual_numbers") == ("required_parameter_missed", "user_id")
    assert await agency.fault("get.virtual_numbers", user_id="x") == ("data_type_error", "user_id")
    await agency.do("get.virtual_numbers", user_id=agency.agent.user_id)  # its own numbers
    agency.token = agency.stranger.keys["data_api"]
    assert await agency.fault("get.virtual_numbers", user_id=agency.client.user_id) == (
        "forbidden",
        "user_id",
    )
    await agency.do("get.virtual_numbers")


async def test_the_clients_rights_and_state_count(agency: Agency) -> None:
    account_id = agency.client.account_id
    users = agency.administration.users
    await agency.administration.allow_address(account_id, Api.DATA_API, AGENTS_ADDRESS)
    member = await users.create(account_id, "clerk", apis=[Api.DATA_API])
    assert (await agency.fault("get.virtual_numbers", user_id=member))[0] == "forbidden"
    await users.set_permission(account_id, member, "number_management", Action.SELECT, True)
    await agency.do("get.virtual_numbers", user_id=member)
    await agency.administration.set_component(account_id, "va", False)
    assert (await agency.fault("get.sip_lines", user_id=agency.client.user_id))[
        0
    ] == "method_component_disabled"
    await users.set_status(account_id, member, Status.DISABLED)
    assert await agency.fault("get.virtual_numbers", user_id=member) == ("forbidden", "user_id")
    await agency.administration.set_status(account_id, Status.DISABLED)
    assert (await agency.fault("get.virtual_numbers", user_id=agency.client.user_id))[0] == "account_inactive"


async def test_limits_and_journal_are_the_clients(agency: Agency) -> None:
    account_id = agency.client.account_id
    await agency.administration.allow_address(account_id, Api.DATA_API, AGENTS_ADDRESS)
    await agency.administration.set_limits(account_id, Api.DATA_API, day=7, minute=7)
    answer = await agency.answer("get.virtual_numbers", user_id=agency.client.user_id)
    assert answer["result"]["metadata"]["limits"]["day_limit"] == 7
    assert (await agency.fault("get.virtual_numbers", user_id=agency.client.user_id, wings=2))[0] == (
        "unexpected_parameters"
    )
    await agency.do("get.customers")
    assert (await agency.used(agency.client), await agency.used(agency.agent)) == (1, 1)
    await agency.administration.set_limits(account_id, Api.DATA_API, day=1)
    assert (await agency.fault("get.virtual_numbers", user_id=agency.client.user_id))[0] == "limit_exceeded"
    assert await agency.lines(agency.client, 3) == [("get.virtual_numbers", "client")] * 3
    assert await agency.lines(agency.agent, 1) == [("get.customers", "partner")]


async def test_what_an_agent_does_is_done_in_the_clients_account(agency: Agency) -> None:
    account_id = agency.client.account_id
    await agency.administration.allow_address(account_id, Api.DATA_API, AGENTS_ADDRESS)
    await agency.db.execute(
        "insert into number_inventory (account_id, phone_number) values (%s, '12025550113')",
        (agency.agent.account_id,),
    )
    acting = {"user_id": agency.client.user_id}
    await agency.do("enable.virtual_numbers", virtual_phone_number="12025550113", **acting)
    [row] = await agency.do("get.virtual_numbers", **acting)
    assert (row["virtual_phone_number"], row["child_customer_id"]) == ("12025550113", account_id)
    assert await agency.do("get.virtual_numbers", user_id=agency.agent.user_id) == []


# --- customers -----------------------------------------------------------------------------------------------


async def test_a_customer_is_made_and_let_in(agency: Agency) -> None:
    made = await agency.do(
        "create.customers",
        **CUSTOMER,
        tariff_plan_id=await plan(agency),
        description="By the beach",
        monthly_base_limit=1234.56,
        daily_calls_limit=20,
    )
    row = await customer(agency, made["id"])
    created = row.pop("creation_date_time")
    assert row == {
        "id": made["id"],
        "name": "Palm Café",
        "description": "By the beach",
        "status": "waiting",
        "status_change_date_time": created,
        "monthly_base_limit": 1234.56,
        "monthly_base_notify_limit": None,
        "monthly_base_notify_emails": ["money@palm.example"],
        "monthly_calls_limit": None,
        "monthly_calls_notify_limit": None,
        "monthly_calls_notify_emails": [],
        "daily_calls_limit": 20,
        "daily_calls_notify_limit": None,
        "daily_calls_notify_emails": [],
        "sites": [],
        "tariff_plan_id": await plan(agency),
        "tariff_plan_name": "Standard",
    }
    account = await agency.administration.account(made["id"])
    assert (account["time_zone"], account["currency"], account["status"]) == ("Asia/Dubai", "AED", "disabled")
    assert await agency.administration.users.list_keys(made["id"]) == []  # none was disclosed
    users = [user["customer_id"] for user in await agency.do("get.customer_users")]
    assert users == [agency.client.account_id]  # who waits may not ask yet
    accounts = Accounts(agency.db)
    await agency.do("update.customer_status", customer_id=made["id"], status="active")
    assert (await accounts.login("owner@palm.example", "sun and sand", Api.DATA_API)).account_id == made["id"]
    [user] = [user for user in await agency.do("get.customer_users") if user["customer_id"] == made["id"]]
    assert user["login"] == user["name"] == "owner@palm.example"
    await agency.administration.allow_address(made["id"], Api.DATA_API, AGENTS_ADDRESS)
    [person] = await agency.do("get.customer_contact_info", user_id=user["id"])
    assert (person["full_name"], person["phones"]) == ("Palm Café", [])
    assert [way["email"] for way in person["emails"]] == ["owner@palm.example"]


async def test_states_of_a_customer(agency: Agency) -> None:
    made = await agency.do("create.customers", **CUSTOMER, tariff_plan_id=await plan(agency))
    allowed = {
        "waiting": {"active": "active"},
        "active": {"manual_lock": "manual_lock"},
        "manual_lock": {"active": "active", "archive": "archive"},
        "limit_lock": {},
        "debt_lock": {},
        "archive": {},
    }
    for present, moves in allowed.items():
        for wanted in ("active", "manual_lock", "archive"):
            await agency.db.execute(
                "update customers set status = %s where customer_id = %s", (present, made["id"])
            )
            await agency.db.execute(
                "update accounts set locked_by_agent = %s where account_id = %s",
                (present != "active", made["id"]),
            )
            fault = await agency.fault("update.customer_status", customer_id=made["id"], status=wanted)
            assert fault == (("ok", None) if wanted in moves else ("invalid_state", "status")), (
                present,
                wanted,
            )
    assert [row["id"] for row in await agency.do("get.customers")] == [agency.client.account_id]
    assert await agency.fault("update.customers", id=made["id"], name="X") == ("entity_not_found", "id")


async def test_customers_made_elsewhere_are_listed_and_changed(agency: Agency) -> None:
    client = agency.client.account_id
    row = await customer(agency, client)
    assert (row["status"], row["tariff_plan_id"], row["monthly_calls_notify_emails"]) == ("active", None, [])
    await agency.do("update.customer_tariff_plans", customer_id=client, tariff_plan_id=await plan(agency))
    row = await customer(agency, client)
    assert (row["status"], row["tariff_plan_name"]) == ("active", "Standard")
    await agency.do("update.customer_status", customer_id=client, status="manual_lock")
    await agency.do("update.customer_status", customer_id=client, status="active")
    # What who runs the installation has locked, no agent opens.
    await agency.administration.set_status(client, Status.DISABLED)
    assert (await customer(agency, client))["status"] == "manual_lock"
    assert await agency.fault("update.customer_status", customer_id=client, status="active") == (
        "invalid_state",
        "status",
    )


async def test_partial_changes(agency: Agency) -> None:
    made = await agency.do(
        "create.customers",
        **CUSTOMER,
        tariff_plan_id=await plan(agency),
        daily_calls_limit=20,
        description="x",
    )
    await agency.do("update.customer_status", customer_id=made["id"], status="active")
    before = await customer(agency, made["id"])
    await agency.do("update.customers", id=made["id"])
    assert await customer(agency, made["id"]) == before
    changes = {"name": "Palm", "daily_calls_limit": None, "description": None}
    await agency.do(
        "update.customers",
        id=made["id"],
        **changes,
        monthly_base_notify_emails=["a@palm.example", "b@palm.example"],
    )
    expected = {
        **before,
        "name": "Palm",
        "daily_calls_limit": None,
        "description": None,
        "monthly_base_notify_emails": ["a@palm.example", "b@palm.example"],
    }
    assert await customer(agency, made["id"]) == expected
    await agency.do("update.customers", id=made["id"], monthly_base_notify_emails=None)
    assert (await customer(agency, made["id"]))["monthly_base_notify_emails"] == []
    await agency.do("update.customers", id=made["id"], email="new@palm.example", password="moon and sand")
    accounts = Accounts(agency.db)
    assert (await accounts.login("new@palm.example", "moon and sand", Api.DATA_API)).account_id == made["id"]
    await agency.do("update.customers", id=agency.client.account_id, email="client@palm.example")
    await accounts.login("client", "long enough", Api.DATA_API)  # a login that was not an address stays


async def test_an_invalid_customer_account_is_refused_with_mnemonic_and_field(agency: Agency) -> None:
    asked = {**CUSTOMER, "tariff_plan_id": await plan(agency)}
    made = (await agency.do("create.customers", **asked))["id"]
    before = len(await agency.administration.list_accounts())
    faults: list[tuple[dict[str, Any], tuple[str, str]]] = [
        ({}, ("already_in_use", "email")),
        ({"email": "palm"}, ("invalid_parameter_value", "email")),
        ({"email": "b@palm.example", "password": "short"}, ("invalid_parameter_value", "password")),
        ({"email": "b@palm.example", "tariff_plan_id": 1}, ("entity_not_found", "tariff_plan_id")),
        ({"name": None}, ("required_parameter_missed", "name")),
        ({"daily_calls_notify_emails": None}, ("required_parameter_missed", "daily_calls_notify_emails")),
        (
            {"email": "b@palm.example", "daily_calls_notify_emails": ["palm"]},
            ("invalid_parameter_value", "daily_calls_notify_emails"),
        ),
        (
            {"daily_calls_notify_emails": ["a@palm.example"] * 6},
            ("invalid_parameter_value", "daily_calls_notify_emails"),
        ),
        ({"daily_calls_notify_emails": ["palm"]}, ("invalid_parameter_value", "daily_calls_notify_emails")),
        ({"daily_calls_limit": 1.5}, ("data_type_error", "daily_calls_limit")),
        ({"monthly_base_limit": -1}, ("invalid_parameter_value", "monthly_base_limit")),
        ({"user_id": 1}, ("unexpected_parameters", "user_id")),
    ]
    for changed, expected in faults:
        assert await agency.fault("create.customers", **{**asked, **changed}) == expected, changed
    assert len(await agency.administration.list_accounts()) == before
    theirs = agency.stranger.account_id
    for method, field_name, params in (
        ("update.customers", "id", {"id": theirs, "name": "X"}),
        ("update.customer_status", "customer_id", {"customer_id": theirs, "status": "manual_lock"}),
        (
            "update.customer_tariff_plans",
            "customer_id",
            {"customer_id": theirs, "tariff_plan_id": asked["tariff_plan_id"]},
        ),
    ):
        assert await agency.fault(method, **params) == ("entity_not_found", field_name)
        unknown = {**params, field_name: 1}
        assert await agency.fault(method, **unknown) == ("entity_not_found", field_name)
    assert await agency.fault("update.customers", id=made, tariff_plan_id=1) == (
        "entity_not_found",
        "tariff_plan_id",
    )
    assert await agency.fault("update.customers", id=made, email="partner") == (
        "invalid_parameter_value",
        "email",
    )
    assert await agency.fault("update.customer_status", customer_id=made, status="waiting") == (
        "invalid_parameter_value",
        "status",
    )


async def test_only_agents_have_customers(agency: Agency) -> None:
    agency.token = agency.stranger.keys["data_api"]
    for method in ("get.customers", "get.customer_users", "get.tariff_plans"):
        assert (await agency.fault(method))[0] == "forbidden"
    asked = {**CUSTOMER, "tariff_plan_id": 101}
    assert (await agency.fault("create.customers", **asked))[0] == "forbidden"


async def test_permissions_of_the_agents_people(agency: Agency) -> None:
    users = agency.administration.users
    member = await users.create(agency.agent.account_id, "member", apis=[Api.DATA_API])
    agency.token = (await users.create_key(agency.agent.account_id, member)).token
    needed = {
        "get.customers": ("client_selected", Action.SELECT),
        "get.customer_users": ("client_user", Action.SELECT),
        "get.tariff_plans": ("account_access", Action.SELECT),
        "create.customers": ("client_user_new", Action.INSERT),
        "update.customers": ("client_selected", Action.UPDATE),
        "update.customer_status": ("client_selected", Action.UPDATE),
        "update.customer_tariff_plans": ("client_selected", Action.UPDATE),
    }
    assert {(await agency.fault(method))[0] for method in needed} == {"forbidden"}
    for resource, action in needed.values():
        await users.set_permission(agency.agent.account_id, member, resource, action, True)
    assert "forbidden" not in {(await agency.fault(method))[0] for method in needed}


async def test_tickets(agency: Agency) -> None:
    db, account_id = agency.db, agency.client.account_id
    for statement, params in (
        ("insert into contact_persons (account_id, contact_person_id, full_name) values (%s, 1, 'Clerk')", 1),
        (
            "insert into contact_person_ways (account_id, way_id, contact_person_id, kind, value)"
            " values (%s, 11, 1, 'phone', '+12025550114')",
            1,
        ),
        (
            "insert into contact_person_ways (account_id, way_id, contact_person_id, kind, value)"
            " values (%s, 12, 1, 'email', 'clerk@client.example')",
            1,
        ),
    ):
        await db.execute(statement.encode(), (account_id,) * params)
    await agency.administration.allow_address(account_id, Api.DATA_API, AGENTS_ADDRESS)
    agency.token = agency.client.keys["data_api"]
    [person] = await agency.do("get.customer_contact_info")
    assert person == {
        "contact_id": 1,
        "full_name": "Clerk",
        "position_name": None,
        "emails": [{"id": 12, "email": "clerk@client.example"}],
        "phones": [{"id": 11, "phone": "+12025550114"}],
    }
    asked = {"context": "No sound", "contact_id": 1, "phone_id": 11, "email_id": 12}
    assert (await agency.do("create.tech_support_ticket", **asked))["success"] is True
    ticket = await db.fetch_one("select * from support_tickets where account_id = %s", (account_id,))
    assert ticket is not None
    assert (ticket["text"], ticket["phone"], ticket["user_login"], ticket["status"]) == (
        "No sound",
        "+12025550114",
        "client",
        "open",
    )
    for name in ("contact_id", "phone_id", "email_id"):
        assert await agency.fault("create.tech_support_ticket", **{**asked, name: 5}) == (
            "entity_not_found",
            name,
        )
    assert await agency.fault("create.tech_support_ticket", **{**asked, "context": " "}) == (
        "invalid_parameter_value",
        "context",
    )
    agency.token = agency.stranger.keys["data_api"]
    assert await agency.do("get.customer_contact_info") == []
    assert (await agency.fault("create.tech_support_ticket", **asked))[0] == "entity_not_found"
