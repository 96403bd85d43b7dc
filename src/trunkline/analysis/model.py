"""Values of voice analysis: sides, spans, phrases. All times are seconds from the beginning of the recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

SAMPLE_RATE = 8000
"""Of all sound that is analysed."""


class Side(StrEnum):
    CONTACT = "contact"
    EMPLOYEE = "employee"


class Status(StrEnum):
    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


class TranscriptStatus(StrEnum):
    NOT_ASKED = "not_asked"
    PENDING = "pending"
    READY = "ready"
    UNAVAILABLE = "unavailable"
    """Asked for, and no transcriber is set up."""
    FAILED = "failed"


class Span(NamedTuple):
    """A time span, ``start < end``."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of one side without a pause."""

    start: float
    end: float
    side: Side
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """The format of a sound file before it was converted. None: not known."""

    codec: str | None
    channels: int | None
    sample_rate: int | None
    bits: int | None
    bytes: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Task:
    """What to analyse.

    :param path: of the WAV.
    :param sides: who is on which channel.
    :param came_as: format of the original file, if the file at ``path`` was converted.
    """

    path: str
    sides: tuple[str, str]
    came_as: Mapping[str, Any] | None = None
    transcribe: bool = False
    whisper_model: str | None = None
    language: str | None = None
