"""A search over contacts, employees and calls, from every page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson
from aiohttp import web

from trunkline.console.call_filter import CallFilter, When
from trunkline.console.calls import visible
from trunkline.console.formats import searched_digits
from trunkline.console.lists import LISTS
from trunkline.console.other_party import FIELDS, seen_by
from trunkline.console.page import Page
from trunkline.console.page_request import PageRequest, may_see_calls
from trunkline.reports.calls import calls_for_people

PATH = "/console/search"

SHOWN = 10
"""Of each kind."""

CALL_DAYS = 30
"""Calls of so many days are searched."""

_WORDS_MAX = 60

_DIGITS_MIN = 3
"""Words with so many digits are a part of a number."""

_SEARCHED = LISTS[:2]

_CALL_FIELDS = (
    "id",
    "start_time",
    "direction",
    "is_lost",
    *FIELDS,
)


async def _show(page_request: PageRequest) -> web.StreamResponse:
    words = page_request.request.query.get("words", "").strip().replace("\0", "")[:_WORDS_MAX]
    found: dict[str, Sequence[Mapping[str, Any]]] = {}
    calls: Sequence[Mapping[str, Any]] | None = None
    chosen = _calls_of(words, page_request)
    if words:
        for one in _SEARCHED:
            if page_request.may(one.needs):
                page = await page_request.reader.list(one.listing, one.params(words, "", SHOWN, 0))
                found[one.path] = orjson.loads(page.rows)
        if may_see_calls(page_request.caller):
            calls = await _read_calls(page_request, chosen)
    return page_request.page(
        "search.html",
        words=words,
        lists=_SEARCHED,
        found=found,
        calls=calls,
        all_calls=chosen.path(),
        days=CALL_DAYS,
    )


def _calls_of(words: str, page_request: PageRequest) -> CallFilter:
    digits = searched_digits(words)
    is_number = len(digits) >= _DIGITS_MIN
    return CallFilter(
        when=When.PERIOD,
        first=page_request.today - timedelta(days=CALL_DAYS),
        last=page_request.today,
        number=digits if is_number else "",
        words="" if is_number else words,
    )


async def _read_calls(page_request: PageRequest, chosen: CallFilter) -> Sequence[Mapping[str, Any]]:
    first, last = chosen.moments(page_request.today)
    page = await calls_for_people(
        page_request.reader,
        {
            "date_from": first,
            "date_till": last,
            "fields": list(_CALL_FIELDS),
            "filter": visible(page_request, chosen),
            "sort": [{"field": "start_time", "order": "desc"}],
            "limit": SHOWN,
        },
    )
    return [seen_by(one, page_request.caller.employee_id) for one in orjson.loads(page.rows)]


PAGES = (Page(PATH, _show),)
