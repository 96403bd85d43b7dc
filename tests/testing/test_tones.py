"""Tones are found where they are, and nowhere else, whatever telephony did to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.demo import tones
from trunkline.demo.outside.world import speakers_of
from trunkline.demo.tones import Ear, Interval, Sound

TONES = [1000.0, 1130.0, 1260.0, 1390.0, 1520.0]


def g711(sound: Sound) -> Sound:
    """Mu-law there and back: 8 bits a sample, logarithmic."""
    mu = 255.0
    squeezed = np.sign(sound) * np.log1p(mu * np.abs(sound)) / np.log1p(mu)
    stepped = np.round(squeezed * 127) / 127
    result: Sound = np.sign(stepped) * np.expm1(np.abs(stepped) * np.log1p(mu)) / mu
    return result


def place(sound: Sound, tone: Sound, at: float) -> None:
    start = round(at * tones.RATE)
    sound[start : start + len(tone)] += tone


@settings(max_examples=60, deadline=None)
@given(
    spans=st.lists(
        st.tuples(st.sampled_from(TONES), st.floats(0.0, 3.0), st.floats(0.4, 2.0)),
        max_size=4,
        unique_by=lambda span: span[0],
    )
)
def test_every_tone_of_a_mix_is_found_with_its_times(spans: list[tuple[float, float, float]]) -> None:
    mix = tones.silence(6)
    for frequency, start, seconds in spans:
        place(mix, tones.sine(frequency, seconds), start)
    found = tones.heard(g711(np.clip(mix, -1, 1)), TONES)
    expected = {frequency: (start, start + seconds) for frequency, start, seconds in spans}
    for frequency in TONES:
        if frequency not in expected:
            assert found[frequency] == []
            continue
        [interval] = found[frequency]
        assert interval.start == pytest.approx(expected[frequency][0], abs=0.06)
        assert interval.end == pytest.approx(expected[frequency][1], abs=0.06)


def test_silence_and_noise_hold_no_tone() -> None:
    noise = np.random.default_rng(7).normal(0, 0.1, tones.RATE * 3)
    assert not any(tones.heard(noise, TONES).values())
    assert not any(tones.heard(tones.silence(2), TONES).values())
    assert not any(tones.heard(np.zeros(0), TONES).values())
    assert tones.sounding(tones.silence(2)) == []


def test_a_tone_is_heard_in_noise() -> None:
    noise = np.random.default_rng(7).normal(0, 0.03, tones.RATE * 3)
    [interval] = tones.heard(noise + tones.sine(1260, 3), [1260.0])[1260.0]
    assert interval.seconds == pytest.approx(3, abs=0.1)


def test_a_neighbour_is_not_mistaken_for_the_tone() -> None:
    sound = tones.sine(1000 + tones.SPACING, 2)
    assert tones.heard(sound, [1000.0])[1000.0] == []


def test_a_quiet_echo_does_not_count() -> None:
    assert tones.heard(tones.sine(1000, 2, amplitude=0.05 * tones.LOUDNESS), [1000.0])[1000.0] == []


def test_short_gaps_are_closed_and_short_tones_dropped() -> None:
    sound = np.concatenate([tones.sine(1000, 1), tones.silence(0.1), tones.sine(1000, 1), tones.silence(1)])
    place(sound, tones.sine(1130, 0.08), 2.5)
    found = tones.heard(sound, [1000.0, 1130.0])
    assert len(found[1000.0]) == 1
    assert found[1130.0] == []


def test_two_talks_with_a_pause_are_two_intervals() -> None:
    sound = np.concatenate([tones.sine(1000, 1), tones.silence(1), tones.sine(1000, 1)])
    first, second = tones.heard(sound, [1000.0])[1000.0]
    assert first.end == pytest.approx(1.0, abs=0.06)
    assert second.start == pytest.approx(2.0, abs=0.06)
    assert tones.total([first, second]) == pytest.approx(2.0, abs=0.1)


def test_wav_channels_are_reported_apart_by_frequency(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    tones.write_wav(path, tones.sine(1000, 2), np.concatenate([tones.silence(1), tones.sine(1130, 0.5)]))
    left, right = tones.channel_frequencies(path, TONES)
    assert left.keys() == {1000.0}
    assert left[1000.0] == pytest.approx(2.0, abs=0.1)
    assert right.keys() == {1130.0}
    assert right[1130.0] == pytest.approx(0.5, abs=0.1)


def test_raw_files_keep_the_sound_and_bear_a_torn_end(tmp_path: Path) -> None:
    path = tmp_path / "heard.sln"
    assert len(tones.read_raw(path)) == 0
    sound = tones.sine(1520, 1)
    path.write_bytes(tones.to_pcm(sound) + b"\x01")
    np.testing.assert_allclose(tones.read_raw(path), sound, atol=1e-3)


def test_the_matrix_shows_who_heard_whom_and_when() -> None:
    ears = [
        Ear("anna", np.concatenate([tones.silence(1), tones.sine(1130, 2)]), 100.0),
        Ear("anna", tones.sine(1260, 1), 200.0),
        Ear("customer", tones.silence(3), 100.0),
    ]
    matrix = tones.hears_matrix(ears, {"anna": 1000.0, "customer": 1130.0, "boris": 1260.0})
    assert matrix["customer"] == {}
    assert matrix["anna"].keys() == {"customer", "boris"}
    [interval] = matrix["anna"]["customer"]
    assert interval.start == pytest.approx(101.0, abs=0.06)
    assert interval.end == pytest.approx(103.0, abs=0.06)
    assert matrix["anna"]["boris"][0].start == pytest.approx(200.0, abs=0.06)


def test_an_interval_moves_to_the_wall_clock() -> None:
    assert Interval(1.0, 2.5).shifted(1000.0) == Interval(1001.0, 1002.5)


def test_a_device_whose_name_another_had_is_recognized_by_its_own_tone() -> None:
    """The customer has the tone that the second tablet got later; the third tablet is not on the call."""
    parties = [
        ("customer", 1120.0),
        ("tablet", 1230.0),
        ("tablet", 1120.0),
        ("desk", 1340.0),
        ("tablet", 1450.0),
    ]
    of_call = [("desk", 1340.0), ("tablet", 1120.0)]
    assert speakers_of(parties, of_call)["tablet"] == 1120.0
    assert speakers_of(parties, [])["tablet"] == 1450.0
