"""The speech protocol with espeak-ng, in a separate process for each request.

The library keeps global state, is not thread-safe and may crash on odd input; a child process for each request
turns all of that into an error message. A text takes some tens of milliseconds, each further one of the request a few.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator, Sequence

from trunkline.core.errors import InvalidInput, Unavailable
from trunkline.speech import audio, espeak_child
from trunkline.speech.espeak_child import FAILED, NUMBER_BYTES, SEPARATOR, UNKNOWN_LANGUAGE
from trunkline.speech.port import DEFAULT_LANGUAGE, speakable

TIME_LIMIT = 30.0
"""Seconds a request may take; thousands of characters take about one."""
MAX_PROCESSES = 2


class EspeakSpeech:
    """Speaks with the espeak-ng that comes as a wheel.

    :param words_a_minute: pace; 150 is calm on a phone line.
    """

    def __init__(self, *, words_a_minute: int = 150, time_limit: float = TIME_LIMIT) -> None:
        self._pace = words_a_minute
        self._time_limit = time_limit
        self._slots = asyncio.Semaphore(MAX_PROCESSES)

    async def synthesise(self, text: str, language: str = DEFAULT_LANGUAGE) -> bytes:
        [sound] = await self.synthesise_all([text], language)
        return sound

    async def synthesise_all(self, texts: Sequence[str], language: str = DEFAULT_LANGUAGE) -> list[bytes]:
        if not texts:
            return []
        words = [speakable(text).encode() for text in texts]
        async with self._slots:
            code, output = await self._run_child(SEPARATOR.join(words), language)
        if code == UNKNOWN_LANGUAGE:
            raise InvalidInput(
                f"There is no voice for {language!r}; send a language such as en, en-US, ar, ru, de, fr.",
                field="language",
                value=language,
            )
        sounds = await asyncio.to_thread(lambda: list(_sounds(output))) if code == 0 else []
        if len(sounds) != len(texts):
            raise Unavailable("The speech synthesiser failed on this text; try a simpler text.", field="text")
        for text, pcm in zip(texts, sounds, strict=True):
            if audio.is_silent(pcm):
                raise InvalidInput("This text cannot be synthesized; send words.", field="text", value=text)
        return [audio.wav(pcm) for pcm in sounds]

    async def _run_child(self, texts: bytes, language: str) -> tuple[int, bytes]:
        """Exit code and output of the child; it is gone when this returns, however it returns."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            espeak_child.__file__,
            language,
            str(self._pace),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(self._time_limit):
                output, _ = await child.communicate(texts)
        except TimeoutError:
            raise Unavailable(
                "The speech synthesiser took too long; give a shorter text.", field="text"
            ) from None
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        return (child.returncode if child.returncode is not None else FAILED), output


def _sounds(output: bytes) -> Iterator[bytes]:
    """PCM of each text, at our rate."""
    import numpy as np

    at = 0
    while at < len(output):
        rate = int.from_bytes(output[at : at + NUMBER_BYTES], "little")
        begin = at + 2 * NUMBER_BYTES
        at = begin + int.from_bytes(output[at + NUMBER_BYTES : begin], "little")
        yield audio.resample(np.frombuffer(output[begin:at], dtype="<i2"), rate)
