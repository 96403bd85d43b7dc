"""A group of employees in a directory file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from trunkline.db.pool import Row
from trunkline.directory.exclusive import GROUP_NAME, SHORT_NUMBER
from trunkline.directory.forms.entity import Elsewhere, Entity, ReadContext, Refers
from trunkline.directory.forms.fields import Extension, Item, Key, Login, OutsidePhone, distinct
from trunkline.directory.groups.rules import MAX_CHANNELS, MIN_CHANNELS
from trunkline.directory.groups.store import put_members, put_phones
from trunkline.directory.model import Strategy

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


class GroupPhoneForm(Item):
    """A phone of a member, where the order of phones was chosen."""

    employee: Annotated[Key, Refers("employees")]
    line: Annotated[Login | None, Refers("sip_lines")] = None
    number: OutsidePhone | None = None
    available: bool = True

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.line is None) == (self.number is None):
            raise ValueError("write either line or number")
        return self


class GroupForm(Item):
    name: Annotated[str, GROUP_NAME] = ""
    extension: Annotated[Extension | None, SHORT_NUMBER] = None
    strategy: Strategy = Strategy.ALL
    schedule: Annotated[Key | None, Refers("schedules", "schedule_id")] = None
    members: Annotated[tuple[Key, ...], AfterValidator(distinct), Refers("employees"), Elsewhere()] = ()
    phones: Annotated[tuple[GroupPhoneForm, ...] | None, Elsewhere()] = None
    """Those that ring first, in this order; the others follow as members and their phones come. None: as chosen before."""
    queue_enabled: bool = False
    channels_count: Annotated[int, Field(ge=MIN_CHANNELS, le=MAX_CHANNELS)] | None = None
    """Concurrent calls; None: any number."""


def _read(context: ReadContext, row: Row) -> Mapping[str, Any]:
    members = context.parts("members", "group_id", row["group_id"])
    chosen = context.parts("group_phones", "group_id", row["group_id"])
    return {
        "members": [context.key("employees", member["employee_id"]) for member in members],
        "phones": [
            {
                "employee": context.key("employees", phone["employee_id"]),
                "line": context.key("sip_lines", phone["sip_line_id"]),
                "number": phone["external_number"],
                "available": phone["available"],
            }
            for phone in chosen
        ]
        or None,
    }


async def _link(context: WriteContext, key: str) -> None:
    """Members in the file's order; who stays keeps what was chosen for their phones in this group."""
    item: GroupForm = context.item("groups", key)
    group_id = context.ids["groups"][key]
    members = [context.ids["employees"][member] for member in item.members]
    await put_members(context.connection, context.account_id, group_id, members)
    if item.phones is not None:
        await _order(context, group_id, item.phones)


async def _order(context: WriteContext, group_id: int, phones: tuple[GroupPhoneForm, ...]) -> None:
    rows = await context.rows(
        """select phone_id, employee_id, sip_line_id, external_number from employee_phones
           where account_id = %(account_id)s"""
    )
    known = {
        (row["employee_id"], row["sip_line_id"], row["external_number"]): row["phone_id"] for row in rows
    }
    named = [
        (context.ids["employees"][phone.employee], context.id("sip_lines", phone.line), phone.number)
        for phone in phones
    ]
    chosen = [
        (known[name], phone.available) for name, phone in zip(named, phones, strict=True) if name in known
    ]
    await put_phones(context.connection, context.account_id, group_id, chosen)


ENTITIES = (
    Entity(
        "groups",
        GroupForm,
        "employee_groups",
        "group_id",
        parts={
            "members": """
                select * from group_members where account_id = %(account_id)s order by position, employee_id""",
            "group_phones": """
                select g.*, p.sip_line_id, p.external_number from group_phones g
                join employee_phones p on p.account_id = g.account_id and p.phone_id = g.phone_id
                where g.account_id = %(account_id)s order by g.position, g.phone_id""",
        },
        read=_read,
        link=_link,
        unique=("extension",),
    ),
)
