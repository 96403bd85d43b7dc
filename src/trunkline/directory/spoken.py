"""Texts spoken for single calls: each text once, kept in the media folder by its sound's content.

Such a sound has no row in ``media_files``: it belongs to the call that plays it, not to the directory.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict
from pathlib import Path

from trunkline.directory.media import store_sound
from trunkline.speech import Speech

KEPT = 512
"""Texts whose file is known without speaking them again."""


class SpokenTexts:
    """Turns texts into sound files. Requests for the same text at the same time share the work.

    :param media_dir: where the files go; the telephony engine reads them there.
    """

    def __init__(self, speech: Speech, media_dir: Path) -> None:
        self._speech = speech
        self._media_dir = media_dir
        self._known: OrderedDict[tuple[str, str], asyncio.Task[Path]] = OrderedDict()

    async def file_of(self, text: str, language: str) -> str:
        """The sound file of a text: an absolute path without its extension.

        :param language: BCP 47.
        :raises InvalidInput: nothing to say, too long, or no voice for it.
        :raises Unavailable: the synthesiser failed or took too long.
        """
        key = (text, language)
        task = self._known.get(key)
        if task is None or _failed(task):
            task = asyncio.create_task(self._speak(text, language), name="spoken-text")
            self._known[key] = task
        self._known.move_to_end(key)
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        # Shielded: whoever asked first may leave, the others still wait for the same sound.
        file = await asyncio.shield(task)
        if not file.exists():
            self._known.pop(key, None)
            file = await self._speak(text, language)
        await asyncio.to_thread(_touch, file)
        return str(file.with_suffix(""))

    async def _speak(self, text: str, language: str) -> Path:
        stored = await store_sound(self._media_dir, await self._speech.synthesise(text, language))
        return self._media_dir / f"{stored.sha256}.wav"


def _touch(file: Path) -> None:
    """Mark the file as used: retention removes files that were not used for a long time."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(file)


def _failed(task: asyncio.Task[Path]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
