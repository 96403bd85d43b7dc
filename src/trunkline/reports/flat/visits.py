"""``get.visits``: visits of sites as a person reads them.

Behaviour that the reference leaves open: ``is_realtime`` returns the visits of the last 30 minutes, for any
period; the time of a communication is in Unix seconds, as the table has it a number; of rules of call tracking and
advertising systems is shown what an upload brought.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.db.query import Column, ColumnType, Listing, Page
from trunkline.db.query.columns import array, nested, number, string, time
from trunkline.reports.communications import of_visit
from trunkline.reports.fields import catalogue, choice, literal, names_of, pick, text_id
from trunkline.reports.flat.common import KINDS, SEGMENTS, calendar_of, listed
from trunkline.reports.flat.communications import VISITOR_TYPES
from trunkline.reports.period import Span, date_condition
from trunkline.reports.reader import Reader
from trunkline.reports.visit import DEVICES, VISIT, extra_text
from trunkline.reports.visitor_sessions import OWN

PERIOD = Span(days=31)

_STRING = ColumnType.STRING
_NUMBER = ColumnType.NUMBER

_COMMUNICATIONS = (
    "(select jsonb_agg(jsonb_build_object('id', c.item -> 'communication_id', 'type', jsonb_build_object("
    f"'value', {literal(KINDS)} ->> (c.item ->> 'communication_type'), 'value_id', c.item -> 'communication_type'),"
    " 'date_time', c.item -> 'communication_date_time') order by c.position)"
    f" from jsonb_array_elements({of_visit('s', 'floor(extract(epoch from c.date_time))')})"
    " with ordinality as c(item, position))"
)

_VISIT = catalogue(
    text_id("visitor_session_id", "s.visitor_session_id"),
    number("visit_depth", "jsonb_array_length(s.hits)"),
    string("channel", extra_text("channel")),
    string("source", extra_text("source")),
    choice("visitor_device", extra_text("visitor_device"), names_of(DEVICES)),
    choice("visitor_type", "case when s.is_visitor_new then 'new' else 'returning' end", VISITOR_TYPES),
    time("visit_date_time", "s.date_time"),
    *calendar_of("s.date_time"),
    SEGMENTS,
    array(
        "communications",
        _COMMUNICATIONS,
        nested=(
            Column("id", _NUMBER),
            Column("type", ColumnType.OBJECT, nested=nested(value=_STRING, value_id=_STRING)),
            Column("date_time", _NUMBER),
        ),
    ),
    *(
        string(name, extra_text(name))
        for name in (
            "pc",
            "pc_ext_id",
            "gr",
            "gr_ext_id",
            "ad",
            "ad_ext_ids",
            "kw",
            "kw_ext_id",
            "number_pool_name",
        )
    ),
)

VISITS = Listing(
    name="visits",
    table="visitor_sessions s",
    where="s.account_id = %(account_id)s",
    order="s.date_time, s.visitor_session_id",
    columns=pick("get.visits", {**VISIT, **OWN, **_VISIT}),
)

_LATELY = "s.date_time > now() - interval '30 minutes'"


async def visits(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of ``get.visits``."""
    condition = _LATELY if params["is_realtime"] else date_condition("s")
    return await reader.report(VISITS, listed(params), condition, longest=PERIOD)
