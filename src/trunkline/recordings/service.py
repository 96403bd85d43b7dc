"""Makes recordings from what the engine spooled, and tells that they are there.

The steps bear to be broken off anywhere and done again: files appear complete under names that the recording's id
decides, then the row and the event ``recording_ready`` are written in one transaction, and only then the spool is
removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, BinaryIO

from psycopg.types.json import Jsonb

from trunkline.core.clock import Instant, to_datetime
from trunkline.core.ids import unix_ms_of
from trunkline.core.log import get_logger
from trunkline.core.settings import Settings
from trunkline.db.jobs import Jobs, RunAgain
from trunkline.db.pool import Connection, Database
from trunkline.events import store
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.recordings import assembly
from trunkline.recordings.assembly import SAMPLE_BYTES, SIDES, Side, Source, Track, Written
from trunkline.recordings.links import RecordingKind
from trunkline.recordings.listener import Wanted, order, order_again

_log = get_logger("recordings")

_ASSEMBLING = 2
"""Recordings assembled at a time in a process: it works the processor."""

_SETTLE_PERIOD = 0.2
"""Seconds during which the spool files must not grow before they count as complete."""

_SETTLE_LIMIT = 10.0
"""Seconds after which they are taken as they are."""

_UNFINISHED_PERIOD = 1.0
"""Seconds until a recording of a call that is not over yet (a message being left) is looked at again."""

_SWEEP_AFTER = 120
"""Seconds after a session's end after which a spool folder of it should have become a recording."""

_ROW = """
select recording_id, call_session_id, leg_id, kind, status from recordings
where account_id = %s and recording_id = %s
"""

_READY = """
update recordings set status = 'ready', wav_path = %(wav)s, mp3_path = %(mp3)s, duration_ms = %(duration_ms)s,
    size_bytes = %(size)s, channels = %(channels)s, failure = null, ready_at = now()
where account_id = %(account_id)s and recording_id = %(recording_id)s and status <> 'ready'
"""

_ABSENT = """
update recordings set status = 'absent', failure = %s where account_id = %s and recording_id = %s
"""

_FORGOTTEN = """
select call.account_id, call.call_session_id from call_sessions call
where call.call_session_id = any(%s) and call.finish_time < now() - make_interval(secs => %s)
    and not exists (select 1 from recordings recording where recording.account_id = call.account_id
        and recording.call_session_id = call.call_session_id and recording.kind = 'talk')
    and exists (select 1 from call_events event where event.account_id = call.account_id
        and event.call_session_id = call.call_session_id and event.type = 'recording_started')
"""

_STUCK = """
select account_id, recording_id from recordings
where status = 'pending' and created_at < now() - make_interval(secs => %s) order by created_at limit 100
"""

_DONE = """
select call_session_id from recordings where call_session_id = any(%s) group by call_session_id
having bool_and(status in ('ready', 'absent'))
    and max(coalesce(ready_at, created_at)) < now() - make_interval(secs => %s)
"""


class Absent(Exception):  # noqa: N818 - a finding
    """There is nothing to make a recording of; says why."""


@dataclass(frozen=True, slots=True)
class _Material:
    """What a recording is made of."""

    files: tuple[tuple[Path, int, int], ...]
    """Path, side, offset in samples."""
    channels: tuple[Side, ...]


class RecordingMaker:
    """Does the jobs. One in each worker process."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self._db = db
        self._spool = settings.spool_dir
        self._recordings = settings.recordings_dir
        self._bit_rate = settings.recording.mp3_bit_rate
        self._assembling = asyncio.Semaphore(_ASSEMBLING)
        self._under_way: set[str] = set()

    async def make_recordings(self, recordings: Sequence[tuple[int, str]]) -> None:
        """Make pending recordings side by side; raises when one cannot be made yet, once the others are.

        :param recordings: account and recording ids.
        """
        outcomes = await asyncio.gather(*(self._once(*one) for one in recordings), return_exceptions=True)
        troubles = [one for one in outcomes if isinstance(one, BaseException)]
        for trouble in sorted(troubles, key=lambda one: isinstance(one, RunAgain)):
            raise trouble

    async def _once(self, account_id: int, recording_id: str) -> None:
        """Unless another job is at it."""
        if recording_id in self._under_way:
            return
        self._under_way.add(recording_id)
        try:
            await self.make_recording(account_id, recording_id)
        finally:
            self._under_way.discard(recording_id)

    async def make_recording(self, account_id: int, recording_id: str) -> None:
        """Make a pending recording, or find out that there is none."""
        row = await self._db.fetch_one(_ROW, (account_id, recording_id))
        if row is None or row["status"] in ("ready", "absent"):
            return
        async with self._db.connection() as conn:
            events = await store.call_events(conn, account_id, row["call_session_id"])
        if not any(event.type is EventType.SESSION_FINISHED for event in events):
            raise RunAgain(_UNFINISHED_PERIOD)  # till then the switch alone numbers the call's events
        try:
            material = await self._material(row, events)
        except Absent as finding:
            _log.warning("recording_absent", recording_id=recording_id, reason=str(finding))
            await self._db.execute(_ABSENT, (str(finding), account_id, recording_id))
            return
        folder = _folder_of(account_id, row["call_session_id"])
        wav, mp3 = folder / f"{recording_id}.wav", folder / f"{recording_id}.mp3"
        async with self._assembling:
            written = await asyncio.to_thread(
                _assemble, material, self._recordings / wav, self._recordings / mp3, self._bit_rate
            )
        await self._tell(account_id, row, events, material, written, wav, mp3)
        await self._clear_spool(account_id, row["call_session_id"])

    async def _material(self, row: Mapping[str, Any], events: Sequence[Event]) -> _Material:
        if row["kind"] == RecordingKind.VOICE_MAIL:
            wanted = [(self._message_path(row, events), 0, 0)]
            channels: tuple[Side, ...] = (Side.CONTACT,)
        else:
            tracks = assembly.plan(events)
            if not tracks:
                raise Absent("nothing was recorded: no party's recording had started")
            wanted = [self._place(row["call_session_id"], track) for track in tracks]
            channels = SIDES
        await _settled([path for path, _, _ in wanted])
        files = tuple(one for one in wanted if _sound_bytes(one[0]) >= SAMPLE_BYTES)
        if not files:
            names = ", ".join(path.name for path, _, _ in wanted)
            raise Absent(f"the spool files are missing or empty: {names}")
        return _Material(files, channels)

    def _place(self, call_session_id: int, track: Track) -> tuple[Path, int, int]:
        path = self._inside_spool(f"{call_session_id}/{track.file}.sln")
        return path, SIDES.index(track.side), track.offset

    def _message_path(self, row: Mapping[str, Any], events: Sequence[Event]) -> Path:
        for event in events:
            if event.type is EventType.VOICE_MAIL_LEFT and event.data.get("leg_id") == row["leg_id"]:
                return self._inside_spool(str(event.data["path"]))
        raise Absent("the event that told of the message is gone")

    def _inside_spool(self, relative: str) -> Path:
        path = (self._spool / relative).resolve()
        if not path.is_relative_to(self._spool.resolve()):
            raise Absent(f"{relative} lies outside of the spool")
        return path

    async def _tell(
        self,
        account_id: int,
        row: Mapping[str, Any],
        events: Sequence[Event],
        material: _Material,
        written: Written,
        wav: Path,
        mp3: Path,
    ) -> None:
        """Row and event, in one transaction, once."""
        async with self._db.connection() as conn:
            cursor = await conn.execute(
                _READY,
                {
                    "account_id": account_id,
                    "recording_id": row["recording_id"],
                    "wav": str(wav),
                    "mp3": str(mp3),
                    "duration_ms": written.duration_ms,
                    "size": written.wav_bytes + written.mp3_bytes,
                    "channels": Jsonb([side.value for side in material.channels]),
                },
            )
            if cursor.rowcount:
                await _append_ready(conn, account_id, row, events, written)

    async def _clear_spool(self, account_id: int, call_session_id: int) -> None:
        """Remove the session's spool folder when every recording of it is settled."""
        row = await self._db.fetch_one(
            "select count(*) as open from recordings where account_id = %s and call_session_id = %s"
            " and status in ('pending', 'failed')",
            (account_id, call_session_id),
        )
        if row is not None and row["open"] == 0:
            await asyncio.to_thread(shutil.rmtree, self._spool / str(call_session_id), ignore_errors=True)


class Sweeper:
    """Finds what fell between two stools: recordings never ordered or never made, spool folders nobody removed."""

    def __init__(self, db: Database, jobs: Jobs, settings: Settings) -> None:
        self._db = db
        self._jobs = jobs
        self._spool = settings.spool_dir

    async def sweep(self, after: float = _SWEEP_AFTER) -> int:
        """Look once; returns how many recordings were ordered. Call it every minute.

        :param after: seconds that things have to come right by themselves.
        """
        sessions = await asyncio.to_thread(self._spooled_sessions)
        ordered = 0
        async with self._db.connection() as conn:
            cursor = await conn.execute(_FORGOTTEN, (sessions, after))
            for row in await cursor.fetchall():
                talk = Wanted(row["account_id"], row["call_session_id"], None, RecordingKind.TALK)
                ordered += await order(conn, self._jobs, [talk])
            cursor = await conn.execute(_STUCK, (after,))
            for row in await cursor.fetchall():
                await order_again(conn, self._jobs, [(row["account_id"], row["recording_id"])])
                ordered += 1
            cursor = await conn.execute(_DONE, (sessions, after))
            done = [row["call_session_id"] for row in await cursor.fetchall()]
        for session in done:
            await asyncio.to_thread(shutil.rmtree, self._spool / str(session), ignore_errors=True)
        if ordered:
            _log.warning("recordings_swept", count=ordered)
        return ordered

    def _spooled_sessions(self) -> list[int]:
        try:
            return [int(path.name) for path in self._spool.iterdir() if path.name.isdecimal()]
        except FileNotFoundError:
            return []


async def _append_ready(
    conn: Connection, account_id: int, row: Mapping[str, Any], events: Sequence[Event], written: Written
) -> None:
    finished = next((e.data for e in reversed(events) if e.type is EventType.SESSION_FINISHED), {})
    await store.append(
        conn,
        account_id,
        call_stream(row["call_session_id"]),
        EventType.RECORDING_READY,
        Instant(time.time()),
        {
            **finished,
            "recording_id": row["recording_id"],
            "kind": row["kind"],
            "leg_id": row["leg_id"],
            "file_duration": written.duration_ms / 1000,
            "has_wav": True,
            "has_mp3": True,
        },
    )


def _folder_of(account_id: int, call_session_id: int) -> Path:
    started = to_datetime(unix_ms_of(call_session_id) / 1000).astimezone(UTC)
    return Path(str(account_id)) / f"{started:%Y}" / f"{started:%m}"


def _assemble(material: _Material, wav: Path, mp3: Path, bit_rate: int) -> Written:
    with contextlib.ExitStack() as stack:
        sources = [
            Source(stack.enter_context(_sound(path)), side, offset) for path, side, offset in material.files
        ]
        channels = len(material.channels)
        return assembly.write(assembly.mix(sources, channels), channels, wav, mp3, bit_rate)


@contextlib.contextmanager
def _sound(path: Path) -> Iterator[BinaryIO]:
    """A file's samples: raw, or inside a WAV."""
    with path.open("rb") as file:
        if path.suffix == ".wav":
            file.seek(_wav_data_offset(path))
        yield file


def _sound_bytes(path: Path) -> int:
    try:
        size = path.stat().st_size
        return size - _wav_data_offset(path) if path.suffix == ".wav" else size
    except (FileNotFoundError, EOFError, wave.Error):
        return 0


def _wav_data_offset(path: Path) -> int:
    with wave.open(str(path)) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, assembly.SAMPLE_RATE):
            raise wave.Error("not 16-bit mono of 8000 Hz")
    # The header is not written back when the writer was killed, so its length is not believed; its place is.
    head = path.open("rb").read(4096)
    return head.index(b"data") + 8


async def _settled(paths: Sequence[Path]) -> None:
    """Wait until the engine has written the last of these files."""
    deadline = time.monotonic() + _SETTLE_LIMIT
    before: list[int] | None = None
    while time.monotonic() < deadline:
        sizes = [_sound_bytes(path) for path in paths]
        if sizes == before:
            return
        before = sizes
        await asyncio.sleep(_SETTLE_PERIOD)
