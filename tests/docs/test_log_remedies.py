"""Each log line of the levels ``error`` and ``exception`` says what to do, and the page of logs describes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from tests.docs.pages import ROOT

_SOURCES = ROOT / "src" / "trunkline"
_LOGGERS = re.compile(r"(^|\.)_?(log|steps)$")
_LEVELS = re.compile(r"\b_?(?:log|steps)\.(error|exception|critical)\b")
_ACTIONS = frozenset(
    {
        "add", "check", "correct", "free", "if", "make", "raise", "remove", "replace", "report", "restart",
        "see", "set", "start", "stop", "use",
    }
)  # fmt: skip
"""First words of a remedy: it is what a person does. What the program does is a ``consequence``."""
_COMPUTED = {
    "core/tasks.py": "core_task_failed, item_task_failed: the traceback says all",
    "calls/switch/executor.py": "effect_failed has the compensation",
}
"""Files with lines whose name or fields are computed, and why they need no remedy."""


@cache
def _calls() -> tuple[tuple[str, ast.Call], ...]:
    found = []
    for path in sorted(_SOURCES.rglob("*.py")):
        text = path.read_text()
        if "log" in text or "QueueAlarm" in text:
            name = str(path.relative_to(_SOURCES))
            found += [(name, node) for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return tuple(found)


def _alarms() -> Iterator[tuple[str, str, dict[str | None, ast.expr]]]:
    """Place, name and fields of the lines at these levels, also where the level is chosen at run time."""
    for path, call in _calls():
        if path in _COMPUTED or not call.args:
            continue
        levels = _LEVELS.findall(ast.unparse(call.func))
        is_name = isinstance(call.func, ast.Attribute) and _LOGGERS.search(ast.unparse(call.func.value))
        if not levels or not (is_name or isinstance(call.func, ast.IfExp)):
            continue
        name = call.args[0]
        if isinstance(name, ast.Constant):
            fields = {keyword.arg: keyword.value for keyword in call.keywords}
            yield f"{path}:{call.lineno}", str(name.value), fields


def _first_word(value: ast.expr) -> str | None:
    """Of a text, or of the fixed beginning of one; None when it is computed."""
    if isinstance(value, ast.JoinedStr) and value.values:
        value = value.values[0]
    if not isinstance(value, ast.Constant):
        return None
    return str(value.value).split(" ", 1)[0].strip(",:;").lower()


def test_errors_have_a_remedy() -> None:
    found = list(_alarms())
    assert len(found) > 40
    missing = [f"{place} {name}" for place, name, fields in found if "remedy" not in fields]
    assert not missing, "\n".join(missing)


def test_a_remedy_is_an_action() -> None:
    wrong = [
        f"{path}:{call.lineno}: remedy={ast.unparse(keyword.value)}"
        for path, call in _calls()
        if isinstance(call.func, ast.Attribute) and _LOGGERS.search(ast.unparse(call.func.value))
        for keyword in call.keywords
        if keyword.arg == "remedy"
        if (first := _first_word(keyword.value)) is not None and first not in _ACTIONS
    ]
    assert not wrong, "\n".join(wrong)


def test_errors_are_in_the_page_of_logs() -> None:
    page = (ROOT / "docs/operations/status.md").read_text().partition("## Logs")[2]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", page, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    queues = {
        str(call.args[0].value)
        for _, call in _calls()
        if ast.unparse(call.func) == "QueueAlarm" and call.args and isinstance(call.args[0], ast.Constant)
    }
    assert len(queues) == 3
    missing = sorted(({name for _, name, _ in _alarms()} | queues) - listed)
    assert not missing, "\n".join(missing)
