"""Noise, frequencies and clipping of made sounds; the requirements; the summary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trunkline.analysis.model import SAMPLE_RATE, Phrase, Side, Source, Span
from trunkline.analysis.requirements import requirements
from trunkline.analysis.sound import Sound, clipped_samples, sound
from trunkline.analysis.summary import summary
from trunkline.analysis.talk import talk

SPEAKS = [Span(2.0, 6.0)]
SECONDS = 10


def _noise(level: float, low: float = 0, high: float = 4000, seed: int = 1) -> NDArray[np.float64]:
    """Noise of this standard deviation within a band."""
    count = SECONDS * SAMPLE_RATE
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=count))
    hertz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    spectrum[(hertz < low) | (hertz > high)] = 0
    made = np.fft.irfft(spectrum, count)
    return np.asarray(made * level / made.std())


def _within(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    gate = np.zeros(len(samples))
    for span in SPEAKS:
        gate[round(span.start * SAMPLE_RATE) : round(span.end * SAMPLE_RATE)] = 1
    return samples * gate


def _whole(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    return np.clip(np.round(samples), -32768, 32767).astype(np.int16)


@settings(max_examples=20, deadline=None)
@given(st.floats(5, 45))
def test_signal_to_noise_is_what_was_mixed(decibels: float) -> None:
    signal = _within(_noise(3000, 330, 3400))
    noise = _noise(3000 * 10 ** (-decibels / 20), 330, 3400, seed=2)
    found = sound(_whole(signal + noise), SPEAKS).signal_to_noise
    assert found == pytest.approx(decibels, abs=1.0)


def test_noise_outside_of_the_band_does_not_count() -> None:
    signal, hum = _within(_noise(3000, 330, 3400)), _noise(3000, 40, 120, seed=2)
    found = sound(_whole(signal + hum), SPEAKS).signal_to_noise
    assert found is not None
    assert found > 35


@pytest.mark.parametrize(("low", "high"), [(300, 3400), (700, 2000), (60, 3900)])
def test_the_range_of_frequencies(low: float, high: float) -> None:
    found = sound(_whole(_within(_noise(3000, low, high))), SPEAKS)
    assert found.frequency_low == pytest.approx(low, abs=100)
    assert found.frequency_high == pytest.approx(high, abs=100)


def test_loudness_and_nothing() -> None:
    found = sound(_whole(_within(_noise(3276.8))), SPEAKS)
    assert found.level == pytest.approx(-20, abs=0.5)
    nothing = sound(np.zeros(SAMPLE_RATE, dtype=np.int16), [])
    assert nothing == Sound(None, None, None, None, 0.0)
    assert sound(np.zeros(0, dtype=np.int16), []).clipped_ratio == 0.0


@given(st.lists(st.sampled_from([0, 31_000, 32_000, 32_124, 32_767, -32_000, -32_768]), max_size=60))
def test_clipped_are_runs_at_a_stop(values: list[int]) -> None:
    expected = 0
    for sign in (1, -1):
        run = 0
        for value in [*values, 0]:
            if value * sign >= 32_000:
                run += 1
            else:
                expected += run if run >= 3 else 0
                run = 0
    assert clipped_samples(np.array(values, dtype=np.int16)) == expected


GOOD = Source("pcm_s16le", 2, 8000, 16, 1_000_000, 30.0)
SPOKEN = talk({Side.CONTACT: [Span(0, 9)], Side.EMPLOYEE: [Span(10, 20)]}, 30.0)
CLEAR = Sound(20.0, 280.0, 3500.0, -20.0, 0.0)
SOUNDS = {Side.CONTACT: CLEAR, Side.EMPLOYEE: replace(CLEAR, signal_to_noise=18.0)}


def test_all_requirements_are_met() -> None:
    assert {one.name: one.is_met for one in requirements(GOOD, SPOKEN, SOUNDS)} == dict.fromkeys(
        [
            "stereo",
            "pcm_16_bit",
            "sample_rate",
            "frequency_range",
            "frequency_range_telephone",
            "signal_to_noise",
            "speech_duration",
            "duration",
            "file_size",
        ],
        True,
    )


@pytest.mark.parametrize(
    ("name", "source", "worse"),
    [
        ("stereo", replace(GOOD, channels=1), {}),
        ("pcm_16_bit", replace(GOOD, codec="pcm_s24le", bits=24), {}),
        ("pcm_16_bit", replace(GOOD, codec="mp3"), {}),
        ("sample_rate", replace(GOOD, sample_rate=16_000), {}),
        ("frequency_range_telephone", GOOD, {"frequency_low": 320.0}),
        ("signal_to_noise", GOOD, {"signal_to_noise": 14.9}),
        ("duration", replace(GOOD, seconds=15.9), {}),
        ("file_size", replace(GOOD, bytes=52_428_801), {}),
    ],
)
def test_each_requirement_fails_alone(name: str, source: Source, worse: dict[str, float]) -> None:
    sounds = {**SOUNDS, Side.CONTACT: replace(CLEAR, **worse)}
    assert [one.name for one in requirements(source, SPOKEN, sounds) if not one.is_met] == [name]


def test_too_little_speech_and_a_side_that_never_spoke() -> None:
    silent = Sound(None, None, None, None, 0.0)
    short = talk({Side.CONTACT: [Span(0.0, 9.0)]}, 30.0)
    found = {one.name: one for one in requirements(GOOD, short, {**SOUNDS, Side.EMPLOYEE: silent})}
    assert not found["speech_duration"].is_met
    assert found["speech_duration"].measured == "9.0 s"
    assert found["signal_to_noise"].measured == "20.0 dB"
    nobody = requirements(GOOD, talk({}, 30.0), dict.fromkeys(Side, silent))
    assert [one.is_met for one in nobody if one.name in ("signal_to_noise", "frequency_range")] == [
        None,
        None,
    ]


def test_a_summary_has_what_was_spoken_of_most() -> None:
    said = [
        Phrase(0, 1, Side.CONTACT, "Good day"),
        Phrase(1, 2, Side.CONTACT, "My order number seven is late"),
        Phrase(2, 3, Side.EMPLOYEE, "Number seven of your order was sent"),
        Phrase(3, 4, Side.CONTACT, "Fine weather outside"),
        Phrase(4, 5, Side.EMPLOYEE, "The order number seven comes late tomorrow"),
    ]
    reported = summary(said)
    assert reported is not None
    assert reported.splitlines() == [
        "contact: My order number seven is late",
        "employee: Number seven of your order was sent",
        "employee: The order number seven comes late tomorrow",
    ]
    assert summary([]) is None
    assert summary([Phrase(0, 1, Side.CONTACT, "ah")]) is None
