"""Starts processes, each when those it needs are ready; keeps them running; stops them in reverse order.

A process that ends unexpectedly is restarted after a wait that doubles from 0.2 s to 10 s, or to 0.8 s while it becomes
ready each time; the others continue meanwhile. When the supervisor itself ends, even by SIGKILL, the kernel ends its
children: an unsupervised instance would neither restart what fails nor let the next ``trunkline up`` start. The next start
ends what still runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from trunkline.core.errors import AlreadyRunning, SetupError, TrunklineError, Unavailable
from trunkline.runtime.child import Child, end_left_over
from trunkline.runtime.files import overwrite, write_atomically
from trunkline.runtime.last_report import LastReport
from trunkline.runtime.logs import RotatingLog
from trunkline.runtime.ports import Port
from trunkline.runtime.processes import started_at
from trunkline.runtime.service import Backoff, Report, Service, ServiceState, ServiceStatus
from trunkline.runtime.standby import Standby

Say = Callable[[str], None]
"""Takes one line for the terminal."""

_STATE_FILE = "supervisor.json"
_LOCK_FILE = "supervisor.lock"
_STATE_BYTES = 8192
"""Size of the state file. Longer than any state: on a full disk the file is overwritten and must not grow."""
STATE_IS_OLD = 0
"""Time of the state file in Unix seconds while it cannot be written, so that ``trunkline status`` shows it as old."""
_FIRST_ATTEMPTS = 5
"""Starts in a row that may fail before the bring-up is given up; once up, there is no giving up."""
_SAVE_AGAIN_SECONDS = 2.0
"""Between two attempts to write the state file, after one that failed."""

_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def state_file(run_dir: Path) -> Path:
    """Where a supervisor keeps what ``trunkline status`` shows."""
    return run_dir / _STATE_FILE


@contextmanager
def sole_instance(run_dir: Path) -> Iterator[None]:
    """Hold the data folder.

    :raises AlreadyRunning: another supervisor holds it.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / _LOCK_FILE).open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            raise AlreadyRunning(
                f"Trunkline already runs on the data folder {run_dir.parent} "
                f"(pid {handle.read().strip() or '?'}); stop it, or set "
                "TRUNKLINE_DATA_DIR and other ports for a second instance"
            ) from None
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


class Supervisor:
    """Runs services until asked to stop.

    :param services: those that are needed before those that need them; stopped from last to first.
    :param run_dir: pid files and the state file.
    :param logs_dir: one log file per service.
    :param say: gets the lines for the terminal.
    :param backoff: makes the rule of waiting, one for each service.
    :param ports: on which the services listen, for the state file: the settings may change while they run.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        run_dir: Path,
        logs_dir: Path,
        say: Say,
        backoff: Callable[[], Backoff] = Backoff,
        ports: Sequence[Port] = (),
    ) -> None:
        def say_or_not(line: str) -> None:
            with contextlib.suppress(OSError):  # the output is a file on a full disk, or a closed pipe
                say(line)

        self._ports = [asdict(port) for port in ports]
        self._run_dir = run_dir
        self._say = say_or_not
        self._runners = [
            _ServiceRunner(
                service,
                run_dir,
                RotatingLog(logs_dir / f"{service.name}.log"),
                say_or_not,
                backoff(),
                self._save,
            )
            for service in services
        ]
        self._stop = asyncio.Event()
        self._up = False
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._unsaved = False
        """Whether the state file could not be written, as on a full disk."""

    def status(self) -> list[ServiceStatus]:
        """How each service is now."""
        return [runner.status() for runner in self._runners]

    def request_stop(self) -> None:
        """Make :meth:`run` stop everything and return; asked twice, it no longer waits for anybody."""
        if self._stop.is_set():
            for runner in self._runners:
                runner.kill()
        self._stop.set()

    async def run(self, on_up: Callable[[], None] | None = None) -> None:
        """Bring everything up, call ``on_up``, watch until :meth:`request_stop` or a stopping signal.

        :class:`SetupError` when a service cannot be started; no process is left running in any case.
        """
        loop = asyncio.get_running_loop()
        for number in _STOPPING_SIGNALS:
            loop.add_signal_handler(number, self.request_stop)
        try:
            await self._bring_up(on_up)
        finally:
            await self._bring_down()
            for number in _STOPPING_SIGNALS:
                loop.remove_signal_handler(number)

    async def _bring_up(self, on_up: Callable[[], None] | None) -> None:
        await asyncio.to_thread(self.end_left_over)
        self._save()
        stopped = asyncio.create_task(self._stop.wait())
        saving = asyncio.create_task(self._save_again())
        try:
            starting = asyncio.create_task(self._start_all())
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.wait({starting})
                return
            starting.result()
            self._up = True
            self._save()
            if on_up is not None:
                await asyncio.to_thread(on_up)
            await stopped
        finally:
            stopped.cancel()
            saving.cancel()

    async def _start_all(self) -> None:
        """Start each service when those it needs are ready; the first failure ends it."""
        starts: dict[str, asyncio.Task[None]] = {}

        async def start(runner: _ServiceRunner) -> None:
            for name in runner.needs:
                await starts[name]
            await runner.start()

        failed: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as group:
                for runner in self._runners:
                    starts[runner.name] = group.create_task(start(runner))
        except* TrunklineError as errors:
            failed.extend(errors.exceptions)
        if failed:
            # One error is sufficient; dependent services failed for the same reason. Raised out here: Python 3.11.2, which
            # is Debian 12's, wraps what is raised in the clause above.
            raise failed[0] from None

    async def _bring_down(self) -> None:
        if any(runner.status().pid for runner in self._runners):
            self._say("stopping")
        for runner in reversed(self._runners):
            await runner.stop()
        state_file(self._run_dir).unlink(missing_ok=True)

    def end_left_over(self) -> None:
        """End processes that a killed supervisor of this data folder left running. Blocks."""
        for runner in reversed(self._runners):
            runner.end_left_over()

    def _save(self) -> None:
        state = {
            "pid": os.getpid(),
            "started": started_at(os.getpid()),
            "started_at": self._started_at,
            "up": self._up,
            "ports": self._ports,
            "services": [
                {
                    "name": status.name,
                    "state": status.state.value,
                    "pid": status.pid,
                    "restarts": status.restarts,
                    "version": status.version,
                    "reason": status.reason,
                    "standby": status.has_standby,
                }
                for status in self.status()
            ],
        }
        path, content = state_file(self._run_dir), json.dumps(state).encode()
        try:
            try:
                write_atomically(path, content.ljust(_STATE_BYTES), 0o600, durable=False)
            except OSError:
                overwrite(path, content)  # the disk is full
        except OSError as error:  # the services are kept all the same
            with contextlib.suppress(OSError):
                os.utime(path, (STATE_IS_OLD, STATE_IS_OLD))
            if not self._unsaved:
                self._say(
                    f"the state of the services cannot be written ({error.strerror}); until it can, `trunkline status` shows"
                    f" an old one: free space in {self._run_dir}"
                )
            self._unsaved = True
        else:
            self._unsaved = False

    async def _save_again(self) -> None:
        while True:
            await asyncio.sleep(_SAVE_AGAIN_SECONDS)
            if self._unsaved:
                self._save()


class _ServiceRunner:
    """Keeps one service running."""

    def __init__(
        self,
        service: Service,
        run_dir: Path,
        log: RotatingLog,
        say: Say,
        backoff: Backoff,
        changed: Callable[[], None],
    ) -> None:
        self.name, self.needs = service.name, service.needs
        self._service, self._log, self._say, self._changed = service, log, say, changed
        self._backoff = backoff
        self._pid_file = run_dir / f"{service.name}.pid"
        self._state = ServiceState.WAITING
        self._child: Child | None = None
        self._standby: Standby | None = None
        self._reason = ""
        self._last_report = LastReport(run_dir, service.name)
        self._was_ready = False
        self._starts = 0
        self._first: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def status(self) -> ServiceStatus:
        child = self._child
        pid = child.pid if child is not None and child.exit_code is None else None
        return ServiceStatus(
            self._service.name,
            self._state,
            pid,
            max(self._starts - 1, 0),
            self._service.version,
            self._reason if self._state is ServiceState.NOT_READY else "",
            self._standby is not None,
        )

    async def start(self) -> None:
        """Start the service; returns when it was ready once, raises when it cannot be started."""
        self._first = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._keep(self._first))
        await asyncio.shield(self._first)

    async def stop(self) -> None:
        """Stop keeping and end the process."""
        if self._task is not None:
            self._set(ServiceState.STOPPING)
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._set(ServiceState.STOPPED)
        if self._standby is not None:
            await asyncio.to_thread(self._standby.end)
            self._standby = None
        if self._first is not None and self._first.done() and not self._first.cancelled():
            # Raised by start() if its caller still waits.
            self._first.exception()
        self._last_report.close()
        self._log.close()

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    def end_left_over(self) -> None:
        if end_left_over(self._pid_file, self._service.stop_signal, self._service.stop_seconds):
            self._say(f"{self._service.name}: ended a process left over by the last run")

    async def _keep(self, first: asyncio.Future[None]) -> None:
        failures = 0
        while True:
            begun = time.monotonic()
            self._was_ready = False
            last_error: Exception | None = None
            try:
                await self._run_once(first)
            except Exception as error:
                last_error = error
                # Unavailable: the process was killed while it was being prepared, for instance.
                if not first.done() and not isinstance(error, Unavailable):
                    first.set_exception(error)
                    return
                # Once up, what went wrong now may go right the next time.
                self._say(f"{self._service.name}: {error}")
            # Nothing below may raise: a service whose task has ended is never started again.
            failures += 1
            if not first.done() and failures >= _FIRST_ATTEMPTS:
                first.set_exception(last_error or self._does_not_start())
                return
            self._set(ServiceState.BACKING_OFF)
            wait = self._backoff.after(time.monotonic() - begun, was_ready=self._was_ready)
            self._say(f"{self._service.name}: starts again in {wait:.1f} s")
            await asyncio.sleep(wait)

    def _does_not_start(self) -> SetupError:
        line = self._log.last_line or "none"
        return SetupError(
            f"{self._service.name} does not start; last line of its log: {line} (log: {self._log.path})"
        )

    async def _run_once(self, first: asyncio.Future[None]) -> None:
        """Start the process and wait for its end."""
        self._set(ServiceState.STARTING)
        begun = time.monotonic()
        await asyncio.to_thread(self._service.prepare)
        self._starts += 1
        standby, self._standby = self._standby, None
        child = self._child = Child.start(self._service, self._log, self._pid_file, self._reported, standby)
        try:
            self._changed()
            if await child.wait_ready(self._starts_slowly):
                if (line := await asyncio.to_thread(self._service.each_ready, child.pid)) is not None:
                    self._say(f"{self._service.name}: {line}")
                await self._become_ready(first, time.monotonic() - begun)
                await self._watch(child)
            elif child.exit_code is None:
                self._say(
                    f"{self._service.name}: not ready, and no report for"
                    f" {self._service.silent_seconds or self._service.ready_seconds:.0f} s, killed"
                    if child.has_reported
                    else f"{self._service.name}: not ready after {self._service.ready_seconds:.0f} s, killed"
                )
                child.kill()
            self._say(f"{self._service.name}: {_how_it_ended(await child.wait())}")
        finally:
            await child.stop()
            self._last_report.close()

    def _starts_slowly(self, seconds: float) -> None:
        self._say(
            f"{self._service.name}: not ready for {seconds:.0f} s; it runs, so it is not restarted (log: {self._log.path})"
        )

    async def _become_ready(self, first: asyncio.Future[None], seconds: float) -> None:
        if not first.done():
            await asyncio.to_thread(self._service.once_ready)
        self._was_ready = True
        self._set(ServiceState.READY)
        self._say(f"{self._service.name}: ready ({seconds:.1f} s)")
        if not first.done():
            first.set_result(None)
        if self._service.has_standby and self._standby is None:
            # Not earlier: the process that starts needs the processors more.
            try:
                self._standby = Standby(self._service, self._log)
                self._changed()
            except OSError as error:
                self._say(
                    f"{self._service.name}: no standby ({error.strerror}); the next restart takes longer"
                )

    async def _watch(self, child: Child) -> None:
        """Wait for the end of a process; kill it when it stops reporting."""
        await child.silent()
        if child.exit_code is None:
            self._say(
                f"{self._service.name}: has not reported for {self._service.silent_seconds:.0f} s, killed"
            )
            child.kill()

    def _reported(self, report: Report) -> None:
        """Handle a report of the process."""
        self._last_report.now()
        if self._state is ServiceState.READY and report.ready is False:
            self._reason = report.reason
            self._set(ServiceState.NOT_READY)
            self._say(f"{self._service.name}: not ready: {report.reason}")
        elif self._state is ServiceState.NOT_READY and report.ready is True:
            self._set(ServiceState.READY)
            self._say(f"{self._service.name}: ready again")

    def _set(self, state: ServiceState) -> None:
        self._state = state
        self._changed()


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"ended by {signal.Signals(-code).name}"
