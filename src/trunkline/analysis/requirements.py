"""The requirements for WAV files of the page of ``upload.calls``, one by one. Pure.

The page gives the lower edge of the frequencies as 330 Hz; telephony's own is 300 Hz. Both are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trunkline.analysis.model import Side, Source
from trunkline.analysis.sound import Sound
from trunkline.analysis.talk import Talk

LOW_EDGE = 330.0
TELEPHONE_LOW_EDGE = 300.0
HIGH_EDGE = 3400.0
"""Hz."""
MIN_SIGNAL_TO_NOISE = 15.0
"""dB."""
MIN_SPEECH = 16.0
"""Seconds."""
MAX_BYTES = 52_428_800


@dataclass(frozen=True, slots=True)
class Requirement:
    """``measured``, with its unit, and ``is_met`` are None where it could not be measured."""

    name: str
    required: str
    measured: str | None
    is_met: bool | None


def requirements(source: Source, talk: Talk, sounds: Mapping[Side, Sound]) -> list[Requirement]:
    """The requirements, in the order of the page. The worse of two sides is used; a side without speech is ignored."""
    heard = [sound for sound in sounds.values() if sound.signal_to_noise is not None]
    low = _worst(max, [sound.frequency_low for sound in heard])
    high = _worst(min, [sound.frequency_high for sound in heard])
    noise = _worst(min, [sound.signal_to_noise for sound in heard])
    speech = sum(side.speech_duration for side in talk.sides.values()) - talk.overlap_duration
    return [
        Requirement("stereo", "2 channels", _with(source.channels, "channels"), _is(source.channels, 2)),
        _pcm(source),
        Requirement("sample_rate", "8000 Hz", _with(source.sample_rate, "Hz"), _is(source.sample_rate, 8000)),
        _range("frequency_range", LOW_EDGE, low, high),
        _range("frequency_range_telephone", TELEPHONE_LOW_EDGE, low, high),
        Requirement(
            "signal_to_noise",
            f"at least {MIN_SIGNAL_TO_NOISE:g} dB within {LOW_EDGE:g}-{HIGH_EDGE:g} Hz",
            _with(noise, "dB"),
            None if noise is None else noise >= MIN_SIGNAL_TO_NOISE,
        ),
        Requirement(
            "speech_duration",
            f"at least {MIN_SPEECH:g} s of speech",
            _with(speech, "s"),
            speech >= MIN_SPEECH,
        ),
        Requirement(
            "duration", f"at least {MIN_SPEECH:g} s", _with(source.seconds, "s"), source.seconds >= MIN_SPEECH
        ),
        Requirement(
            "file_size",
            f"at most {MAX_BYTES} bytes",
            _with(source.bytes, "bytes"),
            None if source.bytes is None else source.bytes <= MAX_BYTES,
        ),
    ]


def _pcm(source: Source) -> Requirement:
    is_met = None if source.codec is None else (source.codec, source.bits or 16) == ("pcm_s16le", 16)
    return Requirement("pcm_16_bit", "PCM, 16 bit", source.codec, is_met)


def _range(name: str, low_edge: float, low: float | None, high: float | None) -> Requirement:
    required = f"{low_edge:g}-{HIGH_EDGE:g} Hz"
    if low is None or high is None:
        return Requirement(name, required, None, None)
    measured = f"{low:.0f}-{high:.0f} Hz"
    return Requirement(name, required, measured, low <= low_edge and high >= HIGH_EDGE)


def _worst(choose: Callable[[list[float]], float], values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None


def _with(value: float | None, unit: str) -> str | None:
    if value is None:
        return None
    return f"{value} {unit}" if isinstance(value, int) else f"{value:.1f} {unit}"


def _is(value: int | None, wanted: int) -> bool | None:
    return None if value is None else value == wanted
