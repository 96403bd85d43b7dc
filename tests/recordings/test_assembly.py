"""Sides, offsets and sound of a recording, from raw files."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from trunkline.core.clock import Instant
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.recordings.assembly import SAMPLE_RATE, Side, Source, Track, mix, plan, write


def tone(frequency: float, seconds: float, level: int = 8000) -> bytes:
    moments = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (level * np.sin(2 * np.pi * frequency * moments)).astype("<i2").tobytes()


def loudest(samples: NDArray[Any]) -> float:
    """The strongest frequency in a piece of sound, 0 for silence."""
    if not np.any(np.abs(samples) > 200):
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


def journal(*facts: tuple[EventType, float, dict[str, Any]]) -> list[Event]:
    return [
        Event(1, call_stream(7), number, type_, Instant(at), data)
        for number, (type_, at, data) in enumerate(facts, 1)
    ]


def leg(leg_id: int, role: str, at: float = 0) -> tuple[EventType, float, dict[str, Any]]:
    return (EventType.LEG_STARTED, at, {"leg_id": leg_id, "role": role})


def talk(leg_id: int, at: float) -> tuple[EventType, float, dict[str, Any]]:
    return (EventType.TALK_STARTED, at, {"leg_id": leg_id})


def recording(leg_id: int, channel: str, at: float) -> tuple[EventType, float, dict[str, Any]]:
    return (EventType.RECORDING_STARTED, at, {"leg_id": leg_id, "channel": channel})


def test_contact_left_employee_right() -> None:
    events = journal(
        leg(1, "contact"), leg(2, "employee"), recording(1, "c", 5), recording(2, "e", 5), talk(2, 5)
    )
    assert plan(events) == [Track("c", Side.CONTACT, 0), Track("e", Side.EMPLOYEE, 0)]


def test_transferred_party_is_heard_when_their_talk_began() -> None:
    events = journal(
        leg(1, "contact"),
        leg(2, "employee"),
        talk(2, 10),
        recording(1, "c", 10),
        recording(2, "e", 10),
        leg(3, "employee", 20),
        talk(3, 30.5),
        recording(3, "e2", 30.5),
        talk(2, 50),
    )
    assert plan(events)[2] == Track("e2", Side.EMPLOYEE, int(20.5 * SAMPLE_RATE))


def test_a_coach_is_on_no_side() -> None:
    events = journal(leg(1, "contact"), leg(2, "employee"), leg(3, "coach"), talk(2, 1), recording(3, "x", 1))
    assert plan(events) == []


def test_between_employees_the_caller_is_left() -> None:
    events = journal(
        leg(1, "employee"), leg(2, "employee"), talk(2, 1), recording(1, "a", 1), recording(2, "b", 1)
    )
    assert [(track.file, track.side) for track in plan(events)] == [
        ("a", Side.CONTACT),
        ("b", Side.EMPLOYEE),
    ]


def test_a_channel_reported_twice_is_one_track() -> None:
    events = journal(leg(1, "contact"), talk(2, 1), recording(1, "a", 1), recording(1, "a", 4))
    assert len(plan(events)) == 1


def test_files_hold_each_party_on_its_own_channel(tmp_path: Path) -> None:
    sources = [
        Source(io.BytesIO(tone(440, 4)), 0, 0),
        Source(io.BytesIO(tone(1000, 2)), 1, 0),
        Source(io.BytesIO(tone(700, 2)), 1, 2 * SAMPLE_RATE),
    ]
    wav_path, mp3_path = tmp_path / "a" / "r.wav", tmp_path / "a" / "r.mp3"
    written = write(mix(sources, 2, chunk=3000), 2, wav_path, mp3_path, 32_000)
    assert written.duration_ms == 4000
    with wave.open(str(wav_path)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 32000)
        sound = np.frombuffer(file.readframes(32000), dtype="<i2").reshape(-1, 2)
    assert loudest(sound[:, 0]) == pytest.approx(440, abs=5)
    assert loudest(sound[1000:15000, 1]) == pytest.approx(1000, abs=5)
    assert loudest(sound[17000:31000, 1]) == pytest.approx(700, abs=5)
    with av.open(str(mp3_path)) as container:
        assert (container.duration or 0) / 1_000_000 == pytest.approx(4, abs=0.2)
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    decoded = np.concatenate(frames, axis=1)
    assert loudest(decoded[0][4000:12000] * 20000) == pytest.approx(440, abs=5)
    assert loudest(decoded[1][4000:12000] * 20000) == pytest.approx(1000, abs=5)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["r.mp3", "r.wav"]


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    def broken() -> Any:
        yield np.zeros((100, 2), dtype=np.int16)
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        write(broken(), 2, tmp_path / "r.wav", tmp_path / "r.mp3", 32_000)
    assert list(tmp_path.iterdir()) == []


def test_both_loud_on_one_side_do_not_wrap() -> None:
    loud = np.full(100, 30000, dtype="<i2").tobytes()
    (chunk,) = mix([Source(io.BytesIO(loud), 0, 0), Source(io.BytesIO(loud), 0, 0)], 1)
    assert chunk.max() == 32767
    assert chunk.min() == 32767


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 1), st.integers(0, 400), st.booleans()), max_size=4
    ),
    st.integers(1, 200),
)
def test_chunks_are_the_whole(parts: list[tuple[int, int, int, bool]], chunk: int) -> None:
    """Whatever the size of the chunks, the sum is that of all samples at their places."""
    expected_length = max((offset + length for length, _, offset, _ in parts if length), default=0)
    expected = np.zeros((expected_length, 2), dtype=np.int64)
    sources = []
    for length, side, offset, odd in parts:
        samples = (np.arange(length) % 100 + 1).astype("<i2")
        expected[offset : offset + length, side] += samples[: max(0, expected_length - offset)]
        sources.append(Source(io.BytesIO(samples.tobytes() + (b"\x01" if odd else b"")), side, offset))
    pieces = list(mix([source for source, part in zip(sources, parts, strict=True) if part[0]], 2, chunk))
    whole = np.concatenate(pieces) if pieces else np.zeros((0, 2), dtype=np.int16)
    assert whole.shape == expected.shape
    assert np.array_equal(whole, expected)


def test_a_party_recorded_in_parts_is_placed_part_by_part() -> None:
    """Held from 4 to 9: the second parts begin eight seconds after the first."""
    events = journal(
        leg(1, "contact"),
        leg(2, "employee"),
        talk(2, 1),
        recording(1, "a", 1),
        recording(2, "b", 1),
        talk(2, 9),
        (EventType.RECORDING_STARTED, 9, {"leg_id": 1, "channel": "a", "file": "a.2"}),
        (EventType.RECORDING_STARTED, 9, {"leg_id": 2, "channel": "b", "file": "b.2"}),
    )
    assert plan(events) == [
        Track("a", Side.CONTACT, 0),
        Track("b", Side.EMPLOYEE, 0),
        Track("a.2", Side.CONTACT, 8 * SAMPLE_RATE),
        Track("b.2", Side.EMPLOYEE, 8 * SAMPLE_RATE),
    ]


def test_a_recording_switched_on_late_begins_there() -> None:
    events = journal(
        leg(1, "contact"), leg(2, "employee"), talk(2, 1), recording(1, "a", 5), recording(2, "b", 5)
    )
    assert [track.offset for track in plan(events)] == [0, 0]
