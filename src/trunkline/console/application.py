"""The routes of the console, and what every request of a page passes: the session, the permission, limits, and errors."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from trunkline.apis.address import address_reader, country_reader, networks
from trunkline.apis.request_share import CHECK, SESSION_COOKIE
from trunkline.apis.service.request_context import Services
from trunkline.console import (
    call_page,
    calls,
    home,
    lists,
    live_calls,
    me,
    phone,
    queues_live,
    scenarios,
    search,
    wallboard,
    workspace,
)
from trunkline.console.languages import Language, choose, translatable
from trunkline.console.page import Entry, Page
from trunkline.console.page_renderer import PageRenderer
from trunkline.console.page_request import HOME, LANGUAGE_COOKIE, SIGN_IN, PageRequest
from trunkline.console.setup import menu
from trunkline.console.sign_in import SignIn
from trunkline.console.static_files import StaticFiles
from trunkline.core.errors import (
    InvalidInput,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Refused,
    TrunklineError,
    Unavailable,
)
from trunkline.core.settings import Settings

_ = translatable

_HERE = Path(__file__).parent

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_STATUS: tuple[tuple[type[TrunklineError], int], ...] = (
    (NotFound, 404),
    (PermissionDenied, 403),
    (LimitExceeded, 429),
    (InvalidInput, 400),
    (Refused, 409),
    (Unavailable, 503),
)
"""HTTP status of an error, the most specific one first."""


PAGES: tuple[Page, ...] = (
    *home.PAGES,
    *calls.PAGES,
    *call_page.PAGES,
    *lists.PAGES,
    *live_calls.PAGES,
    *queues_live.PAGES,
    *wallboard.PAGES,
    *workspace.PAGES,
    *me.PAGES,
    *search.PAGES,
    *phone.PAGES,
    *menu.PAGES,
    *scenarios.PAGES,
)
ENTRIES: tuple[Entry, ...] = (
    *home.ENTRIES,
    *calls.ENTRIES,
    *workspace.ENTRIES,
    *phone.ENTRIES,
    *live_calls.ENTRIES,
    *queues_live.ENTRIES,
    *lists.ENTRIES,
    *menu.ENTRIES,
    *scenarios.ENTRIES,
)
SETUP_MENU: tuple[Entry, ...] = (*menu.MENU, *scenarios.MENU)


def routes(services: Services) -> list[web.AbstractRouteDef]:
    """The routes of all pages, for the application of the web role."""
    return Console(services).routes()


class Console:
    """The console on the services of the web role."""

    def __init__(self, services: Services, pages: Sequence[Page] = PAGES) -> None:
        settings = services.settings
        self._services = services
        self._pages = pages
        self._static = StaticFiles(_HERE / "static", settings.assets_dir)
        self._renderer = PageRenderer(self._static)
        self._sign_in = SignIn(
            services.accounts,
            self._renderer,
            address_reader(settings),
            country_reader(settings),
            secure_reader(settings),
            settings.web.body_timeout,
        )

    def routes(self) -> list[web.AbstractRouteDef]:
        """All of them; the last one has the answer to unknown paths."""
        sign_in = self._sign_in
        screens = wallboard.Screens(self._services, self._renderer, sign_in.address_of)
        return [
            web.get("/", _go_home),
            web.get(HOME.rstrip("/"), _go_home),
            *self._static.routes(),
            web.get(SIGN_IN, self._without_session(sign_in.show)),
            web.post(SIGN_IN, self._without_session(sign_in.enter)),
            web.post("/console/sign-out", self._without_session(lambda request, _: sign_in.leave(request))),
            web.post(
                "/console/language",
                self._without_session(lambda request, _: sign_in.choose_language(request)),
            ),
            *(web.route(page.method, page.path, self._handler_of(page)) for page in self._pages),
            *(
                web.get(path, self._without_session(_of_screen(handler)))
                for path, handler in screens.routes()
            ),
            web.get("/console/{unknown:.*}", self._without_session(self._nothing)),
        ]

    def _handler_of(self, page: Page) -> Handler:
        async def handle(request: web.Request, language: Language) -> web.StreamResponse:
            check = request[CHECK]
            async with check:
                caller = await self._sign_in.caller_of(request)
            if caller is None:
                return self._to_sign_in(request)
            chosen = choose(
                request.cookies.get(LANGUAGE_COOKIE, ""),
                request.headers.get("Accept-Language", ""),
                caller.locale,
            )
            page_request = PageRequest(
                request,
                caller,
                request.cookies[SESSION_COOKIE],
                chosen,
                self._services.serving(page.workload).for_account(caller.account_id),
                self._renderer,
                self._sign_in.address_of(request),
                tuple((entry.path, entry.title) for entry in ENTRIES if entry.is_visible(caller)),
                tuple((entry.path, entry.title) for entry in SETUP_MENU if entry.is_visible(caller)),
            )
            try:
                if page.needs is not None and not page_request.may(page.needs):
                    raise PermissionDenied(
                        _("You may not see this page: an admin of the account can permit it.")
                    )
                limit = self._services.limits.get(page.workload)
                place = contextlib.nullcontext() if limit is None else limit.place(caller.account_id)
                async with place:
                    response = await page.handler(page_request)
            except TrunklineError as error:
                return _error(page_request, error)
            check.succeeded()
            return response

        return self._without_session(handle)

    def _without_session(
        self, handler: Callable[[web.Request, Language], Awaitable[web.StreamResponse]]
    ) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            language = choose(
                request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("Accept-Language", ""), ""
            )
            try:
                return await handler(request, language)
            except TrunklineError as error:
                return self._renderer.page(
                    "error.html",
                    language,
                    {"caller": None, "path": request.path, **_shown(error)},
                    status=_status_of(error),
                )

        return handle

    def _to_sign_in(self, request: web.Request) -> web.StreamResponse:
        if request.method != "GET":
            raise PermissionDenied(_("You are not signed in any more: sign in, and repeat what you did."))
        target = "" if request.path == HOME else f"?next={quote(request.path_qs, safe='')}"
        response = web.HTTPSeeOther(f"{SIGN_IN}{target}")
        response.headers.update(self._renderer.headers)
        raise response

    async def _nothing(self, request: web.Request, language: Language) -> web.StreamResponse:
        raise NotFound(_("There is no such page."))


def secure_reader(settings: Settings) -> Callable[[web.Request], bool]:
    """Whether the browser of a request uses HTTPS: to us, or to a trusted proxy."""
    proxies = networks(settings.web.trusted_proxies)

    def is_secure(request: web.Request) -> bool:
        if request.secure:
            return True
        peer = ip_address((request.remote or "127.0.0.1").partition("%")[0])
        forwarded = request.headers.get("X-Forwarded-Proto", "").lower()
        return forwarded == "https" and any(peer in network for network in proxies)

    return is_secure


def _of_screen(handler: Handler) -> Callable[[web.Request, Language], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request, _language: Language) -> web.StreamResponse:
        return await handler(request)

    return handle


async def _go_home(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPSeeOther(HOME)


def _error(page_request: PageRequest, error: TrunklineError) -> web.Response:
    return page_request.page("error.html", status=_status_of(error), **_shown(error))


def _status_of(error: TrunklineError) -> int:
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def _shown(error: TrunklineError) -> dict[str, object]:
    text = error.remedy if isinstance(error, Unavailable) else error.message
    return {"code": _status_of(error), "text": text}
