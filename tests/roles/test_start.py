"""What a role loads and logs at its start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from trunkline.core import log
from trunkline.roles.health import Health, StartPhases

_LIBRARIES_OF_SOUND = {"numpy", "av", "onnxruntime"}


def test_the_switch_does_not_load_the_libraries_of_sound() -> None:
    code = "import json, sys, trunkline.roles.switch; print(json.dumps(list(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=100)
    assert not _LIBRARIES_OF_SOUND & set(json.loads(loaded.stdout))


def test_the_first_readiness_logs_the_phases_of_the_start_once(capfd: pytest.CaptureFixture[str]) -> None:
    log.configure("switch")
    phases = StartPhases(0.0)
    phases.done("load")
    phases.done("directory")
    health = Health("switch", is_watched=False, phases=phases, was_standby=True)
    health.ready()
    health.ready()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    [started] = [line for line in lines if line["event"] == "started"]
    assert started["was_standby"] is True
    assert list(started["phases_ms"]) == ["load", "directory", "readiness"]
    assert sum(started["phases_ms"].values()) == pytest.approx(started["total_ms"], abs=3)
