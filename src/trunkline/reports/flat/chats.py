"""``get.chats``: chats as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.db.query import Listing, Page
from trunkline.db.query.columns import array, boolean, duration, number, string, time
from trunkline.reports.chats import CHANNEL_NAME, CHANNEL_TYPES, INITIATORS, STATUSES
from trunkline.reports.comments import newest
from trunkline.reports.fields import attributes, catalogue, choice, names_of, pick, text_id
from trunkline.reports.flat.common import EMPLOYEES, YEAR, tags_of
from trunkline.reports.period import date_condition
from trunkline.reports.reader import Reader
from trunkline.reports.visit import VISIT

_CLOSED_BY = (
    "case s.release_cause when 'closed_by_operator' then 'operator'"
    " when 'closed_by_visitor' then 'visitor' when 'visitor_disconnected' then 'visitor'"
    " when 'invite_rejected' then 'visitor' else case when s.release_cause is not null then 'system' end end"
)

_CHAT = catalogue(
    text_id("communication_id", "s.chat_id"),
    text_id("phone_book_contact_id", "s.contact_id"),
    string("contact_full_name", "s.contact_full_name"),
    string("contact_phone_number", "s.contact_phone_number"),
    EMPLOYEES,
    number("chat_messages_count", "s.messages_count"),
    string("employees_group", "s.group_name"),
    choice("chat_status", "s.status", names_of(STATUSES)),
    time("chat_start_date_time", "s.date_time"),
    time("chat_finish_date_time", "s.finish_time"),
    duration("chat_answer_wait_duration", "s.answer_time"),
    duration("chat_duration", "s.duration"),
    choice("chat_initiator", "s.initiator", names_of(INITIATORS)),
    choice("chat_closed_by", _CLOSED_BY, names_of(("operator", "visitor", "system"))),
    array("communication_kinds", attributes("s.status = 'lost'").sql),
    boolean("chat_is_transfer", "s.is_transfer"),
    tags_of("'chat'", "s.chat_id"),
    choice("chat_channel_type", "s.chat_channel_type", names_of(CHANNEL_TYPES)),
    string("chat_channel_name", CHANNEL_NAME),
    string("communication_comment", newest("comment", "'chat'", "s.chat_id")),
)

CHATS = Listing(
    name="flat_chats",
    table="chats s",
    where="s.account_id = %(account_id)s",
    order="s.date_time, s.chat_id",
    columns=pick("get.chats", {**VISIT, **_CHAT}),
)


async def chats(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of ``get.chats``."""
    return await reader.report(CHATS, params, date_condition("s"), longest=YEAR)
