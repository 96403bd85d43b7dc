"""Requests to the APIs and changes by the console, newest first; read by the report of ``get.api_requests``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import web

from trunkline.accounts.permissions import READ_ADMINISTRATION
from trunkline.apis.service.request_context import CallerLike
from trunkline.console.languages import translatable
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import PageRequest, page_number
from trunkline.console.setup.entity import PATH as SETUP
from trunkline.console.setup.menu_entry import MenuEntry
from trunkline.reports.flat import logs

_ = translatable

PATH = f"{SETUP}/api-requests"

PAGE_SIZE = 50
_PAGES = 2000
_DAYS_MAX = 92
_WORDS_MAX = 60

_FIELDS = (
    "api_request_id", "api_request_start_date_time", "api_request_method", "employee_login", "api_request_ip",
    "api_request_status", "api_request_error_mnemonic", "api_request_execution_time", "api_request_method_weight",
    "api_request_body",
)  # fmt: skip

STATUSES: Mapping[str, str] = {"success": _("Done"), "failure": _("Refused")}


def request_params(words: str, status: str, first: date, last: date, number: int) -> dict[str, Any]:
    """What is asked of the report. Pure.

    :param words: part of the method or of the login; empty: all.
    :param status: of :data:`STATUSES`; anything else: all.
    :param first, last: days, both included.
    :param number: of the page, from 1 on.
    """
    found: list[dict[str, Any]] = []
    if words:
        pattern = f"(?i){re.escape(words)}"
        either = [
            {"field": name, "operator": "regexp", "value": pattern}
            for name in ("api_request_method", "employee_login")
        ]
        found.append({"filters": either, "condition": "or"})
    if status in STATUSES:
        found.append({"field": "api_request_status", "operator": "=", "value": status})
    return {
        "date_from": f"{first} 00:00:00",
        "date_till": f"{last} 23:59:59",
        "fields": list(_FIELDS),
        "filter": {"filters": found, "condition": "and"},
        "sort": [{"field": "api_request_start_date_time", "order": "desc"}],
        "limit": PAGE_SIZE,
        "offset": (min(number, _PAGES) - 1) * PAGE_SIZE,
    }


def days(first: str, last: str, today: date) -> tuple[date, date]:
    """The days of the filter: by default the last week; at most three months up to the last day. Pure."""
    end = min(_day(last) or today, today)
    begin = min(_day(first) or end - timedelta(days=6), end)
    return max(begin, end - timedelta(days=_DAYS_MAX - 4)), end


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.year >= 2000 else None


async def _show(page_request: PageRequest) -> web.StreamResponse:
    query = page_request.request.query
    words, status = query.get("words", "").strip().replace("\0", "")[:_WORDS_MAX], query.get("status", "")
    first, last = days(query.get("from", ""), query.get("to", ""), page_request.today)
    number = page_number(page_request.request)
    found = await logs.api_requests(
        page_request.reader, request_params(words, status, first, last, number), {}
    )

    def path(page: int) -> str:
        values = {"words": words, "status": status, "from": first, "to": last, "page": page}
        return f"{PATH}?{urlencode({name: value for name, value in values.items() if value})}"

    return page_request.page(
        "setup/api_requests.html",
        rows=orjson.loads(found.rows),
        total=found.total_items,
        pages=max(1, min(-(-found.total_items // PAGE_SIZE), _PAGES)),
        page=number,
        page_path=path,
        words=words,
        chosen=status,
        statuses=STATUSES,
        first=first,
        last=last,
        list_path=PATH,
    )


def _is_visible(caller: CallerLike) -> bool:
    return caller.may(*READ_ADMINISTRATION)


PAGES = (Page(PATH, _show, READ_ADMINISTRATION),)
MENU_ENTRIES = (
    MenuEntry(PATH, _("Log of requests"), _("Requests to the APIs and changes in the console."), _is_visible),
)
MENU = tuple(Entry(one.path, one.title, one.is_visible) for one in MENU_ENTRIES)
