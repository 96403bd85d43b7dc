"""Two people on two channels, whose words are known to the hundredth of a second."""

from __future__ import annotations

import asyncio
import functools
import wave
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trunkline.analysis.model import SAMPLE_RATE, Span
from trunkline.speech import audio
from trunkline.speech.espeak import EspeakSpeech

GREETING = "Good morning, you have reached the sales department, how can I help you today?"
QUESTION = "Hello, I would like to know when my order is going to be delivered, please."
ANSWER = "Your order has been sent this morning and is going to be delivered tomorrow."

NOISE = 30.0
"""Of a quiet line: standard deviation of its samples."""


@functools.cache
def said(text: str) -> NDArray[np.int16]:
    """A text, from its first to its last loud sample."""
    with ThreadPoolExecutor(1) as thread:  # the caller may have a loop of its own
        wav = thread.submit(asyncio.run, EspeakSpeech().synthesise(text)).result()
    samples = np.frombuffer(audio.pcm_of(wav), dtype="<i2")
    loud = np.flatnonzero(np.abs(samples) > 200)
    return samples[loud[0] : loud[-1]]


@dataclass(frozen=True)
class Scene:
    """:param samples: of shape ``(2, n)``. ``spans``: who spoke when, by channel."""

    samples: NDArray[np.int16]
    spans: tuple[list[Span], list[Span]]

    def write(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(2)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(self.samples.T.astype("<i2").tobytes())
        return path


def scene(seconds: float, texts: Mapping[int, Sequence[tuple[float, str]]], noise: float = NOISE) -> Scene:
    """:param texts: by channel, the moments at which texts begin."""
    random = np.random.default_rng(7)
    mixed = random.normal(0, noise, (2, round(seconds * SAMPLE_RATE)))
    spans: tuple[list[Span], list[Span]] = ([], [])
    for channel, parts in texts.items():
        for at, text in parts:
            sound = said(text)
            first = round(at * SAMPLE_RATE)
            mixed[channel, first : first + len(sound)] += sound
            spans[channel].append(Span(at, at + len(sound) / SAMPLE_RATE))
    return Scene(np.clip(mixed, -32768, 32767).astype(np.int16), spans)


def talk_scene(noise: float = NOISE) -> Scene:
    """22 s: the contact (left) asks, the employee (right) greets, answers, and falls into the contact's second word."""
    return scene(22.0, {0: [(1.0, QUESTION), (12.0, QUESTION)], 1: [(6.5, GREETING), (15.0, ANSWER)]}, noise)
