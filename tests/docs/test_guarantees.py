"""The page of guarantees names tests that exist and that its targets run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.docs.pages import DOCS, ROOT

_PAGE = (DOCS / "develop" / "guarantees.md").read_text()
_ROW = re.compile(r"^\| (?!promise|---)(.+?) \| (.+) \|$", re.MULTILINE)
_MARKS = {"make drills": {"drill", "durability"}, "make attack": {"attack", "isolation"}}
"""Marks of the tests that a target runs."""


def _named() -> Iterator[tuple[str, str, str]]:
    """Target, file and test."""
    for section in _PAGE.split("\n## ")[1:]:
        [target] = [one for one in _MARKS if f"`{one}`" in section.splitlines()[0]]
        for row in _ROW.finditer(section):
            for part in row[2].split("; "):
                file, _, tests = part.partition(": ")
                for test in tests.split(", "):
                    yield target, file.strip("`"), test.strip("`")


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse((ROOT / "tests" / file).read_text())


@pytest.mark.parametrize(("target", "file", "test"), list(_named()))
def test_each_test_is_there_and_is_run(target: str, file: str, test: str) -> None:
    tree = _tree(file)
    [function] = [
        one
        for one in tree.body
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name == test
    ]
    marks = [ast.unparse(one) for one in function.decorator_list]
    marks += [
        ast.unparse(one.value)
        for one in tree.body
        if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "pytestmark"
    ]
    assert _MARKS[target] & set(re.findall(r"mark\.(\w+)", " ".join(marks)))


def test_the_targets_run_these_marks() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target, marks in _MARKS.items():
        [recipe] = re.findall(rf"^{target.removeprefix('make ')}:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
        [selected] = re.findall(r'-m "([^"]+)"', recipe)
        assert set(selected.split(" or ")) == marks
