"""A client without a valid token has a share of the web process, for requests of every path and method."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import structlog
from aiohttp import web

from tests.apis.call_api.requests import REQUESTS as CALLS
from tests.apis.support import TOKEN, ApisOnFakes
from trunkline.apis.address import address_reader
from trunkline.apis.jsonrpc import Services
from trunkline.apis.media import routes
from trunkline.apis.service import body_allowance, check_limit
from trunkline.apis.service.check_limit import REQUEST_COST
from trunkline.apis.web import build_app, serving
from trunkline.core.settings import Settings, WebSettings
from trunkline.db.pool import Database
from trunkline.events.feed import CallFeed

pytestmark = pytest.mark.attack

Ports = Callable[[int], list[int]]

FREE = 60
RATE = 30
"""Requests of an address at once and per second, in these tests."""

SECONDS = 2.0

UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
PREFLIGHT = "Origin: https://crm.example\r\nAccess-Control-Request-Method: POST\r\n"
DISCOVER = '{"jsonrpc":"2.0","id":1,"method":"rpc.discover","params":{}}'
REQUESTS = {
    "nothing there": ("GET", "/x", "", ""),
    "posted to nothing": ("POST", "/x", "", ""),
    "nothing there in the REST API": ("GET", "/api/x", "", ""),
    "another method": ("PUT", "/v4.0", "", ""),
    "stream": ("GET", "/v4.0/stream?access_token=wrong", UPGRADE, ""),
    "recording": ("GET", "/system/media/talk/5/x/?access_token=wrong", "", ""),
    "recording without a token": ("GET", "/media/5/x", "", ""),
    "media file": ("GET", "/system/media/file/5/?access_token=wrong", "", ""),
    "description": ("GET", "/v2.0/openrpc.json", "", ""),
    "description of the REST API": ("GET", "/api/openapi.json", "", ""),
    "description by a method": ("POST", "/v2.0", "", DISCOVER),
    "preflight": ("OPTIONS", "/v4.0", PREFLIGHT, ""),
    "health": ("GET", "/health/live", "", ""),
    "unreadable body": ("POST", "/v4.0", "Content-Encoding: br\r\n", "x"),
    "REST API with a wrong key": ("GET", "/api/v1/users?api_key=wrong", "", ""),
}


class _NoFiles:
    async def find(self, *_: Any) -> None:
        return None


@contextlib.asynccontextmanager
async def _web(database: str, folder: Path, ports: Ports, **changes: Any) -> AsyncIterator[int]:
    [port] = ports(1)
    fields = {"http_port": port, "https_port": 0, "cors_origins": ["https://crm.example"], **changes}
    settings = Settings(data_dir=folder, web=WebSettings.model_validate(fields))
    async with await Database.open(database) as db, CallFeed(db) as feed:
        fakes = ApisOnFakes(database=db)
        services = Services(fakes.accounts, fakes.switch, settings, db)
        none: Any = _NoFiles()
        accounts: Any = fakes.accounts
        app = build_app(
            services,
            request_log=fakes.request_log,
            feed=feed,
            routes=[*routes(none, none, accounts, address_reader(settings)), web.get("/cut", _cut)],
        )
        async with serving(app, settings):
            yield port


async def _cut(request: web.Request) -> web.StreamResponse:
    """A long answer."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(200):
        await response.write(bytes(100_000))
        await asyncio.sleep(0.01)
    return response


@pytest.fixture
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_allowance, "RATE", RATE * REQUEST_COST)
    monkeypatch.setattr(body_allowance, "BURST", FREE * REQUEST_COST)


async def _connect(port: int, source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))


async def _ask_all_the_time(port: int, sent: bytes, source: str, until: float) -> int:
    """Answers of kept connections of one client within the time."""
    answers = 0
    while True:
        reader, writer = await _connect(port, source)
        try:
            async with asyncio.timeout_at(until):
                while True:
                    writer.write(sent)
                    head = (await reader.readuntil(b"\r\n\r\n")).lower()
                    if b"content-length: " in head:
                        await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r")[0]))
                    answers += 1
        except TimeoutError:
            return answers
        except (ConnectionError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.01)
        finally:
            writer.close()


@pytest.mark.usefixtures("small_shares")
@pytest.mark.parametrize("name", REQUESTS)
async def test_each_request_counts(database: str, tmp_path: Path, free_ports: Ports, name: str) -> None:
    verb, path, headers, body = REQUESTS[name]
    sent = f"{verb} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode()
    async with _web(database, tmp_path, free_ports) as port:
        until = asyncio.get_running_loop().time() + SECONDS
        floods = [_ask_all_the_time(port, sent, "127.0.0.3", until) for _ in range(4)]
        answers = sum(await asyncio.gather(*floods))
        assert 1 <= answers <= FREE + RATE * SECONDS + 8
        began = time.monotonic()
        assert await _ask_all_the_time(port, sent, "127.0.0.4", asyncio.get_running_loop().time() + 1) >= 1
        assert time.monotonic() - began < 4.5, "another address waits for nothing"


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("small_shares")
async def test_requests_with_a_valid_token_are_free_over_new_connections_too(
    database: str, tmp_path: Path, free_ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body_allowance, "RATE", 1)
    request = {"jsonrpc": "2.0", "id": 1, "method": "list.calls", "params": {"access_token": TOKEN}}
    async with _web(database, tmp_path, free_ports) as port:
        for _ in range(FREE + 20):
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"http://127.0.0.1:{port}/v4.0", json=request) as response,
            ):
                assert "result" in await response.json()


@pytest.mark.usefixtures("small_shares")
async def test_new_connections_of_one_address_are_bounded(
    database: str, tmp_path: Path, free_ports: Ports
) -> None:
    async with _web(database, tmp_path, free_ports) as port:
        until = time.monotonic() + SECONDS
        served = 0

        async def connect_again() -> None:
            nonlocal served
            while time.monotonic() < until:
                reader, writer = await _connect(port, "127.0.0.3")
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    writer.write(b"no HTTP\r\n\r\n")
                    served += b" 400 " in await reader.readline()
                writer.close()

        await asyncio.gather(*(connect_again() for _ in range(4)))
        assert 1 <= served <= FREE + RATE * SECONDS + 8


async def test_a_request_that_would_wait_too_long_is_refused(
    database: str, tmp_path: Path, free_ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trunkline.apis.request_share.REFUSAL_SECONDS", 0.1)
    async with _web(database, tmp_path, free_ports) as port, aiohttp.ClientSession() as session:
        monkeypatch.setattr(check_limit, "REQUEST_COST", 31 * body_allowance.RATE)
        monkeypatch.setattr(body_allowance, "BURST", 0)
        async with session.get(f"http://127.0.0.1:{port}/x") as response:
            assert response.status == 429
            assert "Too many requests" in (await response.json())["error"]


async def test_a_description_is_sent_compressed_and_once(
    database: str, tmp_path: Path, free_ports: Ports
) -> None:
    async with _web(database, tmp_path, free_ports) as port, aiohttp.ClientSession() as session:
        for path in ("/v2.0/openrpc.json", "/v4.0/openrpc.json", "/api/openapi.json"):
            url = f"http://127.0.0.1:{port}{path}"
            async with session.get(url) as response:
                assert response.headers["Content-Encoding"] == "gzip"
                document = await response.json()
                tag = response.headers["ETag"]
            async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
                assert "Content-Encoding" not in response.headers
                assert orjson.loads(await response.read()) == document
            async with session.get(url, headers={"If-None-Match": tag}) as response:
                assert (response.status, await response.read()) == (304, b"")


async def test_clients_that_end_connections_fill_no_log(
    database: str, tmp_path: Path, free_ports: Ports
) -> None:
    async with _web(database, tmp_path, free_ports) as port:
        with structlog.testing.capture_logs() as lines:
            for sent in (b"GET /cut HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nno header\r\n\r\n"):
                for _ in range(20):
                    reader, writer = await _connect(port, "127.0.0.3")
                    writer.write(sent)
                    await reader.read(100)
                    writer.transport.abort()
            await asyncio.sleep(1)
    assert [one for one in lines if one["log_level"] in ("error", "warning") or "exc_info" in one] == []
    counted = [one for one in lines if one["event"] == "connections_ended_by_clients"]
    assert 1 <= len(counted) <= 6


async def test_a_header_that_is_no_text_is_an_error_of_the_api(
    database: str, tmp_path: Path, free_ports: Ports
) -> None:
    params = {"access_token": TOKEN, **CALLS["start.simple_call"]}
    body = orjson.dumps({"jsonrpc": "2.0", "id": 1, "method": "start.simple_call", "params": params})
    async with _web(database, tmp_path, free_ports) as port:
        reader, writer = await _connect(port, "127.0.0.1")
        writer.write(
            b"POST /v4.0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nIdempotency-Key: \xe9\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        head, _, answer = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
        writer.close()
    assert b" 200 " in head.splitlines()[0]
    error = orjson.loads(answer)["error"]["data"]
    assert (error["mnemonic"], error["field"]) == ("invalid_parameter_value", "Idempotency-Key")
