"""Removes the audio files of spoken texts that were not used for a long time.

Files that an account or the system set has are kept.
"""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

from trunkline.db.pool import Database

_FILE = re.compile(r"[0-9a-f]{64}\Z")


async def remove_spoken_texts(db: Database, folder: Path, days: int) -> int:
    """Remove sound files that were not used for so many days and belong to no media file; how many.

    The same text is the same file for all accounts, so there is one number of days for all. It is synthesized again when it
    is needed again.
    """
    old = await asyncio.to_thread(_old_files, folder, time.time() - days * 86_400)
    if not old:
        return 0
    rows = await db.fetch_all("select distinct sha256 from media_files where sha256 = any(%s)", (list(old),))
    kept = {row["sha256"] for row in rows}
    gone = [path for name, path in old.items() if name not in kept]
    await asyncio.to_thread(_remove, gone)
    return len(gone)


def _old_files(folder: Path, before: float) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {
        path.stem: path
        for path in folder.glob("*.wav")
        if _FILE.match(path.stem) and path.stat().st_mtime < before
    }


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
