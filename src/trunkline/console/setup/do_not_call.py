"""Numbers that no campaign of the account calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trunkline.apis.jsonrpc.declare import Param, ParamType
from trunkline.apis.service.request_context import CallerLike
from trunkline.console.languages import translatable
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.controls import Control, Kind
from trunkline.console.setup.entity import Column, SetupEntity, moment, plain
from trunkline.console.setup.phone_lists import SEE, may
from trunkline.console.setup.writer import CreatedEntity, logged
from trunkline.core.errors import Duplicate
from trunkline.core.phone import in_full
from trunkline.dialer import campaign_store
from trunkline.dialer.for_people import FORBIDDEN_NUMBERS

_ = translatable


@dataclass(frozen=True, slots=True)
class _NumberWriter:
    """See :class:`~trunkline.console.setup.writer.Writer`. A number is added or removed, and nothing of it is changed."""

    def may(self, caller: CallerLike, action: str) -> bool:
        return action != "update" and may(caller, action)

    def params(self, action: str) -> Mapping[str, Param]:
        return {"phone": Param("phone", ParamType.STRING, required=True)}

    async def create(self, page_request: PageRequest, values: Mapping[str, Any]) -> CreatedEntity:
        phone = in_full(values["phone"] or "", "phone")
        async with logged(page_request, "console.create.do_not_call", dict(values)):
            added = await campaign_store.forbid_numbers(
                page_request.db, page_request.account_id, [phone], values["reason"]
            )
            if not added:
                raise Duplicate(f"{phone} is not called already.", field="phone", value=phone)
        return CreatedEntity(int(phone))

    async def update(
        self, page_request: PageRequest, entity_id: int, changed: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        raise AssertionError("nothing of such a number is changed")

    async def delete(self, page_request: PageRequest, entity_id: int) -> None:
        async with logged(page_request, "console.delete.do_not_call", {"phone": str(entity_id)}):
            await campaign_store.allow_numbers(page_request.db, page_request.account_id, [str(entity_id)])


DO_NOT_CALL = SetupEntity(
    name="do_not_call",
    title=_("Not called by campaigns"),
    new=_("Exclude a number"),
    about=_("Numbers that no campaign calls."),
    listing=FORBIDDEN_NUMBERS,
    needs=SEE,
    fields=("id", "phone", "reason", "added_at"),
    named="phone",
    named_phone=True,
    columns=(Column(_("Why"), plain("reason")), Column(_("Added"), moment("added_at"))),
    controls=(
        Control("phone", _("Number"), Kind.PHONE, hint=_("In full, for example +12025550110.")),
        Control("reason", _("Why")),
    ),
    writer=_NumberWriter(),
    order="phone",
    texts=("reason",),
    numbers=("phone",),
)
