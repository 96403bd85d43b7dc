"""The real synthesiser: it is heard, it has a plausible length, it survives odd input."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trunkline.core.errors import InvalidInput, Unavailable
from trunkline.speech import MAX_CHARACTERS, EspeakSpeech, NullSpeech, Speech, audio

pytestmark = pytest.mark.shells

SENTENCE = "Welcome to our company. Please hold the line, we connect you with our team."


def voiced_share(pcm: bytes) -> float:
    """Share of 20 ms pieces that are louder than -45 dBFS."""
    piece = audio.RATE * audio.SAMPLE_BYTES // 50
    pieces = [pcm[start : start + piece] for start in range(0, len(pcm) - piece, piece)]
    return sum(audio.level_dbfs(each) > -45 for each in pieces) / len(pieces)


@pytest.mark.parametrize(
    ("text", "language", "least", "most"),
    [
        (SENTENCE, "en", 3500, 8000),
        (SENTENCE, "en-US", 3500, 8000),
        (SENTENCE, "en_AE", 3500, 8000),
        ("Здравствуйте, оставайтесь на линии.", "ru", 1200, 4500),
        ("مرحبا بكم في شركتنا", "ar", 1200, 4500),
        ("One & two < three > four \x00\u200d \U0001f600 [[h@'l]] $100", "en", 2000, 12000),
    ],
)
async def test_speech_is_heard(text: str, language: str, least: int, most: int) -> None:
    wav = await EspeakSpeech().synthesise(text, language)
    pcm = audio.pcm_of(wav)
    assert least < audio.duration_ms(pcm) < most
    assert -32 < audio.level_dbfs(pcm) < -10
    assert voiced_share(pcm) > 0.5
    spectrum = np.abs(np.fft.rfft(np.frombuffer(pcm, "<i2").astype(float)))
    hertz = np.fft.rfftfreq(len(pcm) // 2, 1 / audio.RATE)
    speech_band = spectrum[(hertz > 100) & (hertz < 3400)] ** 2
    assert speech_band.sum() / (spectrum**2).sum() > 0.9


async def test_more_words_take_longer_and_the_same_words_the_same() -> None:
    speech = EspeakSpeech()
    short, long, again = await asyncio.gather(
        speech.synthesise("One."),
        speech.synthesise("One, two, three, four, five."),
        speech.synthesise("One."),
    )
    assert len(long) > 2 * len(short)
    assert short == again


@pytest.mark.parametrize("speech", [EspeakSpeech(), NullSpeech()])
async def test_several_texts_sound_as_each_alone(speech: Speech) -> None:
    texts = ["One.", SENTENCE, "Please hold the line.", "One."]
    alone = [await speech.synthesise(text, "en-US") for text in texts]
    assert await speech.synthesise_all(texts, "en-US") == alone
    assert await speech.synthesise_all([], "en-US") == []


async def test_several_texts_take_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first apply of an installation synthesizes 43 prompts; a process for each took two seconds of a processor."""
    started = []
    make = asyncio.create_subprocess_exec

    async def counted(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        started.append(arguments)
        return await make(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", counted)
    assert len(await EspeakSpeech().synthesise_all([SENTENCE] * 10)) == 10
    assert len(started) == 1


async def test_of_several_texts_none_may_be_unspeakable() -> None:
    with pytest.raises(InvalidInput, match="no speakable characters"):
        await EspeakSpeech().synthesise_all(["One.", "..."])
    with pytest.raises(InvalidInput) as caught:
        await EspeakSpeech().synthesise_all(["One.", "Two."], "zz")
    assert caught.value.field == "language"


@pytest.mark.parametrize("speech", [EspeakSpeech(), NullSpeech()])
@pytest.mark.parametrize("text", ["", "   ", "\U0001f600\U0001f600", "... !?", "\x00\x01"])
async def test_nothing_to_say(speech: Speech, text: str) -> None:
    with pytest.raises(InvalidInput, match="no speakable characters"):
        await speech.synthesise(text)


@pytest.mark.parametrize("speech", [EspeakSpeech(), NullSpeech()])
async def test_the_longest_text(speech: Speech) -> None:
    text = ("word " * MAX_CHARACTERS)[:MAX_CHARACTERS]
    assert audio.duration_ms(audio.pcm_of(await speech.synthesise(text))) > 60_000
    with pytest.raises(InvalidInput) as caught:
        await speech.synthesise(text + "x")
    assert caught.value.params == {"max_length": MAX_CHARACTERS}


@pytest.mark.parametrize("language", ["zz", "", "../../etc/passwd", "en\n", "!v/croak", "ë"])
async def test_unknown_languages(language: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await EspeakSpeech().synthesise("Hello", language)
    assert caught.value.field == "language"


async def test_a_time_limit_ends_the_child() -> None:
    with pytest.raises(Unavailable, match="too long"):
        await EspeakSpeech(time_limit=0.001).synthesise(SENTENCE)
    assert children() == []


async def test_a_cancelled_wish_leaves_no_child() -> None:
    task = asyncio.create_task(EspeakSpeech().synthesise("word " * 900))
    while not children():
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == []


def children() -> list[str]:
    """Command lines of living synthesiser processes of this process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if parent == os.getpid() and "espeak_child" in command:
            found.append(command)
    return found


async def test_the_twin_speaks_repeatably_and_is_heard() -> None:
    first = await NullSpeech().synthesise("Hello there", "en")
    assert first == await NullSpeech().synthesise("Hello there", "en")
    assert first != await NullSpeech().synthesise("Hello there", "ru")
    assert not audio.is_silent(audio.pcm_of(first))
