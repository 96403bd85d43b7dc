"""``get.goals_report``: goals that visitors reached.

Behaviour that the reference leaves open: a goal's ``communication_id`` is its ``id``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.db.query import Listing, Page
from trunkline.db.query.columns import enum, number, string, time
from trunkline.reports.fields import TAGS, attributes, catalogue, pick
from trunkline.reports.period import date_condition
from trunkline.reports.reader import Reader
from trunkline.reports.visit import VISIT, extra_text, sale, visitor_type

TYPES = (
    "track_event",
    "time_on_page",
    "comagic",
    "segment",
    "ppc_goal",
    "click",
    "link",
    "scroll",
    "time_on_site",
)

_GOAL = catalogue(
    number("id", "s.goal_id"),
    time("date_time", "s.date_time"),
    string("name", "s.name"),
    enum("type", "s.type", enum=TYPES),
    string("ext_id", "s.ext_id"),
    enum("source", "s.source"),  # the reference's list of them runs two into one
    number("communication_number", "s.communication_number"),
    number("communication_id", "s.goal_id"),
    enum("communication_type", "'goal'::text", enum=("goal",)),
    enum("channel", extra_text("channel")),
    visitor_type("new", "returning", "unknown"),
    TAGS,
    attributes(),
)

GOALS = Listing(
    name="goals",
    table="goals s",
    where="s.account_id = %(account_id)s",
    order="s.date_time, s.goal_id",
    columns=pick("get.goals_report", {**VISIT, **sale("'goal'", "s.goal_id"), **_GOAL}, "utm_referrer:f"),
)


async def goals_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of goals reached in a period."""
    return await reader.report(GOALS, params, date_condition("s"))
