"""A standby: a process that has loaded its program and waits to be started.

Loading our own programs takes one to two seconds of CPU time, most of a restart. The supervisor keeps one such process for a
service that must return fast, and starts it by a byte on its standard input when the running process has ended. Until then
it has opened no connection, file or port and holds no lease, so it cannot interfere with the running process. It ends when
its standard input is closed, which the end of the supervisor does, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import BinaryIO

from trunkline.runtime.logs import RotatingLog
from trunkline.runtime.service import Service

STANDBY = "TRUNKLINE_STANDBY"
"""Environment variable of a process that waits on its standard input before it starts."""

_START = b"\n"
_END_SECONDS = 5.0
_OUTPUT_MAX = 1 << 20


def launch(service: Service, *, standby: bool) -> tuple[subprocess.Popen[bytes], BinaryIO]:
    """Start the service's program in a separate session; returns the process and its output.

    :param standby: it waits on its standard input.
    """
    program = service.program()
    environment = program.launch_environment()
    if standby:
        environment[STANDBY] = "1"
    read_end, write_end = os.pipe()
    try:
        process = subprocess.Popen(
            program.launch_argv(),
            env=environment,
            cwd=program.folder,
            stdin=subprocess.PIPE if standby else subprocess.DEVNULL,
            stdout=write_end,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
    return process, os.fdopen(read_end, "rb")


class Standby:
    """A process of a service that waits. Make it in the main thread: the kernel ties it to that thread.

    :param log: gets the output of a standby that ended before it was started.
    """

    def __init__(self, service: Service, log: RotatingLog) -> None:
        self._log = log
        self._process, self._output = launch(service, standby=True)

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self) -> tuple[subprocess.Popen[bytes], BinaryIO] | None:
        """Let the process start; returns it with its output, None when it has ended (another one must be launched)."""
        stdin = self._process.stdin
        assert stdin is not None
        try:
            if self._process.poll() is None:
                stdin.write(_START)
                stdin.close()
                return self._process, self._output
        except OSError:
            pass  # it ended at this moment
        self.end()
        return None

    def end(self) -> None:
        """End the process. Blocks until it has ended: milliseconds."""
        process = self._process
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_END_SECONDS)
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        os.set_blocking(self._output.fileno(), False)
        with contextlib.suppress(BlockingIOError):  # what it started itself may hold the pipe
            if rest := os.read(self._output.fileno(), _OUTPUT_MAX):
                self._log.write(rest if rest.endswith(b"\n") else rest + b"\n")
        self._output.close()


def wait_for_start() -> bool:
    """In a standby: wait for the start, or end the process when it is no longer needed. Elsewhere: return at once.

    Returns whether this was a standby.
    """
    if os.environ.pop(STANDBY, None) is None:
        return False
    if os.read(0, 1) != _START:
        sys.exit(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return True
