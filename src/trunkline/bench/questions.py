"""Typical report requests, each with the best hand-written SQL for the same result.

The SQL may use all properties of the data: the time in ids, the indexes, and the parts that the result may leave
uncounted. Where a plain statement was as fast as a clever one, it is the plain one.
"""

# ruff: noqa: S608 - consists of constants

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from trunkline.bench.synthetic import FIRST_EMPLOYEE, FIRST_SCENARIO, FIRST_TAG, contacts
from trunkline.core.ids import first_id_at

ZONE = ZoneInfo("Asia/Dubai")
EMPLOYEE, TAG, SCENARIO = FIRST_EMPLOYEE + 17, FIRST_TAG + 9, FIRST_SCENARIO + 5
_COUNTED = ("true", "is_lost")
"""Conditions that the counts by the hour (table ``call_counts``) distinguish."""
_MARGIN = timedelta(days=1)
"""Between the time inside an id and the time of a row."""

_TAGS = """(select coalesce(jsonb_agg(t.item || jsonb_build_object('tag_change_time',
    to_char((t.item ->> 'tag_change_time')::timestamptz at time zone 'Asia/Dubai', 'YYYY-MM-DD HH24:MI:SS'))
    order by t.position), '[]') from jsonb_array_elements(tags) with ordinality as t(item, position))"""
_RECORDS = """coalesce((select jsonb_agg(recording_id order by created_at, recording_id) from recordings r
    where r.account_id = s.account_id and r.call_session_id = s.call_session_id and kind = 'talk' and status = 'ready'
    and mp3_path is not null), '[]')"""
_START = "to_char(start_time at time zone 'Asia/Dubai', 'YYYY-MM-DD HH24:MI:SS')"

CALL_FIELDS: Mapping[str, str] = {
    "id": "call_session_id", "start_time": _START, "direction": "direction", "is_lost": "is_lost",
    "finish_reason": "finish_reason", "contact_phone_number": "contact_phone_number",
    "contact_full_name": "contact_full_name", "virtual_phone_number": "virtual_phone_number",
    "talk_duration": "talk_duration", "total_duration": "total_duration", "scenario_name": "scenario_name",
    "employees": "employees", "tags": _TAGS, "call_records": _RECORDS,
}  # fmt: skip
LEG_FIELDS: Mapping[str, str] = {
    "id": "leg_id", "call_session_id": "call_session_id", "start_time": _START, "duration": "duration",
    "total_duration": "total_duration", "finish_reason": "finish_reason", "direction": "direction",
    "employee_id": "employee_id", "employee_full_name": "employee_full_name", "is_talked": "is_talked",
    "calling_phone_number": "calling_phone_number", "virtual_phone_number": "virtual_phone_number",
}  # fmt: skip
MONEY_FIELDS: Mapping[str, str] = {
    "leg_id": "leg_id", "call_session_id": "call_session_id", "start_time": _START, "direction": "direction",
    "source": "source", "calling_phone_number": "calling_phone_number", "called_phone_number": "called_phone_number",
    "duration": "duration", "chargeable_duration": "chargeable_duration", "direction_type": "direction_type",
    "cost_per_minute": "cost_per_minute", "total_charge": "total_charge",
}  # fmt: skip
_REPORTS: Mapping[str, tuple[str, str, Mapping[str, str]]] = {
    "get.calls_report": ("call_sessions", "call_session_id", CALL_FIELDS),
    "get.call_legs_report": ("call_legs", "leg_id", LEG_FIELDS),
    "get.financial_call_legs_report": ("leg_charges", "leg_id", MONEY_FIELDS),
}
"""Table, its key, and the format of fields."""


@dataclass(frozen=True)
class Question:
    """One request, and its hand-written statements.

    :ivar params: of the method, without ``access_token``.
    :ivar rows: yields the rows as one JSON array and how many they are.
    :ivar count: yields how many match in all; needed only for a full page.
    """

    name: str
    method: str
    params: Mapping[str, Any]
    rows: str
    count: str


@dataclass(frozen=True)
class _Period:
    """Whole days of :data:`ZONE`, the last one included."""

    first: datetime
    last: datetime

    @property
    def params(self) -> dict[str, str]:
        return {"date_from": f"{self.first:%Y-%m-%d} 00:00:00", "date_till": f"{self.last:%Y-%m-%d} 23:59:59"}

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """Half-open, in UTC."""
        return self.first.astimezone(UTC), (self.last + timedelta(days=1)).astimezone(UTC)

    @property
    def sql(self) -> str:
        start, end = self.bounds
        ids = [first_id_at(int(moment.timestamp() * 1000)) for moment in (start - _MARGIN, end + _MARGIN)]
        return (
            f"start_time >= '{start.isoformat()}' and start_time < '{end.isoformat()}'"
            f" and call_session_id >= {ids[0]} and call_session_id < {ids[1]}"
        )


def questions(account_id: int, sessions: int, now: datetime) -> list[Question]:
    """What is asked of an account with so many sessions, the last of them at ``now``."""
    today = now.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0)
    day = _Period(today - timedelta(days=1), today - timedelta(days=1))
    week = _Period(today - timedelta(days=7), today - timedelta(days=1))
    month_end = today.replace(day=1) - timedelta(days=1)
    month = _Period(month_end.replace(day=1), month_end)
    quarter = _Period(today - timedelta(days=85), today)
    contact = f"999{contacts(sessions) // 1000:09}"

    def calls(
        name: str, period: _Period, field: str, value: Any, sql: str, operator: str = "=", **more: Any
    ) -> Question:
        condition = {"filter": {"field": field, "operator": operator, "value": value}} if field else {}
        return _question(account_id, name, "get.calls_report", period, {**condition, **more}, sql)

    def legs(name: str, period: _Period, sql: str, order: str = "", **more: Any) -> Question:
        return _question(account_id, name, "get.call_legs_report", period, more, sql, order)

    def money(name: str, period: _Period, sql: str, order: str = "", **more: Any) -> Question:
        return _question(account_id, name, "get.financial_call_legs_report", period, more, sql, order)

    return [
        calls("a day by employee", day, "employee_id", EMPLOYEE, f"employees @> '[{{\"employee_id\": {EMPLOYEE}}}]'"),
        calls("lost calls of a month", month, "is_lost", True, "is_lost"),
        calls("a contact's number, 12 weeks", quarter, "contact_phone_number", contact,
              f"contact_phone_number = '{contact}'"),
        calls("a tag in a month", month, "tags", TAG, f"tags @> '[{{\"tag_id\": {TAG}}}]'"),
        calls("first page of a month", month, "", None, "true"),
        calls("last page", month, "", None, "true", limit=100, offset=min(sessions // 24 * 9 // 10, 99_900)),
        calls("count only, a month", month, "", None, "true", limit=0),
        calls("part of a name in a month", month, "contact_full_name", "%tact 12%", "contact_full_name like '%tact 12%'",
              "like", limit=100),
        calls("a scenario in a week", week, "scenario_id", SCENARIO, f"scenario_id = {SCENARIO}"),
        legs("longest talks of a month", month, "true", "duration desc, ", limit=100,
             sort=[{"field": "duration", "order": "desc"}]),
        legs("legs of an employee in a day", day, f"employee_id = {EMPLOYEE}",
             filter={"field": "employee_id", "operator": "=", "value": EMPLOYEE}),
        money("what a day's calls out cost", day, "direction = 'out' and total_charge > 0", filter={
            "filters": [{"field": "direction", "operator": "=", "value": "out"},
                        {"field": "total_charge", "operator": ">", "value": 0}]}),
        money("dearest legs of a month", month, "true", "total_charge desc, ", limit=100,
              sort=[{"field": "total_charge", "order": "desc"}]),
    ]  # fmt: skip


def _question(
    account_id: int,
    name: str,
    method: str,
    period: _Period,
    more: dict[str, Any],
    condition: str,
    order: str = "",
) -> Question:
    table, key, fields = _REPORTS[method]
    is_calls, counted = table == "call_sessions", condition
    if table != "leg_charges":
        condition = f"finish_time is not null and {condition}"
    limit, offset = more.get("limit", 1000), more.get("offset", 0)
    where = f"account_id = {account_id} and {period.sql} and {condition}"
    page = (
        f"select * from {table} where {where} order by {order}start_time, {key} limit {limit} offset {offset}"
    )
    if offset or order:
        keys = "call_session_id" if is_calls else "call_session_id, leg_id"
        page = (
            f"select t.* from (select {keys} from {table} where {where} order by {order}start_time, {key} limit {limit}"
            f" offset {offset}) k join {table} t using ({keys}) where t.account_id = {account_id}"
            f" and {period.sql.replace('start_time', 't.start_time').replace('call_session_id', 't.call_session_id')}"
        )
    columns = ", ".join(f"{sql} as {field}" for field, sql in fields.items())
    shown = f"select {columns} from ({page}) s order by {order}s.start_time, s.{key}"
    return Question(
        name,
        method,
        {**period.params, "fields": list(fields), **more},
        f"select string_agg(row_to_json(r)::text, ','), count(*) from ({shown}) r",
        _counted(account_id, period, counted)
        if is_calls and counted in _COUNTED
        else f"select count(*) from {table} where {where}",
    )


def _counted(account_id: int, period: _Period, condition: str) -> str:
    """From the counts by the hour, which whole days of this zone are made of."""
    start, end = period.bounds
    return (
        f"select sum(sessions)::bigint from call_counts where account_id = {account_id} and hour >= '{start.isoformat()}'"
        f" and hour < '{end.isoformat()}' and is_finished and {condition}"
    )
