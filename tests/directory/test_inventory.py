"""The inventory of numbers, by command and by file."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from trunkline.cli.main import commands
from trunkline.core.errors import DirectoryFileError, InUse, InvalidInput, NotFound

FILE = """
numbers:
  "+12025550111": {category: gold, location: AE-DU, monthly_charge: 2.50, trunk: world}
  12025550112: {}
"""


@pytest.fixture
def home(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into accounts (account_id, name, is_agent) values (1001, 'Carrier', false), (1002, 'Agent', true)"
        )
        connection.execute(
            "insert into trunks (account_id, trunk_id, key, name, mode, host)"
            " values (1001, 501, 'world', 'World', 'address', '192.0.2.7')"
        )
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands, arguments, catch_exceptions=False)


def inventory() -> dict[str, dict[str, object]]:
    return {row["phone_number"]: row for row in json.loads(run("numbers", "list", "--json").output)}


def test_numbers_are_offered_and_withdrawn(home: Path) -> None:
    path = home / "numbers.yaml"
    path.write_text(FILE)
    assert run("numbers", "import", str(path), "--account", "1001").output == "2 numbers are offered\n"
    offered = inventory()
    assert offered["12025550111"] | {"number_capacity_id": 0} == {
        "offered_to": 0,
        "number_capacity_id": 0,
        "phone_number": "12025550111",
        "category": "gold",
        "location_mnemonic": "AE-DU",
        "location_name": "Dubayy",
        "onetime_payment": "0",
        "monthly_charge": "2.5",
        "min_charge": "0",
        "trunk_id": 501,
        "used_by": None,
    }
    run("numbers", "add", "+12025550111", "--category", "silver")
    changed = inventory()["12025550111"]
    assert (changed["category"], changed["trunk_id"]) == ("silver", None)
    assert changed["number_capacity_id"] == offered["12025550111"]["number_capacity_id"]
    run("numbers", "add", "+12025550113", "--for", "1002")
    assert inventory()["12025550113"]["offered_to"] == 1002
    assert "agent 1002" in run("numbers", "list").output
    run("numbers", "remove", "+12025550111")
    assert set(inventory()) == {"12025550112", "12025550113"}


def test_a_number_that_somebody_has_keeps_its_id(home: Path, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into virtual_numbers (account_id, virtual_number_id, phone_number, is_verified)"
            " values (1001, 7777, '12025550114', true)"
        )
    run("numbers", "add", "12025550114")
    row = inventory()["12025550114"]
    assert (row["number_capacity_id"], row["used_by"]) == (7777, 1001)


def test_what_is_refused(home: Path) -> None:
    run("numbers", "add", "12025550113", "--for", "1002")
    for arguments, error in (
        (("add", "12025550113"), InUse),
        (("add", "12025550115", "--for", "1001"), NotFound),
        (("add", "12025550115", "--trunk", "moon", "--account", "1001"), NotFound),
        (("add", "12025550115", "--location", "XX"), InvalidInput),
        (("add", "12025550115", "--category", "tin"), InvalidInput),
        (("add", "wings"), InvalidInput),
        (("add", "12025550115", "--monthly", "-1"), InvalidInput),
        (("remove", "12025550115"), NotFound),
    ):
        with pytest.raises(error):
            run("numbers", *arguments)
    path = home / "numbers.yaml"
    path.write_text("numbers: {12025550115: {colour: red}}")
    with pytest.raises(DirectoryFileError, match="colour"):
        run("numbers", "import", str(path))
    assert set(inventory()) == {"12025550113"}


def test_people_and_tickets(home: Path, database: str) -> None:
    person = (
        "--name",
        "Clerk",
        "--email",
        "clerk@client.example",
        "--phone",
        "+12025550114",
        "--account",
        "1001",
    )
    assert run("support", "add-person", *person).exit_code == 0
    [shown] = json.loads(run("support", "persons", "--account", "1001", "--json").output)
    assert shown["phones"][0]["phone"] == "+12025550114"
    assert "clerk@client.example" in run("support", "persons", "--account", "1001").output
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into support_tickets (account_id, ticket_id, text, full_name, phone, email, user_login)"
            " values (1001, 5, 'No sound', 'Clerk', '1', 'c', 'clerk')"
        )
    assert "No sound" in run("support", "tickets").output
    assert run("support", "close", "5", "--account", "1001").output == "ticket 5 is closed\n"
    assert json.loads(run("support", "tickets", "--json").output) == []
    assert len(json.loads(run("support", "tickets", "--closed", "--json").output)) == 1
    with pytest.raises(NotFound):
        run("support", "close", "5", "--account", "1001")
    run("support", "remove-person", str(shown["contact_id"]), "--account", "1001")
    assert json.loads(run("support", "persons", "--account", "1001", "--json").output) == []


def test_lists_from_a_file(home: Path) -> None:
    path = home / "lists.yaml"
    path.write_text("auto_calls: {spring: {name: Spring, numbers: [12025550110]}}")
    assert run("lists", str(path), "--account", "1001").output == "1 item matches the file\n"
