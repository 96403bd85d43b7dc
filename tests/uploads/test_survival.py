"""Killed workers: every accepted call is settled once, with its callback, and no files remain."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.apis.data_api.client import DataApiClient
from tests.notifications.receiver import Receiver
from tests.patience import PATIENCE
from tests.uploads import sounds
from tests.uploads.customer import WAV, Customer, sends, trickles
from tests.uploads.rig import ALL_EVENTS, call, settings_for, settled, working
from tests.worker_processes import worker_process
from trunkline.core.retry import RetryPolicy
from trunkline.core.settings import Settings
from trunkline.db import jobs as job_queue
from trunkline.uploads import decoder_child, process

pytestmark = pytest.mark.shells

PROCESS = "tests.uploads.worker_process"


async def test_a_killed_worker_loses_no_call(
    client: DataApiClient, customer: Customer, tmp_path: Path
) -> None:
    slow = customer.serve("/slow.wav", trickles(sounds.wav(16.5), WAV, 0.05, 40_000))
    arguments = (client.db.dsn, str(tmp_path), str(customer.certificate))
    async with Receiver() as receiver:
        reported = {"callback": {"url": receiver.url, "events": ALL_EVENTS}}
        record = {"employee_channel": "left", "employee_name": "Someone New", "record_url": slow}
        calls = [call(f"wav{number}", wav_records=[record], **reported) for number in range(4)]
        calls += [call(f"plain{number}", **reported) for number in range(4)]
        await client.do("upload.calls", calls=calls)
        async with worker_process(PROCESS, *arguments) as worker:
            async with asyncio.timeout(30):
                while len(customer.asked) < 2:
                    await asyncio.sleep(0.02)
            worker.send_signal(signal.SIGKILL)
        async with worker_process(PROCESS, *arguments):
            rows = await settled(client, len(calls), 60)
            async with asyncio.timeout(30):
                while sum(one.json["status"] == "processed" for one in receiver.received) < len(calls):
                    await asyncio.sleep(0.05)
    assert {row["status"] for row in rows.values()} == {"processed"}
    first_reports: dict[str, list[str]] = {}
    for one in receiver.received:
        statuses = first_reports.setdefault(one.json["ext_id"], [])
        if one.json["status"] not in statuses:
            statuses.append(one.json["status"])
    assert first_reports == {one["ext_id"]: ["in_process", "processed"] for one in calls}
    assert await client.one("select count(*) from call_sessions") == len(calls)
    assert await client.one("select count(*) from recordings") == 4
    assert await client.one("select count(*) from employees where last_name = 'Someone'") == 1
    assert await client.one("select max(communication_number) from call_sessions") == len(calls)
    settings = settings_for(tmp_path)
    assert list(settings.uploads_dir.iterdir()) == []
    assert len([path for path in settings.recordings_dir.rglob("*") if path.is_file()]) == 8


def wav_call(ext_id: str, url: str) -> dict[str, object]:
    record = {"employee_channel": "left", "employee_name": "Someone New", "record_url": url}
    return call(ext_id, wav_records=[record])


async def test_a_worker_that_is_frozen_during_a_download_tries_it_again(
    client: DataApiClient, customer: Customer, tmp_path: Path
) -> None:
    slow = customer.serve("/slow.wav", trickles(sounds.wav(16.5), WAV, 0.05, 40_000))
    await client.do("upload.calls", calls=[wav_call("one", slow)])
    arguments = (client.db.dsn, str(tmp_path), str(customer.certificate), "2")
    async with worker_process(PROCESS, *arguments) as worker:
        async with asyncio.timeout(30):
            while not customer.asked:
                await asyncio.sleep(0.01)
        worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(4)
        worker.send_signal(signal.SIGCONT)
        rows = await settled(client, 1, 60)
    assert (rows["one"]["status"], rows["one"]["failures"]) == ("processed", 0)
    assert len(customer.asked) > 1


def _recordings(settings: Settings) -> Path:
    return settings.recordings_dir


def _fetched(settings: Settings) -> Path:
    return settings.uploads_dir


@pytest.mark.parametrize("folder", [_recordings, _fetched])
async def test_while_a_folder_cannot_be_written_the_call_waits(
    client: DataApiClient, customer: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Any
) -> None:
    monkeypatch.setattr(job_queue, "JOBS", RetryPolicy("jobs", first=0.05, longest=0.1))
    settings = settings_for(tmp_path, customer.certificate)
    place: Path = folder(settings)
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rmdir()
    place.write_text("a file in place of the folder")
    good = customer.serve("/good.wav", sends(sounds.wav(16.5), WAV))
    await client.do("upload.calls", calls=[wav_call("one", good)])
    async with working(client, settings):
        async with asyncio.timeout(60):
            while await client.one("select max(runs) from uploaded_calls") < 8:
                await asyncio.sleep(0.05)
        assert await client.one("select status from uploaded_calls") == "in_process"
        assert await client.one("select count(*) from procrastinate_jobs where attempts > 0") == 1
        place.unlink()
        rows = await settled(client, 1)
    assert rows["one"]["status"] == "processed"


_CRASHES_AT_POISON = """
import io, json, runpy, sys
task = sys.stdin.read()
if b"POISON" in open(json.loads(task)["source"], "rb").read():
    sys.exit(3)
sys.stdin = io.StringIO(task)
runpy.run_path({decoder!r}, run_name="__main__")
"""


async def test_a_recording_at_which_the_decoder_ends_holds_no_other_and_is_given_up(
    client: DataApiClient, customer: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"
    child.write_text(_CRASHES_AT_POISON.format(decoder=decoder_child.__file__))
    monkeypatch.setattr(decoder_child, "__file__", str(child))
    monkeypatch.setattr(process, "MAX_DECODER_FAULTS", 3)  # of 8: each takes a process
    monkeypatch.setattr(job_queue, "JOBS", RetryPolicy("jobs", first=3600.0, longest=3600.0))
    poison = customer.serve("/poison.wav", sends(sounds.wav(16.5)[:-6] + b"POISON", WAV))
    good = customer.serve("/good.wav", sends(sounds.wav(16.5), WAV))
    calls = [wav_call(f"poison{number}", poison) for number in range(4)]
    calls += [wav_call(f"good{number}", good) for number in range(4)]
    await client.do("upload.calls", calls=calls)
    async with working(client, settings_for(tmp_path, customer.certificate)):
        rows = await settled(client, 4)
        assert {name: row["status"] for name, row in rows.items()} == {
            f"good{number}": "processed" for number in range(4)
        }
        async with asyncio.timeout(PATIENCE):
            while await client.one("select count(*) from procrastinate_jobs where attempts = 1") < 4:
                await asyncio.sleep(0.05)
        monkeypatch.setattr(job_queue, "JOBS", RetryPolicy("jobs", first=0.01, longest=0.02))
        await client.db.execute("update procrastinate_jobs set scheduled_at = now() where attempts = 1")
        rows = await settled(client, 8)
    given_up = [row for name, row in rows.items() if name.startswith("poison")]
    assert {row["error_code"] for row in given_up} == {"wav_processing_error"}
    assert {row["runs"] for row in given_up} == {3}
