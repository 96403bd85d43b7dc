"""A tenant with very many texts for synthesis delays only its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from trunkline.core.errors import LimitExceeded
from trunkline.directory.media.spoken import SpokenTexts
from trunkline.speech import NullSpeech

pytestmark = pytest.mark.attack

HOSTILE, VICTIM, OTHER = 1001, 1002, 1003


class _TwoVoices(NullSpeech):
    """Synthesizes two texts at a time, each for a given time."""

    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(2)
        self.said: list[str] = []

    async def synthesise(self, text: str, language: str = "en") -> bytes:
        async with self.slots:
            await asyncio.sleep(0.02)
            self.said.append(text)
            return await super().synthesise(text, language)


@pytest.mark.parametrize("text", ["A word of the victim", "A word of the hostile one: 59"])
async def test_a_flood_of_texts_delays_nobody_else(tmp_path: Path, text: str) -> None:
    speech = _TwoVoices()
    texts = SpokenTexts(speech, tmp_path)
    flood = [
        asyncio.create_task(texts.file_of(f"A word of the hostile one: {number}", "en", account_id=HOSTILE))
        for number in range(60)
    ]
    await asyncio.sleep(0)
    victims = [
        texts.file_of(text, "en", account_id=VICTIM),
        texts.file_of("Another tenant's", "en", account_id=OTHER),
    ]
    await asyncio.gather(*victims)
    assert len(speech.said) < 10, "the victim's text is among the first"
    await asyncio.gather(*flood)


class _SilentVoice(NullSpeech):
    """Takes the first text and never ends."""

    async def synthesise(self, text: str, language: str = "en") -> bytes:
        await asyncio.Event().wait()
        raise AssertionError("not reached")


async def test_so_many_texts_of_an_account_may_wait(tmp_path: Path) -> None:
    texts = SpokenTexts(_SilentVoice(), tmp_path)
    flood = [
        asyncio.create_task(texts.file_of(f"Number {number}", "en", account_id=HOSTILE))
        for number in range(400)
    ]
    refused, _ = await asyncio.wait(flood, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    assert refused
    for one in refused:
        assert isinstance(one.exception(), LimitExceeded)
    for one in flood:
        one.cancel()
    await asyncio.gather(*flood, return_exceptions=True)
