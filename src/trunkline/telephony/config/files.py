"""Writing rendered files: atomically, readable by the owner only, and only when the text changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove these; who is gone already is no error."""
    for name in names:
        (folder / name).unlink(missing_ok=True)


def changed_files(folder: Path, files: Mapping[str, str]) -> set[str]:
    """Names of the files whose text on disk differs (or is not there)."""
    return {name for name, text in files.items() if _content(folder / name) != text.encode()}


def write_files(folder: Path, files: Mapping[str, str]) -> set[str]:
    """Write what changed; the names written. The files hold digests and trunk passwords: mode 0600."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    changed = changed_files(folder, files)
    for name in sorted(changed):
        target = folder / name
        target.parent.mkdir(exist_ok=True, mode=0o700)
        partial = target.with_name(f".{target.name}.partial")
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(files[name].encode())
        partial.replace(target)
    return changed


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
