"""Reads a sound file as samples of 8000 Hz, with PyAV."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from trunkline.analysis.model import SAMPLE_RATE, Source
from trunkline.core.errors import InvalidInput

MAX_SECONDS = 4 * 3600
"""The rest is cut off because of the memory of one analysis."""


def decode(path: Path) -> tuple[NDArray[np.int16], Source]:
    """Samples of shape ``(channels, n)``, and what the file is.

    :raises InvalidInput: it cannot be read as sound, or holds none.
    """
    parts: list[NDArray[np.int16]] = []
    samples = 0
    try:
        with av.open(str(path), "r", options={"protocol_whitelist": "file"}) as container:
            if not container.streams.audio:
                raise InvalidInput("There is no sound in the recording.")
            stream = container.streams.audio[0]
            codec = stream.codec_context
            channels = codec.channels
            resampler = av.AudioResampler(format="s16p", layout=codec.layout.name, rate=SAMPLE_RATE)
            for frame in chain(_frames(container), [None]):
                for part in resampler.resample(frame):
                    parts.append(part.to_ndarray().astype(np.int16, copy=False))
                    samples += part.samples
                if samples >= MAX_SECONDS * SAMPLE_RATE:
                    break
            bits = stream.codec_context.format.bits if stream.codec_context.format else None
            source = Source(
                codec.name, channels, codec.sample_rate, bits, path.stat().st_size, samples / SAMPLE_RATE
            )
    except (av.FFmpegError, OSError) as error:
        raise InvalidInput(f"The recording cannot be read: {error}.") from error
    if not samples:
        raise InvalidInput("The recording is empty.")
    return np.concatenate(parts, axis=1), source


def _frames(container: Any) -> Any:
    for frame in container.decode(audio=0):
        frame.pts = None
        yield frame
