"""Transcription, as a protocol: a transcriber is large, and most instances have none.

:class:`WhisperTranscriber` works with a model in a folder of this machine and never fetches one; it needs the extra
``transcription`` (``faster-whisper``). :class:`NullTranscriber` is used where none is set up; its error describes the steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trunkline.analysis.model import SAMPLE_RATE, Span
from trunkline.core.errors import SetupError, Unavailable

_WHISPER_RATE = 16_000
"""Samples a second that Whisper was trained with."""


class Transcriber(Protocol):
    name: str
    """The value of ``recognition_worker_type``."""

    def transcribe(self, samples: NDArray[np.int16], speech: Sequence[Span]) -> list[tuple[Span, str]]:
        """The phrases of one side, in order.

        :param samples: of 8000 Hz, one channel.
        :param speech: where there is speech.
        :raises Unavailable: no transcriber is set up; the text describes what to do.
        """
        ...


class NullTranscriber:
    """For installations without a transcriber."""

    name = "none"

    def transcribe(self, samples: NDArray[np.int16], speech: Sequence[Span]) -> list[tuple[Span, str]]:
        raise Unavailable(
            "No transcriber is set up: install the extra `transcription`, put a faster-whisper model into a folder of "
            "this machine, and give that folder as the setting analysis.whisper_model."
        )


class WhisperTranscriber:
    """:param model: folder of a model in the format of CTranslate2 (``model.bin``, ``config.json``, ``tokenizer.json``).

    :param language: two letters; None: detected from the sound.
    :raises SetupError: faster-whisper or the model is missing.
    """

    name = "faster-whisper"

    def __init__(self, model: Path, language: str | None = None) -> None:
        if not (model / "model.bin").is_file():
            raise SetupError(
                f"analysis.whisper_model is {model}, where there is no model.bin: give a model's folder."
            )
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise SetupError(
                "analysis.whisper_model is set but faster-whisper is not installed: install the extra `transcription`."
            ) from error
        self._language = language
        self._model: Any = WhisperModel(
            str(model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
        )

    def transcribe(self, samples: NDArray[np.int16], speech: Sequence[Span]) -> list[tuple[Span, str]]:
        """See :class:`Transcriber`. Silence is cut out before: Whisper invents words for it."""
        if not speech:
            return []
        segments, _ = self._model.transcribe(
            _of_16000(samples),
            language=self._language,
            vad_filter=False,
            condition_on_previous_text=False,
            clip_timestamps=[edge for span in speech for edge in span],
        )
        phrases = [(Span(float(one.start), float(one.end)), str(one.text).strip()) for one in segments]
        return [(span, text) for span, text in phrases if text]


def transcriber_for(model: str | None, language: str | None) -> Transcriber:
    """The transcriber that the settings ask for.

    :raises SetupError: it cannot be loaded.
    """
    return NullTranscriber() if model is None else WhisperTranscriber(Path(model), language)


def _of_16000(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    places = np.arange(len(samples) * 2, dtype=np.float32) * (SAMPLE_RATE / _WHISPER_RATE)
    doubled = np.interp(places, np.arange(len(samples)), samples / np.float32(32768))
    return np.asarray(doubled, dtype=np.float32)
