"""One stereo recording from the raw files of its parties: the contact on the left, our side on the right.

A raw file holds the audio of one party while bridged: 16-bit little-endian samples, mono, 8000 a second, from its own
beginning. :func:`plan` (pure) determines the side and the start time of each file; :func:`mix` joins
them chunk by chunk, so an hour needs no more memory than a second; :func:`write` makes WAV and MP3 of that.
"""

from __future__ import annotations

import contextlib
import os
import wave
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from trunkline.core.clock import Instant
from trunkline.events.catalogue import Event, EventType

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# As in trunkline.speech.audio the libraries of sound are imported where they are used: the worker imports this module at its
# start, and needs them for the first recording.

SAMPLE_RATE = 8000
SAMPLE_BYTES = 2

_CHUNK = SAMPLE_RATE * 5
"""Samples mixed at a time."""

_MP3_EFFORT = "7"
"""0 = slowest and best, 9 = fastest; speech of 8000 Hz has no audible loss."""

_LONGEST = 24 * 3600
"""Seconds; an offset beyond it is a broken clock, not a call."""


class Side(StrEnum):
    CONTACT = "contact"
    EMPLOYEE = "employee"


SIDES = (Side.CONTACT, Side.EMPLOYEE)
"""Left, right."""


@dataclass(frozen=True, slots=True)
class Track:
    """One party's file in the recording. ``offset``: samples after the recording's beginning."""

    file: str
    """Its name in the spool folder of the session, without extension."""
    side: Side
    offset: int


def plan(events: Iterable[Event]) -> list[Track]:
    """The tracks of a call, from its event log. Pure.

    The recording begins with the first recorded talk and goes on in step with the clock: what was not recorded (a
    hold, a consultation) is silence. A file begins where its RECORDING_STARTED was, or where its party began to talk
    when that came later; a party may have several. In a call between employees the one who called is on the contact's
    side. A coach is on no side.
    """
    roles: dict[int, str] = {}
    talked: dict[int, Instant] = {}
    recorded: dict[str, tuple[int, Instant]] = {}
    for event in events:
        leg_id = event.data.get("leg_id")
        if not isinstance(leg_id, int):
            continue
        if event.type is EventType.LEG_STARTED:
            roles[leg_id] = str(event.data.get("role", ""))
        elif event.type is EventType.TALK_STARTED:
            for one in (leg_id, event.data.get("contact_leg_id")):
                if isinstance(one, int):
                    talked.setdefault(one, event.at)
        elif event.type is EventType.RECORDING_STARTED:
            file = str(event.data.get("file") or event.data["channel"])
            recorded.setdefault(file, (leg_id, event.at))
    contacts = _contact_side(roles)
    first = min(talked.values(), default=Instant(0.0))
    begins = {
        file: max(at, talked.get(leg_id, first))
        for file, (leg_id, at) in recorded.items()
        if roles.get(leg_id) != "coach"
    }
    began = min(begins.values(), default=first)
    return [
        Track(
            file,
            Side.CONTACT if recorded[file][0] in contacts else Side.EMPLOYEE,
            round(min(at - began, _LONGEST) * SAMPLE_RATE),
        )
        for file, at in begins.items()
    ]


def _contact_side(roles: dict[int, str]) -> set[int]:
    contacts = {leg_id for leg_id, role in roles.items() if role == "contact"}
    if contacts:
        return contacts
    callers = [leg_id for leg_id, role in roles.items() if role != "coach"]
    return set(callers[:1])


@dataclass(frozen=True, slots=True)
class Source:
    """An open raw file at its place."""

    file: BinaryIO
    side: int
    """0 = left, 1 = right."""
    offset: int


def mix(sources: Sequence[Source], channels: int, chunk: int = _CHUNK) -> Iterator[NDArray[np.int16]]:
    """Interleaved samples of the whole recording, chunk by chunk: arrays of shape ``(n, channels)``.

    Parties on one side are added, held within 16 bits. Missing sound is silence; the end is the longest file's.
    """
    import numpy as np

    position = 0
    while True:
        mixed = np.zeros((chunk, channels), dtype=np.int32)
        length = 0
        for source in sources:
            first = max(source.offset - position, 0)
            if first >= chunk:
                length = chunk
                continue
            raw = source.file.read((chunk - first) * SAMPLE_BYTES)
            samples = np.frombuffer(raw[: len(raw) - len(raw) % SAMPLE_BYTES], dtype="<i2")
            mixed[first : first + len(samples), source.side] += samples
            if len(samples):
                length = max(length, first + len(samples))
        if length == 0:
            return
        yield np.clip(mixed[:length], -32768, 32767).astype(np.int16)
        position += chunk
        if length < chunk:
            return


@dataclass(frozen=True, slots=True)
class Written:
    """What a recording became. ``samples``: of each channel."""

    samples: int
    wav_bytes: int
    mp3_bytes: int

    @property
    def duration_ms(self) -> int:
        return round(self.samples * 1000 / SAMPLE_RATE)


def write(
    chunks: Iterable[NDArray[np.int16]], channels: int, wav_path: Path, mp3_path: Path, bit_rate: int
) -> Written:
    """Make both files. Each appears under its name complete and on the disk, or not at all.

    :param bit_rate: of the MP3, bits a second.
    """
    wav_path.parent.mkdir(parents=True, exist_ok=True)
    with _appearing(wav_path) as wav_part, _appearing(mp3_path) as mp3_part:
        samples = 0
        with wave.open(str(wav_part), "wb") as wav, _Mp3(mp3_part, channels, bit_rate) as mp3:
            wav.setnchannels(channels)
            wav.setsampwidth(SAMPLE_BYTES)
            wav.setframerate(SAMPLE_RATE)
            for chunk in chunks:
                samples += len(chunk)
                wav.writeframesraw(chunk.tobytes())
                mp3.write(chunk)
    _sync_folder(wav_path.parent)
    return Written(samples, wav_path.stat().st_size, mp3_path.stat().st_size)


class _Mp3:
    """An MP3 being written."""

    def __init__(self, path: Path, channels: int, bit_rate: int) -> None:
        import av

        self._container = av.open(str(path), "w", format="mp3")
        self._stream = self._container.add_stream("libmp3lame", rate=SAMPLE_RATE)
        self._layout = "stereo" if channels == 2 else "mono"
        self._stream.layout = self._layout
        self._stream.format = "s16p"
        self._stream.bit_rate = bit_rate
        self._stream.options = {"compression_level": _MP3_EFFORT}
        self._position = 0

    def __enter__(self) -> _Mp3:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._container.mux(self._stream.encode(None))
        finally:
            self._container.close()

    def write(self, chunk: NDArray[np.int16]) -> None:
        import av
        import numpy as np

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(chunk.T), format="s16p", layout=self._layout)
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._position
        self._position += len(chunk)
        self._container.mux(self._stream.encode(frame))


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
