"""A virtual number in a directory file, with the rules of its calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from trunkline.db.pool import Row
from trunkline.directory.forms.entity import Column, Elsewhere, Entity, Kept, ReadContext, Refers
from trunkline.directory.forms.fields import Item, Key, Login

if TYPE_CHECKING:
    from trunkline.directory.forms.write_context import WriteContext


class RuleForm(Item):
    """The scenario of a number's calls; with a schedule only while that is open. The first open rule applies."""

    scenario: Annotated[Key, Refers("scenarios", "scenario_id")]
    schedule: Annotated[Key | None, Refers("schedules", "schedule_id")] = None
    active: Annotated[bool, Column("is_active")] = True


class VirtualNumberForm(Item):
    name: str = ""
    comment: str = ""
    category: Annotated[Literal["usual", "bronze", "silver", "gold", "platinum"] | None, Kept("usual")] = None
    type: Annotated[Literal["va", "call_tracking", "dynamic_call_tracking"] | None, Kept("va")] = None
    verified: Annotated[bool | None, Column("is_verified"), Kept(True)] = None
    """Whether the number is this account's; one that a file creates is, unless it says otherwise."""
    trunk: Annotated[Key | None, Refers("trunks", "trunk_id")] = None
    default_line: Annotated[Login | None, Refers("sip_lines", "default_sip_line_id", late=True)] = None
    max_in_calls: Annotated[int, Field(ge=0)] = 0
    max_out_calls: Annotated[int, Field(ge=0)] = 0
    number_group: Key | None = None
    """Numbers with the same value are interchangeable."""
    rules: Annotated[tuple[RuleForm, ...], Elsewhere()] = ()


def _read(context: ReadContext, row: Row) -> Mapping[str, Any]:
    rules = context.parts("rules", "virtual_number_id", row["virtual_number_id"])
    return {"rules": [context.fields(RuleForm, rule) for rule in rules]}


def _values(context: WriteContext, key: str) -> Mapping[str, Any]:
    item: VirtualNumberForm = context.item("virtual_numbers", key)
    if key in context.ids["virtual_numbers"] or item.verified is not None:
        return {}
    return {"is_verified": True}  # who applies files is the administrator


async def _link(context: WriteContext, key: str) -> None:
    item: VirtualNumberForm = context.item("virtual_numbers", key)
    number_id = context.ids["virtual_numbers"][key]
    rows = await context.rows(
        """select call_processing_rule_id as id from call_processing_rules
           where account_id = %(account_id)s and virtual_number_id = %(number_id)s
           order by position, call_processing_rule_id""",
        number_id=number_id,
    )
    wanted = [
        (index, {"virtual_number_id": number_id, "position": index, **context.columns(rule)})
        for index, rule in enumerate(item.rules)
    ]
    present = {index: row["id"] for index, row in enumerate(rows)}
    await context.put_list("call_processing_rules", "call_processing_rule_id", present, wanted)


ENTITIES = (
    Entity(
        "virtual_numbers",
        VirtualNumberForm,
        "virtual_numbers",
        "virtual_number_id",
        key_column="phone_number",
        parts={
            "rules": """
                select * from call_processing_rules where account_id = %(account_id)s
                order by position, call_processing_rule_id""",
        },
        read=_read,
        values=_values,
        link=_link,
        unlink=(
            # numbers and lines name each other: part those that go together
            """update sip_lines set virtual_number_id = null
               where account_id = %(account_id)s and virtual_number_id = any(%(ids)s)""",
        ),
    ),
)
