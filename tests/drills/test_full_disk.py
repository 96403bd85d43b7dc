"""The disk of recordings, that of the raw sound or that of everything is full to its last block while calls go on."""

from __future__ import annotations

import asyncio
import contextlib
import time
import wave
from pathlib import Path

import aiohttp
import pytest
import yaml

from tests.drills.own_server import fill, needs_root, small_disk
from tests.drills.rig import Rig
from trunkline.core.settings import DiskSettings, Settings
from trunkline.testing.foreign import ForeignPhones

RATE = 8.0
PATIENCE = 60.0
STALLED_SECONDS = 100.0
"""A recording for which there was no space is tried again after a minute."""
MEGABYTES = 60
ALL_MEGABYTES = 700
LONGEST_TALK = 4
"""Seconds. SIPp talks for 2.5 s at the most; reports have whole seconds."""
DISK = DiskSettings(alarm_free=12_000_000, recordings_free=8_000_000, calls_free=4_000_000, period=0.2)

pytestmark = [
    pytest.mark.drill,
    pytest.mark.long_drill,
    pytest.mark.engine,
    pytest.mark.phones,
    pytest.mark.timeout(1800),
    needs_root,
]


def change(settings: Settings) -> Settings:
    return settings.model_copy(update={"disk": DISK})


@pytest.mark.parametrize("folder", ["recordings", "spool"])
async def test_calls_are_refused_and_none_is_lost(
    drill_phones: ForeignPhones, tmp_path: Path, folder: str
) -> None:
    """Calls that were taken have their end, and each of their recordings is whole; those refused have no row."""
    with small_disk(tmp_path / "pbx" / "data" / folder, MEGABYTES) as disk:
        async with Rig(drill_phones, tmp_path, change) as rig:
            await rig.start_calls(RATE)
            await rig.more_completed(10)
            ballast, began = fill(disk), time.time()
            await _disk_is(rig, "no_calls")
            assert "no_calls" in await _status(rig)
            before = len(rig.call_counts.dialled)
            await asyncio.sleep(5.0)
            ballast.unlink()
            await _disk_is(rig, "enough")
            rig.without_space.append((began, time.time()))
            await rig.more_completed(20)
            await rig.stop_calls()
            await rig.settle(STALLED_SECONDS)  # those without sound never get a recording
            account = await rig.count()
            counts = rig.call_counts
            print(f"{folder}: {rig.figures}; {account.figures}", flush=True)
            assert len(counts.dialled) > before
            assert len(counts.answered) < len(counts.dialled)  # some were refused
            assert account.faults == {}
            _all_whole(rig.installation.settings.recordings_dir)


def change_all(settings: Settings) -> Settings:
    """Calls that no switch takes ring their default line after 3 s."""
    settings = change(settings)
    return settings.model_copy(update={"switch": settings.switch.model_copy(update={"away_wait": 3})})


async def test_the_switch_and_postgresql_are_killed_on_a_full_disk(
    drill_phones: ForeignPhones, tmp_path: Path
) -> None:
    """Neither can start. Calls that are up end at their time, new ones are refused: they could not be stored."""
    with small_disk(tmp_path / "pbx" / "data", ALL_MEGABYTES) as disk:
        async with Rig(drill_phones, tmp_path, change_all) as rig:
            await _set_default_lines(rig, tmp_path / "company.yaml")
            await rig.start_calls(RATE)
            await rig.more_completed(10)
            ballast, began = fill(disk), time.time()
            await asyncio.sleep(0.5)
            rig.installation.kill("postgres")
            rig.installation.kill("switch")
            await asyncio.sleep(1.0)
            dialled, answered = rig.call_counts.dialled, rig.call_counts.answered
            await asyncio.sleep(15.0)
            later = rig.call_counts
            ballast.unlink()
            assert later.dialled > dialled
            assert later.answered == answered
            await _disk_is(rig, "enough")  # PostgreSQL is tried every 10 s; meanwhile the default lines ring
            await rig.ready("switch")
            rig.without_space.append((began, time.time()))
            await rig.more_completed(20)
            await rig.stop_calls()
            await rig.settle(STALLED_SECONDS)
            account = await rig.count()
            print(f"all: {rig.figures}; {account.figures}", flush=True)
            assert account.faults == {}
            rows = await rig.report("get.calls_report", ["id", "talk_duration"])
            assert max(row["talk_duration"] for row in rows) <= LONGEST_TALK


async def _set_default_lines(rig: Rig, file: Path) -> None:
    company = yaml.safe_load((file.parent / "company.yaml").read_text())
    for number, line in zip(company["virtual_numbers"].values(), company["sip_lines"], strict=True):
        number["default_line"] = line
    file.write_text(yaml.safe_dump(company))
    await rig.installation.apply(rig.product.account, file)


async def _disk_is(rig: Rig, level: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with contextlib.suppress(aiohttp.ClientError):  # the switch is being started
                if (await rig.product.switch_status())["disk"] == level:
                    return
            await asyncio.sleep(0.1)


async def _status(rig: Rig) -> str:
    try:
        return await rig.installation.run("status", "--json")
    except RuntimeError as error:  # exit code 3: something is not as it should be
        return str(error)


def _all_whole(folder: Path) -> None:
    """Each recording has both files, and nothing else is left."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".wav", ".mp3"}
    assert {path for path in files if path.suffix == ".mp3"} == {
        path.with_suffix(".mp3") for path in files if path.suffix == ".wav"
    }
    for path in files:
        assert path.stat().st_size > 0
        if path.suffix == ".wav":
            with wave.open(str(path)) as recording:
                sound = recording.readframes(recording.getnframes())
                assert (
                    len(sound) == recording.getnframes() * recording.getnchannels() * recording.getsampwidth()
                )
