"""A private copy of programs that tests need, from the machine's own Debian suite, below the runtime folder.

It appears by one rename, and may be deleted at any time: it is fetched again.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from trunkline.core.errors import SetupError
from trunkline.runtime import debian
from trunkline.runtime.progress import Progress, Step

_MARKER = "complete"

_Found = TypeVar("_Found")


@dataclass(frozen=True, slots=True)
class PrivateCopy:
    """:ivar folder: its name below the runtime folder.
    :ivar title: of the programs, for people.
    :ivar packages: that have them.
    :ivar not_followed: beginnings of the names of packages that are not fetched, although others depend on them.
    :ivar to_install: what a person installs instead.
    :ivar prepare: changes the unpacked copy; raises :class:`SetupError` when it cannot be used.
    """

    folder: str
    title: str
    packages: Sequence[str]
    not_followed: Sequence[str]
    to_install: str
    prepare: Callable[[Path], None]


def is_complete(root: Path) -> bool:
    """Whether there is a copy."""
    return (root / _MARKER).exists()


def ensure(
    copy: PrivateCopy, locate: Callable[[Path], _Found | None], runtime: Path, progress: Progress
) -> _Found:
    """What ``locate`` finds, fetched if necessary; by one process at a time.

    :raises SetupError: it cannot be fetched; the message has the missing parts and the remedy.
    """
    if found := locate(runtime):
        return found
    if absent := debian.missing_tools():
        raise SetupError(
            f"neither {copy.title} nor {', '.join(absent)} to fetch it with are installed; install {copy.to_install}"
            " and run this again"
        )
    runtime.mkdir(parents=True, exist_ok=True)
    with (runtime / f"{copy.folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if found := locate(runtime):
            return found
        _fetch(copy, runtime, progress)
    fetched = locate(runtime)
    if fetched is None:
        raise SetupError(f"the fetched {copy.title} is not there any more; run this again")
    return fetched


def _fetch(copy: PrivateCopy, runtime: Path, progress: Progress) -> None:
    work, partial, place = (runtime / f"{copy.folder}{suffix}" for suffix in (".fetch", ".partial", ""))
    apt = debian.PrivateApt(work, None)
    progress(Step("fetching package lists"))
    apt.update()
    files = apt.fetch(apt.solve(copy.packages, copy.not_followed), f"fetching {copy.title}", progress)
    shutil.rmtree(partial, ignore_errors=True)
    debian.unpack(files, partial, f"unpacking {copy.title}", progress)
    (partial / _MARKER).touch()
    copy.prepare(partial)
    shutil.rmtree(place, ignore_errors=True)
    partial.rename(place)
    shutil.rmtree(work, ignore_errors=True)
