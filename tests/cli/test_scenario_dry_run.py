"""``trunkline scenario dry-run``: the walk as sentences and as data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from tests.calls import company as c
from trunkline.cli import scenarios
from trunkline.core.errors import InvalidInput, NotFound


@pytest.fixture(autouse=True)
def _company(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(scenarios, "with_database", lambda _work: (c.company(), frozenset()))


def _run(*arguments: str) -> Any:
    result = CliRunner().invoke(scenarios.scenario, ["dry-run", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_sentences_and_data() -> None:
    called = f"+{c.number_of(c.FULL)}"
    at = ("--at", "2026-03-06T19:05")
    shown = _run(f"+{c.CUSTOMER}", called, *at, "--answered", "1").output.splitlines()
    assert shown[0].startswith("Fri 19:05:00")
    assert "answers." in shown[-1]
    steps = json.loads(_run("anonymous", called, *at, "--as-now", "--json").output)["steps"]
    assert steps[-1]["text"].startswith("The call ends: ")
    assert "sip_offline" in {one["reason"] for one in steps}
    assert {one["scenario_name"] for one in steps} == {f"Scenario {c.FULL}"}


def test_what_is_wrong_is_named() -> None:
    with pytest.raises(NotFound):
        _run(f"+{c.CUSTOMER}", "+971500000099")
    with pytest.raises(InvalidInput, match="19:05"):
        _run(f"+{c.CUSTOMER}", f"+{c.number_of(c.FULL)}", "--at", "Friday")
    with pytest.raises(InvalidInput):
        _run("x", f"+{c.number_of(c.FULL)}")
