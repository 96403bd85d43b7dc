"""What the flat reports share: the period, the parameters, and columns that several of them have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.db.query import Column, ColumnType
from trunkline.db.query.columns import array, nested, string, structure, time
from trunkline.reports.calls import recordings
from trunkline.reports.fields import TAGS, choice, names_of
from trunkline.reports.period import Span
from trunkline.reports.visit import VISIT

_STRING = ColumnType.STRING
_NUMBER = ColumnType.NUMBER

YEAR = Span(days=366)

DIRECTIONS = {"in": "Incoming", "out": "Outgoing"}
CALL_STATUSES = {"lost": "Lost", "received": "Received"}
KINDS = {
    "call": "Call",
    "chat": "Chat",
    "offline_message": "Offline message",
    "goal": "Goal",
    "email": "E-mail",
}
CALL_TYPES = {
    **names_of(
        (
            "call_tracking",
            "dynamic_call_tracking",
            "lead",
            "private_number",
            "progressive_call",
            "partner_integration",
            "preserved_calls",
        )
    ),
    "va": "To a virtual number",
    "sip": "From a SIP line",
    "callapi": "By API",
    "callapi_management_call": "By API",
    "callapi_informer_call": "Message by API",
    "callapi_scenario_call": "Scenario by API",
    "sitephone": "From a site",
    "sip_trunk": "SIP trunk",
    "auto_back_call_by_lost_call": "Call back after a lost call",
    "auto_back_call_by_offline_message": "Call back after a message",
    "auto_out_calls": "Campaign",
    "ivr_informer": "Message",
    "upload_calls": "Uploaded",
}
"""Where calls come from, for people."""
WEEKDAYS = dict(
    zip(
        "1234567", ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), strict=True
    )
)
MONTHS = {
    str(number): name
    for number, name in enumerate(
        (
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ),
        1,
    )
}
HOURS = {str(hour): f"{hour:02}:00" for hour in range(24)}

EMPLOYEES = array(
    "employees",
    "s.employees",
    shown=(
        "(select coalesce(jsonb_agg(jsonb_build_object('employee_full_name', p.item -> 'employee_full_name')"
        " order by p.position), '[]'::jsonb)"
        " from jsonb_array_elements(s.employees) with ordinality as p(item, position))"
    ),
    match_id="employee_id",
    match_name="employee_full_name",
    nested=nested(employee_full_name=_STRING),
)

SEGMENTS = array(
    "segments",
    VISIT["segments"].sql,
    match_id="segment_id",
    match_name="segment_name",
    nested=(Column("segment_name", _STRING, filterable=True, filter_as=VISIT["segments"]),),
)


def tags_of(kind: str, communication_id: str) -> Column:
    """Tags with the communication they are of.

    :param kind: SQL of its kind; ``communication_id``: of its id.
    """
    items = (
        "(select coalesce(jsonb_agg(jsonb_build_object('id', t.item -> 'tag_id', 'name', t.item -> 'tag_name',"
        " 'color', (select x.color from tags x where x.account_id = s.account_id"
        " and x.tag_id = (t.item ->> 'tag_id')::bigint)) order by t.position), '[]'::jsonb)"
        " from jsonb_array_elements(s.tags) with ordinality as t(item, position))"
    )
    return structure(
        "tags",
        f"jsonb_build_object('communication_id', {communication_id}, 'communication_type', {kind}, 'items', {items})",
        nested=(
            Column("communication_id", _NUMBER),
            Column("communication_type", _STRING),
            Column("items", ColumnType.ARRAY, nested=nested(id=_NUMBER, name=_STRING, color=_STRING)),
        ),
        plain=TAGS,
    )


def records_of(call_id: str) -> Column:
    """Ids of the recordings of a call's talks."""
    return array("call_records", recordings("talk", "mp3_path", call_id))


def day_of(name: str, moment: str) -> Column:
    """The day of a moment in the account's zone."""
    return time(
        name,
        f"date_trunc('day', ({moment}) at time zone %(time_zone)s) at time zone %(time_zone)s",
        is_date=True,
    )


def calendar_of(moment: str) -> tuple[Column, ...]:
    """When a visit was, in the account's zone."""

    def part(form: str) -> str:
        return f"to_char(({moment}) at time zone %(time_zone)s, 'FM{form}')"

    return (
        day_of("visit_date", moment),
        choice("visit_hour", part("HH24"), HOURS),
        choice("visit_weekday", part("ID"), WEEKDAYS),
        choice("visit_month", part("MM"), MONTHS),
        string("visit_year", part("YYYY")),
    )


def listed(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of ``get.communications`` and ``get.visits`` in the usual form.

    Their tables have ``filters``, an array, where all others have a tree in ``filter``, and put words of filters
    under ``sort``; their samples are like the others. Both are accepted; the conditions of ``filters`` apply together with
    the value of ``filter``.
    """
    filters = [*params.get("filters", ()), *([params["filter"]] if params.get("filter") else [])]
    usual = {name: value for name, value in params.items() if name != "filters"}
    if params.get("filters") is not None:
        usual["filter"] = {"filters": filters, "condition": "and"}
    if isinstance(params.get("sort"), list):
        usual["sort"] = [_sort_key(key) for key in params["sort"]]
    return usual


def _sort_key(key: Any) -> Any:
    if not isinstance(key, Mapping):
        return key
    return {name: value for name, value in key.items() if name not in ("operator", "value")}
