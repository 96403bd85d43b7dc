"""The bootstrap script, with a stand-in for uv that notes how it was called: no network is touched here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_REPOSITORY = Path(__file__).parents[2]
_UV = """#!/bin/sh
[ "$1" = --version ] && { echo "uv 1.0"; exit 0; }
echo "$* certs=${UV_SYSTEM_CERTS:-no}" >> "$CALLS"
[ -z "${FAIL:-}" ] || exit 1
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
ln -sf "$PYTHON" "$UV_PROJECT_ENVIRONMENT/bin/python"
ln -sf /bin/true "$UV_PROJECT_ENVIRONMENT/bin/trunkline"
"""


class _Checkout:
    def __init__(self, folder: Path) -> None:
        self.top, self.calls_file, self._bin = folder / "check out", folder / "calls", folder / "bin"
        (self.top / "scripts").mkdir(parents=True)
        shutil.copy(_REPOSITORY / "scripts" / "bootstrap", self.top / "scripts" / "bootstrap")
        for name in ("uv.lock", "pyproject.toml"):
            (self.top / name).write_text("one")
        self._bin.mkdir()
        (self._bin / "uv").write_text(_UV)
        (self._bin / "uv").chmod(0o755)
        (self._bin / "python3").symlink_to(sys.executable)

    def without(self, name: str) -> None:
        (self._bin / name).unlink()

    def provide(self, *programs: str) -> None:
        for program in programs:
            found = shutil.which(program)
            assert found is not None
            (self._bin / program).symlink_to(found)

    def run(
        self, *arguments: str, path: str = "/usr/bin:/bin", **more: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self._bin}:{path}", "CALLS": str(self.calls_file), "PYTHON": sys.executable,
            "SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE", "/dev/null"), **more,
        }  # fmt: skip
        return subprocess.run(
            ["/bin/sh", str(self.top / "scripts" / "bootstrap"), *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> _Checkout:
    return _Checkout(tmp_path)


def test_it_installs_what_is_locked_and_then_leaves_the_network_alone(checkout: _Checkout) -> None:
    assert checkout.run().returncode == 0
    assert len(checkout.calls) == 1
    assert "--locked" in checkout.calls[0]
    assert "--no-dev" in checkout.calls[0]
    assert "--compile-bytecode" in checkout.calls[0]
    assert checkout.run().returncode == 0
    assert len(checkout.calls) == 1


def test_an_environment_that_was_moved_is_made_again(checkout: _Checkout) -> None:
    checkout.run()
    left = checkout.top / ".venv" / "of the old place"
    left.touch()
    checkout.top = checkout.top.rename(checkout.top.with_name("moved"))
    assert checkout.run().returncode == 0
    assert len(checkout.calls) == 2
    assert not (checkout.top / ".venv" / left.name).exists()
    assert checkout.run().returncode == 0
    assert len(checkout.calls) == 2


def test_a_changed_lock_is_followed(checkout: _Checkout) -> None:
    checkout.run()
    (checkout.top / "uv.lock").write_text("two")
    checkout.run()
    assert len(checkout.calls) == 2


def test_tools_for_tests_come_when_asked_for_and_stay(checkout: _Checkout) -> None:
    checkout.run()
    checkout.run("dev")
    assert "--group dev" in checkout.calls[-1]
    checkout.run()
    checkout.run("dev")
    assert len(checkout.calls) == 2


def test_an_interrupted_installation_is_taken_up_again(checkout: _Checkout) -> None:
    assert checkout.run(FAIL="1").returncode == 1
    assert checkout.run().returncode == 0
    assert checkout.run().returncode == 0
    assert len(checkout.calls) == 3


def test_a_broken_environment_is_made_anew(checkout: _Checkout) -> None:
    checkout.run()
    python = checkout.top / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert checkout.run().returncode == 0
    assert len(checkout.calls) == 2


def test_a_failure_is_tried_with_the_systems_certificates_then_said_in_one_sentence(
    checkout: _Checkout,
) -> None:
    result = checkout.run(FAIL="1")
    assert result.returncode == 1
    assert [call.rpartition("certs=")[2] for call in checkout.calls] == ["no", "1"]
    assert result.stderr.splitlines()[-1].startswith("trunkline: the Python packages could not be installed")


def test_an_old_python_is_said_in_one_sentence(checkout: _Checkout) -> None:
    checkout.without("python3")
    checkout.provide("dirname", "sha256sum", "cut", "cat", "mkdir")
    result = checkout.run(path="/nowhere")
    assert result.returncode == 1
    assert "Python 3.11 or newer is needed" in result.stderr


def test_the_scripts_are_what_a_plain_shell_understands() -> None:
    subprocess.run(["/bin/sh", "-n", str(_REPOSITORY / "scripts" / "bootstrap")], check=True)
    subprocess.run(["bash", "-n", str(_REPOSITORY / ".ci" / "run")], check=True)
    linter = shutil.which("shellcheck")
    if linter is not None:
        files = [str(_REPOSITORY / "scripts" / "bootstrap"), str(_REPOSITORY / ".ci" / "run")]
        subprocess.run([linter, *files], check=True)
