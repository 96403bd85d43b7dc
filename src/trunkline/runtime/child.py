"""One run of a supervised process: start, output, stop, including its child processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from trunkline.runtime.files import write_atomically
from trunkline.runtime.line_limit import LineLimit
from trunkline.runtime.logs import RotatingLog
from trunkline.runtime.processes import is_alive, started_at, wait_gone
from trunkline.runtime.service import Report, Service
from trunkline.runtime.standby import Standby, launch

_PROBE_INTERVAL = 0.05
_LONGEST_LINE = 1 << 20


class Child:
    """A running process. Make it with :meth:`start` in the main thread: the kernel ties it to that thread.

    Its end is learnt from a pid handle and not from asyncio's own subprocess, which also waits until the
    output pipe closes, and that may be held by a grandchild.
    """

    def __init__(
        self,
        service: Service,
        process: subprocess.Popen[bytes],
        output: BinaryIO,
        log: RotatingLog,
        pid_file: Path,
        reported: Callable[[Report], None],
    ) -> None:
        self._service, self._process, self._log, self._pid_file = service, process, log, pid_file
        self._reported = reported
        self._reported_at = time.monotonic()
        self.has_reported = False
        """Whether it has made a report, ready or not."""
        self._reported_ready = asyncio.Event()
        self._exited = asyncio.Event()
        self._ended = False
        self._pid_handle = os.pidfd_open(process.pid)
        asyncio.get_running_loop().add_reader(self._pid_handle, self._note_exit)
        self._line_limit = LineLimit() if service.limits_lines else None
        self._listener = asyncio.create_task(self._listen(output))

    @classmethod
    def start(
        cls,
        service: Service,
        log: RotatingLog,
        pid_file: Path,
        reported: Callable[[Report], None] = lambda _: None,
        standby: Standby | None = None,
    ) -> Child:
        """Start the service's program (a few milliseconds).

        :param reported: called with each report of the process.
        :param standby: started in place of a new process when it still waits.
        """
        process, output = (standby.start() if standby is not None else None) or launch(service, standby=False)
        # Without the note, as on a full disk, the process runs all the same: the next supervisor might not find it.
        with contextlib.suppress(OSError):
            remember(pid_file, process.pid)
        return cls(service, process, output, log, pid_file, reported)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.returncode

    async def wait_ready(self, is_slow: Callable[[float], None] = lambda _: None) -> bool:
        """True once it is ready, False when it ended before, or does not report any more.

        A process that reports is alive, however long its start takes: a switch may have many calls to recover, on a busy
        machine, or may wait for the database. Killing it would only make it begin again.

        :param is_slow: called with the seconds since the start, once in each ``ready_seconds`` of a start that lasts longer.
        """
        exited = asyncio.create_task(self._exited.wait())
        ready = asyncio.create_task(self._ready())
        begun = time.monotonic()
        try:
            while True:
                done, _ = await asyncio.wait(
                    {exited, ready},
                    timeout=self._service.ready_seconds,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if done:
                    return ready.done() and not exited.done()
                if not self._service.may_start_slowly and not self._reports_at_start():
                    return False
                is_slow(time.monotonic() - begun)
        finally:
            exited.cancel()
            ready.cancel()

    def _reports_at_start(self) -> bool:
        """Whether a process that is not ready yet has reported and goes on reporting."""
        limit = self._service.silent_seconds
        if limit is None or not self.has_reported:
            return False
        return time.monotonic() - self._reported_at < limit

    async def silent(self) -> None:
        """Return when it has made no report for ``silent_seconds``; never, when it makes none or has ended."""
        limit = self._service.silent_seconds
        if limit is None:
            await self._exited.wait()
            return
        self._reported_at = time.monotonic()
        while (left := self._reported_at + limit - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._exited.wait(), left)
                return

    async def wait(self) -> int:
        """Wait for its end, end its remaining child processes, read the rest of its output; returns its exit code."""
        await self._exited.wait()
        if not self._ended:
            self._ended = True
            self._end_group()
            # The output ends when no process has the pipe open; a process that left the group may.
            await asyncio.wait({self._listener}, timeout=1)
            self._listener.cancel()
            self._pid_file.unlink(missing_ok=True)
        return self._process.returncode

    async def stop(self) -> None:
        """Send the stop signal, kill it after ``stop_seconds``, with all its child processes."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(self._service.stop_signal)
            try:
                await asyncio.wait_for(self._exited.wait(), self._service.stop_seconds)
            except TimeoutError:
                self.kill()
        await self.wait()

    def kill(self) -> None:
        """End it at once, with its group."""
        self._end_group()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _end_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _note_exit(self) -> None:
        self._process.wait()
        asyncio.get_running_loop().remove_reader(self._pid_handle)
        os.close(self._pid_handle)
        self._exited.set()

    async def _ready(self) -> None:
        probe = self._service.probe
        if probe is None:
            await self._reported_ready.wait()
            return
        while True:
            if await asyncio.to_thread(probe):
                return
            await asyncio.sleep(_PROBE_INTERVAL)

    async def _listen(self, output: BinaryIO) -> None:
        """Copy its output to the log, whole lines at a time."""
        stream = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), output)
        try:
            await self._copy(stream)
        finally:
            transport.close()

    async def _copy(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while content := await stream.read(65536):
            lines, newline, rest = (rest + content).rpartition(b"\n")
            if newline:
                self._handle_lines(lines + newline)
            elif len(rest) > _LONGEST_LINE:
                self._log.write(rest + b"\n")
                rest = b""
        if rest:
            self._handle_lines(rest + b"\n")

    def _handle_lines(self, lines: bytes) -> None:
        if self._service.report_of is not None:
            lines = b"".join(line for line in lines.splitlines(keepends=True) if self._is_for_log(line))
        if self._line_limit is not None:
            lines = self._line_limit.filter(lines, time.monotonic())
        if lines:
            self._log.write(lines)
        if self._service.is_ready_line and not self._reported_ready.is_set():
            for line in lines.decode(errors="replace").splitlines():
                if self._service.is_ready_line(line):
                    self._reported_ready.set()

    def _is_for_log(self, line: bytes) -> bool:
        """Record a report. Heartbeats are not logged."""
        report = (
            self._service.report_of(line.decode(errors="replace").rstrip())
            if self._service.report_of
            else None
        )
        if report is None:
            return True
        self._reported_at = time.monotonic()
        self.has_reported = True
        self._reported(report)
        return report.ready is not None


def remember(pid_file: Path, pid: int) -> None:
    """Note a process so that it can be found after our own sudden death; pid and start time identify it."""
    note = {"pid": pid, "started": started_at(pid)}
    write_atomically(pid_file, json.dumps(note).encode(), 0o600, durable=False)


def end_left_over(pid_file: Path, stop_signal: signal.Signals, seconds: float) -> bool:
    """End the process that a killed supervisor left running, with its group; False when there was none. Blocks."""
    try:
        note = json.loads(pid_file.read_text())
        pid, started = int(note["pid"]), note["started"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    found = is_alive(pid) and started_at(pid) == started
    if found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, stop_signal)
        if not wait_gone(pid, seconds):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            wait_gone(pid, seconds)
    pid_file.unlink(missing_ok=True)
    return found
