"""``get.communications``: all communications, e-mails among them, as a person reads them.

What a kind of communication does not have is null. Deals and advertising systems are not connected: their fields are
empty unless an upload brought them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.db.query import ColumnType, Listing, Page
from trunkline.db.query.columns import array, nested, number, string, time
from trunkline.reports.chats import INITIATORS, STATUSES
from trunkline.reports.communications import IN_PERIOD, LOST, Kind, rollup, union
from trunkline.reports.fields import attributes, catalogue, choice, names_of, pick, text_id, yes_or_no
from trunkline.reports.flat.common import (
    CALL_STATUSES,
    CALL_TYPES,
    DIRECTIONS,
    EMPLOYEES,
    KINDS,
    SEGMENTS,
    YEAR,
    calendar_of,
    listed,
    records_of,
    tags_of,
)
from trunkline.reports.goals import TYPES
from trunkline.reports.offline_messages import FORM_TYPES
from trunkline.reports.reader import Reader
from trunkline.reports.visit import DEVICES, TARGET_CALL, VISIT, extra_text, extra_time, visitor_type

_STRING = ColumnType.STRING


def _of(kind: Kind, sql: str) -> str:
    """SQL that is null for communications of other kinds."""
    return f"case when s.kind = '{kind}' then {sql} end"


_TRACKING = _of(
    Kind.CALL,
    "(select nullif(v.type, 'va') from virtual_numbers v"
    " where v.account_id = s.account_id and v.virtual_number_id = s.virtual_number_id)",
)
VISITOR_TYPES = {"new": "New", "returning": "Returning", "unknown": "Unknown"}
VISITOR_TYPE = visitor_type(*VISITOR_TYPES).sql

_COMMUNICATION = catalogue(
    choice("communication_type", "s.kind", KINDS),
    text_id("communication_id", "s.id"),
    time("communication_date_time", "s.date_time"),
    array("communication_kinds", attributes(LOST, TARGET_CALL).sql),
    yes_or_no("is_communication_with_visit", "(s.extra ? 'visitor_session_id')"),
    number("communication_number", "s.communication_number"),
    string("contact_phone_number", "s.contact_phone_number"),
    string("virtual_phone_number", "s.virtual_phone_number"),
    string("contact_full_name", "coalesce(s.contact_full_name, s.name)"),
    number("total_duration", "s.duration"),
    tags_of("s.kind", "s.id"),
    EMPLOYEES,
    SEGMENTS,
    string("channel", extra_text("channel")),
    string("source", extra_text("source")),
    choice("visitor_device", extra_text("visitor_device"), names_of(DEVICES)),
    choice("visitor_type", VISITOR_TYPE, VISITOR_TYPES),
    *calendar_of(extra_time("visit_time")),
    choice("call_type", "s.source", CALL_TYPES),
    choice(
        "call_status", _of(Kind.CALL, "case when s.is_lost then 'lost' else 'received' end"), CALL_STATUSES
    ),
    choice("call_direction", "s.direction", DIRECTIONS),
    choice("phone_tracking_type", _TRACKING, CALL_TYPES),
    string("call_region_name", "s.region_name"),
    records_of(_of(Kind.CALL, "s.id")),
    choice("offline_message_type", _of(Kind.OFFLINE_MESSAGE, "s.type"), names_of(FORM_TYPES)),
    string("offline_message_email", _of(Kind.OFFLINE_MESSAGE, "s.contact_email")),
    string("offline_message_text", _of(Kind.OFFLINE_MESSAGE, "s.text")),
    choice("chat_initiator", "s.initiator", names_of(INITIATORS)),
    choice("chat_status", _of(Kind.CHAT, "s.status"), names_of(STATUSES)),
    number("chat_messages_count", "s.messages_count"),
    choice("goal_type", _of(Kind.GOAL, "s.type"), names_of(TYPES)),
    string("goal_name", _of(Kind.GOAL, "s.name")),
    array(
        "deals",
        "null::jsonb",
        nested=nested(ext_id=_STRING, date_time=ColumnType.ISO8601, current_stage=_STRING),
    ),
    string("email_message", _of(Kind.EMAIL, "s.text")),
    string("email_from", "s.email_from"),
    string("email_to", "s.email_to"),
    array("email_cc", "to_jsonb(s.email_cc)"),
    array("email_bcc", "to_jsonb(s.email_bcc)"),
    string("email_message_html", "s.html"),
    string("email_subject", "s.subject"),
    choice("site_analytics", extra_text("site_analytics"), {}),
    *(string(name, extra_text(name)) for name in ("pc", "gr", "ad", "kw")),
)

COMMUNICATIONS = Listing(
    name="flat_communications",
    table=f"{union(tuple(Kind))} s",
    where="s.account_id = %(account_id)s",
    order="s.date_time, s.id",
    rollup=rollup(tuple(Kind)),
    columns=pick("get.communications", {**VISIT, **_COMMUNICATION}),
)


async def communications(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of ``get.communications``."""
    return await reader.report(COMMUNICATIONS, listed(params), IN_PERIOD, longest=YEAR)
