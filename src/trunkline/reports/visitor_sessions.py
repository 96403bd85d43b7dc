"""``get.visitor_sessions_report``: visits of sites, as uploaded.

Behaviour that the reference leaves open: a visitor is a person of their own (``person_id`` is ``visitor_id``); without
``sort`` the oldest visit comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.db.query import ColumnType, Listing, Page
from trunkline.db.query.columns import Column, array, enum, nested, number, string, structure, time
from trunkline.db.query.compiler import shown_time
from trunkline.reports.communications import REPORTED, of_visit
from trunkline.reports.fields import catalogue, pick
from trunkline.reports.period import date_condition
from trunkline.reports.reader import Reader
from trunkline.reports.visit import VISIT, campaign_name, extra_text, site_value

_STRING = ColumnType.STRING

SITE = site_value("domain_name", "s.site_id")
CAMPAIGN = campaign_name("s.campaign_id")
ENGINES = ("yandex.direct", "google.adwords", "vk.ads", "mytarget.ads")

OWN = catalogue(
    number("id", "s.visitor_session_id"),
    time("date_time", "s.date_time"),
    number("duration", "s.duration"),
    enum("engine", extra_text("engine"), enum=ENGINES),
    structure(
        "integrated_campaign_data",
        "case jsonb_typeof(s.extra -> 'integrated_campaign_data') when 'object'"
        " then s.extra -> 'integrated_campaign_data' end",
    ),
    number("campaign_id", "s.campaign_id"),
    string("campaign_name", CAMPAIGN),
    number("site_id", "s.site_id"),
    string("site_domain_name", SITE),
    string("site_domain_naked", f"regexp_replace({SITE}, '^www[.]', '')"),
    number("person_id", "s.visitor_id"),
    number("visitor_id", "s.visitor_id"),
    enum(
        "visitor_type", "case when s.is_visitor_new then 'New' else 'Returned' end", enum=("New", "Returned")
    ),
    number("hits_count", "jsonb_array_length(s.hits)"),
    array("hits", "s.hits", nested=nested(hit_time=_STRING, hit_duration=_STRING, hit_url=_STRING)),
    array(
        "communications",
        of_visit("s", shown_time("c.date_time")),
        match_id="communication_id",
        match_name="communication_type",
        nested=nested(
            communication_type=Column("", ColumnType.ENUM, enum=tuple(REPORTED)),
            communication_id=ColumnType.NUMBER,
            communication_date_time=ColumnType.ISO8601,
        ),
    ),
    string("ext_id", "s.ext_id"),
    number("source_id", "s.source_id"),
)
"""Columns of a visitor session that differ from those of a communication's visit."""

VISITOR_SESSIONS = Listing(
    name="visitor_sessions",
    table="visitor_sessions s",
    where="s.account_id = %(account_id)s",
    order="s.date_time, s.visitor_session_id",
    columns=pick("get.visitor_sessions_report", {**VISIT, **OWN}),
)


async def visitor_sessions_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of visits that began in a period."""
    return await reader.report(VISITOR_SESSIONS, params, date_condition("s"))
