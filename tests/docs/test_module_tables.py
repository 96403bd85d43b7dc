"""A package whose docstring is a table of its modules names each of them."""

from __future__ import annotations

import ast
import re

from tests.docs.pages import ROOT

_ROW = re.compile(r"^``\w+``  +\S", re.MULTILINE)


def test_tables_name_each_module() -> None:
    missing, tables = [], 0
    for package in sorted((ROOT / "src" / "trunkline").rglob("__init__.py")):
        text = ast.get_docstring(ast.parse(package.read_text())) or ""
        if len(_ROW.findall(text)) < 3:
            continue
        tables += 1
        named = set(re.findall(r"``(\w+)``", text))
        modules = {path.stem for path in package.parent.glob("*.py")} - {"__init__"}
        missing += [f"{package.parent.relative_to(ROOT)}: {name}" for name in sorted(modules - named)]
    assert tables >= 2
    assert not missing, "\n".join(missing)
