"""Columns about the visit, the source and the sale of a communication of any kind.

The product does not track visitors itself: the data of a visit from an upload or an integration are stored with the
communication in ``extra``, under the wire names (times as ISO 8601 in UTC), and is null otherwise. Names of sites and
campaigns that are not kept there are those of the directory today.
"""

from __future__ import annotations

from trunkline.db.query.columns import Column, ColumnType, array, boolean, enum, nested, number, string, time
from trunkline.reports.fields import Catalogue, catalogue

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING

CHANNELS = (
    "display",
    "paid",
    "affiliate",
    "messenger",
    "social",
    "email",
    "organic",
    "internal",
    "recommendation",
    "cashed",
    "referral",
    "direct",
)
DEVICES = ("desktop", "mobile", "tablet", "other")


def extra_text(name: str) -> str:
    """SQL of a text kept in ``extra``."""
    return f"s.extra ->> '{name}'"


def extra_number(name: str) -> str:
    """SQL of a number kept in ``extra``; anything else there counts as null."""
    return f"case jsonb_typeof(s.extra -> '{name}') when 'number' then (s.extra ->> '{name}')::numeric end"


def extra_boolean(name: str) -> str:
    """SQL of a boolean kept in ``extra``; anything else there counts as null."""
    return f"case jsonb_typeof(s.extra -> '{name}') when 'boolean' then (s.extra ->> '{name}')::boolean end"


def extra_array(name: str) -> str:
    """SQL of an array kept in ``extra``; anything else there counts as null."""
    return f"case jsonb_typeof(s.extra -> '{name}') when 'array' then s.extra -> '{name}' end"


def extra_time(name: str) -> str:
    """SQL of an instant kept in ``extra``; a text that is none counts as null."""
    form = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"
    return f"case when s.extra ->> '{name}' ~ '{form}' then (s.extra ->> '{name}')::timestamptz end"


def site_value(column: str, site_id: str = extra_number("site_id")) -> str:
    """SQL of a column of the communication's site."""
    return f"(select x.{column} from sites x where x.account_id = s.account_id and x.site_id = {site_id})"


def campaign_name(campaign_id: str) -> str:
    """SQL of the name of a campaign."""
    return f"(select x.name from campaigns x where x.account_id = s.account_id and x.campaign_id = {campaign_id})"


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(string(name, extra_text(name)) for name in names)


def _numbers(*names: str) -> tuple[Column, ...]:
    return tuple(number(name, extra_number(name)) for name in names)


SITE_DOMAIN_NAME = f"coalesce({extra_text('site_domain_name')}, {site_value('domain_name')})"
CAMPAIGN_NAME = f"coalesce({extra_text('campaign_name')}, {campaign_name(extra_number('campaign_id'))})"

VISIT: Catalogue = catalogue(
    *_texts("communication_page_url", "ua_client_id", "ym_client_id", "search_query", "search_engine"),
    string(
        "referrer_domain",
        r"coalesce(s.extra ->> 'referrer_domain', substring(s.extra ->> 'referrer' from '://([^/:?#]+)'))",
    ),
    *_texts("referrer", "entrance_page", "exit_page"),
    *_texts("gclid", "yclid", "ymclid", "ef_id", "cm_id", "tag_from"),
    enum("channel", extra_text("channel"), enum=CHANNELS),
    *_numbers("site_id", "campaign_id", "visitor_id", "person_id", "visitor_session_id", "visits_count"),
    string("site_domain_name", SITE_DOMAIN_NAME),
    string("site_domain_naked", f"regexp_replace({SITE_DOMAIN_NAME}, '^www[.]', '')"),
    string("site_name", f"coalesce({extra_text('site_name')}, {site_value('name')})"),
    string("campaign_name", CAMPAIGN_NAME),
    boolean("visit_other_campaign", extra_boolean("visit_other_campaign")),
    *_texts("auto_call_campaign_name"),
    *_numbers("visitor_first_campaign_id"),
    string(
        "visitor_first_campaign_name",
        f"coalesce({extra_text('visitor_first_campaign_name')},"
        f" {campaign_name(extra_number('visitor_first_campaign_id'))})",
    ),
    *_texts("visitor_city", "visitor_region", "visitor_country", "visitor_ip_address", "visitor_provider"),
    *_texts("visitor_browser_name", "visitor_browser_version", "visitor_os_name", "visitor_os_version"),
    *_texts("visitor_screen", "visitor_language", "visitor_profile_url"),
    enum("visitor_device", extra_text("visitor_device"), enum=DEVICES),
    array(
        "visitor_custom_properties",
        extra_array("visitor_custom_properties"),
        match_name="property_value",
        nested=nested(property_name=_STRING, property_value=_STRING),
    ),
    array(
        "segments",
        extra_array("segments"),
        match_id="segment_id",
        match_name="segment_name",
        nested=nested(segment_id=_NUMBER, segment_name=_STRING),
    ),
    *_texts(
        "utm_source", "utm_medium", "utm_term", "utm_content", "utm_campaign", "utm_referrer", "utm_expid"
    ),
    *_texts("openstat_ad", "openstat_campaign", "openstat_service", "openstat_source"),
    *_texts("eq_utm_source", "eq_utm_medium", "eq_utm_term", "eq_utm_content", "eq_utm_campaign"),
    *_texts("eq_utm_referrer", "eq_utm_expid"),
    *_numbers("source_id"),
    *_texts("source_name", "source_new", "channel_new", "channel_code", "ext_id"),
)
"""Columns of a visit, for all kinds of communications."""


def visitor_type(new: str, returned: str, unknown: str) -> Column:
    """Whether the visitor came for the first time, in the words of the report."""
    sql = (
        "case lower(coalesce(s.extra ->> 'visitor_type', s.extra ->> 'is_visitor_new'))"
        f" when 'new' then '{new}' when 'true' then '{new}'"
        f" when 'returned' then '{returned}' when 'returning' then '{returned}' when 'false' then '{returned}'"
        f" when 'empty' then '{unknown}' when 'unknown' then '{unknown}' end"
    )
    return enum("visitor_type", sql, enum=(new, returned, unknown))


TARGET_CALL = (
    "case when s.talk_duration >= {least} then 'target' when s.talk_duration < {least} then 'off-target' end"
).format(least=site_value("target_call_min_duration"))
"""SQL: whether the call of a site was long enough to be a target; null for other calls."""


def sale(kind: str, id_sql: str) -> Catalogue:
    """``sale_date`` of the latest and ``sale_cost`` of all sales of a communication.

    :param kind: SQL of its kind; ``id_sql``: of its ``communication_id``.
    """
    those = (
        "from sales x where x.account_id = s.account_id"
        f" and x.communication_type = {kind} and x.communication_id = {id_sql}"
    )
    return catalogue(
        time("sale_date", f"coalesce({extra_time('sale_date')}, (select max(x.occurred_at) {those}))"),
        number(
            "sale_cost", f"coalesce({extra_number('sale_cost')}, (select sum(x.transaction_value) {those}))"
        ),
    )
