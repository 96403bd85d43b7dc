"""``get.calls_report``: one row per call session.

Behaviour that the reference leaves open: a call's ``communication_id`` is its ``call_session_id``;
``cpn_country_id`` is the ISO 3166 code; without ``sort`` the oldest call comes first; calls that still live
are shown with ``include_ongoing_calls`` only, their durations null. Beside the reference's fields there are
``call_session_id``, ``employee_id`` and ``employee_full_name`` (of the employee who talked last, else answered last);
a filter on the latter two matches any employee who took part. ``queues`` has the queues that the contact waited in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.db.query import ColumnType, Listing, Page
from trunkline.db.query.columns import array, boolean, enum, nested, number, string, structure, time
from trunkline.reports.countries import country_names
from trunkline.reports.fields import QUEUES, TAGS, attributes, catalogue, pick
from trunkline.reports.period import condition
from trunkline.reports.reader import Reader
from trunkline.reports.rollup import ROLLUP
from trunkline.reports.visit import TARGET_CALL, VISIT, extra_number, extra_text, sale, visitor_type

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING
_BOOLEAN = ColumnType.BOOLEAN

DIRECTIONS = ("in", "out")

SOURCES = (
    "callapi",
    "callapi_management_call",
    "callapi_informer_call",
    "callapi_scenario_call",
    "va",
    "call_tracking",
    "dynamic_call_tracking",
    "faxout",
    "sip",
    "sitephone",
    "lead",
    "retailcrm",
    "amocrm",
    "bitrix",
    "auto_back_call_by_lost_call",
    "sip_trunk",
    "facebook_ads",
    "auto_back_call_by_offline_message",
    "private_number",
    "auto_out_calls",
    "ivr_informer",
    "upload_calls",
    "progressive_call",
    "simple_dt",
    "preserved_calls",
    "amocrm_extended_integration",
    "zoho",
    "mytarget_ads",
    "pipedrive",
    "hubspot",
    "smartis",
    "partner_integration",
    "vk_ads",
    "omni_widget",
)


def recordings(kind: str, path: str, call_id: str = "s.call_session_id") -> str:
    """SQL of the ids of a call's recordings of a kind that are there in a format, as a JSON array."""
    return (
        "(select jsonb_agg(r.recording_id order by r.created_at, r.recording_id)"
        f" from recordings r where r.account_id = s.account_id and r.call_session_id = {call_id}"
        f" and r.kind = '{kind}' and r.status = 'ready' and r.{path} is not null)"
    )


_FULL_RECORD = (
    "(select %(public_url)s || '/media/' || s.call_session_id || '/' || r.recording_id from recordings r"
    " where r.account_id = s.account_id and r.call_session_id = s.call_session_id and r.kind = 'talk'"
    " and r.status = 'ready' order by r.created_at, r.recording_id limit 1)"
)

RATING = (
    "(select l.employee_rating from call_legs l where l.account_id = s.account_id"
    " and l.call_session_id = s.call_session_id and l.employee_id = s.last_talked_employee_id"
    " order by l.leg_id desc limit 1)"
)

PROCESSING_DURATION = (
    "coalesce(s.lost_call_processing_duration, case when s.is_lost and not s.is_internal then"
    " (select round(extract(epoch from n.start_time - s.finish_time)) from call_sessions n"
    " where n.account_id = s.account_id and n.contact_phone_number = s.contact_phone_number"
    " and n.call_session_id > s.call_session_id and not n.is_lost and n.finish_time is not null"
    " order by n.call_session_id limit 1) end)"
)
"""Seconds from a lost call's end to the next talk with that contact; null = there was none yet."""

_EMPLOYEES = array(
    "employees",
    "s.employees",
    match_id="employee_id",
    match_name="employee_full_name",
    nested=nested(employee_id=_NUMBER, employee_full_name=_STRING, is_answered=_BOOLEAN, is_talked=_BOOLEAN),
)

_SESSION = catalogue(
    number("id", "s.call_session_id"),
    time("start_time", "s.start_time"),
    time("finish_time", "s.finish_time"),
    enum("finish_reason", "s.finish_reason"),
    enum("direction", "s.direction", enum=DIRECTIONS),
    number("cpn_region_id", extra_number("cpn_region_id")),
    string("cpn_region_name", "s.region_name"),
    string("cpn_country_name", "%(countries)s ->> s.country_code"),
    string("cpn_country_id", "s.country_code"),
    string("properties", "s.properties"),
    array(
        "scenario_operations",
        "s.scenario_operations",
        match_id="id",
        match_name="name",
        nested=nested(id=_NUMBER, name=_STRING),
    ),
    enum("source", "s.source", enum=SOURCES),
    boolean("is_lost", "s.is_lost"),
    number("communication_number", "s.communication_number"),
    string("communication_page_url", extra_text("communication_page_url")),
    string("contact_phone_number", "s.contact_phone_number"),
    number("communication_id", "s.call_session_id"),
    enum("communication_type", "'call'::text", enum=("call",)),
    number("wait_duration", "s.wait_duration"),
    number("total_wait_duration", "s.total_wait_duration"),
    number("lost_call_processing_duration", PROCESSING_DURATION),
    number("talk_duration", "s.talk_duration"),
    number("clean_talk_duration", "s.clean_talk_duration"),
    number("total_duration", "s.total_duration"),
    number("postprocess_duration", "s.postprocess_duration"),
    array("call_records", recordings("talk", "mp3_path")),
    array("wav_call_records", recordings("talk", "wav_path")),
    string("full_record_file_link", _FULL_RECORD),
    array("voice_mail_records", recordings("voice_mail", "mp3_path")),
    string("virtual_phone_number", "s.virtual_phone_number"),
    boolean("is_transfer", "s.is_transfer"),
)

_PEOPLE = catalogue(
    TAGS,
    _EMPLOYEES,
    number("last_answered_employee_id", "s.last_answered_employee_id"),
    string("last_answered_employee_full_name", "s.last_answered_employee_full_name"),
    number("last_answered_employee_rating", RATING),
    number("first_answered_employee_id", "s.first_answered_employee_id"),
    string("first_answered_employee_full_name", "s.first_answered_employee_full_name"),
    number("last_talked_employee_id", "s.last_talked_employee_id"),
    string("last_talked_employee_full_name", "s.last_talked_employee_full_name"),
    number("first_talked_employee_id", "s.first_talked_employee_id"),
    string("first_talked_employee_full_name", "s.first_talked_employee_full_name"),
    string("operator_phone_number", "s.operator_phone_number"),
    string("scenario_name", "s.scenario_name"),
    number("scenario_id", "s.scenario_id"),
    number("call_api_request_id", "s.api_request_id"),
    string("call_api_external_id", "s.external_id"),
    number("contact_id", "s.contact_id"),
    string("contact_full_name", "s.contact_full_name"),
    attributes("s.is_lost", TARGET_CALL),
)

_VISIT = {
    **VISIT,
    **sale("'call'", "s.call_session_id"),
    "visitor_type": visitor_type("New", "Returned", "Empty"),
}

_FURTHER = catalogue(
    QUEUES,
    number("call_session_id", "s.call_session_id"),
    number(
        "employee_id",
        "coalesce(s.last_talked_employee_id, s.last_answered_employee_id)",
        filter_as=_EMPLOYEES,
    ),
    string(
        "employee_full_name",
        "coalesce(s.last_talked_employee_full_name, s.last_answered_employee_full_name)",
        filter_as=_EMPLOYEES,
    ),
)

CALLS = Listing(
    name="calls",
    table="call_sessions s",
    where="s.account_id = %(account_id)s",
    order="s.start_time, s.call_session_id",
    key=("account_id", "call_session_id"),
    rollup=ROLLUP,
    columns=pick(
        "get.calls_report",
        {**_VISIT, **_SESSION, **_PEOPLE, **_FURTHER},
        "utm_referrer:f call_session_id:f employee_id:f employee_full_name:f queues:f",
    ),
    constants={"countries": Jsonb(country_names())},
)

_CONDITION = f"{condition('s')} and (%(include_ongoing)s or s.finish_time is not null)"


async def calls_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of call sessions; ``params`` as the method's (``date_from``, ``date_till`` required)."""
    ongoing = bool(params.get("include_ongoing_calls"))
    return await reader.report(CALLS, params, _CONDITION, {"include_ongoing": ongoing})


_LEGS = "from call_legs l where l.account_id = s.account_id and l.call_session_id = s.call_session_id and not l.is_coach"
_CALLED_LEGS = f"{_LEGS} and l.direction = 'out' and l.employee_id is not null"

_INTERNAL_CALLER = (
    "case when s.is_internal then (select jsonb_build_object('employee_id', l.employee_id, 'full_name',"
    f" l.employee_full_name, 'number', coalesce((select l.calling_phone_number {_CALLED_LEGS}"
    f" order by l.leg_id limit 1), l.calling_phone_number)) {_LEGS} and l.direction = 'in' order by l.leg_id limit 1) end"
)
"""The colleagues' phones were shown the caller's extension; the number of the caller's own leg is that of its line."""

_ANSWERED = "order by l.answer_time, l.leg_id) filter (where l.answer_time is not null)"
_INTERNAL_CALLED = (
    "case when s.is_internal then (select case when count(l.answer_time) > 0 or count(distinct l.employee_id) = 1"
    f" then jsonb_build_object('employee_id', coalesce((array_agg(l.employee_id {_ANSWERED})[1], max(l.employee_id)),"
    f" 'full_name', coalesce((array_agg(l.employee_full_name {_ANSWERED})[1], max(l.employee_full_name))) end"
    f" {_CALLED_LEGS}) end"
)
"""Who answered first, or the only one who was called."""

_COACH_IDS = (
    "(select jsonb_agg(distinct l.employee_id) from call_legs l where l.account_id = s.account_id"
    " and l.call_session_id = s.call_session_id and l.is_coach and l.employee_id is not null)"
)

CALLS_FOR_PEOPLE = replace(
    CALLS,
    columns=(
        *(replace(column, filterable=True) for column in CALLS.columns),
        boolean("is_internal", "s.is_internal", "filter"),
        structure("internal_caller", _INTERNAL_CALLER),
        structure("internal_called", _INTERNAL_CALLED),
        array("coach_ids", _COACH_IDS),
    ),
)
"""Of the console: also whether a call was one between employees, and of whom. It reads the same rows.

``internal_caller``: ``employee_id``, ``full_name`` and ``number``; ``internal_called``: ``employee_id`` and ``full_name``
of who answered first, or of the only one who was called. Empty: of a call with a contact, or nobody. ``coach_ids``: ids of
employees who listened, whispered or took part."""


async def calls_for_people(reader: Reader, params: Mapping[str, Any]) -> Page:
    """As :func:`calls_report`, with the fields of :data:`CALLS_FOR_PEOPLE`."""
    return await reader.report(CALLS_FOR_PEOPLE, params, _CONDITION, {"include_ongoing": True})
