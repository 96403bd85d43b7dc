"""The scripts that pages load: the loader under an address that stays, the rest under addresses with their digests.

A page names ``/site/loader.js`` for ever. The loader is kept for minutes and names the present widget by its digest, with
the attribute ``integrity``; the widget and the SIP library are kept for a year. Pages of all origins may read them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from trunkline.apis.request_share import CHECK

STATIC = "/site/static/"
LOADER = "/site/loader.js"
LOADER_SECONDS = 300
_YEAR = 365 * 86_400
_SHARE = 4
"""A byte of a file that is sent counts as much as a quarter of a byte of a request that is read."""


@dataclass(frozen=True, slots=True)
class Script:
    """:ivar version: changes with the content.
    :ivar integrity: for the attribute of that name.
    """

    body: bytes
    compressed: bytes
    version: str
    integrity: str


def build_script(body: bytes) -> Script:
    """A script with its digests, compressed once; more effort takes four times as long for 3 % of the size."""
    integrity = "sha384-" + base64.b64encode(hashlib.sha384(body).digest()).decode()
    return Script(body, gzip.compress(body, 6, mtime=0), hashlib.sha256(body).hexdigest()[:16], integrity)


class Scripts:
    """:param folder: of our own scripts.
    :param assets: of scripts of others; those that are not there cannot be loaded.
    """

    def __init__(self, folder: Path, assets: Path) -> None:
        widget = build_script((folder / "widget.js").read_bytes())
        self._files = {"widget.js": widget}
        library = assets / "jssip.js"
        if library.is_file():
            self._files[library.name] = build_script(library.read_bytes())
        loader = (folder / "loader.js").read_text()
        text = loader.replace("WIDGET_PATH", self.path("widget.js")).replace(
            "WIDGET_DIGEST", widget.integrity
        )
        self.loader = build_script(text.encode())

    def path(self, name: str) -> str:
        """The path of a script, with its version; "" when it is not there."""
        found = self._files.get(name)
        return "" if found is None else f"{STATIC}{name}?v={found.version}"

    def routes(self) -> list[web.RouteDef]:
        """For the application of the web role."""
        return [web.get(LOADER, self._send_loader), web.get(STATIC + "{name}", self._send)]

    async def _send_loader(self, request: web.Request) -> web.Response:
        return await _sent(request, self.loader, f"public, max-age={LOADER_SECONDS}")

    async def _send(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound(text="Not found")
        is_current = request.query.get("v") == found.version
        return await _sent(
            request, found, f"public, max-age={_YEAR}, immutable" if is_current else "public, max-age=60"
        )


async def _sent(request: web.Request, script: Script, cached: str) -> web.Response:
    check = request[CHECK]
    check.succeeded()
    headers = {
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": cached,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if any(one.value == script.version for one in request.if_none_match or ()):
        response = web.Response(status=304, headers=headers)
    else:
        body = script.body
        if "gzip" in request.headers.get("Accept-Encoding", "") and len(script.compressed) < len(body):
            body = script.compressed
            headers["Content-Encoding"] = "gzip"
        await check.count_more(len(body) // _SHARE)
        response = web.Response(body=body, headers=headers)
        response.content_type = "text/javascript"
        response.charset = "utf-8"
    response.etag = script.version
    return response
