"""Greetings of mailboxes that an employee records by phone: media files of the account."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trunkline.db.pool import Database
from trunkline.directory.media.store import store_sound
from trunkline.directory.model.account import GREETING
from trunkline.speech import audio

_OF_EMPLOYEE = """
select extension from employees where account_id = %(account_id)s and employee_id = %(employee_id)s
"""

_OF_GROUP = """
select extension from employee_groups where account_id = %(account_id)s and group_id = %(group_id)s
"""

_KEEP = """
insert into media_files (account_id, key, name, kind, sha256, duration_ms, size_bytes)
values (%(account_id)s, %(key)s, %(name)s, 'user', %(sha256)s, %(duration_ms)s, %(size_bytes)s)
on conflict (account_id, key) do update set sha256 = excluded.sha256, duration_ms = excluded.duration_ms,
    size_bytes = excluded.size_bytes, spoken_text = null, spoken_language = null
"""


class Greetings:
    """Keeps recorded greetings.

    :param spool_dir: where they are recorded.
    :param media_dir: where media files are kept.
    """

    def __init__(self, db: Database, spool_dir: Path, media_dir: Path) -> None:
        self._db = db
        self._spool = spool_dir
        self._media = media_dir

    async def keep(self, account_id: int, data: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a recorded greeting under the extension of its owner: ``result`` changed|unchanged (it has none).

        :param data: ``employee_id``, ``group_id`` (null: the mailbox of the employee), ``path`` of the recording.
        :raises OSError: it cannot be read. ValueError: it is no recording of a phone.
        """
        params = {"account_id": account_id, "employee_id": data["employee_id"], "group_id": data["group_id"]}
        row = await self._db.fetch_one(_OF_EMPLOYEE if data["group_id"] is None else _OF_GROUP, params)
        if row is None or row["extension"] is None:
            return {"result": "unchanged"}
        file = self._spool / data["path"]
        pcm = audio.pcm_of(await asyncio.to_thread(file.read_bytes))
        stored = await store_sound(self._media, audio.wav(pcm))
        await self._db.execute(
            _KEEP,
            {
                "account_id": account_id,
                "key": f"{GREETING}{row['extension']}",
                "name": f"Greeting of {row['extension']}",
                "sha256": stored.sha256,
                "duration_ms": stored.duration_ms,
                "size_bytes": stored.size_bytes,
            },
        )
        await asyncio.to_thread(file.unlink, missing_ok=True)
        return {"result": "changed"}
