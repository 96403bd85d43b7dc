"""The list of media files, and the playback of one: an account's own and the system set.

Behaviour that the reference leaves open: ``duration`` is rounded to whole seconds; ``normalization`` is false, files
sound as loud as they came; ``play_link`` needs a token, like the links of recordings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trunkline.contract.columns import field, listed
from trunkline.db.pool import Database
from trunkline.db.query import Listing
from trunkline.directory.model import SYSTEM_ACCOUNT_ID

PATH = "/system/media/file/"
"""Path prefix of a media file's address, before its number."""

MEDIA_FILES = Listing(
    name="media_files",
    table="media_files m",
    where="m.account_id in (0, %(account_id)s)",
    order="m.media_file_id",
    columns=listed(
        "get.media_files",
        field("id", "m.media_file_id"),
        field("name", "m.name"),
        field("duration", "round(m.duration_ms / 1000.0)::int"),
        field("play_link", f"%(public_url)s || '{PATH}' || m.media_file_id || '/'"),
        field("normalization", "false"),
        field("size", "m.size_bytes"),
        field("type", "m.kind"),
    ),
)


@dataclass(frozen=True, slots=True)
class MediaFiles:
    """:param folder: ``media_dir`` of the settings."""

    db: Database
    folder: Path

    async def find(self, account_id: int, media_file_id: int) -> Path | None:
        """The sound (WAV) of a file of this account or of the system set."""
        row = await self.db.fetch_one(
            "select sha256 from media_files where account_id = any(%s) and media_file_id = %s",
            ([account_id, SYSTEM_ACCOUNT_ID], media_file_id),
        )
        return None if row is None else self.folder / f"{row['sha256']}.wav"
