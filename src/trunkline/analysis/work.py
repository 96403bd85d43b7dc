"""The analysis of one file: decoding, detection of speech, figures, and the transcript on request.

Needs processor time and memory (4 minutes of recording: about a second); :mod:`trunkline.analysis.child` runs it
in a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trunkline.analysis import spans
from trunkline.analysis.decode import decode
from trunkline.analysis.model import SAMPLE_RATE, Phrase, Side, Source, Span, Task, TranscriptStatus
from trunkline.analysis.requirements import requirements
from trunkline.analysis.silero import FRAME_SECONDS, Detector
from trunkline.analysis.sound import Sound, sound
from trunkline.analysis.summary import summary
from trunkline.analysis.talk import Talk, talk
from trunkline.analysis.transcriber import Transcriber
from trunkline.core.errors import InvalidInput, TrunklineError, Unavailable


def analyse(task: Task, detector: Detector, transcriber: Transcriber | None) -> dict[str, Any]:
    """``{"figures", "requirements", "transcript"}``, JSON values; ``transcript`` is None when not asked for.

    :raises InvalidInput: the file is not a stereo recording that can be read.
    """
    samples, source = decode(Path(task.path))
    if samples.shape[0] != 2:
        raise InvalidInput(f"The recording has {samples.shape[0]} channel(s): only stereo can be analysed.")
    sides = [Side(name) for name in task.sides]
    duration = samples.shape[1] / SAMPLE_RATE
    probabilities = detector.probabilities(samples)
    speech = {
        side: spans.speech(probabilities[number].tolist(), FRAME_SECONDS, duration)
        for number, side in enumerate(sides)
    }
    sounds = {side: sound(samples[number], speech[side]) for number, side in enumerate(sides)}
    talked = talk(speech, duration)
    met = requirements(_as_it_came(source, task.came_as), talked, sounds)
    return {
        "figures": figures(talked, sounds, sides),
        "requirements": [asdict(one) for one in met],
        "transcript": None if transcriber is None else _transcript(transcriber, samples, sides, speech),
    }


def figures(talked: Talk, sounds: Mapping[Side, Sound], sides: Sequence[Side]) -> dict[str, Any]:
    """The figures in the stored and returned format: seconds, Hz, dB, ratios of 0 to 1."""
    return {
        "duration": _rounded(talked.duration),
        "talk_ratio": _rounded(talked.talk_ratio),
        "listen_ratio": _rounded(talked.listen_ratio),
        "spoke_first": talked.spoke_first,
        "spoke_last": talked.spoke_last,
        "overlap_count": len(talked.overlaps),
        "overlap_duration": _rounded(talked.overlap_duration),
        "silence_count": len(talked.silences),
        "silence_duration": _rounded(talked.silence_duration),
        "longest_silence": _rounded(talked.longest_silence),
        "channels": [
            {
                "side": side,
                "speech_duration": _rounded(talked.sides[side].speech_duration),
                "speech_ratio": _rounded(talked.sides[side].speech_ratio),
                "longest_monologue": _monologue(talked.sides[side].longest_monologue),
                **{name: _rounded(value) for name, value in asdict(sounds[side]).items()},
                "speech": [[_rounded(span.start), _rounded(span.end)] for span in talked.sides[side].speech],
            }
            for side in sides
        ],
    }


def _monologue(span: Span | None) -> float:
    return 0.0 if span is None else round(span.seconds, 3)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _as_it_came(source: Source, came_as: Mapping[str, Any] | None) -> Source:
    if not came_as:
        return source
    return replace(
        source,
        codec=came_as.get("codec"),
        channels=came_as.get("channels"),
        sample_rate=came_as.get("sample_rate"),
        bits=came_as.get("bits"),
        bytes=came_as.get("bytes"),
    )


def _transcript(
    transcriber: Transcriber,
    samples: NDArray[np.int16],
    sides: Sequence[Side],
    speech: Mapping[Side, Sequence[Span]],
) -> dict[str, Any]:
    """When the transcriber fails, the figures are returned without a transcript."""
    answer: dict[str, Any] = {"status": TranscriptStatus.READY, "transcriber": transcriber.name}
    phrases: list[Phrase] = []
    try:
        for number, side in enumerate(sides):
            for span, text in transcriber.transcribe(samples[number], speech[side]):
                phrases.append(Phrase(span.start, span.end, side, text))
    except Unavailable as error:
        return {"status": TranscriptStatus.UNAVAILABLE, "failure": error.message}
    except TrunklineError as error:
        return {"status": TranscriptStatus.FAILED, "failure": error.message}
    except Exception as error:
        return {"status": TranscriptStatus.FAILED, "failure": f"The transcriber failed: {error!r}."}
    phrases.sort(key=lambda phrase: phrase.start)
    answer["phrases"] = [asdict(phrase) for phrase in phrases]
    answer["summary"] = summary(phrases)
    return answer
