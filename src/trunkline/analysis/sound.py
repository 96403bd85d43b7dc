"""Audio quality of one channel: noise, frequencies, clipping. Pure; the input is 16-bit samples.

All figures are estimates from the recording, not measurements of the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from trunkline.analysis.model import SAMPLE_RATE, Span

Samples = NDArray[np.int16]

BAND = (330.0, 3400.0)
"""Hz within which noise is measured (the requirements for uploaded WAV files)."""

FRAME = 256
"""Samples that a spectrum is made of: 32 ms, bins of 31.25 Hz."""

_BLOCK = FRAME * 4096
"""Samples worked on at a time, so that an hour needs no more memory than two minutes."""

_AWAY_FROM_SPEECH = 0.1
"""Seconds around speech that count neither as speech nor as noise."""

_AUDIBLE_DB = 45.0
"""A frequency counts as transmitted when speech has no less than this below its strongest frequency there."""

_LEAST_NOISE = 1 / 12
"""Mean square of the rounding to whole samples: no recording has less noise."""

_CLIPPED = 32_000
"""Absolute sample from which it may be clipped: the loudest that G.711 can carry is 32124 (mu-law) or 32256 (A-law)."""

_CLIPPED_RUN = 3
"""So many in a row are clipped; fewer are a peak."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One channel."""

    signal_to_noise: float | None
    """dB within :data:`BAND`; None without speech."""
    frequency_low: float | None
    """Hz; None without speech."""
    frequency_high: float | None
    level: float | None
    """Loudness of speech in dB below full scale; None without speech."""
    clipped_ratio: float
    """Of all samples, 0 to 1."""


def sound(samples: Samples, speech: Sequence[Span]) -> Sound:
    """:param speech: spans with speech in this channel, in seconds, in order."""
    frames = len(samples) // FRAME
    speaks = _frames_in(speech, frames, 0.0)
    rests = ~_frames_in(speech, frames, _AWAY_FROM_SPEECH)
    low, high = (round(edge * FRAME / SAMPLE_RATE) for edge in BAND)
    band = np.zeros(frames)
    whole = np.zeros(frames)
    spectrum = np.zeros(FRAME // 2 + 1)
    for first, powers in _spectra(samples):
        part = slice(first, first + len(powers))
        band[part] = powers[:, low : high + 1].sum(axis=1)
        whole[part] = powers.sum(axis=1)
        spectrum += powers[speaks[part]].sum(axis=0)
    clipped = clipped_samples(samples) / len(samples) if len(samples) else 0.0
    if not speaks.any() or not spectrum.any():
        return Sound(None, None, None, None, clipped)
    lowest, highest = _audible(spectrum)
    level = 10 * float(np.log10(max(float(whole[speaks].mean()), _LEAST_NOISE) / 32768**2))
    return Sound(_signal_to_noise(band[speaks], band[rests & (whole > 0)]), lowest, highest, level, clipped)


def clipped_samples(samples: Samples) -> int:
    """Number of samples at the maximum or minimum value, in runs."""
    count = 0
    for at_stop in (samples >= _CLIPPED, samples <= -_CLIPPED):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], at_stop.view(np.int8), [0]))))
        runs = edges[1::2] - edges[::2]
        count += int(runs[runs >= _CLIPPED_RUN].sum())
    return count


def _signal_to_noise(speech: NDArray[np.float64], rest: NDArray[np.float64]) -> float:
    """dB. Where nothing but speech and digital silence was recorded, the noise is that of rounding."""
    floor = _LEAST_NOISE * (BAND[1] - BAND[0]) / (SAMPLE_RATE / 2)
    noise = max(float(np.median(rest)) if len(rest) else floor, floor)
    signal = max(float(speech.mean()) - noise, floor)
    return 10 * float(np.log10(signal / noise))


def _audible(spectrum: NDArray[np.float64]) -> tuple[float, float]:
    audible = np.flatnonzero(spectrum >= spectrum[1:].max() * 10 ** (-_AUDIBLE_DB / 10))
    hertz = SAMPLE_RATE / FRAME
    return float(audible[0] * hertz), float(audible[-1] * hertz)


def _spectra(samples: Samples) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Number of the first frame, and for each frame the mean square by frequency (its sum is that of the samples)."""
    window = np.hanning(FRAME)
    scale = 2.0 / (FRAME * float(np.square(window).sum()))
    whole = len(samples) // FRAME * FRAME
    for start in range(0, whole, _BLOCK):
        block = samples[start : min(start + _BLOCK, whole)].astype(np.float64).reshape(-1, FRAME)
        yield start // FRAME, np.square(np.abs(np.fft.rfft(block * window, axis=1))) * scale


def _frames_in(spans: Sequence[Span], frames: int, around: float) -> NDArray[np.bool_]:
    """Frames completely within the spans, each widened by ``around`` seconds."""
    inside = np.zeros(frames, dtype=np.bool_)
    per_second = SAMPLE_RATE / FRAME
    for span in spans:
        first = max(ceil((span.start - around) * per_second), 0)
        inside[first : max(int((span.end + around) * per_second), first)] = True
    return inside
