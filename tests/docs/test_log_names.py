"""Names of log lines: ``snake_case`` in the code, and those of the pages exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.docs.pages import ROOT
from tests.docs.sources import syntax_of

pytestmark = pytest.mark.xdist_group("sources")

_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
_LOGGERS = re.compile(r"(^|\.)_?(log|steps)$")
_LOGS = re.compile(rf"(log|steps)\s*\.\s*({'|'.join(sorted(_LEVELS))})\b")
"""In the text of each module that logs."""
_DATABASE_ERRORS = re.compile(r"DatabaseUnavailable|psycopg\.(Error|OperationalError)\b")
_COMPUTED = {
    "core/log.py",
    "calls/switch/registration_recorder.py",
    "calls/switch/executor.py",
    "core/tasks.py",
    "telephony/queue_alarm.py",
}
"""Files with lines whose name is an expression."""


def _names() -> Iterator[tuple[str, ast.expr]]:
    """Place and name of each line that the sources log."""
    for path in sorted((ROOT / "src" / "trunkline").rglob("*.py")):
        text = path.read_text()
        if not _LOGS.search(text):
            continue
        for node in ast.walk(syntax_of(path)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in _LEVELS
                and _LOGGERS.search(ast.unparse(node.func.value))
                and node.args
            ):
                yield str(path.relative_to(ROOT / "src" / "trunkline")), node.args[0]


def _is_name(expression: ast.expr) -> bool:
    """In snake case; also each of two of which one is chosen at run time."""
    match expression:
        case ast.Constant(str(name)):
            return re.fullmatch(r"[a-z][a-z0-9_]*", name) is not None
        case ast.IfExp(_, first, second):
            return _is_name(first) and _is_name(second)
    return False


def test_names_are_snake_case() -> None:
    wrong = [
        f"{path}: {ast.unparse(name)}"
        for path, name in _names()
        if not _is_name(name) and path not in _COMPUTED
    ]
    assert not wrong, "\n".join(wrong)


def test_errors_of_the_database_have_a_cause() -> None:
    missing = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in sorted((ROOT / "src" / "trunkline").rglob("*.py"))
        if _DATABASE_ERRORS.search(path.read_text())
        for handler in ast.walk(syntax_of(path))
        if isinstance(handler, ast.ExceptHandler)
        and handler.type is not None
        and _DATABASE_ERRORS.search(ast.unparse(handler.type))
        for call in ast.walk(handler)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in _LEVELS
        and "log" in ast.unparse(call.func.value)
        and all(keyword.arg != "cause" for keyword in call.keywords)
    ]
    assert not missing, "\n".join(missing)


def test_names_of_the_page_of_logs_exist() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / "src" / "trunkline").rglob("*.py"))
    page = (ROOT / "docs/operations/status.md").read_text().partition("## Logs")[2]
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert len(listed) > 20
    assert not [name for name in listed if f'"{name}"' not in text]
