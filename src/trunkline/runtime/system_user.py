"""Users of the operating system that root makes for a service."""

from __future__ import annotations

import fcntl
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from trunkline.core.errors import SetupError


def ensure(name: str) -> tuple[int, int]:
    """User and group id of a system user, made when it is not there: no home, no shell, no password. For root only.

    :raises SetupError: it cannot be made on this machine.
    """
    known = _ids(name)
    if known is not None:
        return known
    # Two instances may start at once, and useradd refuses while another one writes.
    with (Path(tempfile.gettempdir()) / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = _ids(name)
        if known is None:
            _make(name)
            known = _ids(name)
    if known is None:
        raise SetupError(f"the system user {name} was made but is not found; check /etc/nsswitch.conf")
    return known


def _ids(name: str) -> tuple[int, int] | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return entry.pw_uid, entry.pw_gid


def _make(name: str) -> None:
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    why = "useradd is missing"
    if program is not None:
        shell = shutil.which("nologin", path="/usr/sbin:/sbin") or "/bin/false"
        result = subprocess.run(
            [program, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
             "--shell", shell, name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if result.returncode == 0:
            return
        why = result.stderr.strip() or f"useradd ended with code {result.returncode}"
    raise SetupError(
        f"root cannot run PostgreSQL, and the system user {name} for it cannot be made ({why}); make it yourself, "
        "or run Trunkline as an ordinary user"
    )
