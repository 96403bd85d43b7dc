"""Virtual numbers: which trunk carries them, and which scenario answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.apis.service.request_context import CallerLike
from trunkline.console.languages import translatable
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.choices import rows_of
from trunkline.console.setup.controls import Choice, Control, Kind, Row
from trunkline.console.setup.entity import Column, Part, SetupEntity, plain
from trunkline.console.setup.file_writer import FileWriter, Item, present
from trunkline.console.setup.writer import CreatedEntity, call, may_call
from trunkline.directory.numbers.listing import NUMBERS_FOR_PEOPLE
from trunkline.directory.numbers.ownership import is_only_account
from trunkline.directory.trunks.listing import TRUNKS

_ = translatable

_SEE = ("number_management", "select")
_DISABLE = "disable.virtual_numbers"


def _merge(item: Item, values: Mapping[str, Any]) -> Item:
    rest = {name: value for name, value in values.items() if name != "scenario"}
    merged = {**item, **rest}
    if "scenario" in values:
        first, *others = item.get("rules") or [{}]
        chosen = values["scenario"]
        merged["rules"] = [*([{**first, "scenario": chosen}] if chosen else []), *others]
    for name in ("name", "comment"):
        if merged.get(name, "") is None:
            merged[name] = ""
    return merged


@dataclass(frozen=True, slots=True)
class NumberWriter(FileWriter):
    """New and changed numbers are items of a file; one is given back by the method for it."""

    def may(self, caller: CallerLike, action: str) -> bool:
        return may_call(caller, _DISABLE) if action == "delete" else FileWriter.may(self, caller, action)

    async def create(self, page_request: PageRequest, values: Mapping[str, Any]) -> CreatedEntity:
        """A number is verified, so that lines may show it, only where there is no other account that it may belong to."""
        verified = await is_only_account(page_request.db)
        return await FileWriter.create(self, page_request, {**values, "verified": verified})

    async def delete(self, page_request: PageRequest, entity_id: int) -> None:
        await call(page_request, _DISABLE, {"number_capacity_ids": [entity_id]})


def _verified(row: Row) -> list[Part]:
    return (
        []
        if row["is_verified"]
        else [Part(_("Not verified: not shown in calls out"), is_text=True, mood="bad")]
    )


def _answers(row: Row) -> list[Part]:
    found = [Part(one) for one in (row["answers"] or "").split("\n") if one]
    return found or [Part(_("Nothing answers"), is_text=True, mood="bad")]


async def scenarios(page_request: PageRequest) -> list[Choice]:
    """The scenarios by their keys."""
    form = await present(page_request)
    return [Choice(key, item.name or key) for key, item in form.section("scenarios").items()]


NUMBERS = SetupEntity(
    name="numbers",
    title=_("Numbers"),
    new=_("New number"),
    about=_("Telephone numbers of the company, and what answers them."),
    listing=NUMBERS_FOR_PEOPLE,
    needs=_SEE,
    fields=("id", "phone_number", "name", "comment", "status", "is_verified", "trunk", "trunk_name", "scenario", "answers"),
    named="phone_number",
    named_phone=True,
    columns=(
        Column(_("Name"), plain("name")),
        Column(_("Answers"), _answers),
        Column(_("Trunk"), plain("trunk_name")),
        Column(_("State"), _verified),
    ),
    controls=(
        Control(
            "phone_number", _("Number"), Kind.PHONE, hint=_("In full, for example +12025550110."), is_fixed=True
        ),
        Control("name", _("Name")),
        Control("comment", _("Comment")),
        Control(
            "trunk", _("Trunk"), Kind.CHOICE, empty=_("None"), choices=rows_of(TRUNKS, _SEE, "key", "name"),
        ),
        Control("scenario", _("Scenario that answers"), Kind.CHOICE, empty=_("Nothing answers"), choices=scenarios),
    ),
    writer=NumberWriter(
        "virtual_numbers", "number_management", NUMBERS_FOR_PEOPLE, "phone_number",
        key="phone_number", is_key=True, required=("phone_number",), merge=_merge,
    ),
    order="phone_number",
    texts=("name",),
    numbers=("phone_number",),
)  # fmt: skip
