"""The one printer of tables: headings, columns as wide as their content, colours only on a terminal; and of counts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

_GAP = "  "


def has_colour() -> bool:
    """Whether standard output shows colours: a terminal, and no ``NO_COLOR`` in the environment (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]], *, none: str = "none") -> None:
    """Print rows under headings.

    :param none: printed when there is no row.
    """
    texts = [[_text(value) for value in row] for row in rows]
    if not texts:
        click.echo(none)
        return
    widths = [
        max(len(heading), *(len(row[column]) for row in texts)) for column, heading in enumerate(headings)
    ]
    click.echo(_styled(_line([heading.upper() for heading in headings], widths), bold=True))
    for row in texts:
        click.echo(_line(row, widths))


def print_rows(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str], *, none: str = "none") -> None:
    """The same for dictionaries.

    :param columns: headings by the keys of the rows.
    """
    print_table(list(columns.values()), [[row[key] for key in columns] for row in rows], none=none)


def counted(count: int, noun: str) -> str:
    """``1 change``, ``2 changes``.

    :param noun: in the singular, of the regular plural.
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return _GAP.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _text(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "-"
    # A line break or an escape sequence of a name would change the terminal.
    return "".join(character if character.isprintable() else "?" for character in str(value))


def _styled(text: str, *, bold: bool) -> str:
    return click.style(text, bold=bold) if has_colour() else text
