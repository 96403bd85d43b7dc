"""Makes recordings from the engine's spool, and publishes them.

The steps can be interrupted anywhere and repeated: files appear complete under names that the recording's id
decides, then the row and the event ``recording_ready`` are written in one transaction, and only then the spool is
removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import struct
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, BinaryIO

import psycopg
from psycopg.types.json import Jsonb

from trunkline.core.clock import Instant, to_datetime
from trunkline.core.errors import DatabaseUnavailable, StreamOpen
from trunkline.core.ids import node_of, unix_ms_of
from trunkline.core.log import bound, get_logger
from trunkline.core.settings import Settings
from trunkline.core.spool import has_spool_of, nodes_of_spool
from trunkline.db.jobs import Jobs, RetryLater
from trunkline.db.pool import Connection, Database
from trunkline.events import store
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.recordings import assembly
from trunkline.recordings.assembly import SAMPLE_BYTES, SIDES, Side, Source, Track, Written
from trunkline.recordings.links import RecordingKind
from trunkline.recordings.listener import JOB, RecordingRequest, enqueue, enqueue_again

_log = get_logger("recordings")

_ASSEMBLING = 2
"""Recordings assembled concurrently in a process: it uses the processor."""

_SETTLE_PERIOD = 0.2
"""Seconds during which the spool files must not grow before they count as complete."""

_SETTLE_LIMIT = 10.0
"""Seconds after which they are taken as they are."""

_UNFINISHED_PERIOD = 1.0
"""Seconds until a recording of a call that is not over yet (a message being left) is looked at again; the longer it
waits, the rarer, up to a minute."""

_UNFINISHED_PERIOD_MAX = 60.0

_ENDED_AFTER = 3600.0
"""Seconds after the finish time of a call without an end event, after which the recording is made from the audio that is
there."""

_PENDING_MAX = 86_400.0
"""Seconds after which a recording that cannot be made gets a final state with the reason."""

_ELSEWHERE_PERIOD = 30.0
"""Seconds until a job is tried again when this worker cannot read its spool folder."""

_FORMAT = struct.Struct("<4s4x4s4s4xHHI6xH")
"""Beginning of a WAV file, without lengths: three marks, coding, channels, samples a second, bits of a sample."""

_HEADER_BYTES = 44
"""Of a WAV file without sound; a raw file of that length is under 3 ms."""

_ORPHAN_EMPTY = 3600.0
"""Seconds that a spool folder of an unknown call is kept when it has no sound."""

_ORPHAN_KEPT = 86_400.0
"""Seconds for which audio that belongs to no recording is kept."""

_SWEEP_AFTER = 120
"""Seconds after a session's end after which a spool folder of it should have become a recording."""

_ROWS = """
select recording.account_id, recording.recording_id, recording.call_session_id, recording.leg_id, recording.kind,
    recording.status,
    extract(epoch from now() - recording.created_at)::float8 as age,
    extract(epoch from now() - call.finish_time)::float8 as ended_for
from unnest(%s::bigint[], %s::text[]) as wanted (account_id, recording_id)
    join recordings recording using (account_id, recording_id)
    left join call_sessions call using (account_id, call_session_id)
"""

_READY = """
update recordings set status = 'ready', wav_path = %(wav)s, mp3_path = %(mp3)s, duration_ms = %(duration_ms)s,
    size_bytes = %(size)s, channels = %(channels)s, failure = %(failure)s, ready_at = now()
where account_id = %(account_id)s and recording_id = %(recording_id)s and status <> 'ready'
returning (select count(*) from recordings other where other.account_id = %(account_id)s
    and other.call_session_id = %(call_session_id)s and other.recording_id <> %(recording_id)s
    and other.status in ('pending', 'failed')) as others_open
"""

_ABSENT = """
update recordings set status = 'absent', failure = %s
where account_id = %s and recording_id = %s and status <> 'ready'
"""

_FAILED = """
update recordings set status = 'failed', failure = %s
where account_id = %s and recording_id = %s and status = 'pending'
"""

_FORGOTTEN = """
select call.account_id, call.call_session_id from call_sessions call
where call.call_session_id = any(%s) and call.finish_time < now() - make_interval(secs => %s)
    and not exists (select 1 from recordings recording where recording.account_id = call.account_id
        and recording.call_session_id = call.call_session_id and recording.kind = 'talk')
    and exists (select 1 from call_events event where event.account_id = call.account_id
        and event.call_session_id = call.call_session_id and event.type = 'recording_started')
"""

# Those without a job: a job that waits is not doubled.
_STUCK = """
select account_id, recording_id, call_session_id from recordings
where status = 'pending' and created_at < now() - make_interval(secs => %s)
    and (call_session_id >> 7) & 63 = any(%s) and not recording_id = any(%s)
order by created_at limit 100
"""

# What is known of the calls that have spool folders.
_OWNERS = """
select spooled.call_session_id, call.call_session_id is not null as is_known,
    extract(epoch from now() - call.finish_time)::float8 as ended_for,
    (select count(*) from recordings recording where recording.account_id = call.account_id
        and recording.call_session_id = call.call_session_id) as recordings
from unnest(%s::bigint[]) as spooled (call_session_id)
    left join call_sessions call on call.call_session_id = spooled.call_session_id
"""

_DONE = """
select call_session_id from recordings where call_session_id = any(%s) group by call_session_id
having bool_and(status in ('ready', 'absent'))
    and max(coalesce(ready_at, created_at)) < now() - make_interval(secs => %s)
"""


class RecordingFailed(Exception):  # noqa: N818 - what happened
    """The recording has its final state; the job is over."""


class NoAudio(Exception):  # noqa: N818 - a finding
    """There is no audio for the recording; has the reason."""


@dataclass(frozen=True, slots=True)
class _Material:
    """What a recording is made of."""

    files: tuple[tuple[Path, int, int], ...]
    """Path, side, offset in samples."""
    channels: tuple[Side, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A row of ``recordings`` that is not made yet, and the events of its call."""

    row: Mapping[str, Any]
    events: Sequence[Event]


class RecordingMaker:
    """Does the jobs. One in each worker process."""

    def __init__(self, db: Database, settings: Settings, jobs: Jobs | None = None) -> None:
        self._db = db
        self._jobs = jobs
        self._spool = settings.spool_dir
        self._recordings = settings.recordings_dir
        self._bit_rate = settings.recording.mp3_bit_rate
        self._assembling = asyncio.Semaphore(_ASSEMBLING)
        self._under_way: set[str] = set()

    async def make_recordings(self, recordings: Sequence[tuple[int, str]], node: int | None = None) -> None:
        """Make pending recordings side by side; raises when one cannot be made yet, once the others are.

        :param recordings: account and recording ids.
        :param node: of their calls; None in jobs that were enqueued before they named it.
        """
        if node is None and self._jobs is not None:
            await self._move_to_node_queues(self._jobs, recordings)
            return
        if node is not None:
            self._check_spool(node, len(recordings))
        claimed = [one for one in recordings if one[1] not in self._under_way]
        ids = {recording_id for _, recording_id in claimed}
        self._under_way |= ids
        try:
            found = await self._find(claimed)
            outcomes = await asyncio.gather(*map(self._make_or_fail, found), return_exceptions=True)
        finally:
            self._under_way -= ids
        troubles = [
            one for one in outcomes if isinstance(one, BaseException) and not isinstance(one, RecordingFailed)
        ]
        for trouble in sorted(troubles, key=lambda one: isinstance(one, RetryLater)):
            raise trouble

    async def _move_to_node_queues(self, jobs: Jobs, recordings: Sequence[tuple[int, str]]) -> None:
        """Enqueue recordings in the queues of the nodes of their calls."""
        async with self._db.connection() as conn:
            cursor = await conn.execute(_ROWS, _columns(recordings))
            pending = [row for row in await cursor.fetchall() if row["status"] == "pending"]
            await enqueue_again(
                conn,
                jobs,
                [(row["account_id"], row["recording_id"], row["call_session_id"]) for row in pending],
            )

    async def _find(self, recordings: Sequence[tuple[int, str]]) -> list[_Found]:
        """Those of them that are not made yet, with the events of their calls."""
        if not recordings:
            return []
        async with self._db.connection() as conn:
            cursor = await conn.execute(_ROWS, _columns(recordings))
            rows = [row for row in await cursor.fetchall() if row["status"] in ("pending", "failed")]
            calls = {(row["account_id"], row["call_session_id"]) for row in rows}
            events = await store.events_of_calls(conn, calls) if calls else {}
        return [_Found(row, events[call_stream(row["call_session_id"])]) for row in rows]

    async def _make_or_fail(self, found: _Found) -> None:
        with _bound(found.row):
            try:
                await self._make(found)
            except (RetryLater, DatabaseUnavailable, psycopg.Error):
                raise
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    _log.error(
                        "no_space_for_recording",
                        consequence=f"the recording is made later; it is tried again in {_UNFINISHED_PERIOD_MAX:.0f} s",
                        remedy="free space in the data folder, or give accounts a shorter retention:"
                        " `trunkline retention`",
                    )
                    raise RetryLater(_UNFINISHED_PERIOD_MAX) from error
                await self._fail_when_old(found.row["account_id"], found.row["recording_id"], error)
                raise
            except Exception as error:
                await self._fail_when_old(found.row["account_id"], found.row["recording_id"], error)
                raise

    def _check_spool(self, node: int, recordings: int) -> None:
        """:raises RetryLater: this worker cannot read the spool of the node."""
        if has_spool_of(self._spool, node):
            return
        _log.warning(
            "spool_not_reached",
            node=node,
            spool=str(self._spool),
            recordings=recordings,
            consequence="the recordings wait for a worker that reaches the files",
            remedy="run a worker on the machine of this node, or share the spool folder",
        )
        raise RetryLater(_ELSEWHERE_PERIOD)

    async def make_recording(self, account_id: int, recording_id: str) -> None:
        """Make a pending recording, or mark it as absent."""
        for found in await self._find([(account_id, recording_id)]):
            with _bound(found.row):
                await self._make(found)

    async def _make(self, found: _Found) -> None:
        row, events = found.row, found.events
        account_id, recording_id = row["account_id"], row["recording_id"]
        node = node_of(row["call_session_id"])
        self._check_spool(node, 1)
        if not any(event.type is EventType.SESSION_FINISHED for event in events):
            # Until then the switch alone numbers the call's events.
            if (row["ended_for"] or 0.0) < _ENDED_AFTER and row["age"] < _PENDING_MAX:
                raise RetryLater(min(max(_UNFINISHED_PERIOD, row["age"] / 10), _UNFINISHED_PERIOD_MAX))
            _log.warning(
                "recording_of_unfinished_call",
                consequence="the recording is made from the files that exist",
            )
        try:
            material = await self._material(row, events)
        except NoAudio as finding:
            _log.warning(
                "recording_absent",
                reason=str(finding),
                consequence="the call has no recording; the row has the reason",
            )
            await self._db.execute(_ABSENT, (str(finding), account_id, recording_id))
            return
        folder = _folder_of(account_id, row["call_session_id"])
        wav, mp3 = folder / f"{recording_id}.wav", folder / f"{recording_id}.mp3"
        async with self._assembling:
            written = await asyncio.to_thread(
                _assemble, material, self._recordings / wav, self._recordings / mp3, self._bit_rate
            )
        if await self._publish(account_id, row, events, material, written, wav, mp3):
            await self._clear_spool(account_id, row["call_session_id"])
        else:
            await self._remove_spool(row["call_session_id"])

    async def _fail_when_old(self, account_id: int, recording_id: str, error: Exception) -> None:
        """A final state for a recording that could not be made for a day. Its sound stays in the spool folder."""
        row = await self._db.fetch_one(_ROWS, _columns([(account_id, recording_id)]))
        if row is None or row["age"] < _PENDING_MAX:
            return
        reason = f"could not be made for a day: {error!r}"[:500]
        _log.error(
            "recording_failed",
            recording_id=recording_id,
            account_id=account_id,
            call_session_id=row["call_session_id"],
            reason=reason,
            consequence="there is no recording; its audio stays in the spool folder",
            remedy="remove the cause in reason; see job_failed before this line",
        )
        await self._db.execute(_FAILED, (reason, account_id, recording_id))
        raise RecordingFailed(reason) from error

    async def _material(self, row: Mapping[str, Any], events: Sequence[Event]) -> _Material:
        if row["kind"] == RecordingKind.VOICE_MAIL:
            wanted = [(self._message_path(row, events), 0, 0)]
            channels: tuple[Side, ...] = (Side.CONTACT,)
        else:
            tracks = assembly.plan(events)
            if not tracks:
                raise NoAudio("nothing was recorded: no party's recording had started")
            wanted = [self._place(row["call_session_id"], track) for track in tracks]
            channels = SIDES
        await _settled([path for path, _, _ in wanted])
        files = tuple(one for one in wanted if _sound_bytes(one[0]) >= SAMPLE_BYTES)
        if not files:
            names = ", ".join(path.name for path, _, _ in wanted)
            raise NoAudio(f"the spool files are missing or empty: {names}")
        return _Material(files, channels)

    def _place(self, call_session_id: int, track: Track) -> tuple[Path, int, int]:
        path = self._inside_spool(f"{call_session_id}/{track.file}.sln")
        return path, SIDES.index(track.side), track.offset

    def _message_path(self, row: Mapping[str, Any], events: Sequence[Event]) -> Path:
        for event in events:
            if event.type is EventType.VOICE_MAIL_LEFT and event.data.get("leg_id") == row["leg_id"]:
                return self._inside_spool(str(event.data["path"]))
        raise NoAudio("the event of the message no longer exists")

    def _inside_spool(self, relative: str) -> Path:
        path = (self._spool / relative).resolve()
        if not path.is_relative_to(self._spool.resolve()):
            raise NoAudio(f"{relative} is outside of the spool")
        return path

    async def _publish(
        self,
        account_id: int,
        row: Mapping[str, Any],
        events: Sequence[Event],
        material: _Material,
        written: Written,
        wav: Path,
        mp3: Path,
    ) -> bool:
        """Row and event, in one transaction, once.

        :returns: whether another recording of the call may be unsettled.
        """
        incomplete = _cut(row["kind"], events)
        if incomplete is not None:
            _log.warning(
                "recording_incomplete",
                reason=incomplete,
                consequence="the recording lacks sound; its row has the reason, its notification is_incomplete",
                remedy="free space in the data folder, or give accounts a shorter retention: `trunkline retention`; if the"
                " account has reached a limit, see `trunkline account recordings`",
            )
        async with self._db.connection() as conn:
            cursor = await conn.execute(
                _READY,
                {
                    "account_id": account_id,
                    "call_session_id": row["call_session_id"],
                    "recording_id": row["recording_id"],
                    "wav": str(wav),
                    "mp3": str(mp3),
                    "duration_ms": written.duration_ms,
                    "size": written.wav_bytes + written.mp3_bytes,
                    "channels": Jsonb([side.value for side in material.channels]),
                    "failure": incomplete,
                },
            )
            updated = await cursor.fetchone()
            if updated is None:
                return True
            try:
                await _append_ready(conn, account_id, row, events, written)
            except StreamOpen:  # nothing of it is written
                if any(event.type is EventType.SESSION_FINISHED for event in events):
                    raise
                # The call has no end in its events: its switch alone may add to them.
                _log.warning(
                    "recording_ready_without_event",
                    consequence="the recording is complete, and no notification is sent for it",
                )
            # Others that are made at the same time are not seen as settled before they commit.
            return bool(updated["others_open"])

    async def _clear_spool(self, account_id: int, call_session_id: int) -> None:
        """Remove the session's spool folder when every recording of it is settled."""
        row = await self._db.fetch_one(
            "select count(*) as open from recordings where account_id = %s and call_session_id = %s"
            " and status in ('pending', 'failed')",
            (account_id, call_session_id),
        )
        if row is not None and row["open"] == 0:
            await self._remove_spool(call_session_id)

    async def _remove_spool(self, call_session_id: int) -> None:
        await asyncio.to_thread(shutil.rmtree, self._spool / str(call_session_id), ignore_errors=True)


class Sweeper:
    """Enqueues recordings that were never enqueued or never made, and removes spool folders that belong to no open call and
    no pending recording."""

    def __init__(self, db: Database, jobs: Jobs, settings: Settings) -> None:
        self._db = db
        self._jobs = jobs
        self._spool = settings.spool_dir

    async def sweep(self, after: float = _SWEEP_AFTER) -> int:
        """Sweep once; returns how many recordings were enqueued. Call it every minute.

        :param after: seconds that the ordinary jobs have before the sweep acts.
        """
        folders = await asyncio.to_thread(self._folders)
        sessions = list(folders)
        nodes = await asyncio.to_thread(nodes_of_spool, self._spool)
        ordered = 0
        removed: list[int] = []
        async with self._db.connection() as conn:
            if sessions:
                cursor = await conn.execute(_FORGOTTEN, (sessions, after))
                for row in await cursor.fetchall():
                    talk = RecordingRequest(
                        row["account_id"], row["call_session_id"], None, RecordingKind.TALK
                    )
                    ordered += await enqueue(conn, self._jobs, [talk])
            with_job = [
                str(recording[1])
                for args in await self._jobs.arguments_of(conn, JOB)
                for recording in args["recordings"]
            ]
            cursor = await conn.execute(_STUCK, (after, list(nodes), with_job))
            for row in await cursor.fetchall():
                one = (row["account_id"], row["recording_id"], row["call_session_id"])
                await enqueue_again(conn, self._jobs, [one])
                ordered += 1
            if sessions:
                cursor = await conn.execute(_DONE, (sessions, after))
                removed = [row["call_session_id"] for row in await cursor.fetchall()]
                cursor = await conn.execute(_OWNERS, (sessions,))
                removed += [
                    row["call_session_id"]
                    for row in await cursor.fetchall()
                    if _is_left_over(folders[row["call_session_id"]], row, after)
                ]
        for session in removed:
            await asyncio.to_thread(shutil.rmtree, self._spool / str(session), ignore_errors=True)
        if ordered or removed:
            _log.warning(
                "recordings_swept",
                ordered=ordered,
                folders_removed=len(removed),
                consequence="recordings without a job have one again; folders of finished calls are removed",
            )
        return ordered

    def _folders(self) -> dict[int, _Folder]:
        """By call; empty while the spool cannot be read: the next sweep finds them."""
        now = time.time()
        try:
            names = [path for path in self._spool.iterdir() if path.name.isdecimal() and path.is_dir()]
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                _log.warning(
                    "spool_not_readable",
                    folder=str(self._spool),
                    error=str(error),
                    remedy="check owner and permissions of the folder, see `trunkline status`",
                )
            return {}
        return {int(path.name): _folder_state(path, now) for path in names if int(path.name) < 1 << 63}


@dataclass(frozen=True, slots=True)
class _Folder:
    """A spool folder: seconds since it last changed, and whether it holds sound."""

    quiet_for: float
    has_sound: bool


def _folder_state(path: Path, now: float) -> _Folder:
    changed, has_sound = 0.0, False
    with contextlib.suppress(OSError):
        changed = path.stat().st_mtime
        for entry in os.scandir(path):
            with contextlib.suppress(OSError):
                stat = entry.stat()
                changed = max(changed, stat.st_mtime)
                has_sound = has_sound or stat.st_size > _HEADER_BYTES
    return _Folder(now - changed, has_sound)


def _is_left_over(folder: _Folder, owner: Mapping[str, Any], after: float) -> bool:
    """Whether a spool folder belongs to no open call and no recording. Pure.

    :param owner: what the database has of the call, see ``_OWNERS``.
    """
    if owner["recordings"] or folder.quiet_for < after:
        return False
    if owner["is_known"] and (owner["ended_for"] is None or owner["ended_for"] < after):
        return False  # the call is open
    if folder.has_sound:
        return folder.quiet_for > _ORPHAN_KEPT
    return owner["is_known"] or folder.quiet_for > _ORPHAN_EMPTY


async def _append_ready(
    conn: Connection, account_id: int, row: Mapping[str, Any], events: Sequence[Event], written: Written
) -> None:
    finished = next((e.data for e in reversed(events) if e.type is EventType.SESSION_FINISHED), {})
    await store.append_to_end(
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
            **({"is_incomplete": True} if _cut(row["kind"], events) else {}),
        },
    )


def _cut(kind: str, events: Sequence[Event]) -> str | None:
    """Why a recording lacks sound; None: it is complete. Pure."""
    cut = (one for one in events if one.type is EventType.RECORDING_CUT and one.data.get("kind") == kind)
    return next((str(one.data["reason"]) for one in cut), None)


def _bound(row: Mapping[str, Any]) -> contextlib.AbstractContextManager[None]:
    """Log lines have the ids of the recording."""
    return bound(
        account_id=row["account_id"],
        recording_id=row["recording_id"],
        call_session_id=row["call_session_id"],
    )


def _columns(recordings: Sequence[tuple[int, str]]) -> tuple[list[int], list[str]]:
    return [account_id for account_id, _ in recordings], [recording_id for _, recording_id in recordings]


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
    """Where the samples of a WAV file of Asterisk begin.

    The lengths in its header are 0 until the recording ends, and stay so when Asterisk is killed: they are not read. The
    samples reach to the end of the file.

    :raises wave.Error: it is no such file.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    if len(head) < _HEADER_BYTES:
        raise EOFError(f"{path.name} ends within its header")
    riff, kind, chunk, coding, channels, rate, bits = _FORMAT.unpack_from(head)
    data = head.find(b"data", _FORMAT.size)
    if (riff, kind, chunk) != (b"RIFF", b"WAVE", b"fmt ") or data < 0:
        raise wave.Error("not a WAV file")
    if (coding, channels, bits, rate) != (1, 1, 8 * SAMPLE_BYTES, assembly.SAMPLE_RATE):
        raise wave.Error("not 16-bit mono of 8000 Hz")
    return data + 8


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
