"""``trunkline account calls``, ``account uploads`` and ``account recordings`` against a real database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from trunkline.cli.main import commands
from trunkline.core.errors import InvalidInput, NotFound


def test_limits_of_a_line_are_shown_unless_one_is_given(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'Sample Ltd')")
        connection.execute(
            "insert into sip_lines (account_id, phone_number, ha1_md5, ha1_sha256)"
            " values (1, '0160001', '', ''), (1, '0160002', '', '')"
        )
    run = CliRunner()

    def calls(*words: str) -> Any:
        return json.loads(run.invoke(commands, ["account", "calls", *words, "--json"]).output)

    line = {"line": "0160001", "calls_per_minute": 5, "concurrent_calls": None, "money_per_day": None}
    account = {"line": None, "calls_per_minute": None, "concurrent_calls": 9, "money_per_day": None}
    assert calls("--line", "0160001", "--per-minute", "5") == [line]
    assert calls("--at-once", "9") == [account, line]
    assert calls("--line", "0160001") == [line]
    assert calls("--line", "0160002") == []
    assert calls() == [account, line]
    assert calls("--line", "0160001", "--reset") == [account, line | {"calls_per_minute": None}]
    both = run.invoke(commands, ["account", "calls", "--reset", "--at-once", "1"])
    assert isinstance(both.exception, InvalidInput)
    unknown = run.invoke(commands, ["account", "calls", "--line", "0999999"])
    assert isinstance(unknown.exception, NotFound)


def test_limits_of_stored_uploads(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'Sample Ltd')")
    run = CliRunner()

    def uploads(*words: str) -> Any:
        return json.loads(run.invoke(commands, ["account", "uploads", *words, "--json"]).output)

    usual = {"bytes": None, "bytes_per_day": None, "stored_bytes": 0, "stored_bytes_of_day": 0}
    assert uploads() == usual
    assert uploads("--bytes", "9000000000", "--bytes-per-day", "0") == usual | {
        "bytes": 9_000_000_000,
        "bytes_per_day": 0,
    }
    assert uploads("--bytes-per-day", "7") == uploads() == usual | {"bytes_per_day": 7}
    assert uploads("--reset") == usual
    both = run.invoke(commands, ["account", "uploads", "--reset", "--bytes", "1"])
    assert isinstance(both.exception, InvalidInput)
    unknown = run.invoke(commands, ["account", "uploads", "--account", "2"])
    assert isinstance(unknown.exception, NotFound)

    def recordings(*words: str) -> Any:
        return json.loads(run.invoke(commands, ["account", "recordings", *words, "--json"]).output)

    for words, limit in (
        (("--bytes", "9000000000"), 9_000_000_000),
        (("--bytes", "0"), 0),
        (("--reset",), None),
    ):
        assert recordings(*words) == recordings() == {"bytes": limit, "stored_bytes": 0}
    both = run.invoke(commands, ["account", "recordings", "--reset", "--bytes", "1"])
    assert isinstance(both.exception, InvalidInput)
    for limits in ((), ("--bytes", "1"), ("--reset",)):
        unknown = run.invoke(commands, ["account", "recordings", "--account", "2", *limits])
        assert isinstance(unknown.exception, NotFound)
