"""Texts for single calls: spoken once, kept by content, never lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from trunkline.core.errors import InvalidInput, Unavailable
from trunkline.directory.media import spoken
from trunkline.directory.media.spoken import SpokenTexts
from trunkline.speech import NullSpeech


@dataclass
class _CountedSpeech(NullSpeech):
    """The null speech with a counter; fails on demand."""

    said: list[tuple[str, str]] = field(default_factory=list)
    away: bool = False

    async def synthesise(self, text: str, language: str = "en") -> bytes:
        self.said.append((text, language))
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("no voice now")
        return await NullSpeech().synthesise(text, language)


@pytest.fixture
def speech() -> _CountedSpeech:
    return _CountedSpeech()


async def test_many_who_want_one_text_share_it(speech: _CountedSpeech, tmp_path: Path) -> None:
    texts = SpokenTexts(speech, tmp_path)
    files = await asyncio.gather(*(texts.file_of("Good day", "en") for _ in range(5)))
    files.append(await texts.file_of("Good day", "en"))
    assert len(set(files)) == 1
    assert speech.said == [("Good day", "en")]
    assert Path(f"{files[0]}.wav").read_bytes() == await NullSpeech().synthesise("Good day", "en")
    assert await texts.file_of("Good day", "ru") != files[0]
    assert len(speech.said) == 2


async def test_a_failure_is_not_kept(speech: _CountedSpeech, tmp_path: Path) -> None:
    texts = SpokenTexts(speech, tmp_path)
    speech.away = True
    with pytest.raises(Unavailable):
        await texts.file_of("Good day", "en")
    with pytest.raises(InvalidInput):
        await SpokenTexts(NullSpeech(), tmp_path).file_of("...", "en")
    speech.away = False
    assert Path(await texts.file_of("Good day", "en") + ".wav").exists()


async def test_a_lost_file_is_spoken_again(speech: _CountedSpeech, tmp_path: Path) -> None:
    texts = SpokenTexts(speech, tmp_path)
    file = Path(await texts.file_of("Good day", "en") + ".wav")
    file.unlink()
    assert Path(await texts.file_of("Good day", "en") + ".wav") == file
    assert file.exists()


async def test_one_who_leaves_does_not_take_the_sound_along(speech: _CountedSpeech, tmp_path: Path) -> None:
    texts = SpokenTexts(speech, tmp_path)
    first = asyncio.create_task(texts.file_of("Good day", "en"))
    await asyncio.sleep(0)
    second = asyncio.create_task(texts.file_of("Good day", "en"))
    await asyncio.sleep(0)
    first.cancel()
    assert Path(await second + ".wav").exists()
    assert len(speech.said) == 1


async def test_only_so_many_are_remembered(
    speech: _CountedSpeech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spoken, "KEPT", 2)
    texts = SpokenTexts(speech, tmp_path)
    for text in ("one", "two", "one", "three", "one", "two"):
        await texts.file_of(text, "en")
    assert [text for text, _ in speech.said] == ["one", "two", "three", "two"]
