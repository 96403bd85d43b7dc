"""Voice mail recordings: Asterisk writes each by a link straight into its final folder, also while no switch runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

from trunkline.core.clock import Instant
from trunkline.telephony.port import RecordFinished, SeenRecording
from trunkline.telephony.translate import seconds_of_wav

_NOTE = ".note"
_ENDED_MAX = 1000
"""Ended recordings that are kept in memory for the next survey."""
_LINK_SECONDS = 86_400.0
"""A recording is over by then."""


class MessageRecordings:
    """The links and notes of recordings in Asterisk's folder, from their beginning until their end is reported.

    :param folder: where Asterisk records to.
    :param is_live: whether Asterisk records under this name now.
    """

    def __init__(self, folder: Path, is_live: Callable[[str], Awaitable[bool]]) -> None:
        self._folder = folder
        self._is_live = is_live
        self._ended: dict[str, SeenRecording] = {}
        """Those that ended lately."""

    async def prepare(self, record_id: str, target: Path, note: str) -> None:
        """Lead what Asterisk will record under this name to ``target``."""
        self._ended.pop(record_id, None)
        await asyncio.to_thread(self._lead_to, target, record_id, note)

    def _lead_to(self, target: Path, record_id: str, note: str) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        link = self._folder / f"{record_id}.wav"
        link.parent.mkdir(parents=True, exist_ok=True)
        if note:
            # Events may be lost with a switch; what follows from the recording is not.
            part = link.with_suffix(".part")
            part.write_text(json.dumps({"target": str(target), "note": note}))
            part.replace(link.with_suffix(_NOTE))
        link.unlink(missing_ok=True)
        os.symlink(target, link)

    def note_end(self, signal: RecordFinished) -> None:
        """The end of a recording is being reported: it has no link any more."""
        (self._folder / f"{signal.record_id}.wav").unlink(missing_ok=True)
        self._ended[signal.record_id] = SeenRecording(signal.seconds, signal.at)
        if len(self._ended) > _ENDED_MAX:
            del self._ended[next(iter(self._ended))]

    async def survey(self) -> dict[str, SeenRecording]:
        """By name: those that go on, and those that ended lately or while no switch was connected.

        :raises EngineError: Asterisk does not respond.
        """
        links = await asyncio.to_thread(_links_in, self._folder)
        found = await asyncio.gather(*(self._find(link) for link in links))
        seen = {link.stem: one for link, one in zip(links, found, strict=True) if one is not None}
        ended, notes = await asyncio.to_thread(_read_notes, self._folder)
        seen = {**ended, **seen, **self._ended}
        return {name: replace(one, note=notes.get(name, "")) for name, one in seen.items()}

    async def _find(self, link: Path) -> SeenRecording | None:
        """None: it was not begun."""
        try:
            began_at = (await asyncio.to_thread(link.lstat)).st_mtime
        except FileNotFoundError:
            return None  # its end was reported meanwhile
        if not await self._is_live(link.stem):
            return await asyncio.to_thread(_ended_recording, link)
        # Asterisk has no duration of a recording that goes on. Its link was made right before it began.
        return SeenRecording(max(0.0, time.time() - began_at))


def _links_in(folder: Path) -> list[Path]:
    """The links of recordings; those that are older than a day are removed."""
    return _newer([path for path in folder.glob("*.wav") if path.is_symlink()])


def _newer(paths: Iterable[Path]) -> list[Path]:
    """Those of the last day; the others are removed."""
    oldest = time.time() - _LINK_SECONDS
    kept = []
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_mtime < oldest:
                path.unlink()
            else:
                kept.append(path)
    return kept


def _read_notes(folder: Path) -> tuple[dict[str, SeenRecording], dict[str, str]]:
    """Recordings whose sound is there, as if each had ended, and the notes of all."""
    ended, notes = {}, {}
    for path in _newer(folder.glob(f"*{_NOTE}")):
        try:
            noted = json.loads(path.read_text())
            target, notes[path.stem] = Path(noted["target"]), str(noted["note"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found = _ended_recording(target)
        if found is not None:
            ended[path.stem] = found
    return ended, notes


def _ended_recording(link: Path) -> SeenRecording | None:
    """A recording that does not go on; None when Asterisk has written nothing of it."""
    try:
        written_at = link.stat().st_mtime
    except OSError:
        return None
    return SeenRecording(seconds_of_wav(link), Instant(written_at))
