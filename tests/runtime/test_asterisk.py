"""The Asterisk that is found or fetched."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from trunkline.core.errors import SetupError
from trunkline.core.settings import EngineSettings, Settings
from trunkline.runtime import asterisk, debian
from trunkline.runtime.asterisk import AsteriskInstall, Origin
from trunkline.runtime.progress import PrintedProgress, Step

pytestmark = pytest.mark.engine


def test_it_runs_and_has_what_the_product_needs(asterisk_install: AsteriskInstall) -> None:
    output = subprocess.run(
        asterisk_install.command("-V"), capture_output=True, text=True, check=True, timeout=20
    ).stdout
    assert asterisk_install.version in output
    assert asterisk_install.major >= 20
    needed = (
        "chan_pjsip", "res_pjsip_registrar", "res_pjsip_outbound_registration",
        "res_pjsip_transport_websocket", "res_srtp", "res_ari", "res_ari_channels", "app_mixmonitor",
        "app_dial", "app_stasis", "res_musiconhold", "codec_alaw", "codec_ulaw", "codec_g722",
        "format_wav", "format_sln", "res_security_log",
    )  # fmt: skip
    assert [name for name in needed if not asterisk_install.has_module(name)] == []
    assert any(asterisk_install.has_module(name) for name in ("codec_opus_open_source", "codec_opus"))
    assert (asterisk_install.data_dir / "documentation" / "core-en_US.xml").exists()
    assert (asterisk_install.data_dir / "rest-api" / "resources.json").exists()
    assert asterisk_install.data_dir.parent == Settings().runtime.absolute() / "asterisk-data"


def test_a_private_copy_may_be_moved(asterisk_install: AsteriskInstall, tmp_path: Path) -> None:
    if asterisk_install.origin is not Origin.PRIVATE:
        pytest.skip("this machine has an Asterisk of its own")
    original = asterisk_install.modules_dir.parents[4]
    shutil.copytree(original, tmp_path / "elsewhere" / "asterisk", symlinks=True)
    moved = asterisk.locate(
        Settings(runtime_dir=tmp_path / "elsewhere", engine=EngineSettings(asterisk="private"))
    )
    assert moved is not None
    result = subprocess.run(moved.command("-V"), capture_output=True, text=True, check=True, timeout=20)
    assert moved.version == asterisk_install.version
    assert moved.version in result.stdout
    assert str(original) not in " ".join(moved.command())


def test_a_half_made_copy_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "asterisk" / "usr" / "sbin").mkdir(parents=True)
    settings = Settings(runtime_dir=tmp_path, engine=EngineSettings(asterisk="private"))
    assert asterisk.locate(settings) is None
    (tmp_path / "asterisk" / "installed.json").write_text('{"version": "22.1')
    assert asterisk.locate(settings) is None


def test_a_named_program_that_is_no_asterisk_is_refused(tmp_path: Path) -> None:
    for program in ("/bin/true", str(tmp_path / "nowhere")):
        with pytest.raises(SetupError, match=r"engine\.asterisk"):
            asterisk.locate(Settings(runtime_dir=tmp_path, engine=EngineSettings(asterisk=program)))


def test_without_apt_and_asterisk_the_remedy_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = Settings(runtime_dir=tmp_path / "runtime", engine=EngineSettings(asterisk="private"))
    with pytest.raises(SetupError, match=r"without apt-get, .*install Asterisk"):
        asterisk.ensure(settings)


def test_the_packages_needed_are_few(tmp_path: Path) -> None:
    mirrors = debian.debian_mirrors()
    if not mirrors:
        pytest.skip("this machine has no Debian mirror among its package sources")
    apt = debian.PrivateApt(tmp_path, debian.mirror_source(mirrors[0], "sid"))
    apt.update()
    packages = apt.solve(["asterisk", "asterisk-modules"], asterisk._NOT_FOLLOWED)
    names = {package.name for package in packages}
    assert {"asterisk", "asterisk-modules", "libc6", "libopus0"} <= names
    assert not any(name.startswith(("perl", "gnupg", "libicu", "libsnmp")) for name in names)
    assert sum(package.size for package in packages) < 40_000_000


def test_progress_on_a_terminal_and_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    progress = PrintedProgress()
    for done in range(5):
        progress(Step("fetching", done, 4, "MB"))
    progress(Step("checking"))
    progress.close()
    assert capsys.readouterr().err.splitlines() == [
        "  fetching: 0.0 of 4.0 MB",
        "  fetching: 4.0 of 4.0 MB",
        "  checking",
    ]


def test_the_marker_names_what_the_copy_is_made_of(asterisk_install: AsteriskInstall) -> None:
    if asterisk_install.origin is not Origin.PRIVATE:
        pytest.skip("this machine has an Asterisk of its own")
    root = asterisk_install.modules_dir.parents[4]
    marker = json.loads((root / "installed.json").read_text())
    assert any(name.startswith("asterisk_") for name in marker["packages"])
