"""What a role loads and logs at its start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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
