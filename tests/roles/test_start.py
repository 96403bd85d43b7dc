"""What a role loads and logs at its start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from trunkline.roles import health as health_module
from trunkline.roles import process
from trunkline.roles.health import Health, StartPhases
from trunkline.runtime.instance import SUPERVISED

pytestmark = pytest.mark.shells

_SOUND = ("numpy", "av", "onnxruntime")
_RULES_OF_CALLS = ("trunkline.calls.rules", "trunkline.calls.session", "trunkline.calls.flows.inbound")
_NOT_AT_START = {
    "switch": (*_SOUND, "trunkline.directory.forms", "trunkline.directory.files", "zxcvbn", "yaml", "jinja2"),
    "web": ("av", "onnxruntime", *_RULES_OF_CALLS, "zxcvbn"),
    "worker": (*_SOUND, *_RULES_OF_CALLS, "trunkline.directory.files", "zxcvbn", "jinja2"),
}
"""What a role does not need before its first work, and what takes long to load: a killed process is needed again now."""


@pytest.mark.parametrize("role", _NOT_AT_START)
def test_a_role_loads_only_what_its_start_needs(role: str) -> None:
    code = f"import json, sys, trunkline.roles.{role}; print(json.dumps(list(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=100)
    loaded = set(json.loads(run.stdout))
    assert f"trunkline.roles.{role}" in loaded
    assert not loaded & {*_NOT_AT_START[role], "rich"}


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
def test_the_worker_has_a_low_priority_when_its_start_is_over(
    role: str, niceness: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the start took minutes, and everything waited for it."""
    lowered: list[int] = []
    monkeypatch.setenv(SUPERVISED, "1")
    monkeypatch.setattr(health_module, "lower_priority", lowered.append)
    health = Health(
        role,
        is_watched=False,
        phases=StartPhases(0.0),
        was_standby=False,
        niceness=process.niceness_of(role),
    )
    assert lowered == []
    health.ready()
    health.ready()
    assert lowered == niceness
    monkeypatch.delenv(SUPERVISED)
    assert process.niceness_of(role) == 0
