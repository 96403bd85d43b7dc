"""The first page: greets the person until it shows figures."""

from __future__ import annotations

from aiohttp import web

from trunkline.console.page import Entry, Page
from trunkline.console.visit import HOME, Visit


async def _show(visit: Visit) -> web.StreamResponse:
    return visit.page("home.html")


PAGES = (Page(HOME, _show),)
ENTRIES = (Entry(HOME, "Overview", lambda caller: True),)
