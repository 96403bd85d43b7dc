"""A browser without scripts: it keeps cookies, follows redirections and sends the forms of pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL


@dataclass
class Form:
    """A form of a page: where it goes, and its fields as they are."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.controls: list[dict[str, str]] = []
        self.attributes: set[str] = set()
        self.scripts_inside = 0
        self.words: list[str] = []
        self._tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.attributes |= set(found)
        self._tags.append(tag)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found.get("href", ""))
        elif tag == "script" and "src" not in found:
            self.scripts_inside += 1
        elif tag == "label":
            self.labels.add(found.get("for", ""))
        elif tag == "form":
            self.forms.append(Form(found.get("action", ""), found.get("method", "get")))
        elif tag in {"input", "select", "textarea"}:
            self.controls.append({"tag": tag, **found})
            if self.forms and found.get("name") and tag != "select":
                self.forms[-1].fields[found["name"]] = found.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        while self._tags and self._tags.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not self._tags or self._tags[-1] not in {"style", "script"}:
            self.words.append(data)


@dataclass
class Seen:
    """A response.

    :ivar url: of the page, after redirections.
    """

    status: int
    url: URL
    text: str
    headers: CIMultiDictProxy[str]
    raw: bytes = b""

    def __post_init__(self) -> None:
        self.reader = _Reader()
        if self.headers.get("Content-Type", "").startswith("text/html"):
            self.reader.feed(self.text)

    @property
    def words(self) -> str:
        """The text of the page."""
        return " ".join(" ".join(self.reader.words).split())

    @property
    def links(self) -> list[str]:
        return self.reader.links

    def form(self, action: str) -> Form:
        return next(one for one in self.reader.forms if one.action == action)


class Browser:
    """One person's browser.

    :param origin: ``http://127.0.0.1:...``.
    """

    def __init__(self, origin: str, language: str = "en") -> None:
        self.origin = origin
        self.headers = {"Accept-Language": language}
        self.client = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), connector=aiohttp.TCPConnector(ssl=False)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.close()

    async def get(self, path: str, *, follow: bool = True, **headers: str) -> Seen:
        return await self._ask("GET", path, None, follow, headers)

    async def post(
        self, path: str, fields: Mapping[str, str], *, follow: bool = True, **headers: str
    ) -> Seen:
        return await self._ask("POST", path, fields, follow, headers)

    async def send(self, page: Seen, action: str, **fields: str) -> Seen:
        """Fill in a form of a page and send it."""
        form = page.form(action)
        return await self.post(action, {**form.fields, **fields})

    async def sign_in(self, login: str, password: str = "a long password") -> Seen:
        page = await self.get("/console/sign-in")
        return await self.send(page, "/console/sign-in", login=login, password=password)

    def cookie(self, name: str) -> str | None:
        found = self.client.cookie_jar.filter_cookies(URL(self.origin + "/console/")).get(name)
        return None if found is None else found.value

    def set_cookie(self, name: str, value: str) -> None:
        self.client.cookie_jar.update_cookies({name: value}, URL(self.origin))

    async def _ask(
        self,
        method: str,
        path: str,
        fields: Mapping[str, str] | None,
        follow: bool,
        headers: Mapping[str, str],
    ) -> Seen:
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.client.request(
            method,
            urljoin(self.origin, path),
            data=fields,
            headers=sent,
            allow_redirects=follow,
        ) as response:
            raw = await response.read()
            text = raw.decode(errors="replace")
            return Seen(response.status, response.url, text, response.headers, raw)
