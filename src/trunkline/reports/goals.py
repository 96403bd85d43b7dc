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
    columns=pick(
        {**VISIT, **sale("'goal'", "s.goal_id"), **_GOAL},
        """
        id:f date_time name:fs type:fd ext_id:fd source:fd communication_number:fs communication_page_url
        communication_id:fd communication_type:fd ua_client_id ym_client_id sale_date:fs sale_cost:fs
        search_query:f search_engine:f referrer_domain:f referrer:f entrance_page:f gclid:f yclid:f ymclid:f
        ef_id:f channel:f tags:f site_id:fsd site_domain_name:fs campaign_id:fsd campaign_name:fs
        visit_other_campaign visitor_id:fs person_id:f visitor_type:fs visitor_session_id:f visits_count:f
        visitor_first_campaign_id:f visitor_first_campaign_name:f visitor_city:f visitor_region:f
        visitor_country:f visitor_device:fs visitor_custom_properties:f segments:f utm_source:f utm_medium:f
        utm_term:f utm_content:f utm_campaign:f utm_referrer:f openstat_ad:f openstat_campaign:f openstat_service:f
        openstat_source:f attributes:f eq_utm_source:f eq_utm_medium:f eq_utm_term:f eq_utm_content:f
        eq_utm_campaign:f eq_utm_referrer:f eq_utm_expid:f
        """,
    ),
)


async def goals_report(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of goals reached in a period."""
    return await reader.report(GOALS, params, date_condition("s"))
