"""The web role over real sockets: HTTP, HTTPS with a replaced certificate, sizes, addresses, health,
graceful stop."""

from __future__ import annotations

import asyncio
import gzip
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.apis.support import TOKEN, ApisOnFakes
from trunkline.apis.jsonrpc import Services
from trunkline.apis.tls import ReloadedCertificate
from trunkline.apis.web import Endpoints, build_app, serving
from trunkline.core.settings import Settings, WebSettings
from trunkline.demo.certificate import certify
from trunkline.runtime import certificates

Ports = Callable[[int], list[int]]


@asynccontextmanager
async def _open(
    fakes: ApisOnFakes, settings: Settings, routes: list[web.RouteDef] | None = None
) -> AsyncIterator[tuple[Endpoints, aiohttp.ClientSession]]:
    services = Services(fakes.accounts, fakes.switch, settings)
    app = build_app(services, request_log=fakes.request_log, routes=routes or [])
    async with (
        serving(app, settings) as endpoints,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as client,
    ):
        yield endpoints, client


def _settings(tmp_path: Path, ports: Ports, **changes: object) -> Settings:
    http, https = ports(2)
    fields = {"http_port": http, "https_port": https, "https_bind": "127.0.0.1", **changes}
    settings = Settings(data_dir=tmp_path, web=WebSettings.model_validate(fields))
    certify(settings)
    return settings


def _message(method: str = "logout.user") -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"access_token": TOKEN}}


async def test_http_and_https_answer_alike(tmp_path: Path, free_ports: Ports) -> None:
    async with _open(ApisOnFakes(), _settings(tmp_path, free_ports)) as (endpoints, client):
        for base in (endpoints.http, endpoints.https):
            for path, method in (("/v4.0", "list.nothing"), ("/v2.0", "no.such"), ("/v4.0/", "x")):
                async with client.post(f"{base}{path}", json=_message(method)) as response:
                    assert response.status == 200
                    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
                    assert response.headers["Server"] == "trunkline"
                    answer = await response.json()
                    assert answer["error"]["data"]["mnemonic"] == "method_not_found"


async def test_content_type_does_not_matter_but_the_verb_does(tmp_path: Path, free_ports: Ports) -> None:
    async with _open(ApisOnFakes(), _settings(tmp_path, free_ports)) as (endpoints, client):
        url = f"{endpoints.http}/v4.0"
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            async with client.post(url, data=b"[]", headers={"Content-Type": kind}) as response:
                answer = await response.json()
                assert answer["error"]["data"]["mnemonic"] == "batch_operations_not_supported"
        async with client.get(url) as response:
            assert response.status == 405
        async with client.get(f"{url}/openrpc.json") as response:
            assert (await response.json())["openrpc"] == "1.3.2"


async def test_large_body_is_refused_without_reading_it_all(tmp_path: Path, free_ports: Ports) -> None:
    settings = _settings(tmp_path, free_ports, body_max=1000)
    async with _open(ApisOnFakes(), settings) as (endpoints, client):
        async with client.post(f"{endpoints.http}/v2.0", data=b" " * 1001) as response:
            assert response.status == 413
            answer = await response.json()
            assert answer["error"]["data"]["mnemonic"] == "invalid_request"
            assert answer["error"]["data"]["params"] == {"body_max_bytes": 1000}
        bomb = {"Content-Encoding": "gzip"}
        async with client.post(
            f"{endpoints.http}/v2.0", data=gzip.compress(b" " * 10_000_000), headers=bomb
        ) as response:
            assert response.status == 413


async def test_body_that_is_not_in_its_named_encoding(tmp_path: Path, free_ports: Ports) -> None:
    async with _open(ApisOnFakes(), _settings(tmp_path, free_ports)) as (endpoints, client):
        for encoding in ("gzip", "deflate"):
            headers = {"Content-Encoding": encoding}
            async with client.post(f"{endpoints.http}/v2.0", data=b'{"id": 1}', headers=headers) as response:
                assert response.status == 200
                assert (await response.json())["error"]["data"]["mnemonic"] == "parse_error"


@pytest.mark.parametrize("trusted", [True, False])
async def test_address_behind_a_proxy(tmp_path: Path, free_ports: Ports, *, trusted: bool) -> None:
    settings = _settings(tmp_path, free_ports, trusted_proxies=["127.0.0.1"] if trusted else [])
    headers = {"X-Forwarded-For": "203.0.113.77"}
    async with _open(ApisOnFakes(), settings) as (endpoints, client):
        async with client.post(f"{endpoints.http}/v4.0", json=_message(), headers=headers) as response:
            answer = await response.json()
        if trusted:
            assert answer["error"]["message"] == "Your IP 203.0.113.77 is not whitelisted"
        else:
            assert answer["result"]["data"] == {"success": True}


async def test_other_doors_and_their_failures(tmp_path: Path, free_ports: Ports) -> None:
    async def fine(_request: web.Request) -> web.Response:
        return web.Response(text="fine")

    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("secret of the server")

    routes = [web.get("/fine", fine), web.get("/broken", broken)]
    async with _open(ApisOnFakes(), _settings(tmp_path, free_ports), routes) as (endpoints, client):
        async with client.get(f"{endpoints.http}/fine") as response:
            assert await response.text() == "fine"
        async with client.get(f"{endpoints.http}/broken") as response:
            assert response.status == 500
            assert "secret" not in await response.text()
        async with client.get(f"{endpoints.http}/health") as response:
            assert (response.status, (await response.json())["status"]) == (200, "ok")


async def test_a_door_with_port_zero_is_off(tmp_path: Path, free_ports: Ports) -> None:
    async with _open(ApisOnFakes(), _settings(tmp_path, free_ports, https_port=0)) as (endpoints, _client):
        assert endpoints.https is None
        assert endpoints.http is not None


async def test_request_under_way_is_finished_at_the_stop(tmp_path: Path, free_ports: Ports) -> None:
    arrived = asyncio.Event()

    async def slow(_request: web.Request) -> web.Response:
        arrived.set()
        await asyncio.sleep(0.3)
        return web.Response(text="done")

    settings = _settings(tmp_path, free_ports)
    services = Services(ApisOnFakes().accounts, ApisOnFakes().switch, settings)
    async with aiohttp.ClientSession() as client:

        async def ask(url: str) -> str:
            async with client.get(url) as response:
                return await response.text()

        async with serving(build_app(services, routes=[web.get("/slow", slow)]), settings) as endpoints:
            asking = asyncio.create_task(ask(f"{endpoints.http}/slow"))
            await arrived.wait()
        assert await asking == "done"


async def test_new_certificate_is_served_without_a_restart(tmp_path: Path, free_ports: Ports) -> None:
    settings = _settings(tmp_path, free_ports)
    folder = settings.certificates_dir
    certificate = ReloadedCertificate(folder / "trunkline.crt", folder / "trunkline.key")
    port = settings.web.https_port

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", port, ssl=certificate.context)
    async with server:
        first = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
        assert certificate.reload_if_changed() is False
        _replace_certificate(settings)
        assert certificate.reload_if_changed() is True
        second = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
        assert second != first
        assert second.split() == (folder / "trunkline.crt").read_text().split()
        (folder / "trunkline.crt").write_text("half a certificate")
        assert certificate.reload_if_changed() is False
        third = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port))
        assert third == second, "the old one stays while the new one is not whole"


async def test_every_name_of_a_server_gets_the_one_certificate(tmp_path: Path, free_ports: Ports) -> None:
    settings = _settings(tmp_path, free_ports)
    expected = ssl.PEM_cert_to_DER_cert(certificates.certificate_file(settings).read_text())
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    async with _open(ApisOnFakes(), settings):
        for name in ("", "unknown.example", "pbx.example.com", "a" * 63 + ".example"):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", settings.web.https_port, ssl=context, server_hostname=name
            )
            assert writer.get_extra_info("ssl_object").getpeercert(binary_form=True) == expected
            writer.close()


async def test_a_start_with_a_broken_certificate_serves_the_last_good_one(
    tmp_path: Path, free_ports: Ports
) -> None:
    settings = _settings(tmp_path, free_ports)
    certificates.publish(settings)
    good = certificates.certificate_file(settings).read_text()
    certificates.certificate_file(settings).write_text("half a certificate")
    async with _open(ApisOnFakes(), settings):
        address = ("127.0.0.1", settings.web.https_port)
        served = await asyncio.to_thread(ssl.get_server_certificate, address)
        assert served.split() == good.split()
    settings.engine_certificate.unlink()
    with pytest.raises(ssl.SSLError):
        async with _open(ApisOnFakes(), settings):
            pass


def _replace_certificate(settings: Settings) -> None:
    for path in (certificates.certificate_file(settings), certificates.key_file(settings)):
        os.unlink(path)
    certificates.ensure(settings, datetime.now(UTC))


async def _options(client: aiohttp.ClientSession, url: str, origin: str) -> aiohttp.ClientResponse:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with client.options(url, headers=headers) as response:
        return response


async def test_pages_of_permitted_origins_may_call_the_apis(tmp_path: Path, free_ports: Ports) -> None:
    fakes, origin = ApisOnFakes(), "https://crm.example"
    async with _open(fakes, _settings(tmp_path, free_ports, cors_origins=[origin])) as (endpoints, client):
        for path in ("/v4.0", "/v2.0/"):
            preflight = await _options(client, f"{endpoints.http}{path}", origin)
            assert preflight.status == 204
            assert preflight.headers["Access-Control-Allow-Origin"] == origin
            assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]
            assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
            assert (await _options(client, f"{endpoints.http}{path}", "https://other.example")).status == 405
        assert fakes.accounts.used == 0
        assert fakes.request_log.entries == []
        for sent, permitted in ((origin, origin), ("https://other.example", None)):
            async with client.post(
                f"{endpoints.http}/v4.0", json=_message("x"), headers={"Origin": sent}
            ) as response:
                assert response.headers.get("Access-Control-Allow-Origin") == permitted
                assert response.headers["Vary"] == "Origin"
                assert "Access-Control-Allow-Credentials" not in response.headers


async def test_no_origin_is_permitted_by_default(tmp_path: Path, free_ports: Ports) -> None:
    async with _open(ApisOnFakes(), _settings(tmp_path, free_ports)) as (endpoints, client):
        preflight = await _options(client, f"{endpoints.http}/v4.0", "https://crm.example")
        assert preflight.status == 405
        assert "Access-Control-Allow-Origin" not in preflight.headers


@pytest.mark.parametrize(
    "origin", ["crm.example", "https://crm.example/", "https://*.example", "ftp://crm.example"]
)
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ValueError, match=r"is not an origin; write https://crm\.example"):
        WebSettings(cors_origins=[origin])


@pytest.mark.parametrize(
    ("path", "titles"),
    [
        ("/v4", ["/v4.0"]),
        ("/api/v4.0", ["/v4.0"]),
        ("/api/v2.0", ["/v2.0"]),
        ("/v2", ["/v2.0"]),
        ("/data_api", ["/v2.0"]),
        ("/", ["/v4.0", "/v2.0"]),
        ("/v3.0", ["/v4.0", "/v2.0"]),
    ],
)
async def test_an_unknown_path_points_to_the_right_one(
    tmp_path: Path, free_ports: Ports, path: str, titles: list[str]
) -> None:
    async with _open(ApisOnFakes(), _settings(tmp_path, free_ports)) as (endpoints, client):
        async with client.post(f"{endpoints.http}{path}", json=_message()) as response:
            assert response.status == 404
            error = (await response.json())["error"]
        assert error["code"] == -32601
        assert [found for found in ("/v4.0", "/v2.0") if f"to {found}" in error["message"]] == titles
        assert error["data"]["extended_helper"] in error["message"]
        async with client.get(f"{endpoints.http}/v4.0") as response:
            assert response.status == 405
            assert "with POST" in (await response.json())["error"]["data"]["extended_helper"]
