"""The confirmation before a command applies changes."""

from __future__ import annotations

import sys

import click

from trunkline.core.errors import InvalidInput


def is_confirmed(json: bool) -> bool:
    """Ask on the terminal whether to apply the changes that were shown.

    :param json: the command prints JSON, so it cannot ask.
    :raises InvalidInput: there is no terminal to ask on.
    """
    if json or not sys.stdin.isatty():
        raise InvalidInput(
            "A confirmation needs a terminal. Add --yes to apply, or --dry-run to show the differences."
        )
    return click.confirm("Apply these changes?")
