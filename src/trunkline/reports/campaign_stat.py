"""``get.campaign_daily_stat``: visits, communications and costs of a site's campaigns, day by day.

Behaviour that the reference leaves open: a day is one of the account's zone and has a row for each campaign that had a
visit, a communication or costs on it; what has no campaign counts for ``-1``, the visitors without one. Uploaded costs
are spread evenly over the days they are for, and changed by the campaign's ratio. Values that only advertising systems have
(banners, keywords, shows, clicks, budgets) is null, since none is connected; nothing can be marked as a favourite yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.db.query import Column, ColumnType, Listing, Page
from trunkline.db.query.columns import array, enum, nested, number, string, time
from trunkline.reports.communications import IN_PERIOD, LOST, REPORTED, union
from trunkline.reports.fields import TAGS, attributes, catalogue, pick
from trunkline.reports.period import Span, date_condition
from trunkline.reports.reader import Reader
from trunkline.reports.visit import TARGET_CALL, campaign_name, extra_number, site_value
from trunkline.reports.visitor_sessions import ENGINES

PERIOD = Span(days=90)

_NUMBER = ColumnType.NUMBER
_CAMPAIGN = f"coalesce({extra_number('campaign_id')}, -1)::bigint"
_OF_SITE = f"{extra_number('site_id')} = %(site_id)s"


def _day(moment: str) -> str:
    """SQL of the midnight, in the account's zone, before a moment."""
    return f"date_trunc('day', {moment} at time zone %(time_zone)s) at time zone %(time_zone)s"


_COMMUNICATIONS = (
    f"select {_day('s.date_time')} as day, {_CAMPAIGN} as campaign_id, s.kind, null::numeric as cost"
    f" from {union(REPORTED)} s where s.account_id = %(account_id)s and {IN_PERIOD} and {_OF_SITE}"
)
_VISITS = (
    f"select {_day('s.date_time')}, coalesce(s.campaign_id, -1), 'visit', null from visitor_sessions s"
    f" where s.account_id = %(account_id)s and {date_condition('s')} and s.site_id = %(site_id)s"
)
_COSTS = (
    "select g.day at time zone %(time_zone)s, k.campaign_id, 'cost',"
    " k.cost / (k.date_till - k.date_from + 1) * case c.cost_ratio_operator"
    " when 'multiply' then c.cost_ratio when 'divide' then 1 / c.cost_ratio else 1 end"
    " from campaigns c join campaign_costs k on k.account_id = c.account_id and k.campaign_id = c.campaign_id"
    " cross join generate_series(k.date_from::timestamp, k.date_till::timestamp, interval '1 day') g(day)"
    " where c.account_id = %(account_id)s and c.site_id = %(site_id)s"
    " and g.day at time zone %(time_zone)s >= %(period_start)s"
    " and g.day at time zone %(time_zone)s < %(period_end)s"
)
_COUNTS = ", ".join(
    f"count(*) filter (where k.kind = '{kind}') as {name}"
    for kind, name in (
        ("call", "calls_count"),
        ("chat", "chats_count"),
        ("goal", "goals_count"),
        ("offline_message", "offline_messages_count"),
        ("visit", "visits_count"),
    )
)
_DAYS = (
    f"(select %(account_id)s::bigint as account_id, %(site_id)s::bigint as site_id, k.day, k.campaign_id, {_COUNTS},"
    " count(*) filter (where k.kind not in ('visit', 'cost')) as communications_count, sum(k.cost) as cost"
    f" from ({_COMMUNICATIONS} union all {_VISITS} union all {_COSTS}) k group by k.day, k.campaign_id)"
)

_NEXT_DAY = "((d.day at time zone %(time_zone)s) + interval '1 day') at time zone %(time_zone)s"
_TAGS = TAGS.shown or ""
_ATTRIBUTES = attributes(LOST, TARGET_CALL).sql
_COMMUNICATIONS_OF_DAY = (
    "(select jsonb_agg(jsonb_build_object('communication_type', s.kind, 'communication_id', s.id,"
    f" 'attributes', {_ATTRIBUTES}, 'tags', {_TAGS}) order by s.date_time, s.id)"
    f" from {union(REPORTED)} s where s.account_id = %(account_id)s and {IN_PERIOD} and {_OF_SITE}"
    f" and s.date_time >= d.day and s.date_time < {_NEXT_DAY} and {_CAMPAIGN} = d.campaign_id)"
)
_SESSIONS_OF_DAY = (
    "(select jsonb_agg(s.visitor_session_id order by s.date_time, s.visitor_session_id) from visitor_sessions s"
    f" where s.account_id = %(account_id)s and s.site_id = %(site_id)s and {date_condition('s')}"
    f" and s.date_time >= d.day and s.date_time < {_NEXT_DAY}"
    " and coalesce(s.campaign_id, -1) = d.campaign_id)"
)


def _of_date(sql: str) -> str:
    """The same SQL over the rows of this report, whose alias leaves ``s`` to the communications."""
    return sql.replace("s.account_id", "d.account_id")


_STAT = catalogue(
    time("date", "d.day", is_date=True),
    number("site_id", "d.site_id"),
    string("site_domain_name", _of_date(site_value("domain_name", "d.site_id"))),
    number("campaign_id", "d.campaign_id"),
    string("campaign_name", _of_date(campaign_name("d.campaign_id"))),
    *(
        string(name, "null::text")
        for name in (
            "campaign_ext_id",
            "campaign_ext_name",
            "banner_group_id",
            "banner_group_name",
            "keyword_id",
            "keyword",
            "current_banner_id",
            "current_banner_name",
            "source_name",
        )
    ),
    *(
        number(name, "null::bigint")
        for name in ("shows_count", "clicks_count", "daily_budget", "weekly_budget", "source_id")
    ),
    enum("engine", _of_date(campaign_name("d.campaign_id")).replace("x.name", "x.engine"), enum=ENGINES),
    string("cost_sum", "round(d.cost, 2)::text"),
    *(
        number(name, f"d.{name}")
        for name in (
            "chats_count",
            "calls_count",
            "goals_count",
            "offline_messages_count",
            "visits_count",
            "communications_count",
        )
    ),
    number("favorites_count", "0"),
    array("old_banner_ids", "null::jsonb"),
    enum("currency", "(select a.currency from accounts a where a.account_id = d.account_id)"),
    array("session_ids", _SESSIONS_OF_DAY),
    array(
        "communications",
        _COMMUNICATIONS_OF_DAY,
        nested=nested(
            communication_type=Column("", ColumnType.ENUM, enum=tuple(REPORTED)),
            communication_id=_NUMBER,
            attributes=ColumnType.ARRAY,
            tags=Column("", ColumnType.ARRAY, nested=TAGS.nested),
        ),
    ),
)

_OF_COMMUNICATIONS = frozenset({"communication_type", "communication_id", "attributes", "tags"}) | {
    inner.name for inner in TAGS.nested
}
"""The page has them next to ``communications``."""

CAMPAIGN_DAYS = Listing(
    name="campaign_days",
    table=f"{_DAYS} d",
    where="d.account_id = %(account_id)s",
    order="d.day, d.campaign_id",
    columns=pick("get.campaign_daily_stat", _STAT, nested_names=_OF_COMMUNICATIONS),
)


async def campaign_daily_stat(reader: Reader, params: Mapping[str, Any]) -> Page:
    """One page of days and campaigns of the site ``site_id``."""
    return await reader.report(CAMPAIGN_DAYS, params, None, {"site_id": params["site_id"]}, PERIOD)
