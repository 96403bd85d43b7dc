"""Writes items of directory files: entities for which no method of the Data API exists.

An item of a form becomes a file with this item alone, which is prepared and applied as ``trunkline apply`` does: the same
checks and statements.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from trunkline.accounts.secrets import Cipher
from trunkline.apis.jsonrpc.declare import Param, ParamType
from trunkline.apis.service.request_context import CallerLike
from trunkline.console.languages import translatable
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.writer import CreatedEntity, logged
from trunkline.core.errors import DirectoryFileError, InvalidInput, NotFound, PermissionDenied, Unavailable
from trunkline.db.query import Listing
from trunkline.directory.files.apply import DirectoryFiles
from trunkline.directory.files.form import Form
from trunkline.directory.files.prepare import Request
from trunkline.directory.trunks.addresses import own_addresses
from trunkline.speech import EspeakSpeech

_ = translatable

Item = dict[str, Any]
"""An item of a directory file, as it is in the file."""

Check = Callable[[PageRequest, Item], Awaitable[None]]


async def _anything(page_request: PageRequest, item: Item) -> None:
    return None


def _as_named(item: Item, values: Mapping[str, Any]) -> Item:
    return {**item, **values}


@dataclass(frozen=True, slots=True)
class FileWriter:
    """Writes items of a section.

    :ivar section: of directory files.
    :ivar resource: of the permissions.
    :ivar listing: has the field ``id`` and the key of an item.
    :ivar key: the field of the listing with the key.
    :ivar named: the control of which the key of a new one is made; :attr:`is_key`: it is the key itself.
    :ivar required: controls that must not be empty.
    :ivar secrets: controls that no log may have.
    :ivar merge: the item of the present one (empty: a new one) and values of controls.
    :ivar check: raises for an item that this visitor may not write.
    """

    section: str
    resource: str
    listing: Listing
    named: str
    key: str = "key"
    is_key: bool = False
    required: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    merge: Callable[[Item, Mapping[str, Any]], Item] = _as_named
    check: Check = field(default=_anything)

    def may(self, caller: CallerLike, action: str) -> bool:
        return caller.may(self.resource, {"create": "insert"}.get(action, action))

    def params(self, action: str) -> Mapping[str, Param]:
        return {name: Param(name, ParamType.STRING, required=True) for name in self.required}

    async def create(self, page_request: PageRequest, values: Mapping[str, Any]) -> CreatedEntity:
        self._require(page_request, "create")
        given = {name: value for name, value in values.items() if value not in (None, [])}
        taken = set((await present(page_request)).section(self.section))
        key = str(values[self.named]) if self.is_key else _free_key(str(values[self.named]), taken)
        if self.is_key:
            given.pop(self.named, None)
            if _digits(key) in {_digits(one) for one in taken}:
                raise InvalidInput(_("Another one has this already."), field=self.named)
        item = self.merge({}, given)
        await self.check(page_request, item)
        async with self._logged(page_request, "create", given):
            await self._apply(page_request, {key: item})
        return CreatedEntity(await self._id(page_request, key))

    async def update(
        self, page_request: PageRequest, entity_id: int, changed: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        self._require(page_request, "update")
        key = await self._key(page_request, entity_id)
        form = await present(page_request)
        former = form.section(self.section)[key].model_dump(mode="json", by_alias=True, exclude_unset=True)
        item = self.merge(former, changed)
        await self.check(page_request, item)
        async with self._logged(page_request, "update", {"id": entity_id, **changed}):
            await self._apply(page_request, {key: item})

    async def delete(self, page_request: PageRequest, entity_id: int) -> None:
        self._require(page_request, "delete")
        key = await self._key(page_request, entity_id)
        async with self._logged(page_request, "delete", {"id": entity_id}):
            await apply(page_request, Form(), removed={self.section: frozenset({key})})

    async def _apply(self, page_request: PageRequest, items: Mapping[str, Item]) -> None:
        try:
            form = Form.model_validate({self.section: items})
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            at = next((str(one) for one in problem["loc"][2:]), self.named)
            raise InvalidInput(problem["msg"].removeprefix("Value error, "), field=at) from error
        await apply(page_request, form)

    def _logged(self, page_request: PageRequest, action: str, values: Mapping[str, Any]) -> Any:
        shown = {name: "***" if name in self.secrets else value for name, value in values.items()}
        return logged(page_request, f"console.{action}.{self.section}", shown)

    def _require(self, page_request: PageRequest, action: str) -> None:
        if not self.may(page_request.caller, action):
            raise PermissionDenied(_("You may not change this: an admin of the account can permit it."))

    async def _key(self, page_request: PageRequest, entity_id: int) -> str:
        wanted = {"field": "id", "operator": "=", "value": entity_id}
        page = await page_request.reader.list(self.listing, {"fields": ["id", self.key], "filter": wanted})
        rows = orjson.loads(page.rows)
        if not rows:
            raise NotFound(_("It is not there any more: somebody may have deleted it."))
        return str(rows[0][self.key])

    async def _id(self, page_request: PageRequest, key: str) -> int:
        page = await page_request.reader.list(self.listing, {"fields": ["id", self.key], "limit": 10_000})
        kept = _digits(key) if self.is_key else key
        return next(int(row["id"]) for row in orjson.loads(page.rows) if str(row[self.key]) == kept)


def _digits(number: str) -> str:
    """A number as it is kept."""
    return re.sub(r"\D", "", number)


def files(page_request: PageRequest) -> DirectoryFiles:
    """Directory files for the user's account.

    :raises Unavailable: this process has no master key.
    """
    settings, cipher = page_request.services.settings, page_request.services.cipher
    if not isinstance(cipher, Cipher):
        raise Unavailable("Changes cannot be written: the web process has no master key.")
    own = own_addresses(settings.sip.bind, settings.sip.external_address)
    return DirectoryFiles(
        page_request.db,
        cipher,
        EspeakSpeech(),
        settings.media_dir,
        own=own,
        password_strength_min=settings.sip.password_strength_min,
        stores_system_media=False,
    )


async def present(page_request: PageRequest) -> Form:
    """The directory of the account without its address book, which may be large."""
    return await files(page_request).export(page_request.account_id, without_address_book=True)


async def apply(
    page_request: PageRequest, form: Form, *, removed: Mapping[str, frozenset[str]] | None = None
) -> None:
    """Write items of a file.

    :param removed: keys of items to delete, by section.
    :raises InvalidInput: the first problem, with the field of the item.
    """
    writer = files(page_request)
    try:
        request = Request(page_request.account_id, form, Path("/nonexistent"), removed=removed or {})
        prepared = await writer.prepare(request)
        await writer.apply(prepared)
    except DirectoryFileError as error:
        place, colon, message = str(error.params.get("problems", [error.message])[0]).partition(": ")
        names = place.split(".")
        if not colon or len(names) < 2:
            raise InvalidInput(error.message) from error
        raise InvalidInput(message, field=names[2].partition("[")[0] if len(names) > 2 else None) from error


def _free_key(name: str, present: set[str]) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50] or "item"
    return next(
        one
        for number in range(len(present) + 1)
        if (one := f"{key}-{number}" if number else key) not in present
    )
