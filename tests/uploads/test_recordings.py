"""Recordings fetched from a customer's server that is slow, wrong or malicious: each fault has its code."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest
from aiohttp import web

from tests.apis.data_api.client import CIPHER, DataApiClient
from tests.apis.support import NotedSwitch
from tests.notifications.receiver import Receiver
from tests.patience import PATIENCE
from tests.reports.company import ACCOUNT
from tests.uploads import sounds
from tests.uploads.customer import (
    MP3,
    WAV,
    Customer,
    breaks_off,
    endless,
    never_answers,
    redirects,
    sends,
    trickles,
)
from tests.uploads.rig import ALL_EVENTS, call, children, open_files, settings_for, settled, working
from trunkline.accounts.administration import Administration
from trunkline.apis.jsonrpc import Services
from trunkline.core.retry import RetryPolicy
from trunkline.db import jobs as job_queue
from trunkline.uploads import limit_states, storage

pytestmark = pytest.mark.shells


def wav_call(ext_id: str, url: str, callback: str | None = None, **more: object) -> dict[str, object]:
    record = {"employee_channel": "right", "employee_name": "Ruiz Ana", "record_url": url}
    reported = {"callback": {"url": callback, "events": ALL_EVENTS}} if callback else {}
    return call(ext_id, wav_records=[record], **reported, **more)


def mp3_call(ext_id: str, url: str, **more: object) -> dict[str, object]:
    return call(ext_id, mp3_records=[{"record_url": url}], **more)


async def test_each_fault_has_its_code(client: DataApiClient, customer: Customer, tmp_path: Path) -> None:
    serve = customer.serve
    good = sounds.wav()
    bad = {
        "none_there": (serve("/404", sends(b"", WAV, 404)), "http_status_download_error"),
        "server_error": (serve("/500", sends(good, WAV, 500)), "http_status_download_error"),
        "partial": (serve("/206", sends(good, WAV, 206)), "http_status_download_error"),
        "wrong_type": (serve("/html", sends(good, "text/html")), "http_content_type_download_error"),
        "mp3_type": (serve("/type", sends(good, MP3)), "http_content_type_download_error"),
        "odd_coding": (
            serve("/br", sends(good, WAV, coding="br")),
            "http_content_type_download_error",
        ),
        "declared_large": (serve("/large", sends(bytes(5_000_000), WAV)), "max_file_size_download_error"),
        "endless": (serve("/endless", endless), "max_file_size_download_error"),
        "zip_bomb": (
            serve("/bomb", sends(sounds.bomb_in_gzip(64), WAV, coding="gzip")),
            "max_file_size_download_error",
        ),
        "breaks_off": (serve("/off", breaks_off(good, WAV)), "connection_download_error"),
        "nobody": ("https://127.0.0.1:9/a.wav", "connection_download_error"),
        "no_such_name": ("https://customer.invalid/a.wav", "connection_download_error"),
        "other_loopback": (customer.url("/404", "127.0.0.2"), "connection_download_error"),
        "private": ("https://10.0.0.1/a.wav", "connection_download_error"),
        "to_private": (
            serve("/private", redirects("https://192.168.1.1/a.wav")),
            "connection_download_error",
        ),
        "to_link_local": (serve("/meta", redirects("https://169.254.169.254/")), "connection_download_error"),
        "to_loopback_v6": (serve("/v6", redirects("https://[::1]/a.wav")), "connection_download_error"),
        "to_mapped": (serve("/mapped", redirects("https://[::ffff:10.0.0.1]/")), "connection_download_error"),
        "to_plain_http": (
            serve("/http", redirects("http://example.com/a.wav")),
            "http_status_download_error",
        ),
        "round_and_round": (serve("/round", redirects("/round")), "http_status_download_error"),
        "no_wav": (serve("/text", sends(b"hello", WAV)), "decode_error"),
        "empty": (serve("/empty", sends(b"", WAV)), "decode_error"),
        "lies_about_length": (
            serve("/lies", sends(sounds.wav_header(data=3 << 30) + bytes(999), WAV)),
            "decode_error",
        ),
        "cut": (serve("/cut", sends(sounds.cut_wav(), WAV)), "decode_error"),
        "short": (serve("/short", sends(sounds.wav(15.9), WAV)), "wav_min_duration_processing_error"),
        "mono": (serve("/mono", sends(sounds.wav(17, channels=1), WAV)), "wav_channels_processing_error"),
        "coded": (
            serve("/adpcm", sends(sounds.wav_header(data=99, tag=2) + bytes(99), WAV)),
            "wav_processing_error",
        ),
        "other_rate": (serve("/44100.wav", sends(sounds.wav(17, 44_100), WAV)), "wav_processing_error"),
        "one_hertz": (
            serve("/hertz", sends(sounds.wav_header(data=4000, rate=1) + bytes(4000), WAV)),
            "wav_processing_error",
        ),
    }
    bad_mp3 = {
        "mp3_cut": (serve("/cut.mp3", sends(sounds.cut_mp3(), MP3)), "decode_error"),
        "mp3_is_wav": (serve("/wav.mp3", sends(good, MP3)), "decode_error"),
        "mp3_is_list": (serve("/list.mp3", sends(b"#EXTM3U\nfile:///etc/passwd\n", MP3)), "decode_error"),
        "mp3_noise": (serve("/noise.mp3", sends(b"ID3" + bytes(range(256)) * 40, MP3)), "decode_error"),
        "mp3_with_wav_type": (serve("/x.mp3", sends(sounds.mp3(), WAV)), "http_content_type_download_error"),
    }
    fine = {
        "plain": serve("/good.wav", sends(good, WAV)),
        "other_type": serve("/type.wav", sends(good, "audio/x-wav")),
        "streamed": serve("/stream.wav", sends(sounds.streamed_wav(), WAV)),
        "redirected": serve("/moved", redirects("/good.wav", 307)),
        "zipped": serve("/zip.wav", sends(gzip.compress(good), WAV, coding="gzip")),
    }
    # The server is in this process, so a busy machine makes all its answers slow: no limit of time is a subject here.
    settings = settings_for(tmp_path, customer.certificate, download_timeout=60.0)
    calls = [wav_call(name, url) for name, (url, _) in bad.items()]
    calls += [mp3_call(name, url) for name, (url, _) in bad_mp3.items()]
    calls += [wav_call(name, url) for name, url in fine.items()]
    calls.append(mp3_call("mp3", serve("/good.mp3", sends(sounds.mp3(), MP3))))
    before, family = open_files(), children()
    async with working(client, settings):
        for start in range(0, len(calls), 50):
            await client.do("upload.calls", calls=calls[start : start + 50])
        rows = await settled(client, len(calls), 100)
    expected: dict[str, str | None] = {name: code for name, (_, code) in {**bad, **bad_mp3}.items()}
    expected |= dict.fromkeys((*fine, "mp3"))
    assert {name: row["error_code"] for name, row in rows.items()} == expected
    assert "private address" in rows["to_private"]["error_message"]
    assert children() == family
    assert list(settings.uploads_dir.iterdir()) == []
    async with asyncio.timeout(PATIENCE):
        while open_files() > before:  # sockets of the server's side close in their own time
            await asyncio.sleep(0.05)
    kept = sorted(path.suffix for path in settings.recordings_dir.rglob("*") if path.is_file())
    assert kept == [".mp3"] * (len(fine) + 1) + [".wav"] * len(fine)


async def test_a_server_that_takes_too_long_has_its_code(
    client: DataApiClient, customer: Customer, tmp_path: Path
) -> None:
    urls = {
        "silent": customer.serve("/silent", never_answers),
        "slow": customer.serve("/slow", trickles(sounds.wav(), WAV, 0.1)),
    }
    async with working(client, settings_for(tmp_path, customer.certificate)):
        await client.do("upload.calls", calls=[wav_call(name, url) for name, url in urls.items()])
        rows = await settled(client, len(urls))
    assert {name: row["error_code"] for name, row in rows.items()} == dict.fromkeys(
        urls, "timeout_download_error"
    )


async def test_the_uploader_is_reported(client: DataApiClient, customer: Customer, tmp_path: Path) -> None:
    good = customer.serve("/good.wav", sends(sounds.wav(), WAV))
    short = customer.serve("/short.wav", sends(sounds.wav(2.0), WAV))
    ready: list[tuple[int, str]] = []

    async def when_ready(_connection: object, account_id: int, recording_id: str) -> None:
        ready.append((account_id, recording_id))

    async with (
        Receiver() as receiver,
        working(client, settings_for(tmp_path, customer.certificate), [when_ready]),
    ):
        calls = [wav_call("good", good, receiver.url), wav_call("short", short, receiver.url)]
        calls.append(call("plain", callback={"url": receiver.url, "events": ALL_EVENTS}))
        calls.append(call("mute", callback={"url": receiver.url, "events": ["error"]}))
        await client.do("upload.calls", calls=calls)
        await settled(client, 4)
        reported = [one.json for one in await receiver.wait_for(6)]
    statuses: dict[str, list[str]] = {}
    for one in reported:
        statuses.setdefault(one["ext_id"], []).append(one["status"])
    assert statuses == {
        "good": ["in_process", "processed"],
        "short": ["in_process", "error"],
        "plain": ["in_process", "processed"],
    }
    last = {one["ext_id"]: one for one in reported}
    assert last["short"]["error_code"] == "wav_min_duration_processing_error"
    assert "2.0 s" in last["short"]["error_message"]
    [row] = await client.rows(
        "get.calls_report",
        date_from="2026-03-03 00:00:00",
        date_till="2026-03-03 23:59:59",
        filter={"field": "id", "operator": "=", "value": last["good"]["call_session_id"]},
    )
    assert row["call_records"] == [ready[0][1]]
    assert len(ready) == 1


async def test_the_stored_bytes_of_an_account_have_limits(
    client: DataApiClient, customer: Customer, tmp_path: Path
) -> None:
    sound = gzip.compress(sounds.mp3())
    url = customer.serve("/good.mp3", sends(sound, MP3, coding="gzip"))
    size = len(sounds.mp3())
    settings = settings_for(tmp_path, customer.certificate, file_max=size)
    settings.limits.account_uploads_bytes = 3 * size + 1
    own = settings_for(tmp_path)
    own.limits.account_uploads_bytes = 3 * size
    client.services = Services(client.accounts, NotedSwitch(), own, client.db, cipher=CIPHER)
    records = [{"record_url": url}] * 2
    async with working(client, settings), working(client, settings):
        await client.do(
            "upload.calls",
            calls=[mp3_call(f"one{number}", url) for number in range(8)] + [call("two", mp3_records=records)],
        )
        rows = await settled(client, 9)
    kept = [path for path in settings.recordings_dir.rglob("*") if path.is_file()]
    assert len(kept) == 3
    refused = [row for row in rows.values() if row["status"] == "error"]
    assert {row["error_code"] for row in refused} == {"processing_error"}
    assert await client.one("select sum(size_bytes)::bigint from recordings") == 3 * size
    full = await limit_states.reached_limits(client.db, storage.Quota.of(settings))
    assert [(one.account_id, one.limit, one.stored_bytes) for one in full] == [(ACCOUNT, "bytes", 3 * size)]
    fault, _ = await client.fault("upload.calls", calls=[mp3_call("more", url)])
    assert fault == "data_limit_exceeded"
    await Administration(client.db).set_upload_limits(ACCOUNT, total=4 * size, per_day=None)
    await client.do("upload.calls", calls=[mp3_call("own", url)])
    async with working(client, settings):
        rows = await settled(client, 10)
    assert rows["own"]["status"] == "processed"
    await client.db.execute("update recordings set status = 'removed', wav_path = null, mp3_path = null")
    assert await client.one("select bytes from upload_totals") == 0
    await client.do("upload.calls", calls=[mp3_call("more", url)])
    settings.limits.account_uploads_bytes_per_day = 3 * size
    async with working(client, settings):
        rows = await settled(client, len(rows) + 1)
    assert rows["more"]["error_code"] == "processing_error"
    assert "next day" in rows["more"]["error_message"]


async def test_recordings_in_process_count_for_the_limit_of_stored_bytes(
    client: DataApiClient, customer: Customer, tmp_path: Path
) -> None:
    """An account has space for two of six; one that a killed worker has left is processed again."""
    sound = sounds.mp3()
    is_complete = asyncio.Event()

    async def held(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": MP3})
        await response.prepare(request)
        await response.write(sound[:-1])
        await is_complete.wait()
        await response.write(sound[-1:])
        return response

    url = customer.serve("/held.mp3", held)
    settings = settings_for(tmp_path, customer.certificate, file_max=len(sound), download_timeout=600.0)
    settings.limits.account_uploads_bytes = 2 * len(sound)
    await client.do("upload.calls", calls=[mp3_call(f"one{number}", url) for number in range(6)])
    await client.db.execute(
        "insert into upload_reservations (account_id, uploaded_call_id, bytes)"
        " select account_id, uploaded_call_id, 1000000 from uploaded_calls"
    )
    async with working(client, settings):
        async with asyncio.timeout(PATIENCE):
            while await client.one("select count(*) from procrastinate_jobs where status = 'doing'") < 4:
                await asyncio.sleep(0.02)
            while len(customer.asked) < 2:
                await asyncio.sleep(0.02)
        waiting = "select count(*) from upload_reservations where bytes < 1000000"
        assert await client.one(waiting) == 2
        is_complete.set()
        rows = await settled(client, 6)
    assert sorted(row["status"] for row in rows.values()) == ["error"] * 4 + ["processed"] * 2
    assert len(customer.asked) == 2
    assert await client.one("select count(*) from upload_reservations") == 0


async def test_an_upload_leaves_the_disk_to_recordings(
    client: DataApiClient, customer: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_queue, "JOBS", RetryPolicy("jobs", first=0.05, longest=0.1))
    settings = settings_for(tmp_path, customer.certificate)
    free = settings.disk.recordings_free + 1000
    monkeypatch.setattr(storage, "free_bytes", lambda _: free)
    url = customer.serve("/good.mp3", sends(sounds.mp3(), MP3))
    await client.do("upload.calls", calls=[mp3_call("one", url)])
    async with working(client, settings):
        async with asyncio.timeout(PATIENCE):
            while await client.one("select max(runs) from uploaded_calls") < 3:
                await asyncio.sleep(0.05)
        assert not [path for path in settings.recordings_dir.rglob("*") if path.is_file()]
        free = 10 * settings.disk.recordings_free
        rows = await settled(client, 1)
    assert rows["one"]["status"] == "processed"
