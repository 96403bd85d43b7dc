"""The flat family of reports: calls, chats, communications, visits, and what was sent, asked and marked."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb

from tests.apis.data_api.client import DataApiClient
from tests.apis.data_api.conversations import CHAT, DAY, EMAIL, PERIOD, SITE, VISIT, store_conversations
from tests.apis.data_api.every_field import asked_of, check_every_field, rows_of
from tests.reports.company import ACCOUNT, OTHER_ACCOUNT
from tests.reports.lifelike import GeneratedCall, generate_calls, insert, store
from trunkline.apis.catalogue import SERVICE_SPECS
from trunkline.apis.data_api import flat_reports
from trunkline.db.query import compile_request, parse_request
from trunkline.reports.flat.calls import CALLS

REPORTS = tuple(method for method in flat_reports.methods_with(lambda: SERVICE_SPECS) if method.verb == "get")
ASKED: dict[str, Any] = {"report_id": 1, **PERIOD}


def reported() -> list[GeneratedCall]:
    """Ten calls of the day."""
    return generate_calls(ACCOUNT, DAY, days=1, count=10)


IDS = [generated.session["call_session_id"] for generated in reported()]


@pytest.fixture
async def talks(client: DataApiClient) -> DataApiClient:
    """An office with calls, one of each other kind, and the logs."""
    await store_conversations(client.db, ACCOUNT)
    await store(client.db, reported())
    await store(client.db, generate_calls(OTHER_ACCOUNT, DAY, days=1, count=3))
    async with client.db.connection() as connection:
        own = {"account_id": ACCOUNT}
        await insert(
            connection,
            "call_events",
            [
                {
                    **own,
                    "call_session_id": IDS[0],
                    "seq": seq,
                    "type": kind,
                    "occurred_at": DAY,
                    "data": Jsonb(data),
                }
                for seq, (kind, data) in enumerate(
                    (
                        ("session_started", {"contact_phone_number": "971500000010"}),
                        ("coach_joined", {"mode": "whisper", "leg_id": 1}),
                        ("recording_started", {}),
                        ("session_finished", {"finish_reason": "caller_disconnects"}),
                    ),
                    1,
                )
            ],
        )
        await insert(
            connection,
            "subscriptions",
            [
                {
                    **own,
                    "subscription_id": 1,
                    "key": "crm",
                    "name": "CRM",
                    "url": "https://crm.example/",
                    "events": [],
                }
            ],
        )
        await insert(
            connection,
            "deliveries",
            [
                {
                    **own,
                    "delivery_id": number,
                    "subscription_id": 1,
                    "stream": stream,
                    "seq": 1,
                    "mnemonic": "call_finish",
                    "status": status,
                    "body": "{}",
                    "occurred_at": DAY,
                    "delivered_at": DAY + timedelta(seconds=2) if status == "delivered" else None,
                }
                for number, stream, status in ((1, f"call:{IDS[0]}", "delivered"), (2, "line:9001", "failed"))
            ],
        )
        await insert(
            connection,
            "delivery_attempts",
            [
                {
                    **own,
                    "delivery_id": 2,
                    "attempt": 1,
                    "started_at": DAY + timedelta(seconds=5),
                    "duration_ms": 3,
                    "status_code": 500,
                    "error": "The endpoint answered 500",
                }
            ],
        )
        await insert(
            connection,
            "api_requests",
            [
                {
                    **own,
                    "api": "data_api",
                    "method": method,
                    "user_login": "captain",
                    "ip": "192.0.2.7",
                    "points": points,
                    "is_success": error is None,
                    "error_mnemonic": error,
                    "request": Jsonb({"limit": 5}),
                    "request_id": "r-1",
                    "duration_ms": 201,
                    "requested_at": DAY,
                }
                for method, points, error in (
                    ("get.tags", 1, None),
                    ("get.tags", 0, "invalid_parameter_value"),
                    ("delete.tags", 0, "forbidden"),
                )
            ],
        )
        await insert(
            connection,
            "tag_history",
            [
                {
                    **own,
                    "occurred_at": DAY + timedelta(seconds=number),
                    "action": action,
                    "tag_id": 12001,
                    "tag_name": "vip",
                    "communication_type": "call",
                    "communication_id": IDS[0],
                    "user_login": "captain",
                }
                for number, action in enumerate(("set", "unset", "set"))
            ],
        )
    return client


async def test_every_field_is_shown_filtered_and_sorted(talks: DataApiClient) -> None:
    for method in REPORTS:
        more = {"entity_ids": IDS} if method.name == "get.call_details" else {}
        await check_every_field(talks, method, **more)


async def test_calls_have_the_figures_of_the_calls_report(talks: DataApiClient) -> None:
    fields = ["id", "start_time", "direction", "total_duration", "talk_duration", "is_lost", "finish_reason"]
    calls = await talks.rows("get.calls_report", fields=fields, **PERIOD)
    assert calls
    for method in ("get.calls", "get.mgf_calls"):
        rows = await talks.rows(method, **ASKED)
        assert [
            {
                "id": int(row["communication_id"]),
                "start_time": f"{row['call_start_date']} {row['call_start_time']}",
                "direction": row["call_direction"]["value_id"],
                "total_duration": seconds(row["call_total_duration"]),
                "talk_duration": seconds(row["call_talk_duration"]),
                "is_lost": row["call_status"]["value_id"] == "lost",
                "finish_reason": row["call_finish_reason"]["value_id"],
            }
            for row in rows
        ] == calls
    short = {"field": "call_total_duration", "operator": "<=", "value": "00:01:00"}
    found = await talks.rows("get.calls", filter=short, **ASKED)
    assert [int(row["communication_id"]) for row in found] == [
        row["id"] for row in calls if row["total_duration"] <= 60
    ]


def seconds(shown: str) -> int:
    """Seconds of ``hh:mm:ss``."""
    hours, minutes, rest = (int(part) for part in shown.split(":"))
    return hours * 3600 + minutes * 60 + rest


async def test_a_yes_or_no_is_sorted_by_one_evaluation(talks: DataApiClient) -> None:
    """A computed one looks up other tables for each call of the period."""
    asked = {"sort": [{"field": "is_coach_handled_call", "order": "desc"}], "fields": ["communication_id"]}
    zone = ZoneInfo("Asia/Dubai")
    query = compile_request(CALLS, parse_request(asked, CALLS, zone), account_id=1, time_zone=zone.key)
    # Once to cut the page, once to put it in order.
    assert query.rows.as_string(None).count("l.is_coach and l.answer_time is not null") == 2
    await talks.db.execute(
        "update call_sessions set is_transfer = true where account_id = %s and call_session_id = any(%s)",
        (ACCOUNT, IDS[2:4]),
    )
    for order, words in (("asc", ["No", "Yes"]), ("desc", ["Yes", "No"])):
        sort = [{"field": "call_is_transfer", "order": order}]
        rows = await talks.rows("get.calls", sort=sort, **ASKED)
        shown = [row["call_is_transfer"]["value"] for row in rows]
        assert list(dict.fromkeys(shown)) == words
        assert len([one for one, two in pairwise(shown) if one != two]) == 1


async def test_details_of_a_call(talks: DataApiClient) -> None:
    [call] = await talks.rows("get.call_details", entity_ids=[IDS[0], 1], **ASKED)
    assert [event["event_mnemonic"] for event in call["call_events"]] == ["start", "coach_joined", "finish"]
    assert call["call_events"][0]["event_text"] == "Call started 971500000010"
    assert call["call_events"][0]["event_time"] == "10:00:00"
    assert await talks.fault("get.call_details", **ASKED) == ("required_parameter_missed", "entity_ids")


async def test_a_comment_is_shown_and_the_newest_counts(talks: DataApiClient) -> None:
    for comment in ("Call back", "Called back"):
        done = await talks.do(
            "create.communication_comment",
            communication_id=IDS[0],
            communication_type="call",
            comment=comment,
        )
        assert done == {"success": True}
    [row] = await talks.rows(
        "get.calls", filter={"field": "communication_comment", "operator": "like", "value": "Call%"}, **ASKED
    )
    assert (int(row["communication_id"]), row["communication_comment"]) == (IDS[0], "Called back")
    assert row["communication_comment_author"]
    dotted = {"field": "call_records.communication_comment", "operator": "=", "value": "Called back"}
    assert len(await talks.rows("get.call_details", entity_ids=IDS, filter=dotted, **ASKED)) == 1
    of_chat = {"communication_id": CHAT, "communication_type": "chat", "comment": "Nice"}
    await talks.do("create.communication_comment", **of_chat)
    [chat] = await talks.rows("get.chats", **ASKED)
    assert chat["communication_comment"] == "Nice"


async def test_faults_of_comments(talks: DataApiClient) -> None:
    sent = {"communication_id": CHAT, "communication_type": "chat", "comment": "x"}

    async def fault(**other: Any) -> tuple[str, str | None]:
        return await talks.fault("create.communication_comment", **{**sent, **other})

    assert await fault(communication_type="email") == ("entity_not_found", "communication_id")
    assert await fault(communication_type="goal") == ("invalid_parameter_value", "communication_type")
    assert await fault(comment=" ") == ("invalid_parameter_value", "comment")
    assert await fault(comment=None) == ("required_parameter_missed", "comment")
    assert await fault(communication_id="x") == ("data_type_error", "communication_id")
    talks.as_other_account()
    assert await fault() == ("entity_not_found", "communication_id")


async def test_all_kinds_with_both_forms_of_filters(talks: DataApiClient) -> None:
    sent = {"report_type": "calls", **ASKED}
    rows = await talks.rows("get.communications", filters=[], **sent)
    calls = await talks.rows("get.calls", **ASKED)
    assert len(rows) == len(calls) + 4
    email = next(row for row in rows if row["communication_type"]["value_id"] == "email")
    assert (email["communication_id"], email["email_cc"], email["email_subject"]) == (
        str(EMAIL),
        ["ben@example.com"],
        "Order",
    )
    kind = {"field": "communication_type", "operator": "in", "value": ["chat", "email"]}
    visited = {"field": "is_communication_with_visit", "operator": "=", "value": True}
    for form in ({"filters": [kind, visited]}, {"filters": [kind], "filter": visited}):
        [row] = await talks.rows("get.communications", **form, **sent)
        assert row["communication_id"] == str(CHAT)
    sort = [{"field": "communication_id", "order": "desc", "operator": "=", "value": ""}]
    down = await talks.rows("get.communications", filter=kind, sort=sort, **sent)
    assert [row["communication_id"] for row in down] == [str(EMAIL), str(CHAT)]
    assert await talks.fault("get.communications", **sent) == ("required_parameter_missed", "filters")


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("get.calls", {}),
        ("get.mgf_calls", {"filter": {"field": "call_direction", "operator": "=", "value": "in"}}),
        ("get.call_details", {"entity_ids": IDS[:3]}),
        ("get.communications", {"report_type": "calls", "filters": []}),
        (
            "get.communications",
            {
                "report_type": "calls",
                "filter": {"field": "communication_type", "operator": "!=", "value": "email"},
            },
        ),
    ],
)
async def test_totals_are_those_of_the_rows(talks: DataApiClient, method: str, more: dict[str, Any]) -> None:
    rows = await talks.rows(method, **ASKED, **more)
    for limit in (0, 1, 2):
        answer = await talks.answer(method, **ASKED, **more, limit=limit)
        assert answer["result"]["metadata"]["total_items"] == len(rows)


async def test_visits_of_a_month_or_just_now(talks: DataApiClient) -> None:
    method = next(one for one in REPORTS if one.name == "get.visits")
    fields = [
        "visitor_session_id",
        "visit_weekday",
        "visit_hour",
        "visit_date",
        "site_domain_naked",
        "communications",
    ]
    [visit] = await rows_of(talks, method, fields=fields)
    assert {name: visit[name] for name in fields[:-1]} == {
        "visitor_session_id": str(VISIT),
        "visit_weekday": {"value": "Monday", "value_id": "1"},
        "visit_hour": {"value": "10:00", "value_id": "10"},
        "visit_date": "2026-03-02",
        "site_domain_naked": "shop.example",
    }
    assert visit["communications"][0] == {
        "id": CHAT,
        "type": {"value": "Chat", "value_id": "chat"},
        "date_time": int((DAY + timedelta(minutes=1)).timestamp()),
    }
    assert await rows_of(talks, method, is_realtime=True) == []
    async with talks.db.connection() as connection:
        await connection.execute(
            "insert into visitor_sessions (account_id, site_id, date_time) values (%s, %s, now())",
            (ACCOUNT, SITE),
        )
    assert len(await rows_of(talks, method, is_realtime=True)) == 1
    month = asked_of(method, date_from="2026-03-01 00:00:00", date_till="2026-04-01 00:00:01")
    assert await talks.fault("get.visits", **month) == ("date_interval_limit_reached", "date_till")


async def test_a_year_and_no_more(talks: DataApiClient) -> None:
    year = {"report_id": 1, "date_from": "2026-01-01 00:00:00", "date_till": "2027-01-02 00:00:00"}
    assert await talks.rows("get.calls", **year)
    year["date_till"] = "2027-01-02 00:00:01"
    assert await talks.fault("get.calls", **year) == ("date_interval_limit_reached", "date_till")


async def test_what_was_sent_asked_and_marked(talks: DataApiClient) -> None:
    sent, failed = await talks.rows("get.notifications", **ASKED)
    assert (sent["notification_status"]["value_id"], sent["notification_delay"]) == ("sent", 2)
    assert (sent["communication_id"], failed["communication_id"]) == (str(IDS[0]), None)
    assert failed["notification_error_type"] == {"value": "Refused", "value_id": "refused"}
    requests = await talks.rows("get.api_requests", **ASKED)
    assert [row["api_request_error_code"] for row in requests] == [None, "-32602", "-32602"]
    assert requests[0]["api_request_execution_time"] == 0.201
    marked = await talks.rows("get.tags_history", **ASKED)
    assert [row["tagging_date_time"][-2:] for row in marked] == ["00", "02"]
    assert marked[0]["tag_name"] == {"id": 12001, "name": "vip", "color": "#EBEBEB"}


async def test_another_account_sees_its_own(talks: DataApiClient) -> None:
    talks.as_other_account()
    for method in REPORTS:
        more = {"entity_ids": IDS} if method.name == "get.call_details" else {}
        rows = await rows_of(talks, method, **more)
        found = {row.get("communication_id") for row in rows}
        assert not found & {str(number) for number in (*IDS, CHAT, EMAIL)}, method.name
