"""Groups of tests: what shares a product, or a fixture of its module, runs in one process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).parents[2]
_CONFTEST = """
import os
import pytest
from tests.distribution import Controller, distribute

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller())

def pytest_collection_modifyitems(config, items):
    distribute(config, items)

@pytest.fixture(autouse=True)
def noted(worker_id, request):
    with open(f"{request.config.rootpath}/ran", "a") as ran:
        ran.write(f"{worker_id} {request.node.name} {os.nice(0)}\\n")
"""
_ALONE = """
import pytest

@pytest.mark.parametrize("number", range(6))
def test_alone(number):
    pass
"""
_MODULE = """
import pytest

@pytest.fixture(scope="module")
def of_module():
    return 1

@pytest.mark.parametrize("number", range(6))
def test_module(number, of_module):
    pass
"""
_GROUP = """
import pytest

@pytest.mark.engine
@pytest.mark.xdist_group("product")
@pytest.mark.parametrize("number", range(6))
def test_{name}(number):
    pass
"""


def test_a_group_runs_in_one_process_first_and_at_a_higher_priority(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    engine: real\n")
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_alone.py").write_text(_ALONE)
    (tmp_path / "test_module.py").write_text(_MODULE)
    for name in ("y", "z"):
        (tmp_path / f"test_{name}.py").write_text(_GROUP.format(name=name))
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider", "-q"],
        cwd=tmp_path, env={"PYTHONPATH": str(_REPOSITORY)}, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert "24 passed" in run.stdout, run.stdout + run.stderr
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    workers = {
        kind: {worker for worker, name, _ in ran if name.startswith(f"test_{kind}[")}
        for kind in ("y", "z", "module")
    }
    assert len(workers["y"] | workers["z"]) == 1
    assert len(workers["module"]) == 1
    [of_group] = workers["y"]
    assert [name for worker, name, _ in ran if worker == of_group][:12] == [
        f"test_{kind}[{n}]" for kind in "yz" for n in range(6)
    ]
    begun = os.nice(0)
    assert {int(nice) for _, name, nice in ran if name.startswith(("test_y[", "test_z["))} == {begun}
    assert {int(nice) for _, name, nice in ran if name.startswith(("test_alone[", "test_module["))} == {
        min(begun + 10, 19)
    }
