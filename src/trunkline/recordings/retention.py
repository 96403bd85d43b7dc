"""Removes recordings whose retention is over: first the row is set to ``removed``, then the files are deleted.

An interruption between the two leaves a row that is ``removed`` and still has a path: the next run deletes its files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trunkline.core.ids import first_id_at
from trunkline.core.log import get_logger
from trunkline.db.pool import Database

_log = get_logger("recordings")

BATCH = 100
"""Recordings of a transaction."""

_REMOVE = """
update recordings set status = 'removed', failure = 'removed: kept no longer' where account_id = %(account_id)s
    and recording_id = any(array(
        select recording_id from recordings
        where account_id = %(account_id)s and status = 'ready' and call_session_id < %(before)s
        order by call_session_id limit %(batch)s))
"""

_DELETE = """
select recording_id, wav_path, mp3_path from recordings
where account_id = %s and status = 'removed' and (wav_path is not null or mp3_path is not null) and recording_id > %s
order by recording_id limit %s
"""

_GONE = """
update recordings set wav_path = null, mp3_path = null
where account_id = %s and recording_id = any(%s) and status = 'removed'
"""


async def remove_recordings(db: Database, folder: Path, before: Mapping[int, float]) -> int:
    """Remove the recordings of old calls; how many.

    :param folder: of the recordings.
    :param before: by account: calls that began before this moment (Unix seconds).
    """
    count = 0
    for account_id, moment in before.items():
        ids = {"account_id": account_id, "before": first_id_at(int(moment * 1000)), "batch": BATCH}
        while await db.execute(_REMOVE, ids) == BATCH:
            pass
        last = ""
        while rows := await db.fetch_all(_DELETE, (account_id, last, BATCH)):
            last = rows[-1]["recording_id"]
            gone = await asyncio.to_thread(_delete_files, folder, account_id, rows)
            await db.execute(_GONE, (account_id, gone))
            count += len(gone)
    if count:
        _log.info("recordings_removed", count=count)
    return count


def _delete_files(folder: Path, account_id: int, rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """The recordings whose files are deleted; the others remain for the next run."""
    gone = []
    for row in rows:
        try:
            for relative in (row["wav_path"], row["mp3_path"]):
                if relative is not None:
                    (folder / relative).unlink(missing_ok=True)
        except OSError as error:
            _log.warning(
                "recording_not_removed",
                account_id=account_id,
                recording_id=row["recording_id"],
                error=str(error),
                consequence="the report has no recording any more, and its file is still there; the next run tries again",
                remedy="make the file writable for the user that runs Trunkline, or delete it",
            )
        else:
            gone.append(row["recording_id"])
    return gone
