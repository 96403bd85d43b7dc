"""``trunkline csv``: the files of a spreadsheet in, and out again."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from trunkline.cli.main import commands
from trunkline.directory.files import csv_file
from trunkline.directory.files.csv_file import Section
from trunkline.directory.files.form import Form

EMPLOYEES = "key,last_name,first_name,extension,phones\nanna,Berg,Anna,101,line 0160001; +971 50 000 0011\n"


@pytest.fixture(autouse=True)
def company(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (name) values ('Palm')")
    return database


def _invoke(*arguments: str, content: str | bytes = "") -> Result:
    return CliRunner().invoke(commands, ["csv", *arguments], input=content)


def _import(section: str, content: str | bytes, *options: str) -> dict[str, Any]:
    result = _invoke("import", section, "-", "--json", *(options or ("--yes",)), content=content)
    found: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (1 if found["problems"] else 0)
    return found


def _export(section: str, *options: str) -> list[list[str]]:
    result = _invoke("export", section, *options)
    assert result.exit_code == 0
    return list(csv.reader(io.StringIO(result.stdout), delimiter=";" if ";" in options else ","))


def test_rows_are_added_changed_and_exported() -> None:
    lines = _import("sip_lines", "login,channels\n0160001,2\n")
    assert list(lines["passwords"]) == ["0160001"]
    looked = _import("employees", EMPLOYEES, "--dry-run")
    assert [one["action"] for one in looked["changes"]] == ["create"]
    assert not looked["applied"]
    assert _import("employees", EMPLOYEES)["applied"]
    assert _import("employees", EMPLOYEES)["changes"] == []
    [change] = _import("employees", "key,last_name,extension\nanna,Bergmann,101\n")["changes"]
    assert [(one["path"], one["new"]) for one in change["fields"]] == [("last_name", "Bergmann")]
    header, row = _export("employees")
    values = dict(zip(header, row, strict=True))
    assert values["first_name"] == "Anna"
    assert values["phones"] == "line 0160001; 971500000011"
    assert "password" not in header


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_forms_of_spreadsheets_are_read(separator: str, bom: bytes, end: str) -> None:
    text = end.join([f"Key{separator} Name", f'vip{separator}"Wichtig, ""sehr""; ü"', "", f"{separator}"])
    [change] = _import("tags", bom + text.encode())["changes"]
    assert change["label"] == 'Wichtig, "sehr"; ü'


def test_each_exported_section_is_read_again_without_a_change() -> None:
    _import("sip_lines", "login,type,active\n0160001,in,no\n")
    _import("employees", EMPLOYEES)
    _import("contacts", "last_name,phones\nSalem,+971500000012;+971500000013\n")
    _import("tags", "name\nVIP customer\n")
    for section in Section:
        for options in ((), ("--separator", ";"), ("--bom",)):
            content = _invoke("export", section.value, *options).stdout_bytes
            assert content.startswith(b"\xef\xbb\xbf") == (options == ("--bom",))
            assert _import(section.value, content)["changes"] == [], section
    assert [row[0] for row in _export("tags")] == ["key", "vip-customer"]


def test_all_problems_come_at_once_with_their_lines_and_nothing_is_written() -> None:
    content = (
        "key,last_name,extension,phones\n"
        "anna,Berg,101,\n"
        "boris,,1,\n"
        "BAD KEY,Fox,103,\n"
        '"multi","Long\nname",104,\n'
        "clara,Cole,105,line 0169999\n"
        "anna,Twice,106,\n"
        "dora,Dale,107,,too many\n"
        "emil,Eck,108,12\n"
    )
    found = _import("employees", content)
    by_line = {one["line"]: one["message"] for one in found["problems"]}
    assert sorted(by_line) == [3, 4, 5, 7, 8, 9, 10]
    assert "last_name" in by_line[5], "a name is one line"
    assert by_line[8] == "key: anna is also in line 2"
    assert "0169999" in by_line[7]
    assert "phones" in by_line[10]
    assert not found["applied"]
    assert _export("employees")[1:] == []
    said = _invoke("import", "employees", "-", "--yes", content=content)
    assert said.exit_code == 1
    messages = said.exception.message  # type: ignore[union-attr]
    assert messages.index("line 3:") < messages.index("line 10:")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"key,shoe_size\nanna,44\n", "shoe_size"),
        (b"key,key\na,b\n", "twice"),
        (b"extension\n101\n", "column key is missing, or last_name or first_name, of which it is made"),
        (b'key,last_name\nanna,"open\n', "not CSV"),
    ],
)
def test_files_that_are_no_such_table_are_refused(content: bytes, reason: str) -> None:
    result = _invoke("import", "employees", "-", "--yes", content=content)
    assert result.exit_code == 1
    assert reason in str(result.exception)


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@SUM(A1)", "'quoted", "''=x", '=HYPERLINK("a")'])
def test_exported_cells_are_no_formulas(value: str) -> None:
    rows = list(csv.reader(io.StringIO(_exported(value))))
    assert rows[1][1][0] == "'"


def _exported(name: str, separator: str = ",") -> str:
    form = Form.model_validate({"tags": {"one": {"name": name}}})
    return csv_file.write(Section.TAGS, form, separator)


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60).filter(
        lambda text: text.strip() == text
    )
)
def test_any_name_survives_an_export(name: str) -> None:
    text = _exported(name)
    assert not any(
        cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        for row in csv.reader(io.StringIO(text))
        for cell in row
    )
    for content in (text, _exported(name, ";")):
        table = csv_file.read(Section.TAGS, content.encode(), Form())
        assert table.problems == []
        assert table.form.section("tags")["one"].name == name
