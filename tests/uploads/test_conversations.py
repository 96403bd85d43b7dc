"""Uploaded chats, offline messages, e-mails and visits, and their deletion."""

from __future__ import annotations

import json
from typing import Any

from tests.apis.data_api.client import DataApiClient
from tests.reports.company import OTHER_ACCOUNT
from tests.uploads.test_calls import make_site

DAY = {"date_from": "2026-03-03 00:00:00", "date_till": "2026-03-03 23:59:59"}


def chat(site: int, **more: Any) -> dict[str, Any]:
    return {
        "start_date_time": "2026-03-03 12:00:00",
        "phone": "12025550110",
        "status": "succeeded",
        "site_id": site,
        "messages": [
            {"date_time": "2026-03-03 12:00:00", "source": "visitor", "message": "Hello?"},
            {
                "date_time": "2026-03-03 12:00:20",
                "source": "operator",
                "employee_id": 4001,
                "message": "Hello!",
            },
            {
                "date_time": "2026-03-03 12:01:00",
                "source": "operator",
                "employee_id": 4002,
                "message": "Me, too.",
            },
            {"date_time": "2026-03-03 12:01:30", "source": "system", "message": "Closed"},
        ],
        **more,
    }


def note(site: int, **more: Any) -> dict[str, Any]:
    return {
        "date_time": "2026-03-03 12:00:00",
        "phone": "12025550110",
        "message": "Call me",
        "site_id": site,
        **more,
    }


def letter(**more: Any) -> dict[str, Any]:
    return {
        "date_time": "2026-03-03 12:00:00",
        "message": "Please contact me.",
        "message_html": "",
        "email_from": "sam@example.com",
        "email_to": "desk@example.com",
        **more,
    }


def visit(site: int, ext_id: str = "v1", **more: Any) -> dict[str, Any]:
    return {
        "ext_id": ext_id,
        "site_id": site,
        "date_time": "2026-03-03 11:00:00",
        "is_visitor_new": True,
        "visitor_ip_address": "198.51.100.7",
        **more,
    }


async def upload_visit(client: DataApiClient, site: int, **more: Any) -> int:
    answer = await client.do("upload.sessions", sessions=[visit(site, **more)])
    session_id: int = answer["data"][0]["session_id"]
    return session_id


async def refusals(
    client: DataApiClient, method: str, field: str, good: dict[str, Any], cases: list[Any]
) -> None:
    """Each invalid change of a valid item is refused with its error."""
    for change, mnemonic, place in cases:
        sent = {name: value for name, value in {**good, **change}.items() if value is not None}
        answer = await client.fault(method, **{field: [sent]})
        assert answer == (mnemonic, place and f"{field}.{place}"), change
    assert await client.fault(method, **{field: [good] * 51}) == ("data_limit_exceeded", field)
    assert (await client.fault(method, **{field: []}))[0] == "invalid_parameter_value"


async def test_chats(client: DataApiClient) -> None:
    site = await make_site(client)
    seen = await upload_visit(client, site, utm_source="letter")
    one, two, again = (
        await client.do(
            "upload.chats",
            chats=[
                chat(site, ext_id="c1", name="Sam"),
                chat(
                    site,
                    messages=[],
                    site_id=None,
                    visitor_session_id=seen,
                    phone=None,
                    email="sam@example.com",
                ),
                chat(site, ext_id="c1"),
            ],
        )
    )["data"]
    assert one == again != two
    fields = [
        "id",
        "status",
        "initiator",
        "duration",
        "answer_time",
        "employee_id",
        "chat_channel_type",
        "site_id",
    ]
    fields.append("visitor_session_id")
    rows = {row["id"]: row for row in await client.rows("get.chats_report", **DAY, fields=fields)}
    first, second = rows[one["id"]], rows[two["id"]]
    assert (first["status"], first["initiator"], first["duration"], first["answer_time"]) == (
        "succeed",
        "visitor",
        "90",
        20,
    )
    assert (first["employee_id"], first["chat_channel_type"], first["site_id"]) == (4002, "dataapi", site)
    assert (second["status"], second["visitor_session_id"]) == ("lost", seen)
    messages = await client.rows("get.chat_messages_report", chat_id=one["id"])
    assert len(messages) == 4
    client.as_other_account()
    assert await client.fault("delete.chats", id=one["id"]) == ("entity_not_found", "id")
    client.as_owner()
    assert await client.do("delete.chats", id=one["id"]) == {"success": True}
    assert await client.fault("delete.chats", id=one["id"]) == ("entity_not_found", "id")
    await client.db.execute("update chats set chat_channel_type = 'telegram'")
    assert await client.fault("delete.chats", id=two["id"]) == ("forbidden", "id")
    assert [row["id"] for row in await client.rows("get.chats_report", **DAY)] == [two["id"]]


async def test_chats_refused(client: DataApiClient) -> None:
    site, other = await make_site(client), await make_site(client, "other.example")
    seen = await upload_visit(client, site)
    message = {
        "date_time": "2026-03-03 12:00:05",
        "source": "operator",
        "message": "Hello",
        "employee_id": 4001,
    }
    await refusals(
        client,
        "upload.chats",
        "chats",
        chat(site),
        [
            ({"site_id": None}, "invalid_parameters_combination", "visitor_session_id"),
            ({"phone": None}, "invalid_parameters_combination", "phone"),
            ({"phone": "none"}, "invalid_parameter_value", "phone"),
            ({"email": "sam"}, "invalid_parameter_value", "email"),
            ({"status": "open"}, "invalid_parameter_value", "status"),
            ({"start_date_time": "2126-03-03 12:00:00"}, "invalid_date_time", "start_date_time"),
            ({"visitor_session_id": 1}, "entity_not_found", "visitor_session_id"),
            ({"visitor_session_id": seen, "site_id": other}, "invalid_parameters_combination", "site_id"),
            (
                {"visitor_session_id": seen, "start_date_time": "2026-03-03 10:59:59"},
                "invalid_date_time",
                "start_date_time",
            ),
            ({"site_id": 1}, "entity_not_found", "site_id"),
            ({"campaign_id": -1}, "invalid_parameter_value", "campaign_id"),
            ({"messages": None}, "required_parameter_missed", "messages"),
            (
                {"messages": [{**message, "date_time": "2026-03-03 11:59:59"}]},
                "invalid_date_time",
                "messages.date_time",
            ),
            (
                {"messages": [{**message, "employee_id": None}]},
                "required_parameter_missed",
                "messages.employee_id",
            ),
            ({"messages": [{**message, "employee_id": 1}]}, "entity_not_found", "messages.employee_id"),
        ],
    )
    assert await client.one("select count(*) from chats") == 0
    client.with_components("va")
    assert await client.fault("upload.chats", chats=[chat(site)]) == ("method_component_disabled", None)


async def test_offline_messages_and_their_fields(client: DataApiClient) -> None:
    site = await make_site(client)
    field = {"ext_id": "sum", "name": "Contract value", "data_type": "numeric"}
    assert await client.do("create.offline_message_user_field", **field) == {"data": {"ext_id": "sum"}}
    assert (await client.fault("create.offline_message_user_field", **field))[0] == "duplicate_entity"
    renamed = await client.do("update.offline_message_user_field", ext_id="sum", name="Value")
    assert renamed == {"data": {"ext_id": "sum"}}
    assert await client.rows("get.offline_message_user_fields") == [{**field, "name": "Value"}]
    own = [{"ext_id": "sum", "value": "12.5"}]
    one, two, again = (
        await client.do(
            "upload.offline_messages",
            offline_messages=[
                note(site, ext_id="m1", user_fields=own, form_name="Footer"),
                note(site, phone=None, email="sam@example.com", date_time=None),
                note(site, ext_id="m1"),
            ],
        )
    )["data"]
    assert one == again != two
    fields = ["id", "properties", "communication_number"]
    [row] = await client.rows("get.offline_messages_report", **DAY, fields=fields)
    assert row == {"id": one["id"], "properties": "Value: 12.5", "communication_number": 1}
    assert await client.fault("delete.offline_message_user_field", ext_id="sum") == (
        "dependency_error",
        "ext_id",
    )
    assert await client.do("delete.offline_messages", id=one["id"]) == {"success": True}
    assert await client.fault("delete.offline_messages", id=one["id"]) == ("entity_not_found", "id")
    client.as_other_account()
    assert await client.rows("get.offline_message_user_fields") == []
    for method in ("update", "delete"):
        more = {"name": "X"} if method == "update" else {}
        answer = await client.fault(f"{method}.offline_message_user_field", ext_id="sum", **more)
        assert answer == ("entity_not_found", "ext_id")
    client.as_owner()
    assert await client.do("delete.offline_message_user_field", ext_id="sum") == {"data": {}}


async def test_offline_messages_refused(client: DataApiClient) -> None:
    site = await make_site(client)
    await client.do("create.offline_message_user_field", ext_id="sum", name="Sum", data_type="numeric")
    await refusals(
        client,
        "upload.offline_messages",
        "offline_messages",
        note(site),
        [
            ({"site_id": None}, "required_parameter_missed", "visitor_session_id"),
            ({"phone": None}, "required_parameter_missed", "phone"),
            ({"campaign_id": -1, "site_id": None}, "invalid_parameters_combination", "site_id"),
            ({"campaign_id": 1}, "entity_not_found", "campaign_id"),
            ({"date_time": "2126-01-01 00:00:00"}, "invalid_date_time", "date_time"),
            ({"user_fields": [{"ext_id": "none", "value": "1"}]}, "entity_not_found", "user_fields.ext_id"),
            (
                {"user_fields": [{"ext_id": "sum", "value": "much"}]},
                "invalid_parameter_value",
                "user_fields.value",
            ),
            (
                {"user_fields": [{"ext_id": "sum", "value": "nan"}]},
                "invalid_parameter_value",
                "user_fields.value",
            ),
        ],
    )
    await client.do("upload.offline_messages", offline_messages=[note(site, campaign_id=-1)])


async def test_emails(client: DataApiClient) -> None:
    site = await make_site(client)
    seen = await upload_visit(client, site)
    copies = {"email_to": None, "email_to_cc": ["cc@example.com"], "session_id": seen}
    sent = [
        letter(subject="Offer", sender_name="Sam"),
        {k: v for k, v in letter(**copies).items() if v is not None},
    ]
    ids = [row["id"] for row in (await client.do("upload.emails", emails=sent))["data"]]
    rows = await client.db.fetch_all(
        "select email_id, email_to, email_cc, contact_full_name, extra from emails order by 1"
    )
    assert [row["email_id"] for row in rows] == ids
    assert (rows[0]["contact_full_name"], rows[1]["email_cc"]) == ("Sam", ["cc@example.com"])
    assert rows[1]["extra"]["visitor_session_id"] == seen
    assert await client.do("upload.emails") == {"data": []}
    await refusals(
        client,
        "upload.emails",
        "emails",
        letter(),
        [
            ({"email_to": None}, "required_parameter_missed", "email_to"),
            ({"email_from": "sam"}, "invalid_parameter_value", "email_from"),
            ({"message": None}, "required_parameter_missed", "message"),
            ({"session_id": 1}, "entity_not_found", "session_id"),
            ({"site_id": 1}, "entity_not_found", "site_id"),
            ({"date_time": "2126-01-01 00:00:00"}, "invalid_date_time", "date_time"),
        ],
    )


async def test_visits(client: DataApiClient) -> None:
    site, other = await make_site(client), await make_site(client, "other.example")
    condition = {"type": "include", "campaign_parameter": "utm_source", "operator": "~", "value": "^let"}
    campaign = await client.one(
        "insert into campaigns (account_id, site_id, name, group_conditions) values (1001, %(site)s, 'Letters',"
        " jsonb_build_array(jsonb_build_object('conditions', jsonb_build_array(%(condition)s::jsonb))))"
        " returning campaign_id",
        {"site": site, "condition": json.dumps(condition)},
    )
    reported = (
        await client.do(
            "upload.sessions",
            sessions=[visit(site, "a", utm_source="letter"), visit(site, "b"), visit(site, "a")],
        )
    )["data"]
    assert [one["ext_id"] for one in reported] == ["a", "b", "a"]
    assert reported[0] == reported[2]
    rows = {row["ext_id"]: row for row in await client.rows("get.visitor_sessions_report", **DAY)}
    assert (rows["a"]["campaign_id"], rows["b"]["campaign_id"]) == (campaign, -1)
    visitor = rows["a"]["visitor_id"]
    await client.do("upload.sessions", sessions=[visit(site, "c", visitor_id=visitor, is_visitor_new=False)])
    await refusals(
        client,
        "upload.sessions",
        "sessions",
        visit(site, "bad"),
        [
            ({"ext_id": None}, "required_parameter_missed", "ext_id"),
            ({"site_id": 1}, "entity_not_found", "site_id"),
            ({"site_id": other, "visitor_id": visitor}, "entity_not_found", "visitor_id"),
            ({"site_id": other, "campaign_id": campaign}, "invalid_parameters_combination", "campaign_id"),
            ({"date_time": "2010-12-31 23:59:59"}, "invalid_date_time", "date_time"),
            ({"date_time": "2126-12-31 23:59:59"}, "invalid_date_time", "date_time"),
            ({"date_time": "2026-03-03 23:59:00", "duration": 60}, "invalid_date_time", "duration"),
            ({"visitor_ip_address": "here"}, "invalid_parameter_value", "visitor_ip_address"),
            ({"adv_system": 9}, "invalid_parameter_value", "adv_system"),
            ({"visitor_device": "watch"}, "invalid_parameter_value", "visitor_device"),
        ],
    )
    await client.db.execute("update campaigns set status = 'inactive' where campaign_id = %s", (campaign,))
    answer = await client.fault("upload.sessions", sessions=[visit(site, "bad", campaign_id=campaign)])
    assert answer == ("campaign_is_inactive", "sessions.campaign_id")
    client.as_other_account()
    assert OTHER_ACCOUNT != 1001
    assert await client.fault("upload.sessions", sessions=[visit(site, "a")]) == (
        "entity_not_found",
        "sessions.site_id",
    )
