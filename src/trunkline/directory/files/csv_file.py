"""Employees, SIP lines, contacts and tags as CSV files. No I/O.

A row becomes an item of a directory file (:class:`~trunkline.directory.files.form.Form`), so it has the same checks and is
written by the same statements. The first line names the columns; a column that is left out does not change what is there.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError

from trunkline.core.errors import DirectoryFileError
from trunkline.directory.contacts.form import ContactForm
from trunkline.directory.employees.form import EmployeeForm
from trunkline.directory.files.form import Form
from trunkline.directory.lines.form import SipLineForm
from trunkline.directory.tags.form import TagForm

FILE_MAX = 10_000_000
"""Characters."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that begins with one of these for a formula."""

_LIST = ";"
"""Between the values of a cell with several; ``|`` and line breaks are read, too."""

_TRUE, _FALSE = frozenset({"yes", "true", "1"}), frozenset({"no", "false", "0"})


class Section(StrEnum):
    """What a file has."""

    EMPLOYEES = "employees"
    SIP_LINES = "sip_lines"
    CONTACTS = "contacts"
    TAGS = "tags"


@dataclass(frozen=True)
class _Shape:
    form: type[BaseModel]
    key: str
    """Column of the item's key."""
    columns: Sequence[str]
    """The other columns, named as the fields of the form."""
    made_of: Sequence[str] = ()
    """Columns of which the key is made where it is left out."""


_SHAPES: Mapping[Section, _Shape] = {
    Section.EMPLOYEES: _Shape(
        EmployeeForm,
        "key",
        ("last_name", "first_name", "patronymic", "email", "extension", "phones", "voice_mail", "active"),
        ("last_name", "first_name"),
    ),
    Section.SIP_LINES: _Shape(
        SipLineForm,
        "login",
        ("password", "virtual_number", "type", "channels", "dial_time", "srtp", "active"),
    ),
    Section.CONTACTS: _Shape(
        ContactForm,
        "key",
        ("last_name", "first_name", "patronymic", "phones"),
        ("last_name", "first_name", "phones"),
    ),
    Section.TAGS: _Shape(TagForm, "key", ("name",), ("name",)),
}

_NULLABLE = frozenset({"email", "extension", "virtual_number", "password"})
_TEXTS = frozenset({"last_name", "first_name", "patronymic", "name"})
_SWITCHES = frozenset({"voice_mail", "active"})


@dataclass(frozen=True)
class RowProblem:
    """Why a row cannot be used. ``line`` counts from 1, the header included; 0 is the whole file."""

    line: int
    message: str


@dataclass(frozen=True)
class Table:
    """The usable rows of a file.

    :ivar form: with one section.
    :ivar lines: line of each key.
    """

    section: Section
    form: Form
    lines: Mapping[str, int]
    problems: Sequence[RowProblem]

    def problems_of(self, error: DirectoryFileError) -> list[RowProblem]:
        """The problems of a directory file by the lines of this one."""
        found = []
        for text in error.params.get("problems", [error.message]):
            place, _, message = text.partition(": ")
            section, _, rest = place.partition(".")
            key, _, column = rest.partition(".")
            line = self.lines.get(key, 0) if section == self.section.value else 0
            found.append(
                RowProblem(line, f"{column}: {message}" if line and column else message if line else text)
            )
        return found


def columns_of(section: Section) -> list[str]:
    """The columns of an exported file."""
    shape = _SHAPES[section]
    return [shape.key, *(name for name in shape.columns if name != "password")]


def read(section: Section, content: bytes, present: Form) -> Table:
    """The rows of a file.

    :param content: UTF-8 with or without a byte order mark; the separator is ``,``, ``;`` or a tab.
    :param present: the directory as it is now; fields without a column keep these values.
    :raises DirectoryFileError: it is not such a file, or its columns are unknown.
    """
    header, rows = _rows(content)
    shape = _SHAPES[section]
    _check_columns(shape, header)
    items: dict[str, dict[str, Any]] = {}
    lines: dict[str, int] = {}
    problems: list[RowProblem] = []
    for line, cells in rows:
        if len(cells) > len(header):
            problems.append(RowProblem(line, f"has {len(cells)} cells, the header has {len(header)} columns"))
            continue
        row = dict(zip(header, [*map(_plain, cells), *[""] * len(header)], strict=False))
        key = row.pop(shape.key, "") or _made_key(row, shape)
        if not key:
            problems.append(RowProblem(line, f"{shape.key}: is missing"))
            continue
        if key in lines:
            problems.append(RowProblem(line, f"{shape.key}: {key} is also in line {lines[key]}"))
            continue
        lines[key] = line
        item = _item(shape, row, present.section(section.value).get(key))
        try:
            Form.model_validate({section.value: {key: item}})
        except ValidationError as error:
            problems += [
                RowProblem(line, _message(shape, detail)) for detail in error.errors(include_url=False)
            ]
        else:
            items[key] = item
    form = Form.model_validate({section.value: items})
    return Table(section, form, lines, sorted(problems, key=lambda one: one.line))


def write(section: Section, form: Form, separator: str = ",") -> str:
    """The items of a section as a CSV file, without secrets.

    A cell that a spreadsheet takes for a formula has an apostrophe before it, which :func:`read` removes.
    """
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    columns = columns_of(section)
    writer.writerow(columns)
    for key, item in form.section(section.value).items():
        writer.writerow([_safe(key), *(_safe(_cell(getattr(item, name))) for name in columns[1:])])
    return out.getvalue()


def _rows(content: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DirectoryFileError("The file is not UTF-8 text; save it as CSV UTF-8.") from error
    if len(text) > FILE_MAX:
        raise DirectoryFileError(f"The file has more than {FILE_MAX} characters; divide it.")
    first = text.lstrip("\r\n").partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    header: list[str] = []
    rows: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if header:
                    rows.append((begins, cells))
                else:
                    header = [cell.strip().lower() for cell in cells]
            begins = reader.line_num + 1
    except csv.Error as error:
        raise DirectoryFileError(f"Line {begins} is not CSV: {error}.") from error
    if not header:
        raise DirectoryFileError("The file is empty; its first line names the columns.")
    return header, rows


def _check_columns(shape: _Shape, header: Sequence[str]) -> None:
    known = (shape.key, *shape.columns)
    problems = [
        f"there is no column {name!r}; there are {', '.join(known)}" for name in header if name not in known
    ]
    problems += [f"column {name} is there twice" for name in sorted(set(header)) if header.count(name) > 1]
    if shape.key not in header and not set(shape.made_of) & set(header):
        made_of = f", or {' or '.join(shape.made_of)}, of which it is made" if shape.made_of else ""
        problems.append(f"column {shape.key} is missing{made_of}")
    if problems:
        raise DirectoryFileError("\n".join(problems), params={"problems": problems})


def _made_key(row: Mapping[str, str], shape: _Shape) -> str:
    words = " ".join(row.get(name, "") for name in shape.made_of)
    plain = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode().lower()
    key = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64]
    # Names without Latin letters: the digits of what identifies the row.
    return key or re.sub(r"\D", "", row.get("extension", ""))


def _item(shape: _Shape, row: Mapping[str, str], present: BaseModel | None) -> dict[str, Any]:
    values: dict[str, Any] = {} if present is None else _plain_data(present)
    for name, cell in row.items():
        if name == "phones":
            values[name] = _phones(shape, cell, values.get(name, []))
        elif not cell and name in _NULLABLE:
            values[name] = None
        elif not cell and name not in _TEXTS:
            values.pop(name, None)  # the default
        elif name in _SWITCHES:
            word = cell.lower()
            values[name] = word in _TRUE if word in _TRUE | _FALSE else cell
        else:
            values[name] = cell
    return values


def _phones(shape: _Shape, cell: str, present: Sequence[Any]) -> list[Any]:
    numbers = [one.strip() for one in re.split(r"[;|\n]", cell) if one.strip()]
    if shape.form is not EmployeeForm:
        return numbers
    # What the file does not name, such as channels, stays; a line is named `line 0160001`.
    known = {(phone.get("line"), phone.get("number")): phone for phone in present}
    found: list[Any] = []
    for number in numbers:
        is_line = number.lower().startswith("line ")
        value = number[5:].strip() if is_line else number
        plain = value if is_line else re.sub(r"[\s()+-]", "", value)
        phone = known.get((plain, None) if is_line else (None, plain))
        found.append(phone or ({"line": value} if is_line else {"number": value}))
    return found


def _plain_data(item: BaseModel) -> dict[str, Any]:
    data = item.model_dump(by_alias=True, exclude_unset=True)
    if data.get("password") is not None:
        data["password"] = data["password"].get_secret_value()
    return data


def _message(shape: _Shape, detail: Mapping[str, Any]) -> str:
    error = detail.get("ctx", {}).get("error")
    message = str(error) if error is not None else str(detail["msg"])
    names = [part for part in detail["loc"][2:] if part in shape.columns]
    return f"{names[0] if names else shape.key}: {message}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return f"{_LIST} ".join(_phone_cell(one) for one in value)
    return str(value)


def _phone_cell(phone: Any) -> str:
    if isinstance(phone, str):
        return phone
    return str(phone.number) if phone.line is None else f"line {phone.line}"


def _safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith((*_FORMULA, "'")) else cell


def _plain(cell: str) -> str:
    text = cell.strip(" \r\n") if cell.startswith(("\t", "\r")) else cell.strip()
    return text[1:] if text.startswith("'") and text[1:2] in (*_FORMULA, "'") else text


def problem_lines(problems: Iterable[RowProblem]) -> list[str]:
    """Problems as text, in the order of their lines."""
    ordered = sorted(set(problems), key=lambda one: (one.line, one.message))
    return [f"line {one.line}: {one.message}" if one.line else one.message for one in ordered]
