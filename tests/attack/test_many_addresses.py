"""Requests without a token from many addresses at once: known clients wait for few of them, new ones get in."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.apis.support import TOKEN, ApisOnFakes
from trunkline.apis.jsonrpc import Services
from trunkline.apis.web import Endpoints, build_app, serving
from trunkline.core.settings import Settings, WebSettings
from trunkline.demo.certificate import certify

pytestmark = pytest.mark.attack

Ports = Callable[[int], list[int]]

STRANGERS = 300
KNOWN = "127.0.0.2"
ANSWERS_MAX = 400
"""Answers to strangers while one request of a known client is handled: about 30 steps, each with a few turns."""


@contextlib.asynccontextmanager
async def _web(folder: Path, ports: Ports, **changes: Any) -> AsyncIterator[Endpoints]:
    http, https = ports(2)
    fields = {"http_port": http, "https_port": https, "https_bind": "127.0.0.1", **changes}
    settings = Settings(data_dir=folder, web=WebSettings.model_validate(fields))
    certify(settings)
    fakes = ApisOnFakes()
    app = build_app(Services(fakes.accounts, fakes.switch, settings), request_log=fakes.request_log)
    async with serving(app, settings) as endpoints:
        yield endpoints


def _port(url: str | None) -> int:
    assert url is not None
    return int(url.rpartition(":")[2])


def _no_check() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _addresses() -> Iterator[str]:
    return (f"127.91.{number // 200}.{1 + number % 200}" for number in range(STRANGERS))


class Flood:
    """Many clients, of an address each, that send requests without a token as fast as they are answered.

    :ivar answers: to all of them.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self._port = port
        self._context = context
        self._tasks: list[asyncio.Task[None]] = []
        self.answers = 0

    async def __aenter__(self) -> Flood:
        self._tasks = [asyncio.create_task(self._ask(address)) for address in _addresses()]
        async with asyncio.timeout(60):
            while self.answers < 2 * STRANGERS:
                await asyncio.sleep(0.05)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ask(self, address: str) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, local_addr=(address, 0), ssl=self._context
                )
                try:
                    while True:
                        writer.write(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
                        head = (await reader.readuntil(b"\r\n\r\n")).lower()
                        size = int(head.partition(b"content-length: ")[2].split(b"\r")[0])
                        await reader.readexactly(size)
                        self.answers += 1
                finally:
                    writer.close()
            await asyncio.sleep(0.01)


async def _list_calls(port: int, address: str, context: ssl.SSLContext | None = None) -> bool:
    body = orjson.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "list.calls", "params": {"access_token": TOKEN}}
    )
    head = f"POST /v4.0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0), ssl=context)
    writer.write(head.encode() + body)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return b'"result"' in answer


@pytest.mark.parametrize("flooded", ["http", "https"])
async def test_a_known_client_waits_for_few_requests_of_strangers(
    tmp_path: Path, free_ports: Ports, flooded: str
) -> None:
    async with _web(tmp_path, free_ports) as endpoints:
        http, https = _port(endpoints.http), _port(endpoints.https)
        assert await _list_calls(http, KNOWN)
        port, context = (http, None) if flooded == "http" else (https, _no_check())
        async with Flood(port, context) as flood:
            for asked, own in ((http, None), (https, _no_check())):
                before = flood.answers
                assert await _list_calls(asked, KNOWN, own)
                assert flood.answers - before < ANSWERS_MAX
            assert await _list_calls(http, "127.0.0.9"), "an unknown client gets in"
