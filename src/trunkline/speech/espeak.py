"""The speech protocol with espeak-ng, each text in a separate process.

The library keeps global state, is not thread-safe and may crash on odd input; a child process for each text
turns all of that into an error message. A text takes some tens of milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

from trunkline.core.errors import InvalidInput, Unavailable
from trunkline.speech import audio, espeak_child
from trunkline.speech.espeak_child import FAILED, SAMPLE_RATE_BYTES, UNKNOWN_LANGUAGE
from trunkline.speech.port import DEFAULT_LANGUAGE, speakable

TIME_LIMIT = 30.0
"""Seconds a text may take; thousands of characters take about one."""
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
        words = speakable(text)
        async with self._slots:
            code, output = await self._run_child(words, language)
        if code == UNKNOWN_LANGUAGE:
            raise InvalidInput(
                f"There is no voice for {language!r}; send a language such as en, en-US, ar, ru, de, fr.",
                field="language",
                value=language,
            )
        if code != 0 or len(output) < SAMPLE_RATE_BYTES:
            raise Unavailable("The speech synthesiser failed on this text; try a simpler text.", field="text")
        pcm = await asyncio.to_thread(_to_pcm, output)
        if audio.is_silent(pcm):
            raise InvalidInput("This text cannot be synthesized; send words.", field="text", value=text)
        return audio.wav(pcm)

    async def _run_child(self, text: str, language: str) -> tuple[int, bytes]:
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
                output, _ = await child.communicate(text.encode())
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


def _to_pcm(output: bytes) -> bytes:
    import numpy as np

    rate = int.from_bytes(output[:SAMPLE_RATE_BYTES], "little")
    return audio.resample(np.frombuffer(output[SAMPLE_RATE_BYTES:], dtype="<i2"), rate)
