"""The protocol of text to speech, and its fake for tests."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Protocol

from trunkline.core.errors import InvalidInput
from trunkline.speech import audio

MAX_CHARACTERS = 5000
"""The most one text may have; accounts set narrower limits for API messages themselves."""
DEFAULT_LANGUAGE = "en"


class Speech(Protocol):
    """Speaks a text."""

    async def synthesise(self, text: str, language: str = DEFAULT_LANGUAGE) -> bytes:
        """A WAV file (16-bit PCM, 8000 Hz, mono) of the text.

        :param language: BCP 47 (``en``, ``en-US``, ``ar``, ``ru``).
        :raises InvalidInput: no speakable text, too long (``params["max_length"]``), or no voice for it.
        :raises Unavailable: the synthesiser failed or took too long.
        """
        ...

    async def synthesise_all(self, texts: Sequence[str], language: str = DEFAULT_LANGUAGE) -> list[bytes]:
        """Several texts by one request, which is faster; each sounds as by :meth:`synthesise`, which has the errors. One
        text that fails fails all, so it is for texts of our own.
        """
        ...


def speakable(text: str) -> str:
    """The text without unspeakable characters (control characters, joiners), single-spaced.

    :raises InvalidInput: nothing remains, or too much (``params["max_length"]``).
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(
            f"The text has {len(text)} characters; at most {MAX_CHARACTERS} can be synthesized at once.",
            field="text",
            params={"max_length": MAX_CHARACTERS},
        )
    words = " ".join("".join(" " if _is_unspeakable(each) else each for each in text).split())
    if not any(each.isalnum() for each in words):
        raise InvalidInput("This text has no speakable characters; send words.", field="text", value=text)
    return words


def _is_unspeakable(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn"}


class NullSpeech:
    """Fake without a synthesiser: a soft tone, 60 ms for each character, another pitch for another text."""

    async def synthesise(self, text: str, language: str = DEFAULT_LANGUAGE) -> bytes:
        import numpy as np

        words = speakable(text)
        seconds = len(words) * 0.06
        pitch = 300 + sum(f"{language}:{words}".encode()) % 400
        moments = np.arange(int(seconds * audio.RATE)) / audio.RATE
        samples = (np.sin(2 * np.pi * pitch * moments) * 6000).astype("<i2")
        return audio.wav(samples.tobytes())

    async def synthesise_all(self, texts: Sequence[str], language: str = DEFAULT_LANGUAGE) -> list[bytes]:
        return [await self.synthesise(text, language) for text in texts]
