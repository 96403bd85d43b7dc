"""List, form and confirmation of an entity, from its declaration.

::

    TAGS = SetupEntity(
        name="tags", title=_("Tags"), new=_("New tag"), about=_("Marks on calls."),
        listing=listing.TAGS, needs=("tag_management", "select"), fields=("id", "name"), named="name",
        columns=(), controls=(Control("name", _("Name")),),
        writer=MethodWriter("create.tags", "update.tags", "delete.tags"),
    )

and its line in :data:`trunkline.console.setup.menu.ENTITIES`. ``GET`` shows, ``POST`` writes and redirects; a form that is
refused is shown again with what was typed, and the problem beside its field.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from trunkline.accounts.permissions import Permission
from trunkline.apis.jsonrpc.errors import RpcError
from trunkline.apis.service.request_context import CallerLike
from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.lists import ListPage
from trunkline.console.page import Page
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.controls import Choice, Control, Kind, Row, Texts, version
from trunkline.console.setup.problems import EMPTY, Problem, problem_of
from trunkline.console.setup.writer import Writer
from trunkline.core.errors import NotFound, PermissionDenied, Refused
from trunkline.db.query import Listing

PATH = "/console/setup"

VERSION = "row_version"
"""The hidden field with the state of the row that the form was made of."""

_ = translatable


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a cell of a list.

    :ivar is_text: one of our texts, which is translated.
    :ivar mood: ``good``, ``bad``, ``soft`` or empty.
    """

    text: str
    is_text: bool = False
    is_phone: bool = False
    is_moment: bool = False
    mood: str = ""


Cell = Callable[[Row], Sequence[Part]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list, after the first one, which has the name."""

    label: str
    cell: Cell


def plain(name: str) -> Cell:
    """A value as it is."""
    return lambda row: () if row[name] in (None, "") else (Part(str(row[name])),)


def phone(name: str) -> Cell:
    """A number."""
    return lambda row: (Part(str(row[name]), is_phone=True),) if row[name] else ()


def moment(name: str) -> Cell:
    """A time of a listing."""
    return lambda row: (Part(str(row[name]), is_moment=True),) if row[name] else ()


def flag(name: str) -> Cell:
    """Whether something is so; nothing when it is not."""
    return lambda row: (Part(_("Yes"), is_text=True),) if row[name] else ()


def names(name: str, member: str) -> Cell:
    """The names of a list of objects."""
    return lambda row: [Part(str(one[member] or "–")) for one in row[name] or ()]


async def _nothing(page_request: PageRequest, row: Row) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class SetupEntity:
    """An entity of the set-up.

    :ivar name: in paths.
    :ivar title: of the list.
    :ivar new: title of the form of a new one.
    :ivar about: one sentence for the first page of the set-up.
    :ivar fields: of the listing, for the list and the form.
    :ivar named: the field with its name; ``named_phone``: it is a number.
    :ivar is_fixed: whether a row can be neither changed nor deleted, by anybody.
    :ivar order, texts, numbers, states: as of :class:`ListPage`.
    :ivar template: of the page of one; extends ``setup/form.html``.
    :ivar more: further values of this template.
    :ivar once: values of its template that are shown only once, see :class:`~trunkline.console.setup.writer.CreatedEntity`.
    :ivar stays: after it was made, its page is shown and not the list.
    :ivar pages: further pages, for what its page can do besides.
    """

    name: str
    title: str
    new: str
    about: str
    listing: Listing
    needs: Permission
    fields: tuple[str, ...]
    named: str
    columns: tuple[Column, ...]
    controls: tuple[Control, ...]
    writer: Writer
    named_phone: bool = False
    is_fixed: Callable[[Row], bool] = lambda row: False
    order: str = ""
    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    states: Mapping[str, tuple[str, str, Any]] = field(default_factory=dict)
    template: str = "setup/form.html"
    more: Callable[[PageRequest, Row], Awaitable[Mapping[str, Any]]] = _nothing
    once: tuple[str, ...] = ()
    stays: bool = False
    pages: tuple[Page, ...] = ()

    @property
    def path(self) -> str:
        return f"{PATH}/{self.name}"

    def is_visible(self, caller: CallerLike) -> bool:
        """Whether the caller may see the list."""
        return caller.may(*self.needs)

    def may_write(self, caller: CallerLike) -> bool:
        """Whether the caller may make or change one."""
        return any(self.writer.may(caller, action) for action in ("create", "update", "delete"))

    def all_pages(self) -> tuple[Page, ...]:
        """The list, the pages of a new one and of one that exists, and the confirmation."""
        one, change = f"{self.path}/{{id:[0-9]{{1,18}}}}", Workload.CHANGE
        return (
            Page(self.path, self._list, self.needs),
            *self.pages,
            Page(f"{self.path}/new", self._show_new, self.needs),
            Page(f"{self.path}/new", self._create, self.needs, "POST", change),
            Page(one, self._show_one, self.needs),
            Page(one, self._update, self.needs, "POST", change),
            Page(f"{one}/delete", self._confirm, self.needs),
            Page(f"{one}/delete", self._delete, self.needs, "POST", change),
        )

    async def read(self, page_request: PageRequest, entity_id: int) -> Row:
        """One of them.

        :raises NotFound: it is not there.
        """
        wanted = {"field": "id", "operator": "=", "value": entity_id}
        page = await page_request.reader.list(self.listing, {"fields": list(self.fields), "filter": wanted})
        rows: list[Row] = orjson.loads(page.rows)
        if not rows:
            raise NotFound(_("It is not there any more: somebody may have deleted it."))
        return rows[0]

    async def show(
        self,
        page_request: PageRequest,
        row: Row,
        *,
        typed: Mapping[str, Texts] | None = None,
        problem: Problem | None = None,
        status: int = 200,
        **more: Any,
    ) -> web.Response:
        """The page of one that exists.

        :param typed: what the form has instead of the row's values.
        """
        controls = [one for one in self.controls if not one.only_new]
        shown = {one.name: one.texts(row) for one in controls} | dict(typed or {})
        return await self._form(
            page_request,
            controls,
            shown,
            problem,
            status,
            action="update",
            heading=row[self.named] or "–",
            action_path=f"{self.path}/{row['id']}",
            row=row,
            row_version=version(controls, row),
            may_save=self._may(page_request, "update", row),
            may_delete=self._may(page_request, "delete", row),
            **{**dict.fromkeys(self.once), **await self.more(page_request, row), **more},
        )

    async def _list(self, page_request: PageRequest) -> web.StreamResponse:
        listed = ListPage(
            self.path, self.title, "setup/list.html", self.needs, self.listing, self.fields,
            self.order, self.texts, self.numbers, self.states,
        )  # fmt: skip
        return await listed.show(
            page_request,
            entity=self,
            may_create=self.writer.may(page_request.caller, "create"),
            saved=page_request.request.query.get("done", ""),
        )

    async def _show_new(self, page_request: PageRequest) -> web.StreamResponse:
        self._require(page_request, "create")
        query = page_request.request.query
        typed = {
            one.name: one.sent({one.name: [query[one.name]]}) if one.name in query else one.usual
            for one in self._of_new
        }
        return await self._new_form(page_request, typed)

    async def _create(self, page_request: PageRequest) -> web.StreamResponse:
        fields = await page_request.form_lists()
        self._require(page_request, "create")
        typed = {one.name: one.sent(fields) for one in self._of_new}
        empty = self._empty("create", typed)
        if empty is not None:
            return await self._new_form(page_request, typed, empty)
        values = {one.name: one.value(typed[one.name]) for one in self._of_new}
        try:
            made = await self.writer.create(page_request, values)
        except (RpcError, Refused) as error:
            return await self._new_form(page_request, typed, self._problem(error, "create"))
        if made.once:
            row = await self.read(page_request, made.entity_id)
            return await self.show(page_request, row, saved="created", **made.once)
        path = f"{self.path}/{made.entity_id}" if self.stays else self.path
        raise page_request.back(f"{path}?done=created")

    async def _show_one(self, page_request: PageRequest) -> web.StreamResponse:
        row = await self.read(page_request, _id(page_request))
        return await self.show(page_request, row, saved=page_request.request.query.get("done", ""))

    async def _update(self, page_request: PageRequest) -> web.StreamResponse:
        fields = await page_request.form_lists()
        self._require(page_request, "update")
        row = await self.read(page_request, _id(page_request))
        self._require(page_request, "update", row)
        controls = [one for one in self.controls if not one.only_new]
        changeable = [one for one in controls if not one.is_fixed]
        typed = {one.name: one.sent(fields) for one in changeable}
        if fields.get(VERSION, [""])[-1] != version(controls, row):
            text = _("Somebody has changed this meanwhile. Compare, and save again to keep what you typed.")
            return await self.show(page_request, row, typed=typed, problem=Problem("", text), status=409)
        changed = {
            one.name: one.value(typed[one.name])
            for one in changeable
            if not one.is_same(typed[one.name], one.texts(row))
        }
        empty = self._empty("update", {name: typed[name] for name in changed})
        if empty is not None:
            return await self.show(page_request, row, typed=typed, problem=empty, status=422)
        if changed:
            try:
                values = {one.name: one.value(typed[one.name]) for one in changeable}
                await self.writer.update(page_request, _id(page_request), changed, values)
            except (RpcError, Refused) as error:
                problem = self._problem(error, "update")
                return await self.show(page_request, row, typed=typed, problem=problem, status=422)
        raise page_request.back(f"{self.path}/{_id(page_request)}?done=saved")

    async def _confirm(self, page_request: PageRequest) -> web.StreamResponse:
        self._require(page_request, "delete")
        row = await self.read(page_request, _id(page_request))
        self._require(page_request, "delete", row)
        return self._confirmation(page_request, row)

    async def _delete(self, page_request: PageRequest) -> web.StreamResponse:
        await page_request.form()
        self._require(page_request, "delete")
        row = await self.read(page_request, _id(page_request))
        self._require(page_request, "delete", row)
        try:
            await self.writer.delete(page_request, _id(page_request))
        except (RpcError, Refused) as error:
            return self._confirmation(page_request, row, self._problem(error, "delete"))
        raise page_request.back(f"{self.path}?done=deleted")

    def _confirmation(
        self, page_request: PageRequest, row: Row, problem: Problem | None = None
    ) -> web.Response:
        status = 200 if problem is None else 409
        return page_request.page("setup/delete.html", status=status, entity=self, row=row, problem=problem)

    @property
    def _of_new(self) -> list[Control]:
        return [one for one in self.controls if not one.not_new]

    def _may(self, page_request: PageRequest, action: str, row: Row | None = None) -> bool:
        return self.writer.may(page_request.caller, action) and (row is None or not self.is_fixed(row))

    def _require(self, page_request: PageRequest, action: str, row: Row | None = None) -> None:
        """:raises PermissionDenied: the user may not do this, or nobody may do it with this row."""
        if not self._may(page_request, action, row):
            raise PermissionDenied(_("You may not change this: an admin of the account can permit it."))

    def _problem(self, error: RpcError | Refused, action: str) -> Problem:
        """:raises PermissionDenied: the error is one."""
        if isinstance(error, PermissionDenied) and not error.field:
            raise error
        return problem_of(error, (one.name for one in self.controls), self.writer.params(action).values())

    def _empty(self, action: str, typed: Mapping[str, Texts]) -> Problem | None:
        params = self.writer.params(action)
        for name, texts in typed.items():
            param = params.get(name)
            if param is not None and param.required and not param.nullable and not texts:
                return Problem(name, EMPTY)
        return None

    async def _new_form(
        self, page_request: PageRequest, typed: Mapping[str, Texts], problem: Problem | None = None
    ) -> web.Response:
        return await self._form(
            page_request,
            self._of_new,
            typed,
            problem,
            200 if problem is None else 422,
            action="create",
            heading=None,
            action_path=f"{self.path}/new",
            row=None,
            row_version="",
            may_save=True,
            may_delete=False,
        )

    async def _form(
        self,
        page_request: PageRequest,
        controls: Sequence[Control],
        shown: Mapping[str, Texts],
        problem: Problem | None,
        status: int,
        *,
        action: str,
        **values: Any,
    ) -> web.Response:
        params = self.writer.params(action)
        template = self.template if action == "update" else "setup/form.html"
        return page_request.page(
            template,
            status=status,
            **{"saved": "", **values},
            entity=self,
            controls=controls,
            shown=shown,
            choices=await _choices(page_request, controls),
            params=params,
            problem=problem,
            Kind=Kind,
        )


async def _choices(page_request: PageRequest, controls: Sequence[Control]) -> dict[str, Sequence[Choice]]:
    named = {one.name: one for one in controls}
    named |= {f"{one.name}.{cell.name}": cell for one in controls for cell in one.cells}
    return {
        name: await one.choices(page_request) if callable(one.choices) else one.choices
        for name, one in named.items()
        if one.kind in (Kind.CHOICE, Kind.CHOICES)
    }


def _id(page_request: PageRequest) -> int:
    return int(page_request.request.match_info["id"])
