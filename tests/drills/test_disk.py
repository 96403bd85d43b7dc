"""A disk that fills up: an alarm, then no recordings, then no new calls; nothing is half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog

from tests.calls import company as c
from tests.calls.company import company, number_of
from tests.calls.fake_engine import a_line
from tests.calls.restarted_node import FakeWriter
from tests.calls.simulation import CallSimulation
from tests.calls.test_effect_failures import FailingEngine
from tests.notifications.rig import Rig, new_session_id, open_rig
from tests.recordings.test_service import call
from trunkline.calls.decision import Decision
from trunkline.calls.effects import ConnectTargets, RecordMessage, RecordVoice
from trunkline.calls.flows import recording
from trunkline.calls.switch.executor import EffectExecutor
from trunkline.calls.switch.live_context import LiveContext
from trunkline.calls.switch.switch import Switch
from trunkline.core import not_recorded
from trunkline.core.clock import Instant
from trunkline.core.disk import FULL, DiskLevel, DiskWatch, level_of
from trunkline.core.errors import NotCarriedOut
from trunkline.core.settings import DiskSettings, Settings
from trunkline.core.spool import mark_spool
from trunkline.db.jobs import Jobs
from trunkline.directory.model import Directory
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.recordings.listener import RecordingListener
from trunkline.telephony.port import Arrived, Channel

pytestmark = pytest.mark.drill

SETTINGS = DiskSettings(alarm_free=1000, recordings_free=500, calls_free=100, period=0.01)


@pytest.mark.parametrize(
    ("free", "before", "level"),
    [
        (2000, DiskLevel.ENOUGH, DiskLevel.ENOUGH),
        (999, DiskLevel.ENOUGH, DiskLevel.ALARM),
        (1050, DiskLevel.ALARM, DiskLevel.ALARM),
        (1101, DiskLevel.ALARM, DiskLevel.ENOUGH),
        (499, DiskLevel.ALARM, DiskLevel.NO_RECORDINGS),
        (520, DiskLevel.NO_RECORDINGS, DiskLevel.NO_RECORDINGS),
        (520, DiskLevel.ALARM, DiskLevel.ALARM),
        (560, DiskLevel.NO_RECORDINGS, DiskLevel.ALARM),
        (0, DiskLevel.ENOUGH, DiskLevel.NO_CALLS),
        (105, DiskLevel.NO_CALLS, DiskLevel.NO_CALLS),
        (5000, DiskLevel.NO_CALLS, DiskLevel.ENOUGH),
    ],
)
def test_a_level_is_left_only_with_a_tenth_more_space(free: int, before: DiskLevel, level: DiskLevel) -> None:
    assert level_of(free, SETTINGS, before) is level


async def test_each_change_is_reported_once(tmp_path: Path) -> None:
    free = {"data": 5000, "recordings": 5000}
    changes: list[tuple[DiskLevel, int]] = []

    async def changed(level: DiskLevel, left: int) -> None:
        changes.append((level, left))

    watch = DiskWatch(
        [tmp_path / name for name in free], SETTINGS, changed=changed, probe=lambda path: free[path.name]
    )
    for left in (5000, 900, 900, 400, 50, 5000):
        free["recordings"] = left
        await watch.check()
    assert changes == [
        (DiskLevel.ALARM, 900),
        (DiskLevel.NO_RECORDINGS, 400),
        (DiskLevel.NO_CALLS, 50),
        (DiskLevel.ENOUGH, 5000),
    ]


async def test_a_folder_that_cannot_be_looked_at_changes_nothing(tmp_path: Path) -> None:
    def fails(_: Path) -> int:
        raise OSError(5, "no answer")

    watch = DiskWatch([tmp_path], SETTINGS, probe=fails)
    watch.level = DiskLevel.NO_RECORDINGS
    assert await watch.check() is DiskLevel.NO_RECORDINGS


async def test_a_spool_that_cannot_be_written_stops_recordings_only(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    watch = DiskWatch([tmp_path], SETTINGS, probe=lambda _: 5000, spool=spool)
    await watch.check()
    assert (watch.applied.name, watch.spool_error or "") == ("ENOUGH", "")  # it can be made
    spool.write_text("a file is in the place of the folder")
    with structlog.testing.capture_logs() as lines:
        assert await watch.check() is DiskLevel.ENOUGH
        await watch.check()
    assert (watch.applied.name, watch.spool_error) == ("NO_RECORDINGS", f"{spool} cannot be written")
    [line] = [one for one in lines if one["event"] == "spool_not_writable"]
    assert line["remedy"]
    spool.unlink()
    spool.mkdir()
    await watch.check()
    assert (watch.applied.name, watch.spool_error or "") == ("ENOUGH", "")


def test_a_marked_spool_is_not_written_again(tmp_path: Path) -> None:
    """A switch starts although the folder has become read-only: its calls go on."""
    settings = Settings(data_dir=tmp_path)
    mark_spool(settings)
    before = (
        settings.spool_dir.stat().st_mtime_ns,
        [one.stat().st_mtime_ns for one in settings.spool_dir.iterdir()],
    )
    mark_spool(settings)
    assert before == (
        settings.spool_dir.stat().st_mtime_ns,
        [one.stat().st_mtime_ns for one in settings.spool_dir.iterdir()],
    )


class _FullDisk(CallSimulation):
    obstacle = not_recorded.DISK

    def context(self) -> LiveContext:
        now = Instant(self.clock)
        return LiveContext(
            self.account, self.presence, self.ids, now, self._session, recording_obstacle=self.obstacle
        )


def test_calls_go_on_without_a_recording_and_the_reason_is_an_event() -> None:
    simulation = _FullDisk().arrive(c.TO_ANNA)
    simulation.at(6).answer(c.ANNA_LINE)
    simulation.at(36).hang_up()
    [dial] = [one for one in simulation.engine.done if isinstance(one, ConnectTargets)]
    assert not dial.connect.record
    assert not [one for one in simulation.engine.done if isinstance(one, RecordVoice)]
    [refused] = [event for event in simulation.events if event.type is EventType.RECORDING_REFUSED]
    assert refused.data["reason"] == not_recorded.DISK
    assert (simulation.end["recorded"], simulation.end["talk_duration"]) == (False, 30)


def test_the_reason_of_an_account_reaches_its_calls() -> None:
    class Limited(_FullDisk):
        obstacle = not_recorded.ACCOUNT_LIMIT

    talk = Limited().arrive(c.TO_ANNA)
    talk.at(6).answer(c.ANNA_LINE)
    [refused] = [event for event in talk.events if event.type is EventType.RECORDING_REFUSED]
    assert refused.data["reason"] == not_recorded.ACCOUNT_LIMIT
    with pytest.raises(NotCarriedOut, match="as many bytes as they may"):
        talk.command("record_call", action="on")
    mail = Limited().arrive(c.MAIL)
    mail.at(5).engine.played(mail.channel)
    mail.flow()
    [left] = [event.data for event in mail.events if event.type is EventType.VOICE_MAIL_LEFT]
    assert left["refused"] == not_recorded.ACCOUNT_LIMIT


def test_a_call_that_needs_no_recording_has_no_such_event() -> None:
    quiet = company()
    simulation = _FullDisk(quiet).arrive(c.TO_ANNA)
    simulation.at(6).hang_up()
    assert EventType.RECORDING_REFUSED not in simulation.types


def test_voice_mail_takes_no_message() -> None:
    simulation = _FullDisk().arrive(c.MAIL)
    simulation.at(5).engine.played(simulation.channel)
    simulation.flow()
    assert not [one for one in simulation.engine.done if isinstance(one, RecordMessage)]
    [left] = [event.data for event in simulation.events if event.type is EventType.VOICE_MAIL_LEFT]
    assert (left["refused"], left["is_empty"]) == (not_recorded.DISK, True)


def test_a_recording_that_a_full_disk_cuts_is_incomplete() -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    simulation.at(6).answer(c.ANNA_LINE)
    for _ in range(2):
        decision = Decision(simulation.session, simulation.context(), Instant(simulation.clock))
        recording.cut(decision)
        simulation.take(decision)
    simulation.at(36).hang_up()
    cut = [event.data for event in simulation.events if event.type is EventType.RECORDING_CUT]
    assert cut == [{"kind": "talk", "reason": not_recorded.CUT}]
    mail = CallSimulation().arrive(c.MAIL)
    mail.at(5).engine.played(mail.channel)
    mail.flow()
    decision = Decision(mail.session, mail.context(), Instant(mail.clock))
    recording.cut(decision)
    assert [event.data["kind"] for event in decision.events] == ["voice_mail"]


def test_what_an_account_records_stops_at_its_limit_and_the_call_goes_on() -> None:
    """A part that is refused later, after a hold, has the reason once."""
    simulation = CallSimulation().arrive(c.TO_ANNA)
    simulation.at(6).answer(c.ANNA_LINE)
    recorded = [leg.channel for leg in simulation.session.living if leg.is_recorded]
    for _ in range(2):
        decision = Decision(simulation.session, simulation.context(), Instant(simulation.clock))
        recording.stop_all(decision, not_recorded.CUT_BY_LIMIT)
        simulation.take(decision)
    assert simulation.session.talking
    simulation.at(36).hang_up()
    stopped = [one.channel for one in simulation.engine.done if isinstance(one, RecordVoice)]
    assert len(recorded) == 2
    assert stopped == recorded
    cut = [event.data for event in simulation.events if event.type is EventType.RECORDING_CUT]
    assert cut == [{"kind": "talk", "reason": not_recorded.CUT_BY_LIMIT}]
    assert (simulation.end["recorded"], simulation.end["talk_duration"]) == (True, 30)


@pytest.mark.parametrize("is_speaking", [False, True])
def test_a_message_that_is_left_ends_at_the_limit_of_the_account(is_speaking: bool) -> None:
    """While the greeting is played there is nothing to stop; the message is refused after it."""
    mail = CallSimulation().arrive(c.MAIL)
    if is_speaking:
        mail.at(5).engine.played(mail.channel)
        mail.flow()
    decision = Decision(mail.session, mail.context(), Instant(mail.clock + 7))
    recording.stop_all(decision, not_recorded.CUT_BY_LIMIT)
    mail.at(12).take(decision)
    mail.flow()
    left = [event.data for event in mail.events if event.type is EventType.VOICE_MAIL_LEFT]
    assert [one["seconds"] for one in left] == ([7.0] if is_speaking else [])
    assert [one.data["kind"] for one in decision.events] == (["voice_mail"] if is_speaking else [])


async def test_a_full_disk_is_reported_at_each_check(tmp_path: Path) -> None:
    free: list[int] = []
    found: list[int] = []
    watch = DiskWatch([tmp_path], SETTINGS, probe=lambda _: free[-1], spool=tmp_path)
    watch.full = lambda: found.append(free[-1])
    for left in (2 * FULL, FULL - 1, 0, 2 * FULL):
        free.append(left)
        await watch.check()
    assert found == [FULL - 1, 0]


async def test_new_calls_are_refused_on_a_full_disk(tmp_path: Path) -> None:
    engine, level, writer = FailingEngine(None), DiskLevel.NO_CALLS, FakeWriter()
    performers: list[EffectExecutor] = []

    def executor(switch: Switch) -> EffectExecutor:
        performers.append(EffectExecutor(engine, tmp_path, switch.effect_failed))
        return performers[0]

    switch = Switch(
        node=1,
        directory=lambda: Directory({c.ACCOUNT: company()}),
        writer=writer,  # type: ignore[arg-type]
        executor=executor,
        disk=lambda: level,
        clock=lambda: 1_772_366_400.0,
    )
    now = Instant(1_772_366_400.0)
    switch.handle(
        Arrived(
            Channel("one"),
            now,
            a_line(c.ANNA_LINE),
            number_of(c.TO_ANNA),
            c.ANNA_LINE,
            "",
            now,
        )
    )
    await performers[0].drain()
    assert engine.asked == ["hangup"]
    assert not switch.sessions
    with pytest.raises(NotCarriedOut, match="disk"):
        await switch.command(
            c.ACCOUNT,
            "start_simple_call",
            {
                "contact": "12025550111",
                "operator": "12025550112",
                "virtual_phone_number": number_of(c.TO_ANNA),
            },
        )
    level = DiskLevel.NO_RECORDINGS
    switch.handle(
        Arrived(
            Channel("two"),
            now,
            a_line(c.ANNA_LINE),
            number_of(c.TO_ANNA),
            c.ANNA_LINE,
            "",
            now,
        )
    )
    [session] = switch.sessions.values()
    switch.disk_is_full()
    assert EventType.RECORDING_CUT not in {event.type for event in writer.events[session.call_session_id]}
    session.living[0].is_recorded = True
    for _ in range(2):
        switch.disk_is_full()
    cut = [event for event in writer.events[session.call_session_id] if event.type is EventType.RECORDING_CUT]
    assert len(cut) == 1


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


async def test_the_row_has_the_reason(rig: Rig) -> None:
    """Also when another part of the call is recorded after all."""
    refused, later = new_session_id(), new_session_id()
    listener = RecordingListener(Jobs(rig.dsn))
    async with rig.db.connection() as conn:
        for session in (refused, later):
            event = Event(
                rig.account_id,
                call_stream(session),
                3,
                EventType.RECORDING_REFUSED,
                Instant(1_700_000_000.0),
                {"leg_id": 1, "reason": not_recorded.DISK},
            )
            await listener.on_events(conn, [event])
        await listener.on_events(conn, call(rig.account_id, later))
    rows = await rig.db.fetch_all(
        "select call_session_id, status, failure from recordings where account_id = %s order by 1",
        (rig.account_id,),
    )
    assert [tuple(row.values()) for row in rows] == [
        (refused, "absent", not_recorded.DISK),
        (later, "pending", None),
    ]


_ON_A_SMALL_DISK = """
import asyncio, os, sys
from pathlib import Path
import numpy as np
from trunkline.core.disk import DiskWatch, folders_of
from trunkline.core.settings import DiskSettings, Settings
from trunkline.recordings import assembly

data = Path(sys.argv[1])
settings = Settings(data_dir=data, disk=DiskSettings(alarm_free=3_200_000, recordings_free=2_000_000, calls_free=1_000_000))
watch = DiskWatch(folders_of(settings), settings.disk)
levels = [asyncio.run(watch.check()).name]
for number in range(3):
    (data / f"fill{number}").write_bytes(b"x" * 1_100_000)
    levels.append(asyncio.run(watch.check()).name)
folder = data / "recordings"
chunks = (np.full((40_000, 2), 1000, dtype=np.int16) for _ in range(100))
try:
    assembly.write(chunks, 2, folder / "a.wav", folder / "a.mp3", 32_000)
    levels.append("written")
except OSError as error:
    levels.append(error.__class__.__name__)
levels.append(str(sorted(path.name for path in folder.iterdir())))
for number in range(3):
    (data / f"fill{number}").unlink()
levels.append(asyncio.run(watch.check()).name)
print(" ".join(levels))
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounting a small file system needs root"
)
def test_on_a_real_small_disk_no_file_is_half_written(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(_ON_A_SMALL_DISK))
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "sh",
            "-c",
            'mount -t tmpfs -o size=4m small "$1" && exec "$2" "$3" "$1"',
            "sh",
            str(disk),
            sys.executable,
            str(script),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = done.stdout.strip().splitlines()
    assert lines[-1] == "ENOUGH ALARM NO_RECORDINGS NO_CALLS OSError [] ENOUGH", done.stderr
