"""SIPp as a child process: runs a scenario and reads the result from its counters."""

from __future__ import annotations

import asyncio
import csv
import itertools
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trunkline.runtime.program import Program

_runs = itertools.count(1)


@dataclass(frozen=True)
class SippOutcome:
    """What a finished run came to.

    :ivar successful, failed: calls.
    :ivar retransmitted: messages that SIPp sent again, by method or status (``{"INVITE": 3}``).
    :ivar seconds: how long it ran.
    :ivar errors: its output on unexpected messages.
    """

    successful: int
    failed: int
    retransmitted: Mapping[str, int]
    seconds: float
    errors: str


class Sipp:
    """One run of a scenario.

    :param program: argv up to and including SIPp.
    :param folder: where its files go; each run has its own names.
    :param scenario: XML file.
    :param arguments: more of SIPp's own, the remote address among them.
    """

    def __init__(
        self, program: Sequence[str], folder: Path, scenario: Path, arguments: Sequence[str | int]
    ) -> None:
        self._base = folder / f"{scenario.stem}-{next(_runs)}"
        self._scenario = scenario
        # SIPp writes some files next to the scenario, so it gets a copy.
        self._argv = [
            *program, "-sf", scenario.name, "-nostdin",
            "-trace_counts", "-trace_stat", "-fd", "1", "-stf", str(self._file("stat")),
            "-trace_err", "-error_file", str(self._file("errors")),
            "-trace_logs", "-log_file", str(self.log),
            *(str(argument) for argument in arguments),
        ]  # fmt: skip
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> Path:
        """What the scenario's ``log`` actions wrote."""
        return self._file("log")

    def _file(self, kind: str) -> Path:
        return self._base.with_suffix(f".{kind}")

    async def start(self) -> None:
        program = Program(self._argv, open_files=65_536)
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._scenario, self._folder / self._scenario.name)
        with self._file("out").open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *program.launch_argv(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env=program.launch_environment(),
            )

    def finish(self) -> None:
        """Start no more calls; it ends when those under way are over."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGUSR1)

    async def stop(self) -> None:
        """End it if it runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def wait(self, timeout: float) -> SippOutcome:
        """Its outcome once it ended by itself; it is ended after ``timeout`` seconds (:class:`TimeoutError`)."""
        assert self._process is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await asyncio.wait_for(self._process.wait(), timeout)
        except TimeoutError:
            raise TimeoutError(
                f"SIPp did not end within {timeout:.0f} s: {self.errors() or self._said()}"
            ) from None
        finally:
            await self.stop()
        return self._outcome(loop.time() - began)

    def errors(self) -> str:
        """What it complained of so far."""
        path = self._file("errors")
        return path.read_text(errors="replace") if path.exists() else ""

    def _said(self) -> str:
        return self._file("out").read_text(errors="replace")[-2000:]

    def _outcome(self, seconds: float) -> SippOutcome:
        stat = _last_row(self._file("stat"))
        if not stat:
            raise RuntimeError(f"SIPp did not run: {self.errors() or self._said()}")
        assert self._process is not None
        counts = next(self._folder.glob(f"*_{self._process.pid}_counts.csv"), None)
        return SippOutcome(
            successful=int(stat["SuccessfulCall(C)"]),
            failed=int(stat["FailedCall(C)"]),
            retransmitted=_retransmissions(_last_row(counts) if counts else {}),
            seconds=seconds,
            errors=self.errors(),
        )

    async def run(self, timeout: float) -> SippOutcome:
        """Start and wait."""
        await self.start()
        return await self.wait(timeout)


def _last_row(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    with path.open(newline="", errors="replace") as file:
        rows = list(csv.reader(file, delimiter=";"))
    if len(rows) < 2:
        return {}
    return dict(zip(rows[0], rows[-1], strict=False))


def _retransmissions(counts: Mapping[str, str]) -> dict[str, int]:
    """From columns such as ``1_INVITE_Retrans``."""
    found: dict[str, int] = {}
    for column, value in counts.items():
        _, _, rest = column.partition("_")
        message, _, kind = rest.rpartition("_")
        if kind == "Retrans" and value.strip().isdigit() and int(value):
            found[message] = found.get(message, 0) + int(value)
    return found
