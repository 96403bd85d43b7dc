"""What is known of sites, their blocks, and the industries to choose from.

Behaviour that the reference leaves open: a site is ``disable`` when its services are off, ``work`` when it has a
campaign, else ``new``; every site may be changed; no integrations are connected, and blocks have no templates.
"""

from __future__ import annotations

from psycopg.types.json import Jsonb

from trunkline.db.query import Column, ColumnType, Listing
from trunkline.db.query.columns import array, boolean, enum, nested, number, string, structure, time
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
    columns=(
        number("id", "s.site_id", "filter default"),
        string("domain_name", "s.domain_name", "filter default"),
        string("name", _NAME, "filter default"),
        string("default_phone_number", "s.default_phone_number", "filter default"),
        structure(
            "default_scenario",
            "case when sc.scenario_id is not null then jsonb_build_object('scenario_id', sc.scenario_id,"
            " 'scenario_name', sc.name) end",
            "default",
            nested=nested(scenario_id=_NUMBER, scenario_name=Column("", _STRING, "sc.name", filterable=True)),
        ),
        string("app_key", "a.app_key", "default"),
        string("site_key", "s.site_key", "default"),
        boolean("is_editable", "true", "default"),
        time("creation_date", "s.created_at", "filter default"),
        number("target_call_min_duration", "s.target_call_min_duration", "filter default"),
        boolean("track_subdomains", "s.track_subdomains", "filter default"),
        number("cookie_lifetime", "s.cookie_lifetime", "filter default"),
        number("campaign_lifetime", "s.campaign_lifetime", "filter default"),
        boolean("sales_enabled", "s.sales_enabled", "filter default"),
        number("second_communication_period", "s.second_communication_period", "filter default"),
        boolean("services_enabled", "s.services_enabled", "filter default"),
        boolean("replacement_dynamical_block_enabled", "s.replacement_dynamical_block_enabled", "default"),
        boolean("is_support_web_directory", "s.is_support_web_directory", "filter default"),
        structure(
            "widget_link",
            "s.widget_link",
            "default",
            nested=nested(enabled=_BOOLEAN, text=_STRING, url=_STRING),
        ),
        enum(
            "state",
            "case when not s.services_enabled then 'disable' when exists (select from campaigns c"
            " where c.account_id = s.account_id and c.site_id = s.site_id) then 'work' else 'new' end",
            "default",
            enum=STATES,
        ),
        number("industry_id", "s.industry_id", "default"),
        string("industry_name", "%(industries)s ->> s.industry_id::text", "default"),
        number("child_customer_id", "s.child_customer_id", "filter sort default"),
        structure(
            "show_visitor_id",
            "s.show_visitor_id",
            "default",
            nested=nested(
                enabled=_BOOLEAN, element_id_value=_STRING, message=_STRING, length_visitor_id=_NUMBER
            ),
        ),
        array(
            "site_blocks",
            _BLOCKS,
            "filter default",
            match_id="site_block_id",
            match_name="site_block_name",
            nested=nested(site_block_id=_NUMBER, site_block_name=_STRING),
        ),
        array("connected_integrations", "'[]'::jsonb", "default", enum=INTEGRATIONS),
        number("parent_id", "s.parent_id", "filter sort default"),
    ),
    constants=_NAMED_INDUSTRIES,
)

SITE = Listing(
    name="site",
    table="sites s",
    joins=_WITH_ACCOUNT,
    where="s.account_id = %(account_id)s and (%(site_id)s::bigint is null or s.site_id = %(site_id)s)",
    order="s.site_id",
    columns=(
        number("id", "s.site_id", "default"),
        string("name", _NAME, "default"),
        string("domain_name", "s.domain_name", "default"),
        string("default_phone_number", "s.default_phone_number", "default"),
        string("app_key", "a.app_key", "default"),
        string("site_key", "s.site_key", "default"),
        string("language", "a.locale", "default"),
        boolean("services_enabled", "s.services_enabled", "default"),
        boolean("is_available_edit", "true", "default"),
        number("industry_id", "s.industry_id", "default"),
        string("creation_date", "to_char(s.created_at at time zone %(time_zone)s, 'YYYY-MM-DD')", "default"),
        number("target_call_min_duration", "s.target_call_min_duration", "default"),
        number("second_communication_period", "s.second_communication_period", "default"),
        number("child_customer_id", "s.child_customer_id", "default"),
        boolean("is_support_web_directory", "s.is_support_web_directory", "filter default"),
        number("cookie_lifetime", "s.cookie_lifetime", "default"),
        number("campaign_lifetime", "s.campaign_lifetime", "default"),
        boolean("is_block_robot_traffic", "s.is_block_robot_traffic", "filter default"),
    ),
)

CATEGORIES = Listing(
    name="site_categories",
    table="jsonb_each_text(%(industries)s) i",
    where="%(account_id)s::bigint is not null",
    order="i.key::int",
    columns=(string("id", "i.key", "default"), string("name", "i.value", "default")),
    constants=_NAMED_INDUSTRIES,
)

SITE_BLOCKS = Listing(
    name="site_blocks",
    table="site_blocks b",
    joins="join sites s on s.account_id = b.account_id and s.site_id = b.site_id",
    where="b.account_id = %(account_id)s",
    order="b.site_block_id",
    columns=(
        number("id", "b.site_block_id", "filter default"),
        string("name", "b.name", "filter default"),
        number("site_id", "b.site_id", "filter sort default"),
        string("site_domain_name", "s.domain_name", "filter default"),
        array(
            "templates",
            "b.templates",
            "default",
            nested=nested(
                template_id=_NUMBER,
                template_type=Column("", ColumnType.ENUM, enum=("image", "text")),
                element_attribute=Column(
                    "", ColumnType.ENUM, enum=("id", "class", "name", "selector", "phone_number")
                ),
                element_attribute_value=_STRING,
                phone_number_template=_STRING,
                phone_number_mask=_STRING,
            ),
        ),
        array(
            "phone_numbers",
            "(select jsonb_agg(jsonb_build_object('phone_number', v.phone_number,"
            " 'phone_number_id', v.virtual_number_id, 'campaign_id', c.campaign_id,"
            " 'campaign_name', c.name, 'image_url', null) order by c.campaign_id)"
            " from campaign_blocks cb"
            " join campaigns c on c.account_id = cb.account_id and c.campaign_id = cb.campaign_id"
            " join virtual_numbers v on v.account_id = cb.account_id"
            " and v.virtual_number_id = cb.virtual_number_id"
            " where cb.account_id = b.account_id and cb.site_block_id = b.site_block_id)",
            "filter default",
            match_id="phone_number_id",
            match_name="phone_number",
            nested=nested(
                phone_number=_STRING,
                phone_number_id=_NUMBER,
                campaign_id=_NUMBER,
                campaign_name=_STRING,
                image_url=_STRING,
            ),
        ),
    ),
)
