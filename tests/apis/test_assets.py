"""Scripts and styles of pages: addresses, digests, caching."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from trunkline.apis.assets import Assets
from trunkline.core.assets import asset_lock
from trunkline.core.settings import Settings
from trunkline.runtime import assets as fetching

OWN = {"page.css": "body { color: black }", "phone.js": "export const a = 1;\n", "notes.md": "not served"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in OWN.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest_asyncio.fixture
async def client(folder: Path) -> AsyncIterator[tuple[TestClient[web.Request, web.Application], Assets]]:
    served = Assets(fetching.ensure(Settings()), [folder])
    app = web.Application()
    app.add_routes(served.routes())
    async with TestClient(TestServer(app), auto_decompress=False) as one:
        yield one, served


async def test_files_are_served_with_type_and_digest_and_are_kept(
    client: tuple[TestClient[web.Request, web.Application], Assets],
) -> None:
    http, served = client
    for name in ("page.css", "phone.js", *asset_lock().files):
        async with http.get(served.url(name), headers={"Accept-Encoding": "identity"}) as response:
            content = await response.read()
            assert response.status == 200
            assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert response.headers["Content-Type"].startswith("text/")
        digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
        assert served.integrity(name) == f"sha384-{digest}"
        async with http.get(served.url(name), headers={"Accept-Encoding": "gzip, br"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(await response.read()) == content
    assert served.missing == []


async def test_an_address_of_another_version_is_not_kept(
    client: tuple[TestClient[web.Request, web.Application], Assets],
) -> None:
    http, served = client
    async with http.get(served.url("phone.js").replace(served.version, "0" * 16)) as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")


@pytest.mark.parametrize("name", ["notes.md", "other.js", "..%2Fphone.js", "%2e%2e/phone.js", "phone.js/"])
async def test_nothing_else_is_served(
    client: tuple[TestClient[web.Request, web.Application], Assets], name: str
) -> None:
    http, served = client
    async with (
        ClientSession() as session,
        session.get(http.make_url(f"/console/assets/{served.version}/{name}")) as got,
    ):
        assert got.status == 404


def test_each_change_of_a_file_changes_the_version(folder: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere"
    before = Assets(nowhere, [folder])
    assert before.missing == sorted(asset_lock().files)
    assert before.integrity("jssip.js") == ""
    (folder / "phone.js").write_text("export const a = 2;\n")
    assert Assets(nowhere, [folder]).version != before.version


def test_a_fetched_file_with_another_digest_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "jssip.js").write_text("alert(1)")
    assert "jssip.js" in Assets(tmp_path).missing
