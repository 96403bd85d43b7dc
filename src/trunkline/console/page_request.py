"""One request of a page: who asks, in which language and zone, and what the page may read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import web

from trunkline.accounts.permissions import READ_REPORTS, WATCH_CALLS, Permission
from trunkline.apis.request_share import CHECK
from trunkline.apis.service.request_context import CallerLike, Services
from trunkline.apis.service.workloads import Workload
from trunkline.console.formats import Formats
from trunkline.console.forms import BODY_MAX, form_token, read_form, read_form_lists
from trunkline.console.languages import Language, translatable
from trunkline.console.page_renderer import PageRenderer
from trunkline.core.errors import PermissionDenied
from trunkline.db.pool import Database
from trunkline.reports.reader import Reader

_ = translatable

HOME = "/console/"
SIGN_IN = "/console/sign-in"

LANGUAGE_COOKIE = "trunkline_language"


def may_see_calls(caller: CallerLike) -> bool:
    """Whether the caller sees calls: all, or, as in live calls, those of their own employee."""
    return caller.may(*READ_REPORTS) or (caller.employee_id is not None and caller.may(*WATCH_CALLS))


@dataclass(frozen=True)
class PageRequest:
    """A request of somebody who is signed in.

    :ivar services: on the connections of reports, restricted to the account.
    :ivar navigation, setup_menu: paths and titles of the pages that the user may see.
    """

    request: web.Request
    caller: CallerLike
    token: str
    language: Language
    services: Services
    renderer: PageRenderer
    client_ip: str
    navigation: tuple[tuple[str, str], ...] = ()
    setup_menu: tuple[tuple[str, str], ...] = ()

    @property
    def account_id(self) -> int:
        return self.caller.account_id

    @property
    def db(self) -> Database:
        return self.services.db

    @property
    def zone(self) -> ZoneInfo:
        """In which times are shown."""
        return self.caller.time_zone

    @cached_property
    def now(self) -> datetime:
        return datetime.now(UTC)

    @staticmethod
    def clock() -> datetime:
        """The present moment, for pages that are open for long."""
        return datetime.now(UTC)

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    @property
    def reader(self) -> Reader:
        """Reads lists and reports of the account."""
        return Reader(self.db, self.account_id, self.zone)

    def may(self, permission: Permission) -> bool:
        return self.caller.may(*permission)

    def reading(self) -> PageRequest:
        """This request on the connections of reports, for a page of another workload that reads them, too."""
        services = self.services.serving(Workload.REPORT).for_account(self.account_id)
        return replace(self, services=services)

    @property
    def only_employee(self) -> int | None:
        """Whose calls the pages of calls show: None: those of all.

        :raises PermissionDenied: none (:func:`may_see_calls`).
        """
        if not may_see_calls(self.caller):
            raise PermissionDenied(_("You may not see calls: an admin of the account can permit it."))
        return None if self.may(READ_REPORTS) else self.caller.employee_id

    def done(self) -> None:
        """The request has succeeded; for answers that are raised."""
        self.request[CHECK].succeeded()

    def back(self, path: str) -> web.HTTPSeeOther:
        """To be raised after a form: the page to be shown then."""
        self.done()
        response = web.HTTPSeeOther(path)
        response.headers.update(self.renderer.headers)
        return response

    async def form(self, *, limit: int = BODY_MAX) -> Mapping[str, str]:
        """The fields of the form that was sent.

        :param limit: bytes of it.
        :raises PermissionDenied: not by a page of the console.
        :raises InvalidInput: it cannot be read.
        """
        seconds = self.services.settings.web.body_timeout
        return await read_form(self.request, self.token, seconds, limit=limit)

    async def form_lists(self, *, limit: int = BODY_MAX) -> Mapping[str, list[str]]:
        """As :meth:`form`, each field with all its values."""
        seconds = self.services.settings.web.body_timeout
        return await read_form_lists(self.request, self.token, seconds, limit=limit)

    def page(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A page for the user."""
        return self.renderer.page(template, self.language, {**self._values, **values}, status=status)

    def part(self, template: str, **values: Any) -> str:
        """A part of a page, as text."""
        return self.renderer.text(template, self.language, {**self._values, **values})

    @property
    def _values(self) -> dict[str, Any]:
        formats = Formats(self.language.locale, self.zone)
        return {
            "caller": self.caller,
            "form_token": form_token(self.token),
            "navigation": self.navigation,
            "setup_menu": self.setup_menu,
            "path": self.request.path,
            "show": formats,
            "now": self.now,
            "is_stream": False,
            "may_dial": self.caller.employee_id is not None,
        }


def page_number(request: web.Request) -> int:
    """Which page of a list the address names, from 1 on."""
    text = request.query.get("page", "")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 6 else 1
