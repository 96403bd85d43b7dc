"""From a recording that is ready to what clients read of it: orders, jobs, methods of the API."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.analysis.sounds import scene, talk_scene
from tests.analysis.test_speech import StandIn
from tests.apis.data_api.client import DataApiClient, open_client
from tests.reports.company import ACCOUNT
from tests.uploads.customer import WAV, Customer, sends
from tests.uploads.rig import call, settings_for, settled, working
from trunkline.analysis.jobs import JOB, AnalysisListener, when_ready
from trunkline.analysis.model import Task
from trunkline.analysis.silero import SileroDetector
from trunkline.analysis.work import analyse
from trunkline.analysis.worker import CONCURRENCY, analysing
from trunkline.core.clock import Instant
from trunkline.core.ids import first_id_at
from trunkline.core.settings import Settings
from trunkline.db import partitions
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database
from trunkline.events.catalogue import Event, EventType, call_stream

pytestmark = pytest.mark.shells

INFO, ANALYSIS, TASK = (
    "getobj.call_session_recognition_info",
    "getobj.call_analysis",
    "create.call_session_recognition_task",
)
STARTED = "2026-03-03 08:00:00+00"
SESSION = first_id_at(round(datetime.fromisoformat(STARTED).timestamp() * 1000))
NOBODY = 999_999


class InProcess:
    """The engine of a worker without a process, with a stand-in for the transcriber."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []

    async def run(self, task: Task) -> dict[str, Any]:
        self.tasks.append(task)
        return await asyncio.to_thread(
            analyse, task, SileroDetector(), StandIn() if task.transcribe else None
        )


@pytest.fixture
async def client(database: str) -> AsyncIterator[DataApiClient]:
    async with await Database.open(database) as db:
        client = await open_client(db)
        client.with_components("data_api_base", "speech_analytics", "upload_calls")
        await db.execute(
            "insert into account_components (account_id, component) values (%s, 'speech_analytics')"
            " on conflict do nothing",
            (ACCOUNT,),
        )
        async with db.connection() as connection:
            await partitions.ensure_for(connection, SESSION)
        await db.execute(
            "insert into call_sessions (account_id, call_session_id, node, start_time, finish_time, talk_start_time,"
            " direction, source, is_lost, contact_phone_number) values (%s, %s, 0, %s::timestamptz,"
            " %s::timestamptz + interval '40 s', %s::timestamptz + interval '10 s', 'in', 'va', false, '12025550110')",
            (ACCOUNT, SESSION, STARTED, STARTED, STARTED),
        )
        yield client


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@contextlib.asynccontextmanager
async def analysed(
    client: DataApiClient, settings: Settings, engine: InProcess | None = None
) -> AsyncIterator[None]:
    """A worker's part, in this process."""
    jobs = Jobs(client.db.dsn)
    analysing(client.db, jobs, settings, engine)
    task = asyncio.create_task(jobs.run(CONCURRENCY))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def keep(client: DataApiClient, recording_id: str, wav: str | None, **more: Any) -> None:
    """A recording that is ready."""
    row = {"kind": "talk", "status": "ready", "channels": ["contact", "employee"], **more}
    await client.db.execute(
        "insert into recordings (account_id, recording_id, call_session_id, leg_id, kind, status, wav_path, channels,"
        " ready_at) values (%s, %s, %s, (select count(*) from recordings), %s, %s, %s, %s, now())",
        (ACCOUNT, recording_id, SESSION, row["kind"], row["status"], wav, Jsonb(row["channels"])),
    )


async def hear(
    client: DataApiClient, *recording_ids: str, transcribe: bool = False, kind: str = "talk"
) -> None:
    """Pass events of ready recordings to the listener, as the relay does."""
    listener = AnalysisListener(Jobs(client.db.dsn), transcribe)
    events = [
        Event(
            ACCOUNT,
            call_stream(SESSION),
            number,
            EventType.RECORDING_READY,
            Instant(0.0),
            {"recording_id": one, "kind": kind},
        )
        for number, one in enumerate(recording_ids, 1)
    ]
    async with client.db.connection() as connection:
        await listener.on_events(connection, events)


async def until(
    client: DataApiClient, is_done: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    async with asyncio.timeout(60):
        while True:
            rows = await client.db.fetch_all("select * from call_analyses order by recording_id")
            if rows and is_done(rows):
                return rows
            await asyncio.sleep(0.05)


def ready(rows: list[dict[str, Any]]) -> bool:
    return all(row["status"] != "pending" and row["transcript_status"] != "pending" for row in rows)


async def test_a_recording_is_analysed_when_it_is_ready(client: DataApiClient, settings: Settings) -> None:
    made = talk_scene()
    made.write(settings.recordings_dir / "talk.wav")
    await keep(client, "one", "talk.wav")
    await hear(client, "one", "one")
    assert (
        await client.one("select count(*) from procrastinate_jobs where task_name = %(name)s", {"name": JOB})
        == 1
    )
    assert (await client.do(ANALYSIS, call_session_id=SESSION))["data"]["recordings"][0][
        "status"
    ] == "pending"
    async with analysed(client, settings):
        await until(client, ready)
    data = (await client.do(ANALYSIS, call_session_id=SESSION))["data"]
    [reported] = data["recordings"]
    assert (data["call_session_id"], reported["recording_id"], reported["status"]) == (
        SESSION,
        "one",
        "ready",
    )
    assert reported["duration"] == 22.0
    assert reported["talk_ratio"] + reported["listen_ratio"] == pytest.approx(1, abs=0.001)
    assert [channel["side"] for channel in reported["channels"]] == ["contact", "employee"]
    assert {one["name"] for one in reported["requirements"] if not one["is_met"]} <= {"speech_duration"}
    assert (reported["transcript_status"], reported["summary"]) == ("not_asked", None)
    info = (await client.do(INFO, call_session_id=SESSION))["data"]
    assert (info["speech_phrases"], info["recognition_worker_type"]) == ([], None)


async def test_only_stereo_talks_of_accounts_with_the_component(client: DataApiClient) -> None:
    await keep(client, "no_wav", None)
    await keep(client, "mono", "a.wav", channels=["contact"])
    await keep(client, "coming", "a.wav", status="pending")
    await keep(client, "mail", "a.wav", kind="voice_mail")
    await hear(client, "no_wav", "mono", "coming", "mail", "unknown")
    await hear(client, "mail", kind="voice_mail")
    assert await client.one("select count(*) from call_analyses") == 0
    await client.db.execute("delete from account_components where component = 'speech_analytics'")
    await keep(client, "good", "a.wav")
    await hear(client, "good")
    assert await client.one("select count(*) from call_analyses") == 0


async def test_words_are_written_down_when_asked_for(client: DataApiClient, settings: Settings) -> None:
    talk_scene().write(settings.recordings_dir / "talk.wav")
    await keep(client, "one", "talk.wav")
    engine = InProcess()
    async with analysed(client, settings, engine):
        assert await client.do(TASK, call_session_id=SESSION) == {"success": "true"}
        await until(client, ready)
        first = (await client.do(INFO, call_session_id=SESSION))["data"]
        assert await client.do(TASK, call_session_id=SESSION) == {"success": "true"}
        await until(client, lambda rows: ready(rows) and len(engine.tasks) == 2)
    assert all(task.transcribe for task in engine.tasks)
    info = (await client.do(INFO, call_session_id=SESSION))["data"]
    phrases = info["speech_phrases"]
    said = [(one["phrase"], one["is_operator"], one["start_time"]) for one in phrases]
    assert said == [(one["phrase"], one["is_operator"], one["start_time"]) for one in first["speech_phrases"]]
    assert said[0][:2] == ("utterance number 1", False)
    # 08:00:00 UTC is noon in Dubai; the talk began 10 s later, the first word another second later.
    assert said[0][2] in ("2026-03-03 12:00:10", "2026-03-03 12:00:11")
    assert {one["is_operator"] for one in phrases} == {True, False}
    assert len({one["id"] for one in phrases}) == len(phrases)
    assert {(one["ext_id"], one["edited_phrase"]) for one in phrases} == {(None, None)}
    assert info["recognition_worker_type"] == "stand-in"
    assert info["call_start_date_time"] == "2026-03-03 12:00:00"
    assert info["contact_phone_number"] == "12025550110"
    [link] = info["call_records"]
    assert link.endswith(f"/system/media/talk/{SESSION}/one/")
    found = await client.do(INFO, call_session_id=SESSION, search_text=["NUMBER 2", "no such words"])
    assert {one["phrase"] for one in found["data"]["speech_phrases"]} == {"utterance number 2"}
    none = await client.do(INFO, call_session_id=SESSION, search_text=["100%"])
    assert none["data"]["speech_phrases"] == []
    [reported] = (await client.do(ANALYSIS, call_session_id=SESSION))["data"]["recordings"]
    assert reported["transcript_status"] == "ready"
    assert "utterance number" in reported["summary"]


async def test_without_a_transcriber_it_says_what_to_do(client: DataApiClient, settings: Settings) -> None:
    scene(3.0, {}).write(settings.recordings_dir / "quiet.wav")
    await keep(client, "one", "quiet.wav")
    await hear(client, "one", transcribe=True)
    async with analysed(client, settings):
        await until(client, ready)
    [reported] = (await client.do(ANALYSIS, call_session_id=SESSION))["data"]["recordings"]
    assert (reported["status"], reported["transcript_status"]) == ("ready", "unavailable")
    assert "analysis.whisper_model" in reported["transcript_failure"]


async def test_a_recording_that_cannot_be_analysed(client: DataApiClient, settings: Settings) -> None:
    await keep(client, "gone", "gone.wav")
    await hear(client, "gone")
    async with analysed(client, settings):
        await until(client, ready)
        [reported] = (await client.do(ANALYSIS, call_session_id=SESSION))["data"]["recordings"]
        assert (reported["status"], reported["duration"], reported["channels"]) == ("failed", None, [])
        assert "cannot be read" in reported["failure"]
        # Asked for again when the file is there, it goes.
        scene(3.0, {}).write(settings.recordings_dir / "gone.wav")
        await client.do(TASK, call_session_id=SESSION)
        await until(client, lambda rows: ready(rows) and rows[0]["status"] == "ready")
    [reported] = (await client.do(ANALYSIS, call_session_id=SESSION))["data"]["recordings"]
    assert reported["failure"] is None


async def test_nothing_is_left_of_a_recording_that_is_gone(client: DataApiClient, settings: Settings) -> None:
    await keep(client, "one", "talk.wav")
    await hear(client, "one")
    await client.db.execute("delete from recordings where recording_id = 'one'")
    assert await client.one("select count(*) from call_analyses") == 0
    async with analysed(client, settings), asyncio.timeout(30):
        while await client.one(
            "select count(*) from procrastinate_jobs where task_name = %(name)s", {"name": JOB}
        ):
            await asyncio.sleep(0.05)


async def test_invalid_requests_are_refused_with_mnemonic_and_field(client: DataApiClient) -> None:
    for method in (TASK, INFO, ANALYSIS):
        assert await client.fault(method) == ("required_parameter_missed", "call_session_id")
        assert await client.fault(method, call_session_id="x") == ("data_type_error", "call_session_id")
        assert await client.fault(method, call_session_id=NOBODY) == ("entity_not_found", "call_session_id")
    assert await client.fault(TASK, call_session_id=SESSION) == ("entity_not_found", "call_session_id")
    assert (await client.fault(INFO, call_session_id=SESSION, search_text="x"))[0] == "data_type_error"
    client.with_components("data_api_base")
    for method in (TASK, ANALYSIS):
        assert (await client.fault(method, call_session_id=SESSION))[0] == "method_component_disabled"
    assert await client.fault(INFO, call_session_id=SESSION) == ("ok", None)
    client.with_components("call_api_base")
    assert (await client.fault(INFO, call_session_id=SESSION))[0] == "method_component_disabled"


async def test_another_account_sees_nothing(client: DataApiClient, settings: Settings) -> None:
    scene(3.0, {}).write(settings.recordings_dir / "quiet.wav")
    await keep(client, "one", "quiet.wav")
    client.as_other_account()
    for method in (TASK, INFO, ANALYSIS):
        assert await client.fault(method, call_session_id=SESSION) == ("entity_not_found", "call_session_id")
    assert await client.one("select count(*) from call_analyses") == 0


async def test_an_uploaded_recording_is_analysed(
    client: DataApiClient, customer: Customer, tmp_path: Path
) -> None:
    path = talk_scene().write(tmp_path / "upload.wav")
    url = customer.serve("/talk", sends(path.read_bytes(), WAV))
    settings = settings_for(tmp_path, customer.certificate)
    record = {"employee_channel": "right", "employee_name": "Ruiz Ana", "record_url": url}
    enqueue = when_ready(Jobs(client.db.dsn), transcribe=False)
    async with working(client, settings, [enqueue]), analysed(client, settings):
        await client.do("upload.calls", calls=[call("1", wav_records=[record])])
        row = (await settled(client, 1))["1"]
        assert row["status"] == "processed", row
        await until(client, ready)
    [reported] = (await client.do(ANALYSIS, call_session_id=row["session_id"]))["data"]["recordings"]
    assert [channel["side"] for channel in reported["channels"]] == ["contact", "employee"]
    assert reported["spoke_first"] == "contact"
    size = next(one for one in reported["requirements"] if one["name"] == "file_size")
    assert size["measured"] == f"{path.stat().st_size} bytes"
