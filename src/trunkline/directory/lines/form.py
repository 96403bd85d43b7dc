"""A SIP line in a directory file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from trunkline.directory.forms.entity import Column, Elsewhere, Entity, Kept, Refers
from trunkline.directory.forms.fields import DialTime, Item, Phone, Secret
from trunkline.directory.lines.digest import columns_of, new_password
from trunkline.directory.lines.rules import MAX_CHANNELS, MIN_CHANNELS
from trunkline.directory.model import BillingState, LineType, Srtp

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


class SipLineForm(Item):
    """A SIP login. Without ``password`` a new line gets a random one (shown once), an old one keeps its."""

    password: Annotated[Secret, Elsewhere()] = None
    virtual_number: Annotated[Phone | None, Refers("virtual_numbers", "virtual_number_id")] = None
    """Caller id of its outside calls."""
    type: LineType = LineType.IN_OUT
    channels: Annotated[int, Field(ge=MIN_CHANNELS, le=MAX_CHANNELS), Column("channels_count")] = 1
    dial_time: DialTime = 60
    srtp: Srtp = Srtp.OPTIONAL
    """``required``: its phones are called with SRTP only, and a call of theirs without SRTP is refused."""
    lock: Annotated[BillingState | None, Column("billing_state"), Kept(BillingState.ACTIVE)] = None
    active: Annotated[bool, Column("status", words=("active", "inactive"))] = True


def _values(context: WriteContext, key: str) -> Mapping[str, Any]:
    item: SipLineForm = context.item("sip_lines", key)
    password = item.password.get_secret_value() if item.password else None
    if password is None and key not in context.ids["sip_lines"]:
        password = context.passwords[key] = new_password()
    if password is None:
        return {}
    return columns_of(key, password)


ENTITIES = (
    Entity("sip_lines", SipLineForm, "sip_lines", "sip_line_id", key_column="phone_number", values=_values),
)
