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

from trunkline.db.query import Listing, Page
from trunkline.db.query.columns import array, boolean, enum, number, string, time
from trunkline.reports.calls import DIRECTIONS
from trunkline.reports.causes import CAUSE_DESCRIPTIONS
from trunkline.reports.fields import catalogue, pick
from trunkline.reports.period import condition
from trunkline.reports.reader import Reader
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS

_RECORDINGS = (
    "(select jsonb_agg(r.recording_id order by r.created_at, r.recording_id) from recordings r"
    " where r.account_id = l.account_id and r.call_session_id = l.call_session_id and r.kind = 'talk'"
    " and r.status = 'ready'"
    " and (r.leg_id = l.leg_id or (r.leg_id is null and l.is_operator and l.is_talked)))"
)

_COLUMNS = catalogue(
    number("id", "l.leg_id"),
    number("call_session_id", "l.call_session_id"),
    array("call_records", _RECORDINGS),
    time("start_time", "l.start_time"),
    time("connect_time", "l.answer_time"),
    number("duration", "l.duration"),
    number("total_duration", "l.total_duration"),
    enum("finish_reason", "l.finish_reason"),
    string("finish_reason_description", "%(reasons)s ->> l.finish_reason"),
    string("virtual_phone_number", "l.virtual_phone_number"),
    string("calling_phone_number", "l.calling_phone_number"),
    enum("direction", "l.direction", enum=DIRECTIONS),
    boolean("is_transfered", "l.is_transfered"),
    boolean("is_operator", "l.is_operator"),
    number("employee_id", "l.employee_id"),
    string("employee_full_name", "l.employee_full_name"),
    string("employee_phone_number", "l.employee_phone_number"),
    number("employee_rating", "l.employee_rating"),
    number("scenario_id", "l.scenario_id"),
    boolean("is_coach", "l.is_coach"),
    number("release_cause_code", "l.release_cause_code"),
    string("release_cause_description", "%(causes)s ->> l.release_cause_code::text"),
    boolean("is_failed", "l.is_failed"),
    boolean("is_talked", "l.is_talked"),
    number("contact_id", "l.contact_id"),
    string("contact_full_name", "l.contact_full_name"),
    string("contact_phone_number", "l.contact_phone_number"),
    string("action_name", "l.operation_name"),
    number("group_id", "l.group_id"),
    string("group_name", "l.group_name"),
    string("called_phone_number", "l.called_phone_number"),
    string("scenario_name", "l.scenario_name"),
    number("action_id", "l.operation_id"),
    number("queue_id", "l.queue_id"),
    string("queue_name", "l.queue_name"),
)

LEGS = Listing(
    name="call_legs",
    table="call_legs l",
    where="l.account_id = %(account_id)s and l.finish_time is not null",
    order="l.start_time, l.leg_id",
    key=("account_id", "call_session_id", "leg_id"),
    columns=pick(
        "get.call_legs_report",
        _COLUMNS,
        "called_phone_number:fs scenario_name:fs action_id:fs queue_id:fs queue_name:fs",
    ),
    constants={"reasons": Jsonb(dict(REASON_DESCRIPTIONS)), "causes": Jsonb(dict(CAUSE_DESCRIPTIONS))},
)

_CONDITION = condition("l")


async def call_legs_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of legs; ``params`` as the method's (``date_from``, ``date_till`` required)."""
    return await reader.report(LEGS, params, _CONDITION)
