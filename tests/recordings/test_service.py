"""From spool files to recordings, through events, jobs and breaks."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from tests.notifications.rig import Rig, new_session_id, open_rig
from tests.patience import PATIENCE
from tests.recordings.test_assembly import loudest, tone
from trunkline.core import not_recorded
from trunkline.core.clock import Instant
from trunkline.core.ids import node_of
from trunkline.core.settings import Settings
from trunkline.core.spool import mark_spool
from trunkline.db.jobs import Jobs
from trunkline.demo.tones import sine, write_wav
from trunkline.events import store
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.events.relay import Relay
from trunkline.recordings.links import RECORDING_ID
from trunkline.recordings.listener import RecordingListener
from trunkline.recordings.service import RecordingMaker, Sweeper
from trunkline.recordings.worker import concurrency, recording

pytestmark = pytest.mark.shells


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    mark_spool(settings)
    return settings


@contextlib.asynccontextmanager
async def worker(rig: Rig, settings: Settings) -> AsyncIterator[None]:
    jobs = Jobs(rig.dsn)
    relay = Relay(rig.db, [RecordingListener(jobs)])
    async with recording(rig.db, jobs, settings):
        tasks = [asyncio.create_task(relay.run()), asyncio.create_task(jobs.run(concurrency(settings)))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def call(account_id: int, session: int, *, recorded: bool = True, mail: str | None = None) -> list[Event]:
    at = 1_700_000_000.0
    facts: list[tuple[EventType, float, dict[str, Any]]] = [
        (EventType.SESSION_STARTED, 0, {"direction": "in"}),
        (EventType.LEG_STARTED, 0, {"leg_id": 1, "role": "contact"}),
        (EventType.LEG_STARTED, 1, {"leg_id": 2, "role": "employee"}),
    ]
    if mail is not None:
        facts.append((EventType.VOICE_MAIL_LEFT, 5, {"leg_id": 1, "path": mail, "seconds": 2}))
    if recorded:
        facts += [
            (EventType.TALK_STARTED, 2, {"leg_id": 2}),
            (EventType.RECORDING_STARTED, 2, {"leg_id": 1, "channel": "contact"}),
            (EventType.RECORDING_STARTED, 2, {"leg_id": 2, "channel": "employee"}),
        ]
    facts.append(
        (EventType.SESSION_FINISHED, 6, {"direction": "in", "recorded": recorded, "talk_duration": 3})
    )
    return [
        Event(account_id, call_stream(session), number, type_, Instant(at + offset), data)
        for number, (type_, offset, data) in enumerate(facts, 1)
    ]


def spool(settings: Settings, session: int, **files: bytes) -> Path:
    folder = settings.spool_dir / str(session)
    folder.mkdir(parents=True)
    for name, sound in files.items():
        (folder / f"{name}.sln").write_bytes(sound)
    return folder


async def row_when(rig: Rig, *statuses: str) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while True:
            row = await rig.db.fetch_one("select * from recordings where account_id = %s", (rig.account_id,))
            if row is not None and row["status"] in statuses:
                return row
            await asyncio.sleep(0.05)


async def journal(rig: Rig, session: int) -> list[Event]:
    async with rig.db.connection() as conn:
        return await store.call_events(conn, rig.account_id, session)


async def test_a_finished_call_becomes_a_recording(rig: Rig, settings: Settings) -> None:
    session = new_session_id()
    folder = spool(settings, session, contact=tone(440, 3), employee=tone(1000, 3))
    async with worker(rig, settings):
        await rig.happened(*call(rig.account_id, session))
        row = await row_when(rig, "ready")
        async with asyncio.timeout(PATIENCE):
            while folder.exists():
                await asyncio.sleep(0.05)
    assert RECORDING_ID.match(row["recording_id"])
    assert (row["duration_ms"], row["channels"], row["kind"]) == (3000, ["contact", "employee"], "talk")
    with wave.open(str(settings.recordings_dir / row["wav_path"])) as file:
        sound = np.frombuffer(file.readframes(24000), dtype="<i2").reshape(-1, 2)
    assert loudest(sound[:, 0]) == pytest.approx(440, abs=5)
    assert loudest(sound[:, 1]) == pytest.approx(1000, abs=5)
    ready = (await journal(rig, session))[-1]
    assert ready.type is EventType.RECORDING_READY
    assert ready.data["recording_id"] == row["recording_id"]
    assert ready.data["file_duration"] == 3.0
    assert ready.data["talk_duration"] == 3
    assert "is_incomplete" not in ready.data


async def test_a_recording_that_a_full_disk_has_cut_says_so(rig: Rig, settings: Settings) -> None:
    session = new_session_id()
    spool(settings, session, contact=tone(440, 1), employee=tone(1000, 1))
    events = call(rig.account_id, session)
    finished = events.pop()
    data = {"kind": "talk", "reason": not_recorded.CUT}
    cut = replace(finished, type=EventType.RECORDING_CUT, data=data)
    async with worker(rig, settings):
        await rig.happened(*events, cut, replace(finished, seq=finished.seq + 1))
        row = await row_when(rig, "ready")
    assert (row["duration_ms"], row["failure"]) == (1000, not_recorded.CUT)
    ready = (await journal(rig, session))[-1]
    assert (ready.type, ready.data["is_incomplete"]) == (EventType.RECORDING_READY, True)


@pytest.mark.parametrize("files", [{}, {"contact": b"", "employee": b"\x01"}])
async def test_no_sound_is_no_recording(rig: Rig, settings: Settings, files: dict[str, bytes]) -> None:
    session = new_session_id()
    spool(settings, session, **files)
    async with worker(rig, settings):
        await rig.happened(*call(rig.account_id, session))
        row = await row_when(rig, "absent", "ready")
    assert row["status"] == "absent"
    assert "contact.sln" in row["failure"]
    assert (await journal(rig, session))[-1].type is EventType.SESSION_FINISHED


async def test_a_message_becomes_a_mono_recording_after_the_call(rig: Rig, settings: Settings) -> None:
    session = new_session_id()
    spool(settings, session, message=tone(600, 2))
    events = call(rig.account_id, session, recorded=False, mail=f"{session}/message.sln")
    async with worker(rig, settings):
        await rig.happened(*events[:-1])
        row = await row_when(rig, "pending")
        await asyncio.sleep(0.5)
        assert (await journal(rig, session))[-1].type is EventType.VOICE_MAIL_LEFT
        await rig.happened(events[-1])
        row = await row_when(rig, "ready")
    assert (row["kind"], row["leg_id"], row["channels"], row["duration_ms"]) == (
        "voice_mail",
        1,
        ["contact"],
        2000,
    )
    with wave.open(str(settings.recordings_dir / row["wav_path"])) as file:
        assert file.getnchannels() == 1


@pytest.mark.parametrize("length", [0, 8000, 0xFFFFFFFF], ids=["not written", "too short", "unknown"])
async def test_a_message_is_read_to_the_end_of_its_file(rig: Rig, settings: Settings, length: int) -> None:
    """Asterisk writes the lengths of a WAV file when the recording ends; one that is killed leaves 0 there."""
    session = new_session_id()
    folder = spool(settings, session)
    write_wav(folder / "message.wav", sine(600, 2.0))
    whole = (folder / "message.wav").read_bytes()
    cut = whole[:4] + struct.pack("<I", length) + whole[8:40] + struct.pack("<I", length) + whole[44:]
    (folder / "message.wav").write_bytes(cut + b"\x01")  # the file may end within a sample
    async with worker(rig, settings):
        await rig.happened(*call(rig.account_id, session, recorded=False, mail=f"{session}/message.wav"))
        row = await row_when(rig, "ready", "absent")
    assert (row["status"], row["duration_ms"]) == ("ready", 2000)
    with wave.open(str(settings.recordings_dir / row["wav_path"])) as file:
        sound = np.frombuffer(file.readframes(16000), dtype="<i2")
    assert loudest(sound) == pytest.approx(600, abs=5)


async def test_a_path_out_of_the_spool_is_refused(rig: Rig, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "secret.sln").write_bytes(tone(600, 1))
    session = new_session_id()
    spool(settings, session)
    async with worker(rig, settings):
        await rig.happened(*call(rig.account_id, session, recorded=False, mail="../secret.sln"))
        row = await row_when(rig, "absent", "ready")
    assert row["status"] == "absent"


async def test_doing_it_twice_changes_nothing(rig: Rig, settings: Settings) -> None:
    session = new_session_id()
    spool(settings, session, contact=tone(440, 1), employee=tone(1000, 1))
    events = call(rig.account_id, session)
    await rig.happened(*events)
    listener, maker = RecordingListener(Jobs(rig.dsn)), RecordingMaker(rig.db, settings)
    async with rig.db.connection() as conn:
        await listener.on_events(conn, events)
    async with rig.db.connection() as conn:
        await listener.on_events(conn, events)
    row = await row_when(rig, "pending")
    await maker.make_recording(rig.account_id, row["recording_id"])
    await maker.make_recording(rig.account_id, row["recording_id"])
    reported = [event for event in await journal(rig, session) if event.type is EventType.RECORDING_READY]
    assert len(reported) == 1
    assert len(await rig.db.fetch_all("select 1 from recordings")) == 1


async def test_log_lines_of_a_job_name_account_call_and_recording(rig: Rig, settings: Settings) -> None:
    session = new_session_id()
    events = call(rig.account_id, session)
    await rig.happened(*events)
    async with rig.db.connection() as conn:
        await RecordingListener(Jobs(rig.dsn)).on_events(conn, events)
    row = await row_when(rig, "pending")
    maker = RecordingMaker(rig.db, settings)
    with structlog.testing.capture_logs([structlog.contextvars.merge_contextvars]) as logged:
        await maker.make_recordings([(rig.account_id, row["recording_id"])], node_of(session))
    [line] = [one for one in logged if one["event"] == "recording_absent"]
    assert (line["account_id"], line["call_session_id"]) == (rig.account_id, session)
    assert line["recording_id"] == row["recording_id"]
    assert "recording_id" not in structlog.contextvars.get_contextvars()


async def test_a_crash_after_the_files_is_taken_up(
    rig: Rig, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the files' appearing and the row: the files are written again and published once."""
    session = new_session_id()
    spool(settings, session, contact=tone(440, 1), employee=tone(1000, 1))
    events = call(rig.account_id, session)
    await rig.happened(*events)
    async with rig.db.connection() as conn:
        await RecordingListener(Jobs(rig.dsn)).on_events(conn, events)
    row = await row_when(rig, "pending")
    maker = RecordingMaker(rig.db, settings)

    class _Killed(BaseException):
        pass

    async def killed(*_: object) -> None:
        raise _Killed

    monkeypatch.setattr(maker, "_publish", killed)
    with pytest.raises(_Killed):
        await maker.make_recording(rig.account_id, row["recording_id"])
    await RecordingMaker(rig.db, settings).make_recording(rig.account_id, row["recording_id"])
    assert (await row_when(rig, "ready"))["duration_ms"] == 1000
    assert (await journal(rig, session))[-1].type is EventType.RECORDING_READY


async def test_the_sweep_finds_what_was_never_ordered(rig: Rig, settings: Settings) -> None:
    """The engine died, the session was closed later without anybody asking for a recording."""
    session = new_session_id()
    folder = spool(settings, session, contact=tone(440, 1), employee=tone(1000, 1))
    events = call(rig.account_id, session)
    await rig.happened(*events)
    await rig.db.execute("delete from outbox")
    await rig.db.execute(
        "insert into call_sessions (account_id, call_session_id, node, start_time, finish_time, direction, source)"
        " values (%s, %s, 0, now(), now() - interval '1 hour', 'in', 'va')",
        (rig.account_id, session),
    )
    sweeper = Sweeper(rig.db, Jobs(rig.dsn), settings)
    assert await sweeper.sweep() == 1
    assert await sweeper.sweep() == 0
    async with worker(rig, settings):
        await row_when(rig, "ready")
        async with asyncio.timeout(PATIENCE):
            while folder.exists():
                await asyncio.sleep(0.05)


async def test_a_spool_that_cannot_be_read_does_not_end_the_sweeper(rig: Rig, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "elsewhere")
    settings.spool_dir.parent.mkdir(parents=True)
    settings.spool_dir.write_text("a file is in the place of the folder")
    await Sweeper(rig.db, Jobs(rig.dsn), settings).sweep()
