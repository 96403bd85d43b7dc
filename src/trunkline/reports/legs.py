"""``get.call_legs_report``: one row per finished leg (one participant's channel).

Behaviour that the reference leaves open: ``id`` is the leg's, ``connect_time`` the time of its answer;
``is_failed`` is true when the party was not reached; a leg has the session's recording when the recording is
its own or, if it is of the whole session, when the leg is the operator's and there was a talk; without
``sort`` the oldest leg comes first. ``called_phone_number``, ``scenario_name`` and ``action_id``, which only
the sample has, are served as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from trunkline.db.query import Column, Listing, Page
from trunkline.db.query.columns import array, boolean, enum, number, string, time
from trunkline.reports.calls import DIRECTIONS
from trunkline.reports.causes import CAUSE_DESCRIPTIONS
from trunkline.reports.period import condition
from trunkline.reports.reader import Reader
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS

_RECORDINGS = (
    "(select jsonb_agg(r.recording_id order by r.created_at, r.recording_id) from recordings r"
    " where r.account_id = l.account_id and r.call_session_id = l.call_session_id and r.kind = 'talk'"
    " and r.status = 'ready'"
    " and (r.leg_id = l.leg_id or (r.leg_id is null and l.is_operator and l.is_talked)))"
)

_COLUMNS: tuple[Column, ...] = (
    number("id", "l.leg_id", "filter default"),
    number("call_session_id", "l.call_session_id", "filter sort default"),
    array("call_records", _RECORDINGS, "default"),
    time("start_time", "l.start_time", "sort default"),
    time("connect_time", "l.answer_time", "default"),
    number("duration", "l.duration", "filter sort default"),
    number("total_duration", "l.total_duration", "filter sort default"),
    enum("finish_reason", "l.finish_reason", "filter sort default"),
    string("finish_reason_description", "%(reasons)s ->> l.finish_reason", "filter sort"),
    string("virtual_phone_number", "l.virtual_phone_number", "filter sort default"),
    string("calling_phone_number", "l.calling_phone_number", "filter sort default"),
    enum("direction", "l.direction", "filter sort default", enum=DIRECTIONS),
    boolean("is_transfered", "l.is_transfered", "filter sort default"),
    boolean("is_operator", "l.is_operator", "filter sort default"),
    number("employee_id", "l.employee_id", "filter sort default"),
    string("employee_full_name", "l.employee_full_name", "filter sort"),
    string("employee_phone_number", "l.employee_phone_number", "filter sort"),
    number("employee_rating", "l.employee_rating", "filter sort default"),
    number("scenario_id", "l.scenario_id", "filter sort default"),
    boolean("is_coach", "l.is_coach", "filter sort default"),
    number("release_cause_code", "l.release_cause_code", "filter sort default"),
    string("release_cause_description", "%(causes)s ->> l.release_cause_code::text", "filter sort default"),
    boolean("is_failed", "l.is_failed", "filter sort default"),
    boolean("is_talked", "l.is_talked", "filter sort"),
    number("contact_id", "l.contact_id"),
    string("contact_full_name", "l.contact_full_name"),
    string("contact_phone_number", "l.contact_phone_number"),
    string("action_name", "l.operation_name", "filter default"),
    number("group_id", "l.group_id", "filter default"),
    string("group_name", "l.group_name", "filter default"),
    string("called_phone_number", "l.called_phone_number", "filter sort"),
    string("scenario_name", "l.scenario_name", "filter sort"),
    number("action_id", "l.operation_id", "filter sort"),
)

LEGS = Listing(
    name="call_legs",
    table="call_legs l",
    where="l.account_id = %(account_id)s and l.finish_time is not null",
    order="l.start_time, l.leg_id",
    key=("account_id", "call_session_id", "leg_id"),
    columns=_COLUMNS,
    constants={"reasons": Jsonb(dict(REASON_DESCRIPTIONS)), "causes": Jsonb(dict(CAUSE_DESCRIPTIONS))},
)

_CONDITION = condition("l")


async def call_legs_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of legs; ``params`` as the method's (``date_from``, ``date_till`` required)."""
    return await reader.report(LEGS, params, _CONDITION)
