"""``get.calls``, ``get.call_details`` and ``get.mgf_calls``: calls as a person reads them.

Behaviour that the reference leaves open: a lost call is processed when there was a talk with that contact since; a
forced transfer is one without a consultation; the time of dialling is from the first ring of a party we called until
one of them picked up; the contact in a CRM and the type of forwarding come from an integration, else null; a
coach is a prompter when the coach whispered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.db.query import Column, ColumnType, Listing, Page
from trunkline.db.query.columns import Rollup, array, duration, nested, number, string, time
from trunkline.reports.calls import PROCESSING_DURATION, RATING
from trunkline.reports.comments import newest
from trunkline.reports.countries import country_names
from trunkline.reports.fields import QUEUES, catalogue, choice, pick, text_id, yes_or_no
from trunkline.reports.flat.call_events import CALL_EVENTS
from trunkline.reports.flat.common import (
    CALL_STATUSES,
    CALL_TYPES,
    DIRECTIONS,
    EMPLOYEES,
    YEAR,
    day_of,
    records_of,
    tags_of,
)
from trunkline.reports.period import condition
from trunkline.reports.reader import Reader
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS
from trunkline.reports.rollup import ROLLUP
from trunkline.reports.visit import VISIT, extra_text

_STRING = ColumnType.STRING
_NUMBER = ColumnType.NUMBER

_LEGS = "from call_legs l where l.account_id = s.account_id and l.call_session_id = s.call_session_id"
_EVENTS = "from call_events e where e.account_id = s.account_id and e.call_session_id = s.call_session_id"
_OUR_NUMBER = (
    "from virtual_numbers v where v.account_id = s.account_id and v.virtual_number_id = s.virtual_number_id"
)
_IS_REDIRECT = (
    f"(s.is_transfer and exists (select {_EVENTS} and e.type = 'transfer_requested')"
    f" and not exists (select {_EVENTS} and e.type = 'consult_started'))"
)
_PROCESSED = (
    f"case when s.is_lost then case when {PROCESSING_DURATION} is null"
    " then 'not_processed' else 'processed' end end"
)
_NEWEST_COMMENT = newest("comment", "'call'", "s.call_session_id")
_PROMPTED = (
    f"exists (select {_EVENTS} and e.type = 'coach_joined' and e.data ->> 'mode' = 'whisper'"
    " and e.data ->> 'leg_id' = l.leg_id::text)"
)
_RECORDS_WITH_COMMENT = (
    "(select jsonb_agg(jsonb_build_object('id', r.recording_id, 'link',"
    " %(public_url)s || '/media/' || s.call_session_id || '/' || r.recording_id,"
    f" 'communication_comment', {_NEWEST_COMMENT})"
    " order by r.created_at, r.recording_id)"
    " from recordings r where r.account_id = s.account_id and r.call_session_id = s.call_session_id"
    " and r.kind = 'talk' and r.status = 'ready' and r.mp3_path is not null)"
)


def _internal_side(direction: str) -> str:
    """SQL of the employee who called (``in``) or was called (``out``) in a call between employees."""
    return (
        f"case when s.is_internal then (select l.employee_full_name {_LEGS} and l.direction = '{direction}'"
        " and not l.is_coach and l.employee_id is not null order by l.answer_time, l.leg_id limit 1) end"
    )


_COMMENT = string("communication_comment", _NEWEST_COMMENT)

_CALL = catalogue(
    text_id("communication_id", "s.call_session_id"),
    time("call_start_date_time", "s.start_time"),
    time("call_finish_date_time", "s.finish_time"),
    day_of("call_start_date", "s.start_time"),
    string("call_start_time", "to_char(s.start_time at time zone %(time_zone)s, 'HH24:MI:SS')"),
    string("contact_phone_number", "s.contact_phone_number"),
    string("contact_full_name", "s.contact_full_name"),
    choice("call_direction", "s.direction", DIRECTIONS),
    choice("call_status", "case when s.is_lost then 'lost' else 'received' end", CALL_STATUSES),
    choice("call_type", "s.source", CALL_TYPES),
    string("virtual_phone_number", "s.virtual_phone_number"),
    string("virtual_number_comment", f"(select nullif(v.comment, '') {_OUR_NUMBER})"),
    string("call_scenario", "s.scenario_name"),
    EMPLOYEES,
    array(
        "employee_groups", f"(select jsonb_agg(distinct l.group_name) {_LEGS} and l.group_name is not null)"
    ),
    duration("call_total_duration", "s.total_duration"),
    duration("call_await_talk_duration", "case when not s.is_lost then s.wait_duration end"),
    duration(
        "call_dialing_duration",
        "(select round(extract(epoch from coalesce(min(l.answer_time), max(l.finish_time)) - min(l.start_time)))"
        f" {_LEGS} and l.direction = 'out' and not l.is_coach)",
    ),
    duration("call_talk_duration", "s.talk_duration"),
    QUEUES,
    yes_or_no("call_is_internal", "s.is_internal"),
    yes_or_no("call_is_transfer", "s.is_transfer"),
    yes_or_no("call_is_redirect", _IS_REDIRECT),
    choice("call_finish_reason", "s.finish_reason", "%(reasons)s"),
    array(
        "call_scenario_actions",
        "(select jsonb_agg(jsonb_build_object('action_id', o.item -> 'id', 'action_name', o.item -> 'name')"
        " order by o.position) from jsonb_array_elements(s.scenario_operations) with ordinality as o(item, position))",
        match_id="action_id",
        match_name="action_name",
        nested=nested(action_id=_NUMBER, action_name=_STRING),
    ),
    choice(
        "call_processing_status", _PROCESSED, {"processed": "Processed", "not_processed": "Not processed"}
    ),
    records_of("s.call_session_id"),
    _COMMENT,
    string("communication_comment_author", newest("author", "'call'", "s.call_session_id")),
    string("crm_contact_name", extra_text("crm_contact_name")),
    string("call_country_name", "%(countries)s ->> s.country_code"),
    string("call_region_name", "s.region_name"),
    array("coaches", f"(select jsonb_agg(distinct l.employee_full_name) {_LEGS} and l.is_coach)"),
    array(
        "prompters",
        f"(select jsonb_agg(distinct l.employee_full_name) {_LEGS} and l.is_coach and {_PROMPTED})",
    ),
    yes_or_no(
        "is_coach_handled_call", f"exists (select {_LEGS} and l.is_coach and l.answer_time is not null)"
    ),
    tags_of("'call'", "s.call_session_id"),
    array(
        "cdrs",
        "(select jsonb_agg(jsonb_build_object('id', l.leg_id::text, 'date_time',"
        " to_char(l.start_time at time zone %(time_zone)s, 'YYYY-MM-DD HH24:MI:SS'))"
        f" order by l.start_time, l.leg_id) {_LEGS})",
        nested=nested(id=_STRING, date_time=ColumnType.ISO8601),
    ),
    array("call_events", CALL_EVENTS),
    string("redirection_info", extra_text("redirection_info")),
    number("employee_rating", RATING),
    string(
        "received_call",
        "case when not s.is_lost then coalesce(s.first_answered_employee_full_name, s.operator_phone_number)"
        " when s.direction = 'in' then s.scenario_operations -> -1 ->> 'name' end",
    ),
    string("first_employee_for_internal_call", _internal_side("in")),
    string("second_employee_for_internal_call", _internal_side("out")),
    yes_or_no(
        "is_blacklisted_phone",
        "exists (select from blacklist b where b.account_id = s.account_id"
        " and b.phone_number = s.contact_phone_number)",
    ),
)


def _listing(name: str, method: str, more: str = "", rollup: Rollup | None = None, **own: Column) -> Listing:
    """:param more: fields that the page does not have, as :func:`pick` reads them."""
    return Listing(
        name=name,
        table="call_sessions s",
        where="s.account_id = %(account_id)s",
        order="s.start_time, s.call_session_id",
        key=("account_id", "call_session_id"),
        rollup=rollup,
        columns=pick(method, {**VISIT, **_CALL, **own}, more),
        constants={"countries": Jsonb(country_names()), "reasons": Jsonb(dict(REASON_DESCRIPTIONS))},
    )


CALLS = _listing("flat_calls", "get.calls", "queues:f", rollup=ROLLUP)

CALL_DETAILS = _listing(
    "call_details",
    "get.call_details",
    "communication_comment:fsd",
    call_records=array(
        "call_records",
        _RECORDS_WITH_COMMENT,
        match_id="id",
        match_name="id",
        nested=(
            Column("id", _STRING),
            Column("link", _STRING),
            Column("communication_comment", _STRING, _COMMENT.sql, filterable=True, sortable=True),
        ),
    ),
)

RATED_CALLS = _listing("mgf_calls", "get.mgf_calls", rollup=ROLLUP)

_OVER = f"{condition('s')} and s.finish_time is not null"
_COUNTED = {"include_ongoing": False}
"""What totals ask of the counts."""
_THOSE = f"{_OVER} and s.call_session_id = any(%(entity_ids)s)"


async def calls(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of ``get.calls``: calls that are over."""
    return await reader.report(CALLS, params, _OVER, _COUNTED, YEAR)


async def call_details(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of ``get.call_details``: the calls ``entity_ids``."""
    return await reader.report(CALL_DETAILS, params, _THOSE, {"entity_ids": params["entity_ids"]}, YEAR)


async def rated_calls(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of ``get.mgf_calls``: calls that are over, with how they were rated."""
    return await reader.report(RATED_CALLS, params, _OVER, _COUNTED, YEAR)
