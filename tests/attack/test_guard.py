"""URLs of tenants do not lead into networks that are not theirs to reach."""

from __future__ import annotations

import ast
import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from yarl import URL

import trunkline
from trunkline.core.settings import NotificationSettings, Settings, UploadSettings
from trunkline.notifications.sender import Request, Sender
from trunkline.outbound import Allowed, ForbiddenAddress, guarded_session, is_public
from trunkline.runtime.ports import Transport, ports_of
from trunkline.uploads.download import Downloader
from trunkline.uploads.model import RecordType, UploadFailed

pytestmark = pytest.mark.attack

REFUSED = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.10",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:0:127.0.0.1",
    "::ffff:192.0.0.8",
    "64:ff9b::7f00:1",
    "64:ff9b::192.168.0.1",
    "64:ff9b:1::1",
    "64:ff9b:1:ffff:ffff:ffff:127.0.0.1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:c0a8:1::1",
    "2606:4700:0:0:0:5efe:7f00:1",
    "2606:4700::200:5efe:10.0.0.1",
    "2606:4700::1%1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
)

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "192.0.1.1",
    "2606:4700::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
)


@pytest.mark.parametrize("address", REFUSED)
def test_special_addresses_are_refused(address: str) -> None:
    guard = Allowed((), "a.setting")
    assert not is_public(address)
    assert not guard.permits(address)
    with pytest.raises(ForbiddenAddress, match=r"a\.setting"):
        guard.check_host(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str) -> None:
    Allowed((), "a.setting").check_host(address)
    assert is_public(address)


def test_an_address_that_the_standard_library_calls_special_is_refused() -> None:
    """A walk over the first address of each /16 (IPv4) and /16 (IPv6)."""
    for high in range(2**16):
        for ip in (ipaddress.IPv4Address(high << 16), ipaddress.IPv6Address(high << 112)):
            if not ip.is_global or ip.is_multicast or ip.is_reserved:
                assert not is_public(str(ip)), ip
    assert not any(is_public(f"{first}::1") for first in ("1000", "4000", "8000", "c000", "e000", "fec0"))


NOTATIONS = (
    "2130706433",
    "127.1",
    "127.0.1",
    "0177.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "017700000001",
    "127.0.0.01",
    "0",
)


@pytest.mark.parametrize("host", NOTATIONS)
async def test_other_notations_of_an_address_lead_nowhere(host: str) -> None:
    with pytest.raises(ForbiddenAddress):
        Allowed((), "x").check_url(URL(f"http://{host}/", encoded=True))


def test_networks_that_the_operator_names() -> None:
    some = Allowed(["192.168.5.0/24", "fd00::/8", "64:ff9b:1::/48", "127.0.0.0/8"], "x", closed_ports=[8088])
    for address in ("192.168.5.7", "::ffff:192.168.5.7", "64:ff9b::192.168.5.7", "fd00::1", "64:ff9b:1::9"):
        assert some.permits(address, 8088), address
    for address in ("192.168.6.7", "2002:c0a8:507::1", "::192.168.5.7", "fe80::1"):
        assert not some.permits(address, 80), address
    for address in ("127.0.0.1", "127.1.2.3", "::ffff:127.0.0.1"):
        assert some.permits(address, 8089)
        assert not some.permits(address, 8088), "a port of the installation itself"


def test_ports_of_the_installation_itself() -> None:
    settings = Settings()
    assert {8088, 5038, 8070, 8080, 5432} <= settings.loopback_ports
    listened = {one.number for one in ports_of(settings) if one.transport is Transport.TCP}
    assert listened <= settings.loopback_ports, "and what is added later"


# --- over real sockets ----------------------------------------------------------------------------------------


@asynccontextmanager
async def receiver() -> AsyncIterator[tuple[TestServer, list[str]]]:
    """A server on loopback that must not be reached, and the paths that it was asked for."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        if request.path == "/away":
            raise web.HTTPFound(f"http://localhost:{request.url.port}/inside")
        return web.Response(body=b"RIFF", content_type="audio/wav")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app)
    async with server:
        yield server, asked


def _request(url: str) -> Request:
    return Request("POST", url, "{}", "application/json", {}, ())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://user:secret@127.0.0.1:{port}/",
        "http://8.8.8.8@127.0.0.1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[::127.0.0.1]:{port}/",
        "http://[::1%25lo]:{port}/",
        "http://127.1:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f000001:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://127。0。0。1:{port}/",
        "http://0.0.0.0:{port}/",
        "http://0:{port}/",
    ],
)
async def test_a_webhook_does_not_reach_this_machine(url: str) -> None:
    async with receiver() as (server, asked):
        sender = Sender(NotificationSettings(connect_timeout=2, total_timeout=4))
        try:
            outcome = await sender.send(_request(url.format(port=server.port)))
        finally:
            await sender.close()
    assert asked == []
    assert outcome.error is not None
    assert outcome.status_code is None


class Rebinding(AbstractResolver):
    """Answers with a public address first, which a check may see, and with loopback from then on."""

    def __init__(self) -> None:
        self.answers = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.answers += 1
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass


async def test_the_address_that_is_connected_to_is_checked_whatever_was_resolved() -> None:
    async with receiver() as (server, asked):
        session = guarded_session(Allowed((), "a.setting"), timeout=aiohttp.ClientTimeout(total=4))
        connector: Any = session.connector
        connector._resolver = Rebinding()  # in place of the resolver that checks
        async with session:
            with pytest.raises(aiohttp.ClientConnectorError) as refused:
                await session.post(f"http://rebinding.example:{server.port}/")
            assert "a.setting" in str(refused.value.os_error)
    assert asked == []


async def test_a_redirect_of_a_download_is_checked(tmp_path: Path) -> None:
    """The first address is allowed; that of the redirect is a closed port on loopback."""
    async with receiver() as (inner, asked_inside):
        app = web.Application()

        async def away(_request: web.Request) -> web.Response:
            raise web.HTTPFound(f"http://localhost:{inner.port}/inside")

        app.router.add_get("/", away)
        async with TestServer(app) as outer:
            settings = UploadSettings(allowed_private_networks=["127.0.0.0/8"], download_timeout=4)
            assert inner.port is not None
            downloader = Downloader(settings, closed_ports=[inner.port])
            try:
                with pytest.raises(UploadFailed, match="private address"):
                    await downloader.fetch(
                        f"http://127.0.0.1:{outer.port}/", RecordType.WAV, tmp_path / "a.wav"
                    )
            finally:
                await downloader.close()
    assert asked_inside == []


async def test_an_allowed_network_is_reached() -> None:
    async with receiver() as (server, asked):
        sender = Sender(NotificationSettings(allowed_private_networks=["127.0.0.0/8"]))
        try:
            outcome = await asyncio.wait_for(
                sender.send(_request(f"http://127.0.0.1:{server.port}/hook")), 20
            )
        finally:
            await sender.close()
    assert (outcome.delivered, asked) == (True, ["/hook"])


def test_the_setting_that_was_replaced_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="allowed_private_networks"):
        NotificationSettings.model_validate({"allow_private_addresses": True})


# --- no other client ------------------------------------------------------------------------------------------

CLIENTS = {
    "outbound/http.py": "the guarded client itself",
    "outbound/mail.py": "the operator's mail server, from the settings",
    "calls/switch/rpc_client.py": "switches, at addresses of their leases",
    "telephony/ari.py": "the engine, on loopback",
    "telephony/ami.py": "the engine, on loopback",
    "telephony/http_pool.py": "the engine, on loopback",
    "runtime/assets.py": "the npm registry of the operator's setting, at set-up",
    "runtime/instance.py": "health of our own processes, on loopback",
    "runtime/sip_connections.py": "the switch, at the address of the settings",
    "demo/installation.py": "the API of the installation it has started itself, on loopback",
}
"""Modules that make connections, and to what: none but the first to an address that a tenant names."""

RESOLVING = {
    "apis/listener.py": "addresses on which the operator's setting makes this process listen",
    "directory/trunks/addresses.py": "addresses of this machine, which no trunk may have",
    "outbound/guard.py": "addresses of receivers; the guarded client checks the one that it connects to",
    "directory/trunks/resolution.py": "addresses of carriers; they are compared, and SIP goes there, never HTTP",
}
"""Modules that look names up and make no connection themselves."""

_APART = ("testing", "bench")
"""Packages that are no part of a running installation."""

_CONNECTING = {
    "ClientSession", "TCPConnector", "open_connection", "create_connection", "urlopen", "HTTPConnection",
    "HTTPSConnection", "SMTP", "SMTP_SSL", "create_datagram_endpoint", "sock_connect", "getaddrinfo",
}  # fmt: skip
_CLIENT_MODULES = {
    "requests",
    "httpx",
    "urllib3",
    "urllib.request",
    "websockets",
    "ftplib",
    "http.client",
    "aiosmtplib",
}


def _makes_connections(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in _CONNECTING:
                found.add(name)
            case ast.Import(names=names):
                found |= {one.name for one in names if one.name in _CLIENT_MODULES}
            case ast.ImportFrom(module=str(module)) if module in _CLIENT_MODULES:
                found.add(module)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="aiohttp"), attr="request")):
                found.add("aiohttp")
    return found


def test_no_other_module_makes_a_client() -> None:
    root = Path(trunkline.__file__).parent
    making = {}
    for file in sorted(root.rglob("*.py")):
        name = str(file.relative_to(root))
        found = _makes_connections(ast.parse(file.read_text(encoding="utf-8")))
        if found and not name.startswith(_APART):
            making[name] = found
    for name in RESOLVING:
        assert making.pop(name) == {"getaddrinfo"}, name
    strange = {name: found for name, found in making.items() if name not in CLIENTS}
    assert not strange, f"use trunkline.outbound.guarded_session: {strange}"


def test_a_module_with_a_client_is_found() -> None:
    for text in (
        "import aiohttp\nx = aiohttp.ClientSession()",
        "from aiohttp import ClientSession as S, TCPConnector\nTCPConnector()",
        "import requests",
        "from urllib.request import urlopen",
        "import asyncio\nasyncio.open_connection('a', 1)",
        "import aiohttp\naiohttp.request('GET', 'x')",
    ):
        assert _makes_connections(ast.parse(text)), text
