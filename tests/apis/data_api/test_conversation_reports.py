"""Reports of chats, messages, goals, visits, campaigns and of all communications."""

from __future__ import annotations

from datetime import timedelta

import pytest
from psycopg.types.json import Jsonb

from tests.apis.data_api.client import DataApiClient
from tests.apis.data_api.conversations import (
    CAMPAIGN,
    CHAT,
    DAY,
    EMAIL,
    GOAL,
    MESSAGE,
    PERIOD,
    PHONE,
    SITE,
    VISIT,
    store_conversations,
)
from tests.apis.data_api.every_field import asked_of, check_every_field, rows_of
from tests.reports.company import ACCOUNT, OTHER_ACCOUNT
from tests.reports.lifelike import generate_calls, insert, store
from trunkline.accounts.components import TITLES
from trunkline.apis.catalogue import DATA_API
from trunkline.apis.data_api import conversation_reports
from trunkline.db.partitions import ensure_for


@pytest.fixture
async def talks(client: DataApiClient) -> DataApiClient:
    """An office with every component and one communication of each kind."""
    client.with_components(*TITLES)
    await store_conversations(client.db, ACCOUNT)
    return client


async def test_every_field_is_shown_filtered_and_sorted(talks: DataApiClient) -> None:
    for method in conversation_reports.METHODS:
        await check_every_field(talks, method)


async def test_a_chat(talks: DataApiClient) -> None:
    [chat] = await talks.rows("get.chats_report", **PERIOD)
    assert (chat["id"], chat["communication_id"], chat["date_time"]) == (CHAT, CHAT, "2026-03-02 10:01:00")
    assert (chat["status"], chat["initiator"], chat["duration"], chat["answer_time"]) == (
        "succeed",
        "visitor",
        "300",
        20,
    )
    assert (chat["site_id"], chat["campaign_id"], chat["visitor_ids"]) == (SITE, CAMPAIGN, [40901])
    assert chat["visitor_phone_number"] == int(PHONE)
    fields = ["site_domain_name", "campaign_name", "visitor_type", "utm_source", "referrer_domain", "tags"]
    [more] = await talks.rows("get.chats_report", fields=[*fields, "chat_channel_name"], **PERIOD)
    assert more["tags"][0]["tag_change_time"] == "2026-03-02 10:05:00"
    assert {name: more[name] for name in fields[:-1]} == {
        "site_domain_name": "www.shop.example",
        "campaign_name": "Spring",
        "visitor_type": "new",
        "utm_source": "newsletter",
        "referrer_domain": "news.example",
    }
    assert more["chat_channel_name"] == "Shop window"
    longer = {"field": "duration", "operator": ">", "value": 60}
    assert await talks.fault("get.chats_report", filter=longer, **PERIOD) == (
        "invalid_parameter_value",
        "filter.operator",
    )


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ('#.tag_change_time = "2026-03-02 10:05:00"', True),
        ('#.tag_change_time = "2026-03-02T06:05:00Z"', False),
        ('#.tag_change_time IN ("x", "2026-03-02 10:05:00")', True),
        ('#(tag_change_time = "2026-03-02 10:05:00" AND tag_id = 0)', False),
        ('#.% = "2026-03-02 10:05:00"', True),
        ('* = "2026-03-02 10:05:00"', True),
        ('NOT #.tag_change_time = "2026-03-02 10:05:00"', False),
    ],
)
async def test_a_filter_looks_at_times_as_they_are_shown(
    talks: DataApiClient, query: str, is_found: bool
) -> None:
    tags = {"field": "tags", "operator": "jsquery", "value": query}
    rows = await talks.rows("get.chats_report", fields=["id"], filter=tags, **PERIOD)
    assert [row["id"] for row in rows] == ([CHAT] if is_found else [])


async def test_messages_of_a_chat_or_a_period(talks: DataApiClient) -> None:
    by_chat = await talks.rows("get.chat_messages_report", chat_id=CHAT)
    assert [(row["source"], row["text"]) for row in by_chat] == [
        ("visitor", "Hello"),
        ("operator", "Good day"),
    ]
    assert by_chat == await talks.rows("get.chat_messages_report", chat_ids=[CHAT, 1])
    assert by_chat == await talks.rows("get.chat_messages_report", **PERIOD)
    assert await talks.rows("get.chat_messages_report", chat_id=1, **PERIOD) == []
    fault = talks.fault
    assert await fault("get.chat_messages_report") == ("required_parameter_missed", "chat_id")
    assert await fault("get.chat_messages_report", date_from=PERIOD["date_from"]) == (
        "required_parameter_missed",
        "date_till",
    )
    assert await fault("get.chat_messages_report", chat_id=1, date_from=PERIOD["date_from"]) == (
        "required_parameter_missed",
        "date_till",
    )
    month = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-03-31 00:00:01"}
    assert await fault("get.chat_messages_report", **month) == ("date_interval_limit_reached", "date_till")


async def test_offline_messages(talks: DataApiClient) -> None:
    [message] = await talks.rows("get.offline_messages_report", **PERIOD)
    assert (message["id"], message["text"], message["form_type"]) == (MESSAGE, "Please call", "DataAPI")
    assert (message["visitor_email"], message["visitor_name"]) == ("lena@example.com", "Lena")
    assert (
        len(await talks.rows("get.offline_messages_report", include_tech_offline_messages=True, **PERIOD))
        == 2
    )


async def test_all_communications_of_a_visit(talks: DataApiClient) -> None:
    [visit] = await talks.rows(
        "get.visitor_sessions_report", fields=["id", "communications", "hits_count"], **PERIOD
    )
    assert (visit["id"], visit["hits_count"]) == (VISIT, 1)
    assert visit["communications"] == [
        {
            "communication_type": kind,
            "communication_id": number,
            "communication_date_time": f"2026-03-02 10:0{minute}:00",
        }
        for minute, kind, number in ((1, "chat", CHAT), (2, "offline_message", MESSAGE), (3, "goal", GOAL))
    ]


async def test_a_visitor_who_returns(talks: DataApiClient) -> None:
    later = DAY + timedelta(hours=1)
    own = {"account_id": ACCOUNT, "date_time": later}
    async with talks.db.connection() as connection:
        visit = {**own, "visitor_session_id": 50902, "visitor_id": 40901, "is_visitor_new": False}
        await insert(connection, "visitor_sessions", [visit])
        row = await (
            await connection.execute(
                "select visit_of(%s, 50902) as extra, visit_of(%s, 50902) as foreign",
                (ACCOUNT, OTHER_ACCOUNT),
            )
        ).fetchone()
        assert row is not None
        assert row["foreign"] == {}
        await insert(
            connection,
            "goals",
            [
                {
                    **own,
                    "goal_id": 1,
                    "name": "Order",
                    "type": "click",
                    "source": "comagic",
                    "extra": Jsonb(row["extra"]),
                }
            ],
        )
    fields = [
        "visits_count",
        "visitor_type",
        "visitor_first_campaign_name",
        "visit_other_campaign",
        "visitor_id",
    ]
    [goal] = await talks.rows(
        "get.goals_report", fields=fields, filter={"field": "id", "operator": "=", "value": 1}, **PERIOD
    )
    assert goal == dict(zip(fields, (2, "returning", "Spring", True, 40901), strict=True))


async def test_attributes_follow_from_the_communication_unless_they_were_kept(talks: DataApiClient) -> None:
    [lost, long, short] = [
        {
            **generated.session,
            "attributes": [],
            "communication_number": number,
            "extra": Jsonb({"site_id": SITE}),
        }
        | {"is_lost": number == 1, "talk_duration": talk}
        for generated, number, talk in zip(
            generate_calls(ACCOUNT, DAY, days=1, count=3), (1, 2, 3), (0, 30, 29), strict=True
        )
    ]
    expected = {
        lost["call_session_id"]: ["lost", "primary", "off-target"],
        long["call_session_id"]: ["secondary", "target"],
        short["call_session_id"]: ["secondary", "off-target"],
    }
    async with talks.db.connection() as connection:
        for row in (lost, long, short):
            await ensure_for(connection, row["call_session_id"])
        await insert(connection, "call_sessions", [lost, long, short])
    days = {**PERIOD, "date_till": "2026-03-03 23:59:59"}
    for method in ("get.calls_report", "get.communications_report"):
        rows = await talks.rows(method, fields=["id", "attributes"], **days)
        found = {row["id"]: row["attributes"] for row in rows}
        assert {number: found[number] for number in expected} == expected
        target = {"field": "attributes", "operator": "=", "value": "target"}
        [row] = await talks.rows(method, fields=["id"], filter=target, **days)
        assert row["id"] == long["call_session_id"]
    assert found[CHAT] == ["first"]


async def test_calls_and_all_else_in_one_list(talks: DataApiClient) -> None:
    reported = generate_calls(ACCOUNT, DAY, days=1, count=10)
    await store(talks.db, reported)
    rows = await talks.rows("get.communications_report", **PERIOD)
    inside = [one for one in rows if one["communication_type"] == "call"]
    assert {row["id"] for row in inside} <= {generated.session["call_session_id"] for generated in reported}
    assert len(rows) == len(inside) + 3
    assert [row["date_time"] for row in rows] == sorted(row["date_time"] for row in rows)
    assert EMAIL not in {row["id"] for row in rows}
    pages = [
        row
        for n in range(0, len(rows), 4)
        for row in await talks.rows("get.communications_report", limit=4, offset=n, **PERIOD)
    ]
    assert pages == rows
    answer = await talks.answer("get.communications_report", limit=1, **PERIOD)
    assert answer["result"]["metadata"]["total_items"] == len(rows)
    calls = await talks.rows("get.calls_report", fields=["id", "start_time"], **PERIOD)
    assert [(row["id"], row["date_time"]) for row in inside] == [
        (row["id"], row["start_time"]) for row in calls
    ]
    only = {"field": "communication_type", "operator": "in", "value": ["goal", "chat"]}
    assert [row["id"] for row in await talks.rows("get.communications_report", filter=only, **PERIOD)] == [
        CHAT,
        GOAL,
    ]


async def test_sales_are_reported_with_what_brought_them(talks: DataApiClient) -> None:
    async with talks.db.connection() as connection:
        for cost in (10, 5.5):
            await connection.execute(
                "insert into sales (account_id, communication_type, communication_id, occurred_at,"
                " transaction_value) values (%s, 'chat', %s, '2026-03-03T00:00:00Z', %s)",
                (ACCOUNT, CHAT, cost),
            )
    for method in ("get.chats_report", "get.communications_report"):
        sold = {"field": "sale_cost", "operator": "=", "value": 15.5}
        [row] = await talks.rows(method, fields=["id", "sale_date"], filter=sold, **PERIOD)
        assert row == {"id": CHAT, "sale_date": "2026-03-03 04:00:00"}


async def test_days_of_a_campaign(talks: DataApiClient) -> None:
    answer = await talks.answer(
        "get.campaign_daily_stat",
        site_id=SITE,
        date_from="2026-03-02 00:00:00",
        date_till="2026-03-03 23:59:59",
        fields=[
            "date",
            "campaign_name",
            "cost_sum",
            "visits_count",
            "chats_count",
            "communications_count",
            "session_ids",
            "communications",
        ],
    )
    first, second = answer["result"]
    assert {name: first[name] for name in ("date", "campaign_name", "cost_sum", "session_ids")} == {
        "date": "2026-03-02",
        "campaign_name": "Spring",
        "cost_sum": "10.00",
        "session_ids": [VISIT],
    }
    assert (first["visits_count"], first["chats_count"], first["communications_count"]) == (1, 1, 3)
    assert [one["communication_id"] for one in first["communications"]] == [CHAT, MESSAGE, GOAL]
    assert first["communications"][0]["tags"][0]["tag_name"] == "vip"
    assert (second["date"], second["visits_count"], second["cost_sum"]) == ("2026-03-03", 0, "10.00")
    on_day = {"field": "date", "operator": "=", "value": "2026-03-03"}
    period = {"date_from": "2026-03-01 00:00:00", "date_till": "2026-05-30 00:00:00"}
    found = await talks.answer("get.campaign_daily_stat", site_id=SITE, filter=on_day, **period)
    assert [row["date"] for row in found["result"]] == ["2026-03-03"]
    period["date_till"] = "2026-05-30 00:00:01"
    assert await talks.fault("get.campaign_daily_stat", site_id=SITE, **period) == (
        "date_interval_limit_reached",
        "date_till",
    )


async def test_another_account_sees_nothing(talks: DataApiClient) -> None:
    own = {method.name: await rows_of(talks, method) for method in conversation_reports.METHODS}
    assert [name for name, rows in own.items() if rows], "there is something to be seen"
    talks.as_other_account()
    for method in conversation_reports.METHODS:
        assert await rows_of(talks, method) == [], method.name


async def test_components_and_permissions(client: DataApiClient) -> None:
    for method in conversation_reports.METHODS:
        declared = DATA_API.find(method.name)
        assert declared is not None
        sent = asked_of(method)
        if method.components:
            assert (await client.fault(method.name, **sent))[0] == "method_component_disabled", method.name
            client.with_components(method.components[-1].name)
            assert (await client.fault(method.name, **sent))[0] == "ok", method.name
        if method.permissions:
            client.as_member()
            assert (await client.fault(method.name, **sent))[0] == "forbidden", method.name
            client.as_owner()
        client.with_components()


@pytest.mark.parametrize("method", ["get.chats_report", "get.goals_report", "get.offline_messages_report"])
async def test_the_utm_referrer_of_a_visit(talks: DataApiClient, method: str) -> None:
    wanted = {"field": "utm_referrer", "operator": "=", "value": "partner"}
    rows = await talks.rows(method, fields=["id", "utm_referrer"], filter=wanted, **PERIOD)
    assert [row["utm_referrer"] for row in rows] == ["partner"]
    assert all("utm_referrer" not in row for row in await talks.rows(method, **PERIOD))


async def test_the_utm_referrer_of_a_call(talks: DataApiClient) -> None:
    wanted = {"field": "utm_referrer", "operator": "=", "value": "partner"}
    fields = ["id", "utm_referrer"]
    assert await talks.rows("get.calls_report", fields=fields, filter=wanted, **PERIOD) == []
