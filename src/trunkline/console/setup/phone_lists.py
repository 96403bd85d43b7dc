"""Phone lists and their leads: numbers that campaigns call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from trunkline.accounts.permissions import Permission
from trunkline.apis.jsonrpc.declare import Param, ParamType
from trunkline.apis.service.request_context import CallerLike
from trunkline.apis.service.workloads import Workload
from trunkline.console.languages import translatable
from trunkline.console.page import Page
from trunkline.console.page_request import PageRequest
from trunkline.console.setup.controls import Control, Row
from trunkline.console.setup.entity import PATH, Column, SetupEntity, plain
from trunkline.console.setup.problems import EMPTY, Problem, problem_of
from trunkline.console.setup.writer import CreatedEntity, logged
from trunkline.core.errors import InvalidInput, PermissionDenied, Refused
from trunkline.phone_lists import leads, lists, rules
from trunkline.phone_lists.for_people import PHONE_LISTS_FOR_PEOPLE

_ = translatable

SEE: Permission = ("phone_lists", "select")
_ADD: Permission = ("phone_lists", "insert")
_REMOVE: Permission = ("phone_lists", "delete")

SHOWN = 100
"""Leads on a page."""
_TEXT_MAX = 1024 * 1024
"""Bytes of a form with leads."""


def may(caller: CallerLike, action: str) -> bool:
    """Whether the caller may ``create``, ``update`` or ``delete`` phone lists and what is done with them."""
    return caller.may("phone_lists", {"create": "insert"}.get(action, action))


@dataclass(frozen=True, slots=True)
class _ListWriter:
    """See :class:`~trunkline.console.setup.writer.Writer`."""

    def may(self, caller: CallerLike, action: str) -> bool:
        return may(caller, action)

    def params(self, action: str) -> Mapping[str, Param]:
        return {"name": Param("name", ParamType.STRING, required=True, maximum=rules.MAX_NAME)}

    async def create(self, page_request: PageRequest, values: Mapping[str, Any]) -> CreatedEntity:
        columns = {"name": _name(values["name"])}
        async with logged(page_request, "console.create.phone_lists", columns):
            made = await lists.create_list(page_request.db, page_request.account_id, columns)
        return CreatedEntity(made)

    async def update(
        self, page_request: PageRequest, entity_id: int, changed: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        columns = {"name": _name(values["name"])}
        async with logged(page_request, "console.update.phone_lists", {"id": entity_id, **columns}):
            await lists.update_list(page_request.db, page_request.account_id, entity_id, columns)

    async def delete(self, page_request: PageRequest, entity_id: int) -> None:
        async with logged(page_request, "console.delete.phone_lists", {"id": entity_id}):
            await lists.delete_list(page_request.db, page_request.account_id, entity_id)


def _name(text: str | None) -> str:
    try:
        return rules.list_name(text or "")
    except ValueError as error:
        raise InvalidInput(str(error), field="name", value=text) from error


async def _more(page_request: PageRequest, row: Row) -> Mapping[str, Any]:
    after = "".join(one for one in page_request.request.query.get("after", "") if one in "0123456789")[:20]
    found = await leads.read_leads(
        page_request.db, page_request.account_id, row["id"], after=after, limit=SHOWN + 1
    )
    return {
        "leads": found[:SHOWN],
        "next_after": found[SHOWN - 1]["phone"] if len(found) > SHOWN else "",
        "may_add": page_request.may(_ADD),
        "may_remove": page_request.may(_REMOVE),
        "leads_problem": None,
        "leads_typed": "",
        "most_lines": rules.MAX_LINES_OF_TEXT,
    }


async def _add(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form(limit=_TEXT_MAX)
    _require(page_request, _ADD)
    row = await _row(page_request)
    text = fields.get("leads", "").replace("\0", "")
    if not text.strip():
        return await _refused(page_request, row, Problem("leads", EMPTY), text)
    limits = page_request.services.settings.limits
    try:
        # in a thread: each number is parsed, which takes a second for thousands
        sent = await asyncio.to_thread(rules.leads_in_text, text)
        async with logged(page_request, "console.add.leads", {"id": row["id"], "leads": len(sent)}):
            await leads.add_leads(
                page_request.db,
                page_request.account_id,
                row["id"],
                sent,
                leads.Quota(limits.account_leads, limits.account_leads_bytes),
            )
    except ValueError as error:
        problem = problem_of(InvalidInput(str(error), field="leads"), ("leads",))
        return await _refused(page_request, row, problem, text)
    except PermissionDenied:
        raise
    except Refused as error:
        return await _refused(page_request, row, problem_of(error, ("leads",)), text)
    raise page_request.back(f"{PHONE_LISTS.path}/{row['id']}?done=saved")


async def _refused(page_request: PageRequest, row: Row, problem: Problem, typed: str) -> web.Response:
    return await PHONE_LISTS.show(page_request, row, status=422, leads_problem=problem, leads_typed=typed)


async def _remove(page_request: PageRequest) -> web.StreamResponse:
    await page_request.form()
    _require(page_request, _REMOVE)
    row = await _row(page_request)
    phone = page_request.request.match_info["phone"]
    async with logged(page_request, "console.delete.leads", {"id": row["id"], "phone": phone}):
        await leads.delete_leads(page_request.db, page_request.account_id, row["id"], [phone])
    raise page_request.back(f"{PHONE_LISTS.path}/{row['id']}?done=deleted")


def _require(page_request: PageRequest, permission: Permission) -> None:
    if not page_request.may(permission):
        raise PermissionDenied(_("You may not change this: an admin of the account can permit it."))


async def _row(page_request: PageRequest) -> Row:
    return await PHONE_LISTS.read(page_request, int(page_request.request.match_info["id"]))


_ONE = f"{PATH}/phone_lists/{{id:[0-9]{{1,18}}}}"

PHONE_LISTS = SetupEntity(
    name="phone_lists",
    title=_("Phone lists"),
    new=_("New phone list"),
    about=_("Numbers that campaigns call."),
    listing=PHONE_LISTS_FOR_PEOPLE,
    needs=SEE,
    fields=("id", "name", "leads"),
    named="name",
    columns=(Column(_("Numbers in it"), plain("leads")),),
    controls=(Control("name", _("Name")),),
    writer=_ListWriter(),
    order="name",
    texts=("name",),
    template="setup/phone_list.html",
    more=_more,
    stays=True,
    pages=(
        Page(f"{_ONE}/leads", _add, SEE, "POST", Workload.CHANGE),
        Page(f"{_ONE}/leads/{{phone:[0-9]{{1,20}}}}/delete", _remove, SEE, "POST", Workload.CHANGE),
    ),
)
