"""Raw sound after breaks: made into a recording, given a final state with a reason, or removed; never by another node."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.notifications.rig import Rig, new_session_id, open_rig
from tests.patience import PATIENCE
from tests.recordings.test_assembly import tone
from tests.recordings.test_service import call, row_when, spool, worker
from trunkline.core.ids import IdGenerator
from trunkline.core.settings import Settings, SwitchSettings
from trunkline.core.spool import mark_spool
from trunkline.db.jobs import Jobs
from trunkline.recordings.service import Sweeper

pytestmark = pytest.mark.drill

_CALL = """
insert into call_sessions (account_id, call_session_id, node, start_time, finish_time, direction, source)
values (%s, %s, 0, now() - interval '3 hours', now() - make_interval(secs => %s), 'in', 'va')
"""


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path)
    mark_spool(settings)
    return settings


async def _ended(rig: Rig, session: int, seconds: float | None) -> None:
    """A call's row; ``seconds`` since it ended, None while it is open."""
    await rig.db.execute(_CALL, (rig.account_id, session, seconds))


async def _without_end(rig: Rig, session: int) -> None:
    """A call whose events miss ``session_finished``, with a pending recording."""
    await rig.happened(*call(rig.account_id, session)[:-1])
    await rig.db.execute("delete from outbox")
    await rig.db.execute(
        "insert into recordings (account_id, recording_id, call_session_id, kind, created_at)"
        " values (%s, %s, %s, 'talk', now() - interval '10 minutes')",
        (rig.account_id, f"{session:064x}", session),
    )


async def _jobs(rig: Rig) -> int:
    row = await rig.db.fetch_one("select count(*) as count from procrastinate_jobs")
    assert row is not None
    return int(row["count"])


async def test_a_pending_recording_has_one_job_however_often_it_is_swept(
    rig: Rig, settings: Settings
) -> None:
    sessions = [new_session_id() for _ in range(5)]
    for session in sessions:
        await _without_end(rig, session)
    sweeper = Sweeper(rig.db, Jobs(rig.dsn), settings)
    for _ in range(4):
        await sweeper.sweep()
    assert await _jobs(rig) == len(sessions)


@pytest.mark.parametrize("has_sound", [True, False])
async def test_a_call_without_an_end_gets_a_final_state(
    rig: Rig, settings: Settings, has_sound: bool
) -> None:
    session = new_session_id()
    await _without_end(rig, session)
    await _ended(rig, session, 7200)
    if has_sound:
        spool(settings, session, contact=tone(440, 1), employee=tone(1000, 1))
    await Sweeper(rig.db, Jobs(rig.dsn), settings).sweep()
    async with worker(rig, settings):
        row = await row_when(rig, "ready", "absent", "failed")
        async with asyncio.timeout(PATIENCE):
            while await _jobs(rig):
                await asyncio.sleep(0.05)
    assert row["status"] == ("ready" if has_sound else "absent")
    assert has_sound or "missing or empty" in row["failure"]


async def test_sound_of_another_node_is_not_absent(rig: Rig, settings: Settings) -> None:
    """The worker of this machine does not reach the spool folder of node 5; the one there makes the recording."""
    session = IdGenerator(5).next()
    elsewhere = Settings(data_dir=settings.data / "elsewhere", switch=SwitchSettings(node=5))
    mark_spool(elsewhere)
    spool(elsewhere, session, contact=tone(440, 1), employee=tone(1000, 1))
    async with worker(rig, settings):
        await rig.happened(*call(rig.account_id, session))
        await row_when(rig, "pending")
        # A job from before jobs named their node: it is passed on, not done.
        row = await row_when(rig, "pending")
        jobs = Jobs(rig.dsn)
        async with rig.db.connection() as conn:
            await jobs.enqueue(
                conn,
                "make_recordings",
                {"recordings": [[rig.account_id, row["recording_id"]]]},
                queue="recordings",
            )
        async with asyncio.timeout(PATIENCE):
            while {
                one["queue_name"]
                for one in await rig.db.fetch_all("select queue_name from procrastinate_jobs")
            } != {"recordings:5"}:
                await asyncio.sleep(0.05)
        assert (await row_when(rig, "pending"))["failure"] is None
    async with worker(rig, elsewhere):
        assert (await row_when(rig, "ready", "absent"))["status"] == "ready"


async def test_a_spool_folder_that_is_not_mounted_is_no_absent_sound(rig: Rig, settings: Settings) -> None:
    session = new_session_id()
    folder = spool(settings, session, contact=tone(440, 1), employee=tone(1000, 1))
    hidden = settings.spool_dir.rename(settings.data / "hidden")
    settings.spool_dir.mkdir()
    assert folder.name in {path.name for path in hidden.iterdir()}
    async with worker(rig, settings):
        await rig.happened(*call(rig.account_id, session))
        await row_when(rig, "pending")
    settings.spool_dir.rmdir()
    hidden.rename(settings.spool_dir)
    async with worker(rig, settings):
        assert (await row_when(rig, "ready", "absent"))["status"] == "ready"


def _old(folder: Path, seconds: float) -> None:
    moment = time.time() - seconds
    for path in (*folder.iterdir(), folder):
        os.utime(path, (moment, moment))


async def test_left_over_folders_are_removed_and_no_other(rig: Rig, settings: Settings) -> None:
    sound = tone(440, 1)
    hour = 3600
    cases = {
        "unknown call, no sound, two hours": ({"a": b""}, 2 * hour, "unknown", True),
        "unknown call, no sound, now": ({"a": b""}, 0, "unknown", False),
        "unknown call, sound, two hours": ({"a": sound}, 2 * hour, "unknown", False),
        "unknown call, sound, two days": ({"a": sound}, 48 * hour, "unknown", True),
        "ended call, no sound": ({}, hour, "ended", True),
        "ended call, sound nobody asked for, an hour": ({"a": sound}, hour, "ended", False),
        "ended call, sound nobody asked for, two days": ({"a": sound}, 48 * hour, "ended", True),
        "open call, no sound, two days": ({"a": b""}, 48 * hour, "open", False),
        "open call, sound, two days": ({"a": sound}, 48 * hour, "open", False),
        "pending recording, two days": ({"contact": sound}, 48 * hour, "pending", False),
        "made recording": ({"contact": sound}, hour, "ready", True),
        "failed recording": ({"contact": sound}, 48 * hour, "failed", False),
    }
    folders = {}
    for name, (files, age, state, _) in cases.items():
        session = new_session_id()
        folders[name] = spool(settings, session, **files)
        _old(folders[name], age)
        if state != "unknown":
            await _ended(rig, session, None if state == "open" else 2 * hour)
        if state in ("pending", "ready", "failed"):
            await rig.db.execute(
                "insert into recordings (account_id, recording_id, call_session_id, kind, status, created_at)"
                " values (%s, %s, %s, 'talk', %s, now() - interval '1 hour')",
                (rig.account_id, f"{session:064x}", session, state),
            )
    await Sweeper(rig.db, Jobs(rig.dsn), settings).sweep()
    assert {name for name, folder in folders.items() if not folder.exists()} == {
        name for name, (_, _, _, is_removed) in cases.items() if is_removed
    }
    assert [one["queue_name"] for one in await rig.db.fetch_all("select * from procrastinate_jobs")] == [
        "recordings:0"
    ]
