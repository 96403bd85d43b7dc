"""Audio in the stored format: 16-bit PCM, 8000 Hz, mono; WAV on disk. Other formats are converted when they are imported.

``pcm`` is always raw little-endian 16-bit mono at :data:`RATE`.
"""

from __future__ import annotations

import io
import os
import tempfile
import wave
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from trunkline.core.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples: TypeAlias = NDArray[np.int16]

# The libraries of sound are imported where they are used: most processes import this module and make no sound, and their
# start would take a quarter of a second longer.

RATE = 8000
"""Samples a second."""
SAMPLE_BYTES = 2
MAX_SECONDS = 1800
"""The longest audio accepted from outside: a guard against files that unpack without end."""
SILENCE_DBFS = -60.0


def decode(source: bytes | Path, *, max_seconds: int = MAX_SECONDS) -> bytes:
    """PCM of any audio file (WAV, MP3, OGG, FLAC, M4A, the sound of a video ...).

    :raises InvalidInput: no audio in it, damaged, or longer than ``max_seconds``.
    :raises OSError: a path that cannot be read.
    """
    import av
    from av.audio.resampler import AudioResampler

    stream = io.BytesIO(source if isinstance(source, bytes) else source.read_bytes())
    limit = max_seconds * RATE * SAMPLE_BYTES
    pcm = bytearray()
    try:
        with av.open(stream, "r") as container:
            if not container.streams.audio:
                raise InvalidInput("There is no audio in this file; give a WAV, MP3, OGG, FLAC or M4A file.")
            resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
            for frame in container.decode(audio=0):
                for part in resampler.resample(frame):
                    pcm += part.to_ndarray().tobytes()
                if len(pcm) > limit:
                    raise InvalidInput(
                        f"This audio is longer than {max_seconds} seconds; give a shorter one."
                    )
            for part in resampler.resample(None):
                pcm += part.to_ndarray().tobytes()
    except av.FFmpegError as error:
        raise InvalidInput(
            f"This is not an audio file we can read ({error.strerror}); give a WAV, MP3, OGG, FLAC or M4A file."
        ) from error
    if not pcm:
        raise InvalidInput("This audio file is empty; give one with sound in it.")
    return bytes(pcm)


def wav(pcm: bytes) -> bytes:
    """A WAV file of PCM. The same PCM always gives the same bytes, so files can be named by their content."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(RATE)
        file.writeframes(pcm)
    return buffer.getvalue()


def pcm_of(wav_file: bytes) -> bytes:
    """PCM of a WAV file made by :func:`wav`. ValueError when its format is another."""
    with wave.open(io.BytesIO(wav_file), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, SAMPLE_BYTES, RATE):
            raise ValueError("not 16-bit PCM, 8000 Hz, mono")
        return file.readframes(file.getnframes())


def duration_ms(pcm: bytes) -> int:
    """Milliseconds of sound."""
    return len(pcm) * 1000 // (RATE * SAMPLE_BYTES)


def level_dbfs(pcm: bytes) -> float:
    """Loudness (root mean square) in dB below full scale; -inf for digital silence."""
    import numpy as np

    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
    rms = float(np.sqrt(np.mean(np.square(samples)))) if samples.size else 0.0
    return 20 * float(np.log10(rms / 32768)) if rms > 0 else float("-inf")


def is_silent(pcm: bytes) -> bool:
    """Whether the audio is silent."""
    return level_dbfs(pcm) < SILENCE_DBFS


def resample(samples: Samples, rate: int) -> bytes:
    """PCM of mono samples of another rate."""
    import av
    from av.audio.resampler import AudioResampler

    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = rate
    resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
    parts = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(part.to_ndarray().tobytes() for part in parts)


def write_atomically(target: Path, content: bytes) -> None:
    """Write a file that others see complete or not at all; its folder is made when missing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
