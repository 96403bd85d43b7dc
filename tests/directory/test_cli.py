"""``trunkline apply`` and ``trunkline export`` as a person and a script use them."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from trunkline.cli.directory import apply, export, subscription_problems
from trunkline.core.errors import DirectoryFileError, InvalidInput
from trunkline.directory.files.file import parse

TEXT = """
sip_lines: {0160001: {}}
employees: {anna: {last_name: Ivanova, extension: 101, phones: [{line: 0160001}]}}
scenarios: {main: {operations: {hello: {kind: greeting, text: Good day}}}}
"""


@pytest.fixture
def file(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (name) values ('Palm')")
    path = tmp_path / "company.yaml"
    path.write_text(TEXT)
    return path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(apply, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_a_script_applies_looks_and_exports(file: Path) -> None:
    looked = json.loads(run(str(file), "--dry-run", "--json"))
    assert not looked["applied"]
    assert not looked["passwords"]
    applied = json.loads(run(str(file), "--yes", "--json"))
    assert applied["applied"]
    assert applied["changes"] == looked["changes"]
    assert list(applied["passwords"]) == ["0160001"]
    again = json.loads(run(str(file), "--json"))
    assert again["changes"] == []
    exported = CliRunner().invoke(export, [], catch_exceptions=False).output
    assert "Ivanova" in exported
    assert applied["passwords"]["0160001"] not in exported
    target = file.with_name("copy.yaml")
    CliRunner().invoke(export, [str(target)], catch_exceptions=False)
    assert target.read_text() == exported
    assert run(str(target), "--yes") == "no changes\n"


def test_a_person_sees_the_difference_and_the_passwords_once(file: Path) -> None:
    assert run(str(file), "--dry-run").endswith("nothing was written\n")
    output = run(str(file), "--yes")
    assert "+ employees.anna  Ivanova (101)\n" in output
    assert "new passwords of SIP lines (they are not shown again):\n  0160001  " in output
    assert run(str(file), "--yes") == "no changes\n"


def test_nobody_to_ask_is_an_error(file: Path) -> None:
    with pytest.raises(InvalidInput, match="--yes"):
        run(str(file))
    with pytest.raises(InvalidInput, match="--yes"):
        run(str(file), "--json")


def test_problems_of_subscriptions_have_their_place(file: Path) -> None:
    file.write_text(
        """
notifications:
  crm:
    url: http://127.0.0.1:9/hook
    events: [call_session_finished]
    body: '{"a": {{no_such_variable}}}'
"""
    )
    with pytest.raises(DirectoryFileError, match=r"^line 6: notifications\.crm\.body: "):
        run(str(file), "--yes")


def test_unknown_events_are_refused() -> None:
    text = "notifications: {crm: {url: 'http://127.0.0.1:9/', events: [call_session_finished, nonsense]}}"
    form = parse(text, {}).section("notifications")["crm"]
    assert len(subscription_problems("crm", form)) == 1
    assert subscription_problems("crm", form)[0].startswith("notifications.crm.events: ")


def test_what_will_be_missed_in_a_call_is_a_warning(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(TEXT.replace("extension: 101", "extension: 112"))
    output = run(str(file), "--dry-run")
    assert "warning: no active trunk: calls to outside numbers and to emergency numbers fail\n" in output
    assert "warning: employees.anna.extension: 112 is an emergency number" in output
    file.write_text(TEXT + "trunks: {carrier: {host: sip.carrier.example}}\n")
    monkeypatch.setattr("trunkline.directory.trunks.resolution._look_up", lambda _host: [])
    looked = json.loads(run(str(file), "--dry-run", "--json"))
    assert looked["warnings"] == [
        "trunks.carrier.host: sip.carrier.example does not resolve to an address now"
    ]
    file.write_text("tags: {vip: VIP}\n")
    run(str(file), "--yes")
    assert "warning" not in run(str(file), "--yes")


WRONG = """
account: {time_zone: Asia/Dubai}
trunks:
  carrier: {host: 127.0.0.1, mode: address}
sip_lines:
  "0160001": {password: "1234"}
  "0160002": {channels: many}
employees:
  anna: {last_name: Berg, extension: 101, phones: [{line: "0160001"}]}
  boris: {last_name: Dahl, extension: "101", phones: [{line: "0160002"}]}
  clara: {last_name: Ek, extention: 103}
groups:
  all: {members: [anna, boris, clara, dora]}
media:
  hello: {file: nowhere.wav}
scenarios:
  main:
    operations:
      ring: {kind: forward_employee, employee: erik, ring_seconds: "${SECONDS_TO_RING}"}
      greet: {kind: greeting, media: [hello]}
"""


def test_all_problems_come_at_once(file: Path) -> None:
    """Of the form, of variables, of references, of what only the database has, of sounds and of addresses; none that only
    follows from another one."""
    file.write_text(WRONG)
    with pytest.raises(DirectoryFileError) as failure:
        run(str(file), "--yes")
    lines = failure.value.message.splitlines()
    found = [line.split(": ")[1] if line.startswith("line ") else line.split(": ")[0] for line in lines]
    assert sorted(found) == [
        "employees.boris.extension",
        "employees.clara.extention",
        "groups.all.members[3]",
        "media.hello",
        "scenarios.main.operations.ring.employee",
        "scenarios.main.operations.ring.ring_seconds",
        "sip_lines.0160001.password",
        "sip_lines.0160002.channels",
        "trunks.carrier.host",
    ]
    assert all(line.startswith("line ") for line in lines), lines


def test_two_problems_in_one_item_leave_out_no_more_than_these(file: Path) -> None:
    """Its other settings, and the other items of its section, are checked as well."""
    file.write_text(
        "employees:\n"
        "  anna: {last_name: Berg, phones: [{line: x, active: maybe}, {line: y, active: maybe}], groups: 5, coach: nobody}\n"
        "  boris: {last_name: Dahl, coach: anna}\n"
        "  clara: {last_name: Ek, coach: someone}\n"
    )
    with pytest.raises(DirectoryFileError) as failure:
        run(str(file), "--yes")
    places = {line.split(": ")[1] for line in failure.value.message.splitlines()}
    assert {"employees.anna.coach", "employees.clara.coach"} <= places, failure.value.message
    assert "employees.boris.coach" not in places


def test_problems_of_a_file_need_no_database(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", "postgresql://127.0.0.1:9/none")
    file.write_text(WRONG)
    with pytest.raises(DirectoryFileError, match="0160002"):
        run(str(file), "--yes")


def test_an_item_with_a_problem_is_not_deleted_nor_missed(file: Path) -> None:
    run(str(file), "--yes")
    file.write_text(TEXT.replace("extension: 101", "extention: 101"))
    with pytest.raises(DirectoryFileError) as failure:
        run(str(file), "--yes", "--delete")
    assert [line.split(": ")[1] for line in failure.value.message.splitlines()] == [
        "employees.anna.extention"
    ]
