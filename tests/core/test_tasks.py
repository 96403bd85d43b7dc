"""Background tasks: a core task that fails ends the process, an item task only itself."""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import trunkline
from trunkline.core import tasks
from trunkline.core.tasks import EXIT_CODE, CoreTaskFailed, CoreTasks, core_task, item_task

SOURCE = Path(trunkline.__file__).parent
AWAITED_WHERE_STARTED = {
    "apis/event_sockets.py": "a watcher's three tasks: the handler awaits them",
    "apis/jsonrpc/dispatcher.py": "a report that is read while its caller is checked: the request awaits it",
    "core/cancellation.py": "wait_for",
    "db/jobs.py": "_cancel_until_done awaits its task",
    "db/probe.py": "one check for all requests that wait; each of them awaits it",
    "directory/media/spoken.py": "a text is spoken once for all who ask; each of them awaits it",
    "notifications/deliverer.py": "deliveries of one stream: a failure is logged where it ends",
    "runtime/child.py": "the supervisor",
    "runtime/instance.py": "the guard of the disk, which no error ends",
    "runtime/supervisor.py": "the supervisor",
    "telephony/ari.py": "the reader of one connection: its core task awaits it",
    "uploads/decoder.py": "the output of one decoder: the job of the upload awaits it",
}
"""Files of the roles and of the supervisor that start a task otherwise, and why."""
NO_ROLE = ("bench", "demo", "testing")


async def _fails() -> None:
    raise ValueError("broken")


async def test_a_core_task_that_fails_ends_the_process_after_closing_in_order() -> None:
    closed: list[str] = []

    async def process() -> None:
        async with CoreTasks():
            try:
                core_task(_fails(), name="writer")
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                closed.append("closed")

    with pytest.raises(CoreTaskFailed, match=r"writer.*broken") as failed:
        await process()
    assert isinstance(failed.value.__cause__, ValueError)
    assert closed == ["closed"]


async def test_a_core_task_that_returns_has_failed_unless_the_process_stops() -> None:
    stopped = asyncio.Event()

    async def returns() -> None:
        pass

    async def process() -> None:
        async with CoreTasks(is_stopping=stopped.is_set):
            core_task(returns(), name="reader")
            await asyncio.Event().wait()

    with pytest.raises(CoreTaskFailed, match="it returned"):
        await process()
    stopped.set()
    async with CoreTasks(is_stopping=stopped.is_set):
        await core_task(returns(), name="reader")
        await asyncio.sleep(0)


async def test_a_core_task_that_its_owner_cancels_has_not_failed() -> None:
    async with CoreTasks():
        task = core_task(asyncio.Event().wait(), name="listener")  # type: ignore[arg-type]
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0)


async def test_a_core_task_started_by_another_task_counts_too() -> None:
    async def starts() -> None:
        core_task(_fails(), name="inner")
        await asyncio.Event().wait()

    async def process() -> None:
        async with CoreTasks():
            core_task(starts(), name="outer")
            await asyncio.Event().wait()

    with pytest.raises(CoreTaskFailed, match="inner"):
        await process()


async def test_a_process_that_cannot_close_is_ended_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "SHUTDOWN_SECONDS", 0.0)
    given_up = asyncio.Event()

    async def never_closes() -> None:
        async with CoreTasks(give_up=given_up.set):
            try:
                core_task(_fails(), name="writer")
                await asyncio.Event().wait()
            finally:
                await given_up.wait()  # closing goes on for ever, or until the process is ended

    with pytest.raises(CoreTaskFailed):
        await asyncio.wait_for(never_closes(), 5)


async def test_an_item_task_that_fails_ends_nothing_else() -> None:
    among: set[asyncio.Task[None]] = set()
    async with CoreTasks():
        task = item_task(_fails(), name="effects", among=among)
        assert among == {task}
        await asyncio.wait({task})
        await asyncio.sleep(0)
        assert not among


def test_a_role_whose_core_task_fails_exits_with_its_code_and_a_log_line(tmp_path: Path) -> None:
    program = """
import asyncio, sys, types
from trunkline.core.tasks import core_task
from trunkline.roles import process as roles

async def broken():
    raise RuntimeError("unable to perform operation; the handler is closed")

async def run(settings, ready, stopped):
    core_task(broken(), name="ari-trunkline")
    await stopped.wait()

sys.modules["trunkline.roles.web"] = types.SimpleNamespace(run=run)
sys.argv = ["roles", "web"]
roles.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
        env={**os.environ, "TRUNKLINE_METRICS__WEB_PORT": "0"},
    )
    assert done.returncode == EXIT_CODE, done.stderr
    assert "core_task_failed" in done.stderr
    assert "the handler is closed" in done.stderr


def test_each_background_task_is_a_core_task_or_an_item_task() -> None:
    """The code that starts a task defines what its failure means."""
    found = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if not {*path.relative_to(SOURCE).with_suffix("").parts[:2]} & {*NO_ROLE} and _starts_tasks(path)
    }
    assert found == AWAITED_WHERE_STARTED.keys() | {"core/tasks.py"}


def _starts_tasks(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            if node.func.attr in ("create_task", "ensure_future") and owner != "group":
                return True
    return False
