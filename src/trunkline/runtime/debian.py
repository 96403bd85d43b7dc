"""Packages from a Debian archive, unpacked into a private folder: nothing is installed on the system.

apt runs with separate folders and an empty list of installed packages, so it resolves the whole
closure (C library included), checks signatures as always, and needs no root. The mirror, proxies and keyrings
are the machine's own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from trunkline.core.errors import SetupError
from trunkline.runtime.progress import Progress, Step

_TOOLS = ("apt-get", "apt-cache", "apt-config", "dpkg-deb", "dpkg")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ATTEMPTS = 4
_PRINTED_URI = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+)", re.MULTILINE)
_MEGA = 1_000_000


@dataclass(frozen=True)
class Package:
    """One package of a solution: its name, the file apt will store it in, and that file's size in bytes.

    :ivar version: the one to fetch; "" = the candidate of the source.
    """

    name: str
    file: str
    size: int
    version: str = ""

    @property
    def request(self) -> str:
        """How apt is asked for it."""
        return f"{self.name}={self.version}" if self.version else self.name


def missing_tools() -> list[str]:
    """Programs this module needs and the machine lacks."""
    return [tool for tool in _TOOLS if shutil.which(tool) is None]


def debian_mirrors() -> list[str]:
    """Addresses of Debian archives among the machine's own package sources, the likeliest first."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--no-release-info", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
         "Created-By: Packages"],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    codename = _codename()
    found: dict[str, int] = {}
    for line in listing.splitlines():
        uri, release, component = [*line.split("|"), "", ""][:3]
        if component != "main" or "security" in uri or uri.startswith("cdrom:"):
            continue
        rank = (uri.rstrip("/").endswith("debian")) * 2 + (release == codename)
        found[uri] = max(found.get(uri, 0), rank)
    return [uri for uri, rank in sorted(found.items(), key=lambda item: -item[1]) if rank >= 2]


def _codename() -> str:
    try:
        text = Path("/etc/os-release").read_text()
    except OSError:
        return ""
    match = re.search(r'^VERSION_CODENAME="?([a-z]+)', text, re.MULTILINE)
    return match[1] if match else ""


class PrivateApt:
    """apt with separate state under ``folder``.

    :param folder: kept between attempts, so an interrupted fetch continues; may be deleted after.
    :param source: a one-line source (``deb [...] URI SUITE main``); None takes the machine's own sources.
    """

    def __init__(self, folder: Path, source: str | None) -> None:
        self._archives = folder / "archives"
        for sub in ("archives/partial", "state/lists/partial", "cache/archives/partial"):
            (folder / sub).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_text("")
        (folder / "sources.list").write_text(f"{source}\n" if source else "")
        config = folder / "apt.conf"
        config.write_text(self._configuration(folder, own_sources=source is None))
        self._environment = {**os.environ, "APT_CONFIG": str(config), "LC_ALL": "C"}

    @staticmethod
    def _configuration(folder: Path, *, own_sources: bool) -> str:
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
        # The machine's way to the network (proxies, certificates, credentials), but not its hooks.
        kept = [
            line
            for line in dump.splitlines()
            if re.match(r"(Acquire::(?!IndexTargets)|Dir::Etc::netrc)", line)
        ]
        sources = [] if own_sources else [
            f'Dir::Etc::sourcelist "{folder}/sources.list";',
            'Dir::Etc::sourceparts "/dev/null";',
        ]  # fmt: skip
        return "\n".join(
            [
                *kept,
                'Dir::Etc::parts "/dev/null";',
                'Dir::Etc::main "/dev/null";',
                'Dir::Etc::preferences "/dev/null";',
                'Dir::Etc::preferencesparts "/dev/null";',
                *sources,
                f'Dir::State "{folder}/state";',
                f'Dir::State::lists "{folder}/state/lists";',
                f'Dir::State::status "{folder}/status";',
                f'Dir::Cache "{folder}/cache";',
                'APT::Install-Recommends "false";',
                'APT::Sandbox::User "";',
                'Acquire::Languages "none";',
                'Acquire::Retries "3";',
                "",
            ]
        )

    def update(self) -> None:
        """Fetch the package lists; :class:`SetupError` when they cannot be fetched after several attempts."""
        for attempt in range(_ATTEMPTS):
            # Warnings (one of several own sources being away) are fine as long as the package is found later.
            result = self._run("apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update")
            if result.returncode == 0:
                return
            if "is expired" in result.stderr:
                raise SetupError(
                    "the Debian mirror serves package lists that have expired: set this machine's clock right or, if "
                    "the mirror is a snapshot on purpose, put 'Acquire::Check-Valid-Until \"false\";' into a file in "
                    f"/etc/apt/apt.conf.d, then run the same command again. output of apt: {_last_line(result.stderr)}"
                )
            time.sleep(2**attempt)
        raise SetupError(
            "the Debian package lists cannot be fetched; check the network (and the proxy set for apt), "
            f"then run the same command again. output of apt: {_last_line(result.stderr)}"
        )

    def candidate(self, name: str) -> str | None:
        """Version of the package that would be taken, None when the sources have none."""
        policy = self._run("apt-cache", "policy", name).stdout
        match = re.search(r"Candidate: (\S+)", policy)
        return match[1] if match and match[1] != "(none)" else None

    def versions(self, name: str) -> set[str]:
        """All versions of the package that the sources have."""
        lines = self._run("apt-cache", "madison", name).stdout.splitlines()
        return {fields[1].strip() for line in lines if len(fields := line.split("|")) > 1}

    def solve(
        self, wanted: Sequence[str], without: Iterable[str], versions: Mapping[str, str] | None = None
    ) -> list[Package]:
        """The packages that ``wanted`` need.

        :param without: name prefixes of dependencies not to follow (what only they need is left out as well).
        :param versions: of those in ``wanted`` that must be of a certain version.
        """
        exact = versions or {}
        requests = [f"{name}={exact[name]}" if name in exact else name for name in wanted]
        printed = self._run("apt-get", "-y", "-q", "--print-uris", "install", *requests)
        packages = {
            file.split("_")[0]: Package(
                file.split("_")[0], file, int(size), exact.get(file.split("_")[0], "")
            )
            for _uri, file, size in _PRINTED_URI.findall(printed.stdout)
        }
        if not packages:
            raise SetupError(f"apt cannot install {wanted[0]}: {_last_line(printed.stderr)}")
        edges = self._dependencies(list(packages))
        cut = tuple(without)
        reached: set[str] = set()
        queue = list(wanted)
        while queue:
            name = queue.pop()
            if name in reached or name not in packages or name.startswith(cut):
                continue
            reached.add(name)
            queue.extend(edges.get(name, ()))
        return [packages[name] for name in sorted(reached)]

    def _dependencies(self, names: Sequence[str]) -> dict[str, list[str]]:
        edges: dict[str, list[str]] = {}
        current = ""
        for line in self._run("apt-cache", "depends", "--important", *names).stdout.splitlines():
            match = re.match(r"^(\S+)$|^ *\|?(?:Pre)?Depends: (\S+)|^    (\S+)$", line)
            if match is None:
                continue
            if match[1]:
                current = match[1]
            else:
                edges.setdefault(current, []).append(match[2] or match[3])
        return edges

    def fetch(self, packages: Sequence[Package], what: str, progress: Progress) -> list[Path]:
        """Files of the packages, fetching only those not yet complete; progress in MB."""
        total = sum(package.size for package in packages)
        for attempt in range(_ATTEMPTS):
            absent = [p for p in packages if _size(self._archives / p.file) != p.size]
            if not absent:
                progress(Step(what, total / _MEGA, total / _MEGA, "MB"))
                return [self._archives / package.file for package in packages]
            if attempt:
                time.sleep(2**attempt)
            process = subprocess.Popen(
                ["apt-get", "-q", "download", *(package.request for package in absent)],
                cwd=self._archives, env=self._environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            while True:
                try:
                    _out, errors = process.communicate(timeout=0.3)
                    break
                except subprocess.TimeoutExpired:
                    done = sum(min(_size(self._archives / p.file), p.size) for p in packages)
                    progress(Step(what, done / _MEGA, total / _MEGA, "MB"))
        raise SetupError(
            f"{len(absent)} packages could not be fetched; check the network, then run the same command "
            f"again (it continues where it stopped). output of apt: {_last_line(errors)}"
        )

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def unpack(files: Sequence[Path], root: Path, what: str, progress: Progress) -> None:
    """Unpack package files into ``root``; progress in packages."""

    def one(file: Path) -> None:
        result = subprocess.run(
            ["dpkg-deb", "-x", str(file), str(root)], capture_output=True, text=True, check=False
        )
        if result.returncode:
            file.unlink(missing_ok=True)
            raise SetupError(
                f"the package {file.name} is damaged and was removed; run the same command again. "
                f"output of dpkg-deb: {_last_line(result.stderr)}"
            )

    root.mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        for count, _ in enumerate(pool.map(one, files), 1):
            progress(Step(what, count, len(files), "packages"))


def is_self_contained(program: Path, through: Sequence[str], root: Path) -> bool:
    """Whether all libraries of a program or module are in the copy at ``root``.

    One that the machine has is no help: it is built against another C library, and the next machine lacks it.

    :param through: argv of the copy's loader with its library path.
    """
    listing = subprocess.run([*through, "--list", str(program)], capture_output=True, text=True, check=False)
    found = re.findall(r"=> (.+?)(?: \(0x[0-9a-f]+\))?$", listing.stdout, re.MULTILINE)
    return listing.returncode == 0 and all(path.startswith(f"{root}/") for path in found)


def mirror_source(mirror: str, suite: str, *, may_be_old: bool = False) -> str:
    """One-line source for a suite of a Debian mirror, signed by the machine's own Debian keyring.

    :param may_be_old: accept package lists that have expired: those of a snapshot have.
    """
    options = [f"signed-by={_KEYRING}"] if _KEYRING.exists() else []
    options += ["check-valid-until=no"] if may_be_old else []
    return f"deb {f'[{chr(32).join(options)}] ' if options else ''}{mirror} {suite} main"


def architecture() -> str:
    """Of this machine, as Debian names it: ``amd64``."""
    return subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=False
    ).stdout.strip()


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "nothing"
