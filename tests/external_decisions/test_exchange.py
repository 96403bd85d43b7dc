"""Requests to other systems, against a real HTTP server that behaves in every way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.calls import company as c
from trunkline.core.settings import ExternalDecisionSettings
from trunkline.directory.media.spoken import SpokenTexts
from trunkline.external_decisions.exchange import AT_ONCE_OF_ACCOUNT, DecisionExchange, exchanging_decisions
from trunkline.speech import NullSpeech

pytestmark = pytest.mark.asyncio

LOOPBACK = ["127.0.0.0/8"]


class System:
    """The other system: notes requests, answers as the test sets it."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.status, self.body = 200, b'{"phones": ["201"]}'
        self.delay = 0.0
        self.headers = 0
        self.at_once = self.most_at_once = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = dict(await request.post()) if request.method == "POST" else dict(request.query)
        self.requests.append({"method": request.method, "path": request.path, **form})
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.delay)
        self.at_once -= 1
        headers = {"Location": "/elsewhere"} if self.status == 302 else {}
        headers |= {f"X-{number}": "x" * 100 for number in range(self.headers)}
        return web.Response(status=self.status, body=self.body, headers=headers)


@asynccontextmanager
async def asking(
    tmp_path: Path, networks: list[str] | None = None, closed_ports: tuple[int, ...] = ()
) -> AsyncIterator[tuple[System, DecisionExchange, str]]:
    system = System()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", system.handle)
    server = TestServer(app)
    await server.start_server()
    settings = ExternalDecisionSettings(allowed_private_networks=LOOPBACK if networks is None else networks)
    account = c.company()
    spoken = SpokenTexts(NullSpeech(), tmp_path)
    closed = (*closed_ports, server.port or 0) if closed_ports else ()
    async with exchanging_decisions(settings, lambda _: account, spoken, closed) as exchange:
        yield system, exchange, str(server.make_url("/decide"))
    await server.close()


def question(url: str, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "url": url,
        "method": "GET",
        "parameters": {"numa": "12025550110", "input_result": "None"},
        "seconds": 2.0,
        "call_session_id": 7,
        "language": "en",
    }
    return given | changes


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_parameters_are_sent_and_the_reply_is_read(tmp_path: Path, method: str) -> None:
    async with asking(tmp_path) as (system, exchange, url):
        found = await exchange.ask(c.ACCOUNT, question(url, method=method))
    sent = {"method": method, "path": "/decide", "numa": "12025550110", "input_result": "None"}
    assert system.requests == [sent]
    assert (found["phones"], found["codes"], found["files"], found["status"]) == (["201"], [], [], 200)


async def test_sounds_of_a_reply_are_found_or_made(tmp_path: Path) -> None:
    async with asking(tmp_path) as (system, exchange, url):
        system.body = (
            b'{"message_name": "greeting", "phones": ["201"], "operator_text": "A regular customer"}'
        )
        found = await exchange.ask(c.ACCOUNT, question(url))
    assert found["files"] == ["/media/greeting"]
    (spoken,) = found["employee_files"]
    assert Path(spoken + ".wav").is_relative_to(tmp_path)
    assert Path(spoken + ".wav").stat().st_size > 44
    assert found["missing"] == []


async def test_a_file_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    async with asking(tmp_path) as (system, exchange, url):
        system.body = b'{"message_name": "nothing.mp3", "phones": ["201"]}'
        found = await exchange.ask(c.ACCOUNT, question(url))
        assert (found["files"], found["phones"], found["missing"]) == ([], ["201"], ["nothing.mp3"])
        system.body = b'{"message_name": "../../etc/passwd"}'
        found = await exchange.ask(c.ACCOUNT, question(url))
        assert found["failed"] == "invalid_reply"
        assert "../../etc/passwd" in found["error"]


async def test_the_sounds_of_the_system_are_not_of_the_account(tmp_path: Path) -> None:
    async with asking(tmp_path) as (system, exchange, url):
        system.body = b'{"message_name": "beep"}'
        assert (await exchange.ask(c.ACCOUNT, question(url)))["failed"] == "invalid_reply"


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, b'{"phones": ["201"]}', "bad_status"),
        (204, b"", "bad_status"),
        (302, b"", "bad_status"),
        (200, b"<html>", "invalid_reply"),
        (200, b"{}", "invalid_reply"),
        (200, b" " * 70_000 + b'{"phones": ["201"]}', "invalid_reply"),
    ],
)
async def test_a_response_that_is_no_reply(tmp_path: Path, status: int, body: bytes, why: str) -> None:
    async with asking(tmp_path) as (system, exchange, url):
        system.status, system.body = status, body
        found = await exchange.ask(c.ACCOUNT, question(url))
        assert (found["failed"], found["status"]) == (why, status)
        assert len(system.requests) == 1, "redirects are not followed"
        assert len(found["reply"]) <= 500


async def test_nobody_answers_in_time(tmp_path: Path) -> None:
    async with asking(tmp_path) as (system, exchange, url):
        system.delay = 30.0
        found = await exchange.ask(c.ACCOUNT, question(url, seconds=0.2))
        assert found["failed"] == "timeout"
        system.delay = 0.0
        assert (await exchange.ask(c.ACCOUNT, question(url)))["phones"] == ["201"]


async def test_addresses_that_are_out_of_reach(tmp_path: Path) -> None:
    async with asking(tmp_path, networks=[]) as (system, exchange, url):
        found = await exchange.ask(c.ACCOUNT, question(url))
        assert found["failed"] == "no_connection"
        assert "external_decisions.allowed_private_networks" in found["error"]
        assert system.requests == []
    async with asking(tmp_path, closed_ports=(1,)) as (system, exchange, url):
        assert (await exchange.ask(c.ACCOUNT, question(url)))["failed"] == "no_connection"
        assert system.requests == []
    async with asking(tmp_path) as (_, exchange, _url):
        refused = await exchange.ask(c.ACCOUNT, question("http://127.0.0.1:1/"))
        assert refused["failed"] == "no_connection"
        for url in ("http://2130706433/", "ftp://crm.example/", "http://[::1", "http://user:pass"):
            assert (await exchange.ask(c.ACCOUNT, question(url)))["failed"] == "no_connection"


async def test_requests_of_one_account_are_limited_and_others_do_not_wait(tmp_path: Path) -> None:
    async with asking(tmp_path) as (system, exchange, url):
        system.delay = 0.3
        many = [asyncio.create_task(exchange.ask(c.ACCOUNT, question(url, seconds=5.0))) for _ in range(25)]
        while system.at_once < AT_ONCE_OF_ACCOUNT:
            await asyncio.sleep(0.01)
        other = await exchange.ask(c.ACCOUNT + 1, question(url + "/other"))
        done = sum(task.done() for task in many)
        assert other["phones"] == ["201"]
        assert done < 25, "it did not wait for those of the other account"
        assert all("failed" not in one for one in await asyncio.gather(*many))
        assert system.most_at_once <= AT_ONCE_OF_ACCOUNT + 1


async def test_a_question_that_is_given_up_ends_its_request(tmp_path: Path) -> None:
    async with asking(tmp_path) as (system, exchange, url):
        system.delay = 30.0
        asked = asyncio.create_task(exchange.ask(c.ACCOUNT, question(url, seconds=30.0)))
        while not system.requests:
            await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked


async def test_keys_in_an_address_are_in_no_error_and_no_log(tmp_path: Path) -> None:
    async with asking(tmp_path) as (system, exchange, url):
        system.headers = 20_000
        secret = "key-in-the-address"
        addresses = (
            f"{url}?api_key={secret}",
            f"http://127.0.0.1:1/?api_key={secret}",
            f"http://[{secret}/",
            f"ftp://x/?{secret}",
        )
        for address in addresses:
            with structlog.testing.capture_logs() as logged:
                found = await exchange.ask(c.ACCOUNT, question(address))
            assert found["failed"] in ("no_connection", "bad_status"), found
            assert secret not in str(found).replace(f"http://[{secret}", "")
            assert secret not in str([{**one, "url": ""} for one in logged])
            assert "12025550110" not in str(found)
