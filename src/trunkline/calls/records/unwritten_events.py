"""Files with the events of calls that PostgreSQL does not have yet: a switch that is killed leaves them to the next one.

A thread appends each decision to a file as soon as it is made. What a process has appended outlives it, however it ends,
without ``fsync``; only events that have waited for :data:`SYNC_SECONDS` are brought to the disk, for the case that the
machine stops while PostgreSQL does not take them. No call waits for the disk: :meth:`UnwrittenEvents.put` hands the events
over to the thread, and who needs them in the file awaits :meth:`UnwrittenEvents.wait_until_in_file`.

Each line has a checksum. The next switch reads the lines after its takeover of the node, and writes the events that
PostgreSQL does not have (:meth:`trunkline.calls.records.event_writer.EventWriter.write_loaded`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import queue
import threading
import time
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from trunkline.core.clock import Instant
from trunkline.core.log import get_logger
from trunkline.core.reserved_space import reserve_space
from trunkline.events.catalogue import Event, EventType

FILE_BYTES = 1_000_000
"""A file that has more is followed by another one; it is removed when PostgreSQL has its events."""
EMPTIED_BYTES = 250_000
"""A file that has more is emptied as soon as PostgreSQL has all events: a start reads no more."""
SYNC_SECONDS = 1.0
"""Events that PostgreSQL does not have after this time are brought to the disk."""
RESERVED_BYTES = 2 * FILE_BYTES
"""Reserved behind the end of a file."""
_AT_ONCE = 500
"""Lines of one write."""
_SUFFIX = ".events"

_log = get_logger("calls")


@dataclass(frozen=True, slots=True)
class Decided:
    """The events of one decision.

    :ivar position: all of the engine's signals before this time are handled, and this decision or an earlier one has their
        events; None: not known.
    """

    events: tuple[Event, ...]
    position: Instant | None


@dataclass(frozen=True, slots=True)
class _Put:
    decided: Decided
    count: int


class UnwrittenEvents:
    """The files of one node. All methods are for the event loop of the switch, except :meth:`load`.

    :param folder: of the files, for this user alone; is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loaded: list[Path] = []
        """Files of former switches, whose events :meth:`load` has returned."""
        self._inbox: queue.SimpleQueue[list[_Put] | None] = queue.SimpleQueue()
        self._collected: list[_Put] = []
        """What was put and is not handed to the thread yet."""
        self._count_written = 0
        """Events that PostgreSQL has. The thread reads it when it wakes for another reason: no wake-up for it alone."""
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: deque[tuple[int, asyncio.Future[bool]]] = deque()
        self._handled = 0
        """Count of the last event that is in a file, or could not be put there."""
        self._failed_until = 0
        """Count of the last event that could not be put there."""
        self._refused_until = 0
        """Count of the last event that has no line, because a value of it cannot be stored."""
        self._left: deque[tuple[bytes, int]] = deque()
        """Lines that are not in a file yet, with their counts, without those that PostgreSQL has: no more than the buffer
        of the writer has."""
        self.is_usable = True
        """Whether the last events are in a file."""

    def load(self) -> list[Decided]:
        """What former switches left, in its order; blocks. Their files stay until :meth:`remove_loaded`.

        What cannot be read is logged and stays: no file keeps a switch from its start.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            files = sorted(self._folder.glob(f"*{_SUFFIX}"))
        except OSError as error:
            _log_unreadable(self._folder, error)
            return []
        runs: dict[str, list[Path]] = {}
        for file in files:
            runs.setdefault(file.name.partition("-")[0], []).append(file)
        found: list[Decided] = []
        for run in runs.values():
            try:
                found += _load_run(run)
            except OSError as error:
                _log_unreadable(run[0], error)
            else:
                self._loaded += run
        return found

    async def remove_loaded(self) -> None:
        """Remove the files of former switches: PostgreSQL has the events that :meth:`load` returned."""
        loaded, self._loaded = self._loaded, []
        await asyncio.to_thread(_remove, loaded)

    def start(self) -> None:
        """Take events from now on, and those that were put before."""
        self._loop = asyncio.get_running_loop()
        self._hand_over()
        self._thread = threading.Thread(target=self._run, name="unwritten-events", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """End the thread after what was put. Files whose events PostgreSQL has are removed."""
        if self._thread is not None:
            self._hand_over()
            self._inbox.put(None)
            await asyncio.to_thread(self._thread.join)
            self._thread = None

    def put(self, events: tuple[Event, ...], position: Instant | None, count: int) -> None:
        """Keep the events of one decision; never waits.

        The thread gets them in the next but one turn of the loop: the command to ring a phone, which is sent in the next
        one, does not wait for it, and events of one moment wake it once.

        :param count: of the events that were put so far, with these.
        """
        self._collected.append(_Put(Decided(events, position), count))
        if len(self._collected) == 1 and self._loop is not None:
            self._loop.call_soon(self._loop.call_soon, self._hand_over)

    def written(self, count: int) -> None:
        """PostgreSQL has the first ``count`` events. The file states it with the next events or after the wait for a sync: a
        start that does not find it there asks PostgreSQL for each event."""
        self._count_written = count

    async def wait_until_in_file(self, count: int) -> bool:
        """Wait until the first ``count`` events are in a file.

        :returns: False: one of those that PostgreSQL does not have could not be put there.
        """
        assert self._loop is not None
        done: asyncio.Future[bool] = self._loop.create_future()
        self._waiting.append((count, done))
        self._hand_over()
        # Registered first: the thread looks for who waits after it has moved the count.
        if self._handled >= count:
            self._settle()
        return await done

    # --- in the event loop

    def _hand_over(self) -> None:
        if self._collected:
            collected, self._collected = self._collected, []
            self._inbox.put(collected)

    def _settle(self) -> None:
        """Counts grow in the order of the calls, so who waits longest waits for the lowest."""
        still: deque[tuple[int, asyncio.Future[bool]]] = deque()
        for count, done in self._waiting:
            if count > self._handled:
                still.append((count, done))
            elif not done.done():
                done.set_result(count > self._failed_until)
        self._waiting = still

    # --- in the thread

    def _run(self) -> None:
        file = _File(self._folder)
        while True:
            given, is_over = self._next(file)
            written = self._count_written
            for one in given:
                line = _line(one)
                if line is None:
                    self._refused_until = one.count
                else:
                    self._left.append((line, one.count))
            while self._left and self._left[0][1] <= written:
                self._left.popleft()
            with contextlib.suppress(OSError):
                file.written(written)
            self._append(file, given[-1].count if given else 0)
            if is_over:
                file.close()
                return

    def _next(self, file: _File) -> tuple[list[_Put], bool]:
        """What was given since the last time, and whether it is the end."""
        given: list[_Put] = []
        try:
            one = self._inbox.get(timeout=SYNC_SECONDS if self._left else file.sync_after)
            while one is not None and len(given) < _AT_ONCE:
                given += one
                one = self._inbox.get_nowait()
            if one is not None:
                given += one
            return given, one is None
        except queue.Empty:
            return given, False

    def _append(self, file: _File, count: int) -> None:
        """Append all lines that are not in a file, the oldest first: a stream has no hole."""
        try:
            file.append([line for line, _ in self._left], self._left[-1][1] if self._left else 0)
        except OSError as error:
            self._failed_until = max(self._failed_until, count)
            if self.is_usable:
                self.is_usable = False
                _log.error(
                    "events_not_kept",
                    file=str(file.path or self._folder),
                    error=str(error),
                    consequence="events that PostgreSQL does not have yet are lost if the switch is killed now",
                    remedy="check the disk and the permissions of the data folder",
                )
        else:
            self._left.clear()
            self._failed_until = self._refused_until
            if not self.is_usable:
                self.is_usable = True
                _log.info("events_kept_again", file=str(file.path))
        if count:
            self._handled = count
            if self._waiting and self._loop is not None:
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                    self._loop.call_soon_threadsafe(self._settle)


class _File:
    """The file of this process that is appended to, and those before it that have events PostgreSQL does not have."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run = f"{time.time_ns():020}"
        self._number = 0
        self._full: deque[tuple[int, Path]] = deque()
        """Files that are not appended to any more, with the count of their last event."""
        self._descriptor: int | None = None
        self._size = 0
        self._is_torn = False
        """Whether the last write ended within a line."""
        self._last = 0
        """Count of the last event in the file."""
        self._written = 0
        self._marked = 0
        """Count of the written events that the file states."""
        self._next_file_at = 0.0
        """Seconds of ``time.monotonic()`` before which no next file is tried."""
        self._syncing: threading.Thread | None = None
        self._unsynced_since: float | None = None
        """Seconds of ``time.monotonic()``."""
        self.path: Path | None = None

    @property
    def sync_after(self) -> float | None:
        """Seconds until the file must be brought to the disk; None: it need not."""
        if self._unsynced_since is None:
            return None
        return max(0.0, self._unsynced_since + SYNC_SECONDS - time.monotonic())

    def append(self, lines: Sequence[bytes], count: int) -> None:
        """:raises OSError: not all of them are in the file."""
        mark = self._written
        if lines or mark > self._marked:
            if self._descriptor is None or self._size > FILE_BYTES:
                self._open_next()
            assert self._descriptor is not None
            marks = [_framed({"w": mark})] if mark > self._marked else []
            self._write(self._descriptor, b"".join([*lines, *marks]))
            self._marked = mark
            if count:
                self._last = count
                self._unsynced_since = self._unsynced_since or time.monotonic()
        if self.sync_after == 0.0 and self._descriptor is not None:
            self._begin_sync(self._descriptor)

    def _begin_sync(self, descriptor: int) -> None:
        """Bring the file to the disk in a thread of its own: no append waits for the disk."""
        if self._syncing is not None and self._syncing.is_alive():
            self._unsynced_since = time.monotonic()  # the next one begins after this one
            return
        self._unsynced_since = None
        self._syncing = threading.Thread(
            target=_sync, args=(os.dup(descriptor),), name="unwritten-events-sync", daemon=True
        )
        self._syncing.start()

    def written(self, count: int) -> None:
        """PostgreSQL has the first ``count`` events."""
        self._written = max(self._written, count)
        while self._full and self._full[0][0] <= self._written:
            self._full.popleft()[1].unlink(missing_ok=True)
        if self._last <= self._written:
            self._unsynced_since = None
            if self._descriptor is not None and self._size > EMPTIED_BYTES:
                os.ftruncate(self._descriptor, 0)
                self._size, self._is_torn, self._marked = 0, False, 0
                _reserve(self._descriptor)

    def close(self) -> None:
        """Remove the file, unless it has events that PostgreSQL does not have."""
        if self._descriptor is not None and self.path is not None:
            if self._last <= self._written:
                self.path.unlink(missing_ok=True)
            else:
                os.fdatasync(self._descriptor)
            os.close(self._descriptor)

    def _open_next(self) -> None:
        """Go on in a new file, or in the present one while no space can be reserved for another: it has its own."""
        if self._descriptor is not None and time.monotonic() < self._next_file_at:
            return
        path = self._folder / f"{self._run}-{self._number:06}{_SUFFIX}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                reserve_space(descriptor, RESERVED_BYTES)
            except OSError:
                if self._descriptor is not None:
                    os.close(descriptor)
                    path.unlink(missing_ok=True)
                    raise
        except OSError:
            if self._descriptor is None:
                raise
            self._next_file_at = time.monotonic() + SYNC_SECONDS
            return
        if self._descriptor is not None and self.path is not None:
            os.close(self._descriptor)
            self._full.append((self._last, self.path))
        self._number += 1
        self._descriptor, self.path, self._size, self._is_torn = descriptor, path, 0, False
        self._marked = 0

    def _write(self, descriptor: int, content: bytes) -> None:
        if self._is_torn:
            content = b"\n" + content
        left = memoryview(content)
        self._is_torn = True
        while left:
            done = os.write(descriptor, left)
            self._size += done
            left = left[done:]
        self._is_torn = False


def _sync(descriptor: int) -> None:
    try:
        os.fdatasync(descriptor)
    except OSError as error:
        _log.error(
            "events_not_synced",
            error=str(error),
            consequence="events that PostgreSQL does not have yet are lost if the machine stops now",
            remedy="check the disk of the data folder",
        )
    finally:
        os.close(descriptor)


def _reserve(descriptor: int) -> None:
    """Reserve space behind the end of the file, so that events are kept also on a disk that is full."""
    with contextlib.suppress(OSError):  # what the disk has is used without that
        reserve_space(descriptor, RESERVED_BYTES)


def _line(put: _Put) -> bytes | None:
    """None: an event has a value that cannot be stored; the writer has the remedy."""
    events = [
        (one.account_id, one.stream, one.seq, one.type.value, one.at, one.data) for one in put.decided.events
    ]
    try:
        return _framed({"n": put.count, "p": put.decided.position, "e": events})
    except (TypeError, ValueError):
        return None


def _framed(content: dict[str, Any]) -> bytes:
    text = orjson.dumps(content)
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _load_run(files: Sequence[Path]) -> list[Decided]:
    """What one process left that PostgreSQL may not have."""
    found: list[tuple[int, Decided]] = []
    written, bad = 0, 0
    for file in files:
        lines = file.read_bytes().split(b"\n")
        for line in lines:
            content = _content(line)
            if content is None:
                bad += bool(line)
            elif "w" in content:
                written = max(written, int(content["w"]))
            else:
                found.append((int(content["n"]), _decided(content)))
    if bad:
        _log.warning(
            "kept_events_damaged",
            file=str(files[0]),
            lines=bad,
            consequence="what these lines had is made again from Asterisk and its CEL log as far as these have it",
        )
    return _without_hole(found, written)


def _without_hole(found: Sequence[tuple[int, Decided]], written: int) -> list[Decided]:
    """What is not written, each once. After the first event that is missing no position is taken: the log of Asterisk is
    to be read from there."""
    result: list[Decided] = []
    last, has_hole = written, False
    for count, decided in found:
        if count <= last:
            continue  # written, or again after a write that was cut off
        has_hole = has_hole or count - len(decided.events) > last
        result.append(Decided(decided.events, None) if has_hole else decided)
        last = count
    return result


def _content(line: bytes) -> dict[str, Any] | None:
    """None: the line is not complete. The last line of a process that was killed may be so."""
    checksum, _, text = line.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(text):
            return None
        content: dict[str, Any] = orjson.loads(text)
        if "e" in content:
            _decided(content)
    except (ValueError, KeyError, TypeError):
        return None
    return content


def _decided(content: dict[str, Any]) -> Decided:
    position = content["p"]
    return Decided(
        tuple(
            Event(account_id, stream, seq, EventType(type_), Instant(at), data)
            for account_id, stream, seq, type_, at, data in content["e"]
        ),
        None if position is None else Instant(position),
    )


def _log_unreadable(path: Path, error: OSError) -> None:
    _log.error(
        "kept_events_unreadable",
        file=str(path),
        error=str(error),
        consequence="what a former switch had not stored is made again from Asterisk as far as this has it",
        remedy="check the disk and the permissions of the data folder, then restart the switch",
    )


def _remove(files: Sequence[Path]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            if error.errno != errno.ENOENT:
                _log.warning(
                    "kept_events_not_removed",
                    file=str(file),
                    error=str(error),
                    consequence="the next start reads the file again, and writes nothing twice",
                )
