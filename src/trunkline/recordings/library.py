"""Finds recordings for playback."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path

from trunkline.db.pool import Database, Row
from trunkline.recordings.links import RECORDING_ID, RecordingKind

_OF_CALL = """
select recording.account_id, recording.recording_id, recording.kind, recording.wav_path, recording.mp3_path,
    account.open_recording_links
from recordings recording join accounts account using (account_id)
where recording.call_session_id = %s and recording.status = 'ready' and account.status = 'active'
"""


_OF_ACCOUNT = """
select account_id, call_session_id, recording_id, kind, wav_path, mp3_path, false as open_recording_links
from recordings where account_id = %(account_id)s and status = 'ready'
    and (call_session_id = %(id)s or leg_id = %(id)s)
order by leg_id is distinct from %(id)s, kind <> 'talk', created_at, recording_id limit 1
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A recording with its files; a path is None when that form was not kept."""

    account_id: int
    call_session_id: int
    kind: RecordingKind
    wav: Path | None
    mp3: Path | None
    is_open: bool
    """Whether its account permits access by the address alone (``accounts.open_recording_links``)."""


class Library:
    """:param folder: ``recordings_dir`` of the settings."""

    def __init__(self, db: Database, folder: Path) -> None:
        self._db = db
        self._folder = folder

    async def find(self, call_session_id: int, recording_id: str) -> Found | None:
        """The recording of a call with this id. The endpoint checks the access rights.

        Ids are compared in constant time, so that response times do not disclose a part of an id.
        """
        if not RECORDING_ID.match(recording_id) or call_session_id >= 1 << 63:
            return None
        found = None
        for row in await self._db.fetch_all(_OF_CALL, (call_session_id,)):
            if hmac.compare_digest(row["recording_id"], recording_id):
                found = row
        return None if found is None else self._found({**found, "call_session_id": call_session_id})

    async def find_of_call(self, account_id: int, identifier: int) -> Found | None:
        """The recording of a call session or a leg: of the talk, if there is one, else of the message."""
        row = await self._db.fetch_one(_OF_ACCOUNT, {"account_id": account_id, "id": identifier})
        return None if row is None else self._found(row)

    def _found(self, row: Row) -> Found:
        return Found(
            row["account_id"],
            row["call_session_id"],
            RecordingKind(row["kind"]),
            self._path(row["wav_path"]),
            self._path(row["mp3_path"]),
            row["open_recording_links"],
        )

    def _path(self, relative: str | None) -> Path | None:
        return None if relative is None else self._folder / relative
