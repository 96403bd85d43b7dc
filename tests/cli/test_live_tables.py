"""Tables of ``trunkline calls`` and ``trunkline ban list``: the zone of times, the scope of bans."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from trunkline.cli import bans, live
from trunkline.cli.main import commands


def _printed(*arguments: str) -> str:
    result = CliRunner().invoke(commands, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


CALL = {
    "call_session_id": 5,
    "start_time": "2026-03-01 12:00:00",
    "direction": "in",
    "contact_phone_number": "12025550111",
    "virtual_phone_number": "442079460001",
    "legs": [],
}


@pytest.mark.parametrize(("arguments", "zone"), [((), "Asia/Dubai"), (("--last", "1"), "UTC")])
def test_the_zone_of_times_is_in_the_heading(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], zone: str
) -> None:
    row = {**CALL, **dict.fromkeys(("total_duration", "talk_duration", "finish_reason", "explanation"))}
    monkeypatch.setattr(live, "with_database", lambda _work: ([row], zone))
    assert f"START ({zone.upper()})" in _printed("calls", *arguments)


def test_bans_have_their_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    ban: dict[str, Any] = {"until": "2026-03-01T12:00:00+00:00", "failures": 9}
    shown = [
        {"scope": "address", "ip": "203.0.113.9", "line": None, **ban},
        {"scope": "address_and_line", "ip": "203.0.113.9", "line": "0160001", **ban},
        {"scope": "line", "ip": None, "line": "0160001", **ban},
    ]
    monkeypatch.setattr(bans, "ask_switch", lambda _settings, _work: shown)
    heading, *lines = _printed("ban", "list").splitlines()
    assert heading.split()[0] == "SCOPE"
    assert [line.split()[0] for line in lines] == ["address", "address_and_line", "line"]
