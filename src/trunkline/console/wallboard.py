"""The wall-board: the queues on a screen that nobody touches, with the short names and colours of their settings.

A user who may see queues opens it; a screen opens it by a link with a token (:mod:`trunkline.accounts.wallboard_links`),
which shows this page and nothing else, and needs no session.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from trunkline.accounts.wallboard_links import (
    NAME_MAX,
    OpenedLink,
    create_link,
    delete_link,
    links_of,
    open_link,
)
from trunkline.apis.request_share import CHECK
from trunkline.apis.service.request_context import Services, SwitchPort
from trunkline.apis.service.workloads import Workload
from trunkline.calls.switch.queue_commands import AgentView, Phones
from trunkline.console.formats import Formats
from trunkline.console.languages import DEFAULT, LANGUAGES, translatable
from trunkline.console.live_source import Snapshot
from trunkline.console.live_stream import send_changes, shared, stream
from trunkline.console.page import Page
from trunkline.console.page_renderer import PageRenderer
from trunkline.console.page_request import PageRequest
from trunkline.console.queues_live import CHANGE_QUEUES, QUEUES, READ_QUEUES, QueuesNow
from trunkline.console.setup.writer import logged
from trunkline.core.errors import InvalidInput, NotFound
from trunkline.core.id_text import id_in_text
from trunkline.db.pool import Database
from trunkline.directory.queues.listing import read_queues
from trunkline.queues.overview import Activity

PATH = "/console/wallboard"
LINKS_PATH = f"{PATH}/links"

_ = translatable

_TOKEN = r"{token:[0-9]{1,18}\.[A-Za-z0-9_-]{20,100}}"  # noqa: S105 - a pattern
_COLOUR = re.compile(r"#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z|[a-zA-Z]{3,20}\Z", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z", re.ASCII)

_BUSY = frozenset({Activity.TALKING, Activity.RINGING, Activity.RESERVED, Activity.OTHER_CALL})
_AFTER = frozenset({Activity.WRAP_UP, Activity.DELAY, Activity.IDLE})


@dataclass(frozen=True, slots=True)
class Title:
    """What the settings of a queue have for screens.

    :ivar name: the short one, if there is one.
    :ivar background, font: colours of CSS; None: those of the page.
    """

    name: str
    background: str | None
    font: str | None


@dataclass(frozen=True, slots=True)
class Tile:
    """One queue on the wall-board. Moments are Unix seconds; the counts of agents are of those who are not logged out.

    :ivar level: service level today, 0 to 1; None: no call counts yet.
    :ivar answer_time: seconds of the service level: a caller who waits longer is late.
    """

    queue_id: int
    title: Title
    waiting: int
    waiting_since: int | None
    talking: int
    available: int
    busy: int
    after_call: int
    on_break: int
    level: float | None
    answer_time: int
    answered: int
    abandoned: int
    callbacks: int


def colour(text: str | None) -> str | None:
    """A colour of the settings as CSS has it; None: it is none."""
    text = (text or "").strip()
    if not _COLOUR.match(text):
        return None
    return f"#{text}" if _HEX.match(text) else text


async def titles(db: Database, account_id: int) -> dict[int, Title]:
    """The titles of the queues of an account, by id."""
    rows = await read_queues(db, account_id)
    return {
        row["queue_id"]: Title(
            (row["tv_name"] or "").strip() or row["name"],
            colour(row["background_color"]),
            colour(row["font_color"]),
        )
        for row in rows
    }


def tiles(now: QueuesNow, known: Mapping[int, Title], shown: Sequence[int]) -> tuple[Tile, ...]:
    """The queues of a wall-board.

    :param shown: ids; empty: all.
    """
    return tuple(
        _tile(queue, now.agents_of(queue["queue_id"]), known)
        for queue in now.queues
        if not shown or queue["queue_id"] in shown
    )


def _tile(queue: Mapping[str, Any], agents: Sequence[AgentView], known: Mapping[int, Title]) -> Tile:
    service = queue["service"]
    free = [one for one in agents if one.activity is Activity.AVAILABLE]
    return Tile(
        queue["queue_id"],
        known.get(queue["queue_id"]) or Title(queue["name"], None, None),
        queue["waiting"],
        queue["waiting_since"],
        queue["talking"],
        sum(one.phones in (Phones.FREE, None) for one in free),
        sum(one.activity in _BUSY for one in agents),
        sum(one.activity in _AFTER for one in agents),
        sum(one.activity is Activity.ON_BREAK for one in agents),
        service["level"],
        service["answer_time"],
        service["answered"],
        service["abandoned"],
        queue["callbacks"],
    )


def _values(found: Snapshot[QueuesNow], known: Mapping[int, Title], shown: Sequence[int]) -> dict[str, Any]:
    return {"tiles": tiles(found.value or QueuesNow(), known, shown), "problem": found.problem}


def _reader(
    switch: SwitchPort, account_id: int, known: Mapping[int, Title], shown: Sequence[int]
) -> Callable[[], Awaitable[Mapping[str, Any]]]:
    async def values() -> Mapping[str, Any]:
        return _values(await QUEUES.now(account_id, switch), known, shown)

    return values


# --- for users


def _ids(texts: Iterable[str]) -> tuple[int, ...]:
    return tuple(number for number in map(id_in_text, texts) if number is not None)


def _chosen(request: web.Request) -> tuple[int, ...]:
    return _ids(request.query.getall("queue", []))[:100]


async def _show(page_request: PageRequest) -> web.StreamResponse:
    chosen = _chosen(page_request.request)
    known = await titles(page_request.db, page_request.account_id)
    read = _reader(page_request.services.switch, page_request.account_id, known, chosen)
    query = f"?{page_request.request.query_string}" if chosen else ""
    return page_request.page(
        "wallboard.html", stream=f"{PATH}/stream{query}", zone=page_request.zone.key, **await read()
    )


async def _stream(page_request: PageRequest) -> web.StreamResponse:
    chosen = _chosen(page_request.request)
    known = await titles(page_request.db, page_request.account_id)
    read = _reader(page_request.services.switch, page_request.account_id, known, chosen)
    return await send_changes(page_request, "wallboard_part.html", (QUEUES,), read, key=(chosen,))


async def _links(page_request: PageRequest) -> web.StreamResponse:
    return await _links_page(page_request)


async def _links_page(
    page_request: PageRequest, made: str | None = None, problem: str | None = None
) -> web.Response:
    return page_request.page(
        "wallboard_links.html",
        links=await links_of(page_request.db, page_request.account_id),
        queues=await titles(page_request.db, page_request.account_id),
        made=made,
        problem=problem,
        name_max=NAME_MAX,
        status=400 if problem else 200,
    )


async def _create(page_request: PageRequest) -> web.StreamResponse:
    fields = await page_request.form_lists()
    name = fields.get("name", [""])[-1].strip()
    language = fields.get("shown_language", [""])[-1]
    known = await titles(page_request.db, page_request.account_id)
    chosen = _ids(fields.get("queue", []))
    if not name or len(name) > NAME_MAX:
        return await _links_page(page_request, problem=_("Write a name by which you know the screen."))
    async with logged(page_request, "create.wallboard_link", {"name": name, "queue_ids": chosen}):
        token = await create_link(
            page_request.db,
            page_request.account_id,
            name=name,
            language=language if language in LANGUAGES else DEFAULT.code,
            queue_ids=[one for one in chosen if one in known],
            login=page_request.caller.login,
        )
    return await _links_page(page_request, made=f"{page_request.request.url.origin()}{PATH}/{token}")


async def _delete(page_request: PageRequest) -> web.StreamResponse:
    link_id = id_in_text((await page_request.form()).get("link", ""))
    if link_id is None:
        raise InvalidInput(_("The form cannot be read: open the page again."), field="link")
    async with logged(page_request, "delete.wallboard_link", {"link_id": link_id}):
        await delete_link(page_request.db, page_request.account_id, link_id)
    raise page_request.back(LINKS_PATH)


# --- for screens


class Screens:
    """The wall-board by a link.

    :param address_of: of the client of a request.
    """

    def __init__(
        self, services: Services, renderer: PageRenderer, address_of: Callable[[web.Request], str]
    ) -> None:
        self._services = services.serving(Workload.COMMAND)
        self._renderer = renderer
        self._address_of = address_of

    def routes(self) -> list[tuple[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]]:
        """Paths and their handlers, which raise :class:`NotFound` for a link that does not exist any more."""
        return [(f"{PATH}/{_TOKEN}", self._show), (f"{PATH}/{_TOKEN}/stream", self._send)]

    async def _show(self, request: web.Request) -> web.StreamResponse:
        opened, services = await self._opened(request)
        values = await self._reader(opened, services)()
        path = f"{PATH}/{request.match_info['token']}/stream"
        content = {**self._page(opened), "stream": path, "zone": opened.time_zone.key, **values}
        response = self._renderer.page("wallboard.html", LANGUAGES[opened.link.language], content)
        response.headers["Referrer-Policy"] = "no-referrer"  # the address is the secret
        return response

    async def _send(self, request: web.Request) -> web.StreamResponse:
        opened, services = await self._opened(request)
        link, account_id = opened.link, opened.link.account_id
        known = await titles(services.db, account_id)
        language = LANGUAGES[link.language]

        def fill(found: Mapping[str, Any]) -> str:
            key = ("wallboard_part.html", account_id, language.code, opened.time_zone.key, link.queue_ids)
            content = {**self._page(opened), "is_stream": True, **found}
            return shared(key, found, lambda: self._renderer.text("wallboard_part.html", language, content))

        read = _reader(services.switch, account_id, known, link.queue_ids)
        return await stream(
            request,
            account_id,
            self._renderer.headers,
            services.switch,
            (QUEUES,),
            read,
            fill,
            self._renderer.version,
        )

    async def _opened(self, request: web.Request) -> tuple[OpenedLink, Services]:
        check = request[CHECK]
        async with check:
            opened = await open_link(
                self._services.db, request.match_info["token"], self._address_of(request)
            )
        if opened is None:
            raise NotFound(_("This link does not exist any more, or it is not permitted from this network."))
        check.identified(opened.link.account_id)
        check.succeeded()
        return opened, self._services.for_account(opened.link.account_id)

    def _reader(self, opened: OpenedLink, services: Services) -> Callable[[], Awaitable[Mapping[str, Any]]]:
        async def values() -> Mapping[str, Any]:
            known = await titles(services.db, opened.link.account_id)
            read = _reader(services.switch, opened.link.account_id, known, opened.link.queue_ids)
            return await read()

        return values

    @staticmethod
    def _page(opened: OpenedLink) -> dict[str, Any]:
        formats = Formats(LANGUAGES[opened.link.language].locale, opened.time_zone)
        return {"caller": None, "show": formats, "is_stream": False}


PAGES = (
    Page(PATH, _show, READ_QUEUES, workload=Workload.COMMAND),
    Page(f"{PATH}/stream", _stream, READ_QUEUES, workload=Workload.COMMAND),
    Page(LINKS_PATH, _links, CHANGE_QUEUES),
    Page(LINKS_PATH, _create, CHANGE_QUEUES, method="POST", workload=Workload.CHANGE),
    Page(f"{LINKS_PATH}/delete", _delete, CHANGE_QUEUES, method="POST", workload=Workload.CHANGE),
)
