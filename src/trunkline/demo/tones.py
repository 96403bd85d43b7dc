"""Detection of audio paths by tones: every party plays a sine of its own frequency, which is detected in the audio.

Sound is 16-bit PCM, mono, as a numpy array of floats in -1..1. Detection is made for what telephony does to a
sine: G.711 quantisation, mixing of several parties, G.722 and Opus in between, speech and music around it.
A tone counts when it lasts for :data:`SHORTEST` seconds; frequencies should be :data:`SPACING` Hz apart and
above speech (:data:`LOWEST`), because a spoken vowel also consists of sines.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float64]

RATE = 8000
"""Samples a second of everything we make or record ourselves."""
LOUDNESS = 0.25
"""Amplitude of a party's own tone, of full scale."""
LOWEST = 1000.0
SPACING = 50.0
SHORTEST = 0.2
"""Seconds; what is shorter is a click, a key press or a vowel."""

_WINDOW = 0.1
_HOP = 0.02
# Half would give exact edges; a little less tolerates codecs. Speech rarely has one frequency of that level.
_HEARD = 0.4 * LOUDNESS
_SILENT = 0.01


@dataclass(frozen=True, slots=True)
class Interval:
    """From ``start`` to ``end``, seconds from the beginning of the sound (or Unix seconds where documented)."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start

    def shifted(self, by: float) -> Interval:
        return Interval(round(self.start + by, 3), round(self.end + by, 3))


def sine(frequency: float, seconds: float, amplitude: float = LOUDNESS, rate: int = RATE) -> Sound:
    """A pure tone."""
    time = np.arange(round(seconds * rate)) / rate
    tone: Sound = amplitude * np.sin(2 * np.pi * frequency * time)
    return tone


def silence(seconds: float, rate: int = RATE) -> Sound:
    return np.zeros(round(seconds * rate))


def to_pcm(sound: Sound) -> bytes:
    """16-bit little-endian samples; what is too loud is clipped as a telephone would."""
    return (np.clip(sound, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def from_pcm(pcm: bytes) -> Sound:
    """The inverse of :func:`to_pcm`; an odd last byte (a file cut off by a crash) is ignored."""
    whole = pcm[: len(pcm) // 2 * 2]
    return np.frombuffer(whole, dtype="<i2").astype(np.float64) / 32768.0


def read_raw(path: Path) -> Sound:
    """A headerless ``.sln`` file; one that does not exist yet holds nothing."""
    return from_pcm(path.read_bytes()) if path.exists() else np.zeros(0)


def write_wav(path: Path, *channels: Sound, rate: int = RATE) -> None:
    """16-bit WAV with one channel for each sound; the shorter are filled with silence."""
    length = max(len(channel) for channel in channels)
    padded = [np.pad(channel, (0, length - len(channel))) for channel in channels]
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(to_pcm(np.stack(padded, axis=1).reshape(-1)))


def read_wav(path: Path) -> tuple[list[Sound], int]:
    """The channels of a 16-bit WAV file and its rate."""
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2:
            raise ValueError(
                f"{path.name} has {8 * file.getsampwidth()}-bit samples; only 16-bit is read here"
            )
        interleaved = from_pcm(file.readframes(file.getnframes()))
        count, rate = file.getnchannels(), file.getframerate()
    return [interleaved[channel::count] for channel in range(count)], rate


def heard(sound: Sound, frequencies: Iterable[float], rate: int = RATE) -> dict[float, list[Interval]]:
    """The intervals of each frequency, in seconds from the beginning; an absent tone has no intervals.

    Edges are exact to about 20 ms. A gap shorter than :data:`SHORTEST` (lost packets, a re-bridge) does not
    cut an interval in two.
    """
    wanted = list(frequencies)
    strengths = _strengths(sound, wanted, rate)
    return {
        frequency: _intervals(strengths[:, index] >= _HEARD, len(sound) / rate)
        for index, frequency in enumerate(wanted)
    }


def sounding(sound: Sound, rate: int = RATE) -> list[Interval]:
    """The intervals with any audio."""
    width = round(_WINDOW * rate)
    squares = _window_sums(sound**2, np.full((width, 1), 1 / width), rate)
    return _intervals(np.sqrt(squares[:, 0]) >= _SILENT, len(sound) / rate)


def total(intervals: Sequence[Interval]) -> float:
    """Seconds of all intervals together."""
    return round(sum(interval.seconds for interval in intervals), 3)


def channel_frequencies(path: Path, frequencies: Iterable[float]) -> list[dict[float, float]]:
    """For each channel of a WAV file: its detected frequencies, with their seconds."""
    channels, rate = read_wav(path)
    wanted = list(frequencies)
    found = (heard(channel, wanted, rate) for channel in channels)
    return [{f: total(spans) for f, spans in channel.items() if spans} for channel in found]


@dataclass(frozen=True, slots=True)
class Ear:
    """The received audio of one party: the samples, and the Unix time of the first one."""

    party: str
    sound: Sound
    started_at: float
    rate: int = RATE


def hears_matrix(ears: Iterable[Ear], tones: Mapping[str, float]) -> dict[str, dict[str, list[Interval]]]:
    """For each listening party: the audible parties with times (Unix seconds). Inaudible ones are omitted.

    :param tones: the tone of each party; a party with several ears (call legs) gets them together in time.
        A party that receives its own tone is also listed: that is an echo, and a fault.
    """
    matrix: dict[str, dict[str, list[Interval]]] = {}
    for ear in ears:
        row = matrix.setdefault(ear.party, {})
        found = heard(ear.sound, tones.values(), ear.rate)
        for speaker, frequency in tones.items():
            spans = [interval.shifted(ear.started_at) for interval in found[frequency]]
            if spans:
                row[speaker] = sorted([*row.get(speaker, []), *spans], key=lambda interval: interval.start)
    return matrix


def described(sound: Sound, rate: int = RATE) -> str:
    """What a recording has instead of what was expected, for a message."""
    if len(sound) == 0:
        return "nothing was recorded"
    seconds = len(sound) / rate
    if np.abs(sound).max() < _SILENT:
        return f"{seconds:.1f} s of silence"
    loudest = np.abs(np.fft.rfft(sound))[1:].argmax() + 1
    audible = total(sounding(sound, rate))
    return f"{seconds:.1f} s, {audible:.1f} s of them audible, most at {loudest / seconds:.0f} Hz"


def _strengths(sound: Sound, frequencies: Sequence[float], rate: int) -> Sound:
    """Amplitude of each frequency around each hop: Goertzel sums under a Hann window."""
    width = round(_WINDOW * rate)
    taper = np.hanning(width)[:, np.newaxis]
    turns = 2 * np.pi * np.outer(np.arange(width) / rate, frequencies)
    cosines = _window_sums(sound, taper * np.cos(turns), rate)
    sines = _window_sums(sound, taper * np.sin(turns), rate)
    strengths: Sound = np.hypot(cosines, sines) * 2 / taper.sum()
    return strengths


def _window_sums(sound: Sound, weights: Sound, rate: int) -> Sound:
    """For the window around each hop, one row: the sums of its samples by each column of weights.

    Windows overlap; the ends are padded so that edges keep their place. Each sample is multiplied where it is: to copy it
    into all of its windows first takes ten times as long.

    :param weights: a row for each sample of a window.
    """
    width, hop = len(weights), round(_HOP * rate)
    count, parts = -(-len(sound) // hop), -(-width // hop)
    padded = np.zeros((count + parts) * hop)
    padded[width // 2 : width // 2 + len(sound)] = sound
    hops = padded.reshape(-1, hop)
    sums = np.zeros((count, weights.shape[1]))
    for part in range(parts):
        of_part = weights[part * hop : (part + 1) * hop]
        sums += hops[part : part + count, : len(of_part)] @ of_part
    return sums


def _intervals(present: NDArray[np.bool_], seconds: float) -> list[Interval]:
    """Runs of present hops, short gaps closed, short runs dropped."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], present.astype(np.int8), [0]))))
    runs = [(start * _HOP, min(end * _HOP, seconds)) for start, end in edges.reshape(-1, 2).tolist()]
    joined: list[tuple[float, float]] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < SHORTEST:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return [Interval(round(start, 3), round(end, 3)) for start, end in joined if end - start >= SHORTEST]
