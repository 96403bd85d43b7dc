"""The wheel: what is in it, what an installer adds to it, and that the product works from it in a new environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

_TOP = Path(__file__).parents[2]
_OWN_UV = _TOP / ".trunkline" / "tools" / "uv" / "bin" / "uv"
_UV = str(_OWN_UV) if _OWN_UV.exists() else shutil.which("uv")

pytestmark = [
    pytest.mark.shells,
    pytest.mark.skipif(_UV is None, reason="no uv: run scripts/bootstrap"),
]


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("TRUNKLINE_", "VIRTUAL_"))
    }
    return subprocess.run(
        [str(one) for one in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def _done(*command: str | Path, cwd: Path) -> str:
    result = _run(*command, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _done(str(_UV), "build", "--wheel", "--out-dir", folder, _TOP, cwd=folder)
    [built] = folder.glob("*.whl")
    return built


def test_the_wheel_has_the_product_and_its_data_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for name in (
        "analysis/silero_vad.onnx",
        "analysis/silero_vad.LICENSE",
        "directory/demo.yaml",
        "db/migrations/0001_ground.sql",
    ):
        assert f"trunkline/{name}" in names
    unwanted = re.compile(r"trunkline/(bench|testing)/|trunkline/cli/bench|^tests/")
    assert [name for name in names if unwanted.search(name)] == []


@pytest.mark.parametrize("extras", ["", "[analysis]", "[analysis,transcription]"])
def test_an_installer_without_our_settings_gets_no_torch(wheel: Path, extras: str) -> None:
    """Resolved from the metadata of the wheel alone, as pip does: the settings of uv in pyproject.toml do not apply."""
    request = wheel.parent / "request.in"
    request.write_text(f"trunkline{extras} @ {wheel.as_uri()}\n")
    text = _done(
        str(_UV), "pip", "compile", "--no-config", "--no-header", "--no-annotate", request, cwd=wheel.parent
    )
    packages = {re.split(r"[=@ ]", line)[0] for line in text.splitlines()}
    assert {"trunkline", "aiohttp", "yarl", "prometheus-client"} <= packages
    assert not packages & {"torch", "torchaudio", "silero-vad", "sqlalchemy", "alembic"}
    assert ("onnxruntime" in packages) == bool(extras)


def test_the_product_works_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    environment, work = tmp_path / "environment", tmp_path / "work"
    work.mkdir()
    _done(str(_UV), "venv", "--no-config", environment, cwd=work)
    python = environment / "bin" / "python"
    _done(str(_UV), "pip", "install", "--no-config", "--python", python, wheel, cwd=work)
    program = environment / "bin" / "trunkline"
    listed = _done(program, "--help", cwd=work)
    assert " up " in listed
    assert " bench " not in listed
    assert "no instance in" in _run(program, "status", cwd=work).stdout
    script = (
        "import importlib, pkgutil, trunkline\n"
        "from click.testing import CliRunner\n"
        "from trunkline.cli.main import COMMANDS, commands\n"
        "for name in COMMANDS:\n"
        "    result = CliRunner().invoke(commands, [name, '--help'], catch_exceptions=False)\n"
        "    assert 'Usage:' in result.output, (name, result.output)\n"
        "names = [one.name for one in pkgutil.walk_packages(trunkline.__path__, 'trunkline.')]\n"
        "[importlib.import_module(name) for name in names if not name.endswith('__main__')]\n"
        "from trunkline.db import migrate\n"
        "print(migrate.newest())\n"
        "from trunkline.analysis.silero import SileroDetector\n"
        "from trunkline.core.errors import SetupError\n"
        "try:\n"
        "    SileroDetector()\n"
        "except SetupError as error:\n"
        "    print(error.message)\n"
    )
    output = _done(python, "-c", script, cwd=work)
    assert re.match(r"\d{4}\n", output)
    assert "extra `analysis`" in output
