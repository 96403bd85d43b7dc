"""The switch's command server and its client: real HTTP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from trunkline.calls.switch import rpc_client as client_module
from trunkline.calls.switch.rpc_client import SwitchClient
from trunkline.calls.switch.rpc_server import serving_commands
from trunkline.calls.switch.switch import Switch
from trunkline.core import errors
from trunkline.core.errors import SwitchUnavailable, TrunklineError

Ports = Callable[[int], list[int]]
TOKEN = "secret of this instance"


class FakeSwitch:
    """Takes commands in a switch's place."""

    def __init__(self, answer: Callable[[], Any] = dict) -> None:
        self.commands: list[tuple[int, str, dict[str, Any]]] = []
        self._answer = answer

    async def command(self, account_id: int, name: str, params: dict[str, Any]) -> dict[str, Any]:
        self.commands.append((account_id, name, params))
        answer = self._answer()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return {}
        return cast(dict[str, Any], answer)

    def status(self) -> dict[str, Any]:
        return {"live_calls": 3}

    def directory_fingerprint(self, account_id: int) -> str | None:
        return {7: "f" * 64}.get(account_id)


def control_server(switch: FakeSwitch, port: int) -> Any:
    return serving_commands(cast(Switch, switch), TOKEN, port)


def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def test_a_command_and_its_answer(free_ports: Ports) -> None:
    [port] = free_ports(1)
    switch = FakeSwitch(lambda: {"call_session_id": 2**52})
    async with control_server(switch, port), SwitchClient(url(port), TOKEN) as client:
        answer = await client.command(
            7, "start_simple_call", {"contact": "12025550111", "deep": {"a": [1, None]}}
        )
        assert answer == {"call_session_id": 2**52}
        assert await client.command_json(7, "list_calls", {}) == b'{"call_session_id":4503599627370496}'
        assert (await client.status())["live_calls"] == 3
        assert await client.directory_fingerprint(7) == "f" * 64
        assert await client.directory_fingerprint(8) is None
    assert switch.commands == [
        (7, "start_simple_call", {"contact": "12025550111", "deep": {"a": [1, None]}}),
        (7, "list_calls", {}),
    ]


@pytest.mark.parametrize(
    "kind",
    [
        errors.NotFound,
        errors.InvalidInput,
        errors.InvalidState,
        errors.LimitExceeded,
        errors.PermissionDenied,
        errors.SwitchUnavailable,
        errors.NotCarriedOut,
        errors.DatabaseUnavailable,
        errors.TrunklineError,
    ],
)
async def test_errors_keep_what_they_carry(kind: type[TrunklineError], free_ports: Ports) -> None:
    [port] = free_ports(1)
    raised = kind(
        "Do this", mnemonic="some_mnemonic", field="employee.id", value={"id": 9}, params={"limit": 4}
    )
    async with control_server(FakeSwitch(lambda: raised), port), SwitchClient(url(port), TOKEN) as client:
        with pytest.raises(TrunklineError) as caught:
            await client.command(7, "list_calls", {})
    reported = caught.value
    assert type(reported) is kind
    assert (reported.message, reported.mnemonic, reported.field) == (
        "Do this",
        "some_mnemonic",
        "employee.id",
    )
    assert (reported.value, reported.params) == ({"id": 9}, {"limit": 4})


async def test_a_bug_in_the_switch_shows_nothing_of_itself(free_ports: Ports) -> None:
    [port] = free_ports(1)
    async with (
        control_server(FakeSwitch(lambda: RuntimeError("inner secret")), port),
        SwitchClient(url(port), TOKEN) as client,
    ):
        with pytest.raises(TrunklineError) as caught:
            await client.command(7, "list_calls", {})
    assert caught.value.mnemonic == "internal_error"
    assert "inner secret" not in caught.value.message


async def test_strangers_are_turned_away(free_ports: Ports) -> None:
    [port] = free_ports(1)
    switch = FakeSwitch()
    async with control_server(switch, port), aiohttp.ClientSession() as session:
        for headers in ({}, {"Authorization": "Bearer guess"}):
            async with session.post(f"{url(port)}/command", json={}, headers=headers) as response:
                assert response.status == 401
        right = {"Authorization": f"Bearer {TOKEN}"}
        for body in (b"", b"[]", b"{", b'{"name": "list_calls"}', b"null"):
            async with session.post(f"{url(port)}/command", data=body, headers=right) as response:
                assert response.status == 400
    assert not switch.commands


_QUESTIONS: list[Callable[[SwitchClient], Awaitable[object]]] = [
    lambda client: client.status(),
    lambda client: client.login_bans(),
    lambda client: client.lift_login_bans(None, None),
    lambda client: client.rows_left_out(7),
    lambda client: client.directory_fingerprint(7),
]


@pytest.mark.parametrize("question", _QUESTIONS)
@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b"null", b"7", b'{"result": null}', b'{"error": "no"}']
)
async def test_what_responds_at_the_address_is_no_switch(
    question: Callable[[SwitchClient], Awaitable[object]], body: bytes, free_ports: Ports
) -> None:
    [port] = free_ports(1)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=200)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with SwitchClient(url(port), TOKEN) as client:
            with pytest.raises(SwitchUnavailable, match="switch"):
                await question(client)
    finally:
        await runner.cleanup()


@contextlib.contextmanager
def _accepting_nothing(port: int) -> Iterator[None]:
    """A port whose backlog is full, as that of a process that does not run: a connection to it is not established."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen(0)
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield


@pytest.mark.parametrize("question", _QUESTIONS)
async def test_a_question_to_a_switch_that_accepts_no_connection(
    question: Callable[[SwitchClient], Awaitable[object]], free_ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.1)
    [port] = free_ports(1)
    with _accepting_nothing(port):
        async with SwitchClient(url(port), TOKEN) as client:
            with pytest.raises(SwitchUnavailable, match="does not respond"):
                await question(client)


@pytest.mark.parametrize("question", _QUESTIONS)
async def test_a_question_when_nothing_listens(
    question: Callable[[SwitchClient], Awaitable[object]], free_ports: Ports
) -> None:
    [port] = free_ports(1)
    async with SwitchClient(url(port), TOKEN) as client:
        with pytest.raises(SwitchUnavailable, match="does not respond"):
            await question(client)


async def test_a_command_that_was_not_sent_is_sent_again_and_is_not_said_to_be_done(
    free_ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a command leaves before a connection is there, so any command may be sent again."""
    monkeypatch.setattr(client_module, "CONNECT_SECONDS", 0.1)
    [port] = free_ports(1)
    switch = FakeSwitch(lambda: {"done": True})
    async with SwitchClient(url(port), TOKEN) as client:
        with _accepting_nothing(port):
            with monkeypatch.context() as patch:
                patch.setattr(client_module, "ROUTE_TIMEOUT_SECONDS", 0.2)
                with pytest.raises(SwitchUnavailable, match="nothing was done"):
                    await client.command(7, "start_simple_call", {})
            waiting = asyncio.create_task(client.command(7, "start_simple_call", {}))
            await asyncio.sleep(0.3)
            assert not waiting.done()
        async with control_server(switch, port):
            assert await waiting == {"done": True}
    assert len(switch.commands) == 1


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_BROKEN = [
    b"",
    b"\x00\x01\x02",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n",
    _HEAD + b"A\x00: b\r\n\r\n",
    _HEAD + b"Content-Length: -1\r\n\r\n",
    _HEAD + b"Content-Length: 50\r\n\r\n{}",
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
    _HEAD + b"Content-Encoding: gzip\r\nContent-Length: 8\r\n\r\nabcdefgh",
    _HEAD + b"Content-Encoding: br\r\n\r\nabcdefgh",
    b"HTTP/1.1 101 Up\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nabc",
    b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
    b"HTTP/1.1 307 Moved\r\nLocation: /status\r\nContent-Length: 0\r\n\r\n",
]


@contextlib.asynccontextmanager
async def _sending(port: int, response: bytes) -> AsyncIterator[None]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield


@pytest.mark.parametrize("response", _BROKEN, ids=[str(number) for number in range(len(_BROKEN))])
async def test_a_broken_response_is_an_error_of_the_product(response: bytes, free_ports: Ports) -> None:
    """Callers handle errors of the product; they know nothing of the HTTP client."""
    [port] = free_ports(1)
    async with _sending(port, response), SwitchClient(url(port), TOKEN) as client:
        for question in _QUESTIONS:
            with pytest.raises(SwitchUnavailable):
                await question(client)
        with pytest.raises(errors.SwitchInterrupted, match="may have been"):
            await client.command(7, "start_simple_call", {})


@pytest.mark.parametrize("question", _QUESTIONS)
async def test_a_question_with_a_wrong_token_is_refused_with_the_reason(
    question: Callable[[SwitchClient], Awaitable[object]], free_ports: Ports
) -> None:
    [port] = free_ports(1)
    async with control_server(FakeSwitch(), port), SwitchClient(url(port), "guess") as client:
        with pytest.raises(TrunklineError, match="is not that of this switch"):
            await question(client)


async def test_a_command_waits_for_a_switch_that_restarts(free_ports: Ports) -> None:
    [port] = free_ports(1)
    first, second = FakeSwitch(), FakeSwitch(lambda: {"done": True})
    async with SwitchClient(url(port), TOKEN) as client:
        async with control_server(first, port):
            await client.command(7, "list_calls", {})
        waiting = asyncio.create_task(client.command(7, "start_simple_call", {}))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        async with control_server(second, port):
            assert await waiting == {"done": True}
    assert len(second.commands) == 1


async def test_no_switch_for_long(free_ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ROUTE_TIMEOUT_SECONDS", 0.2)
    [port] = free_ports(1)
    async with SwitchClient(url(port), TOKEN) as client:
        with pytest.raises(SwitchUnavailable, match="nothing was done"):
            await client.command(7, "start_simple_call", {})


async def _hang_up_on(times: int, port: int, answer: bytes) -> tuple[asyncio.Server, list[bytes]]:
    """A switch that dies while it works: takes the command and hangs up; later ones are answered."""
    taken: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        taken.append(await reader.readexactly(length))
        if len(taken) > times:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
            await writer.drain()
        writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", port), taken


@pytest.mark.parametrize("name", ["start_employee_call", "start_simple_call"])
async def test_a_start_is_never_sent_twice(name: str, free_ports: Ports) -> None:
    [port] = free_ports(1)
    server, taken = await _hang_up_on(1, port, b'{"result":{}}')
    async with server, SwitchClient(url(port), TOKEN) as client:
        with pytest.raises(SwitchUnavailable, match="may have been"):
            await client.command(7, name, {})
    assert len(taken) == 1


@pytest.mark.parametrize("name", ["release_call", "list_calls"])
async def test_what_may_be_repeated_is(name: str, free_ports: Ports) -> None:
    [port] = free_ports(1)
    server, taken = await _hang_up_on(2, port, b'{"result":{"calls":[]}}')
    async with server, SwitchClient(url(port), TOKEN) as client:
        assert await client.command(7, name, {}) == {"calls": []}
    assert len(taken) == 3


async def test_an_answer_that_is_no_json(free_ports: Ports) -> None:
    [port] = free_ports(1)
    server, _control_taken = await _hang_up_on(0, port, b"<html>")
    async with server, SwitchClient(url(port), TOKEN) as client:
        with pytest.raises(SwitchUnavailable):
            await client.command(7, "start_simple_call", {})
