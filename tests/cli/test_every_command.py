"""Each command has help and ``--json``, and its table has headings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner

from trunkline.cli.main import commands
from trunkline.cli.messages import WITHOUT_JSON
from trunkline.cli.table import counted
from trunkline.core.errors import InvalidInput


def _walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, name
            yield (*path, name), found
            yield from _walk(found, (*path, name))


ALL = dict(_walk(commands, ()))
SINGLE = {path: command for path, command in ALL.items() if not isinstance(command, click.Group)}
LISTS = [
    path for path in SINGLE if path[-1] in ("list", "claims", "tickets", "persons", "log", "calls", "lines")
]


def test_the_walk_finds_the_commands() -> None:
    assert len(SINGLE) > 50
    assert len(LISTS) > 12
    assert set(SINGLE) >= WITHOUT_JSON


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_each_command_has_help(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert command.help
    assert command.get_short_help_str(200).rstrip(".")
    result = CliRunner().invoke(commands, [*path, "--help"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize("path", [path for path in SINGLE if path not in WITHOUT_JSON], ids=" ".join)
def test_each_command_that_prints_can_print_json(path: tuple[str, ...]) -> None:
    assert [one for one in SINGLE[path].params if "--json" in one.opts]


@pytest.fixture
def company(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "insert into accounts (name) values ('Palm') returning account_id"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(commands, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_lists_print_an_array_also_when_they_are_empty(company: int) -> None:
    without_switch = {
        ("ban", "list"),
        ("notification", "list"),
        ("calls",),
        ("queue", "list"),
        ("agent", "list"),
    }
    asked = [path for path in LISTS if path not in without_switch]
    asked.remove(("notification", "log"))
    for path in asked:
        assert isinstance(json.loads(_run(*path, "--json")), list), path
    assert json.loads(_run("calls", "--last", "5", "--json")) == []


def test_a_change_prints_its_messages(company: int) -> None:
    said = _run("account", "disable", str(company))
    assert json.loads(_run("account", "disable", str(company), "--json")) == {"messages": said.splitlines()}


def test_tables_have_headings_and_no_colour_outside_of_a_terminal(company: int) -> None:
    output = _run("account", "list")
    assert output.splitlines()[0].split() == ["ID", "STATUS", "TIME", "ZONE", "NAME"]
    assert f"{company}  active  UTC        Palm" in output
    assert "\x1b" not in output


def test_apply_reads_standard_input(company: int) -> None:
    text = "employees: {anna: {last_name: Ivanova, extension: 101}}"
    result = CliRunner().invoke(
        commands, ["apply", "-", "--yes", "--json"], input=text, catch_exceptions=False
    )
    assert json.loads(result.output)["applied"]
    assert "Ivanova" in _run("export")
    assert _run("export", "-") == _run("export")


def test_a_website_is_added_then_changed(company: int) -> None:
    first = _run("site", "set", "shop.example.com", "--account", str(company))
    again = _run("site", "set", "shop.example.com", "--account", str(company))
    assert [one.partition(";")[0] for one in (first, again)] == [
        "shop.example.com is added",
        "shop.example.com is changed",
    ]


def test_registered_devices_are_listed(company: int, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "with line as (insert into sip_lines (account_id, phone_number, ha1_md5, ha1_sha256)"
            " values (%s, '0160001', 'a', 'b') returning account_id, sip_line_id)"
            " insert into registrations (account_id, sip_line_id, contact_uri, ip, port, user_agent, registered_at)"
            " select account_id, sip_line_id, 'sip:a', '192.0.2.7', 5062, E'Phone \\x1b[31m 1', now() - interval '90 s'"
            " from line",
            (company,),
        )
    [row] = json.loads(_run("lines", "--json"))
    assert (row["line"], row["ip"], row["port"]) == ("0160001", "192.0.2.7", 5062)
    assert row["age"] >= 90
    output = _run("lines")
    assert "192.0.2.7:5062" in output
    assert "\x1b" not in output


def _log(folder: Path) -> None:
    logs = folder / "data" / "logs"
    logs.mkdir(parents=True)
    entries = [
        (
            "switch.log.1",
            {"event": "began", "timestamp": "2026-11-21T10:00:00Z", "call_session_id": 7, "account_id": 1},
        ),
        (
            "switch.log",
            {"event": "ended", "timestamp": "2026-11-21T10:00:02Z", "call_session_id": 7, "account_id": 1},
        ),
        (
            "worker.log",
            {"event": "sent", "timestamp": "2026-11-21T10:00:01Z", "account_id": 1, "role": "worker"},
        ),
        (
            "worker.log",
            {"event": "failed", "timestamp": "2026-11-21T10:00:03Z", "account_id": 2, "level": "error"},
        ),
    ]
    for name, entry in entries:
        with (logs / name).open("a") as file:
            file.write("no JSON\n" + json.dumps({"level": "info", "role": "switch", **entry}) + "\n")


def test_an_account_is_named_by_its_place_or_by_the_option(company: int) -> None:
    shown = [
        _run("account", "show", "--json", *arguments)
        for arguments in (
            (),
            (str(company),),
            ("--account", str(company)),
            (str(company), "--account", str(company)),
        )
    ]
    assert len(set(shown)) == 1
    assert json.loads(shown[0])["account_id"] == company
    with pytest.raises(InvalidInput, match="name one account"):
        _run("account", "show", str(company), "--account", "7")


@pytest.mark.parametrize(("count", "text"), [(0, "0 changes"), (1, "1 change"), (2, "2 changes")])
def test_what_is_counted(count: int, text: str) -> None:
    assert counted(count, "change") == text


@pytest.mark.parametrize(
    ("arguments", "events"),
    [
        ((), ["began", "sent", "ended", "failed"]),
        (("-n", "2"), ["ended", "failed"]),
        (("--call", "7"), ["began", "ended"]),
        (("--account", "1", "--role", "worker"), ["sent"]),
        (("--level", "warning"), ["failed"]),
    ],
)
def test_the_log_is_ordered_and_filtered(
    company: int, tmp_path: Path, arguments: tuple[str, ...], events: list[str]
) -> None:
    _log(tmp_path)
    lines = _run("tail", "--json", *arguments).splitlines()
    assert [json.loads(line)["event"] for line in lines] == events
    assert len(_run("tail", *arguments).splitlines()) == len(events)
