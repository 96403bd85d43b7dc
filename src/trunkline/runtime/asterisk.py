"""Where Asterisk comes from: an installed one (20 or newer), else a private copy fetched from Debian.

The version of the private copy is fixed, and so are the digests of its packages (:mod:`.asterisk_pin`). Known errors
are corrected (:mod:`.asterisk_correction`).

The private copy brings its own C library and is started through its own loader, so it runs on Debian
releases without an Asterisk package. It is in ``settings.runtime / "asterisk"``, contains no absolute path
(the folder may be moved), appears by one rename, and may be deleted at any time: it is fetched again.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from trunkline.core.errors import SetupError
from trunkline.core.settings import Settings
from trunkline.runtime import asterisk_correction, asterisk_pin, debian
from trunkline.runtime.asterisk_documentation import ensure_short_data, short_data
from trunkline.runtime.progress import Progress, Step, silent

MINIMUM_MAJOR = 20
_SUITE = "sid"
_WANTED = ("asterisk", "asterisk-modules")
_MARKER = "installed.json"
_ESSENTIAL_MODULES = (
    "chan_pjsip.so",
    "res_ari.so",
    "app_mixmonitor.so",
    "res_http_websocket.so",
    "codec_ulaw.so",
)

# Dependencies of modules we do not load (databases, fax, calendars, channel drivers) and of package scripts.
_NOT_FOLLOWED = (
    "adduser", "asterisk-config", "asterisk-core-sounds", "debconf", "freetds", "libcodec2", "libcurl",
    "libglib2.0", "libgmime", "libical", "libiksemel", "libjack", "libjwt", "libldap", "liblua", "libneon",
    "libodbc", "libportaudio", "libpq", "libradcli", "libsnmp", "libspandsp", "libsybdb", "libvorbis",
    "openssl-provider-legacy", "perl", "readline-common", "tzdata",
)  # fmt: skip


_NO_NAMES = {"RES_OPTIONS": "attempts:0", "SYSTEMD_NSS_RESOLVE_NETWORK": "0"}
"""The C library sends no query for a name, but fails at once. A phone or carrier can write a host name into a session
description, and Asterisk resolves it in one of its few threads for SIP, which waits for the name server meanwhile. So
Asterisk resolves no name at all; those of trunks are resolved by the switch."""


_TLS = Path(__file__).with_name("asterisk-openssl.cnf")
"""What Asterisk has no setting for; OpenSSL reads it when the process starts. A file of the administrator goes first."""


class Origin(StrEnum):
    """Where an Asterisk came from."""

    SYSTEM = "system"
    PRIVATE = "private"


@dataclass(frozen=True)
class AsteriskInstall:
    """An Asterisk that can be started.

    :ivar prefix: argv up to and including the program.
    :ivar modules_dir: for ``astmoddir``.
    :ivar data_dir: for ``astdatadir``; holds ``documentation`` (without which PJSIP and ARI do not load; a short one, see
        :mod:`.asterisk_documentation`), ``rest-api`` and ``static-http``. Not to be written to.
    :ivar version: ``22.10.1``.
    """

    prefix: tuple[str, ...]
    modules_dir: Path
    data_dir: Path
    version: str
    origin: Origin

    def command(self, *args: str) -> list[str]:
        """argv that runs Asterisk with these arguments."""
        return [*self.prefix, *args]

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables with which Asterisk is run."""
        return {**_NO_NAMES, "OPENSSL_CONF": os.environ.get("OPENSSL_CONF", str(_TLS))}

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    def has_module(self, name: str) -> bool:
        """Whether a module (``codec_opus_open_source``) is there to be loaded."""
        return (self.modules_dir / f"{name}.so").exists()


def locate(settings: Settings) -> AsteriskInstall | None:
    """The Asterisk this instance uses, None when there is none yet. Touches no network.

    ``settings.engine.asterisk`` decides: ``auto`` (an installed one, else the private copy), ``private``, or
    the path of a program.
    """
    found = _locate(settings)
    if found is None:
        return None
    return replace(found, data_dir=short_data(found.data_dir, settings.runtime))


def _locate(settings: Settings) -> AsteriskInstall | None:
    """As :func:`locate`, with its own data folder."""
    choice = settings.engine.asterisk
    if choice not in ("auto", "private"):
        chosen = _installed(Path(choice))
        if chosen is None:
            raise SetupError(
                f"{choice} (setting engine.asterisk) is not an Asterisk {MINIMUM_MAJOR} or newer with PJSIP "
                "and ARI; name another program or set it to auto"
            )
        return chosen
    if choice == "auto":
        for program in _programs_on_path():
            if installed := _installed(program):
                return installed
    return _private(settings.runtime / "asterisk")


def ensure(settings: Settings, progress: Progress = silent) -> AsteriskInstall:
    """The Asterisk this instance uses, fetched first if need be (some 25 MB).

    After an interruption the next call continues; concurrent calls are safe. :class:`SetupError` describes what
    is missing and the remedy.
    """
    found = _ensure(settings, progress)
    ensure_short_data(found.data_dir, settings.runtime)
    return replace(found, data_dir=short_data(found.data_dir, settings.runtime))


def _ensure(settings: Settings, progress: Progress) -> AsteriskInstall:
    if (found := _locate(settings)) and not _may_need_correction(found, settings):
        return found
    settings.runtime.mkdir(parents=True, exist_ok=True)
    with _locked(settings.runtime / "asterisk.lock", progress):
        if found := _locate(settings):
            _correct_once(settings.runtime / "asterisk")
            return found
        _fetch(settings, progress)
    found = _locate(settings)
    if found is None:
        raise SetupError(
            f"Asterisk was unpacked but is not usable; delete {settings.runtime} and run this again"
        )
    return found


def _may_need_correction(install: AsteriskInstall, settings: Settings) -> bool:
    """Whether it is a private copy that an earlier version of Trunkline fetched."""
    if install.origin is not Origin.PRIVATE:
        return False
    marker = json.loads((settings.runtime / "asterisk" / _MARKER).read_text())
    return bool(marker.get("corrections") != asterisk_correction.APPLIED)


def _correct_once(root: Path) -> None:
    """Correct a copy that an earlier version of Trunkline fetched; the marker says which corrections were considered."""
    marker = json.loads((root / _MARKER).read_text())
    if marker.get("corrections") == asterisk_correction.APPLIED:
        return
    asterisk_correction.correct_copy(root, root / "usr/lib" / marker["triplet"] / "asterisk/modules")
    partial = root / f"{_MARKER}.partial"
    partial.write_text(json.dumps(marker | {"corrections": asterisk_correction.APPLIED}, indent=1))
    partial.rename(root / _MARKER)


def _programs_on_path() -> list[Path]:
    # An ordinary user's PATH often lacks the sbin folders where distributions put Asterisk.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("asterisk", path=path)
    return [Path(found)] if found else []


def _installed(program: Path) -> AsteriskInstall | None:
    """An Asterisk installed on the system, if it is new enough and has what we need."""
    try:
        output = subprocess.run(
            [program, "-V"], capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = _version(output)
    if version is None or int(version.split(".")[0]) < MINIMUM_MAJOR:
        return None
    configured = _configured_directories()
    prefix = program.resolve().parent.parent
    modules = _first_with(
        "chan_pjsip.so",
        [configured.get("astmoddir"), prefix / "lib/asterisk/modules",
         *sorted(prefix.glob("lib/*/asterisk/modules")), prefix / "lib64/asterisk/modules"],
    )  # fmt: skip
    data = _first_with(
        "documentation/core-en_US.xml",
        [configured.get("astdatadir"), configured.get("astvarlibdir"), prefix / "share/asterisk",
         Path("/usr/share/asterisk"), Path("/var/lib/asterisk")],
    )  # fmt: skip
    if modules is None or data is None or not all((modules / name).exists() for name in _ESSENTIAL_MODULES):
        return None
    return AsteriskInstall((str(program),), modules, data, version, Origin.SYSTEM)


def _configured_directories() -> dict[str, Path]:
    try:
        text = Path("/etc/asterisk/asterisk.conf").read_text()
    except OSError:
        return {}
    return {
        key: Path(value) for key, value in re.findall(r"^\s*(ast\w+dir)\s*=>?\s*(\S+)", text, re.MULTILINE)
    }


def _first_with(name: str, folders: list[Path | None]) -> Path | None:
    return next((folder for folder in folders if folder and (folder / name).exists()), None)


def _version(text: str) -> str | None:
    match = re.search(r"(\d+\.\d+(?:\.\d+)?)", text)
    return match[1] if match else None


def _private(root: Path) -> AsteriskInstall | None:
    """The private copy, if it is complete."""
    try:
        marker = json.loads((root / _MARKER).read_text())
    except (OSError, ValueError):
        return None
    libraries = root / "usr/lib" / marker["triplet"]
    prefix = (
        str(root / marker["loader"]),
        "--library-path", f"{libraries}:{libraries / 'asterisk'}",
        str(root / asterisk_correction.PROGRAM),
    )  # fmt: skip
    return AsteriskInstall(
        prefix, libraries / "asterisk/modules", root / "usr/share/asterisk", marker["version"], Origin.PRIVATE
    )


def _fetch(settings: Settings, progress: Progress) -> None:
    if absent := debian.missing_tools():
        raise SetupError(
            f"no Asterisk {MINIMUM_MAJOR} or newer is installed and none can be fetched without "
            f"{', '.join(absent)}; install Asterisk by your system's own means and run this again"
        )
    runtime = settings.runtime
    digests = asterisk_pin.DIGESTS.get(debian.architecture())
    if digests is None:
        raise SetupError(
            f"no Asterisk {MINIMUM_MAJOR} or newer is installed, and the one to fetch is known for"
            f" {', '.join(asterisk_pin.DIGESTS)} only; install Asterisk by your system's own means and run this again"
        )
    work = runtime / "asterisk.fetch"
    apt = _apt_that_offers_it(work, settings.engine.asterisk_mirror, progress)
    progress(Step("choosing Asterisk packages"))
    packages = apt.solve(_WANTED, _NOT_FOLLOWED, dict.fromkeys(_WANTED, asterisk_pin.VERSION))
    files = apt.fetch(packages, "fetching Asterisk", progress)
    progress(Step("checking digests"))
    check_digests(files, digests)
    partial = runtime / "asterisk.partial"
    shutil.rmtree(partial, ignore_errors=True)
    debian.unpack(files, partial, "unpacking Asterisk", progress)
    progress(Step("checking Asterisk"))
    _finish(partial, [file.name for file in files])
    shutil.rmtree(runtime / "asterisk", ignore_errors=True)
    partial.rename(runtime / "asterisk")
    shutil.rmtree(work, ignore_errors=True)


def check_digests(files: Sequence[Path], digests: Mapping[str, str]) -> None:
    """Compare fetched packages with the digests of this version of Trunkline; one that differs is removed.

    :param files: ``NAME_VERSION_ARCHITECTURE.deb``.
    :param digests: SHA-256 by name of package, each of which must be among the files.
    :raises SetupError: a digest differs, or a package is missing.
    """
    found = {file.name.split("_")[0]: file for file in files}
    for name, expected in digests.items():
        if name not in found:
            raise SetupError(f"the archive has no package {name}; set engine.asterisk_mirror to another one")
        with found[name].open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != expected:
            found[name].unlink()
            raise SetupError(
                f"the fetched package {found[name].name} has the SHA-256 digest {digest}, but this version of Trunkline was"
                f" tested with {expected}; the file was removed and nothing was installed. Run the same command again; if"
                " the digest still differs, do not use this archive: set engine.asterisk_mirror to another Debian mirror"
            )


def _apt_that_offers_it(work: Path, mirror: str | None, progress: Progress) -> debian.PrivateApt:
    """apt over the first source that has the version: the mirror of the settings, or else the machine's own sources, ``sid``
    of its Debian mirror, and the archive of all former states of Debian."""
    snapshot = debian.mirror_source(asterisk_pin.SNAPSHOT, _SUITE, may_be_old=True)
    sources: list[str | None] = [None]
    sources += [debian.mirror_source(one, _SUITE) for one in debian.debian_mirrors()]
    if mirror is not None:
        sources = [debian.mirror_source(mirror, _SUITE, may_be_old=True)]
    else:
        offered = subprocess.run(
            ["apt-cache", "madison", "asterisk"], capture_output=True, text=True, check=False
        ).stdout
        sources = [*(sources if asterisk_pin.VERSION in offered else sources[1:]), snapshot]
    failure: SetupError | None = None
    is_reachable = False
    for source in sources:
        progress(Step("fetching package lists"))
        apt = debian.PrivateApt(work, source)
        try:
            apt.update()
        except SetupError as error:
            failure = error
            continue
        is_reachable = True
        if asterisk_pin.VERSION in apt.versions("asterisk"):
            return apt
    if failure is not None and not is_reachable:
        raise failure
    raise SetupError(
        f"no Asterisk {MINIMUM_MAJOR} or newer is installed, and "
        + (f"the mirror {mirror} (engine.asterisk_mirror)" if mirror else "no Debian archive in reach")
        + f" has version {asterisk_pin.VERSION}, with which this version of Trunkline was tested. Set"
        f" engine.asterisk_mirror to an archive that has it, such as {asterisk_pin.SNAPSHOT}, or install Asterisk by your"
        " system's own means, and run this again"
    )


def _finish(root: Path, files: list[str]) -> None:
    """Check an unpacked copy, drop modules whose libraries were left out, and mark it complete."""
    loader = next(
        (path for folder in ("usr/lib64", "usr/lib", "usr/lib/*")
         for path in sorted(root.glob(f"{folder}/ld-linux-*.so.*"))),
        None,
    )  # fmt: skip
    modules = next(iter(root.glob("usr/lib/*/asterisk/modules")), None)
    if loader is None or modules is None:
        raise SetupError(
            "the Asterisk packages have an unknown layout; install Asterisk 20 or newer and run this again"
        )
    libraries = modules.parent.parent
    through = [str(loader), "--library-path", f"{libraries}:{libraries / 'asterisk'}"]
    for module in modules.glob("*.so"):
        if not debian.is_self_contained(module, through, root):
            module.unlink()
    asterisk_correction.correct_copy(root, modules)
    program = root / asterisk_correction.PROGRAM
    result = subprocess.run([*through, str(program), "-V"], capture_output=True, text=True, check=False)
    version = _version(result.stdout) if debian.is_self_contained(program, through, root) else None
    lacking = [name for name in _ESSENTIAL_MODULES if not (modules / name).exists()]
    if version is None or lacking:
        why = f"lacks {', '.join(lacking)}" if lacking else (result.stderr or result.stdout).strip()
        raise SetupError(
            f"the fetched Asterisk does not run here ({why}); install Asterisk 20 or newer yourself"
        )
    marker = {
        "version": version,
        "triplet": libraries.name,
        "loader": str(loader.relative_to(root)),
        "packages": files,
        "corrections": asterisk_correction.APPLIED,
    }
    (root / _MARKER).write_text(json.dumps(marker, indent=1))


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[None]:
    """Hold a lock file; the kernel releases it when the process ends, however it ends."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(Step("another set-up is fetching Asterisk, waiting for it"))
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
