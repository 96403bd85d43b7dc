"""What is known of sites, their blocks, and the industries to choose from.

Behaviour that the reference leaves open: a site is ``disable`` when its services are off, ``work`` when it has a
campaign, else ``new``; every site may be changed; no integrations are connected, and blocks have no templates.
"""

from __future__ import annotations

from psycopg.types.json import Jsonb

from trunkline.contract.columns import field, listed
from trunkline.db.query import Column, ColumnType, Listing
from trunkline.db.query.columns import enum, nested, number, string
from trunkline.directory.sites.industries import INDUSTRIES

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING
_BOOLEAN = ColumnType.BOOLEAN

INTEGRATIONS = (
    "yandex.direct",
    "google.adwords",
    "yandex.metrika",
    "google.analytics",
    "vk.ads",
    "mytarget.ads",
)
STATES = ("new", "disable", "error", "work")

_NAMED_INDUSTRIES = {"industries": Jsonb({str(key): name for key, name in INDUSTRIES.items()})}
_WITH_ACCOUNT = "join accounts a on a.account_id = s.account_id"
_NAME = "coalesce(s.name, s.domain_name)"

_BLOCKS = (
    "(select jsonb_agg(jsonb_build_object('site_block_id', b.site_block_id, 'site_block_name', b.name)"
    " order by b.site_block_id) from site_blocks b"
    " where b.account_id = s.account_id and b.site_id = s.site_id)"
)

SITES = Listing(
    name="sites",
    table="sites s",
    joins=(
        f"{_WITH_ACCOUNT} left join scenarios sc on sc.account_id = s.account_id"
        " and sc.scenario_id = s.default_scenario_id"
    ),
    where="s.account_id = %(account_id)s",
    order="s.site_id",
    columns=listed(
        "get.sites",
        field("id", "s.site_id"),
        field("domain_name", "s.domain_name"),
        field("name", _NAME),
        field("default_phone_number", "s.default_phone_number"),
        field(
            "default_scenario",
            "case when sc.scenario_id is not null then jsonb_build_object('scenario_id', sc.scenario_id,"
            " 'scenario_name', sc.name) end",
            nested=nested(scenario_id=_NUMBER, scenario_name=Column("", _STRING, "sc.name", filterable=True)),
        ),
        field("app_key", "a.app_key"),
        field("site_key", "s.site_key"),
        field("is_editable", "true"),
        field("creation_date", "s.created_at"),
        field("target_call_min_duration", "s.target_call_min_duration"),
        field("track_subdomains", "s.track_subdomains"),
        field("cookie_lifetime", "s.cookie_lifetime"),
        field("campaign_lifetime", "s.campaign_lifetime"),
        field("sales_enabled", "s.sales_enabled"),
        field("second_communication_period", "s.second_communication_period"),
        field("services_enabled", "s.services_enabled"),
        field("replacement_dynamical_block_enabled", "s.replacement_dynamical_block_enabled"),
        field("is_support_web_directory", "s.is_support_web_directory"),
        field("widget_link", "s.widget_link"),
        enum(
            "state",
            "case when not s.services_enabled then 'disable' when exists (select from campaigns c"
            " where c.account_id = s.account_id and c.site_id = s.site_id) then 'work' else 'new' end",
            "default",
            enum=STATES,
        ),
        field("industry_id", "s.industry_id"),
        field("industry_name", "%(industries)s ->> s.industry_id::text"),
        field("child_customer_id", "s.child_customer_id"),
        field(
            "show_visitor_id",
            "s.show_visitor_id",
            nested=nested(
                enabled=_BOOLEAN, element_id_value=_STRING, message=_STRING, length_visitor_id=_NUMBER
            ),
        ),
        field(
            "site_blocks",
            _BLOCKS,
            match_id="site_block_id",
            match_name="site_block_name",
            nested=nested(site_block_id=_NUMBER, site_block_name=_STRING),
        ),
        field("connected_integrations", "'[]'::jsonb"),
        field("parent_id", "s.parent_id"),
    ),
    constants=_NAMED_INDUSTRIES,
)

SITE = Listing(
    name="site",
    table="sites s",
    joins=_WITH_ACCOUNT,
    where="s.account_id = %(account_id)s and (%(site_id)s::bigint is null or s.site_id = %(site_id)s)",
    order="s.site_id",
    columns=listed(
        "getobj.site",
        field("id", "s.site_id"),
        field("name", _NAME),
        string("domain_name", "s.domain_name", "default"),
        field("default_phone_number", "s.default_phone_number"),
        field("app_key", "a.app_key"),
        field("site_key", "s.site_key"),
        field("language", "a.locale"),
        field("services_enabled", "s.services_enabled"),
        field("is_available_edit", "true"),
        number("industry_id", "s.industry_id", "default"),
        string("creation_date", "to_char(s.created_at at time zone %(time_zone)s, 'YYYY-MM-DD')", "default"),
        field("target_call_min_duration", "s.target_call_min_duration"),
        field("second_communication_period", "s.second_communication_period"),
        field("child_customer_id", "s.child_customer_id"),
        field("is_support_web_directory", "s.is_support_web_directory"),
        field("cookie_lifetime", "s.cookie_lifetime"),
        field("campaign_lifetime", "s.campaign_lifetime"),
        field("is_block_robot_traffic", "s.is_block_robot_traffic"),
    ),
)

CATEGORIES = Listing(
    name="site_categories",
    table="jsonb_each_text(%(industries)s) i",
    where="%(account_id)s::bigint is not null",
    order="i.key::int",
    columns=listed("get.site_categories", field("id", "i.key"), field("name", "i.value")),
    constants=_NAMED_INDUSTRIES,
)

SITE_BLOCKS = Listing(
    name="site_blocks",
    table="site_blocks b",
    joins="join sites s on s.account_id = b.account_id and s.site_id = b.site_id",
    where="b.account_id = %(account_id)s",
    order="b.site_block_id",
    columns=listed(
        "get.site_blocks",
        field("id", "b.site_block_id"),
        field("name", "b.name"),
        field("site_id", "b.site_id"),
        field("site_domain_name", "s.domain_name"),
        field("templates", "b.templates"),
        field(
            "phone_numbers",
            "(select jsonb_agg(jsonb_build_object('phone_number', v.phone_number,"
            " 'phone_number_id', v.virtual_number_id, 'campaign_id', c.campaign_id,"
            " 'campaign_name', c.name, 'image_url', null) order by c.campaign_id)"
            " from campaign_blocks cb"
            " join campaigns c on c.account_id = cb.account_id and c.campaign_id = cb.campaign_id"
            " join virtual_numbers v on v.account_id = cb.account_id"
            " and v.virtual_number_id = cb.virtual_number_id"
            " where cb.account_id = b.account_id and cb.site_block_id = b.site_block_id)",
            match_id="phone_number_id",
            match_name="phone_number",
        ),
    ),
)
