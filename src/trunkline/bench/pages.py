"""Open pages of the console on one web process: how soon a change is on all of them, and what each page needs.

Half of them are wall-boards by a link, half are workspaces of an agent whose state changes. A page is what a browser has
open: one connection with server-sent events, which is opened again when the stream ends.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from trunkline.bench.load import CARRIER
from trunkline.bench.processes import cpu_seconds, memory_mb
from trunkline.bench.product import Product, company
from trunkline.bench.setting import Figure, Finding, Setting, rows
from trunkline.bench.statistics import spread
from trunkline.core.settings import Settings

METHOD = (
    "A whole installation without calls. Pages are open on its web process: wall-boards by a link, and workspaces of one"
    " agent, each with a connection of its own. The agent takes a break and ends it, again and again: milliseconds from"
    " sending the request until each page has received its new content. Before that the processor time of the web"
    " process with all pages open, and its memory (proportional set size) with and without them."
)
PAGES, QUICK_PAGES = 300, 300
AIM_MS = 1000.0
_CHANGES, _QUICK_CHANGES = 40, 12
_IDLE_SECONDS, _QUICK_IDLE_SECONDS = 40.0, 15.0
_PASSWORD = "bench pages only"  # noqa: S105 - of users that live for minutes
_LATE_SECONDS = 20.0
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
_LINK = re.compile(r"(/console/wallboard/[0-9]+\.[\w-]+)")
_BREAK, _AVAILABLE = "2", "available"


@dataclass
class Open:
    """One open page.

    :ivar shows: what a content is of, ``break`` or ``available``; None: cannot be seen.
    :ivar at: monotonic seconds at which the newest state was received.
    """

    path: str
    cookies: Mapping[str, str]
    shows: Callable[[str], str | None]
    state: str | None = None
    at: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


def _of_workspace(content: str) -> str | None:
    return "break" if "state-on_break" in content else "available" if "state-available" in content else None


def _of_wallboard(content: str) -> str | None:
    found = re.search(r"On a break</dt><dd>(\d+)", content)
    return None if found is None else "available" if found[1] == "0" else "break"


class Pages:
    """The open pages of a product, and a browser that changes something."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url
        self.open: list[Open] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._operator: dict[str, str] = {}
        self._form = ""

    async def sign_in(self, login: str) -> dict[str, str]:
        """The cookies of a session."""
        cookies: dict[str, str] = {}
        async with self._client.get(f"{self._url}/console/sign-in") as response:
            cookies |= {name: one.value for name, one in response.cookies.items()}
            token = _TOKEN.findall(await response.text())[0]
        fields = {"form_token": token, "login": login, "password": _PASSWORD}
        async with self._client.post(
            f"{self._url}/console/sign-in", data=fields, cookies=cookies, allow_redirects=False
        ) as response:
            cookies |= {name: one.value for name, one in response.cookies.items()}
            if response.status != 303:
                raise RuntimeError(f"no session for {login}: {response.status}")
        return cookies

    async def make_link(self, login: str) -> str:
        """The path of a new link to the wall-board."""
        cookies, path = await self.sign_in(login), f"{self._url}/console/wallboard/links"
        async with self._client.get(path, cookies=cookies) as response:
            token = _TOKEN.findall(await response.text())[0]
        fields = {"form_token": token, "name": "Bench", "shown_language": "en"}
        async with self._client.post(path, data=fields, cookies=cookies) as response:
            return str(_LINK.findall(await response.text())[0])

    async def start(self, count: int, link: str, login: str) -> None:
        """Open the pages and wait for their content."""
        self._operator = await self.sign_in(login)
        async with self._client.get(f"{self._url}/console/workspace", cookies=self._operator) as response:
            self._form = _TOKEN.findall(await response.text())[0]
        for place in range(count):
            is_wallboard = place % 2 == 0
            one = Open(
                f"{link}/stream" if is_wallboard else "/console/workspace/stream",
                {} if is_wallboard else self._operator,
                _of_wallboard if is_wallboard else _of_workspace,
            )
            self.open.append(one)
            self._tasks.append(asyncio.create_task(self._follow(one)))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, one: Open) -> None:
        while True:
            try:
                async with self._client.get(f"{self._url}{one.path}", cookies=one.cookies) as response:
                    response.raise_for_status()
                    while event := (await response.content.readuntil(b"\n\n")).decode():
                        if event.startswith("event: part") and (found := one.shows(event)) is not None:
                            one.at, one.state = time.monotonic(), found
                            one.changed.set()
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)

    async def change(self, state: str) -> None:
        """Set the state of the agent."""
        fields = {"form_token": self._form, "state": state}
        async with self._client.post(
            f"{self._url}/console/workspace/state",
            data=fields,
            cookies=self._operator,
            allow_redirects=False,
        ) as response:
            if response.status != 303:
                raise RuntimeError(f"the state was not changed: {response.status}")

    async def wait(self, state: str) -> bool:
        """Until all pages show a state; whether they do."""

        async def shown(one: Open) -> None:
            while one.state != state:
                one.changed.clear()
                await one.changed.wait()

        try:
            async with asyncio.timeout(_LATE_SECONDS):
                await asyncio.gather(*(shown(one) for one in self.open))
        except TimeoutError:
            return False
        return True


@asynccontextmanager
async def set_up(folder: Path) -> AsyncIterator[tuple[Product, Pages, str]]:
    """The product with an agent, and a link to its wall-board."""

    def many_connections(settings: Settings) -> Settings:
        web = settings.web.model_copy(update={"connections_per_address": 4096})
        return settings.model_copy(update={"web": web})

    async with Product(folder, (CARRIER, 5060), many_connections) as product:
        run, account = product.installation.run, product.account
        more = company(CARRIER, 5060, product.receiver.url)
        agents = [{"employee": name} for name in more["employees"]]
        queue = {"name": "Bench", "strategy": "longest-idle-agent", "agents": agents}
        file = folder / "queues.yaml"
        file.write_text(yaml.safe_dump({**more, "queues": {"bench": queue}}))
        await product.installation.apply(account, file)
        employees = await product.installation.data_api(account, "get.employees", fields=["id"])
        own = ("--account", str(account.account_id))
        await run("allow", "add", "127.0.0.0/8", "--api", "console", *own)
        employee = str(employees["data"][0]["id"])
        await run("user", "create", "--login", "bench-agent", "--password", _PASSWORD, "--role", "operator",
                  "--employee", employee, *own)  # fmt: skip
        await run(
            "user", "create", "--login", "bench-admin", "--password", _PASSWORD, "--role", "admin", *own
        )
        connector = aiohttp.TCPConnector(limit=0)
        jar = aiohttp.DummyCookieJar()
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=jar, timeout=timeout, read_bufsize=2**20
        ) as client:
            pages = Pages(client, product.installation.url)
            try:
                yield product, pages, await pages.make_link("bench-admin")
            finally:
                await pages.stop()


async def measure(
    product: Product, pages: Pages, link: str, count: int, changes: int, idle_seconds: float
) -> dict[str, Any]:
    """The figures of the part."""
    web = {"web": int(product.installation.process("web")["pid"])}
    before = memory_mb(web)["web"]
    await pages.start(count, link, "bench-agent")
    await pages.change(_AVAILABLE)
    is_open = await pages.wait("available")
    used, began = cpu_seconds(web)["web"], time.monotonic()
    await asyncio.sleep(idle_seconds)
    percent = 100 * (cpu_seconds(web)["web"] - used) / (time.monotonic() - began)
    taken: list[float] = []
    lost = 0
    for number in range(changes):
        wanted = "break" if number % 2 == 0 else "available"
        await asyncio.sleep(random.uniform(0.3, 1.5))
        sent = time.monotonic()
        await pages.change(_BREAK if wanted == "break" else _AVAILABLE)
        if not await pages.wait(wanted):
            lost += sum(one.state != wanted for one in pages.open)
        taken += [1000 * (one.at - sent) for one in pages.open if one.state == wanted]
    after = memory_mb(web)["web"]
    found = spread(taken)
    return {
        "pages": count,
        "changes": changes,
        "never_shown": lost + (0 if is_open else 1),
        "milliseconds": {"p50": round(found.p50), "p99": round(found.p99), "worst": round(max(taken))},
        "web_cpu_percent": round(percent, 1),
        "memory_mb": {"without": before, "with": after},
        "memory_per_page_kb": round(1024 * (after - before) / count, 1),
    }


async def run(setting: Setting) -> Finding:
    """See :mod:`trunkline.bench.parts`."""
    setting.folder.mkdir(parents=True, exist_ok=True)
    count = QUICK_PAGES if setting.quick else PAGES
    async with set_up(setting.folder) as (product, pages, link):
        found = await measure(
            product,
            pages,
            link,
            count,
            _QUICK_CHANGES if setting.quick else _CHANGES,
            _QUICK_IDLE_SECONDS if setting.quick else _IDLE_SECONDS,
        )
    times = found["milliseconds"]
    table = rows(
        ("", "p50", "p99", "worst"),
        [
            (f"a change is on {count} pages, ms", *(f"{times[name]}" for name in ("p50", "p99", "worst"))),
            ("web with all pages open, % of a core", f"{found['web_cpu_percent']}", "", ""),
            ("memory of web for a page, kB", f"{found['memory_per_page_kb']}", "", ""),
        ],
    )
    aims = {"change_to_page_p99_ms": Figure(float(times["p99"]), AIM_MS)}
    return Finding(found["never_shown"] == 0, table, found, aims)
