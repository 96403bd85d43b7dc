"""``get.communications_report``: calls, chats, offline messages and goals in one list; and the union behind it.

The kinds are joined by a plain ``union all`` without further conditions. PostgreSQL then treats them as parts of one
table: the period, the account and the filter reach the indexes of each kind, a kind that the filter excludes is not
read at all, and a page in order of time is merged from the heads of the indexes, for any length of the period.
A condition inside an arm, or columns of differing types, would undo this.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from trunkline.db.query import Listing, Page
from trunkline.db.query.columns import Rollup, enum, number, time
from trunkline.reports.fields import TAGS, attributes, catalogue, pick
from trunkline.reports.period import date_condition
from trunkline.reports.reader import Reader
from trunkline.reports.visit import TARGET_CALL, VISIT, sale, visitor_type


class Kind(StrEnum):
    """Kinds of communications, by their wire names."""

    CALL = "call"
    CHAT = "chat"
    OFFLINE_MESSAGE = "offline_message"
    GOAL = "goal"
    EMAIL = "email"


REPORTED = (Kind.CHAT, Kind.CALL, Kind.GOAL, Kind.OFFLINE_MESSAGE)
"""Those of ``get.communications_report``."""

TABLES: Mapping[Kind, tuple[str, str, str]] = {
    Kind.CALL: ("call_sessions", "call_session_id", "start_time"),
    Kind.CHAT: ("chats", "chat_id", "date_time"),
    Kind.OFFLINE_MESSAGE: ("offline_messages", "offline_message_id", "date_time"),
    Kind.GOAL: ("goals", "goal_id", "date_time"),
    Kind.EMAIL: ("emails", "email_id", "date_time"),
}
"""Table, its id and its time."""

_COMMON = "account_id communication_number contact_id contact_full_name contact_phone_number employees tags attributes extra"

_OWN: Mapping[str, tuple[str, Mapping[Kind, str]]] = {
    "is_counted": ("boolean", {Kind.CALL: "finish_time is not null", Kind.OFFLINE_MESSAGE: "not is_tech"}),
    "virtual_number_id": ("bigint", {Kind.CALL: "virtual_number_id"}),
    "virtual_phone_number": ("text", {Kind.CALL: "virtual_phone_number"}),
    "region_name": ("text", {Kind.CALL: "region_name"}),
    "direction": ("text", {Kind.CALL: "direction"}),
    "source": ("text", {Kind.CALL: "source"}),
    "is_lost": ("boolean", {Kind.CALL: "is_lost"}),
    "talk_duration": ("int", {Kind.CALL: "talk_duration"}),
    "duration": ("int", {Kind.CALL: "total_duration", Kind.CHAT: "duration"}),
    "status": ("text", {Kind.CHAT: "status", Kind.OFFLINE_MESSAGE: "status"}),
    "initiator": ("text", {Kind.CHAT: "initiator"}),
    "messages_count": ("int", {Kind.CHAT: "messages_count"}),
    "type": ("text", {Kind.OFFLINE_MESSAGE: "form_type", Kind.GOAL: "type"}),
    "name": ("text", {Kind.OFFLINE_MESSAGE: "visitor_name", Kind.GOAL: "name"}),
    "contact_email": ("text", {Kind.CHAT: "contact_email", Kind.OFFLINE_MESSAGE: "contact_email"}),
    "text": ("text", {Kind.OFFLINE_MESSAGE: "text", Kind.EMAIL: "message"}),
    "html": ("text", {Kind.EMAIL: "message_html"}),
    "subject": ("text", {Kind.EMAIL: "subject"}),
    "email_from": ("text", {Kind.EMAIL: "email_from"}),
    "email_to": ("text", {Kind.EMAIL: "email_to"}),
    "email_cc": ("text[]", {Kind.EMAIL: "email_cc"}),
    "email_bcc": ("text[]", {Kind.EMAIL: "email_bcc"}),
}
"""What only some kinds have: its type, and what it is there."""


def union(kinds: tuple[Kind, ...]) -> str:
    """SQL of all communications of these kinds; it binds neither account nor period.

    Columns: ``kind``, ``id``, ``date_time``, what all have in common, and what is null for most kinds. ``call_id`` is
    the call's id, by which its month is found; the others have the bound of the period there. ``start_time`` is
    ``date_time`` again, under the name that totals use.
    """
    return "(" + " union all ".join(_arm(kind) for kind in kinds) + ")"


def _arm(kind: Kind) -> str:
    table, key, moment = TABLES[kind]
    call_id = key if kind is Kind.CALL else "%(first_id)s::bigint"
    columns = [
        f"'{kind}'::text as kind",
        f"{key} as id",
        f"{call_id} as call_id",
        f"{moment} as date_time",
        f"{moment} as start_time",
        *_COMMON.split(),
        *(f"{_own(name, kind, type)} as {name}" for name, (type, _) in _OWN.items()),
    ]
    return f"select {', '.join(columns)} from {table}"


def _own(name: str, kind: Kind, type: str) -> str:
    sql = _OWN[name][1].get(kind)
    if sql is None:
        return "true" if name == "is_counted" else f"null::{type}"
    return sql


def rollup(kinds: tuple[Kind, ...]) -> Rollup:
    """Counts of these kinds: calls by the hour, the few others one by one."""
    calls = "select account_id, 'call'::text as kind, hour, sessions as rows, is_finished as is_counted from call_counts"
    others = [
        f"select account_id, '{kind}'::text as kind, date_time as hour, 1 as rows,"
        f" {_own('is_counted', kind, 'boolean')} as is_counted from {TABLES[kind][0]}"
        for kind in kinds
        if kind is not Kind.CALL
    ]
    return Rollup(
        table=f"({' union all '.join([calls, *others])}) s",
        hour="s.hour",
        rows="s.rows",
        where="s.account_id = %(account_id)s and s.is_counted",
        columns=frozenset({"s.kind"}),
    )


IN_PERIOD = f"{date_condition('s')} and s.call_id >= %(first_id)s and s.call_id < %(end_id)s and s.is_counted"
"""Communications of a period: calls that are over, no technical messages."""


def of_visit(alias: str, date_time: str) -> str:
    """SQL of the communications that resulted from a visitor session, as a JSON array in order of time.

    :param alias: of the row of ``visitor_sessions``.
    :param date_time: SQL that shows ``c.date_time``.
    """
    arms = " union all ".join(
        f"select '{kind}'::text as kind, t.{key} as id, t.{moment} as date_time from {table} t"
        f" where t.account_id = {alias}.account_id and t.extra ? 'visitor_session_id'"
        f" and t.extra ->> 'visitor_session_id' = {alias}.visitor_session_id::text"
        for kind, (table, key, moment) in ((kind, TABLES[kind]) for kind in REPORTED)
    )
    return (
        "(select jsonb_agg(jsonb_build_object('communication_type', c.kind, 'communication_id', c.id,"
        f" 'communication_date_time', {date_time}) order by c.date_time, c.id) from ({arms}) c)"
    )


LOST = "(s.is_lost or (s.kind = 'chat' and s.status = 'lost'))"

_COMMUNICATION = catalogue(
    number("id", "s.id"),
    enum("communication_type", "s.kind", enum=tuple(REPORTED)),
    number("communication_number", "s.communication_number"),
    time("date_time", "s.date_time"),
    visitor_type("new", "returning", "unknown"),
    TAGS,
    attributes(LOST, TARGET_CALL),
)

COMMUNICATIONS = Listing(
    name="communications",
    table=f"{union(REPORTED)} s",
    where="s.account_id = %(account_id)s",
    order="s.date_time, s.id",
    rollup=rollup(REPORTED),
    columns=pick("get.communications_report", {**VISIT, **sale("s.kind", "s.id"), **_COMMUNICATION}),
)


async def communications_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of communications of a period."""
    return await reader.report(COMMUNICATIONS, params, IN_PERIOD)
