"""The model on voices whose words are known; a whole analysis, in this process and in a separate one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.analysis.sounds import NOISE, Scene, scene, talk_scene
from trunkline.analysis import spans
from trunkline.analysis.model import SAMPLE_RATE, Span, Task
from trunkline.analysis.service import ChildEngine
from trunkline.analysis.silero import FRAME_SECONDS, SileroDetector
from trunkline.analysis.transcriber import NullTranscriber, WhisperTranscriber
from trunkline.analysis.work import analyse
from trunkline.core.errors import InvalidInput, SetupError, Unavailable

pytestmark = pytest.mark.shells

CLOSE = 0.3
"""Seconds within which the beginning and the end of speech are found."""


@pytest.fixture(scope="module")
def detector() -> SileroDetector:
    return SileroDetector()


@pytest.fixture(scope="module")
def talked() -> Scene:
    return talk_scene()


class StandIn:
    """Writes down how often a side spoke."""

    name = "stand-in"

    def transcribe(self, samples: NDArray[np.int16], speech: Sequence[Span]) -> list[tuple[Span, str]]:
        return [(span, f"utterance number {number}") for number, span in enumerate(speech, 1)]


def assert_close(found: Sequence[Sequence[float]], known: Sequence[Span]) -> None:
    """The same stretches, pauses within a text left aside."""
    joined = spans.joined([Span(*one) for one in found], gap=1.0)
    assert len(joined) == len(known), (joined, known)
    for one, other in zip(joined, known, strict=True):
        assert one.start == pytest.approx(other.start, abs=CLOSE)
        assert one.end == pytest.approx(other.end, abs=CLOSE)


@pytest.mark.parametrize("noise", [0.0, NOISE, 300.0])
def test_speech_is_found_where_it_is(detector: SileroDetector, noise: float) -> None:
    made = talk_scene(noise)
    probabilities = detector.probabilities(made.samples)
    for channel in (0, 1):
        found = spans.speech(probabilities[channel].tolist(), FRAME_SECONDS, 22.0)
        assert_close(found, made.spans[channel])


def test_tones_and_noise_are_no_speech(detector: SileroDetector) -> None:
    time = np.arange(SAMPLE_RATE * 8) / SAMPLE_RATE
    ringing = np.sin(2 * np.pi * 425 * time) * 8000 * (time % 5 < 1)
    hiss = np.random.default_rng(3).normal(0, 500, len(time))
    probabilities = detector.probabilities(np.stack([ringing, hiss]).astype(np.int16))
    for channel in (0, 1):
        assert spans.total(spans.speech(probabilities[channel].tolist(), FRAME_SECONDS, 8.0)) < 0.5


def test_channels_do_not_disturb_one_another(detector: SileroDetector, talked: Scene) -> None:
    both = detector.probabilities(talked.samples)
    alone = detector.probabilities(talked.samples[1:])
    assert np.abs(both[1] - alone[0]).max() < 1e-3
    assert detector.probabilities(np.zeros((2, 0), dtype=np.int16)).shape == (2, 0)


def test_a_whole_analysis(detector: SileroDetector, talked: Scene, tmp_path: Path) -> None:
    path = talked.write(tmp_path / "talk.wav")
    answer = analyse(Task(str(path), ("contact", "employee")), detector, StandIn())
    figures = answer["figures"]
    contact, employee = (spans.total(one) for one in talked.spans)
    assert figures["duration"] == 22.0
    assert figures["talk_ratio"] == pytest.approx(employee / (contact + employee), abs=0.05)
    assert figures["talk_ratio"] + figures["listen_ratio"] == pytest.approx(1, abs=0.001)
    overlap = spans.total(spans.common(*talked.spans))
    assert overlap > 1
    assert figures["overlap_duration"] == pytest.approx(overlap, abs=2 * CLOSE)
    silence = spans.total(spans.gaps(spans.joined([*talked.spans[0], *talked.spans[1]]), 22.0))
    assert figures["silence_duration"] == pytest.approx(silence, abs=0.05 * 22)
    assert (figures["spoke_first"], figures["spoke_last"]) == ("contact", "employee")
    left, right = figures["channels"]
    assert (left["side"], right["side"]) == ("contact", "employee")
    assert left["longest_monologue"] == pytest.approx(talked.spans[0][0].seconds, abs=2 * CLOSE)
    assert left["signal_to_noise"] > 25
    assert left["clipped_ratio"] == 0
    assert all(one["is_met"] for one in answer["requirements"] if one["name"] != "speech_duration")
    transcript = answer["transcript"]
    assert (transcript["status"], transcript["transcriber"]) == ("ready", "stand-in")
    assert {one["side"] for one in transcript["phrases"]} == {"contact", "employee"}
    assert [one["start"] for one in transcript["phrases"]] == sorted(
        one["start"] for one in transcript["phrases"]
    )


def test_the_employee_may_be_on_the_left(detector: SileroDetector, talked: Scene, tmp_path: Path) -> None:
    path = talked.write(tmp_path / "talk.wav")
    one = analyse(Task(str(path), ("contact", "employee")), detector, None)["figures"]
    other = analyse(Task(str(path), ("employee", "contact")), detector, None)["figures"]
    assert other["talk_ratio"] == one["listen_ratio"]
    assert other["spoke_first"] == "employee"


def test_what_it_came_as_is_measured(detector: SileroDetector, tmp_path: Path) -> None:
    path = scene(2.0, {}).write(tmp_path / "empty.wav")
    came_as = {"codec": "pcm_s24le", "channels": 2, "sample_rate": 44_100, "bits": 24, "bytes": 60_000_000}
    answer = analyse(Task(str(path), ("contact", "employee"), came_as), detector, None)
    failed = {one["name"] for one in answer["requirements"] if one["is_met"] is False}
    assert failed == {"pcm_16_bit", "sample_rate", "speech_duration", "duration", "file_size"}
    assert answer["figures"]["talk_ratio"] is None
    assert answer["transcript"] is None


def test_a_broken_transcriber_takes_nothing_from_the_figures(
    detector: SileroDetector, talked: Scene, tmp_path: Path
) -> None:
    class Broken:
        name = "broken"

        def transcribe(self, samples: NDArray[np.int16], speech: Sequence[Span]) -> list[tuple[Span, str]]:
            raise RuntimeError("out of words")

    path = talked.write(tmp_path / "talk.wav")
    answer = analyse(Task(str(path), ("contact", "employee")), detector, Broken())
    assert answer["transcript"]["status"] == "failed"
    assert "out of words" in answer["transcript"]["failure"]
    assert answer["figures"]["talk_ratio"] is not None
    nobody = analyse(Task(str(path), ("contact", "employee")), detector, NullTranscriber())
    assert nobody["transcript"]["status"] == "unavailable"


async def test_a_process_of_its_own_shows_the_same(
    detector: SileroDetector, talked: Scene, tmp_path: Path
) -> None:
    path = talked.write(tmp_path / "talk.wav")
    task = Task(str(path), ("contact", "employee"), transcribe=True)
    answer = await ChildEngine(timeout=60).run(task)
    here = analyse(task, detector, None)
    assert answer["figures"] == here["figures"]
    assert answer["requirements"] == here["requirements"]
    assert answer["transcript"]["status"] == "unavailable"
    assert "analysis.whisper_model" in answer["transcript"]["failure"]


async def test_what_cannot_be_analysed_says_why(tmp_path: Path) -> None:
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"no sound at all" * 100)
    answer = await ChildEngine(timeout=60).run(Task(str(noise), ("contact", "employee")))
    assert "cannot be read" in answer["failure"]
    answer = await ChildEngine(timeout=0.01).run(Task(str(noise), ("contact", "employee")))
    assert "limits" in answer["failure"]


def test_mono_is_refused(detector: SileroDetector, tmp_path: Path) -> None:
    from trunkline.speech import audio

    path = tmp_path / "mono.wav"
    path.write_bytes(audio.wav(b"\0\0" * 8000))
    with pytest.raises(InvalidInput, match="stereo"):
        analyse(Task(str(path), ("contact", "employee")), detector, None)


def test_a_missing_model_and_no_transcriber_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"model\.bin"):
        WhisperTranscriber(tmp_path)
    with pytest.raises(Unavailable, match="whisper_model"):
        NullTranscriber().transcribe(np.zeros(1, dtype=np.int16), [])


def test_no_role_pays_for_it_at_its_start() -> None:
    look = (
        "import sys, trunkline.roles.web, trunkline.roles.worker, trunkline.roles.switch;"
        "print([name for name in ('onnxruntime', 'torch', 'faster_whisper') if name in sys.modules])"
    )
    reported = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert reported.stdout.strip() == "[]"


def test_whisper_hears_only_speech_and_fetches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a stand-in of the library: what we hand to it, and what we make of its answer."""
    asked: dict[str, Any] = {}

    class Model:
        def __init__(self, folder: str, **options: Any) -> None:
            asked.update(folder=folder, **options)

        def transcribe(
            self, sound: NDArray[np.float32], **options: Any
        ) -> tuple[list[SimpleNamespace], None]:
            asked.update(sound=sound, **options)
            return [
                SimpleNamespace(start=0.5, end=1.0, text=" Hello. "),
                SimpleNamespace(start=1, end=2, text=" "),
            ], None

    library = ModuleType("faster_whisper")
    library.__dict__["WhisperModel"] = Model
    monkeypatch.setitem(sys.modules, "faster_whisper", library)
    (tmp_path / "model.bin").touch()
    whisper = WhisperTranscriber(tmp_path, "en")
    samples = np.full(8000, 16_384, dtype=np.int16)
    assert whisper.transcribe(samples, []) == []
    assert "sound" not in asked
    reported = whisper.transcribe(samples, [Span(0.25, 0.5), Span(0.75, 1.0)])
    assert reported == [(Span(0.5, 1.0), "Hello.")]
    assert (asked["folder"], asked["local_files_only"], asked["language"]) == (str(tmp_path), True, "en")
    assert asked["clip_timestamps"] == [0.25, 0.5, 0.75, 1.0]
    assert asked["sound"].shape == (16_000,)
    assert asked["sound"].dtype == np.float32
    assert np.allclose(asked["sound"], 0.5)
