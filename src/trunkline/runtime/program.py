"""A program to be run as a child: its arguments, its user, and its end when the parent ends."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launch.py")


@dataclass(frozen=True)
class User:
    """Whom a root process becomes. ``reach`` keeps the right to pass through folders closed to that user."""

    uid: int
    gid: int
    reach: bool = False


@dataclass(frozen=True)
class Program:
    """What to run.

    :ivar argv: program and arguments.
    :ivar environment: variables over the ones inherited.
    :ivar user: the user to run as, None for the present one.
    :ivar open_files: raise the limit of open files to this, as far as allowed; 0 leaves it.
    :ivar death_signal: the signal that the kernel sends to the child when its parent ends (even by SIGKILL); None: none.
    """

    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    user: User | None = None
    open_files: int = 0
    death_signal: signal.Signals | None = signal.SIGTERM

    def launch_argv(self) -> list[str]:
        """argv that starts it as a child of this process, through the launcher."""
        order = {
            "argv": list(self.argv),
            "parent": os.getpid(),
            "death_signal": int(self.death_signal or 0),
            "open_files": self.open_files,
        }
        if self.user is not None:
            order |= {"uid": self.user.uid, "gid": self.user.gid, "reach": self.user.reach}
        return [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(order)]

    def launch_environment(self) -> dict[str, str]:
        """The whole environment of the child."""
        return {**os.environ, **self.environment}
