"""``get.chats_report``, ``get.chat_messages_report`` and ``get.chat_channels``.

Behaviour that the reference leaves open: a chat's ``communication_id`` is its ``id``; ``duration`` is a text of
seconds, as its table says, sorted as the number it is; ``visitor_ids`` has the one visitor that is
known; messages without ``sort`` come in the order in which they were sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.contract.columns import field, listed, optional_field
from trunkline.core.errors import InvalidInput
from trunkline.db.query import Column, ColumnType, Listing, Page
from trunkline.db.query.columns import array, boolean, enum, number, string, time
from trunkline.reports.fields import TAGS, attributes, catalogue, pick
from trunkline.reports.period import Span, date_condition
from trunkline.reports.reader import Reader
from trunkline.reports.visit import DEVICES, VISIT, extra_number, extra_text, sale, visitor_type

STATUSES = ("new", "active", "lost", "succeed", "refused")
INITIATORS = ("operator", "visitor", "autoinvite", "chat_channel", "chatbot")
CHANNEL_TYPES = (
    "comagic",
    "yandex.dialogs",
    "dataapi",
    "whatsapp",
    "telegram",
    "vkontakte_groups",
    "viber",
    "telegram_private",
    "realty_yandex",
    "avito",
    "auto_ru",
    "facebook",
    "offline_message",
    "instagram",
    "sms",
    "email",
    "cian",
    "max_bot",
    "tamtam_bot",
    "max",
    "sms_mass_messaging_uae",
    "sms_mass_messaging_international",
    "waba",
)
CHANNEL_STATUSES = ("active", "deleted", "error", "idle", "inactive", "init")
RELEASE_CAUSES = (
    "closed_by_timeout",
    "invite_rejected",
    "closed_by_operator",
    "closed_by_visitor",
    "visitor_banned",
    "external_window_closed",
    "visitor_disconnected",
    "visitor_session_expired",
    "closed_by_scenario",
    "room_removed",
    "channel_removed",
)
MESSAGE_SOURCES = (
    "system",
    "operator",
    "visitor",
    "retention",
    "autoinvite",
    "form_text",
    "chat_channel",
    "chatbot",
)
MESSAGES_PERIOD = Span(days=30)

PHONE_AS_NUMBER = "case when s.contact_phone_number ~ '^[0-9]+$' then s.contact_phone_number::numeric end"

CHANNEL_NAME = (
    "(select c.name from chat_channels c"
    " where c.account_id = s.account_id and c.chat_channel_id = s.chat_channel_id)"
)

_CHAT = catalogue(
    number("id", "s.chat_id"),
    enum("status", "s.status", enum=STATUSES),
    enum("initiator", "s.initiator", enum=INITIATORS),
    time("date_time", "s.date_time"),
    string("duration", "s.duration::text", plain=Column("duration", ColumnType.NUMBER, "s.duration")),
    number("answer_time", "s.answer_time"),
    number("communication_number", "s.communication_number"),
    number("communication_id", "s.chat_id"),
    enum("communication_type", "'chat'::text", enum=("chat",)),
    string("chat_ad_url", "s.chat_ad_url"),
    number("chat_channel_id", "s.chat_channel_id"),
    enum("chat_channel_type", "s.chat_channel_type", enum=CHANNEL_TYPES),
    string("chat_channel_name", CHANNEL_NAME),
    string("chat_user_id", "s.chat_user_id"),
    string("chat_username", "s.chat_username"),
    number("messages_count", "s.messages_count"),
    boolean("is_group_chat", "s.is_group_chat"),
    boolean("is_transfer", "s.is_transfer"),
    enum("release_cause", "s.release_cause", enum=RELEASE_CAUSES),
    number("employee_id", "s.employee_id"),
    string("employee_full_name", "s.employee_full_name"),
    number("employee_raiting", "s.employee_rating"),
    number("employee_messages_count", "s.employee_messages_count"),
    number("visitor_phone_number", PHONE_AS_NUMBER),
    array(
        "visitor_ids",
        f"case when s.extra ? 'visitor_id' then jsonb_build_array({extra_number('visitor_id')}) end",
    ),
    visitor_type("new", "returning", "unknown"),
    enum("visitor_device", extra_text("visitor_device"), enum=(*DEVICES, "mobiletablet")),
    string("ext_id", "s.ext_id"),
    TAGS,
    attributes("s.status = 'lost'"),
)

CHATS = Listing(
    name="chats",
    table="chats s",
    where="s.account_id = %(account_id)s",
    order="s.date_time, s.chat_id",
    columns=pick("get.chats_report", {**VISIT, **sale("'chat'", "s.chat_id"), **_CHAT}, "utm_referrer:f"),
)


async def chats_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of chats that began in a period."""
    return await reader.report(CHATS, params, date_condition("s"))


MESSAGES = Listing(
    name="chat_messages",
    table="chat_messages s",
    joins="left join chats c on c.account_id = s.account_id and c.chat_id = s.chat_id",
    where="s.account_id = %(account_id)s",
    order="s.date_time, s.chat_message_id",
    columns=listed(
        "get.chat_messages_report",
        field("id", "s.chat_message_id"),
        field("chat_id", "s.chat_id"),
        field("channel_id", "c.chat_channel_id"),
        field("channel_type", "c.chat_channel_type", enum=CHANNEL_TYPES),
        field("date_time", "s.date_time"),
        field("is_group_chat", "c.is_group_chat"),
        field("visitor_id", extra_number("visitor_id").replace("s.extra", "c.extra")),
        optional_field("text", "s.text"),
        field("source", "s.source"),
        field("resource", "s.resource"),
        field("employee_id", "s.employee_id"),
        field("employee_full_name", "s.employee_full_name"),
    ),
)

_OF_CHATS = "s.chat_id = any(%(chat_ids)s)"


async def chat_messages_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of messages: of the chats ``chat_id`` and ``chat_ids``, of a period of at most 30 days, or of both.

    :raises InvalidInput: ``required_parameter_missed``: neither chats nor a whole period is named.
    """
    chats = [*params.get("chat_ids", ())]
    if params.get("chat_id") is not None:
        chats.append(params["chat_id"])
    values = {"chat_ids": chats}
    if params.get("date_from") is None and params.get("date_till") is None:
        if not chats:
            raise InvalidInput(
                "name chats or a period", mnemonic="required_parameter_missed", field="chat_id"
            )
        return await reader.list(MESSAGES, params, _OF_CHATS, values)
    condition = f"{date_condition('s')} and {_OF_CHATS}" if chats else date_condition("s")
    return await reader.report(MESSAGES, params, condition, values, MESSAGES_PERIOD)


CHANNELS = Listing(
    name="chat_channels",
    table="chat_channels s",
    where="s.account_id = %(account_id)s",
    order="s.chat_channel_id",
    columns=listed(
        "get.chat_channels",
        field("id", "s.chat_channel_id"),
        field("name", "s.name"),
        field("type", "s.type", enum=CHANNEL_TYPES),
        enum("status", "s.status", "default", enum=CHANNEL_STATUSES),
        field("group_id", "s.group_id"),
        field(
            "group_name",
            "(select g.name from employee_groups g"
            " where g.account_id = s.account_id and g.group_id = s.group_id)",
        ),
        field("employee_id", "s.employee_id"),
        field(
            "employee_full_name",
            "(select e.full_name from employees e"
            " where e.account_id = s.account_id and e.employee_id = s.employee_id)",
        ),
        field("channel_external_id", "s.external_id"),
    ),
)
