"""Generated music and tones, so that the repository has no audio files. All pure; the result is PCM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from trunkline.speech.audio import RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Wave: TypeAlias = NDArray[np.float64]

_PEAK = 0.35
"""Of full scale: a little softer than speech."""
_PARTIALS = ((1.0, 1.0), (2.0, 0.35), (3.0, 0.12), (4.0, 0.05))
"""Multiples of the pitch and their strength: something between a marimba and an electric piano."""


@dataclass(frozen=True, slots=True)
class Tune:
    """Notes one after another: MIDI numbers (69 = 440 Hz), ``-`` rests. ``bass`` has one note a bar."""

    notes: str
    bass: Sequence[int]
    note_seconds: float
    bar: int = 8
    """Notes a bar."""


DIALING = Tune(
    # major pentatonic over I - vi - IV - V: consonant also on lines with low quality
    notes="72 - 76 79 81 79 76 -   69 - 72 76 79 76 72 -   65 - 69 72 77 72 69 -   67 - 71 74 79 74 71 -",
    bass=(48, 45, 41, 43),
    note_seconds=0.3125,
)

HOLD = Tune(
    # slower, falling phrases over I - iii - IV - ii
    notes="79 - 76 - 72 - 74 76   74 - 71 - 67 - 69 71   72 - 69 - 65 - 67 69   69 - 65 - 62 - 64 67",
    bass=(48, 52, 41, 50),
    note_seconds=0.4375,
)


def melody(tune: Tune, *, repeats: int = 2) -> bytes:
    """The tune, as a loop without a gap: what rings beyond its end is laid over its beginning."""
    import numpy as np

    step = int(tune.note_seconds * RATE)
    notes = tune.notes.split()
    length = step * len(notes)
    sound = np.zeros(length)
    for index, note in enumerate(notes):
        if note != "-":
            _lay(sound, index * step, _struck(int(note), seconds=1.2))
        if index % tune.bar == 0:
            bass = tune.bass[index // tune.bar % len(tune.bass)]
            _lay(sound, index * step, 0.6 * _struck(bass, seconds=tune.bar * tune.note_seconds))
    return _pcm(np.tile(sound / np.abs(sound).max() * _PEAK, repeats))


def tone(hertz: float, seconds: float, *, silence: float = 0.0) -> bytes:
    """One steady tone with soft edges, then ``silence`` seconds of nothing."""
    import numpy as np

    moments = np.arange(int(seconds * RATE)) / RATE
    sound = np.sin(2 * np.pi * hertz * moments) * _PEAK
    edge = min(int(0.01 * RATE), sound.size // 2)
    ramp = np.linspace(0, 1, edge)
    sound[:edge] *= ramp
    sound[sound.size - edge :] *= ramp[::-1]
    return _pcm(np.concatenate([sound, np.zeros(int(silence * RATE))]))


def _struck(note: int, *, seconds: float) -> _Wave:
    """A note that decays."""
    import numpy as np

    moments = np.arange(int(seconds * RATE)) / RATE
    hertz = 440 * 2 ** ((note - 69) / 12)
    sound = np.zeros(moments.size)
    for multiple, strength in _PARTIALS:
        if hertz * multiple < RATE / 2 * 0.85:
            decay = np.exp(-moments * (2.5 + multiple))
            sound += strength * decay * np.sin(2 * np.pi * hertz * multiple * moments)
    attack = int(0.004 * RATE)
    sound[:attack] *= np.linspace(0, 1, attack)
    release = int(0.03 * RATE)
    sound[sound.size - release :] *= np.linspace(1, 0, release)
    return sound


def _lay(sound: _Wave, start: int, part: _Wave) -> None:
    """Add ``part`` from ``start`` on, round the end of the loop."""
    import numpy as np

    places = (start + np.arange(part.size)) % sound.size
    np.add.at(sound, places, part)


def _pcm(sound: _Wave) -> bytes:
    import numpy as np

    return (np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes()
