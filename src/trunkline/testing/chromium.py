"""A Chromium without windows: an installed one, or a private copy from the machine's own Debian suite.

The copy is in ``RUNTIME/chromium``, appears by one rename, and may be deleted at any time: it is fetched again (120 MB).
Chromium starts itself again for each of its processes, so it cannot be started through a loader of its own: it uses the C
library of the machine, which is of the same suite, and all other libraries of the copy.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.core.errors import SetupError
from trunkline.runtime import debian
from trunkline.runtime.progress import Progress, Step, silent

_WANTED = ("chromium-headless-shell",)
# The C library is the machine's. Screens, and what package scripts call, are not needed.
_NOT_FOLLOWED = (
    "debconf", "libc6", "libgl", "libllvm", "libz3", "lsb-base", "mesa", "sysvinit-utils", "x11-", "xdg-utils",
)  # fmt: skip
_MARKER = "complete"
_PROGRAMS = (
    "usr/lib/chromium/chromium-headless-shell",
    "usr/lib/chromium/headless_shell",
    "usr/bin/chromium-headless-shell",
)
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""


@dataclass(frozen=True)
class Chromium:
    """:ivar program: to be run.
    :ivar environment: variables that it needs beyond the inherited ones.
    """

    program: Path
    environment: Mapping[str, str] = field(default_factory=dict)


def locate(runtime: Path) -> Chromium | None:
    """The private copy below ``runtime``, else an installed one; None when there is neither."""
    if found := _private(runtime / "chromium"):
        return found
    for name in _NAMES:
        if program := shutil.which(name):
            return Chromium(Path(program))
    return None


def ensure(runtime: Path, progress: Progress = silent) -> Chromium:
    """Chromium, fetched if necessary; :class:`SetupError` has the missing parts and the remedy."""
    if found := locate(runtime):
        return found
    if absent := debian.missing_tools():
        raise SetupError(
            f"neither Chromium nor {', '.join(absent)} to fetch it with are installed; install Chromium and run this again"
        )
    runtime.mkdir(parents=True, exist_ok=True)
    with (runtime / "chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return locate(runtime) or _fetch(runtime, progress)


def _private(root: Path) -> Chromium | None:
    if not (root / _MARKER).exists():
        return None
    program = next((root / one for one in _PROGRAMS if (root / one).is_file()), None)
    if program is None:
        return None
    # Also those below (nss, pulseaudio): libraries look for each other there by absolute paths, which are not the copy's.
    folders = sorted(
        {file.parent for top in ("usr/lib", "lib") for file in root.glob(f"{top}/*-linux-*/**/lib*.so*")}
    )
    fonts = root / "fonts.conf"
    return Chromium(program, {"LD_LIBRARY_PATH": ":".join(map(str, folders)), "FONTCONFIG_FILE": str(fonts)})


def _fetch(runtime: Path, progress: Progress) -> Chromium:
    work, partial, place = (runtime / name for name in ("chromium.fetch", "chromium.partial", "chromium"))
    apt = debian.PrivateApt(work, None)
    progress(Step("fetching package lists"))
    apt.update()
    files = apt.fetch(apt.solve(_WANTED, _NOT_FOLLOWED), "fetching Chromium", progress)
    shutil.rmtree(partial, ignore_errors=True)
    debian.unpack(files, partial, "unpacking Chromium", progress)
    for needless in ("usr/share/doc", "usr/share/man", "usr/share/X11/locale"):
        shutil.rmtree(partial / needless, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)
    (partial / "fonts.conf").write_text(_FONTS)
    (partial / _MARKER).touch()
    _check(partial)
    partial.rename(place)
    shutil.rmtree(work, ignore_errors=True)
    found = _private(place)
    assert found is not None
    return found


def _check(root: Path) -> None:
    found = _private(root)
    if found is None:
        raise SetupError(
            "the package chromium-headless-shell has an unknown layout; install Chromium yourself and run this again"
        )
    result = subprocess.run(
        [found.program, "--version"],
        env={**os.environ, **found.environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode:
        raise SetupError(
            f"the fetched Chromium does not run here ({result.stderr.strip()}); install Chromium yourself and run this again"
        )
