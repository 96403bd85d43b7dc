"""The list of calls with its filters, and its export."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import web

from trunkline.accounts.permissions import READ_REPORTS
from trunkline.console.call_filter import PATH, CallFilter, Outcome, Part, When, parse
from trunkline.console.languages import translatable
from trunkline.console.other_party import FIELDS, seen_by
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import PageRequest, may_see_calls, page_number
from trunkline.core.errors import PermissionDenied, TrunklineError
from trunkline.directory.employees.listing import EMPLOYEES
from trunkline.directory.tags.listing import TAGS
from trunkline.reports.calls import CALLS_FOR_PEOPLE, calls_for_people
from trunkline.reports.reason_descriptions import REASON_DESCRIPTIONS

PAGE_SIZE = 50
EXPORT_STEP = 2000
"""Rows that an export reads at a time."""

EXPORT_MAX = 100_000
"""Rows of an export: reports have no page behind this one."""

_ = translatable

COLUMNS: Mapping[str, str] = {
    "time": _("Time"),
    "direction": _("Direction"),
    "contact": _("Contact"),
    "number": _("Our number"),
    "employee": _("Employee"),
    "wait": _("Waited"),
    "talk": _("Talked"),
    "result": _("Result"),
    "tags": _("Tags"),
    "queue": _("Queue"),
    "scenario": _("Scenario"),
}
"""Columns of the list, in their order."""

USUAL = ("time", "direction", "contact", "number", "employee", "wait", "talk", "result", "tags")

_FIELDS = (
    "id",
    "start_time",
    "finish_time",
    "direction",
    "is_lost",
    "finish_reason",
    "virtual_phone_number",
    "operator_phone_number",
    "last_talked_employee_full_name",
    "total_wait_duration",
    "talk_duration",
    "lost_call_processing_duration",
    "tags",
    "queues",
    "scenario_name",
    "call_records",
    "voice_mail_records",
    *FIELDS,
)

_EXPORTED = (
    "id",
    "start_time",
    "finish_time",
    "direction",
    "contact_phone_number",
    "contact_full_name",
    "virtual_phone_number",
    "operator_phone_number",
    "last_talked_employee_full_name",
    "total_wait_duration",
    "talk_duration",
    "is_lost",
    "finish_reason",
    "tags",
    "queues",
    "scenario_name",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry of a select."""

    value: str
    title: str


def visible(page_request: PageRequest, chosen: CallFilter) -> dict[str, Any]:
    """The filter of a report for what the user may see of what was chosen.

    :raises PermissionDenied: nothing.
    """
    own, wanted = page_request.only_employee, chosen.report_filter()
    if own is None:
        return wanted
    mine = {"field": "employee_id", "operator": "=", "value": own}
    return {"filters": [mine, wanted], "condition": "and"}


async def _show(page_request: PageRequest) -> web.StreamResponse:
    query = page_request.request.query
    chosen = parse(query)
    page = page_number(page_request.request)
    shown = [name for name in COLUMNS if name in query.getall("column", [])] or list(USUAL)
    first, last = chosen.moments(page_request.today)
    offset = min((page - 1) * PAGE_SIZE, EXPORT_MAX)
    found = await calls_for_people(
        page_request.reader,
        {
            "date_from": first,
            "date_till": last,
            "fields": list(_FIELDS),
            "filter": visible(page_request, chosen),
            "sort": [{"field": "start_time", "order": "desc"}],
            "limit": PAGE_SIZE,
            "offset": offset,
        },
    )
    total = found.total_items
    return page_request.page(
        "calls.html",
        calls=[seen_by(one, page_request.caller.employee_id) for one in orjson.loads(found.rows)],
        total=total,
        page=page,
        pages=max(1, -(-min(total, EXPORT_MAX) // PAGE_SIZE)),
        chosen=chosen,
        shown=shown,
        columns=COLUMNS,
        is_usual=shown == list(USUAL),
        page_path=lambda number: _path(chosen, shown, number),
        export_path=f"{PATH}.csv?{urlencode(chosen.query)}",
        employees=await _choices(page_request, EMPLOYEES, "full_name")
        if page_request.only_employee is None
        else [],
        tags=await _choices(page_request, TAGS, "name", {"include_rating": False}),
        days=chosen.days(page_request.today),
        reasons=REASON_DESCRIPTIONS,
        When=When,
        Outcome=Outcome,
        Part=Part,
    )


async def _export(page_request: PageRequest) -> web.StreamResponse:
    """All calls of the filter as CSV, written while they are read."""
    if not page_request.may(READ_REPORTS):
        raise PermissionDenied(_("You may not export calls: an admin of the account can permit it."))
    chosen = parse(page_request.request.query)
    first, last = chosen.moments(page_request.today)
    now = page_request.now.astimezone(page_request.zone)
    last = min(last, f"{now:%Y-%m-%d %H:%M:%S}")  # calls that begin meanwhile would move the others
    params = {
        "date_from": first,
        "date_till": last,
        "fields": list(_EXPORTED),
        "filter": visible(page_request, chosen),
        "sort": [{"field": "start_time", "order": "desc"}],
        "limit": EXPORT_STEP,
    }
    begin, end = chosen.days(page_request.today)
    response = web.StreamResponse(
        headers={
            **page_request.renderer.headers,
            "Content-Type": "text/csv; charset=utf-8",
            "Content-Disposition": f'attachment; filename="calls-{begin}-{end}.csv"',
        }
    )
    rows = orjson.loads((await calls_for_people(page_request.reader, {**params, "offset": 0})).rows)
    await response.prepare(page_request.request)
    await response.write(b"\xef\xbb\xbf" + _lines([_EXPORTED]))  # the mark by which spreadsheets see UTF-8
    offset = 0
    while rows:
        await response.write(_lines([_cells(one) for one in rows]))
        offset += EXPORT_STEP
        if len(rows) < EXPORT_STEP:
            break
        if offset >= EXPORT_MAX:
            text = page_request.language.texts.gettext(_("There are more calls: choose a shorter period."))
            await response.write(_lines([[text]]))
            break
        try:
            rows = orjson.loads(
                (await calls_for_people(page_request.reader, {**params, "offset": offset})).rows
            )
        except TrunklineError:
            if page_request.request.transport is not None:
                page_request.request.transport.abort()  # so that the browser reports that the file is not complete
            raise
    await response.write_eof()
    return response


def _lines(rows: list[Any]) -> bytes:
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows(rows)
    return written.getvalue().encode()


def _cells(call: Mapping[str, Any]) -> list[Any]:
    row: list[Any] = []
    for name in _EXPORTED:
        value = call[name]
        if isinstance(value, list):
            value = ", ".join(str(one.get("tag_name") or one.get("queue_name") or "") for one in value)
        row.append(_harmless(value) if isinstance(value, str) else value)
    return row


_FORMULA = frozenset("=+-@＝＋－＠")


def _harmless(text: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.lstrip()[:1] in _FORMULA or text[:1] in ("\t", "\r", "\n") else text


def _path(chosen: CallFilter, shown: list[str], page: int) -> str:
    pairs = [*chosen.query.items()]
    if shown != list(USUAL):
        pairs += [("column", one) for one in shown]
    if page > 1:
        pairs.append(("page", str(page)))
    return f"{PATH}?{urlencode(pairs)}" if pairs else PATH


async def _choices(
    page_request: PageRequest, listing: Any, name: str, values: Mapping[str, Any] | None = None
) -> list[Choice]:
    params = {"fields": ["id", name], "sort": [{"field": name, "order": "asc"}], "limit": 1000}
    page = await page_request.reader.list(listing, params, None, values)
    return [Choice(str(one["id"]), one[name]) for one in orjson.loads(page.rows)]


PAGES = (Page(PATH, _show), Page(f"{PATH}.csv", _export))
ENTRIES = (Entry(PATH, _("Calls"), may_see_calls),)

assert set(_FIELDS) | set(_EXPORTED) <= set(CALLS_FOR_PEOPLE.by_name)
