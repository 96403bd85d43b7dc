"""``get.offline_messages_report``: what visitors left in forms.

Behaviour that the reference leaves open: a message's ``communication_id`` is its ``id``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.db.query import Listing, Page
from trunkline.db.query.columns import boolean, enum, number, optional_text, string, time
from trunkline.reports.chats import PHONE_AS_NUMBER
from trunkline.reports.fields import TAGS, attributes, catalogue, pick
from trunkline.reports.period import date_condition
from trunkline.reports.reader import Reader
from trunkline.reports.visit import VISIT, sale, visitor_type

STATUSES = ("processing", "processed", "not_processed")
FORM_TYPES = ("Custom", "Standard", "DataAPI")

_MESSAGE = catalogue(
    number("id", "s.offline_message_id"),
    time("date_time", "s.date_time"),
    optional_text("text", "s.text"),
    number("communication_number", "s.communication_number"),
    enum("communication_type", "'offline_message'::text", enum=("offline_message",)),
    number("communication_id", "s.offline_message_id"),
    boolean("is_agree_to_process_personal_data", "s.is_agree_to_process_personal_data"),
    boolean("is_agree_to_mailing", "s.is_agree_to_mailing"),
    enum("status", "s.status", enum=STATUSES),
    time("process_time", "s.process_time"),
    enum("form_type", "s.form_type", enum=FORM_TYPES),
    string("form_name", "s.form_name"),
    string("properties", "s.properties"),
    number("group_id", "s.group_id"),
    string("group_name", "s.group_name"),
    number("employee_id", "s.employee_id"),
    string("employee_full_name", "s.employee_full_name"),
    string("employee_answer_message", "s.employee_answer_message"),
    string("employee_comment", "s.employee_comment"),
    number("visitor_phone_number", PHONE_AS_NUMBER),
    string("visitor_email", "s.contact_email"),
    string("visitor_name", "s.visitor_name"),
    visitor_type("new", "returning", "unknown"),
    string("ext_id", "s.ext_id"),
    TAGS,
    attributes(),
)

OFFLINE_MESSAGES = Listing(
    name="offline_messages",
    table="offline_messages s",
    where="s.account_id = %(account_id)s",
    order="s.date_time, s.offline_message_id",
    columns=pick(
        "get.offline_messages_report",
        {**VISIT, **sale("'offline_message'", "s.offline_message_id"), **_MESSAGE},
        "utm_referrer:f",
    ),
)

_CONDITION = f"{date_condition('s')} and (%(include_tech)s or not s.is_tech)"


async def offline_messages_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of messages left in a period."""
    tech = bool(params.get("include_tech_offline_messages"))
    return await reader.report(OFFLINE_MESSAGES, params, _CONDITION, {"include_tech": tech})
