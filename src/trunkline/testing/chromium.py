"""A Chromium without windows: an installed one, or a private copy from the machine's own Debian suite.

The copy is in ``RUNTIME/chromium``, appears by one rename, and may be deleted at any time: it is fetched again (120 MB).
Chromium starts itself again for each of its processes, so it cannot be started through a loader of its own: it uses the C
library of the machine, which is of the same suite, and all other libraries of the copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.core.errors import SetupError
from trunkline.runtime.progress import Progress, silent
from trunkline.testing import private_copy
from trunkline.testing.private_copy import PrivateCopy, is_complete

_WANTED = ("chromium-headless-shell",)
# The C library is the machine's. Screens, and what package scripts call, are not needed.
_NOT_FOLLOWED = (
    "debconf", "libc6", "libgl", "libllvm", "libz3", "lsb-base", "mesa", "sysvinit-utils", "x11-", "xdg-utils",
)  # fmt: skip
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
    return private_copy.ensure(_COPY, locate, runtime, progress)


def _private(root: Path) -> Chromium | None:
    if not is_complete(root):
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


def _prepare(root: Path) -> None:
    for needless in ("usr/share/doc", "usr/share/man", "usr/share/X11/locale"):
        shutil.rmtree(root / needless, ignore_errors=True)
    (root / "fonts.conf").write_text(_FONTS)
    _check(root)


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


_COPY = PrivateCopy("chromium", "Chromium", _WANTED, _NOT_FOLLOWED, "Chromium", _prepare)
