"""Groups of tests: what shares a product, or a fixture of its module, runs in one process; a fifth process only computes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.distribution import stale_modules

pytestmark = pytest.mark.shells

_REPOSITORY = Path(__file__).parents[2]
# Other plugins would be imported by each of six processes.
_ENVIRONMENT = {"PYTHONPATH": str(_REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
_CONFTEST = """
import os
import time
import pytest
from tests.distribution import Controller, distribute

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller())
        return
    number = int(config.workerinput["workerid"][2:])
    while number + 1 < config.workerinput["workercount"] and not (config.rootpath / f"ready{number + 1}").exists():
        time.sleep(0.01)  # the worker with the highest number is ready first

@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session):
    if hasattr(session.config, "workerinput"):
        (session.config.rootpath / f"ready{session.config.workerinput['workerid'][2:]}").touch()

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
_OF_PRODUCT = """
import pytest, time

@pytest.fixture(scope="session")
def whole_setup():
    pass

@pytest.mark.engine
@pytest.mark.xdist_group("setup")
def test_{name}(whole_setup):
    time.sleep(0.05)
"""
_OTHERS = """
import pytest, time

@pytest.mark.engine
@pytest.mark.parametrize("number", range(20))
def test_other(number):
    time.sleep(0.1)

@pytest.mark.engine
@pytest.mark.long(100)
def test_longest():
    pass
"""


def _run(folder: Path, *arguments: str) -> list[list[str]]:
    """Worker, test and nice value of each test in the order of their ends."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "--dist", "loadgroup", "-p", "no:cacheprovider", "-q", *arguments],
        cwd=folder, env=_ENVIRONMENT, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    return [line.split() for line in (folder / "ran").read_text().splitlines()]


def _write(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    engine: real\n")
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_alone.py").write_text(_ALONE)
    (tmp_path / "test_module.py").write_text(_MODULE)
    for name in ("y", "z"):
        (tmp_path / f"test_{name}.py").write_text(_GROUP.format(name=name))


def test_a_group_runs_in_one_process_first_and_at_a_higher_priority(tmp_path: Path) -> None:
    _write(tmp_path)
    ran = _run(tmp_path, "-n", "2")
    assert len(ran) == 24
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


def test_modules_of_a_large_product_are_divided_among_processes(tmp_path: Path) -> None:
    _write(tmp_path)
    for name in ("y", "z"):
        (tmp_path / f"test_{name}.py").write_text(_GROUP.format(name=name).replace("product", "setup"))
    ran = _run(tmp_path, "-n", "2", "-m", "engine")
    workers = {kind: {worker for worker, name, _ in ran if name.startswith(f"test_{kind}[")} for kind in "yz"}
    assert sorted(map(len, workers.values())) == [1, 1]
    assert workers["y"] != workers["z"]


def test_only_four_workers_have_real_processes_and_the_fifth_takes_the_rest(tmp_path: Path) -> None:
    _write(tmp_path)
    ran = _run(tmp_path, "-n", "5")
    assert len({name for _, name, _ in ran}) == len(ran) == 24
    with_processes = {worker for worker, name, _ in ran if name.startswith(("test_y[", "test_z["))}
    assert with_processes <= {"gw0", "gw1", "gw2", "gw3"}
    assert any(worker == "gw4" for worker, _, _ in ran)
    begun = os.nice(0)
    assert {int(nice) for worker, _, nice in ran if worker == "gw4"} == {min(begun + 10, 19)}


def test_two_workers_have_the_shared_product_and_others_begin_with_the_longest(tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    engine: real\n    long: long\n")
    for name in "abcdef":
        (tmp_path / f"test_{name}.py").write_text(_OF_PRODUCT.format(name=name))
    (tmp_path / "test_others.py").write_text(_OTHERS)
    ran = _run(tmp_path, "-n", "4")
    assert len({name for _, name, _ in ran}) == len(ran) == 51
    holders = {worker for worker, name, _ in ran if name in {f"test_{one}" for one in "abcdef"}}
    assert holders <= {"gw0", "gw1"}
    assert next(name for worker, name, _ in ran if worker == "gw2") == "test_longest"


def test_long_tests_begin_early(tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    engine: real\n    long: long\n")
    mark = "@pytest.mark.long\n@pytest.mark.parametrize"
    (tmp_path / "test_slow.py").write_text(
        _ALONE.replace("@pytest.mark.parametrize", mark).replace("test_alone", "test_slow")
    )
    of_fifth = [name for worker, name, _ in _run(tmp_path, "-n", "5") if worker == "gw4"]
    assert of_fifth[0].startswith("test_slow[")
    (tmp_path / "ran").unlink()
    for file in (*tmp_path.glob("ready*"), *tmp_path.glob("test_[yz].py")):
        file.unlink()
    ran = _run(tmp_path, "-n", "2")
    assert {name.partition("[")[0] for _, name, _ in ran[:4]} == {"test_slow"}


def test_test_modules_without_a_compiled_file_are_stale(tmp_path: Path) -> None:
    old, new = tmp_path / "test_old.py", tmp_path / "test_new.py"
    for path in (old, new):
        path.write_text("def test_nothing():\n    pass\n")
    run = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", "-q", str(old)]
    subprocess.run(run, cwd=tmp_path, env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, check=True, timeout=100)
    assert stale_modules(tmp_path) == [new]
    written = old.stat().st_mtime + 60
    os.utime(old, (written, written))
    assert stale_modules(tmp_path) == [new, old]


def test_a_fifth_worker_without_a_test_for_it_stops(tmp_path: Path) -> None:
    _write(tmp_path)
    ran = _run(tmp_path, "-n", "5", "-m", "engine")
    assert len(ran) == 12
    assert {worker for worker, _, _ in ran} <= {"gw0", "gw1", "gw2", "gw3"}
