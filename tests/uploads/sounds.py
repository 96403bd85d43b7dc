"""Small recordings to upload, good and bad."""

from __future__ import annotations

import functools
import gzip
import io
import struct
import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from numpy.typing import NDArray


def _tone(seconds: float, rate: int) -> NDArray[np.int16]:
    time = np.arange(round(seconds * rate)) / rate
    return np.asarray(np.sin(2 * np.pi * 440 * time) * 8000, dtype=np.int16)


@functools.cache
def wav(seconds: float = 17.0, rate: int = 8000, channels: int = 2) -> bytes:
    """16-bit PCM; a tone of another loudness on each channel."""
    tone = _tone(seconds, rate)
    mixed = np.stack([tone // (1 + number) for number in range(channels)], axis=1)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(mixed.astype("<i2").tobytes())
    return file.getvalue()


@functools.cache
def mp3(seconds: float = 5.0, rate: int = 8000) -> bytes:
    """Mono."""
    tone = _tone(seconds, rate)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tone.mp3"
        with av.open(str(path), "w", format="mp3") as container:
            stream = container.add_stream("libmp3lame", rate=rate)
            stream.layout = "mono"
            stream.format = "s16p"
            stream.bit_rate = 32_000
            frame = av.AudioFrame.from_ndarray(tone[None, :], format="s16p", layout="mono")
            frame.sample_rate = rate
            frame.pts = 0
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path.read_bytes()


def cut_mp3() -> bytes:
    """It ends in the middle."""
    whole = mp3()
    return whole[: len(whole) * 2 // 3 + 7]


def cut_wav() -> bytes:
    whole = wav()
    return whole[: len(whole) // 2]


def wav_header(
    *, data: int, rate: int = 8000, channels: int = 2, tag: int = 1, bits: int = 16, block: int = 4
) -> bytes:
    """A header that promises so many bytes."""
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    head = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", data)
    return b"RIFF" + struct.pack("<I", min(data + 36, 0xFFFFFFFF)) + b"WAVE" + head


def wav_with_extension(coding: bytes, bits: int, seconds: int = 17) -> bytes:
    """A stereo WAV of 8000 Hz whose coding is in the extension of its format.

    :param coding: the 16 bytes of its GUID.
    """
    data = bytes(range(256)) * (125 * seconds)
    shape = (
        struct.pack("<HHIIHH", 0xFFFE, 2, 8000, 32_000, 4, bits) + struct.pack("<HHI", 22, bits, 3) + coding
    )
    chunks = b"fmt " + struct.pack("<I", len(shape)) + shape + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def bomb_in_gzip(megabytes: int) -> bytes:
    """Some kilobytes that become so many megabytes of silence."""
    return gzip.compress(wav_header(data=megabytes << 20) + bytes(megabytes << 20), 9)


def streamed_wav() -> bytes:
    """As a program writes it to a pipe: the length is not known."""
    whole = bytearray(wav())
    whole[40:44] = b"\xff\xff\xff\xff"
    return bytes(whole)


def long_wav(minutes: int) -> bytes:
    """Silence of few samples a second: much to convert for its size."""
    size = 4000 * 60 * minutes * 2
    return wav_header(data=size, rate=4000, bits=8, block=2) + bytes(size)
