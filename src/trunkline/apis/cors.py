"""Cross-origin requests of browsers, for the origins of ``web.cors_origins``; none by default.

A preflight (``OPTIONS`` with ``Origin`` and ``Access-Control-Request-Method``) is answered here: it needs no token and costs
no points. Responses to other requests of these origins can be read by their pages. Cookies are not permitted
(``Access-Control-Allow-Credentials`` is never sent): a page needs a key or a session of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from aiohttp.typedefs import Middleware

_MAX_AGE = 600
"""Seconds for which a browser keeps the answer to a preflight."""

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Range",
    "Access-Control-Max-Age": str(_MAX_AGE),
}
_READABLE = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range"


class Cors:
    """:param origins: permitted origins, or ``*``."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.lower() for origin in origins)

    def middleware(self) -> Middleware:
        """Answers preflights of permitted origins."""

        @web.middleware
        async def answer_preflight(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
            if is_preflight and self._permits(request):
                return web.Response(status=204, headers=_PREFLIGHT)
            return await handler(request)

        return answer_preflight

    async def set_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Signal ``on_response_prepare``: the headers that let the page read the response."""
        if not self._origins:
            return
        response.headers.add("Vary", "Origin")
        if self._permits(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = _READABLE

    def _permits(self, request: web.Request) -> bool:
        origin = request.headers.get("Origin")
        return origin is not None and ("*" in self._origins or origin.lower() in self._origins)
