"""``trunkline apply`` ends when calls use the changes, and reports when they do not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from click.testing import CliRunner

from trunkline.cli import in_effect
from trunkline.cli.csv import csv
from trunkline.cli.directory import apply
from trunkline.core.errors import SwitchUnavailable
from trunkline.core.settings import Settings
from trunkline.runtime import secrets

pytestmark = pytest.mark.shells

TEXT = "sip_lines: {0160001: {}}\n"
ROW = {
    "account_id": 1001,
    "entity": "trunk",
    "id": 100,
    "name": "carrier",
    "reason": "the host is not an address",
}


class Switch:
    """Answers from a list, then for ever with the last one."""

    def __init__(self, *answers: Exception | dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def directory(self, _account_id: int) -> dict[str, Any]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return {"fingerprint": "now", "applied": True, "error": "", "rows_left_out": [], **answer}


@pytest.fixture
def file(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(in_effect, "fingerprint", lambda _account: "now")
    monkeypatch.setattr(in_effect, "_POLL_SECONDS", 0.01)
    secrets.ensure(Settings(data_dir=tmp_path / "data"))
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (name) values ('Palm')")
    path = tmp_path / "company.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Switch:
    made = Switch({})
    monkeypatch.setattr(in_effect, "is_running", lambda _settings: True)
    monkeypatch.setattr(in_effect, "switch_client", lambda _settings: made)
    return made


def run(*arguments: str) -> str:
    result = CliRunner().invoke(apply, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_it_waits_for_switch_and_asterisk(file: Path, switch: Switch) -> None:
    switch.answers = [
        SwitchUnavailable("refused"),
        {"fingerprint": "before"},
        {"applied": False},
        {"rows_left_out": [ROW]},
    ]
    lines = run(str(file), "--yes").splitlines()
    assert switch.asked == 4
    assert lines[-2:] == [
        "not used in calls: trunk carrier: the host is not an address",
        "in effect for new calls",
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"fingerprint": "before"}, "the switch has not read it yet"),
        ({"applied": False, "error": "disk full"}, "Asterisk has not loaded it yet: disk full"),
        (SwitchUnavailable("no response"), "the switch does not respond (no response)"),
    ],
)
def test_the_wait_is_bounded(file: Path, switch: Switch, answer: Any, reason: str) -> None:
    switch.answers = [answer]
    result = json.loads(run(str(file), "--yes", "--json", "--wait", "1"))
    assert result["applied"]
    assert (result["in_effect"], result["in_effect_reason"].partition(";")[0]) == (
        False,
        f"after 1 s {reason}",
    )


def test_without_a_running_instance_it_says_so(file: Path) -> None:
    assert run(str(file), "--yes").splitlines()[-1].startswith("written, but Trunkline does not run here")


def test_nothing_to_wait_for(file: Path, switch: Switch) -> None:
    assert "in effect" not in run(str(file), "--yes", "--wait", "0")
    assert run(str(file), "--yes") == "no changes\n"
    assert switch.asked == 0


def test_csv_import_waits_as_well(file: Path, switch: Switch) -> None:
    rows = file.with_suffix(".csv")
    rows.write_text("login\n0160007\n")
    result = CliRunner().invoke(csv, ["import", "sip_lines", str(rows), "--yes"], catch_exceptions=False)
    assert result.output.splitlines()[-1] == "in effect for new calls"
    assert switch.asked == 1
