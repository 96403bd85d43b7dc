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
from trunkline.console.setup.controls import Choice, Control, Kind, Row, Texts, version
from trunkline.console.setup.problems import EMPTY, Problem, problem_of
from trunkline.console.setup.writer import Writer
from trunkline.console.visit import Visit
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


async def _nothing(visit: Visit, row: Row) -> Mapping[str, Any]:
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
    :ivar once: values of its template that are shown only once, see :class:`~trunkline.console.setup.writer.Made`.
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
    more: Callable[[Visit, Row], Awaitable[Mapping[str, Any]]] = _nothing
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

    async def read(self, visit: Visit, entity_id: int) -> Row:
        """One of them.

        :raises NotFound: it is not there.
        """
        wanted = {"field": "id", "operator": "=", "value": entity_id}
        page = await visit.reader.list(self.listing, {"fields": list(self.fields), "filter": wanted})
        rows: list[Row] = orjson.loads(page.rows)
        if not rows:
            raise NotFound(_("It is not there any more: somebody may have deleted it."))
        return rows[0]

    async def show(
        self,
        visit: Visit,
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
            visit,
            controls,
            shown,
            problem,
            status,
            action="update",
            heading=row[self.named] or "–",
            action_path=f"{self.path}/{row['id']}",
            row=row,
            row_version=version(controls, row),
            may_save=self._may(visit, "update", row),
            may_delete=self._may(visit, "delete", row),
            **{**dict.fromkeys(self.once), **await self.more(visit, row), **more},
        )

    async def _list(self, visit: Visit) -> web.StreamResponse:
        listed = ListPage(
            self.path, self.title, "setup/list.html", self.needs, self.listing, self.fields,
            self.order, self.texts, self.numbers, self.states,
        )  # fmt: skip
        return await listed.show(
            visit,
            entity=self,
            may_create=self.writer.may(visit.caller, "create"),
            saved=visit.request.query.get("done", ""),
        )

    async def _show_new(self, visit: Visit) -> web.StreamResponse:
        self._require(visit, "create")
        query = visit.request.query
        typed = {
            one.name: one.sent({one.name: [query[one.name]]}) if one.name in query else one.usual
            for one in self._of_new
        }
        return await self._new_form(visit, typed)

    async def _create(self, visit: Visit) -> web.StreamResponse:
        fields = await visit.form_lists()
        self._require(visit, "create")
        typed = {one.name: one.sent(fields) for one in self._of_new}
        empty = self._empty("create", typed)
        if empty is not None:
            return await self._new_form(visit, typed, empty)
        values = {one.name: one.value(typed[one.name]) for one in self._of_new}
        try:
            made = await self.writer.create(visit, values)
        except (RpcError, Refused) as error:
            return await self._new_form(visit, typed, self._problem(error, "create"))
        if made.once:
            row = await self.read(visit, made.entity_id)
            return await self.show(visit, row, saved="created", **made.once)
        path = f"{self.path}/{made.entity_id}" if self.stays else self.path
        raise visit.back(f"{path}?done=created")

    async def _show_one(self, visit: Visit) -> web.StreamResponse:
        row = await self.read(visit, _id(visit))
        return await self.show(visit, row, saved=visit.request.query.get("done", ""))

    async def _update(self, visit: Visit) -> web.StreamResponse:
        fields = await visit.form_lists()
        self._require(visit, "update")
        row = await self.read(visit, _id(visit))
        self._require(visit, "update", row)
        controls = [one for one in self.controls if not one.only_new]
        changeable = [one for one in controls if not one.is_fixed]
        typed = {one.name: one.sent(fields) for one in changeable}
        if fields.get(VERSION, [""])[-1] != version(controls, row):
            text = _("Somebody has changed this meanwhile. Compare, and save again to keep what you typed.")
            return await self.show(visit, row, typed=typed, problem=Problem("", text), status=409)
        changed = {
            one.name: one.value(typed[one.name])
            for one in changeable
            if not one.is_same(typed[one.name], one.texts(row))
        }
        empty = self._empty("update", {name: typed[name] for name in changed})
        if empty is not None:
            return await self.show(visit, row, typed=typed, problem=empty, status=422)
        if changed:
            try:
                values = {one.name: one.value(typed[one.name]) for one in changeable}
                await self.writer.update(visit, _id(visit), changed, values)
            except (RpcError, Refused) as error:
                problem = self._problem(error, "update")
                return await self.show(visit, row, typed=typed, problem=problem, status=422)
        raise visit.back(f"{self.path}/{_id(visit)}?done=saved")

    async def _confirm(self, visit: Visit) -> web.StreamResponse:
        self._require(visit, "delete")
        row = await self.read(visit, _id(visit))
        self._require(visit, "delete", row)
        return self._confirmation(visit, row)

    async def _delete(self, visit: Visit) -> web.StreamResponse:
        await visit.form()
        self._require(visit, "delete")
        row = await self.read(visit, _id(visit))
        self._require(visit, "delete", row)
        try:
            await self.writer.delete(visit, _id(visit))
        except (RpcError, Refused) as error:
            return self._confirmation(visit, row, self._problem(error, "delete"))
        raise visit.back(f"{self.path}?done=deleted")

    def _confirmation(self, visit: Visit, row: Row, problem: Problem | None = None) -> web.Response:
        status = 200 if problem is None else 409
        return visit.page("setup/delete.html", status=status, entity=self, row=row, problem=problem)

    @property
    def _of_new(self) -> list[Control]:
        return [one for one in self.controls if not one.not_new]

    def _may(self, visit: Visit, action: str, row: Row | None = None) -> bool:
        return self.writer.may(visit.caller, action) and (row is None or not self.is_fixed(row))

    def _require(self, visit: Visit, action: str, row: Row | None = None) -> None:
        """:raises PermissionDenied: the visitor may not do this, or nobody may do it with this row."""
        if not self._may(visit, action, row):
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
        self, visit: Visit, typed: Mapping[str, Texts], problem: Problem | None = None
    ) -> web.Response:
        return await self._form(
            visit,
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
        visit: Visit,
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
        return visit.page(
            template,
            status=status,
            **{"saved": "", **values},
            entity=self,
            controls=controls,
            shown=shown,
            choices=await _choices(visit, controls),
            params=params,
            problem=problem,
            Kind=Kind,
        )


async def _choices(visit: Visit, controls: Sequence[Control]) -> dict[str, Sequence[Choice]]:
    return {
        one.name: await one.choices(visit) if callable(one.choices) else one.choices
        for one in controls
        if one.kind in (Kind.CHOICE, Kind.CHOICES)
    }


def _id(visit: Visit) -> int:
    return int(visit.request.match_info["id"])
