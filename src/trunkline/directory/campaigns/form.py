"""An advertising campaign in a directory file, with the numbers it shows and its costs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Self

from psycopg.types.json import Jsonb
from pydantic import AfterValidator, Field, field_serializer, model_validator

from trunkline.core.errors import DirectoryFileError, InvalidInput, Refused
from trunkline.db.pool import Row
from trunkline.directory.campaigns.conditions import MAX_VALUE, OPERATORS, PARAMETERS, TYPES, check_conditions
from trunkline.directory.campaigns.costs import Cost, put_cost
from trunkline.directory.campaigns.numbers import put_blocks
from trunkline.directory.campaigns.rules import (
    COST_OPERATORS,
    MAX_COST,
    MAX_COUNT,
    MAX_RATIO,
    RESERVATION_TIMES,
    STATUSES,
)
from trunkline.directory.forms.entity import Elsewhere, Entity, Json, ReadContext, Refers
from trunkline.directory.forms.fields import Item, Phone, Title, one_of

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext

SYSTEM = "system"
"""Key of the campaign of visitors without a campaign, which every account has and no file makes."""


class ConditionForm(Item):
    type: Annotated[str, one_of(*TYPES)]
    campaign_parameter: Annotated[str, one_of(*PARAMETERS)]
    operator: Annotated[str, one_of(*OPERATORS)]
    value: Annotated[str, Field(max_length=MAX_VALUE)]


class TrackingForm(Item):
    """Dynamic call tracking."""

    reservation_time: Annotated[str, one_of(*RESERVATION_TIMES)] = "15m"
    count_virtual_numbers: Annotated[int, Field(ge=1, le=MAX_COUNT)]
    count_visits: Annotated[int, Field(ge=1, le=MAX_COUNT)]


class ShownNumberForm(Item):
    """The number that a campaign shows in a block of a site."""

    site: Annotated[str, Refers("sites")]
    block: Title
    number: Annotated[Phone, Refers("virtual_numbers")]
    redirection: Annotated[Phone | None, Refers("virtual_numbers")] = None
    dynamic: bool = False


def _plain(value: Decimal) -> Decimal:
    return value.normalize() if value != value.to_integral() else value.quantize(Decimal(1))


class CostForm(Item):
    """In the account's currency, for whole days, both included."""

    first: date
    last: date
    cost: Annotated[Decimal, Field(gt=0, le=MAX_COST), AfterValidator(_plain)]

    @field_serializer("cost")
    def _text(self, cost: Decimal) -> str:
        return str(cost)


class CampaignForm(Item):
    name: str = ""
    site: Annotated[str | None, Refers("sites", "site_id")] = None
    """None: the system's campaign, of all sites."""
    description: str = ""
    status: Annotated[str, one_of(*STATUSES)] = "active"
    cost_ratio: Annotated[Decimal, Field(ge=1, le=MAX_RATIO), AfterValidator(_plain)] = Decimal(1)
    cost_ratio_operator: Annotated[str, one_of(*COST_OPERATORS)] = "wo_changes"
    conditions: Annotated[tuple[tuple[ConditionForm, ...], ...], Elsewhere()] = ()
    """Groups of conditions."""
    dynamic_call_tracking: Annotated[TrackingForm | None, Json()] = None
    numbers: Annotated[tuple[ShownNumberForm, ...], Elsewhere()] = ()
    costs: Annotated[tuple[CostForm, ...], Elsewhere()] = ()

    @field_serializer("cost_ratio")
    def _text(self, ratio: Decimal) -> str:
        return str(ratio)

    @model_validator(mode="after")
    def _conditions(self) -> Self:
        try:
            check_conditions(_groups(self))
        except InvalidInput as error:
            raise ValueError(error.message) from None
        if self.numbers and self.status != "active":
            raise ValueError("an inactive campaign shows no numbers; make it active")
        if self.dynamic_call_tracking is None and any(number.dynamic for number in self.numbers):
            raise ValueError("dynamic call tracking needs its settings")
        return self


def _groups(item: CampaignForm) -> list[dict[str, Any]]:
    return [{"conditions": [one.model_dump(mode="json") for one in group]} for group in item.conditions]


def _read(context: ReadContext, row: Row) -> Mapping[str, Any] | None:
    numbers = context.parts("campaign_blocks", "campaign_id", row["campaign_id"])
    costs = context.parts("campaign_costs", "campaign_id", row["campaign_id"])
    if row["key"] == SYSTEM and not numbers and not costs and row["dynamic_call_tracking"] is None:
        return None
    return {
        "conditions": [group["conditions"] for group in row["group_conditions"]],
        "numbers": [
            {
                "site": context.key("sites", number["site_id"]),
                "block": number["block"],
                "number": context.key("virtual_numbers", number["virtual_number_id"]),
                "redirection": context.key("virtual_numbers", number["redirection_virtual_number_id"]),
                "dynamic": number["dynamic_call_tracking_enabled"],
            }
            for number in numbers
        ],
        "costs": [
            {"first": each["date_from"], "last": each["date_till"], "cost": each["cost"]} for each in costs
        ],
    }


def _values(context: WriteContext, key: str) -> Mapping[str, Any]:
    return {"group_conditions": Jsonb(_groups(context.item("campaigns", key)))}


async def _link(context: WriteContext, key: str) -> None:
    item: CampaignForm = context.item("campaigns", key)
    campaign_id = context.ids["campaigns"][key]
    sites = dict.fromkeys(number.site for number in item.numbers)
    try:
        for site in sites:
            site_id = context.ids["sites"][site]
            blocks = [await _block(context, number) for number in item.numbers if number.site == site]
            await put_blocks(context.connection, context.account_id, campaign_id, site_id, blocks)
    except Refused as error:
        problem = f"campaigns.{key}.numbers: {error.message}"
        raise DirectoryFileError(problem, params={"problems": [problem]}) from error
    await context.run(
        "delete from campaign_costs where account_id = %(account_id)s and campaign_id = %(campaign_id)s",
        campaign_id=campaign_id,
    )
    for each in item.costs:
        await put_cost(
            context.connection, context.account_id, Cost(campaign_id, 0, each.first, each.last, each.cost)
        )


async def _block(context: WriteContext, number: ShownNumberForm) -> dict[str, Any]:
    """As :func:`.numbers.put_blocks` takes it."""
    [block] = await context.rows(
        """select site_block_id from site_blocks
           where account_id = %(account_id)s and site_id = %(site)s and name = %(block)s""",
        site=context.ids["sites"][number.site],
        block=number.block,
    )
    return {
        "site_block_id": block["site_block_id"],
        "phone_number_id": context.id("virtual_numbers", number.number),
        "redirection_phone_number_id": context.id("virtual_numbers", number.redirection),
        "dynamic_call_tracking_enabled": number.dynamic,
    }


ENTITIES = (
    Entity(
        "campaigns",
        CampaignForm,
        "campaigns",
        "campaign_id",
        where=" and type <> 'integrated'",
        parts={
            "campaign_blocks": """
                select c.*, b.site_id, b.name as block from campaign_blocks c join site_blocks b
                on b.account_id = c.account_id and b.site_block_id = c.site_block_id
                where c.account_id = %(account_id)s order by c.position, b.site_id, c.site_block_id""",
            "campaign_costs": """
                select * from campaign_costs where account_id = %(account_id)s order by date_from, date_till""",
        },
        read=_read,
        values=_values,
        link=_link,
        permanent=frozenset({SYSTEM}),
        release=(
            # campaigns of one file may exchange numbers
            "delete from campaign_blocks where account_id = %(account_id)s and campaign_id = any(%(ids)s)",
        ),
    ),
)
