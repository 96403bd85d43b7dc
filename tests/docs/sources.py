"""The source files, each parsed once for all tests of a process. Tests of all of them are in the group ``sources``."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def syntax_of(path: Path) -> ast.Module:
    """Not to be changed."""
    return ast.parse(path.read_text())
