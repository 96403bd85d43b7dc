"""How tests are spread over processes (``pytest -n 4 --dist loadgroup``).

Tests of one group run in one process, one after another: those that name a group (mark ``xdist_group``), because they share
a running product, and those of a module that share what its fixtures of scope ``module`` set up. Where a product has more
tests than one process should run (:data:`_BY_MODULE`), its modules are divided among two processes that each have one; a
further one takes part when it would have nothing else to do, because a start takes as long as many tests. Groups
and tests with real processes begin first, the longest first, so that no process is left alone with a long one at the end: a
test counts as :data:`_USUAL_SECONDS`, or as many as its mark ``long(seconds)`` gives. Calls last as long as
they last and leave the processors free for most of it: four workers make calls, each further worker takes only tests without
real processes, from the end. Those marked ``long`` are at that end, so that none is left for the last minute; without tests
of calls they begin first. A worker with such a test computes at a lower priority, because the sound of calls needs the
processors; it leaves the session of the others, because Linux shares the processors among sessions first.

pytest-xdist 3.8 passes groups inside the ids of tests, which pytest 9.2 no longer lets it change: it ignores each group. So
each worker writes the groups of what it collected to a file, and the scheduler reads it.
"""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_FILE = "groups_file"
"""Key of the file's name among what a worker gets from the controller."""

_REAL_PROCESSES = ("engine", "phones", "drill")
"""Marks."""

_BY_MODULE = frozenset({"setup"})
"""Groups of which each module is a piece of work: each process has the product that they share, if it comes to one of them.
In one piece, they would last longer than all that the other processes have to do."""

_SHARED_PRODUCT = "whole_setup"
"""Fixture of scope ``session``: the product of most tests with calls."""

_HOLDERS = 2
"""How many workers have that product, as long as the others have other tests with real processes."""

_WORKERS_FOR_CALLS = 4
"""How many workers run tests with real processes: one of them needs a third of a processor, and waits for its calls else."""

_LOW_PRIORITY = 10
"""Added to the nice value: such a process gets a tenth of the time of one that needs a processor, too."""

_USUAL_SECONDS = 6
"""That a test with real processes lasts, on the average."""

_STALE_MAX = 50
"""Test modules without a compiled file from which they are compiled before the workers start."""


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # has no types
    """A group of tests is one piece of work; pieces are given out in the order in which workers collected them."""

    assigned_work: dict[Any, Any]

    def __init__(self, config: pytest.Config, log: Any, file: Path) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False
        self._file = file
        self._groups: dict[str, str] = {}
        self._with_processes: frozenset[str] = frozenset()
        self._computing: set[Any] = set()
        self._with_product: frozenset[str] = frozenset()
        self._holders: set[Any] = set()

    def schedule(self) -> None:
        if self.collection is None:
            # Workers are there in the order in which they were ready, which depends on the load.
            by_number = sorted(self.nodes, key=lambda node: int(node.gateway.id[2:]))
            self.assigned_work = {node: self.assigned_work[node] for node in by_number}
            written = json.loads(self._file.read_text())
            self._groups = written["groups"]
            self._with_processes = frozenset(written["with_processes"])
            self._with_product = frozenset(written["with_product"])
            self._computing = set(self.nodes[_WORKERS_FOR_CALLS:])
        super().schedule()

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.get(nodeid, nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        """A computing worker takes the last piece, or stops when that has real processes: no piece before it is for it."""
        if node not in self._computing:
            self.workqueue.move_to_end(self._piece_for(node), last=False)
            super()._assign_work_unit(node)
        elif not self._has_processes(next(reversed(self.workqueue))):
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
            super()._assign_work_unit(node)
        elif not node.shutting_down:
            node.shutdown()

    def _has_processes(self, piece: str) -> bool:
        return not self._with_processes.isdisjoint(self.workqueue[piece])

    def _piece_for(self, node: Any) -> str:
        """The next piece of a worker with real processes: of the shared product, if it is one of those that have it."""
        for_holders: list[str] = [piece for piece in self.workqueue if piece in self._with_product]
        if for_holders and (node in self._holders or len(self._holders) < _HOLDERS):
            self._holders.add(node)
            return for_holders[0]
        other: str | None = next((piece for piece in self.workqueue if piece not in self._with_product), None)
        if for_holders and (other is None or not self._has_processes(other)):
            if other is None or len(for_holders) > len(self._holders):
                self._holders.add(node)
                return for_holders[0]
            self._computing.add(node)  # the tests with calls that are left are for the holders
        assert other is not None
        return other


class Controller:
    """Plugin of the process that gives out work."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def _file(self) -> Path:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="test-groups-")
        return Path(self._folder.name) / "groups.json"

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Compile what all workers need, before they start."""
        workers = session.config.getoption("tx", None) or ()
        if len(workers) > 1 and not sys.dont_write_bytecode:
            compile_modules(Path(__file__).parent, len(workers))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Set where a new worker writes."""
        node.workerinput[_FILE] = str(self._file)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> Any:
        """In the place of the scheduler of pytest-xdist."""
        return GroupScheduling(config, log, self._file) if config.getvalue("dist") == "loadgroup" else None

    def pytest_unconfigure(self) -> None:
        """Remove the file."""
        if self._folder is not None:
            self._folder.cleanup()


def stale_modules(tests: Path) -> list[Path]:
    """Test modules whose compiled file is missing, or older."""
    return [
        path
        for path in sorted(tests.rglob("test_*.py"))
        if not any(
            compiled.stat().st_mtime >= path.stat().st_mtime
            for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*-pytest-*.pyc")
        )
    ]


def compile_modules(tests: Path, workers: int) -> None:
    """In a fresh clone, each worker would compile all modules at the same time as the others: 15 s of a processor each.

    pytest compiles test modules in its own way, when it collects them: two processes collect a half each. The product's are
    compiled before.
    """
    stale = stale_modules(tests)
    if len(stale) <= _STALE_MAX:
        return
    compileall.compile_dir(tests.parent / "src", quiet=2, workers=min(2, workers))
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider"]
    halves = [
        subprocess.Popen(
            [*collect, *map(str, half)],
            cwd=tests.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for half in (stale[::2], stale[1::2])
    ]
    for half in halves:
        half.wait()


class Priority:
    """Plugin of a worker: its priority falls with the first test that has no real processes; none with them follows."""

    def __init__(self) -> None:
        self._is_low = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Lower it once."""
        if not self._is_low and not has_processes(item):
            self._is_low = True
            with contextlib.suppress(PermissionError):  # the leader of a session stays in it
                os.setsid()
            os.nice(_LOW_PRIORITY)
            with contextlib.suppress(OSError):  # a kernel without groups of sessions
                Path("/proc/self/autogroup").write_text(str(_LOW_PRIORITY))


def has_processes(item: pytest.Item) -> bool:
    """Whether it is marked as a test with real processes."""
    return any(item.get_closest_marker(name) for name in _REAL_PROCESSES)


def distribute(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a worker: sort the tests, and write the groups for the scheduler."""
    workerinput = getattr(config, "workerinput", None)
    if workerinput is None:
        return
    groups = {item.nodeid: group for item in items if (group := group_of(item))}
    with_calls = any(map(has_processes, items))
    seconds: Counter[str] = Counter()
    for item in items:
        mark = item.get_closest_marker("long")
        seconds[groups.get(item.nodeid, item.nodeid)] += (
            int(mark.args[0]) if mark and mark.args else _USUAL_SECONDS
        )

    def begins(item: pytest.Item) -> tuple[int, int]:
        if not has_processes(item):
            return ((3 if with_calls else 0) if item.get_closest_marker("long") else 2, 0)
        group = groups.get(item.nodeid)
        return (0, -seconds[group or item.nodeid])

    items.sort(key=begins)
    if with_calls:
        config.pluginmanager.register(Priority(), "priority of tests")
    file = Path(workerinput[_FILE])
    # Workers write the same at the same time.
    new = file.with_name(f"{file.name}.{workerinput['workerid']}")
    with_processes = [item.nodeid for item in items if has_processes(item)]
    with_product = sorted(
        {
            groups.get(item.nodeid, item.nodeid)
            for item in items
            if _SHARED_PRODUCT in getattr(item, "fixturenames", ())
        }
    )
    new.write_text(
        json.dumps({"groups": groups, "with_processes": with_processes, "with_product": with_product})
    )
    new.replace(file)


def group_of(item: pytest.Item) -> str:
    """Name of the test's group; empty for none."""
    named = {str(mark.args[0]) for mark in item.iter_markers("xdist_group")}
    if named & _BY_MODULE:
        return item.nodeid.split("::")[0]
    if named:
        return "_".join(sorted(named))
    info = getattr(item, "_fixtureinfo", None)
    path = item.nodeid.split("::")[0]
    definitions = (
        [one for several in info.name2fixturedefs.values() for one in several] if info is not None else []
    )
    is_of_the_module = any(one.scope == "module" and str(one.baseid) == path for one in definitions)
    return path if is_of_the_module else ""
