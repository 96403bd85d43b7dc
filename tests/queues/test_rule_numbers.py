"""Each rule has a test that names it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.docs.pages import ROOT

RULES = [
    "2.1",
    "2.2",
    "2.3",
    "2.4",
    "2.5",
    "3.1",
    "3.2",
    "3.3",
    "3.4",
    "3.5a",
    "3.5b",
    "3.5c",
    "4.1",
    "4.2",
    "4.3",
    "4.4",
    "5.1",
    "5.2",
    "5.3",
    "5.4",
    "5.5",
    "5.6",
    "5.7",
    "6",
    "6.1",
    "6.2",
    "6.3",
    "6.4",
    "6.5",
    "6.6",
    "6.7",
    "7.1",
    "7.2.1",
    "7.2.2",
    "7.2.3",
    "7.2.4",
    "7.3",
    "7.4a",
    "7.4b",
    "7.4c",
    "7.4d",
    "7.4e",
    "7.4f",
    "7.5",
    "8.1",
    "8.2",
    "8.3",
    "8.4",
    "8.5",
    "8.6",
    "8.7",
    "9.1",
    "9.2",
    "9.3",
    "9.4",
    "9.5",
    "9.6",
    "9.7",
    "10.1",
    "10.2",
    "10.3",
    "10.4",
    "11.1",
    "11.2",
    "11.3",
    "11.4",
    "11.5",
    "12",
    "13.1",
    "13.2",
    "13.3",
    "14.1",
    "14.2",
    "14.3",
    "14.4",
    "14.5",
    "14.6",
    "14.7",
    "14.8",
    "15",
    "17",
]
"""The rules of queues; ``docs/develop/queues.md`` has a sentence for each."""

VECTORS = ["16.1", "16.2", "16.3", "16.4", "16.5", "16.6", "16.7.1", "16.7.2", "16.7.3", "16.7.4", "16.7.5"]

_NAME = re.compile(r"^test_(?:vector_)?(\d+(?:_\d+[a-f]?)*)(?=_|$)")
_TEXT = re.compile(r"\b\d+(?:\.\d+[a-f]?)+")


def named_in(path: Path) -> set[str]:
    """The rules that the tests of a module name: in their names, docstrings and messages."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.FunctionDef(name=name) if (match := _NAME.match(name)) is not None:
                parts = match[1].split("_")
                found |= {".".join(parts[: n + 1]) for n in range(len(parts))}
            case ast.Constant(value=str(text)):
                found |= set(_TEXT.findall(text.replace(" case ", ".")))
            case _:
                pass
    return found


def test_each_rule_is_named_by_a_test() -> None:
    folder = Path(__file__).parent
    modules = [*folder.glob("test_*.py"), folder / "invariants.py"]
    found = set[str]().union(*(named_in(path) for path in modules if path != Path(__file__)))
    assert [one for one in (*RULES, *VECTORS) if one not in found] == []


def test_the_page_has_the_same_rules() -> None:
    page = (ROOT / "docs" / "develop" / "queues.md").read_text()
    assert re.findall(r"^\| (\d[\d.]*[a-f]?) \| \S", page, re.MULTILINE) == RULES
