"""A site in a directory file, with its blocks; its key is its domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from psycopg.types.json import Jsonb
from pydantic import AfterValidator, Field

from trunkline.core.setting_types import Origin
from trunkline.db.pool import Row
from trunkline.directory.forms.entity import Elsewhere, Entity, Json, Kept, ReadContext, Refers
from trunkline.directory.forms.fields import Item, Key, Phone, Title, in_order, once, one_of
from trunkline.directory.sites.rules import (
    FIRST_BLOCK,
    MAX_CALLS_AT_ONCE,
    MAX_CALLS_PER_ADDRESS,
    MAX_CALLS_PER_MINUTE,
    MAX_CALLS_PER_NUMBER,
    MAX_DAYS,
    MAX_INDUSTRY,
    MAX_PERIOD,
    MAX_SECONDS,
    MAX_WEIGHT,
    SITE_KEY,
    WEIGHTS,
)

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


class WidgetLinkForm(Item):
    enabled: bool
    text: Annotated[str, Field(max_length=100)]
    url: Annotated[str, Field(max_length=2000)]


class VisitorIdForm(Item):
    enabled: bool
    element_id_value: Annotated[str, Field(max_length=255)]
    message: Annotated[str, Field(max_length=255)] = ""
    length_visitor_id: Annotated[int, Field(ge=1, le=20)] = 6


_Weighted = Annotated[str, one_of(*WEIGHTS)]
_Weight = Annotated[int, Field(ge=0, le=MAX_WEIGHT)]


class SiteForm(Item):
    name: str | None = None
    """None: its domain."""
    site_key: Annotated[Annotated[str, Field(pattern=SITE_KEY)] | None, Kept(None)] = None
    """What its pages are marked with; a new site without one gets a random one."""
    industry_id: Annotated[int, Field(ge=1, le=MAX_INDUSTRY)]
    default_phone_number: Phone | None = None
    default_scenario: Annotated[Key | None, Refers("scenarios", "default_scenario_id")] = None
    """Of calls on its numbers that no rule takes."""
    target_call_min_duration: Annotated[int, Field(ge=0, le=MAX_SECONDS)] = 30
    second_communication_period: Annotated[int, Field(ge=1, le=MAX_PERIOD)] = 1
    cookie_lifetime: Annotated[int, Field(ge=0, le=MAX_DAYS)] = 90
    campaign_lifetime: Annotated[int, Field(ge=0, le=MAX_DAYS)] = 90
    track_subdomains: bool = True
    sales_enabled: bool = False
    services_enabled: bool = True
    replacement_dynamical_block_enabled: bool = False
    is_support_web_directory: bool = False
    is_block_robot_traffic: bool = False
    widget_link: Annotated[WidgetLinkForm | None, Json()] = None
    show_visitor_id: Annotated[VisitorIdForm | None, Json()] = None
    child_customer_id: int | None = None
    """Account of the client for whom an agent made it."""
    calls_enabled: bool = False
    """Whether its pages may ask for calls: with the browser, or to be called back."""
    origins: Annotated[tuple[Origin, ...], AfterValidator(in_order)] = ()
    """Of pages that may ask; none: the domain over HTTPS, with and without www."""
    phone_scenario: Annotated[Key | None, Refers("scenarios", "phone_scenario_id")] = None
    """Of calls from browsers."""
    callback_scenario: Annotated[Key | None, Refers("scenarios", "callback_scenario_id")] = None
    """Whom it rings calls visitors back."""
    calls_number: Annotated[Phone | None, Refers("virtual_numbers", "calls_number_id")] = None
    """Caller id of call-backs."""
    calls_schedule: Annotated[Key | None, Refers("schedules", "calls_schedule_id")] = None
    """When calls are possible; None: always."""
    calls_abroad: bool = False
    """Whether numbers of other countries may be called back."""
    calls_at_once: Annotated[int, Field(ge=1, le=MAX_CALLS_AT_ONCE)] = 5
    calls_per_minute: Annotated[int, Field(ge=1, le=MAX_CALLS_PER_MINUTE)] = 10
    calls_per_number: Annotated[int, Field(ge=1, le=MAX_CALLS_PER_NUMBER)] = 3
    """In 24 hours."""
    calls_per_address: Annotated[int, Field(ge=1, le=MAX_CALLS_PER_ADDRESS)] = 5
    """In an hour."""
    weights: Annotated[dict[_Weighted, _Weight], Elsewhere()] = Field(default_factory=dict)
    """Of the kinds of conditions of campaigns, where they are not the default."""
    blocks: Annotated[tuple[Title, ...], AfterValidator(once), Elsewhere()] = (FIRST_BLOCK,)


def _read(context: ReadContext, row: Row) -> Mapping[str, Any]:
    blocks = context.parts("site_blocks", "site_id", row["site_id"])
    return {"weights": row["parameter_weights"], "blocks": [block["name"] for block in blocks]}


def _values(context: WriteContext, key: str) -> Mapping[str, Any]:
    return {"parameter_weights": Jsonb(dict(context.item("sites", key).weights))}


async def _link(context: WriteContext, key: str) -> None:
    """New blocks; blocks that go are deleted last, because campaigns may have shown numbers in them."""
    site_id = context.ids["sites"][key]
    item: SiteForm = context.item("sites", key)
    for name in item.blocks:
        await context.run(
            """insert into site_blocks (account_id, site_id, name) values (%(account_id)s, %(site_id)s, %(name)s)
               on conflict do nothing""",
            site_id=site_id,
            name=name,
        )


async def _finish(context: WriteContext, key: str) -> None:
    await context.run(
        """delete from site_blocks where account_id = %(account_id)s and site_id = %(site_id)s
           and name <> all(%(names)s)""",
        site_id=context.ids["sites"][key],
        names=list(context.item("sites", key).blocks),
    )


ENTITIES = (
    Entity(
        "sites",
        SiteForm,
        "sites",
        "site_id",
        key_column="domain_name",
        parts={
            "site_blocks": """
                select * from site_blocks where account_id = %(account_id)s order by site_block_id""",
        },
        read=_read,
        values=_values,
        link=_link,
        finish=_finish,
    ),
)
