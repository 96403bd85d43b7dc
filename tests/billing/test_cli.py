"""``trunkline tariff`` against a real database."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from tests.billing.company import TARIFFS
from trunkline.cli.main import commands
from trunkline.core.errors import InvalidInput


@pytest.fixture
def run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (name) values ('Sample Ltd')")
    return CliRunner()


def call(run: CliRunner, *words: str) -> Result:
    return run.invoke(commands, ["tariff", *words])


def test_apply_assign_statement(run: CliRunner) -> None:
    file = str(TARIFFS)
    dry = call(run, "apply", file, "--dry-run").output
    assert "+ cheap USD from 2026-01-01 out any: 0.01 a minute, 1/1" in dry
    assert "nothing was written" in dry
    assert isinstance(call(run, "apply", file).exception, InvalidInput), "nobody can be asked"
    assert "applied" in call(run, "apply", file, "--yes").output
    assert "no changes" in call(run, "apply", file, "--yes").output
    assert json.loads(call(run, "apply", file, "--json", "--yes").output) == {"changes": [], "applied": False}
    assert "has the plan cheap" in call(run, "assign", "cheap").output
    assert "cheap" in call(run, "list").output
    plans = {row["key"]: row for row in json.loads(call(run, "list", "--json").output)}
    assert plans["cheap"]["accounts"] == 1
    reported = json.loads(call(run, "statement", "--month", "2026-03", "--json").output)
    assert (reported["plan"], reported["currency"], reported["total"], reported["fees"]) == (
        "cheap",
        "USD",
        "0",
        [],
    )
    assert "plan cheap" in call(run, "statement").output
    assert isinstance(call(run, "statement", "--month", "spring").exception, InvalidInput)
    assert "has no plan" in call(run, "assign").output
