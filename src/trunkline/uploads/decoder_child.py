"""The process that looks into one recording: ``python decoder_child.py PARENT_PID``.

Reads one JSON object (see :class:`trunkline.uploads.decoder.Task`) from standard input; writes one to standard output:
``{"duration_ms", "samples", "source": {...}}`` or ``{"fault", "message"}``, with the fault
``server`` when the recording is not at fault. Untrusted data are parsed by native code
here, so this process has limits of memory and time, and ends with its parent. Run as a file, not as a module: it must
import nothing that it does not need.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import struct
import sys
import wave
from collections.abc import Iterator
from typing import Any, BinaryIO

SAMPLE_RATE = 8000
CHANNELS = 2
_SAMPLE_BYTES = 2
_MP3_EFFORT = "7"

_PR_SET_PDEATHSIG = 1

_PCM_TAGS = (1, 3, 6, 7, 0xFFFE)
"""PCM of whole numbers, of fractions, A-law, mu-law, and \"look into the extension\"."""

_STREAMED = (0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0xFFFFFFFF - 36)
"""Lengths in headers of writers that did not have the length at the start."""

_OWN_ERRORS = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EMFILE, errno.ENFILE,
        errno.ESTALE,
    }
)  # fmt: skip
"""Errors of files that say nothing of the recording: a full disk, a folder that is missing or cannot be written."""

_PART = 0.98
"""Of the frames that an MP3 announces must be there."""


class UnusableRecording(Exception):  # noqa: N818 - a finding
    """The recording cannot be used.

    :ivar kind: ``decode``, ``duration``, ``channels`` or ``processing``.
    :ivar message: the reason, for people.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def main() -> int:
    _die_with(int(sys.argv[1]))
    task = json.load(sys.stdin)
    _limit(task)
    try:
        answer = _wav(task) if task["kind"] == "wav" else _mp3(task)
    except UnusableRecording as fault:
        answer = {"fault": fault.kind, "message": fault.message}
    except (MemoryError, OSError) as error:
        answer = _of_the_machine(error) or {
            "fault": "processing",
            "message": f"It needs more than it may have ({type(error).__name__}).",
        }
    except ImportError as error:
        answer = {"fault": "server", "message": f"ImportError: {error}"}
    except Exception as error:  # the library fails in many ways on what nobody made with a recorder
        answer = {"fault": "processing", "message": f"The decoder cannot read it ({type(error).__name__})."}
    json.dump(answer, sys.stdout)
    sys.stdout.flush()
    return 0


def _of_the_machine(error: BaseException) -> dict[str, str] | None:
    """The answer for an error that the recording did not cause; None for others.

    The decoder has numbers of the same errors, but it reports an input/output error for broken recordings, too.
    """
    number = getattr(error, "errno", None)
    is_own = number in _OWN_ERRORS or (number == errno.EIO and type(error) is OSError)
    return {"fault": "server", "message": f"{errno.errorcode.get(number or 0)}: {error}"} if is_own else None


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def _limit(task: dict[str, Any]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (task["memory"], task["memory"]))
    resource.setrlimit(resource.RLIMIT_CPU, (task["cpu"], task["cpu"] + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (task["file_max"], task["file_max"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit is an OSError then
    os.nice(5)
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as session:
        session.write(str(5))  # the session is its own, and the kernel may select it first


def _wav(task: dict[str, Any]) -> dict[str, Any]:
    """Check a WAV and write it as stereo 16-bit PCM of 8000 Hz, and as MP3."""
    with open(task["source"], "rb") as file:
        source = _riff(file)
    if source["channels"] != CHANNELS:
        raise UnusableRecording(
            "channels", f"The recording has {source['channels']} channel(s); send two, one for each side."
        )
    if source["format_tag"] not in _PCM_TAGS:
        raise UnusableRecording(
            "processing", f"The WAV is coded (format {source['format_tag']:#06x}); send 16-bit PCM."
        )
    if source["sample_rate"] != SAMPLE_RATE:
        # Never resampled: the analysis of the band of 330-3400 Hz would measure the resampling filter.
        raise UnusableRecording(
            "processing", f"The sample rate is {source['sample_rate']} Hz; send {SAMPLE_RATE} Hz."
        )
    if source["duration_ms"] < task["min_ms"]:
        raise UnusableRecording(
            "duration",
            f"The recording lasts {source['duration_ms'] / 1000:.1f} s; at least {task['min_ms'] / 1000:g} s are needed.",
        )
    import av

    try:
        with av.open(task["source"], "r", format="wav", options={"protocol_whitelist": "file"}) as container:
            stream = container.streams.audio[0]
            source["codec"] = _codec_of(stream)
            if not source["codec"].startswith("pcm_"):
                raise UnusableRecording(
                    "processing", f"The WAV holds {source['codec']}, not PCM; send 16-bit PCM."
                )
            samples = _convert(container, task)
    except (av.FFmpegError, IndexError, ValueError, wave.Error) as error:
        if _of_the_machine(error):
            raise OSError(getattr(error, "errno", 0), str(error)) from error
        raise UnusableRecording("processing", f"The WAV could not be converted ({_words(error)}).") from error
    return {"duration_ms": round(samples * 1000 / SAMPLE_RATE), "samples": samples, "source": source}


def _codec_of(stream: Any) -> str:
    """Name of the coding; the library has none for one that it does not support."""
    return stream.codec_context.name if stream.codec_context is not None else "an unknown coding"


def _convert(container: Any, task: dict[str, Any]) -> int:
    """Write both files; samples of a channel."""
    import av

    samples = 0
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=SAMPLE_RATE)
    with (
        wave.open(task["wav"], "wb") as wav,
        av.open(task["mp3"], "w", format="mp3") as mp3,
    ):
        wav.setnchannels(CHANNELS)
        wav.setsampwidth(_SAMPLE_BYTES)
        wav.setframerate(SAMPLE_RATE)
        out = mp3.add_stream("libmp3lame", rate=SAMPLE_RATE)
        out.layout = "stereo"
        out.format = "s16p"
        out.bit_rate = task["bit_rate"]
        out.options = {"compression_level": _MP3_EFFORT}
        planar = av.AudioResampler(format="s16p", layout="stereo", rate=SAMPLE_RATE)
        for frame in _resampled(container, resampler):
            frame.pts = samples
            samples += frame.samples
            size = frame.samples * CHANNELS * _SAMPLE_BYTES
            wav.writeframesraw(bytes(frame.planes[0])[:size])
            for one in planar.resample(frame):
                mp3.mux(out.encode(one))
        mp3.mux(out.encode(None))
    return samples


def _resampled(container: Any, resampler: Any) -> Iterator[Any]:
    for frame in container.decode(audio=0):
        frame.pts = None
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def _riff(file: BinaryIO) -> dict[str, Any]:
    """The values of a consistent WAV header."""
    size = os.fstat(file.fileno()).st_size
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
        raise UnusableRecording("decode", "The file does not begin with a RIFF/WAVE header: it is no WAV.")
    shape: tuple[int, ...] | None = None
    while True:
        chunk = file.read(8)
        if len(chunk) < 8:
            raise UnusableRecording("decode", "The WAV ends before its sound begins.")
        name, length = struct.unpack("<4sI", chunk)
        if name == b"data":
            break
        if name == b"fmt " and 16 <= length <= 4096:
            shape = struct.unpack("<HHIIHH", file.read(16))
            file.seek(length - 16 + length % 2, os.SEEK_CUR)
        else:
            file.seek(length + length % 2, os.SEEK_CUR)
    if shape is None:
        raise UnusableRecording("decode", "The WAV has no format (no `fmt ` before `data`).")
    tag, channels, rate, _, block, bits = shape
    there = size - file.tell()
    if length > there and length not in _STREAMED:
        raise UnusableRecording(
            "decode", f"The WAV announces {length} bytes of sound and holds {there}: it was cut off."
        )
    there = there if length in _STREAMED else min(length, there)
    if not channels or not rate or not block:
        raise UnusableRecording("decode", "The header of the WAV makes no sense.")
    return {
        "container": "wav",
        "format_tag": tag,
        "channels": channels,
        "sample_rate": rate,
        "bits": bits,
        "bytes": size,
        "duration_ms": round(there // block * 1000 / rate),
    }


def _mp3(task: dict[str, Any]) -> dict[str, Any]:
    """Check an MP3: all of it can be decoded."""
    with open(task["source"], "rb") as file:
        head = file.read(3)
        if not (head == b"ID3" or (len(head) == 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0)):
            raise UnusableRecording(
                "decode", "The file begins with neither an ID3 tag nor an MPEG frame: it is no MP3."
            )
        size = os.fstat(file.fileno()).st_size
    import av

    try:
        with av.open(task["source"], "r", format="mp3", options={"protocol_whitelist": "file"}) as container:
            return _mp3_facts(container, size)
    except (av.FFmpegError, IndexError, ValueError) as error:
        if _of_the_machine(error):
            raise OSError(getattr(error, "errno", 0), str(error)) from error
        raise UnusableRecording("decode", f"The MP3 could not be decoded ({_words(error)}).") from error


def _mp3_facts(container: Any, size: int) -> dict[str, Any]:
    stream = container.streams.audio[0]
    if not _codec_of(stream).startswith("mp3"):
        raise UnusableRecording("decode", f"The file holds {_codec_of(stream)}, not MP3.")
    announced = container.duration or 0
    bit_rate = container.bit_rate or 0
    samples = rate = channels = 0
    last = b""
    for packet in container.demux(stream):
        if packet.size:
            last = bytes(packet)
        for frame in packet.decode():
            samples += frame.samples
            rate, channels = frame.sample_rate, len(frame.layout.channels)
    if not samples or not rate:
        raise UnusableRecording("decode", "There is no sound in the MP3.")
    expected = _frame_bytes(last)
    if expected is not None and len(last) < expected:
        raise UnusableRecording("decode", "The MP3 ends in the middle of a frame: it was cut off.")
    if samples / rate < announced / 1_000_000 * _PART - 1:
        raise UnusableRecording("decode", "The MP3 announces more sound than it holds: it was cut off.")
    duration = round(samples * 1000 / rate)
    source = {
        "container": "mp3",
        "codec": "mp3",
        "channels": channels,
        "sample_rate": rate,
        "bit_rate": bit_rate,
        "bytes": size,
        "duration_ms": duration,
    }
    return {"duration_ms": duration, "samples": samples, "source": source}


_BIT_RATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BIT_RATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _frame_bytes(frame: bytes) -> int | None:
    """Length of a layer III frame by its header; None when it is not valid."""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0 or (frame[1] >> 1) & 3 != 1:
        return None
    version, index, rate = (frame[1] >> 3) & 3, frame[2] >> 4, (frame[2] >> 2) & 3
    if version not in _SAMPLE_RATES or not 0 < index < 15 or rate == 3:
        return None
    kilobits = (_BIT_RATES_1 if version == 3 else _BIT_RATES_2)[index]
    factor = 144_000 if version == 3 else 72_000
    return factor * kilobits // _SAMPLE_RATES[version][rate] + ((frame[2] >> 1) & 1)


def _words(error: BaseException) -> str:
    return str(error).partition(":")[0][:120] or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
