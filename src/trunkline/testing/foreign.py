"""Phones that others wrote: SIPp and baresip, installed ones or a private copy from the machine's own Debian suite.

The copy is in ``RUNTIME/phones``, is started through its own loader like the private Asterisk, appears by one
rename, and may be deleted at any time: it is fetched again (8 MB).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from trunkline.core.errors import SetupError
from trunkline.runtime import debian
from trunkline.runtime.progress import Progress, silent
from trunkline.testing import private_copy
from trunkline.testing.private_copy import PrivateCopy, is_complete

_WANTED = ("sip-tester", "baresip-core")
# Sound cards, screens and codecs that these phones do without here.
_NOT_FOLLOWED = (
    "libasound", "libcodec2", "libdirectfb", "libdrm", "libgl", "libgsm", "libjack", "libllvm",
    "libmosquitto", "libmp3lame", "libmpg123", "libopenaptx", "libopencore", "libopus", "libpng", "libportaudio",
    "libsndfile", "libsndio", "libspandsp", "libspeexdsp", "libtiff", "libtwolame", "libvo-", "libvpx", "libx",
)  # fmt: skip
_BARESIP_MODULES = ("account.so", "aubridge.so", "aufile.so", "ctrl_tcp.so", "g711.so", "menu.so", "srtp.so")


@dataclass(frozen=True)
class ForeignPhones:
    """The programs, ready to be run.

    :ivar sipp: argv up to and including SIPp. Debian builds it without TLS.
    :ivar baresip: argv up to and including baresip.
    :ivar baresip_modules: for ``module_path`` of its configuration.
    """

    sipp: tuple[str, ...]
    baresip: tuple[str, ...]
    baresip_modules: Path


def locate(runtime: Path) -> ForeignPhones | None:
    """Those on PATH if both are there, else the private copy below ``runtime``; None when there is neither."""
    return _installed() or _private(runtime / "phones")


def ensure(runtime: Path, progress: Progress = silent) -> ForeignPhones:
    """The phones, fetched if necessary; :class:`SetupError` has the missing parts and the remedy."""
    return private_copy.ensure(_COPY, locate, runtime, progress)


def _installed() -> ForeignPhones | None:
    sipp, baresip = shutil.which("sipp"), shutil.which("baresip")
    if sipp is None or baresip is None:
        return None
    prefix = Path(baresip).resolve().parent.parent
    for modules in (*prefix.glob("lib/baresip/modules"), *prefix.glob("lib/*/baresip/modules")):
        if _has_modules(modules):
            return ForeignPhones((sipp,), (baresip,), modules)
    return None


def _private(root: Path) -> ForeignPhones | None:
    modules = root / "usr/lib/baresip/modules"
    sipp, baresip = root / "usr/bin/sipp", root / "usr/bin/baresip"
    loaders = [
        path for folder in ("lib64", "lib", "lib/*", "usr/lib64", "usr/lib", "usr/lib/*")
        for path in sorted(root.glob(f"{folder}/ld-linux-*.so.*"))
    ]  # fmt: skip
    libraries = [str(path) for path in (*root.glob("lib/*-linux-*"), *root.glob("usr/lib/*-linux-*"))]
    if not loaders or not libraries or not sipp.exists() or not _has_modules(modules):
        return None
    if not is_complete(root):
        return None
    start = (str(loaders[0]), "--library-path", ":".join(libraries))
    return ForeignPhones((*start, str(sipp)), (*start, str(baresip)), modules)


def _has_modules(folder: Path) -> bool:
    return all((folder / name).exists() for name in _BARESIP_MODULES)


def _check(root: Path) -> None:
    """:class:`SetupError` unless the copy runs with nothing of the machine's: what is installed here is not elsewhere."""
    found = _private(root)
    if found is None:
        raise SetupError(
            "the packages sip-tester and baresip have an unknown layout; install both yourself and run this again"
        )
    *through, sipp = found.sipp
    used = [Path(sipp), Path(found.baresip[-1]), *(found.baresip_modules / name for name in _BARESIP_MODULES)]
    if lacking := [one.name for one in used if not debian.is_self_contained(one, through, root)]:
        raise SetupError(
            f"the fetched {lacking[0]} lacks libraries; install sip-tester and baresip yourself and "
            "run this again"
        )


_COPY = PrivateCopy(
    "phones", "SIPp and baresip", _WANTED, _NOT_FOLLOWED, "the packages sip-tester and baresip", _check
)
