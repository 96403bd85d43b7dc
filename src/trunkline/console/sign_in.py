"""Sign in and out, by the log-in and the password of a user, and a code where the user has an app for it.

The session is one of :mod:`trunkline.accounts.sessions`: the database has the hash of its token, the browser the token in
a cookie that scripts cannot read. Each sign-in makes a new session and ends the one that the browser had before, so a
token that somebody else planted is worth nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from aiohttp import web

from trunkline.accounts.model import Api, CallerKind
from trunkline.apis.address import AddressOf, CountryOf
from trunkline.apis.request_share import CHECK, SESSION_COOKIE
from trunkline.apis.service.request_context import AccountsPort, CallerLike
from trunkline.console.forms import form_token, read_form
from trunkline.console.languages import LANGUAGES, Language, translatable
from trunkline.console.page_renderer import PageRenderer
from trunkline.console.page_request import HOME, LANGUAGE_COOKIE, SIGN_IN
from trunkline.core.errors import AuthenticationFailed, LimitExceeded, PermissionDenied, Refused

_ = translatable

_BROWSER_COOKIE = "trunkline_browser"
"""Before the sign-in: the secret of its form."""

_LANGUAGE_SECONDS = 365 * 86_400


class SignIn:
    """The pages of signing in and out.

    :param is_secure: whether the browser uses HTTPS.
    """

    def __init__(
        self,
        accounts: AccountsPort,
        renderer: PageRenderer,
        address_of: AddressOf,
        country_of: CountryOf,
        is_secure: Callable[[web.Request], bool],
        body_seconds: float,
    ) -> None:
        self._accounts = accounts
        self._renderer = renderer
        self._address_of = address_of
        self._country_of = country_of
        self._is_secure = is_secure
        self._body_seconds = body_seconds

    def address_of(self, request: web.Request) -> str:
        """The client's address."""
        return self._address_of(request)

    async def caller_of(self, request: web.Request) -> CallerLike | None:
        """Who is signed in in this browser.

        :raises PermissionDenied: the address or the account is not permitted now.
        """
        token = request.cookies.get(SESSION_COOKIE)
        if not token:
            return None
        check = request[CHECK]
        try:
            caller = await self._accounts.authenticate(token, Api.CONSOLE)
        except AuthenticationFailed:
            check.token_refused()
            return None
        if getattr(caller, "kind", None) is not CallerKind.SESSION:
            return None  # keys are for the APIs
        self._check(caller, request)
        check.identified(caller.account_id)
        return caller

    async def show(self, request: web.Request, language: Language) -> web.StreamResponse:
        """The form; the first page for somebody who is signed in."""
        try:
            if await self.caller_of(request) is not None:
                request[CHECK].succeeded()
                raise web.HTTPSeeOther(_target(request.query.get("next", "")))
        except Refused:
            pass
        return self._page(request, language)

    async def enter(self, request: web.Request, language: Language) -> web.StreamResponse:
        """The form was sent."""
        secret = request.cookies.get(_BROWSER_COOKIE, "")
        try:
            fields = await read_form(request, secret, self._body_seconds)
        except PermissionDenied as error:
            return self._page(request, language, error=error.message, status=403)
        login, target = fields.get("login", ""), fields.get("next", "")
        address = self._address_of(request)
        try:
            session = await self._accounts.login(
                login, fields.get("password", ""), Api.CONSOLE, address, code=fields.get("code", "")[:20]
            )
            caller = await self._accounts.authenticate(session.access_token, Api.CONSOLE)
            try:
                self._check(caller, request)
            except Refused:
                await self._accounts.logout(session.access_token)
                raise
        except (AuthenticationFailed, PermissionDenied, LimitExceeded) as error:
            status = 429 if isinstance(error, LimitExceeded) else 403
            return self._page(request, language, error=error.message, login=login, next=target, status=status)
        await self._end_session(request)
        request[CHECK].identified(caller.account_id)
        request[CHECK].succeeded()
        response = web.HTTPSeeOther(_target(target))
        response.set_cookie(
            SESSION_COOKIE,
            session.access_token,
            path="/",
            httponly=True,
            secure=self._is_secure(request),
            samesite="Lax",
        )
        response.del_cookie(_BROWSER_COOKIE, path="/console")
        response.headers.update(self._renderer.headers)
        raise response

    async def leave(self, request: web.Request) -> web.StreamResponse:
        """End the session; the form is that of a page, which has the token of the session."""
        await read_form(request, request.cookies.get(SESSION_COOKIE, ""), self._body_seconds)
        await self._end_session(request)
        request[CHECK].succeeded()
        response = web.HTTPSeeOther(SIGN_IN)
        response.del_cookie(SESSION_COOKIE, path="/")
        response.headers.update({**self._renderer.headers, "Clear-Site-Data": '"cache"'})
        raise response

    async def choose_language(self, request: web.Request) -> web.StreamResponse:
        """Remember the language of this browser."""
        # A page has the token of its session; the sign-in page, also after a session has ended, that of the browser.
        session, browser = (request.cookies.get(name, "") for name in (SESSION_COOKIE, _BROWSER_COOKIE))
        fields = await read_form(request, session, self._body_seconds, or_secret=browser)
        response = web.HTTPSeeOther(_target(fields.get("next", "")))
        if fields.get("language") in LANGUAGES:
            response.set_cookie(
                LANGUAGE_COOKIE,
                fields["language"],
                path="/console",
                max_age=_LANGUAGE_SECONDS,
                httponly=True,
                secure=self._is_secure(request),
                samesite="Lax",
            )
        response.headers.update(self._renderer.headers)
        raise response

    def _check(self, caller: CallerLike, request: web.Request) -> None:
        """:raises PermissionDenied: the address or its country is not permitted."""
        self._accounts.check_address(caller, self._address_of(request))
        country = self._country_of(request)
        if caller.geo_limit and country not in caller.geo_limit:
            raise PermissionDenied(_("This user may not sign in from the country of this address."))

    async def _end_session(self, request: web.Request) -> None:
        token = request.cookies.get(SESSION_COOKIE)
        if token:
            await self._accounts.logout(token)

    def _page(
        self, request: web.Request, language: Language, *, status: int = 200, **values: Any
    ) -> web.Response:
        secret = request.cookies.get(_BROWSER_COOKIE, "") or secrets.token_urlsafe(24)
        known = {
            "error": None,
            "login": "",
            "next": request.query.get("next", ""),
            "form_token": form_token(secret),
            "path": request.path,
        }
        response = self._renderer.page("sign_in.html", language, {**known, **values}, status=status)
        response.set_cookie(
            _BROWSER_COOKIE,
            secret,
            path="/console",
            httponly=True,
            secure=self._is_secure(request),
            samesite="Strict",
        )
        return response


def _target(path: str) -> str:
    """Where to go after the sign-in: a page of the console, whatever was asked for."""
    is_own = path.startswith(HOME) and "\\" not in path and path.isprintable()
    return path if is_own and not path.startswith(SIGN_IN) else HOME
