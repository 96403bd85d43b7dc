"""Lists of numbers: those an account has, those it may enable, their categories, lists of callers, prefixes."""

from __future__ import annotations

from functools import cache
from typing import Any

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE
from psycopg.types.json import Jsonb

from trunkline.contract.columns import field, listed, optional_field
from trunkline.db.query import Column, ColumnType, Listing
from trunkline.db.query.columns import array, column, nested

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING
_BOOLEAN = ColumnType.BOOLEAN

CATEGORIES = ("usual", "bronze", "silver", "gold", "platinum")
STATUSES = ("active", "waiting", "cleaning", "prereserved", "reserved", "manual_lock", "limit_lock")
TYPES = ("va", "call_tracking", "dynamic_call_tracking")

_BLOCK = "jsonb_build_object('site_block_id', b.site_block_id, 'site_block_name', b.name)"
_BLOCKS_OF_NUMBER = (
    "from campaign_blocks cb join site_blocks b on b.account_id = cb.account_id"
    " and b.site_block_id = cb.site_block_id"
    " where cb.account_id = v.account_id and cb.virtual_number_id = v.virtual_number_id"
)
_SITE_BLOCKS = nested(site_block_id=_NUMBER, site_block_name=_STRING)

VIRTUAL_NUMBERS = Listing(
    name="virtual_numbers",
    table="virtual_numbers v",
    where="v.account_id = %(account_id)s",
    order="v.virtual_number_id",
    columns=listed(
        "get.virtual_numbers",
        field("id", "v.virtual_number_id"),
        field(
            "child_customer_id",
            "(select a.account_id from accounts a where a.account_id = v.account_id"
            " and a.parent_account_id is not null)",
        ),
        field("virtual_phone_number", "v.phone_number"),
        field("redirection_phone_number", "v.redirection_phone_number"),
        field("activation_date", "v.activation_date"),
        field("status", "v.status"),
        field("category", "v.category"),
        field("type", "v.type"),
        optional_field("comment", "v.comment"),
        optional_field("name", "v.name"),
        field(
            "campaigns",
            "(select jsonb_agg(jsonb_build_object('campaign_id', c.campaign_id, 'campaign_name', c.name,"  # noqa: S608
            " 'site_id', c.site_id, 'site_domain_name', s.domain_name, 'site_blocks',"
            f" (select jsonb_agg({_BLOCK} order by b.site_block_id) {_BLOCKS_OF_NUMBER}"
            " and cb.campaign_id = c.campaign_id)) order by c.campaign_id)"
            " from campaigns c left join sites s on s.account_id = c.account_id and s.site_id = c.site_id"
            " where c.account_id = v.account_id and c.campaign_id in (select cb.campaign_id"
            " from campaign_blocks cb where cb.account_id = v.account_id"
            " and cb.virtual_number_id = v.virtual_number_id))",
            match_id="campaign_id",
            match_name="campaign_name",
        ),
        array(
            "site_blocks",
            f"(select jsonb_agg(distinct {_BLOCK}) {_BLOCKS_OF_NUMBER})",
            "default",
            nested=_SITE_BLOCKS,
        ),
        field(
            "scenarios",
            "(select jsonb_agg(jsonb_build_object('scenario_id', c.scenario_id, 'scenario_name', c.name,"
            " 'call_processing_rule_id', r.call_processing_rule_id, 'is_active', r.is_active)"
            " order by r.position, r.call_processing_rule_id) from call_processing_rules r join scenarios c"
            " on c.account_id = r.account_id and c.scenario_id = r.scenario_id"
            " where r.account_id = v.account_id and r.virtual_number_id = v.virtual_number_id)",
            match_id="scenario_id",
            match_name="scenario_name",
        ),
    ),
)

NUMBERS_FOR_PEOPLE = Listing(
    name="numbers_for_people",
    table="virtual_numbers v",
    joins="left join trunks t on t.account_id = v.account_id and t.trunk_id = v.trunk_id",
    where="v.account_id = %(account_id)s",
    order="v.virtual_number_id",
    columns=(
        column(_NUMBER, "id", "v.virtual_number_id", "filter sort default"),
        column(_STRING, "phone_number", "v.phone_number", "filter sort default"),
        column(_STRING, "name", "v.name", "filter sort default"),
        column(_STRING, "comment", "v.comment", "default"),
        column(_STRING, "status", "v.status", "default"),
        column(_BOOLEAN, "is_verified", "v.is_verified", "default"),
        column(_STRING, "trunk", "t.key", "default"),
        column(_STRING, "trunk_name", "coalesce(nullif(t.name, ''), t.key)", "default"),
        column(
            _STRING,
            "scenario",
            "(select s.key from call_processing_rules r join scenarios s using (account_id, scenario_id)"
            " where r.account_id = v.account_id and r.virtual_number_id = v.virtual_number_id"
            " order by r.position, r.call_processing_rule_id limit 1)",
            "default",
        ),
        column(
            _STRING,
            "answers",
            "(select string_agg(s.name, E'\\n' order by r.position, r.call_processing_rule_id)"
            " from call_processing_rules r join scenarios s using (account_id, scenario_id)"
            " where r.account_id = v.account_id and r.virtual_number_id = v.virtual_number_id and r.is_active)",
            "default",
        ),
    ),
)
"""Numbers with what carries and answers their calls; no method of an API has it."""

MAY_BE_ENABLED = """
    i.account_id in (0, %(account_id)s,
        (select a.parent_account_id from accounts a where a.account_id = %(account_id)s))
    and not number_is_held(i.phone_number)
"""
"""Condition on ``number_inventory i``: offered to this account by the system or its agent, and without an account."""

AVAILABLE_NUMBERS = Listing(
    name="available_virtual_numbers",
    table="number_inventory i",
    where=MAY_BE_ENABLED,
    order="i.number_capacity_id",
    columns=listed(
        "get.available_virtual_numbers",
        Column("id", _NUMBER, "i.number_capacity_id", filterable=True, sortable=True, default=False),
        field("phone_number", "i.phone_number"),
        field("category", "i.category", enum=CATEGORIES),
        field("location_mnemonic", "i.location_mnemonic"),
        optional_field("location_name", "i.location_name"),
        field("onetime_payment", "trim_scale(i.onetime_payment)"),
        field("monthly_charge", "trim_scale(i.monthly_charge)"),
        field("min_charge", "trim_scale(i.min_charge)"),
    ),
)

_CATEGORY_ROWS = ", ".join(f"({number_}, '{name}')" for number_, name in enumerate(CATEGORIES, start=1))

CAPACITY_CATEGORIES = Listing(
    name="number_capacity_categories",
    table=f"(select id, name from (values {_CATEGORY_ROWS}) as given (id, name)) n",  # noqa: S608 - consists of constants
    where="true",  # the same for all accounts
    order="n.id",
    columns=listed("get.number_capacity_categories", field("id", "n.id"), field("name", "n.name")),
)

CALLER_LISTS = Listing(
    name="numa_lists",
    table="contact_groups g",
    where="g.account_id = %(account_id)s",
    order="g.contact_group_id",
    columns=listed(
        "get.numa_lists",
        field("id", "g.contact_group_id"),
        field("name", "g.name"),
    ),
)
"""Lists of callers' numbers: the groups of the address book."""

COUNTRY_PREFIXES = Listing(
    name="country_phone_prefixes",
    table="(select prefix, country from jsonb_to_recordset(%(prefixes)s) as given (prefix text, country text)) p",
    where="true",  # the same for all accounts; %(prefixes)s: country_prefixes()
    order="p.prefix::int, p.country",
    columns=listed(
        "get.country_phone_prefixes",
        field("prefix", "p.prefix"),
        field("country", "p.country"),
    ),
)


@cache
def country_prefixes() -> dict[str, Any]:
    """What :data:`COUNTRY_PREFIXES` lists: a row for each country (ISO 3166), several may share a prefix."""
    rows = [
        {"prefix": str(prefix), "country": country}
        for prefix, countries in COUNTRY_CODE_TO_REGION_CODE.items()
        for country in countries
        if country.isalpha()
    ]
    return {"prefixes": Jsonb(rows)}
