"""Analyses an untrusted recording in a separate process with limits of memory and time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from trunkline.core.log import get_logger
from trunkline.core.settings import UploadSettings
from trunkline.uploads import decoder_child
from trunkline.uploads.model import DecoderFault, ErrorCode, RecordType, ServerFault, UploadFailed

_log = get_logger("uploads")

MIN_WAV_SECONDS = 16.0
"""Speech analytics needs that much."""

_MAX_PROCESSES = 2
"""At a time, in one worker, in their first seconds: they work the processor."""

_LOOK_SECONDS = 0.25
"""Between two checks of the processor time of a process."""

_FIRST_SECONDS = 2.0
"""Of processor time. After them a process continues alone among those that take long, and is stopped until its turn."""

_LONG_NICE = 15
"""Priority of a process that takes long."""

_RESULT_MAX = 536_870_912
"""Bytes of a file that a recording may become: four and a half hours of WAV."""

_OWN_FAULT = "server"
"""Fault of an answer that is not one of the recording."""

_CRASHES = frozenset(
    {signal.SIGXCPU, signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGBUS}
)
"""Ends of the process that the recording causes: it costs too much processor time, or the decoder fails on it."""

_BUSY_PART = 0.25
"""Of the time limit: a process that had less processor time did not get it, and the recording is not at fault."""

_CODES = {
    "decode": ErrorCode.DECODE,
    "duration": ErrorCode.WAV_DURATION,
    "channels": ErrorCode.WAV_CHANNELS,
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """A playable recording. ``source``: the format of the upload."""

    duration_ms: int
    source: dict[str, Any]
    mp3: Path
    wav: Path | None
    """Stereo, 16-bit PCM, 8000 Hz; only of a WAV."""

    @property
    def seconds(self) -> float:
        return self.duration_ms / 1000

    @property
    def size_bytes(self) -> int:
        return self.mp3.stat().st_size + (self.wav.stat().st_size if self.wav else 0)


class Decoder:
    """:param bit_rate: of the MP3 made from a WAV, bits a second."""

    def __init__(self, settings: UploadSettings, bit_rate: int) -> None:
        self._settings = settings
        self._bit_rate = bit_rate
        self._accounts: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._slots = asyncio.Semaphore(_MAX_PROCESSES)
        self._long = asyncio.Semaphore(1)

    async def decode(self, kind: RecordType, source: Path, account_id: int = 0) -> Decoded:
        """Check a fetched file and write the stored formats next to it. An MP3 is stored unchanged.

        An account has one process at a time in its first seconds. A process that takes longer leaves its slot, and those of
        all accounts continue one after another: so an account waits for others for a few seconds only.

        :raises UploadFailed: it is not what it should be, or costs more than it may.
        :raises DecoderFault: the process ended in a way that the recording may have caused.
        :raises ServerFault: the process was stopped, or could not read or write its files.
        :raises OSError: the process could not be started.
        """
        wav = source.with_suffix(".made.wav") if kind is RecordType.WAV else None
        mp3 = source.with_suffix(".made.mp3") if kind is RecordType.WAV else source
        task = {
            "kind": kind.value,
            "source": str(source),
            "wav": str(wav),
            "mp3": str(mp3),
            "bit_rate": self._bit_rate,
            "min_ms": round(MIN_WAV_SECONDS * 1000),
            "memory": self._settings.decode_memory,
            "cpu": self._settings.decode_cpu,
            "file_max": _RESULT_MAX,
        }
        unable = ErrorCode.WAV_PROCESSING if kind is RecordType.WAV else ErrorCode.DECODE
        async with contextlib.AsyncExitStack() as held:
            await held.enter_async_context(self._accounts.setdefault(account_id, asyncio.Lock()))
            await held.enter_async_context(self._slots)
            answer = await self._run(task, source.parent, unable, held)
        if answer is None:
            raise UploadFailed(
                unable, "The recording could not be decoded within the limits of time and memory."
            )
        if answer.get("fault") == _OWN_FAULT:
            raise ServerFault(answer["message"])
        if "fault" in answer:
            raise UploadFailed(_CODES.get(answer["fault"], unable), answer["message"])
        return Decoded(answer["duration_ms"], answer["source"], mp3, wav)

    async def _run(
        self, task: dict[str, Any], folder: Path, unable: ErrorCode, held: contextlib.AsyncExitStack
    ) -> dict[str, Any] | None:
        """The output of the child; None when it failed at the recording, or needed too much for it. It has ended in any case
        when this returns.

        :raises DecoderFault: it ended for another reason.
        :raises ServerFault: it took too long for another reason.
        """
        busy = None
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            decoder_child.__file__,
            str(os.getpid()),
            cwd=folder,
            env={"PATH": os.defpath},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            output = await self._output(child, json.dumps(task).encode(), held)
        except TimeoutError:
            output = b""
            busy = _processor_seconds(child.pid)
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await asyncio.shield(child.wait())
        if child.returncode != 0:
            _log.warning(
                "decoder_ended",
                exit_code=child.returncode,
                source=task["source"],
                busy_seconds=busy,
                consequence="this recording is not decoded; the uploaded call has the reason",
            )
            code = child.returncode or 0
            is_timeout = busy is not None and busy >= self._settings.decode_timeout * _BUSY_PART
            if is_timeout or (busy is None and -code in _CRASHES):
                return None
            if busy is None:
                raise DecoderFault(unable, f"the decoder ended with code {code}")
            raise ServerFault(
                f"the decoder did not end within {self._settings.decode_timeout:g} s and ran for {busy:.1f} s of it"
            )
        answer: dict[str, Any] = json.loads(output)
        return answer

    async def _output(
        self, child: asyncio.subprocess.Process, task: bytes, held: contextlib.AsyncExitStack
    ) -> bytes:
        """What the process writes. The time for which it waits for its turn does not count.

        :param held: the slot that it has; changed to that of long ones when it takes long.
        :raises TimeoutError: it takes longer than the limit.
        """
        left = self._settings.decode_timeout
        is_long = False
        work = asyncio.ensure_future(child.communicate(task))
        try:
            done, _ = await asyncio.wait({work}, timeout=min(_LOOK_SECONDS, left))
            while not done and (left := left - _LOOK_SECONDS) > 0:
                if not is_long and _processor_seconds(child.pid) >= _FIRST_SECONDS:
                    is_long = True
                    await self._take_long_turn(child, held)
                done, _ = await asyncio.wait({work}, timeout=min(_LOOK_SECONDS, left))
            if not done:
                raise TimeoutError
            return (await work)[0]
        finally:
            if not work.done():
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    async def _take_long_turn(
        self, child: asyncio.subprocess.Process, held: contextlib.AsyncExitStack
    ) -> None:
        """Leave the slot to others; the process is stopped until those that took long before it have ended."""
        is_stopped = self._long.locked()
        if is_stopped:
            _signal(child, signal.SIGSTOP)
        await held.aclose()
        await held.enter_async_context(self._long)
        _lower_priority(child.pid)
        if is_stopped:
            _signal(child, signal.SIGCONT)


def _signal(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(number)


def _lower_priority(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, _LONG_NICE)
        Path(f"/proc/{pid}/autogroup").write_text(str(_LONG_NICE))  # the session is its own


def _processor_seconds(pid: int) -> float:
    """Processor time of a process so far, of all its threads."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
