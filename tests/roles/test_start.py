"""What a role loads and logs at its start."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any

import pytest
import uvloop

from trunkline.core import log
from trunkline.roles import __main__ as entry
from trunkline.runtime.instance import SUPERVISED

_LIBRARIES_OF_SOUND = {"numpy", "av", "onnxruntime"}


def test_the_switch_does_not_load_the_libraries_of_sound() -> None:
    code = "import json, sys, trunkline.roles.switch; print(json.dumps(list(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=100)
    assert not _LIBRARIES_OF_SOUND & set(json.loads(loaded.stdout))


_FIRST_READINESS = """
from trunkline.core import log
from trunkline.roles.health import Health, StartPhases
log.configure("switch")
phases = StartPhases(0.0)
phases.done("load")
phases.done("directory")
health = Health("switch", is_watched=False, phases=phases, was_standby=True)
health.ready()
health.ready()
"""
"""In a process of its own: the configuration of logging stays for the process."""


def test_the_first_readiness_logs_the_phases_of_the_start_once() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _FIRST_READINESS], capture_output=True, check=True, text=True, timeout=100
    )
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    [started] = [line for line in lines if line["event"] == "started"]
    assert started["was_standby"] is True
    assert list(started["phases_ms"]) == ["load", "directory", "readiness"]
    assert sum(started["phases_ms"].values()) == pytest.approx(started["total_ms"], abs=3)


@pytest.mark.parametrize(("role", "niceness"), [("switch", []), ("web", []), ("worker", [10])])
def test_the_worker_has_a_low_priority_when_it_has_loaded(
    role: str, niceness: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it took minutes to load, and everything waited for it."""
    happened: list[object] = []

    def run(coroutine: Coroutine[Any, Any, None]) -> None:
        coroutine.close()
        happened.append("runs")

    monkeypatch.setenv(SUPERVISED, "1")
    monkeypatch.setattr(sys, "argv", ["trunkline.roles", role])
    monkeypatch.setattr(log, "configure", lambda *_, **__: None)
    monkeypatch.setattr(entry, "_load", lambda _: happened.append("loaded"))
    monkeypatch.setattr(entry, "lower_priority", happened.append)
    monkeypatch.setattr(uvloop, "run", run)
    entry.main()
    assert happened == ["loaded", *niceness, "runs"]
