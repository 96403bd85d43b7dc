"""A webhook subscription in a directory file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from trunkline.directory.forms.entity import Column, Elsewhere, Entity, Json
from trunkline.directory.forms.fields import Item, Name, Secret, distinct

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


class SubscriptionForm(Item):
    """A URL that receives events. Without ``secret`` an existing subscription keeps its own."""

    name: str = ""
    url: Annotated[str, Field(pattern=r"^https?://")]
    method: Literal["POST", "PUT", "GET"] = "POST"
    events: Annotated[tuple[Name, ...], AfterValidator(distinct), Field(min_length=1)]
    body: Annotated[str | None, Column("body_template")] = None
    headers: Annotated[dict[Name, str], Json()] = Field(default_factory=dict)
    secret: Annotated[Secret, Elsewhere()] = None
    active: Annotated[bool, Column("is_active")] = True


def _values(context: WriteContext, key: str) -> Mapping[str, Any]:
    item: SubscriptionForm = context.item("notifications", key)
    if not item.secret:
        return {}
    return {"secret_encrypted": context.cipher.encrypt(item.secret.get_secret_value())}


ENTITIES = (Entity("notifications", SubscriptionForm, "subscriptions", "subscription_id", values=_values),)
