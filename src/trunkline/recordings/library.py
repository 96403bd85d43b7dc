"""Finds recordings for playback."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from pathlib import Path

from trunkline.db.pool import Database
from trunkline.recordings.links import RECORDING_ID, RecordingKind

_OF_CALL = """
select recording.account_id, recording.recording_id, recording.kind, recording.wav_path, recording.mp3_path,
    account.open_recording_links
from recordings recording join accounts account using (account_id)
where recording.call_session_id = %s and recording.status = 'ready' and account.status = 'active'
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
        if found is None:
            return None
        return Found(
            found["account_id"],
            call_session_id,
            RecordingKind(found["kind"]),
            self._path(found["wav_path"]),
            self._path(found["mp3_path"]),
            found["open_recording_links"],
        )

    def _path(self, relative: str | None) -> Path | None:
        return None if relative is None else self._folder / relative
