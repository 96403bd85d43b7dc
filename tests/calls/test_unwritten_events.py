"""Events that PostgreSQL does not have yet are in a file: a killed switch leaves them to the next one, and nothing twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.calls import company as c
from tests.calls.test_event_writer import outbox, reported, row, talk, writing
from trunkline.calls.records import unwritten_events
from trunkline.calls.records.unwritten_events import UnwrittenEvents
from trunkline.core.clock import Instant
from trunkline.db.pool import Database
from trunkline.events.catalogue import Event
from trunkline.events.store import call_events

pytestmark = pytest.mark.durability

POSITION = Instant(1_800_000_000.25)


async def kept(folder: Path, *decisions: tuple[Event, ...], written: int = 0) -> None:
    """A process that had these decisions, of whose events so many were written, and was killed."""
    files = UnwrittenEvents(folder)
    files.load()
    files.start()
    count = 0
    for events in decisions:
        count += len(events)
        files.put(events, POSITION, count)
    assert await files.wait_until_in_file(count)
    if written:
        files.written(written)
    await files.stop()


def is_usable(files: UnwrittenEvents) -> bool:
    return files.is_usable


def left(folder: Path) -> list[tuple[Event, ...]]:
    return [one.events for one in UnwrittenEvents(folder).load()]


async def test_what_was_put_is_read_by_the_next_process_in_its_order(tmp_path: Path) -> None:
    first, second = tuple(talk().events), tuple(talk(seed=1).events)
    await kept(tmp_path, first[:3], second[:2], first[3:])
    assert left(tmp_path) == [first[:3], second[:2], first[3:]]
    assert {one.position for one in UnwrittenEvents(tmp_path).load()} == {POSITION}
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


async def test_what_is_written_is_not_read_again(tmp_path: Path) -> None:
    events = tuple(talk().events)
    await kept(tmp_path, events[:3], events[3:], written=3)
    assert left(tmp_path) == [events[3:]]
    later = UnwrittenEvents(tmp_path)
    later.load()
    await later.remove_loaded()
    assert list(tmp_path.iterdir()) == []
    await kept(tmp_path, events, written=len(events))
    assert list(tmp_path.iterdir()) == []


async def test_files_are_bounded_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unwritten_events, "FILE_BYTES", 10_000)
    monkeypatch.setattr(unwritten_events, "EMPTIED_BYTES", 5_000)
    events = tuple(talk().events)
    files = UnwrittenEvents(tmp_path)
    files.load()
    files.start()
    for number in range(1, 31):
        files.put(events, POSITION, number * len(events))
        await files.wait_until_in_file(number * len(events))
    many = len(list(tmp_path.iterdir()))
    assert many > 5
    files.written(20 * len(events))
    files.put(events, POSITION, 31 * len(events))
    await files.wait_until_in_file(31 * len(events))
    assert len(list(tmp_path.iterdir())) < many - 3
    assert len(left(tmp_path)) == 11
    files.written(31 * len(events))
    files.put(events, POSITION, 32 * len(events))
    await files.wait_until_in_file(32 * len(events))
    [file] = tmp_path.iterdir()
    assert file.stat().st_size < 10_000
    await files.stop()


async def test_a_line_that_is_cut_off_or_damaged_is_left_out(tmp_path: Path) -> None:
    first, second = tuple(talk().events), tuple(talk(seed=1).events)
    await kept(tmp_path, first, second, first, second)
    [file] = tmp_path.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1][:20] + b"x" + lines[1][21:]
    file.write_bytes(b"".join(lines)[:-40])
    assert left(tmp_path) == [first, first]


async def test_a_process_killed_at_any_moment_leaves_what_it_reported_as_kept(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.calls.test_event_writer import talk\n"
        "from trunkline.calls.records.unwritten_events import UnwrittenEvents\n"
        "async def main():\n"
        "    files = UnwrittenEvents(Path(sys.argv[1])); files.load(); files.start()\n"
        "    events = tuple(talk().events)\n"
        "    for number in range(1, 100000):\n"
        "        files.put(events, None, number * len(events))\n"
        "        if await files.wait_until_in_file(number * len(events)): print(number, flush=True)\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 300:
            break
    os.kill(process.pid, signal.SIGKILL)
    reported_as_kept = 300 + len(process.stdout.read().splitlines())
    process.wait()
    assert len(left(tmp_path)) >= reported_as_kept


async def test_on_a_full_disk_the_database_is_waited_for_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    files = UnwrittenEvents(tmp_path)
    files.load()
    files.start()
    events = tuple(talk().events)
    monkeypatch.setattr(os, "write", full)
    files.put(events, POSITION, 10)
    assert not await files.wait_until_in_file(10)
    assert is_usable(files) is False
    monkeypatch.undo()
    files.put(events, POSITION, 20)
    assert await files.wait_until_in_file(20)
    assert is_usable(files) is True
    assert left(tmp_path) == [events, events]  # what failed is there, too, before what followed it
    await files.stop()


async def test_no_position_is_taken_after_a_hole(tmp_path: Path) -> None:
    events = tuple(talk().events)
    await kept(tmp_path, events[:2], events[2:4], events[4:])
    [file] = tmp_path.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + lines[2])
    assert [one.position for one in UnwrittenEvents(tmp_path).load()] == [POSITION, None]


async def test_while_no_next_file_can_be_reserved_the_present_one_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unwritten_events, "FILE_BYTES", 1_000)
    monkeypatch.setattr(unwritten_events, "reserve_space", full)
    events = tuple(talk().events)
    files = UnwrittenEvents(tmp_path)
    files.load()
    files.start()
    for number in range(1, 6):
        files.put(events, POSITION, number * len(events))
        assert await files.wait_until_in_file(number * len(events))
    await files.stop()
    assert len(list(tmp_path.iterdir())) == 1
    assert left(tmp_path) == [events] * 5


async def test_no_append_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_released = threading.Event()
    monkeypatch.setattr(unwritten_events, "SYNC_SECONDS", 0.01)
    monkeypatch.setattr(os, "fdatasync", lambda _: is_released.wait(10))
    files = UnwrittenEvents(tmp_path)
    files.load()
    files.start()
    try:
        files.put(tuple(talk().events), POSITION, 10)
        assert await files.wait_until_in_file(10)
        await asyncio.sleep(0.1)
        files.put(tuple(talk().events), POSITION, 20)
        async with asyncio.timeout(2):
            assert await files.wait_until_in_file(20)
    finally:
        is_released.set()
        await files.stop()


async def test_a_folder_that_cannot_be_made_keeps_no_switch_from_its_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    files = UnwrittenEvents(tmp_path / "file")
    assert files.load() == []
    files.start()
    files.put(tuple(talk().events), POSITION, 5)
    assert not await files.wait_until_in_file(5)
    await files.stop()


# --- with the writer


async def test_the_next_switch_writes_what_the_killed_one_had_not(db: Database, tmp_path: Path) -> None:
    """A part of the call is stored, perhaps more than the file shows."""
    simulation, other = talk(), talk(seed=1)
    events, others = tuple(simulation.events), tuple(other.events)
    await kept(tmp_path, events[:2], events[2:5], others, events[5:])
    async with writing(db) as former:
        former.put(events[:5])
        await former.flush()
    files = UnwrittenEvents(tmp_path)
    found = files.load()
    async with writing(db, unwritten=files) as writer:
        assert await writer.write_loaded(found) == len(events) - 5 + len(others)
        assert await writer.write_loaded(found) == 0
        await files.remove_loaded()
    for one in (simulation, other):
        async with db.connection() as connection:
            stored = await call_events(connection, c.ACCOUNT, one.session.call_session_id)
        assert [event.seq for event in stored] == list(range(1, len(stored) + 1))
        assert (await row(db, one.session))["finish_reason"] == "caller_disconnects"
    assert sorted(await outbox(db)) == sorted([*reported(events), *reported(others)])
    assert not list(tmp_path.iterdir())


async def test_events_after_a_gap_are_left_to_the_recovery(db: Database, tmp_path: Path) -> None:
    simulation = talk()
    events = tuple(simulation.events)
    await kept(tmp_path, events[:2], events[4:])
    async with writing(db) as writer:
        assert await writer.write_loaded(UnwrittenEvents(tmp_path).load()) == 2
    async with db.connection() as connection:
        stored = await call_events(connection, c.ACCOUNT, simulation.session.call_session_id)
    assert [event.seq for event in stored] == [1, 2]


async def test_a_decision_is_kept_while_the_database_takes_nothing(tmp_path: Path) -> None:
    class Down:
        def connection(self) -> None:
            raise OSError("it is down")

    files = UnwrittenEvents(tmp_path)
    files.load()
    events = tuple(talk().events)
    async with writing(Down(), unwritten=files) as writer:  # type: ignore[arg-type]
        writer.put(events)
        waited = writer.kept_waiter()
        assert waited is not None
        async with asyncio.timeout(1):
            await waited()
        assert left(tmp_path) == [events]
        assert writer.unwritten == len(events)
        writer._files, writer.is_fenced = None, True  # killed
