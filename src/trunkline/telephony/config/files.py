"""Writing rendered files: atomically, readable by the owner only, and only when the text changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def changed_files(folder: Path, files: Mapping[str, str]) -> set[str]:
    """Names of the files whose text on disk differs (or is not there)."""
    return {name for name, text in files.items() if _text(folder / name) != text}


def write_files(folder: Path, files: Mapping[str, str]) -> set[str]:
    """Write what changed; the names written. The files hold digests and trunk passwords: mode 0600."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    changed = changed_files(folder, files)
    for name in sorted(changed):
        partial = folder / f".{name}.partial"
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(files[name])
        partial.replace(folder / name)
    return changed


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
