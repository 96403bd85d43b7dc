"""Campaigns, and the numbers that they may use.

Behaviour that the reference leaves open: ``costs`` is the sum of what was uploaded, changed by the campaign's ratio; a
campaign has no static marks and no coverage (null); a number of call tracking is available while no
campaign has it; a ``prefix`` is the country's code with the area's.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import phonenumbers
from psycopg.types.json import Jsonb

from trunkline.contract.columns import field, listed, optional_field
from trunkline.db.pool import Database
from trunkline.db.query import Column, ColumnType, Listing
from trunkline.db.query.columns import nested, string

_NUMBER = ColumnType.NUMBER
_STRING = ColumnType.STRING

ENGINES = ("yandex.direct", "google.adwords", "vk.ads", "mytarget.ads")
STATIC_UTM = ("source", "medium", "campaign", "term", "content", "referrer", "expid")
NUMBER_TYPES = ("va", "call_tracking", "user")

_COSTS = (
    "trim_scale(round(coalesce((select sum(k.cost) from campaign_costs k where k.account_id = c.account_id"
    " and k.campaign_id = c.campaign_id), 0) * case c.cost_ratio_operator when 'multiply' then c.cost_ratio"
    " when 'divide' then 1 / c.cost_ratio else 1 end, 4))"
)

_BLOCKS = (
    "(select jsonb_agg(jsonb_build_object('site_block_id', b.site_block_id, 'site_block_name', sb.name,"
    " 'phone_number_type', v.type, 'phone_number_id', v.virtual_number_id, 'phone_number', v.phone_number,"
    " 'redirection_phone_number_id', r.virtual_number_id, 'redirection_phone_number', r.phone_number,"
    " 'dynamic_call_tracking_enabled', b.dynamic_call_tracking_enabled) order by b.position, b.site_block_id)"
    " from campaign_blocks b"
    " join site_blocks sb on sb.account_id = b.account_id and sb.site_block_id = b.site_block_id"
    " join virtual_numbers v on v.account_id = b.account_id and v.virtual_number_id = b.virtual_number_id"
    " left join virtual_numbers r on r.account_id = b.account_id"
    " and r.virtual_number_id = b.redirection_virtual_number_id"
    " where b.account_id = c.account_id and b.campaign_id = c.campaign_id)"
)

_CONDITION = nested(
    type=Column("", ColumnType.ENUM, enum=("include", "exclude")),
    campaign_parameter=ColumnType.ENUM,
    operator=Column("", ColumnType.ENUM, enum=("=", "sub", "~")),
    value=_STRING,
)
_CONDITIONS = nested(conditions=Column("", ColumnType.ARRAY, nested=_CONDITION))

CAMPAIGNS = Listing(
    name="campaigns",
    table="campaigns c",
    joins="left join sites s on s.account_id = c.account_id and s.site_id = c.site_id",
    where="c.account_id = %(account_id)s",
    order="c.campaign_id",
    columns=listed(
        "get.campaigns",
        field("id", "c.campaign_id"),
        field("name", "c.name"),
        optional_field("description", "c.description"),
        field("status", "c.status"),
        field("creation_time", "c.created_at"),
        field(
            "campaign_conditions",
            "case c.type when 'basic' then jsonb_build_object('group_conditions', c.group_conditions) end",
            nested=nested(group_conditions=Column("", ColumnType.ARRAY, nested=_CONDITIONS)),
        ),
        field("engine", "c.engine"),
        field("type", "c.type"),
        field("costs", _COSTS),
        field("cost_ratio", "trim_scale(c.cost_ratio)"),
        field("cost_ratio_operator", "c.cost_ratio_operator"),
        field("site_id", "c.site_id"),
        field("site_domain_name", "s.domain_name"),
        field("site_blocks", _BLOCKS, match_id="site_block_id", match_name="site_block_name"),
        *(string(f"static_utm_{name}", f"c.static_utm ->> '{name}'", "filter") for name in STATIC_UTM),
        field(
            "dynamic_call_tracking",
            "case when c.dynamic_call_tracking is not null"
            " then c.dynamic_call_tracking || jsonb_build_object('coverage_visitors', null) end",
            match_name="reservation_time",
        ),
    ),
)

_ACTIVE = "v.account_id = %(account_id)s and v.status = 'active'"

AVAILABLE_NUMBERS = Listing(
    name="campaign_available_phone_numbers",
    table="virtual_numbers v",
    where=(
        f"{_ACTIVE} and (v.type = 'va' or (v.type = 'call_tracking' and not exists (select from campaign_blocks b"
        " where b.account_id = v.account_id and b.virtual_number_id = v.virtual_number_id)))"
    ),
    order="v.virtual_number_id",
    columns=listed(
        "get.campaign_available_phone_numbers",
        field("id", "v.virtual_number_id"),
        field("prefix", "%(prefixes)s ->> v.phone_number"),
        field("phone_number", "v.phone_number"),
        field("type", "v.type"),
    ),
)

REDIRECTION_NUMBERS = Listing(
    name="campaign_available_redirection_phone_numbers",
    table="virtual_numbers v",
    where=f"{_ACTIVE} and v.type = 'va'",
    order="v.virtual_number_id",
    columns=listed(
        "get.campaign_available_redirection_phone_numbers",
        field("id", "v.virtual_number_id"),
        field("phone_number", "v.phone_number"),
    ),
)


async def prefixes(db: Database, account_id: int) -> Jsonb:
    """Prefix by number of the account's numbers, for :data:`AVAILABLE_NUMBERS`."""
    rows = await db.fetch_all("select phone_number from virtual_numbers where account_id = %s", (account_id,))
    return Jsonb(_prefixes(row["phone_number"] for row in rows))


def _prefixes(numbers: Iterable[str]) -> dict[str, str]:
    return {number: prefix for number in numbers if (prefix := prefix_of(number)) is not None}


@functools.lru_cache(maxsize=10_000)
def prefix_of(phone_number: str) -> str | None:
    """Codes of country and area of an E.164 number (``4420`` of 442079460100); None when it has none."""
    try:
        parsed = phonenumbers.parse(f"+{phone_number}", None)
    except phonenumbers.NumberParseException:
        return None
    length = phonenumbers.length_of_geographical_area_code(parsed)
    length = length or phonenumbers.length_of_national_destination_code(parsed)
    return f"{parsed.country_code}{phonenumbers.national_significant_number(parsed)[:length]}"
