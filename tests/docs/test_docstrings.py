"""Docstrings describe what is there: each parameter, field and error that they name exists."""

from __future__ import annotations

import ast
import builtins
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from tests.docs.pages import ROOT
from tests.docs.sources import syntax_of

pytestmark = pytest.mark.xdist_group("docstrings")
"""The sources are parsed once, which takes longer than the tests."""

_SOURCES = ROOT / "src" / "trunkline"
_PARAM = re.compile(r"^\s*:param (\*{0,2}\w+):", re.MULTILINE)
_FIELD = re.compile(r"^\s*:ivar (\w+):", re.MULTILINE)
_RAISED = re.compile(r"^\s*:raises ([\w.]+):", re.MULTILINE)

_Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def _trees() -> tuple[tuple[Path, ast.Module], ...]:
    return tuple((path, syntax_of(path)) for path in sorted(_SOURCES.rglob("*.py")))


@cache
def _documented() -> tuple[tuple[str, _Documented, str, ast.Module], ...]:
    """Place, definition and text of the docstrings that name a parameter, a field or an error."""
    return tuple(
        (f"{path.relative_to(_SOURCES)}:{node.lineno} {node.name}", node, text, tree)
        for path, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, _Documented)
        and (text := ast.get_docstring(node, clean=False))
        and (":param " in text or ":ivar " in text or ":raises " in text)
    )


def _parameters(node: _Documented) -> set[str]:
    """Of a function; of a class those of its ``__init__`` and its fields."""
    if isinstance(node, ast.ClassDef):
        inits = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
        return _fields(node).union(*(_parameters(one) for one in inits))
    args = node.args
    named = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    return {one.arg for one in named if one is not None}


def _fields(node: ast.ClassDef) -> set[str]:
    """Names that the body or a method of a class assigns, and its properties."""
    names = set()
    for one in ast.walk(node):
        match one:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.AnnAssign(target=ast.Attribute(attr=name)):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                names.add(name)
            case ast.FunctionDef(name=name):
                names.add(name)
            case _:
                pass
    return names


@cache
def _classes() -> dict[str, ast.ClassDef]:
    return {one.name: one for _, tree in _trees() for one in ast.walk(tree) if isinstance(one, ast.ClassDef)}


def _inherited(node: ast.ClassDef) -> set[str]:
    """Fields of the class and of its bases in the sources, as far as these are named simply."""
    names, bases = _fields(node), [ast.unparse(base).split(".")[-1] for base in node.bases]
    for base in bases:
        if base in _classes() and _classes()[base] is not node:
            names |= _inherited(_classes()[base])
    return names


@cache
def _exceptions() -> frozenset[str]:
    """Classes of the sources, and of Python."""
    own = {one.name for _, tree in _trees() for one in ast.walk(tree) if isinstance(one, ast.ClassDef)}
    return frozenset(
        own | {name for name in dir(builtins) if name.endswith(("Error", "Exception", "Interrupt"))}
    )


def _imported(tree: ast.Module) -> set[str]:
    return {
        (alias.asname or alias.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }


def test_parameters_exist() -> None:
    wrong = [
        f"{place}: :param {name}:"
        for place, node, text, _ in _documented()
        for name in _PARAM.findall(text)
        if name.lstrip("*") not in _parameters(node)
        and not (isinstance(node, ast.ClassDef) and name in _inherited(node))
    ]
    assert not wrong, "\n".join(wrong)


def test_fields_exist() -> None:
    wrong = [
        f"{place}: :ivar {name}:"
        for place, node, text, _ in _documented()
        if isinstance(node, ast.ClassDef)
        for name in _FIELD.findall(text)
        if name not in _inherited(node)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_classes_have_fields() -> None:
    wrong = [
        f"{place}: :ivar {name}:"
        for place, node, text, _ in _documented()
        if not isinstance(node, ast.ClassDef)
        for name in _FIELD.findall(text)
    ]
    assert not wrong, "\n".join(wrong)


def test_raised_errors_exist() -> None:
    wrong = [
        f"{place}: :raises {name}:"
        for place, _, text, tree in _documented()
        for name in _RAISED.findall(text)
        if name.split(".")[0]
        not in _exceptions() | _imported(tree) | {"psycopg", "ssl", "asyncio", "aiohttp"}
    ]
    assert not wrong, "\n".join(wrong)


def test_each_docstring_follows_what_it_describes() -> None:
    """Two in a row: one of them belongs to another constant."""
    found = [
        f"{path.relative_to(_SOURCES)}:{second.lineno}"
        for path, tree in _trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for first, second in pairwise(node.body)
        if _is_text(first) and _is_text(second)
    ]
    assert not found


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
