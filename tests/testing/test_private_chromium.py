"""Where the private copy of Chromium finds its libraries."""

from __future__ import annotations

from pathlib import Path

from trunkline.testing import chromium


def test_libraries_in_folders_of_their_own_are_found(tmp_path: Path) -> None:
    root = tmp_path / "chromium"
    libraries = root / "usr/lib/x86_64-linux-gnu"
    for file in (
        root / "complete",
        root / "usr/lib/chromium/chromium-headless-shell",
        libraries / "libpulse.so.0",
        libraries / "pulseaudio/libpulsecommon-16.1.so",
        libraries / "nss/libsoftokn3.so",
        root / "lib/x86_64-linux-gnu/libdbus-1.so.3",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    found = chromium.locate(tmp_path)

    assert found is not None
    assert set(found.environment["LD_LIBRARY_PATH"].split(":")) == {
        str(folder)
        for folder in (libraries, libraries / "pulseaudio", libraries / "nss", root / "lib/x86_64-linux-gnu")
    }
