"""Every declared get method, field by field against the reference's facts, over a real database."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from tests.apis.support import ADDRESS, CALLER, SETTINGS, TOKEN, MemoryAccounts, NotedSwitch, mnemonic
from tests.reports.company import ACCOUNT, OTHER_ACCOUNT, filled_database
from trunkline.accounts.permissions import Role
from trunkline.apis.catalogue import DATA_API, SERVICE_SPECS
from trunkline.apis.contract_coverage import coverage
from trunkline.apis.jsonrpc import Api, Services
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.service.request_log import MemoryRequestLog
from trunkline.contract import load_facts
from trunkline.db.pool import Database
from trunkline.runtime.postgres import EmbeddedPostgres

REPORTS = ("get.calls_report", "get.call_legs_report")
LISTS = ("get.employees", "get.virtual_numbers", "get.sip_lines", "get.scenarios", *REPORTS)
PERIOD = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-31 23:59:59"}
FACTS = {page["method"]: page for page in load_facts() if page["api"] == "data_api"}


@dataclass
class DataApiClient:
    """The Data API over a filled database."""

    db: Database
    accounts: MemoryAccounts

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        services = Services(self.accounts, NotedSwitch(), SETTINGS, self.db)
        dispatcher = Dispatcher(DATA_API, services, MemoryRequestLog())
        period = PERIOD if method in REPORTS else {}
        sent = {"access_token": TOKEN, **period, **params}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": sent}
        answer: dict[str, Any] = orjson.loads(await dispatcher.answer(orjson.dumps(message), ADDRESS))
        return answer

    async def rows(self, method: str, **params: Any) -> list[dict[str, Any]]:
        answer = await self.ask(method, **params)
        assert "result" in answer, answer
        rows: list[dict[str, Any]] = answer["result"]["data"]
        return rows


@pytest.fixture(scope="module")
def company(postgres_server: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    with filled_database(postgres_server, migrated_template, "get_methods") as dsn:
        yield dsn


@pytest.fixture
async def client(company: str) -> AsyncIterator[DataApiClient]:
    async with await Database.open(company) as db:
        yield DataApiClient(db, MemoryAccounts(minute_limit=10**6))


def fields_of(method: str) -> list[dict[str, Any]]:
    """Top-level fields of the reference's table."""
    return [row for row in FACTS[method]["result"] if "." not in row["name"]]


def test_all_of_the_methods_are_complete() -> None:
    methods = coverage(SERVICE_SPECS)[Api.DATA].methods
    assert {name for name in (*LISTS, "get.account") if not methods[name].complete} == set()


@pytest.mark.parametrize("method", LISTS)
async def test_the_default_fields_are_the_references(client: DataApiClient, method: str) -> None:
    rows = await client.rows(method)
    table = fields_of(method)
    marked = any("default_response" in row for row in table)
    expected = {row["name"] for row in table if not marked or row.get("default_response")}
    if method == "get.virtual_numbers":
        expected.add("site_blocks")  # the table has it on top, the sample in the campaigns: we serve both
    assert rows
    assert all(set(row) == expected for row in rows)


@pytest.mark.parametrize("method", LISTS)
async def test_each_field_alone(client: DataApiClient, method: str) -> None:
    whole = await client.rows(method, fields=[row["name"] for row in fields_of(method)], limit=200)
    for row in fields_of(method):
        name = row["name"]
        shown = await client.rows(method, fields=[name], limit=200)
        assert shown == [{name: full[name]} for full in whole]
        for value in (one[name] for one in shown):
            check_type(row, value)


def check_type(row: dict[str, Any], value: Any) -> None:
    """Whether a value has the type of the reference."""
    if value is None:
        assert row["type"] not in ("array", "object")
        return
    match row["type"]:
        case "number":
            assert isinstance(value, int | float)
            assert not isinstance(value, bool)
        case "boolean":
            assert isinstance(value, bool)
        case "array":
            assert isinstance(value, list)
        case "object":
            assert isinstance(value, dict)
        case "iso8601":
            datetime.strptime(value, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007
        case _:
            assert isinstance(value, str)
            if row["type"] == "enum" and row.get("enum"):
                assert value in row["enum"]


@pytest.mark.parametrize("method", LISTS)
async def test_each_field_filtered(client: DataApiClient, method: str) -> None:
    every = [row["name"] for row in fields_of(method)]
    key = "id"
    whole = await client.rows(method, fields=every, limit=200)
    for row in fields_of(method):
        name = row["name"]
        if not row.get("filterable"):
            answer = await client.ask(method, filter={"field": name, "operator": "=", "value": None})
            assert mnemonic(answer) in ("filter_prohibited", "ok"), name
            continue
        null = await client.rows(method, fields=[key], filter={"field": name, "operator": "=null"}, limit=200)
        assert null == [{key: one[key]} for one in whole if one[name] in (None, [], {})], name
        value = next((one[name] for one in whole if one[name] not in (None, [], {})), None)
        if value is None or isinstance(value, dict | list):
            query = {"field": name, "operator": "jsquery", "value": "NOT $ IS STRING"}
            if row["type"] in ("array", "object"):
                assert len(await client.rows(method, fields=[key], filter=query, limit=200)) <= len(whole)
            continue
        for operator, expected in [("=", True), ("!=", False)]:
            found = await client.rows(
                method, fields=[key], filter={"field": name, "operator": operator, "value": value}, limit=200
            )
            assert found == [{key: one[key]} for one in whole if (one[name] == value) is expected], name


@pytest.mark.parametrize("method", LISTS)
async def test_fields_beyond_the_table_cannot_be_filtered(client: DataApiClient, method: str) -> None:
    ours = {field.name for field in DATA_API.find(method).result if field.filterable}  # type: ignore[union-attr]
    for row in fields_of(method):
        if row["name"] not in ours:
            filter = {"field": row["name"], "operator": "=null"}
            answer = await client.ask(method, filter=filter)
            assert answer["error"]["data"]["mnemonic"] == "filter_prohibited"
            assert answer["error"]["data"]["field"] == "filter.field"
            assert answer["error"]["data"]["value"] == row["name"]


@pytest.mark.parametrize("method", LISTS)
async def test_each_field_sorted(client: DataApiClient, method: str) -> None:
    for row in fields_of(method):
        name = row["name"]
        for order in ("asc", "desc"):
            answer = await client.ask(
                method, fields=[name], sort=[{"field": name, "order": order}], limit=200
            )
            if not row.get("sortable"):
                assert mnemonic(answer) == "sort_prohibited", name
                continue
            shown = [one[name] for one in answer["result"]["data"] if one[name] is not None]
            assert shown == sorted(shown, key=_collated, reverse=order == "desc"), name


def _collated(value: Any) -> Any:
    """Text as the database orders it here; everything else as it is."""
    return value.encode() if isinstance(value, str) else value


@pytest.mark.parametrize("method", LISTS)
async def test_pages_and_total(client: DataApiClient, method: str) -> None:
    every = [row["id"] for row in await client.rows(method, fields=["id"])]
    shown: list[int] = []
    for offset in itertools.count(0, 7):
        answer = await client.ask(method, fields=["id"], limit=7, offset=offset)
        assert answer["result"]["metadata"]["total_items"] == len(every)
        if not answer["result"]["data"]:
            break
        shown += [row["id"] for row in answer["result"]["data"]]
    assert shown == every
    assert answer["result"]["metadata"]["limits"]["minute_limit"] == 10**6


@pytest.mark.parametrize("method", LISTS)
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"fields": ["wings"]}, "unexpected_parameters"),
        ({"wings": 2}, "unexpected_parameters"),
        ({"filter": {"field": "wings", "operator": "=", "value": 2}}, "unexpected_parameters"),
        ({"filter": {"field": "id", "operator": "like", "value": "1%"}}, "invalid_parameter_value"),
        ({"filter": {"field": "id", "operator": "=", "value": "x"}}, "data_type_error"),
        ({"filter": "id = 1"}, "data_type_error"),
        ({"sort": [{"field": "wings"}]}, "unexpected_parameters"),
        ({"limit": 10_001}, "invalid_parameter_value"),
        ({"offset": 100_001}, "invalid_parameter_value"),
        ({"limit": [1]}, "data_type_error"),
        ({"access_token": "wrong"}, "access_token_invalid"),
        ({"user_id": 999}, "forbidden"),
    ],
)
async def test_an_invalid_parameter_is_refused_with_its_mnemonic(
    client: DataApiClient, method: str, params: dict[str, Any], expected: str
) -> None:
    answer = await client.ask(method, **params)
    assert mnemonic(answer) == expected
    assert answer["error"]["code"] in (-32602, -32001, -32003)


@pytest.mark.parametrize("method", REPORTS)
@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"date_from": None}, "required_parameter_missed"),
        ({"date_till": "soon"}, "invalid_parameter_value"),
        ({"date_from": 1}, "data_type_error"),
        ({"date_from": "2026-04-01 00:00:00"}, "invalid_parameters_combination"),
        ({"date_till": "2026-06-01 00:00:01"}, "date_interval_limit_reached"),
    ],
)
async def test_errors_of_periods(
    client: DataApiClient, method: str, params: dict[str, Any], expected: str
) -> None:
    assert mnemonic(await client.ask(method, **params)) == expected


@pytest.mark.parametrize("method", ["get.sip_lines", "get.scenarios"])
async def test_a_component_is_needed(client: DataApiClient, method: str) -> None:
    client.accounts.allow(components=frozenset())
    answer = await client.ask(method)
    assert mnemonic(answer) == "method_component_disabled"


async def test_get_account(client: DataApiClient) -> None:
    answer = await client.ask("get.account")
    assert answer["result"]["data"] == [
        {"app_id": ACCOUNT, "name": "Harbour Tours", "timezone": "Asia/Dubai"}
    ]
    assert "limits" in answer["result"]["metadata"]
    assert mnemonic(await client.ask("get.account", limit=1)) == "unexpected_parameters"


@pytest.mark.parametrize("method", LISTS)
async def test_an_agent_reads_the_rows_of_a_client(client: DataApiClient, method: str) -> None:
    client_user = dataclasses.replace(
        CALLER, account_id=OTHER_ACCOUNT, user_id=2002, time_zone=ZoneInfo("Europe/Berlin")
    )
    client.accounts.networks[OTHER_ACCOUNT] = ["127.0.0.0/8"]
    client.accounts.clients[2002] = client_user
    client.accounts.allow(is_agent=True)
    assert mnemonic(await client.ask(method)) == "required_parameter_missed"
    theirs = await client.ask(method, fields=["id"], user_id="2002")
    client.accounts.allow(is_agent=False)
    own = await client.ask(method, fields=["id"])
    assert theirs["result"]["data"]
    if method in REPORTS:
        assert theirs["result"]["metadata"]["total_items"] < own["result"]["metadata"]["total_items"]


@pytest.mark.parametrize("method", ["get.employees", "get.virtual_numbers", "get.sip_lines", "get.scenarios"])
async def test_a_permission_is_needed(client: DataApiClient, method: str) -> None:
    client.accounts.allow(role=Role.MEMBER, permissions=frozenset())
    assert mnemonic(await client.ask(method)) == "forbidden"
