"""The Asterisk that is fetched is one version with known digests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS
from trunkline.core.errors import SetupError
from trunkline.core.settings import EngineSettings, Settings
from trunkline.runtime import asterisk, asterisk_pin, debian
from trunkline.runtime.debian import Package
from trunkline.runtime.progress import silent

MIRROR = "https://debian.mirror.example/debian/"
CONTENTS = {"asterisk": b"program", "asterisk-modules": b"modules"}
RIGHT = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}


class Archive:
    """Stands for apt over one source."""

    sources: list[str | None]
    has: Mapping[str, set[str]]
    """Versions by source; one that is not named cannot be reached."""

    def __init__(self, work: Path, source: str | None) -> None:
        self.work, self.source = work, source
        self.sources.append(source)
        work.mkdir(parents=True, exist_ok=True)

    def update(self) -> None:
        if not any(name in (self.source or "own") for name in self.has):
            raise SetupError("the Debian package lists cannot be fetched")

    def versions(self, name: str) -> set[str]:
        return next(versions for key, versions in self.has.items() if key in (self.source or "own"))

    def solve(self, wanted: Sequence[str], without: Any, versions: Mapping[str, str]) -> list[Package]:
        return [Package(name, f"{name}_1_amd64.deb", 7, versions[name]) for name in wanted]

    def fetch(self, packages: Sequence[Package], what: str, progress: Any) -> list[Path]:
        for package in packages:
            (self.work / package.file).write_bytes(CONTENTS[package.name])
        return [self.work / package.file for package in packages]


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> type[Archive]:
    monkeypatch.setattr(debian, "PrivateApt", Archive)
    monkeypatch.setattr(debian, "debian_mirrors", lambda: ["http://deb.example/debian/"])
    monkeypatch.setattr(debian, "architecture", lambda: "amd64")
    monkeypatch.setattr(debian, "missing_tools", list)
    monkeypatch.setattr(Archive, "sources", [], raising=False)
    monkeypatch.setattr(Archive, "has", {"deb.example": {asterisk_pin.VERSION}}, raising=False)
    return Archive


def _settings(folder: Path, mirror: str | None = None) -> Settings:
    return Settings(runtime_dir=folder, engine=EngineSettings(asterisk="private", asterisk_mirror=mirror))


def test_a_wrong_digest_is_refused_with_what_to_do(archive: type[Archive], tmp_path: Path) -> None:
    with pytest.raises(
        SetupError,
        match=r"asterisk_1_amd64\.deb has the SHA-256 digest [0-9a-f]{64}, but .* tested with [0-9a-f]{64}; the file was"
        r" removed and nothing was installed\. Run the same command again; .*engine\.asterisk_mirror",
    ):
        asterisk.ensure(_settings(tmp_path))
    assert [path.name for path in tmp_path.rglob("*.deb")] == ["asterisk-modules_1_amd64.deb"]
    assert not (tmp_path / "asterisk").exists()
    assert not (tmp_path / "asterisk.partial").exists()


@pytest.mark.parametrize("damaged", sorted(CONTENTS))
def test_each_pinned_package_is_checked(damaged: str, tmp_path: Path) -> None:
    files = []
    for name, content in CONTENTS.items():
        files.append(tmp_path / f"{name}_1_amd64.deb")
        files[-1].write_bytes(content)
    asterisk.check_digests(files, RIGHT)
    (tmp_path / f"{damaged}_1_amd64.deb").write_bytes(b"other")
    with pytest.raises(SetupError, match=f"{damaged}_1_amd64"):
        asterisk.check_digests(files, RIGHT)
    with pytest.raises(SetupError, match=f"no package {damaged}"):
        asterisk.check_digests([file for file in files if file.exists()], RIGHT)


def test_only_the_mirror_of_the_settings_is_asked(archive: type[Archive], tmp_path: Path) -> None:
    archive.has = {"mirror.example": {asterisk_pin.VERSION}}
    asterisk._apt_that_offers_it(tmp_path / "work", MIRROR, silent)
    [source] = archive.sources
    assert source is not None
    assert f" {MIRROR} sid main" in source


def test_a_mirror_without_the_version_is_refused_with_what_to_do(
    archive: type[Archive], tmp_path: Path
) -> None:
    archive.has = {"mirror.example": {"1:23.0.0-1"}}
    with pytest.raises(
        SetupError, match=rf"{re.escape(MIRROR)} \(engine\.asterisk_mirror\) has version 1:22\..*snapshot"
    ):
        asterisk.ensure(_settings(tmp_path, MIRROR))


def test_when_the_mirrors_have_a_newer_version_it_comes_from_the_snapshot(
    archive: type[Archive], tmp_path: Path
) -> None:
    archive.has = {"deb.example": {"1:23.0.0-1"}, "snapshot.debian.org": {asterisk_pin.VERSION}}
    asterisk._apt_that_offers_it(tmp_path / "work", None, silent)
    assert "snapshot.debian.org" in (archive.sources[-1] or "")
    assert "check-valid-until=no" in (archive.sources[-1] or "")
    assert "check-valid-until" not in (archive.sources[0] or "")


def test_without_any_archive_the_cause_is_the_network(archive: type[Archive], tmp_path: Path) -> None:
    archive.has = {}
    with pytest.raises(SetupError, match="package lists cannot be fetched"):
        asterisk._apt_that_offers_it(tmp_path / "work", None, silent)


def test_an_architecture_without_digests_is_refused(
    archive: type[Archive], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "architecture", lambda: "riscv64")
    with pytest.raises(SetupError, match="known for amd64, arm64 only; install Asterisk"):
        asterisk.ensure(_settings(tmp_path))


def test_the_page_names_the_version() -> None:
    version = asterisk_pin.VERSION.partition(":")[2].partition("+")[0]
    assert f"in one version, {version}," in (DOCS / "install.md").read_text()
    for digests in asterisk_pin.DIGESTS.values():
        assert set(digests) == set(asterisk._WANTED)
