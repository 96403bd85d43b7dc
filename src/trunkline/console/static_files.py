"""Style sheet, icon and scripts of the console: compressed once, cached by browsers for as long as they do not change."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from trunkline.apis.request_share import CHECK

PREFIX = "/console/static/"

SHARE = 4
"""A byte of a file that is sent counts as much as a quarter of a byte of a request that is read."""

_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".mp3": "audio/mpeg",
    ".json": "application/json",
}
_YEAR = 365 * 86_400


@dataclass(frozen=True, slots=True)
class StaticFile:
    """:ivar version: changes with the content."""

    content_type: str
    body: bytes
    compressed: bytes
    version: str


class StaticFiles:
    """The files of some folders, in memory; a name in a later folder precedes the same one of an earlier folder.

    :param folders: those that do not exist are left out.
    """

    def __init__(self, *folders: Path) -> None:
        self._files = {
            path.name: _read(path)
            for folder in folders
            if folder.is_dir()
            for path in sorted(folder.iterdir())
            if path.suffix in _TYPES
        }

        versions = "".join(one.version for _name, one in sorted(self._files.items()))
        self.version = hashlib.sha256(versions.encode()).hexdigest()[:16]

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def path(self, name: str) -> str:
        """The path of a file, with its version.

        :raises KeyError: there is no such file.
        """
        return f"{PREFIX}{name}?v={self._files[name].version}"

    def routes(self) -> list[web.RouteDef]:
        """For the application of the web role."""
        return [web.get(PREFIX + "{name}", self._send)]

    async def _send(self, request: web.Request) -> web.Response:
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound(text="Not found")
        check = request.get(CHECK)
        if check is not None:
            check.succeeded()
        headers = {"Vary": "Accept-Encoding", "Cross-Origin-Resource-Policy": "same-origin"}
        is_current = request.query.get("v") == found.version
        headers["Cache-Control"] = (
            f"public, max-age={_YEAR}, immutable" if is_current else "public, max-age=60"
        )
        if any(one.value == found.version for one in request.if_none_match or ()):
            response = web.Response(status=304, headers=headers)
        else:
            body = found.body
            if "gzip" in request.headers.get("Accept-Encoding", "") and len(found.compressed) < len(body):
                body = found.compressed
                headers["Content-Encoding"] = "gzip"
            if check is not None:
                await check.count_more(len(body) // SHARE)
            response = web.Response(body=body, headers=headers)
            response.content_type = found.content_type
            if found.content_type.startswith("text/"):
                response.charset = "utf-8"
        response.etag = found.version
        return response


def _read(path: Path) -> StaticFile:
    body = path.read_bytes()
    version = hashlib.sha256(body).hexdigest()[:16]
    return StaticFile(_TYPES[path.suffix], body, gzip.compress(body, 6, mtime=0), version)
