"""``--json`` for the commands that change something and print a sentence about it: ``{"messages": ["..."]}``."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import click

from trunkline.cli.database import print_json

WITHOUT_JSON = frozenset(
    {("up",), ("export",), ("csv", "export"), ("bench",), ("demo", "run"), ("demo", "load"), ("demo", "call")}
)
"""Commands that run in the foreground with a progress, or whose output is a file."""


def with_json(command: click.Command, path: tuple[str, ...]) -> click.Command:
    """Give a command, or each command of a group, an option ``--json`` unless it has one.

    :param path: the words after ``trunkline``.
    """
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            with_json(one, (*path, name))
        return command
    has_json = any("--json" in parameter.opts for parameter in command.params)
    if has_json or path in WITHOUT_JSON or command.callback is None:
        return command
    callback = command.callback

    def run(*arguments: Any, json_messages: bool, **options: Any) -> Any:
        if not json_messages:
            return callback(*arguments, **options)
        with contextlib.redirect_stdout(io.StringIO()) as said:
            result = callback(*arguments, **options)
        print_json({"messages": said.getvalue().splitlines()})
        return result

    command.callback = run
    command.params.append(click.Option(["--json", "json_messages"], is_flag=True, help="Print JSON."))
    return command
