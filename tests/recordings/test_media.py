"""Who may hear a recording, and how it is served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tests.notifications.rig import new_session_id
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.accounts.service import Accounts
from trunkline.apis.address import address_reader
from trunkline.apis.media import routes
from trunkline.apis.request_share import request_share
from trunkline.apis.service.check_limit import CheckLimit
from trunkline.core.settings import Settings, WebSettings
from trunkline.db.pool import Database
from trunkline.directory.media.listing import MediaFiles
from trunkline.recordings.library import Library
from trunkline.recordings.links import LinkMaker, base_url, new_recording_id

pytestmark = pytest.mark.shells

MP3 = bytes(range(256)) * 10
WAV = b"RIFF" + bytes(5000)


class Scene:
    """Two accounts with keys, one recording of the first, and the endpoint."""

    def __init__(self, db: Database, client: TestClient[web.Request, web.Application]) -> None:
        self.db = db
        self.client = client
        self.session = new_session_id()
        self.recording_id = new_recording_id()
        self.key = ""
        self.stranger_key = ""
        self.account_id = 0

    @property
    def tail(self) -> str:
        return f"{self.session}/{self.recording_id}"

    async def status(self, path: str, **kwargs: object) -> int:
        async with self.client.get(path, **kwargs) as response:  # type: ignore[arg-type]
            return response.status


@pytest.fixture
async def scene(database: str, tmp_path: Path) -> AsyncIterator[Scene]:
    async with await Database.open(database) as db:
        address_of = address_reader(Settings(web=WebSettings(trusted_proxies=["127.0.0.1"])))
        app = web.Application(middlewares=[request_share(CheckLimit(WebSettings()), address_of)])
        server = TestServer(app)
        client = TestClient(server)
        scene = Scene(db, client)
        app.add_routes(
            routes(
                Library(db, tmp_path),
                MediaFiles(db, tmp_path),
                Accounts(db),
                address_of,
            )
        )
        administration = Administration(db)
        made = [
            await administration.create_account(AccountProfile(name=name), allow=["127.0.0.0/8"])
            for name in ("Sample Ltd", "Other Ltd")
        ]
        scene.account_id = made[0].account_id
        scene.key = dict(made[0].keys)["data_api"]
        scene.stranger_key = dict(made[1].keys)["data_api"]
        (tmp_path / "a.mp3").write_bytes(MP3)
        (tmp_path / "a.wav").write_bytes(WAV)
        await db.execute(
            "insert into recordings (account_id, recording_id, call_session_id, kind, status, wav_path, mp3_path)"
            " values (%s, %s, %s, 'talk', 'ready', 'a.wav', 'a.mp3')",
            (scene.account_id, scene.recording_id, scene.session),
        )
        async with client:
            yield scene


async def test_with_a_key_of_the_account(scene: Scene) -> None:
    for path, kind, body in (("talk", "audio/mpeg", MP3), ("wav", "audio/wav", WAV)):
        for slash in ("", "/"):
            async with scene.client.get(
                f"/system/media/{path}/{scene.tail}{slash}", params={"access_token": scene.key}
            ) as response:
                assert response.status == 200
                assert response.headers["Content-Type"] == kind
                assert response.headers["Accept-Ranges"] == "bytes"
                assert response.headers["Content-Disposition"].startswith("inline")
                assert await response.read() == body
    bearer = {"Authorization": f"Bearer {scene.key}"}
    assert await scene.status(f"/system/media/talk/{scene.tail}/", headers=bearer) == 200
    async with scene.client.get(f"/system/media/talk/{scene.tail}/?download=1", headers=bearer) as response:
        assert response.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-99", 206, MP3[:100]),
        ("bytes=100-", 206, MP3[100:]),
        ("bytes=-10", 206, MP3[-10:]),
        ("bytes=99999-", 416, None),
    ],
)
async def test_ranges(scene: Scene, wanted: str, status: int, part: bytes | None) -> None:
    async with scene.client.get(f"/media/{scene.tail}", headers={"Range": wanted}) as response:
        assert response.status == status
        if part is not None:
            assert await response.read() == part
            assert response.headers["Content-Range"].endswith(f"/{len(MP3)}")


async def test_what_may_not_be_had_is_not_there(scene: Scene) -> None:
    good = f"/system/media/talk/{scene.tail}/"
    own = {"access_token": scene.key}
    assert await scene.status(good, params={"access_token": "guess"}) == 404
    assert await scene.status(good, headers={"Authorization": "Bearer guess"}) == 404
    assert await scene.status(good, params={"access_token": scene.stranger_key}) == 404
    assert await scene.status(f"/system/media/voice_mail/{scene.tail}/", params=own) == 404
    other_id = f"{scene.session}/{new_recording_id()}"
    assert await scene.status(f"/system/media/talk/{other_id}/", params=own) == 404
    other_call = f"{scene.session + 1}/{scene.recording_id}"
    assert await scene.status(f"/system/media/talk/{other_call}/", params=own) == 404
    assert await scene.status(f"/media/{scene.session}/..%2F..%2Fetc%2Fpasswd") == 404
    assert await scene.status(f"/media/{'9' * 18}/{scene.recording_id}") == 404
    assert await scene.status(good, params=own, headers={"X-Forwarded-For": "192.0.2.7"}) == 404


async def test_media_files_of_the_account_and_of_the_system(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "abc.wav").write_bytes(WAV)
    made = {}
    for account_id in (0, scene.account_id):
        row = await scene.db.fetch_one(
            "insert into media_files (account_id, key, name, kind, sha256, duration_ms, size_bytes)"
            " values (%s, 'tune', 'Tune', 'user', 'abc', 1000, 5) returning media_file_id",
            (account_id,),
        )
        assert row is not None
        made[account_id] = f"/system/media/file/{row['media_file_id']}/"
    own, stranger = {"access_token": scene.key}, {"access_token": scene.stranger_key}
    async with scene.client.get(made[scene.account_id], params=own) as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "audio/wav")
        assert await response.read() == WAV
    assert await scene.status(made[scene.account_id], params=stranger) == 404
    assert await scene.status(made[scene.account_id]) == 404
    assert await scene.status(made[0], params=stranger) == 200
    assert await scene.status("/system/media/file/1/", params=own) == 404


REFERENCE_FORMS = ("talk", "wav")


async def test_links_of_the_reference_work_without_a_token(scene: Scene) -> None:
    for path, kind, body in (("talk", "audio/mpeg", MP3), ("wav", "audio/wav", WAV)):
        for slash in ("", "/"):
            address = f"/system/media/{path}/{scene.tail}{slash}"
            async with scene.client.get(address) as response:
                assert (response.status, response.headers["Content-Type"]) == (200, kind)
                assert await response.read() == body
            async with scene.client.head(address) as response:
                assert (response.status, response.headers["Content-Type"]) == (200, kind)
                assert response.headers["Content-Length"] == str(len(body))
                assert await response.read() == b""
            async with scene.client.get(address, headers={"Range": "bytes=10-19"}) as response:
                assert (response.status, await response.read()) == (206, body[10:20])
    await scene.db.execute("update recordings set kind = 'voice_mail'")
    assert await scene.status(f"/system/media/voice_mail/{scene.tail}/") == 200
    assert await scene.status(f"/system/media/talk/{scene.tail}/") == 404


async def test_a_link_without_a_token_is_not_found_by_trying(scene: Scene) -> None:
    """Ids are 256 random bits, and the response is the same for a call that has a recording and one that has none."""
    nearly = f"{scene.recording_id[:-1]}{'0' if scene.recording_id[-1] != '0' else '1'}"
    refused = set()
    for path in REFERENCE_FORMS:
        for tail in (f"{scene.session}/{nearly}", f"{scene.session + 1}/{scene.recording_id}"):
            async with scene.client.get(f"/system/media/{path}/{tail}") as response:
                refused.add((response.status, await response.text()))
    assert refused == {(404, "Not found")}
    assert await scene.status("/system/media/file/1/") == 404


async def test_links_without_a_token_can_be_switched_off(scene: Scene) -> None:
    assert await scene.status(f"/media/{scene.tail}") == 200
    await Administration(scene.db).set_open_recording_links(scene.account_id, False)
    assert await scene.status(f"/media/{scene.tail}") == 404
    for path in REFERENCE_FORMS:
        assert await scene.status(f"/system/media/{path}/{scene.tail}/") == 404
        own = {"access_token": scene.key}
        assert await scene.status(f"/system/media/{path}/{scene.tail}/", params=own) == 200


async def test_a_disabled_account_plays_nothing(scene: Scene) -> None:
    await scene.db.execute("update accounts set locked_by_operator = true")
    assert await scene.status(f"/media/{scene.tail}") == 404
    for path in REFERENCE_FORMS:
        assert await scene.status(f"/system/media/{path}/{scene.tail}/") == 404


def test_links_have_the_forms_that_clients_know() -> None:
    links = LinkMaker("https://pbx.example/").of(7, "r", "talk")
    assert links.file == "https://pbx.example/system/media/talk/7/r/"
    assert links.wav == "https://pbx.example/system/media/wav/7/r/"
    assert links.full == "https://pbx.example/media/7/r"
    assert LinkMaker("x").of(7, "r", "voice_mail").file == "x/system/media/voice_mail/7/r/"
    assert base_url(None, "0.0.0.0", 8080) == "http://127.0.0.1:8080"
    assert base_url(None, "::1", 8080) == "http://[::1]:8080"
    assert base_url("https://pbx.example", "127.0.0.1", 1) == "https://pbx.example"
