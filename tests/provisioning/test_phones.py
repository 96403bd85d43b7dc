"""Phones are added by the command, and fetch their configuration over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from trunkline.accounts.administration import Administration
from trunkline.accounts.model import Status
from trunkline.accounts.secrets import Cipher
from trunkline.apis.address import address_reader
from trunkline.apis.phone_files import routes
from trunkline.apis.request_share import request_share
from trunkline.apis.service.check_limit import CheckLimit
from trunkline.cli.main import commands
from trunkline.cli.settings import load_settings
from trunkline.core.errors import InUse, NotFound, TrunklineError
from trunkline.core.settings import Settings, SipSettings, WebSettings
from trunkline.db.pool import Database
from trunkline.directory.lines.changes import change_password
from trunkline.directory.lines.digest import Ha1, ha1
from trunkline.provisioning.formats import PhoneKind
from trunkline.provisioning.phones import Phones, list_phones, remove_phone
from trunkline.provisioning.server import Transport
from trunkline.runtime import secrets

MAC = "805ec0aabbcc"
LINE = "0160001"
SETTINGS = Settings(
    web=WebSettings(public_url="https://pbx.example:8443", trusted_proxies=["127.0.0.1"]),
    sip=SipSettings(external_address="203.0.113.5", tcp_port=0),
)


class Scene:
    """Two accounts with a line each, and the endpoint."""

    def __init__(
        self,
        db: Database,
        phones: Phones,
        client: TestClient[web.Request, web.Application],
        accounts: list[int],
    ) -> None:
        self.db, self.phones, self.client = db, phones, client
        self.account_id, self.other_account_id = accounts

    async def add(self, kind: PhoneKind = PhoneKind.YEALINK, mac: str | None = MAC) -> str:
        added = await self.phones.add(self.account_id, LINE, kind, mac, Transport.UDP)
        return added.token

    async def get(self, token: str, file: str = f"{MAC}.cfg", **headers: str) -> tuple[int, str]:
        async with self.client.get(f"/phones/{token}/{file}", headers=headers) as response:
            return response.status, await response.text()

    async def password_works(self, text: str) -> bool:
        """Whether the password in a file is that of the line."""
        row = await self.db.fetch_one(
            "select ha1_md5, ha1_sha256 from sip_lines where account_id = %s and phone_number = %s",
            (self.account_id, LINE),
        )
        assert row is not None
        [password] = [
            line.split(" = ")[1] for line in text.splitlines() if line.startswith("account.1.password")
        ]
        return Ha1(row["ha1_md5"], row["ha1_sha256"]).fits(LINE, password)


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    async with await Database.open(database) as db:
        accounts = []
        for name, login in (("Sample Ltd", LINE), ("Other Ltd", "0170001")):
            row = await db.fetch_one("insert into accounts (name) values (%s) returning account_id", (name,))
            assert row is not None
            digest = ha1(login, "a password of before")
            await db.execute(
                "insert into sip_lines (account_id, phone_number, ha1_md5, ha1_sha256) values (%s, %s, %s, %s)",
                (row["account_id"], login, digest.md5, digest.sha256),
            )
            accounts.append(row["account_id"])
        phones = Phones(db, Cipher(Fernet.generate_key()))
        address_of = address_reader(SETTINGS)
        app = web.Application(middlewares=[request_share(CheckLimit(WebSettings()), address_of)])
        app.add_routes(routes(phones, SETTINGS, address_of))
        async with TestClient(TestServer(app)) as client:
            yield Scene(db, phones, client, accounts)


async def test_a_phone_fetches_its_configuration_again_and_again(scene: Scene) -> None:
    token = await scene.add()
    [before] = await list_phones(scene.db, scene.account_id)
    assert before["fetched_at"] is None
    for _ in range(2):
        status, text = await scene.get(
            token, **{"User-Agent": "Yealink SIP-T46U\t108", "X-Forwarded-For": "192.0.2.7"}
        )
        assert status == 200
        assert "account.1.sip_server.1.address = 203.0.113.5" in text
        assert await scene.password_works(text)
    [after] = await list_phones(scene.db, scene.account_id)
    assert after["fetched_from"] == "192.0.2.7"
    assert after["user_agent"] == "Yealink SIP-T46U108"
    assert after["fetched_at"] is not None
    assert not after["is_outdated"]


async def test_without_the_token_or_with_another_file_nothing_is_there(scene: Scene) -> None:
    token = await scene.add()
    for wrong in (token[:-1], token + "A", "x" * 600, "%2e%2e", "'"):
        assert (await scene.get(wrong))[0] == 404
    for file in ("805ec0aabbcd.cfg", "y000000000000.cfg", "linphone.xml", f"cfg{MAC}.xml"):
        assert (await scene.get(token, file))[0] == 404


async def test_another_password_of_the_line_makes_the_configuration_outdated(scene: Scene) -> None:
    token = await scene.add()
    row = await scene.db.fetch_one(
        "select sip_line_id from sip_lines where account_id = %s and phone_number = %s",
        (scene.account_id, LINE),
    )
    assert row is not None
    await change_password(scene.db, scene.account_id, row["sip_line_id"])
    status, text = await scene.get(token)
    assert (status, "password" in text) == (410, True)
    [listed] = await list_phones(scene.db, scene.account_id)
    assert listed["is_outdated"]
    assert await scene.phones.renew(scene.account_id, LINE) == 1
    status, text = await scene.get(token)
    assert status == 200
    assert await scene.password_works(text)


async def test_a_second_phone_of_a_line_does_not_lock_out_the_first(scene: Scene) -> None:
    token = await scene.add()
    added = await scene.phones.add(scene.account_id, LINE, PhoneKind.LINPHONE, None, Transport.UDP)
    assert not added.has_new_password
    status, text = await scene.get(token)
    assert status == 200
    assert await scene.password_works(text)


async def test_neither_the_token_nor_the_password_is_readable_in_the_database(scene: Scene) -> None:
    token = await scene.add()
    _, text = await scene.get(token)
    [password] = [line.split(" = ")[1] for line in text.splitlines() if ".password" in line]
    stored = str(
        await scene.db.fetch_all(
            "select p::text as row, encode(p.password, 'escape') from provisioned_phones p"
        )
    )
    assert password not in stored
    assert token not in stored


async def test_a_phone_is_of_one_account(scene: Scene) -> None:
    token = await scene.add()
    [phone] = await list_phones(scene.db, scene.account_id)
    assert await list_phones(scene.db, scene.other_account_id) == []
    with pytest.raises(NotFound):
        await remove_phone(scene.db, scene.other_account_id, phone["phone_id"])
    with pytest.raises(NotFound):
        await scene.phones.add(scene.other_account_id, LINE, PhoneKind.LINPHONE, None, Transport.UDP)
    with pytest.raises(NotFound):
        await scene.phones.renew(scene.other_account_id, LINE)
    assert (await scene.get(token))[0] == 200


async def test_a_removed_phone_and_one_of_a_disabled_account_get_nothing(scene: Scene) -> None:
    token = await scene.add()
    administration = Administration(scene.db)
    await administration.set_status(scene.account_id, Status.DISABLED)
    assert (await scene.get(token))[0] == 404
    await administration.set_status(scene.account_id, Status.ACTIVE)
    [phone] = await list_phones(scene.db, scene.account_id)
    await remove_phone(scene.db, scene.account_id, phone["phone_id"])
    assert (await scene.get(token))[0] == 404


async def test_a_mac_address_is_of_one_phone(scene: Scene) -> None:
    await scene.add()
    with pytest.raises(InUse, match="MAC address"):
        await scene.add(PhoneKind.SNOM)


async def test_a_transport_that_is_turned_off_gives_no_configuration(scene: Scene) -> None:
    added = await scene.phones.add(scene.account_id, LINE, PhoneKind.YEALINK, MAC, Transport.TCP)
    assert await scene.get(added.token) == (410, "The transport of this phone is turned off in the PBX.")


async def test_a_proxy_that_was_asked_over_plain_http_gives_nothing(scene: Scene) -> None:
    token = await scene.add()
    assert (await scene.get(token, **{"X-Forwarded-Proto": "http"}))[0] == 404
    assert (await scene.get(token, **{"X-Forwarded-Proto": "https"}))[0] == 200


async def test_plain_http_from_elsewhere_gives_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await scene.add()
    monkeypatch.setattr(web.BaseRequest, "remote", property(lambda _request: "192.0.2.9"))
    status, text = await scene.get(token)
    assert (status, "HTTPS" in text) == (404, True)


@pytest.fixture
def company(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRUNKLINE_WEB__PUBLIC_URL", "https://pbx.example")
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (name) values ('Palm')")
        connection.execute(
            "insert into sip_lines (account_id, phone_number, ha1_md5, ha1_sha256)"
            " select account_id, %s, '', '' from accounts where name = 'Palm'",
            (LINE,),
        )
    secrets.ensure(load_settings())
    return database


def _invoke(*arguments: str) -> Result:
    return CliRunner().invoke(commands, ["phone", *arguments])


def _json(*arguments: str) -> Any:
    result = _invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.usefixtures("company")
def test_the_command_prints_the_address_and_writes_the_code(tmp_path: Path) -> None:
    assert _json("list") == []
    desk = _json("add", LINE, "--kind", "yealink", "--mac", "80:5E:C0:AA:BB:CC")
    assert desk["folder"].startswith("https://pbx.example/phones/")
    assert desk["file"] == f"{desk['folder']}{MAC}.cfg"
    assert desk["has_new_password"]
    image = tmp_path / "anna.png"
    app = _json("add", LINE, "--kind", "linphone", "--qr-file", str(image))
    assert not app["has_new_password"]
    assert image.read_bytes().startswith(b"\x89PNG")
    assert image.stat().st_mode & 0o077 == 0
    assert "▄" in _invoke("add", LINE, "--kind", "linphone", "--qr").stdout
    listed = _json("list")
    assert [(one["kind"], one["mac"], one["state"]) for one in listed[:2]] == [
        ("yealink", MAC, "not fetched"),
        ("linphone", None, "not fetched"),
    ]
    assert "restart its phones (3)" in _invoke("renew", LINE).stdout
    assert _invoke("remove", str(desk["phone_id"])).exit_code == 0
    assert len(_json("list")) == 2


@pytest.mark.usefixtures("company")
@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("add", LINE, "--kind", "snom"), "give --mac"),
        (("add", LINE, "--kind", "linphone", "--mac", MAC), "leave out --mac"),
        (("add", LINE, "--kind", "snom", "--mac", "805e"), "12 hexadecimal digits"),
        (("add", "0160009", "--kind", "linphone"), "There is no SIP line 0160009"),
        (("add", LINE, "--kind", "linphone", "--qr-file", "code.txt"), ".svg or .png"),
        (("remove", "99"), "99"),
        (("renew", LINE), "has no phone"),
    ],
)
def test_a_wrong_argument_is_refused_with_a_remedy(arguments: tuple[str, ...], remedy: str) -> None:
    result = _invoke(*arguments)
    assert isinstance(result.exception, TrunklineError)
    assert remedy in result.exception.message


@pytest.mark.usefixtures("company")
def test_without_https_no_phone_is_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_WEB__PUBLIC_URL", "http://pbx.example")
    monkeypatch.setenv("TRUNKLINE_WEB__HTTPS_PORT", "0")
    result = _invoke("add", LINE, "--kind", "linphone")
    assert "HTTPS only" in str(result.exception)
    assert _json("list") == []
