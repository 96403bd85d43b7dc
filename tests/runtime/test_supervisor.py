"""The supervisor over real child processes: order, restarts, and nothing left behind however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.errors import AlreadyRunning, DatabaseUnavailable, SetupError
from trunkline.runtime.instance import database_service
from trunkline.runtime.last_report import report_age
from trunkline.runtime.logs import RotatingLog
from trunkline.runtime.postgres import Cluster
from trunkline.runtime.processes import is_alive, started_at, wait_gone
from trunkline.runtime.program import Program
from trunkline.runtime.service import Backoff, Report, Service, ServiceState
from trunkline.runtime.supervisor import STATE_IS_OLD, Supervisor, sole_instance, state_file

pytestmark = pytest.mark.shells

_GOOD = """
    import os, signal, sys, time
    open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
    print("ready", flush=True)
    signal.pause()
"""


def _script(folder: Path, name: str, text: str, **options: object) -> Service:
    """A service that runs a Python script; it gets as argument a file to note its pids in."""
    file = folder / f"{name}.py"
    file.write_text(textwrap.dedent(text))
    argv = [sys.executable, "-S", str(file), str(folder / f"{name}.pids")]
    return Service(
        name=name,
        program=lambda: Program(argv),
        is_ready_line=lambda line: line == "ready",
        **options,  # type: ignore[arg-type]
    )


def _pids(folder: Path, name: str) -> list[int]:
    file = folder / f"{name}.pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def _quick() -> Backoff:
    return Backoff(first=0.05, most=0.1, most_ready=0.1, healthy=30)


class _Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.is_output_full = False

    def supervisor(self, *services: Service) -> Supervisor:
        return Supervisor(
            services,
            run_dir=self._made("run"),
            logs_dir=self._made("logs"),
            say=self._say,
            backoff=_quick,
        )

    def _say(self, line: str) -> None:
        if self.is_output_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.said.append(line)

    def _made(self, name: str) -> Path:
        (self.folder / name).mkdir(exist_ok=True)
        return self.folder / name

    @asynccontextmanager
    async def up(self, *services: Service) -> AsyncIterator[Supervisor]:
        supervisor = self.supervisor(*services)
        is_up = asyncio.Event()
        loop = asyncio.get_running_loop()

        def on_up() -> None:
            loop.call_soon_threadsafe(is_up.set)

        running = asyncio.create_task(supervisor.run(on_up))
        waiting = asyncio.create_task(is_up.wait())
        await asyncio.wait({running, waiting}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        try:
            if running.done():
                running.result()
            assert is_up.is_set()
            yield supervisor
        finally:
            waiting.cancel()
            supervisor.request_stop()
            await running


@pytest.fixture
def bench(tmp_path: Path) -> _Bench:
    return _Bench(tmp_path)


def _ignore(_value: object) -> None:
    """For a call whose answer does not matter."""


async def _until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        await asyncio.sleep(0.02)


_WAITING = """
    import os, signal, sys
    from pathlib import Path
    here = Path(sys.argv[1])
    if os.environ.pop("TRUNKLINE_STANDBY", None):
        with here.with_name("standbys").open("a") as file:
            file.write(f"{os.getpid()}\\n")
        if not os.read(0, 1):
            sys.exit(0)
    with here.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    print("ready", flush=True)
    signal.pause()
"""
"""As a role does: a standby waits on its standard input; here it notes its pid before."""


def _standbys(folder: Path) -> list[int]:
    file = folder / "standbys"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


async def _noted(pids: Callable[[], list[int]], count: int) -> None:
    await _until(lambda: len(pids()) == count)


async def test_the_standby_replaces_a_killed_process_and_another_one_is_launched(bench: _Bench) -> None:
    service = _script(bench.folder, "one", _WAITING, has_standby=True)
    async with bench.up(service):
        for kills in (1, 2):
            await _noted(lambda: _standbys(bench.folder), kills)
            os.kill(_pids(bench.folder, "one")[-1], signal.SIGKILL)
            await _noted(lambda: _pids(bench.folder, "one"), kills + 1)
            assert _pids(bench.folder, "one")[-1] == _standbys(bench.folder)[kills - 1]
        await _noted(lambda: _standbys(bench.folder), 3)
        assert is_alive(_standbys(bench.folder)[-1])
    assert not any(is_alive(pid) for pid in _standbys(bench.folder) + _pids(bench.folder, "one"))


async def test_a_standby_that_has_ended_is_replaced_by_a_new_process(bench: _Bench) -> None:
    service = _script(bench.folder, "one", _WAITING, has_standby=True)
    async with bench.up(service):
        await _until(lambda: len(_standbys(bench.folder)) == 1)
        [standby] = _standbys(bench.folder)
        os.kill(standby, signal.SIGKILL)
        await asyncio.to_thread(os.waitid, os.P_PID, standby, os.WEXITED | os.WNOWAIT)
        os.kill(_pids(bench.folder, "one")[0], signal.SIGKILL)
        await _until(lambda: len(_standbys(bench.folder)) == 2)
        assert len(_pids(bench.folder, "one")) == 2
        assert standby not in _pids(bench.folder, "one")


def test_a_role_as_standby_does_nothing_and_ends_when_its_input_is_closed(tmp_path: Path) -> None:
    environment = {**os.environ, "TRUNKLINE_DATA_DIR": str(tmp_path / "data"), "TRUNKLINE_STANDBY": "1"}
    ended = subprocess.run(
        [sys.executable, "-m", "trunkline.roles", "switch"],
        env=environment, input=b"", capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert not (tmp_path / "data").exists()


async def test_services_start_in_order_and_stop_in_reverse(bench: _Bench) -> None:
    happened: list[str] = []
    text = """
        import signal, sys, time
        def end(*_):
            open(sys.argv[1], "w").write(str(time.monotonic()))
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        print("ready", flush=True)
        signal.pause()
    """
    services = [
        _script(
            bench.folder, name, text,
            prepare=lambda name=name: happened.append(f"prepare {name}"),
            once_ready=lambda name=name: happened.append(f"ready {name}"),
            needs=needs,
        )
        for name, needs in (("one", []), ("two", ["one"]), ("three", ["one", "two"]))
    ]  # fmt: skip
    async with bench.up(*services) as supervisor:
        assert [status.state for status in supervisor.status()] == [ServiceState.READY] * 3
        pids = [status.pid for status in supervisor.status()]
    expected = ["prepare one", "ready one", "prepare two", "ready two", "prepare three", "ready three"]
    assert happened == expected
    ends = [float((bench.folder / f"{name}.pids").read_text()) for name in ("three", "two", "one")]
    assert ends == sorted(ends)
    assert not any(is_alive(pid) for pid in pids if pid)
    assert not list((bench.folder / "run").glob("*.pid"))
    assert not state_file(bench.folder / "run").exists()


async def test_services_that_need_nothing_of_each_other_start_together(bench: _Bench) -> None:
    meeting = threading.Barrier(2, timeout=20)
    services = [
        _script(bench.folder, name, _GOOD, once_ready=lambda: _ignore(meeting.wait()))
        for name in ("one", "two")
    ]
    async with bench.up(*services) as supervisor:
        assert [status.state for status in supervisor.status()] == [ServiceState.READY] * 2


async def test_a_killed_service_is_started_again_and_the_others_stay(bench: _Bench) -> None:
    fragile, steady = _script(bench.folder, "fragile", _GOOD), _script(bench.folder, "steady", _GOOD)
    async with bench.up(fragile, steady) as supervisor:
        for _ in range(3):
            seen = _pids(bench.folder, "fragile")
            os.kill(seen[-1], signal.SIGKILL)
            await _until(lambda seen=seen: len(_pids(bench.folder, "fragile")) > len(seen))  # type: ignore[misc]
            await _until(lambda: supervisor.status()[0].state is ServiceState.READY)
        state = json.loads(state_file(bench.folder / "run").read_text())
        assert [service["restarts"] for service in state["services"]] == [3, 0]
        assert len(_pids(bench.folder, "steady")) == 1
    assert any("ended by SIGKILL" in line for line in bench.said)


async def test_a_service_is_started_again_while_nothing_can_be_written(
    bench: _Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: no state file, no pid file, no line of the log; afterwards the state file is right again."""
    fragile = _script(bench.folder, "fragile", _GOOD)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def written() -> int:
        return int(json.loads(state_file(bench.folder / "run").read_text())["services"][0]["restarts"])

    async with bench.up(fragile) as supervisor:
        with monkeypatch.context() as patch:
            patch.setattr("trunkline.runtime.supervisor.write_atomically", full)
            patch.setattr("trunkline.runtime.child.write_atomically", full)
            patch.setattr("trunkline.runtime.supervisor._SAVE_AGAIN_SECONDS", 0.1)
            patch.setattr(bench, "is_output_full", True)
            for _ in range(3):
                seen = _pids(bench.folder, "fragile")
                os.kill(seen[-1], signal.SIGKILL)
                await _until(lambda seen=seen: len(_pids(bench.folder, "fragile")) > len(seen))  # type: ignore[misc]
                await _until(lambda: supervisor.status()[0].state is ServiceState.READY)
            assert written() == 3  # in the place of the old one
            patch.setattr("trunkline.runtime.supervisor.overwrite", full)
            os.kill(_pids(bench.folder, "fragile")[-1], signal.SIGKILL)
            await _until(lambda: supervisor.status()[0].restarts == 4)
            assert (written(), state_file(bench.folder / "run").stat().st_mtime) == (3, STATE_IS_OLD)
        await _until(lambda: written() == 4)
        assert state_file(bench.folder / "run").stat().st_mtime > time.time() - 60


async def test_a_service_that_never_starts_ends_the_bring_up_with_its_last_words(bench: _Bench) -> None:
    good = _script(bench.folder, "good", _GOOD)
    bad = _script(
        bench.folder, "bad", 'print("the disk is made of cheese"); raise SystemExit(3)', needs=["good"]
    )
    with pytest.raises(
        SetupError, match="bad does not start; last line of its log: the disk is made of cheese"
    ):
        async with bench.up(good, bad, _script(bench.folder, "waiting", _GOOD, needs=["bad"])):
            pass
    assert not is_alive(_pids(bench.folder, "good")[0])
    assert _pids(bench.folder, "waiting") == []


async def test_a_service_that_is_never_ready_is_killed_and_tried_again(bench: _Bench) -> None:
    text = """
        import os, sys, time
        open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
        time.sleep(600)
    """
    with pytest.raises(SetupError, match="mute does not start"):
        async with bench.up(_script(bench.folder, "mute", text, ready_seconds=0.3)):
            pass
    assert len(_pids(bench.folder, "mute")) == 5
    assert not any(is_alive(pid) for pid in _pids(bench.folder, "mute"))


_LIVING = """
    import os, sys, time
    open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
    for _ in range(12):
        time.sleep(0.1)
        print("alive", flush=True)
    print("ready", flush=True)
    time.sleep(600)
"""


async def test_a_process_that_reports_is_not_killed_because_it_is_not_ready(bench: _Bench) -> None:
    """As a switch that recovers many calls on a busy machine, and then carries them."""
    service = _script(bench.folder, "busy", _LIVING, report_of=_report, ready_seconds=0.3, silent_seconds=5)
    async with bench.up(service):
        assert len(_pids(bench.folder, "busy")) == 1
    assert any("not ready for" in line and "it is not restarted" in line for line in bench.said)


async def test_a_process_that_stops_reporting_before_it_is_ready_is_killed(bench: _Bench) -> None:
    text = """
        import os, sys, time
        open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
        print("alive", flush=True)
        time.sleep(600)
    """
    service = _script(bench.folder, "hung", text, report_of=_report, ready_seconds=0.2, silent_seconds=0.5)
    with pytest.raises(SetupError, match="hung does not start"):
        async with bench.up(service):
            pass
    assert any("no report for" in line for line in bench.said)


async def test_a_database_that_replays_its_log_is_not_killed(bench: _Bench) -> None:
    began = time.monotonic()
    service = _script(
        bench.folder,
        "database",
        _GOOD,
        probe=lambda: time.monotonic() - began > 1.2,
        ready_seconds=0.3,
        may_start_slowly=True,
    )
    async with bench.up(dataclasses.replace(service, is_ready_line=None)):
        assert len(_pids(bench.folder, "database")) == 1


def test_postgresql_may_start_slowly(tmp_path: Path) -> None:
    assert database_service(Cluster(tmp_path / "pg"), lambda _: None).may_start_slowly


async def test_a_failing_preparation_ends_the_bring_up(bench: _Bench) -> None:
    def fail() -> None:
        raise SetupError("no room on the disk")

    with pytest.raises(SetupError, match="no room on the disk"):
        async with bench.up(_script(bench.folder, "one", _GOOD, prepare=fail)):
            pass
    with pytest.raises(SetupError, match="no room on the disk"):
        async with bench.up(_script(bench.folder, "two", _GOOD, once_ready=fail)):
            pass
    assert not is_alive(_pids(bench.folder, "two")[0])


async def test_a_service_that_is_killed_while_it_is_prepared_is_started_again(bench: _Bench) -> None:
    """PostgreSQL during the check of its schema: the whole product ended."""
    calls: list[int] = []

    def lose() -> None:
        calls.append(1)
        if len(calls) == 1:
            os.kill(_pids(bench.folder, "one")[-1], signal.SIGKILL)
            raise DatabaseUnavailable("PostgreSQL does not answer")

    async with bench.up(_script(bench.folder, "one", _GOOD, once_ready=lose)) as supervisor:
        assert supervisor.status()[0].state is ServiceState.READY
        assert len(_pids(bench.folder, "one")) == 2
    assert len(calls) == 2

    def fail() -> None:
        raise DatabaseUnavailable("it never answers")

    with pytest.raises(DatabaseUnavailable, match="it never answers"):
        async with bench.up(_script(bench.folder, "two", _GOOD, once_ready=fail)):
            pass


async def test_who_ignores_the_signal_is_killed(bench: _Bench) -> None:
    text = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)" + textwrap.dedent(_GOOD)
    async with bench.up(_script(bench.folder, "deaf", text, stop_seconds=0.3)):
        pid = _pids(bench.folder, "deaf")[0]
    assert not is_alive(pid)


async def test_children_of_services_go_with_them(bench: _Bench) -> None:
    text = """
        import os, subprocess, sys
        child = subprocess.Popen(["sleep", "600"])
        open(sys.argv[1], "a").write(f"{child.pid}\\n")
        print("ready", flush=True)
        child.wait()
    """
    async with bench.up(_script(bench.folder, "parent", text)):
        pid = _pids(bench.folder, "parent")[0]
        assert is_alive(pid)
    assert wait_gone(pid, 5)


async def test_an_end_is_noticed_though_a_child_of_it_keeps_the_output_open(bench: _Bench) -> None:
    text = """
        import os, signal, subprocess, sys
        first = not os.path.exists(sys.argv[1])
        child = subprocess.Popen(["sleep", "600"], start_new_session=True) if first else None
        open(sys.argv[1], "a").write(f"{child.pid if child else os.getpid()}\\n")
        print("ready", flush=True)
        os._exit(0) if first else signal.pause()
    """
    try:
        async with bench.up(_script(bench.folder, "leaver", text)) as supervisor:
            await _until(lambda: len(_pids(bench.folder, "leaver")) == 2, 5)
            await _until(lambda: supervisor.status()[0].state is ServiceState.READY)
    finally:
        os.kill(_pids(bench.folder, "leaver")[0], signal.SIGKILL)


async def test_output_goes_to_the_log(bench: _Bench) -> None:
    text = "import sys\nprint('hello')\nprint('oh', file=sys.stderr, flush=True)" + textwrap.dedent(_GOOD)
    async with bench.up(_script(bench.folder, "talker", text)):
        pass
    assert {"hello", "oh", "ready"} <= set((bench.folder / "logs" / "talker.log").read_text().splitlines())


async def test_a_probe_decides_readiness(bench: _Bench) -> None:
    calls: list[float] = []

    def probe() -> bool:
        calls.append(time.monotonic())
        return len(calls) >= 3

    argv = ["sleep", "600"]
    async with bench.up(Service("probed", lambda: Program(argv), probe=probe)) as supervisor:
        assert len(calls) == 3
        assert supervisor.status()[0].state is ServiceState.READY


_SUPERVISED = """
import asyncio, sys
from pathlib import Path
from trunkline.runtime.program import Program
from trunkline.runtime.service import Service
from trunkline.runtime.supervisor import Supervisor, sole_instance

folder = Path(sys.argv[1])
services = [
    Service(name, lambda name=name: Program([sys.executable, "-S", str(folder / f"{name}.py"),
            str(folder / f"{name}.pids")]), is_ready_line=lambda line: line == "ready", stop_seconds=2)
    for name in sys.argv[2:]
]
with sole_instance(folder / "run"):
    supervisor = Supervisor(services, run_dir=folder / "run", logs_dir=folder / "logs", say=print)
    asyncio.run(supervisor.run(lambda: print("UP", flush=True)))
"""


@contextlib.contextmanager
def _in_its_own_process(folder: Path, *names: str) -> Iterator[subprocess.Popen[str]]:
    for sub in ("run", "logs"):
        (folder / sub).mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", _SUPERVISED, str(folder), *names], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "UP\n":
                break
        else:
            raise AssertionError("not up")
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_outlives_the_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    for name in ("one", "two"):
        _script(tmp_path, name, _GOOD)
    with _in_its_own_process(tmp_path, "one", "two") as process:
        pids = _pids(tmp_path, "one") + _pids(tmp_path, "two")
        assert len(pids) == 2
        assert all(is_alive(pid) for pid in pids)
        process.send_signal(number)
        assert process.wait(10) == (-number if number is signal.SIGKILL else 0)
        assert all(wait_gone(pid, 5) for pid in pids)


def test_what_lingers_of_a_killed_supervisor_is_ended_by_the_next(tmp_path: Path) -> None:
    stubborn = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)" + textwrap.dedent(_GOOD)
    _script(tmp_path, "stubborn", stubborn)
    with _in_its_own_process(tmp_path, "stubborn") as process:
        process.kill()
        process.wait()
    lingering = _pids(tmp_path, "stubborn")[0]
    assert is_alive(lingering)
    try:
        with _in_its_own_process(tmp_path, "stubborn"):
            assert not is_alive(lingering)
            assert len(_pids(tmp_path, "stubborn")) == 2
    finally:
        for pid in _pids(tmp_path, "stubborn"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_pid_note_about_somebody_else_harms_nobody(tmp_path: Path) -> None:
    _script(tmp_path, "one", _GOOD)
    (tmp_path / "run").mkdir()
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        start = started_at(bystander.pid)
        assert start is not None
        note = {"pid": bystander.pid, "started": start - 1}
        (tmp_path / "run" / "one.pid").write_text(json.dumps(note))
        with _in_its_own_process(tmp_path, "one"):
            assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_one_supervisor_for_a_data_folder(tmp_path: Path) -> None:
    with (
        sole_instance(tmp_path / "run"),
        pytest.raises(AlreadyRunning, match=rf"already runs .*pid {os.getpid()}"),
        sole_instance(tmp_path / "run"),
    ):
        pass
    with sole_instance(tmp_path / "run"):
        pass


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=30))
def test_backoff_doubles_up_to_its_limits_and_starts_over_after_health(
    lives: list[tuple[float, bool]],
) -> None:
    rule = Backoff(first=0.2, most=10, most_ready=0.8, healthy=5)
    previous = None
    for lived, was_ready in lives:
        wait = rule.after(lived, was_ready=was_ready)
        if previous is None or (was_ready and lived >= 5):
            assert wait == 0.2
        else:
            assert wait == min(previous * 2, 0.8 if was_ready else 10)
        previous = wait


def test_logs_rotate_by_size_and_keep_a_few(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "x.log", most_bytes=100, kept=2)
    for number in range(40):
        log.write(f"line {number:04}\n".encode())
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.log", "x.log.1", "x.log.2"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert (tmp_path / "x.log").read_text().endswith("line 0039\n")
    assert log.last_line == "line 0039"


def _report(line: str) -> Report | None:
    if line == "well":
        return Report(ready=True)
    if line.startswith("ill "):
        return Report(ready=False, reason=line.removeprefix("ill "))
    return Report(ready=None) if line == "alive" else None


async def test_a_service_that_says_it_cannot_work_is_not_ready_and_says_why(bench: _Bench) -> None:
    text = """
        import os, signal, sys
        messages = {signal.SIGUSR1: "ill Asterisk is silent", signal.SIGUSR2: "well"}
        for number, line in messages.items():
            signal.signal(number, lambda _, __, line=line: print(line, flush=True))
        open(sys.argv[1], "a").write(f"{os.getpid()}\\n")
        print("ready", flush=True)
        print("alive", flush=True)
        while True:
            signal.pause()
    """
    async with bench.up(_script(bench.folder, "one", text, report_of=_report)) as supervisor:
        [pid] = _pids(bench.folder, "one")
        os.kill(pid, signal.SIGUSR1)
        await _until(lambda: supervisor.status()[0].state is ServiceState.NOT_READY)
        assert supervisor.status()[0].reason == "Asterisk is silent"
        [saved] = json.loads(state_file(bench.folder / "run").read_text())["services"]
        assert (saved["state"], saved["reason"]) == ("not_ready", "Asterisk is silent")
        os.kill(pid, signal.SIGUSR2)
        await _until(lambda: supervisor.status()[0].state is ServiceState.READY)
        assert supervisor.status()[0].reason == ""
        assert supervisor.status()[0].restarts == 0
    assert "alive" not in (bench.folder / "logs" / "one.log").read_text()


async def test_the_moment_of_the_last_report_is_kept_while_the_service_runs(bench: _Bench) -> None:
    text = """
        import sys, time
        open(sys.argv[1], "a").write("1\\n")
        print("ready", flush=True)
        while True:
            print("alive", flush=True)
            time.sleep(0.05)
    """
    run = bench.folder / "run"
    async with bench.up(_script(bench.folder, "one", text, report_of=_report)):
        await _until(lambda: report_age(run, "one") is not None)
        before = time.monotonic()
        await asyncio.sleep(0.2)
        await _until(lambda: time.monotonic() - (report_age(run, "one") or 0.0) > before)
    assert report_age(run, "one") is None


async def test_a_service_that_reports_nothing_any_more_is_started_again(bench: _Bench) -> None:
    service = _script(bench.folder, "one", _GOOD, report_of=_report, silent_seconds=0.3)
    async with bench.up(service) as supervisor:
        await _until(lambda: len(_pids(bench.folder, "one")) >= 2)
        assert any("has not reported" in line for line in bench.said)
        assert supervisor.status()[0].restarts >= 1
