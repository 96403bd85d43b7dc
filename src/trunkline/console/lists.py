"""Lists of what the account has: contacts, employees, SIP lines; with a search and pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import web

from trunkline.accounts.permissions import Permission
from trunkline.apis.service.request_context import CallerLike
from trunkline.console.formats import searched_digits
from trunkline.console.languages import translatable
from trunkline.console.page import Entry, Page
from trunkline.console.page_request import PageRequest, page_number
from trunkline.db.query import Listing
from trunkline.directory.contacts.listing import CONTACTS
from trunkline.directory.employees.listing import EMPLOYEES
from trunkline.directory.lines.listing import NOT_REGISTERED, REGISTERED, SIP_LINES

PAGE_SIZE = 50

_OFFSET_MAX = 100_000

_WORDS_MAX = 60

_ = translatable


@dataclass(frozen=True, slots=True)
class ListPage:
    """A list.

    :ivar texts: fields that the words of a search may be in, small or capital.
    :ivar order: a field; empty: by id.
    :ivar numbers: fields that its digits may be in.
    :ivar states: filters that a link chooses, by their name in the address: title, field and value.
    """

    path: str
    title: str
    template: str
    needs: Permission
    listing: Listing
    fields: tuple[str, ...]
    order: str
    texts: tuple[str, ...]
    numbers: tuple[str, ...] = ()
    states: Mapping[str, tuple[str, str, Any]] = field(default_factory=dict)

    async def show(self, page_request: PageRequest, **more: Any) -> web.StreamResponse:
        """The page of the list.

        :param more: values of the template.
        """
        words = page_request.request.query.get("words", "").strip().replace("\0", "")[:_WORDS_MAX]
        chosen = page_request.request.query.get("state", "")
        number = page_number(page_request.request)
        offset = min((number - 1) * PAGE_SIZE, _OFFSET_MAX)
        found = await page_request.reader.list(self.listing, self.params(words, chosen, PAGE_SIZE, offset))

        def path(**changes: Any) -> str:
            query = {"words": words, "state": chosen, "page": "", **changes}
            return f"{self.path}?{urlencode({name: value for name, value in query.items() if value})}"

        return page_request.page(
            self.template,
            rows=orjson.loads(found.rows),
            total=found.total_items,
            page=number,
            pages=max(1, -(-min(found.total_items, _OFFSET_MAX) // PAGE_SIZE)),
            words=words,
            chosen=chosen,
            states=self.states,
            title=self.title,
            list_path=self.path,
            page_path=path,
            REGISTERED=REGISTERED,
            **more,
        )

    def params(self, words: str, state: str, limit: int, offset: int) -> dict[str, Any]:
        """What is asked of the listing.

        :param words: of a search; empty: all.
        :param state: one of :attr:`states`; anything else: all.
        """
        return {
            "fields": list(self.fields),
            "filter": self._filter(words, state),
            "sort": [{"field": self.order, "order": "asc"}] if self.order else [],
            "limit": limit,
            "offset": offset,
        }

    def entry(self) -> Entry:
        """In the navigation."""
        needs = self.needs

        def is_visible(caller: CallerLike) -> bool:
            return caller.may(*needs)

        return Entry(self.path, self.title, is_visible)

    def _filter(self, words: str, chosen: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        if words:
            pattern = f"(?i){re.escape(words)}"
            either: list[dict[str, Any]] = [
                {"field": name, "operator": "regexp", "value": pattern} for name in self.texts
            ]
            digits = searched_digits(words)
            if digits:
                either += [
                    {"field": name, "operator": "like", "value": f"%{digits}%"} for name in self.numbers
                ]
            found.append({"filters": either, "condition": "or"})
        if chosen in self.states:
            _title, name, value = self.states[chosen]
            found.append({"field": name, "operator": "=", "value": value})
        return {"filters": found, "condition": "and"}


LISTS = (
    ListPage(
        "/console/contacts",
        _("Contacts"),
        "contacts.html",
        ("address_book", "select"),
        CONTACTS,
        ("id", "full_name", "phone_numbers", "emails", "organization_name", "groups"),
        "full_name",
        ("full_name", "organization_name"),
        ("phone_numbers",),
    ),
    ListPage(
        "/console/employees",
        _("Employees"),
        "employees.html",
        ("employees", "select"),
        EMPLOYEES,
        ("id", "full_name", "status", "phone_numbers", "extension", "groups", "email"),
        "full_name",
        ("full_name", "email", "groups"),
        ("phone_numbers", "extension"),
        {
            "available": (_("Available"), "status", "available"),
            "break": (_("On a break"), "status", "break"),
        },
    ),
    ListPage(
        "/console/lines",
        _("Lines"),
        "lines.html",
        ("va", "select"),
        SIP_LINES,
        (
            "id",
            "phone_number",
            "physical_state",
            "employee_id",
            "employee_full_name",
            "ip_addresses",
            "date_time",
            "virtual_phone_number",
            "status",
        ),
        "",
        ("employee_full_name",),
        ("phone_number", "virtual_phone_number"),
        {
            "registered": (_("Registered"), "physical_state", REGISTERED),
            "offline": (_("Not registered"), "physical_state", NOT_REGISTERED),
        },
    ),
)

PAGES = tuple(Page(one.path, one.show, one.needs) for one in LISTS)
ENTRIES = tuple(one.entry() for one in LISTS)
