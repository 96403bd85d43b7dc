"""Processes uploaded calls: fetches and analyses their recordings, creates call sessions, enqueues callbacks.

Every step can be interrupted and repeated: fetched files are in a folder of the call that each attempt empties
first; files of finished recordings are named by the recording, whose id was chosen when the call was accepted; rows are
written in the one transaction that settles the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.log import get_logger
from trunkline.core.settings import Settings
from trunkline.db import partitions
from trunkline.db.jobs import Jobs
from trunkline.db.partitions import month_of_id
from trunkline.db.pool import Connection, Database
from trunkline.outbound import requests_of
from trunkline.uploads import accept, callbacks, storage
from trunkline.uploads.decoder import Decoded, Decoder
from trunkline.uploads.download import Downloader
from trunkline.uploads.history import Kept, write_calls
from trunkline.uploads.model import (
    MAX_DECODER_FAULTS,
    Channel,
    DecoderFault,
    ErrorCode,
    Record,
    RecordType,
    UploadedCall,
    UploadFailed,
    UploadStatus,
)

_log = get_logger("uploads")

WhenReady = Callable[[Connection, int, str], Awaitable[None]]
"""Called with account and recording id, in the transaction in which a recording becomes ready: a listener with work to do
on it enqueues the job there."""

_TAKE = """
update uploaded_calls set status = 'in_process', runs = runs + 1
from (select account_id, uploaded_call_id, status as old_status from uploaded_calls
    where account_id = %s and uploaded_call_id = any(%s) and status in ('new', 'in_process') for update) old
where uploaded_calls.account_id = old.account_id and uploaded_calls.uploaded_call_id = old.uploaded_call_id
returning uploaded_calls.*, old.old_status
"""

_HOLD = """
select status from uploaded_calls where account_id = %s and uploaded_call_id = %s for update
"""

_PROCESSED = """
update uploaded_calls set status = 'processed', settled_at = now() where account_id = %s and uploaded_call_id = any(%s)
"""

_FAILED = """
update uploaded_calls set status = 'error', error_code = %s, error_message = %s, failures = failures + 1,
    settled_at = now()
where account_id = %s and uploaded_call_id = %s
"""


_FAULT = """
update uploaded_calls set decoder_faults = decoder_faults + 1 where account_id = %s and uploaded_call_id = %s
    and status = 'in_process'
returning decoder_faults
"""


_CONVERTED_FACTOR = 3
"""Size of what is made of a WAV of 8 bits, in sizes of the WAV: one of 16 bits, and an MP3."""


_RESERVED_PAUSE = 0.5
"""Seconds until a call tries again to reserve bytes that others of its account have reserved."""


class Processor:
    """Does the jobs. Close it at the end.

    :param when_ready: see :data:`WhenReady`.
    """

    def __init__(
        self, db: Database, jobs: Jobs, settings: Settings, when_ready: Sequence[WhenReady] = ()
    ) -> None:
        self._db = db
        self._jobs = jobs
        self._work = settings.uploads_dir
        self._recordings = settings.recordings_dir
        self._file_max = settings.uploads.file_max
        self._quota = storage.Quota.of(settings)
        self._check_space = partial(storage.check_disk, settings)
        self._downloader = Downloader(settings.uploads, settings.loopback_ports, self._check_space)
        self._decoder = Decoder(settings.uploads, settings.recording.mp3_bit_rate)
        self._when_ready = tuple(when_ready)

    async def close(self) -> None:
        await self._downloader.close()

    async def process_plain(self, account_id: int, uploaded_call_ids: list[int]) -> None:
        """Settle calls that have no recordings, all at once; one by one when that does not go."""
        async with self._db.connection() as connection:
            rows = await self._take(connection, account_id, uploaded_call_ids)
        if not rows:
            return
        calls = [call_of(row) for row in rows]
        await self._make_partitions(calls)
        try:
            async with self._db.connection() as connection:
                await write_calls(connection, calls)
                await self._processed(connection, account_id, rows)
        except DatabaseUnavailable:
            raise
        except Exception as error:
            _log.warning(
                "uploaded_batch_taken_apart",
                account_id=account_id,
                error=repr(error),
                consequence="each call of the batch is processed alone, so that one bad call stops no other",
            )
            async with self._db.connection() as connection:
                for row in rows:
                    await accept.enqueue(connection, self._jobs, account_id, row["uploaded_call_id"])

    async def process(self, account_id: int, uploaded_call_id: int) -> None:
        """Settle one call."""
        async with self._db.connection() as connection:
            rows = await self._take(connection, account_id, [uploaded_call_id])
        if not rows:
            return
        row = rows[0]
        folder = self._work / f"{account_id}-{uploaded_call_id}"
        try:
            await asyncio.to_thread(_empty, folder)
            call = call_of(row)
            decoded = await self._fetch_all(call, folder)
            kept = await asyncio.to_thread(self._keep, call, decoded)
            await self._make_partitions([call])
            try:
                await self._settle(account_id, row, call, kept)
            except UploadFailed:
                await asyncio.to_thread(_remove, self._recordings, kept)
                raise
        except UploadFailed as failure:
            # Only a fault of the upload is final. After any other error the job is tried again without end.
            await self._fail(account_id, row, failure)
        except DecoderFault as fault:
            if await self._decoder_faults(row) < MAX_DECODER_FAULTS:
                raise
            message = (
                f"The recording could not be decoded in {MAX_DECODER_FAULTS} attempts ({fault.message})."
            )
            await self._fail(account_id, row, UploadFailed(fault.code, message))
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            await self._release(account_id, uploaded_call_id)

    async def _release(self, account_id: int, uploaded_call_id: int) -> None:
        """Free reserved bytes. While the database does not respond, they count no longer than the job runs."""
        with contextlib.suppress(DatabaseUnavailable, psycopg.Error):
            async with self._db.connection() as connection:
                await storage.release(connection, account_id, uploaded_call_id)

    async def _take(
        self, connection: Connection, account_id: int, ids: Sequence[int]
    ) -> list[dict[str, Any]]:
        """Calls that are still to be worked on, from now on in process."""
        cursor = await connection.execute(_TAKE, (account_id, list(ids)))
        rows = sorted(await cursor.fetchall(), key=lambda row: row["uploaded_call_id"])
        for row in rows:
            if row["old_status"] == UploadStatus.NEW:
                await callbacks.enqueue(connection, account_id, row, UploadStatus.IN_PROCESS, {})
        return rows

    async def _reserve(self, call: UploadedCall, most: int) -> storage.Reservation | None:
        async with self._db.connection() as connection:
            running = [
                one["uploaded_call_id"] for one in await self._jobs.running(connection, accept.PROCESS_CALL)
            ]
            ids = (call.account_id, call.uploaded_call_id)
            return await storage.reserve(connection, *ids, most, self._quota, running)

    async def _fetch_all(self, call: UploadedCall, folder: Path) -> list[Decoded]:
        """Fetch and decode the call's recordings, within bytes that are reserved before. While other calls of the account
        have reserved what is left of its limits, this one waits for them."""
        if not call.records:
            return []
        one = self._file_max * (1 if call.record_type is RecordType.MP3 else 1 + _CONVERTED_FACTOR)
        while True:
            reserved = await self._reserve(call, len(call.records) * one)
            if reserved is not None:
                break
            await asyncio.sleep(_RESERVED_PAUSE)
        decoded: list[Decoded] = []
        for number, record in enumerate(call.records):
            decoded.append(await self._fetch(call, number, record, folder, reserved, decoded))
            left = len(call.records) - len(decoded)
            async with self._db.connection() as connection:
                await reserved.shrink(connection, _size(decoded) + left * one)
        return decoded

    async def _fetch(
        self,
        call: UploadedCall,
        number: int,
        record: Record,
        folder: Path,
        reserved: storage.Reservation,
        before: Sequence[Decoded],
    ) -> Decoded:
        assert call.record_type is not None
        source = folder / f"{number}.{call.record_type}"
        most = min(self._file_max, reserved.bytes - _size(before))
        try:
            with requests_of(call.account_id):
                size = await self._downloader.fetch(record.url, call.record_type, source, most)
        except UploadFailed as failure:
            if failure.code is ErrorCode.FILE_SIZE and most < self._file_max:
                raise reserved.exceeded() from failure
            raise
        if call.record_type is RecordType.MP3:
            return await self._decoder.decode(call.record_type, source, call.account_id)
        self._check_space(_CONVERTED_FACTOR * size)
        decoded = await self._decoder.decode(call.record_type, source, call.account_id)
        await asyncio.to_thread(source.unlink)
        return decoded

    def _keep(self, call: UploadedCall, decoded: Sequence[Decoded]) -> list[Kept]:
        """Move the files to where recordings stay."""
        started = call.start_time
        place = Path(str(call.account_id)) / f"{started:%Y}" / f"{started:%m}"
        folder = self._recordings / place
        folder.mkdir(parents=True, exist_ok=True)
        kept = []
        for record, one in zip(call.records, decoded, strict=True):
            names = {kind: place / f"{record.recording_id}.{kind}" for kind in ("mp3", "wav")}
            mp3 = _moved(one.mp3, self._recordings / names["mp3"])
            wav = None if one.wav is None else _moved(one.wav, self._recordings / names["wav"])
            stays = Decoded(one.duration_ms, one.source, mp3, wav)
            kept.append(Kept(stays, str(names["mp3"]), str(names["wav"]) if wav else None))
        _sync(folder)
        return kept

    async def _settle(
        self, account_id: int, row: Mapping[str, Any], call: UploadedCall, kept: Sequence[Kept]
    ) -> None:
        async with self._db.connection() as connection:
            cursor = await connection.execute(_HOLD, (account_id, row["uploaded_call_id"]))
            now = await cursor.fetchone()
            await storage.release(connection, account_id, row["uploaded_call_id"])
            if now is None or now["status"] != UploadStatus.IN_PROCESS:
                return
            await write_calls(connection, [call], {call.session_id: kept})
            if kept:
                await storage.check_stored(connection, account_id, self._quota)
                await storage.note_stored(connection, account_id)
            for record in call.records:
                for notify in self._when_ready:
                    await notify(connection, account_id, record.recording_id)
            await self._processed(connection, account_id, [row])

    async def _processed(
        self, connection: Connection, account_id: int, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        await connection.execute(_PROCESSED, (account_id, [row["uploaded_call_id"] for row in rows]))
        for row in rows:
            more = {"call_session_id": row["session_id"]}
            await callbacks.enqueue(connection, account_id, row, UploadStatus.PROCESSED, more)

    async def _fail(self, account_id: int, row: Mapping[str, Any], failure: UploadFailed) -> None:
        _log.info(
            "uploaded_call_failed",
            account_id=account_id,
            ext_id=row["ext_id"],
            code=failure.code,
            message=failure.message,
        )
        async with self._db.connection() as connection:
            ids = (account_id, row["uploaded_call_id"])
            await connection.execute(_FAILED, (failure.code.value, failure.message, *ids))
            if isinstance(failure, storage.StorageFull):
                await storage.note_refused(connection, account_id, failure)
            more = {"error_code": failure.code.value, "error_message": failure.message}
            await callbacks.enqueue(connection, account_id, row, UploadStatus.ERROR, more)

    async def _decoder_faults(self, row: Mapping[str, Any]) -> int:
        """How many there were of this upload, with this one."""
        async with self._db.connection() as connection:
            cursor = await connection.execute(_FAULT, (row["account_id"], row["uploaded_call_id"]))
            counted = await cursor.fetchone()
        return 0 if counted is None else int(counted["decoder_faults"])

    async def _make_partitions(self, calls: Sequence[UploadedCall]) -> None:
        """In a separate transaction, because creating a partition locks the table until its end."""
        async with self._db.connection() as connection:
            await partitions.ensure_months(connection, {month_of_id(call.session_id) for call in calls})


def call_of(row: Mapping[str, Any]) -> UploadedCall:
    """The call in a row of ``uploaded_calls``."""
    kind = row["record_type"]
    return UploadedCall(
        **{name: row[name] for name in UploadedCall.columns()},
        record_type=None if kind is None else RecordType(kind),
        records=[_record_of(record) for record in row["records"]],
    )


def _record_of(record: Mapping[str, Any]) -> Record:
    channel = record["employee_channel"]
    return Record(
        url=record["record_url"],
        recording_id=record["recording_id"],
        employee_id=record["employee_id"],
        employee_name=record["employee_name"],
        employee_channel=None if channel is None else Channel(channel),
    )


def _size(decoded: Sequence[Decoded]) -> int:
    return sum(one.size_bytes for one in decoded)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _remove(folder: Path, kept: Sequence[Kept]) -> None:
    for one in kept:
        for name in (one.mp3, one.wav):
            if name is not None:
                (folder / name).unlink(missing_ok=True)


def _moved(source: Path, target: Path) -> Path:
    _sync(source)
    source.replace(target)
    return target


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
