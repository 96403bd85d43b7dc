"""Atomic creation of files."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

PRIVATE = 0o077
"""The umask of all processes: what they make is for their own user alone."""


def write_atomically(path: Path, content: bytes, mode: int, *, durable: bool = True) -> None:
    """Replace a file: readers see the old or the new content, if ``durable`` also after a power cut."""
    new = _beside(path, content, mode, durable)
    os.replace(new, path)


def create_once(path: Path, content: bytes, mode: int) -> bool:
    """Create a file unless it exists; False if it exists. Of two concurrent calls one succeeds; the file is complete."""
    new = _beside(path, content, mode, durable=True)
    try:
        os.link(new, path)
    except FileExistsError:
        return False
    finally:
        new.unlink()
    return True


def private_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, and close it if it was open."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)


def _beside(path: Path, content: bytes, mode: int, durable: bool) -> Path:
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(descriptor)
    return new
