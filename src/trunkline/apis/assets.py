"""``GET /console/assets/{version}/{file}``: scripts and styles of pages, ours and those of others.

All files have one version, the digest of them together, so modules import each other by name (``./jssip.js``), and browsers
keep them for a year. Another version in the address, of a page that was loaded before an update, gives the present
file without caching.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from trunkline.core.assets import asset_lock

PATH = "/console/assets"
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""The kinds of files that are served, by suffix."""
_COMPRESSED = frozenset({".css", ".js", ".json", ".svg", ".webmanifest"})


@dataclass(frozen=True, slots=True)
class _Asset:
    content: bytes
    compressed: bytes | None
    content_type: str
    integrity: str


class Assets:
    """The files, read once.

    :param fetched: the folder with the files of the lock file; a file that it lacks is not served, and one with another
        digest neither.
    :param own: folders of ours; each file of a known kind directly in them is served under its name.
    """

    def __init__(self, fetched: Path, own: Iterable[Path] = ()) -> None:
        contents: dict[str, bytes] = {}
        for folder in own:
            contents |= {one.name: one.read_bytes() for one in folder.iterdir() if one.suffix in _TYPES}
        for name, file in asset_lock().files.items():
            path = fetched / name
            content = path.read_bytes() if path.is_file() else b""
            if _integrity(content) == file.integrity:
                contents[name] = content
        self.missing = sorted(asset_lock().files.keys() - contents.keys())
        """Names of the lock file that are not served: `trunkline setup` fetches them."""
        self._files: Mapping[str, _Asset] = {name: _asset(name, one) for name, one in contents.items()}
        together = hashlib.sha256()
        for name, one in sorted(self._files.items()):
            together.update(f"{name} {one.integrity}\n".encode())
        self.version = together.hexdigest()[:16]

    def url(self, name: str) -> str:
        """Path of a file for a page."""
        return f"{PATH}/{self.version}/{name}"

    def integrity(self, name: str) -> str:
        """For the attribute ``integrity`` of a script or a style; "" for a file that is missing."""
        found = self._files.get(name)
        return found.integrity if found is not None else ""

    def routes(self) -> list[web.RouteDef]:
        """The route, for the application of the web role."""
        return [web.get(PATH + r"/{version}/{name}", self._send)]

    async def _send(self, request: web.Request) -> web.StreamResponse:
        found = self._files.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound(text="There is no such file; `trunkline setup` fetches those of others.")
        is_present = request.match_info["version"] == self.version
        headers = {
            "Content-Type": found.content_type,
            "Cache-Control": "public, max-age=31536000, immutable" if is_present else "no-store",
            "Vary": "Accept-Encoding",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        body = found.content
        if found.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            body = found.compressed
            headers["Content-Encoding"] = "gzip"
        return web.Response(body=body, headers=headers)


def _asset(name: str, content: bytes) -> _Asset:
    suffix = Path(name).suffix
    kind = _TYPES[suffix]
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    compressed = gzip.compress(content, 9, mtime=0) if suffix in _COMPRESSED else None
    return _Asset(content, compressed, kind, _integrity(content))


def _integrity(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()
