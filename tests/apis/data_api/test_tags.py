"""Tags by the Data API: the list, marking communications of each kind, sales; and the history of it all."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from psycopg.types.json import Jsonb

from tests.apis.data_api.client import DataApiClient
from tests.apis.data_api.seen import account_seen
from tests.apis.support import ADDRESS, SETTINGS, TOKEN, NotedSwitch, mnemonic
from tests.reports.company import ACCOUNT, OTHER_ACCOUNT
from tests.reports.lifelike import Values, insert
from trunkline.apis.catalogue import DATA_API
from trunkline.apis.jsonrpc import Services
from trunkline.apis.jsonrpc.dispatcher import Dispatcher
from trunkline.apis.service.request_log import MemoryRequestLog
from trunkline.core.errors import NotFound
from trunkline.core.ids import first_id_at
from trunkline.db.partitions import ensure_for
from trunkline.tagging.communications import PLACES, Kind

STARTED = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
"""12:00 in the account's zone."""
CALL = first_id_at(round(STARTED.timestamp() * 1000))
IDS = {Kind.CALL: CALL, Kind.CHAT: 501, Kind.OFFLINE_MESSAGE: 502, Kind.GOAL: 503}
MARK, UNMARK = "set.tag_communications", "unset.tag_communications"


async def store_call(client: DataApiClient, **changes: Any) -> None:
    row: Values = {
        "account_id": ACCOUNT,
        "call_session_id": CALL,
        "node": 1,
        "start_time": STARTED,
        "finish_time": STARTED + timedelta(minutes=1),
        "direction": "in",
        "source": "va",
        "extra": Jsonb({"ext_id": "crm-1"}),
        **changes,
    }
    async with client.db.connection() as connection:
        await ensure_for(connection, row["call_session_id"])
        await insert(connection, "call_sessions", [row])


@pytest.fixture
async def client(client: DataApiClient) -> DataApiClient:
    """With one communication of each kind."""
    await store_call(client)
    own: Values = {"account_id": ACCOUNT, "date_time": STARTED}
    async with client.db.connection() as connection:
        chat = {**own, "chat_id": 501, "ext_id": "chat-1", "status": "new", "initiator": "visitor"}
        await insert(connection, "chats", [chat])
        message = {**own, "offline_message_id": 502, "ext_id": "mail-1"}
        await insert(connection, "offline_messages", [message])
        goal = {**own, "goal_id": 503, "name": "Bought", "type": "click", "source": "web"}
        await insert(connection, "goals", [goal])
    return client


async def tags_of(client: DataApiClient, kind: Kind) -> list[dict[str, Any]]:
    place = PLACES[kind]
    found: list[dict[str, Any]] = await client.one(
        f"select tags from {place.table} where account_id = {ACCOUNT} and {place.id_column} = {IDS[kind]}"
    )
    return found


async def names_of(client: DataApiClient, kind: Kind) -> list[str]:
    return [tag["tag_name"] for tag in await tags_of(client, kind)]


async def history(client: DataApiClient) -> list[tuple[str, str, str, int]]:
    rows = await client.db.fetch_all(
        "select action, tag_name, communication_type, communication_id from tag_history"
        " where account_id = %s order by tag_history_id",
        (ACCOUNT,),
    )
    return [
        (row["action"], row["tag_name"], row["communication_type"], row["communication_id"]) for row in rows
    ]


async def sale_tag(client: DataApiClient) -> int:
    [tag] = [row for row in await client.rows("get.tags") if row["is_system"]]
    assert tag["name"] == "Sale"
    return int(tag["id"])


def about(kind: Kind) -> dict[str, Any]:
    return {"communication_type": kind.value, "communication_id": IDS[kind]}


async def test_a_tag_from_beginning_to_end(client: DataApiClient) -> None:
    made = (await client.do("create.tags", name="Important"))["id"]
    assert await client.row("get.tags", made) == {"id": made, "name": "Important", "is_system": False}
    assert (await account_seen(client)).tags[made].name == "Important"
    assert await client.do("update.tags", id=made) == {}
    assert await client.do("update.tags", id=made, name="Urgent") == {}
    assert (await account_seen(client)).tags[made].name == "Urgent"
    assert await client.do("delete.tags", id=made) == {}
    assert made not in (await account_seen(client)).tags
    assert await client.fault("delete.tags", id=made) == ("entity_not_found", "id")


async def test_faults_of_the_list(client: DataApiClient) -> None:
    one = (await client.do("create.tags", name="Important"))["id"]
    two = (await client.do("create.tags", name="Urgent"))["id"]
    assert await client.fault("create.tags", name="Urgent") == ("duplicate_entity", "name")
    assert (await client.fault("update.tags", id=one, name="Urgent"))[0] == "duplicate_entity"
    assert await client.fault("update.tags", id=one, name=" ") == ("invalid_parameter_value", "name")
    assert await client.fault("create.tags") == ("required_parameter_missed", "name")
    assert await client.fault("update.tags", id=1, name="X") == ("entity_not_found", "id")
    await client.db.execute(
        """insert into talk_options (account_id, button, mnemonic, name, settings)
           values (%s, '77', 'tag_call', 'Tag', jsonb_build_object('tag_id', %s::bigint))""",
        (ACCOUNT, two),
    )
    assert await client.fault("delete.tags", id=two) == ("dependency_error", "id")
    sale = await sale_tag(client)
    assert await client.fault("update.tags", id=sale, name="X") == ("forbidden", "id")
    answer = await client.answer("delete.tags", id=sale)
    assert (answer["error"]["code"], answer["error"]["data"]["mnemonic"]) == (-32602, "forbidden")


async def test_the_new_form_of_the_list(client: DataApiClient) -> None:
    tag = (await client.do("create.tags", name="Important"))["id"]
    await client.do(MARK, **about(Kind.CALL), tag_id=tag)
    await client.do(MARK, **about(Kind.CHAT), tag_id=tag)
    await client.do(UNMARK, **about(Kind.CHAT), tag_id=tag)
    await client.do(MARK, **about(Kind.CHAT), tag_id=tag)
    fields = ["id", "rating", "is_auto", "state", "color", "condition", "creation_datetime"]
    row = await client.row("get.tags", tag, fields=fields, is_include_rating=True)
    assert len(row.pop("creation_datetime")) == 19
    assert row == {
        "id": tag,
        "rating": 2,
        "is_auto": False,
        "state": "off",
        "color": "#EBEBEB",
        "condition": {},
    }
    row = await client.row("get.tags", tag, fields=["rating", "state"])
    assert row == {"rating": None, "state": None}


@pytest.mark.parametrize("kind", list(Kind))
async def test_a_communication_gets_and_loses_a_tag(client: DataApiClient, kind: Kind) -> None:
    tag = (await client.do("create.tags", name="Important"))["id"]
    assert await client.do(MARK, **about(kind), tag_id=tag) == {}
    [entry] = await tags_of(client, kind)
    assert datetime.fromisoformat(entry.pop("tag_change_time")).tzinfo is not None
    assert entry == {
        "tag_id": tag,
        "tag_name": "Important",
        "tag_type": "manual",
        "tag_user_id": 2001,
        "tag_user_login": "dispatcher",
        "tag_employee_id": None,
        "tag_employee_full_name": None,
    }
    assert await client.fault(MARK, **about(kind), tag_id=tag) == ("duplicate_entity", "tag_id")
    assert await client.do(UNMARK, **about(kind), tag_id=tag) == {}
    assert await tags_of(client, kind) == []
    assert await client.fault(UNMARK, **about(kind), tag_id=tag) == ("entity_not_found", "tag_id")
    what = ("Important", kind.value, IDS[kind])
    assert await history(client) == [("set", *what), ("unset", *what)]


@pytest.mark.parametrize(
    ("kind", "ext_id"), [(Kind.CALL, "crm-1"), (Kind.CHAT, "chat-1"), (Kind.OFFLINE_MESSAGE, "mail-1")]
)
async def test_a_communication_by_the_clients_own_id(client: DataApiClient, kind: Kind, ext_id: str) -> None:
    tag = (await client.do("create.tags", name="Important"))["id"]
    named = {"communication_type": kind.value, "communication_ext_id": ext_id}
    await client.do(MARK, **named, tag_id=tag)
    assert await names_of(client, kind) == ["Important"]
    await client.do(UNMARK, **named, communication_id=IDS[kind], tag_id=tag)
    wrong = {**named, "communication_ext_id": "nobody"}
    assert await client.fault(MARK, **wrong, tag_id=tag) == ("entity_not_found", "communication_ext_id")


async def test_faults_of_marking(client: DataApiClient) -> None:
    tag = (await client.do("create.tags", name="Important"))["id"]
    for method in (MARK, UNMARK):
        assert await client.fault(method, communication_type="call", tag_id=tag) == (
            "required_parameter_missed",
            "communication_id",
        )
        assert await client.fault(method, communication_type="call", communication_id=5, tag_id=tag) == (
            "entity_not_found",
            "communication_id",
        )
        assert await client.fault(method, communication_type="email", communication_id=5, tag_id=tag) == (
            "invalid_parameter_value",
            "communication_type",
        )
        assert await client.fault(method, **about(Kind.CALL), tag_id=1) == ("entity_not_found", "tag_id")
        assert await client.fault(method, **about(Kind.CALL)) == ("required_parameter_missed", "tag_id")
    sale = await sale_tag(client)
    assert await client.fault(MARK, **about(Kind.CALL), tag_id=sale) == ("forbidden", "tag_id")
    client.as_other_account()
    assert await client.fault(MARK, **about(Kind.CALL), tag_id=tag) == (
        "entity_not_found",
        "communication_id",
    )


async def test_another_accounts_tag(client: DataApiClient) -> None:
    client.as_other_account()
    foreign = (await client.do("create.tags", name="Foreign"))["id"]
    assert (await client.fault("create.tags", name="Foreign"))[0] == "duplicate_entity"
    client.as_owner()
    assert ACCOUNT != OTHER_ACCOUNT
    client.accounts.allow(account_id=ACCOUNT)
    assert foreign not in [row["id"] for row in await client.rows("get.tags")]
    for method, params in (
        (MARK, {"tag_id": foreign}),
        ("update.tags_communication", {"tag_ids": [foreign]}),
        ("set.communications_tags", {"tag_ids": [foreign]}),
    ):
        reported = await client.fault(method, **about(Kind.CALL), **params)
        assert reported == ("entity_not_found", next(iter(params)))
    assert await client.fault("update.tags", id=foreign, name="X") == ("entity_not_found", "id")
    assert await client.fault("delete.tags", id=foreign) == ("entity_not_found", "id")


async def test_several_communications_at_once_in_three_forms(client: DataApiClient) -> None:
    one = (await client.do("create.tags", name="One"))["id"]
    two = (await client.do("create.tags", name="Two"))["id"]
    method = "set.communications_tags"
    made = await client.do(method, **about(Kind.CALL), tag_ids=[one, two])
    assert made == {
        "success": "true",
        "items": [{"id": tag, **about(Kind.CALL)} for tag in (one, two)],
    }
    await client.do(method, items=[{**about(k), "tag_id": one} for k in (Kind.CALL, Kind.CHAT)])
    await client.do(method, items=[about(Kind.CHAT), about(Kind.GOAL)], tag_ids=[two])
    assert [await names_of(client, k) for k in (Kind.CALL, Kind.CHAT, Kind.GOAL)] == [
        ["One", "Two"],
        ["One", "Two"],
        ["Two"],
    ]
    before = await history(client)
    assert len(before) == 5
    missing = {"communication_type": "chat", "communication_id": 1}
    assert await client.fault(method, items=[about(Kind.GOAL), missing], tag_ids=[one]) == (
        "entity_not_found",
        "communication_id",
    )
    assert await client.fault(method, items=[about(Kind.GOAL)]) == (
        "required_parameter_missed",
        "items.tag_id",
    )
    assert await client.fault(method, **about(Kind.GOAL)) == ("required_parameter_missed", "tag_ids")
    assert await client.fault(method, tag_ids=[one]) == ("required_parameter_missed", "communication_id")
    assert await history(client) == before


@pytest.mark.parametrize("method", ["update.tags_communication", "update.tags_communications"])
async def test_the_tags_of_a_communication_are_replaced(client: DataApiClient, method: str) -> None:
    one = (await client.do("create.tags", name="One"))["id"]
    two = (await client.do("create.tags", name="Two"))["id"]
    await client.do(MARK, **about(Kind.CHAT), tag_id=one)
    made = await client.do(method, **about(Kind.CHAT), tag_ids=[two])
    assert made == {**about(Kind.CHAT), "items": [{"id": two, "name": "Two", "color": "color1"}]}
    assert await names_of(client, Kind.CHAT) == ["Two"]
    assert (await client.do(method, **about(Kind.CHAT), tag_ids=[]))["items"] == []
    assert await names_of(client, Kind.CHAT) == []
    actions = [(action, name) for action, name, *_ in await history(client)]
    assert actions == [("set", "One"), ("set", "Two"), ("unset", "One"), ("unset", "Two")]
    assert await client.fault(method, **about(Kind.CHAT), tag_ids=[1]) == ("entity_not_found", "tag_ids")
    assert await client.fault(method, **about(Kind.CHAT), tag_ids=["x"]) == ("data_type_error", "tag_ids")
    sale = await sale_tag(client)
    assert await client.fault(method, **about(Kind.CHAT), tag_ids=[sale]) == ("forbidden", "tag_ids")


SALE = {"date_time": "2026-03-02 12:00:00", "transaction_value": 99.5}


@pytest.mark.parametrize("kind", list(Kind))
async def test_sales(client: DataApiClient, kind: Kind) -> None:
    first = await client.do("set.tag_sales", **about(kind), **SALE, comment="two chairs")
    assert set(first) == {"id"}
    second = await client.do(
        "set.tag_sales", **about(kind), date_time="2026-03-03 10:00:00", transaction_value="10"
    )
    assert second["id"] > first["id"]
    assert await names_of(client, kind) == ["Sale"]
    place = PLACES[kind]
    extra = (
        f"select extra from {place.table} where account_id = {ACCOUNT} and {place.id_column} = {IDS[kind]}"
    )
    shown = await client.one(extra)
    assert (shown["sale_cost"], shown["sale_date"]) == (109.5, "2026-03-03T06:00:00Z")
    assert await client.one("select comment from sales order by sale_id limit 1") == "two chairs"
    other = (await client.do("create.tags", name="One"))["id"]
    await client.do("update.tags_communication", **about(kind), tag_ids=[other])
    assert await names_of(client, kind) == ["Sale", "One"]
    await client.do(UNMARK, **about(kind), tag_id=await sale_tag(client))
    assert await names_of(client, kind) == ["One"]
    assert await client.one("select count(*) from sales") == 0
    assert not {"sale_cost", "sale_date"} & set(await client.one(extra))


async def test_a_sale_stands_in_the_report(client: DataApiClient) -> None:
    await client.do("set.tag_sales", **about(Kind.CALL), **SALE)
    period = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-31 00:00:00"}
    [row] = await client.rows("get.calls_report", **period, fields=["sale_date", "sale_cost", "tags"])
    assert (row["sale_date"], row["sale_cost"]) == ("2026-03-02 12:00:00", 99.5)
    assert [tag["tag_name"] for tag in row["tags"]] == ["Sale"]


async def test_faults_of_sales(client: DataApiClient) -> None:
    method, good = "set.tag_sales", {**about(Kind.CALL), **SALE}
    early = {**good, "date_time": "2026-03-02 11:59:59"}
    assert await client.fault(method, **early) == ("invalid_date_time", "date_time")
    assert (await client.answer(method, **early))["error"]["data"]["value"] == early["date_time"]
    assert await client.fault(method, **{**good, "date_time": "2026-03-02"}) == (
        "invalid_date_time",
        "date_time",
    )
    for name, value in (
        ("date_time", "yesterday"),
        ("transaction_value", -1),
        ("comment", "x" * 256),
        ("communication_type", "email"),
    ):
        assert await client.fault(method, **{**good, name: value}) == ("invalid_parameter_value", name)
    for name in good:
        less = {key: value for key, value in good.items() if key != name}
        assert await client.fault(method, **less) == ("required_parameter_missed", name)
    assert await client.fault(method, **{**good, "communication_id": 1}) == (
        "entity_not_found",
        "communication_id",
    )
    site = await client.one(
        f"insert into sites (account_id, domain_name, name, industry_id)"
        f" values ({ACCOUNT}, 'example.com', 'Example', 1) returning site_id"
    )
    await client.db.execute(
        "update call_sessions set extra = jsonb_build_object('site_id', %s::bigint) where account_id = %s",
        (site, ACCOUNT),
    )
    assert await client.fault(method, **good) == ("forbidden", None)
    assert await history(client) == []
    await client.db.execute("update sites set sales_enabled = true")
    assert "id" in await client.do(method, **good)


async def test_a_repeated_sale_is_recorded_once(client: DataApiClient) -> None:
    asked: dict[str, Any] = {**about(Kind.CALL), **SALE, "idempotency_key": "order-17"}
    first, second = await asyncio.gather(
        client.answer("set.tag_sales", **asked), client.answer("set.tag_sales", **asked)
    )
    assert first["result"]["id"] == second["result"]["id"]
    assert await client.one("select count(*) from sales") == 1
    other = await client.answer("set.tag_sales", **{**asked, "transaction_value": 7})
    assert (mnemonic(other), other["error"]["data"]["field"]) == (
        "invalid_parameter_value",
        "Idempotency-Key",
    )
    refused = await client.answer(
        "set.tag_sales", **{**asked, "communication_id": 5, "idempotency_key": "order-18"}
    )
    assert mnemonic(refused) == "entity_not_found"
    again = await client.answer("set.tag_sales", **{**asked, "idempotency_key": "order-18"})
    assert again["result"]["id"] != first["result"]["id"]  # a refused request frees its key
    assert await client.one("select count(*) from sales") == 2


async def test_a_repeated_batch_gets_the_first_answer(client: DataApiClient) -> None:
    tag = (await client.do("create.tags", name="Important"))["id"]
    asked: dict[str, Any] = {"items": [{**about(Kind.CALL), "tag_id": tag}], "idempotency_key": "batch-1"}
    first = await client.answer("set.communications_tags", **asked)
    await client.do("unset.tag_communications", **about(Kind.CALL), tag_id=tag)
    second = await client.answer("set.communications_tags", **asked)
    assert first["result"]["items"] == second["result"]["items"]
    assert await names_of(client, Kind.CALL) == []  # it was not done again


@pytest.mark.parametrize("method", ["set.tag_sales", "set.communications_tags"])
async def test_a_change_of_tags_is_one_transaction(client: DataApiClient, method: str) -> None:
    """What comes last fails: nothing of the request stays."""
    tag = (await client.do("create.tags", name="Important"))["id"]
    both = [{**about(kind), "tag_id": tag} for kind in (Kind.CALL, Kind.CHAT)]
    params = {**about(Kind.CALL), **SALE} if method == "set.tag_sales" else {"items": both}
    table = "sales" if method == "set.tag_sales" else "chats"
    await client.db.execute(
        f"create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;"
        f"create trigger refuse before insert or update on {table} for each row execute function refuse()"
    )
    try:
        assert (await client.fault(method, **params))[0] == "internal_error"
        assert await names_of(client, Kind.CALL) == []
        assert await history(client) == []
    finally:
        await client.db.execute(f"drop trigger refuse on {table}; drop function refuse")


async def ask_living(
    client: DataApiClient, switch: NotedSwitch, method: str, **params: Any
) -> dict[str, Any]:
    dispatcher = Dispatcher(
        DATA_API, Services(client.accounts, switch, SETTINGS, client.db), MemoryRequestLog()
    )
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"access_token": TOKEN, **params}}
    answer: dict[str, Any] = orjson.loads(await dispatcher.answer(orjson.dumps(message), ADDRESS))
    return answer


async def test_a_living_call_is_marked_at_its_switch(client: DataApiClient) -> None:
    tag = (await client.do("create.tags", name="Important"))["id"]
    await client.db.execute("update call_sessions set finish_time = null where account_id = %s", (ACCOUNT,))
    switch = NotedSwitch(answers={"mark_call": {"set": [tag], "unset": []}})
    assert "result" in await ask_living(client, switch, MARK, **about(Kind.CALL), tag_id=tag)
    author = {
        "user_id": 2001,
        "user_login": "dispatcher",
        "employee_id": None,
        "employee_full_name": None,
    }
    wanted = {"set": [{"tag_id": tag, "tag_name": "Important"}], "unset": []}
    assert switch.commands == [(ACCOUNT, "mark_call", {"call_session_id": CALL, **wanted, **author})]
    assert await tags_of(client, Kind.CALL) == []  # the switch writes them


async def test_a_call_that_ends_meanwhile_is_marked_in_its_row(client: DataApiClient) -> None:
    tag = (await client.do("create.tags", name="Important"))["id"]
    await client.db.execute("update call_sessions set finish_time = null where account_id = %s", (ACCOUNT,))
    gone = NotFound("Call session not found", mnemonic="call_session_not_found")
    switch = NotedSwitch(answers={"mark_call": gone})
    assert "result" in await ask_living(client, switch, MARK, **about(Kind.CALL), tag_id=tag)
    assert await names_of(client, Kind.CALL) == ["Important"]
    assert len(switch.commands) > 1


async def test_a_call_that_is_known_before_its_row_is_written(client: DataApiClient) -> None:
    tag = (await client.do("create.tags", name="Important"))["id"]
    fresh = first_id_at(int(time.time() * 1000)) + 77
    async with client.db.connection() as connection:
        await ensure_for(connection, fresh)
    wanted = {"communication_id": fresh, "communication_type": "call", "tag_id": tag}
    marking = asyncio.create_task(client.fault(MARK, **wanted))
    await asyncio.sleep(0.3)
    assert not marking.done()
    await client.db.execute(
        "insert into call_sessions (account_id, call_session_id, node, start_time, finish_time, direction, source)"
        " values (%s, %s, 0, now(), now(), 'in', 'va')",
        (ACCOUNT, fresh),
    )
    assert await marking == ("ok", None)
    # One that was never written is not found after some time.
    assert await client.fault(MARK, **{**wanted, "communication_id": fresh + 1}) == (
        "entity_not_found",
        "communication_id",
    )


async def test_subscribers_hear_of_a_tag_on_a_finished_call(client: DataApiClient) -> None:
    """Of calls of the PBX; an uploaded one has no event log."""
    tag = (await client.do("create.tags", name="Important"))["id"]
    await client.do(MARK, **about(Kind.CALL), tag_id=tag)
    assert await client.one("select count(*) from call_events") == 0
    await client.db.execute(
        """insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)
           values (%s, %s, 7, 'session_finished', now(), '{}')""",
        (ACCOUNT, CALL),
    )
    await client.do(UNMARK, **about(Kind.CALL), tag_id=tag)
    await client.do(MARK, **about(Kind.CALL), tag_id=tag)
    rows = await client.db.fetch_all(
        "select seq, type from call_events where account_id = %s and seq > 7 order by seq", (ACCOUNT,)
    )
    assert [(row["seq"], row["type"]) for row in rows] == [(8, "tag_unset"), (9, "tag_set")]
    reported = await client.db.fetch_all(
        "select seq, type, data from outbox where account_id = %s order by seq", (ACCOUNT,)
    )
    assert [(row["seq"], row["type"], row["data"]["tag_name"]) for row in reported] == [
        (8, "tag_unset", "Important"),
        (9, "tag_set", "Important"),
    ]


async def test_a_user_without_permission_is_refused(client: DataApiClient) -> None:
    marking = ("set.communications_tags", "update.tags_communication", "set.tag_sales", MARK, UNMARK)
    methods = {
        "get.tags": "select",
        "create.tags": "insert",
        "update.tags": "update",
        "delete.tags": "delete",
        **dict.fromkeys(marking, "update"),
    }
    for method, action in methods.items():
        client.as_member(f"tag_management:{action}")
        assert (await client.fault(method))[0] != "forbidden"
        client.as_member(*(f"tag_management:{a}" for a in methods.values() if a != action))
        assert await client.fault(method) == ("forbidden", None)
