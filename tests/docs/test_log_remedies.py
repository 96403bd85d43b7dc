"""Log lines of the levels ``error`` and ``warning`` say what to do or what follows, and the page of logs describes them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.pages import ROOT
from tests.docs.sources import syntax_of

pytestmark = pytest.mark.xdist_group("log remedies")
"""The sources are parsed once, which takes longer than the tests."""

_SOURCES = ROOT / "src" / "trunkline"
_LOGGERS = re.compile(r"(^|\.)_?(fast_)?log(\(\))?$")
_LEVELS = re.compile(r"\b_?(?:fast_)?log(?:\(\))?\.(error|exception|critical|warning)\b")
_ALARM = frozenset({"error", "exception", "critical"})
_ACTIONS = frozenset(
    {
        "add", "check", "correct", "end", "free", "if", "make", "raise", "remove", "replace", "report", "restart",
        "run", "see", "set", "start", "stop", "use",
    }
)  # fmt: skip
"""First words of a remedy: it is what a person does. What the program does is a ``consequence``."""


@cache
def _calls() -> tuple[tuple[str, ast.Call], ...]:
    found = []
    for path in sorted(_SOURCES.rglob("*.py")):
        text = path.read_text()
        if "log" in text or "QueueAlarm" in text:
            name = str(path.relative_to(_SOURCES))
            found += [(name, node) for node in ast.walk(syntax_of(path)) if isinstance(node, ast.Call)]
    return tuple(found)


def _names(value: ast.expr) -> Iterator[str]:
    """Of an event; two where one of them is chosen at run time."""
    match value:
        case ast.Constant(str(name)):
            yield name
        case ast.IfExp(_, first, second):
            yield from _names(first)
            yield from _names(second)
        case _:
            pass


def _lines() -> Iterator[tuple[str, str, frozenset[str], dict[str | None, ast.expr]]]:
    """Place, name, levels and fields of the lines at these levels, also where the level is chosen at run time."""
    for path, call in _calls():
        if not call.args:
            continue
        levels = frozenset(_LEVELS.findall(ast.unparse(call.func)))
        is_name = isinstance(call.func, ast.Attribute) and _LOGGERS.search(ast.unparse(call.func.value))
        if not levels or not (is_name or isinstance(call.func, ast.IfExp)):
            continue
        fields = {keyword.arg: keyword.value for keyword in call.keywords}
        for name in _names(call.args[0]):
            yield f"{path}:{call.lineno}", name, levels, fields


def _first_word(value: ast.expr) -> str | None:
    """Of a text, or of the fixed beginning of one; None when it is computed."""
    if isinstance(value, ast.JoinedStr) and value.values:
        value = value.values[0]
    if not isinstance(value, ast.Constant):
        return None
    return str(value.value).split(" ", 1)[0].strip(",:;").lower()


def _is_text(name: str) -> bool:
    """Whether a module has this text: the name of a line that is chosen at run time."""
    return any(f'"{name}"' in path.read_text() for path in _SOURCES.rglob("*.py"))


def test_errors_have_a_remedy() -> None:
    found = [one for one in _lines() if one[2] & _ALARM]
    assert len(found) > 60
    missing = [f"{place} {name}" for place, name, _, fields in found if "remedy" not in fields]
    assert not missing, "\n".join(missing)


def test_warnings_have_a_remedy_or_a_consequence() -> None:
    found = list(_lines())
    assert len(found) > 140
    missing = [
        f"{place} {name}" for place, name, _, fields in found if not fields.keys() & {"remedy", "consequence"}
    ]
    assert not missing, "\n".join(missing)


def test_a_remedy_is_an_action() -> None:
    wrong = [
        f"{place}: remedy={ast.unparse(fields['remedy'])}"
        for place, _, _, fields in _lines()
        if "remedy" in fields
        if (first := _first_word(fields["remedy"])) is not None and first not in _ACTIONS
    ]
    assert not wrong, "\n".join(wrong)


def test_the_page_of_logs_has_each_line() -> None:
    page = (ROOT / "docs/operations/status.md").read_text().partition("## Logs")[2]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", page, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    queues = {
        str(call.args[0].value)
        for _, call in _calls()
        if ast.unparse(call.func) == "QueueAlarm" and call.args and isinstance(call.args[0], ast.Constant)
    }
    assert len(queues) == 3
    logged = {name for _, name, _, _ in _lines()} | queues
    missing = sorted(logged - listed)
    assert not missing, "\n".join(missing)
    others = sorted(name for name in listed - logged if not _is_text(name))
    assert not others, f"no line has these names: {others}"
