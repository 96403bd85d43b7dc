"""Greetings of mailboxes that an employee records by phone: media files of the account."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trunkline.db.pool import Database
from trunkline.directory.media.store import store_sound, write_recorded
from trunkline.directory.model.account import GREETING
from trunkline.speech import audio

_OF_EMPLOYEE = """
select extension from employees where account_id = %(account_id)s and employee_id = %(employee_id)s
"""

_OF_GROUP = """
select extension from employee_groups where account_id = %(account_id)s and group_id = %(group_id)s
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
        extension = row["extension"]
        await write_recorded(
            self._db, account_id, f"{GREETING}{extension}", f"Greeting of {extension}", stored
        )
        await asyncio.to_thread(file.unlink, missing_ok=True)
        return {"result": "changed"}
