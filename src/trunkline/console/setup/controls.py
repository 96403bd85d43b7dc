"""Controls of a form: what they show of a row, and what they send. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from typing import Any

import orjson

from trunkline.console.page_request import PageRequest

Row = Mapping[str, Any]
"""Of a listing, or as another reader has it."""

Texts = tuple[str, ...]
"""What a control has on the page: one text; of lists one for each item; of an empty one none."""

ON = "on"


class Kind(StrEnum):
    """How a control looks, and what it sends."""

    TEXT = "text"
    NUMBER = "number"
    PHONE = "tel"
    EMAIL = "email"
    PASSWORD = "password"  # noqa: S105 - the name of a kind
    """Never shown; empty: it stays."""
    CHECKBOX = "checkbox"
    CHOICE = "choice"
    """One of some."""
    CHOICES = "choices"
    """Some of many; sends a list."""
    LINES = "lines"
    """A text a line; sends a list."""
    LONG = "long"
    """One text of several lines."""
    TABLE = "table"
    """Rows of several values; sends a list of objects."""


@dataclass(frozen=True, slots=True)
class Choice:
    """:ivar is_text: the title is one of our texts, and is translated."""

    value: str
    title: str
    is_text: bool = False


ReadChoices = Callable[[PageRequest], Awaitable[Sequence[Choice]]]


@dataclass(frozen=True, slots=True)
class Control:
    """One control.

    :ivar name: of the parameter that it sends.
    :ivar shown: its value in a row; None: the row's value of that name.
    :ivar choices: of ``CHOICE`` and ``CHOICES``.
    :ivar empty: title of "none of them" of a ``CHOICE``; empty: one must be chosen.
    :ivar usual: what a new one has.
    :ivar is_fixed: cannot be changed later.
    :ivar only_new, not_new: is on the page of a new one only, or only later.
    :ivar cells: of each row of a ``TABLE``; :attr:`shown` gives a sequence of values for each row then.
    :ivar heading: above the control, where a group of controls begins; empty: none.
    """

    name: str
    label: str
    kind: Kind = Kind.TEXT
    hint: str = ""
    shown: Callable[[Row], Any] | None = None
    choices: ReadChoices | Sequence[Choice] = ()
    empty: str = ""
    usual: Texts = ()
    is_fixed: bool = False
    only_new: bool = False
    not_new: bool = False
    autocomplete: str = "off"
    cells: tuple[Control, ...] = ()
    heading: str = ""

    def texts(self, row: Row) -> Texts:
        """What the page shows of a row."""
        if self.kind is Kind.PASSWORD:
            return ()
        value = row.get(self.name) if self.shown is None else self.shown(row)
        if self.kind is Kind.CHECKBOX:
            return (ON,) if value else ()
        if value is None or value == "":
            return ()
        if self.kind is Kind.TABLE:
            return tuple(_row_text("" if one is None else str(one) for one in row) for row in value)
        if isinstance(value, list | tuple):
            return tuple(str(one) for one in value)
        return (str(value),)

    def sent(self, fields: Mapping[str, Sequence[str]]) -> Texts:
        """What a form has of it."""
        if self.kind is Kind.TABLE:
            return self._rows_sent(fields)
        given = [one.replace("\0", "") for one in fields.get(self.name, ())]
        if self.kind is Kind.PASSWORD:
            return tuple(one for one in given if one)
        if self.kind is Kind.LINES:
            given = [line for text in given for line in text.splitlines()]
        if self.kind is Kind.LONG:
            given = [one.replace("\r\n", "\n") for one in given]
        texts = tuple(stripped for one in given if (stripped := one.strip()))
        return tuple(sorted(texts)) if self.kind is Kind.CHOICES else texts

    def is_same(self, one: Texts, other: Texts) -> bool:
        """Whether nothing was changed; the order of ``CHOICES`` counts for nothing."""
        return sorted(one) == sorted(other) if self.kind is Kind.CHOICES else one == other

    def value(self, texts: Texts) -> Any:
        """What is sent: a text, None for an empty one; a list; whether it is on."""
        if self.kind is Kind.CHECKBOX:
            return bool(texts)
        if self.kind is Kind.TABLE:
            names = [one.name for one in self.cells]
            return [dict(zip(names, row, strict=True)) for row in self.rows(texts)]
        if self.kind in (Kind.LINES, Kind.CHOICES):
            return list(texts)
        return texts[0] if texts else None

    def rows(self, texts: Texts, empty: int = 0) -> list[list[str]]:
        """The cells of a ``TABLE``.

        :param empty: rows without values at the end.
        """
        return [*(orjson.loads(one) for one in texts), *([""] * len(self.cells) for _ in range(empty))]

    def _rows_sent(self, fields: Mapping[str, Sequence[str]]) -> Texts:
        columns = [fields.get(f"{self.name}.{one.name}", ()) for one in self.cells]
        rows = ([one.replace("\0", "").strip() for one in row] for row in zip_longest(*columns, fillvalue=""))
        return tuple(_row_text(row) for row in rows if any(row))


def _row_text(cells: Iterable[str]) -> str:
    return orjson.dumps(list(cells)).decode()


def version(controls: Sequence[Control], row: Row) -> str:
    """Of what the page showed of a row: a form that was made of another state of the row is refused."""
    shown = {
        one.name: sorted(one.texts(row)) if one.kind is Kind.CHOICES else one.texts(row) for one in controls
    }
    return hashlib.sha256(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
