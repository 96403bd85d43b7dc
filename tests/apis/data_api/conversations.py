"""Communications of all kinds as the uploads write them, for the tests of their reports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from tests.reports.lifelike import EMPLOYEES, insert
from trunkline.db.pool import Connection, Database

DAY = datetime(2026, 3, 2, 6, tzinfo=UTC)
"""10 o'clock in Dubai."""
PERIOD = {"date_from": "2026-03-02 00:00:00", "date_till": "2026-03-02 23:59:59"}
SITE = 16901
CAMPAIGN = 17901
VISIT = 50901
CHAT, MESSAGE, GOAL, EMAIL = 30901, 30902, 30903, 30904
PHONE = "971500000010"

PERSON = {"employee_id": 4001, "employee_full_name": EMPLOYEES[4001]}
TAG = {
    "tag_id": 12001,
    "tag_name": "vip",
    "tag_type": "manual",
    "tag_change_time": "2026-03-02T06:05:00Z",
    "tag_user_id": 2001,
    "tag_user_login": "captain",
    "tag_employee_id": None,
    "tag_employee_full_name": None,
}


async def store_conversations(db: Database, account_id: int) -> None:
    """A visit with a chat, a message and a goal of it; an e-mail and a technical message without."""
    own: dict[str, Any] = {"account_id": account_id}
    async with db.connection() as connection:
        await _directory(connection, own)
        visit = {
            "utm_source": "newsletter",
            "utm_referrer": "partner",
            "visitor_device": "mobile",
            "referrer": "https://news.example/x",
        }
        await insert(
            connection,
            "visitor_sessions",
            [
                {
                    **own,
                    "visitor_session_id": VISIT,
                    "ext_id": "visit-1",
                    "site_id": SITE,
                    "campaign_id": CAMPAIGN,
                    "visitor_id": 40901,
                    "date_time": DAY,
                    "duration": 90,
                    "hits": Jsonb([{"hit_time": "10:00:00", "hit_duration": "00:01:30", "hit_url": "/"}]),
                    "extra": Jsonb(visit),
                }
            ],
        )
        row = await (
            await connection.execute("select visit_of(%s, %s) as extra", (account_id, VISIT))
        ).fetchone()
        assert row is not None
        extra = Jsonb(row["extra"])
        contact = {
            "communication_number": 1,
            "contact_phone_number": PHONE,
            "contact_full_name": "Haddad Lena",
        }
        await insert(connection, "chats", [_chat(own, contact, extra)])
        await insert(connection, "chat_messages", _messages(own))
        await insert(connection, "offline_messages", _offline(own, contact, extra))
        await insert(
            connection,
            "goals",
            [
                {
                    **own,
                    "goal_id": GOAL,
                    "date_time": DAY + timedelta(minutes=3),
                    "name": "Price list",
                    "type": "click",
                    "source": "comagic",
                    "extra": extra,
                }
            ],
        )
        await insert(
            connection,
            "emails",
            [
                {
                    **own,
                    "email_id": EMAIL,
                    "date_time": DAY + timedelta(minutes=4),
                    "subject": "Order",
                    "message": "Two, please",
                    "email_from": "lena@example.com",
                    "email_to": "sales@example.com",
                    "email_cc": ["ben@example.com"],
                }
            ],
        )


async def _directory(connection: Connection, own: dict[str, Any]) -> None:
    await insert(
        connection,
        "sites",
        [
            {
                **own,
                "site_id": SITE,
                "domain_name": "www.shop.example",
                "name": "Shop",
                "industry_id": 1,
            }
        ],
    )
    await insert(
        connection,
        "campaigns",
        [{**own, "campaign_id": CAMPAIGN, "site_id": SITE, "name": "Spring", "cost_ratio": 2}],
    )
    await insert(
        connection,
        "campaign_costs",
        [
            {
                **own,
                "campaign_id": CAMPAIGN,
                "date_from": "2026-03-01",
                "date_till": "2026-03-10",
                "cost": 100,
            }
        ],
    )
    await insert(
        connection,
        "chat_channels",
        [{**own, "chat_channel_id": 60901, "name": "Shop window", "type": "comagic", "employee_id": 4001}],
    )


def _chat(own: dict[str, Any], contact: dict[str, Any], extra: Jsonb) -> dict[str, Any]:
    return {
        **own,
        **contact,
        "chat_id": CHAT,
        "ext_id": "chat-1",
        "status": "succeed",
        "initiator": "visitor",
        "date_time": DAY + timedelta(minutes=1),
        "finish_time": DAY + timedelta(minutes=6),
        "duration": 300,
        "answer_time": 20,
        "chat_channel_id": 60901,
        "chat_channel_type": "comagic",
        "messages_count": 2,
        "employee_messages_count": 1,
        **PERSON,
        "employees": Jsonb([{**PERSON, "is_answered": True, "is_talked": True}]),
        "group_name": "Front desk",
        "release_cause": "closed_by_visitor",
        "tags": Jsonb([TAG]),
        "attributes": ["first"],
        "extra": extra,
    }


def _messages(own: dict[str, Any]) -> list[dict[str, Any]]:
    first = DAY + timedelta(minutes=1)
    return [
        {**own, "chat_id": CHAT, "date_time": first, "source": "visitor", "text": "Hello"},
        {
            **own,
            "chat_id": CHAT,
            "date_time": first + timedelta(seconds=20),
            "source": "operator",
            "text": "Good day",
            **PERSON,
        },
    ]


def _offline(own: dict[str, Any], contact: dict[str, Any], extra: Jsonb) -> list[dict[str, Any]]:
    common = {**own, "date_time": DAY + timedelta(minutes=2), "form_name": "Call me"}
    return [
        {
            **common,
            **contact,
            "offline_message_id": MESSAGE,
            "text": "Please call",
            "contact_email": "lena@example.com",
            "visitor_name": "Lena",
            "communication_number": 2,
            "extra": extra,
        },
        {**common, "offline_message_id": MESSAGE + 10, "is_tech": True},
    ]
