"""Log lines: gathered, in order, an error at once; the quick way writes what the general one does."""

from __future__ import annotations

import json
import subprocess
import sys

_BOTH_WAYS = """
import asyncio, os, signal
from trunkline.core import log
early = log.get_logger("db")  # as of a module that the entry point imports before it configures the log
log.configure("switch", level={level!r})
one, other = log.get_logger("calls"), log.get_fast_logger("calls")
early.info("early")
one.info("outside", number=1)

async def main():
    one.info("general", call_session_id=7, leg_id=None)
    other.info("quick", call_session_id=7, leg_id=None)
    await asyncio.to_thread(one.info, "thread")
    if {dies}:
        one.error("failed")
        other.info("unheard")
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def _lines(*, level: str = "info", dies: bool = False) -> list[dict[str, object]]:
    script = _BOTH_WAYS.format(level=level, dies=dies)
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert run.returncode == (-9 if dies else 0), run.stderr
    return [json.loads(line) for line in run.stderr.splitlines()]


def test_all_lines_come_in_order_also_without_a_loop_and_at_the_end() -> None:
    assert [line["event"] for line in _lines()] == ["early", "outside", "general", "quick", "thread"]


def test_the_quick_way_writes_what_the_general_one_does() -> None:
    _, _, general, quick, _ = _lines()
    assert list(general) == list(quick)
    for name in set(general) - {"event", "timestamp"}:
        assert general[name] == quick[name], name
    for line in (general, quick):
        stamp = str(line["timestamp"])
        assert len(stamp) == len("2026-11-21T09:00:00.000000Z")
        assert stamp.endswith("Z")


def test_an_error_goes_out_at_once_with_all_before_it() -> None:
    assert [line["event"] for line in _lines(dies=True)] == [
        "early",
        "outside",
        "general",
        "quick",
        "thread",
        "failed",
    ]


def test_a_level_above_leaves_both_out() -> None:
    assert _lines(level="warning") == []


def test_what_a_library_logs_is_a_line_of_the_log() -> None:
    script = """
import logging
from trunkline.core import log
log.configure("worker")
log.configure("worker")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("some.library").exception("listener error: %r", 7)
logging.getLogger("some.library").info("not shown")
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    [line] = [json.loads(line) for line in run.stderr.splitlines()]
    assert (line["event"], line["package"], line["message"], line["level"]) == (
        "library_message",
        "some.library",
        "listener error: 7",
        "error",
    )
    assert "ZeroDivisionError" in line["exception"]
