"""The ids of the pages are those that the demo company gets in a new installation."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from tests.docs.pages import pages
from trunkline.cli.main import commands

_NAMED = re.compile(r'"employee_id": (\d+), "employee_full_name": "([^"]+)"')
_CALLED = re.compile(r'"employee": \{"id": (\d+)')


def test_employees_of_the_pages(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    for words in (["account", "create", "--name", "Example"], ["demo", "load"]):
        CliRunner().invoke(commands, words, catch_exceptions=False)
    with psycopg.connect(database) as connection:
        rows = connection.execute("select employee_id, last_name, first_name from employees").fetchall()
    names = {employee_id: f"{last} {first}" for employee_id, last, first in rows}
    text = "\n".join(page.read_text() for page in pages())
    named = {(int(employee_id), name) for employee_id, name in _NAMED.findall(text)}
    called = {int(employee_id) for employee_id in _CALLED.findall(text)}
    assert named <= set(names.items())
    assert called
    assert called <= set(names)
