"""A webhook subscription in a directory file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from psycopg.types.json import Jsonb
from pydantic import AfterValidator, Field, model_validator

from trunkline.db.pool import Row
from trunkline.directory.forms.entity import (
    Column,
    Elsewhere,
    Entity,
    Json,
    ReadContext,
    Refers,
    column_names,
)
from trunkline.directory.forms.fields import Item, Key, Name, Phone, Secret, distinct
from trunkline.directory.model.limits import MAX_CONDITION_VALUES, MAX_TALK_SECONDS

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


_Few = Field(max_length=MAX_CONDITION_VALUES)


class ConditionsForm(Item):
    """Of which calls it gets notifications: values of one are alternatives, and all that are given must be met."""

    direction: Literal["in", "out"] | None = None
    numbers: Annotated[
        tuple[Phone, ...], AfterValidator(distinct), _Few, Column("virtual_phone_numbers")
    ] = ()
    contacts: Annotated[
        tuple[Phone, ...], AfterValidator(distinct), _Few, Column("contact_phone_numbers")
    ] = ()
    employees: Annotated[
        tuple[Key, ...], AfterValidator(distinct), _Few, Refers("employees", "employee_ids")
    ] = ()
    tags: Annotated[tuple[Key, ...], AfterValidator(distinct), _Few, Refers("tags", "tag_ids")] = ()
    queues: Annotated[tuple[Key, ...], AfterValidator(distinct), _Few, Refers("queues", "queue_ids")] = ()
    talk_seconds_min: Annotated[int, Field(ge=0, le=MAX_TALK_SECONDS)] | None = None
    talk_seconds_max: Annotated[int, Field(ge=0, le=MAX_TALK_SECONDS)] | None = None

    @model_validator(mode="after")
    def _talk_is_possible(self) -> Self:
        shortest, longest = self.talk_seconds_min, self.talk_seconds_max
        if shortest is not None and longest is not None and shortest > longest:
            raise ValueError("talk_seconds_min is more than talk_seconds_max; exchange the two")
        return self


class SubscriptionForm(Item):
    """A URL that receives events. Without ``secret`` an existing subscription keeps its own."""

    name: str = ""
    url: Annotated[str, Field(pattern=r"^https?://")]
    method: Literal["POST", "PUT", "GET"] = "POST"
    events: Annotated[tuple[Name, ...], AfterValidator(distinct), Field(min_length=1)]
    body: Annotated[str | None, Column("body_template")] = None
    headers: Annotated[dict[Name, str], Json()] = Field(default_factory=dict)
    secret: Annotated[Secret, Elsewhere()] = None
    conditions: Annotated[ConditionsForm | None, Elsewhere()] = None
    active: Annotated[bool, Column("is_active")] = True


def _read(context: ReadContext, row: Row) -> Mapping[str, Any]:
    kept = {name: row["conditions"].get(name) for name in column_names(ConditionsForm)}
    lists = {"virtual_phone_numbers", "contact_phone_numbers", "employee_ids", "tag_ids", "queue_ids"}
    found = context.fields(ConditionsForm, {**kept, **{name: kept[name] or [] for name in lists}})
    given = {name: value for name, value in found.items() if value not in (None, [])}
    return {"conditions": given or None}


async def _link(context: WriteContext, key: str) -> None:
    item: SubscriptionForm = context.item("notifications", key)
    columns = context.columns(item.conditions) if item.conditions is not None else {}
    await context.run(
        "update subscriptions set conditions = %(conditions)s"
        " where account_id = %(account_id)s and subscription_id = %(subscription_id)s",
        subscription_id=context.ids["notifications"][key],
        conditions=Jsonb({name: value for name, value in columns.items() if value not in (None, [])}),
    )


def _values(context: WriteContext, key: str) -> Mapping[str, Any]:
    item: SubscriptionForm = context.item("notifications", key)
    if not item.secret:
        return {}
    return {"secret_encrypted": context.cipher.encrypt(item.secret.get_secret_value())}


ENTITIES = (
    Entity(
        "notifications",
        SubscriptionForm,
        "subscriptions",
        "subscription_id",
        read=_read,
        values=_values,
        link=_link,
    ),
)
