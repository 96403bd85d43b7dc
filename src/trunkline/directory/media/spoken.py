"""Texts synthesized for single calls: each text once, stored in the media folder by the content of its sound.

Such a sound has no row in ``media_files``: it belongs to the call that plays it, not to the directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict
from pathlib import Path

from trunkline.core.concurrency_limit import ConcurrencyLimit
from trunkline.directory.media.store import store_sound
from trunkline.speech import Speech

KEPT = 512
"""Texts whose file is known without speaking them again."""

AT_ONCE = 2
"""Texts that are synthesized concurrently, one of each account."""
_QUEUE = 250
"""Texts of one account that may wait: as many as it has points a minute."""
_WAIT = 30.0


class SpokenTexts:
    """Turns texts into sound files. Requests of an account for the same text at the same time share the
    work; accounts take turns, so that one with many texts delays its own.

    :param media_dir: where the files go; the telephony engine reads them there.
    """

    def __init__(self, speech: Speech, media_dir: Path) -> None:
        self._speech = speech
        self._media_dir = media_dir
        self._known: OrderedDict[tuple[int, str, str], asyncio.Task[Path]] = OrderedDict()
        self._turns = ConcurrencyLimit("spoken texts", total=AT_ONCE, per_account=1, queue=_QUEUE, wait=_WAIT)

    async def file_of(self, text: str, language: str, *, account_id: int = 0) -> str:
        """The sound file of a text: an absolute path without its extension.

        :param language: BCP 47.
        :param account_id: the requesting account.
        :raises LimitExceeded: too many texts of the account wait.
        :raises InvalidInput: no speakable text, too long, or no voice for it.
        :raises Unavailable: the synthesiser failed or took too long.
        """
        key = (account_id, text, language)
        task = self._known.get(key)
        if task is None or _failed(task):
            task = asyncio.create_task(self._speak(account_id, text, language), name="spoken-text")
            self._known[key] = task
        self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        # Shielded: the first caller may be cancelled while others still wait for the same sound.
        file = await asyncio.shield(task)
        if not file.exists():
            self._known.pop(key, None)
            file = await self._speak(account_id, text, language)
        await asyncio.to_thread(_touch, file)
        return str(file.with_suffix(""))

    async def _speak(self, account_id: int, text: str, language: str) -> Path:
        async with self._turns.place(account_id):
            sound = await self._speech.synthesise(text, language)
        stored = await store_sound(self._media_dir, sound)
        return self._media_dir / f"{stored.sha256}.wav"


def _touch(file: Path) -> None:
    """Mark the file as used: retention removes files that were not used for a long time."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(file)


def _failed(task: asyncio.Task[Path]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
