"""A browser without scripts: it keeps cookies, follows redirections and sends the forms of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

Fields = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass
class Form:
    """A form of a page: where it goes, and its fields as they are.

    :ivar lists: fields with all their values.
    """

    action: str
    method: str
    lists: dict[str, list[str]] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, str]:
        """The last value of each field."""
        return {name: values[-1] for name, values in self.lists.items()}


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
        self._text_area: str | None = None
        self._select: str | None = None
        self._has_option = False

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
            if not self.forms or not found.get("name") or "disabled" in found:
                return
            if tag == "textarea":
                self._text_area = found["name"]
                self._add(found["name"], "")
            elif tag == "select":
                self._select, self._has_option = found["name"], False
            elif found.get("type") not in {"checkbox", "radio"} or "checked" in found:
                self._add(found["name"], found.get("value", ""))
        elif tag == "option" and self._select is not None:
            if not self._has_option:  # the first one, unless another is selected
                self._add(self._select, found.get("value", ""))
            elif "selected" in found:
                self.forms[-1].lists[self._select][-1] = found.get("value", "")
            self._has_option = True

    def _add(self, name: str, value: str) -> None:
        self.forms[-1].lists.setdefault(name, []).append(value)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._text_area = None
        elif tag == "select":
            self._select = None
        while self._tags and self._tags.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._text_area is not None:
            self.forms[-1].lists[self._text_area][-1] += data
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

    async def post(self, path: str, fields: Fields, *, follow: bool = True, **headers: str) -> Seen:
        return await self._ask("POST", path, fields, follow, headers)

    async def send(self, page: Seen, action: str, **fields: str) -> Seen:
        """Fill in a form of a page and send it."""
        lists = page.form(action).lists | {name: [value] for name, value in fields.items()}
        return await self.post(action, [(name, one) for name, values in lists.items() for one in values])

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
        fields: Fields | None,
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
