"""The system media set: made once, kept, mended."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from trunkline.db.pool import Database
from trunkline.directory.media.store import SYSTEM_SET, ensure_system_media, store_sound
from trunkline.speech import DEFAULT_LANGUAGE, EspeakSpeech, NullSpeech, audio


class CountingSpeech(NullSpeech):
    """Counts what it was asked to say."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def synthesise(self, text: str, language: str = DEFAULT_LANGUAGE) -> bytes:
        self.said.append(text)
        return await super().synthesise(text, language)


async def rows(db: Database) -> dict[str, dict[str, object]]:
    found = await db.fetch_all("select * from media_files where account_id = 0")
    return {row["key"]: row for row in found}


async def test_the_set_is_made_once(db: Database, tmp_path: Path) -> None:
    speech = CountingSpeech()
    await ensure_system_media(db, tmp_path, speech)
    first = await rows(db)
    assert set(first) == set(SYSTEM_SET)
    assert {"dialing_music", "hold_music", "ringback", "beep", "voice_mail_prompt"} <= set(first)
    for row in first.values():
        content = (tmp_path / f"{row['sha256']}.wav").read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["sha256"]
        assert len(content) == row["size_bytes"]
        assert audio.duration_ms(audio.pcm_of(content)) == row["duration_ms"]
        assert row["kind"] == "system"
    asked = len(speech.said)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    await ensure_system_media(db, tmp_path, speech)
    assert len(speech.said) == asked
    assert await rows(db) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written


async def test_lost_files_come_back_under_the_same_id(db: Database, tmp_path: Path) -> None:
    await ensure_system_media(db, tmp_path, NullSpeech())
    first = await rows(db)
    for path in tmp_path.iterdir():
        path.unlink()
    await ensure_system_media(db, tmp_path, NullSpeech())
    assert await rows(db) == first
    assert len(list(tmp_path.glob("*.wav"))) == len({row["sha256"] for row in first.values()})


async def test_the_real_voice_says_every_prompt(db: Database, tmp_path: Path) -> None:
    await ensure_system_media(db, tmp_path, EspeakSpeech())
    for row in (await rows(db)).values():
        pcm = audio.pcm_of((tmp_path / f"{row['sha256']}.wav").read_bytes())
        assert not audio.is_silent(pcm)
        if row["spoken_text"] is not None:
            shortest = 300 if str(row["key"]).startswith("digit_") else 1000
            assert shortest < audio.duration_ms(pcm) < 10_000


async def test_the_same_sound_is_stored_once(tmp_path: Path) -> None:
    wav = await NullSpeech().synthesise("Hello")
    assert await store_sound(tmp_path, wav) == await store_sound(tmp_path, wav)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(ValueError, match="8000 Hz"):
        await store_sound(tmp_path, wav[:24] + (16000).to_bytes(4, "little") + wav[28:])
