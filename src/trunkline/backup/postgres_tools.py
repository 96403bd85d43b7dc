"""``pg_dump`` and ``pg_restore`` of the embedded PostgreSQL, as child processes on any server."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from trunkline.core.errors import ConfigurationError
from trunkline.runtime import postgres
from trunkline.runtime.program import Program

_NOT_IN_DUMP = ("--no-owner", "--no-privileges", "--no-policies")
"""The owner and the roles may have other names on another server; :func:`trunkline.db.migrate.upgrade` makes the
privileges and policies again."""


class Tool:
    """A running tool. Ends with its parent."""

    def __init__(
        self, name: str, arguments: list[str], dsn: str | None, stdin: int | IO[bytes], stdout: int
    ) -> None:
        environment = {"LC_ALL": "C"}
        if dsn is not None:
            # The password would be visible in the list of processes.
            values = conninfo_to_dict(dsn)
            password = values.pop("password", None)
            if password is not None:
                environment["PGPASSWORD"] = str(password)
            arguments = [*arguments, f"--dbname={make_conninfo('', **values)}"]
        program = Program([str(postgres.binaries() / name), *arguments], environment=environment)
        self._name = name
        self._messages = b""
        self.process = subprocess.Popen(
            program.launch_argv(), env=program.launch_environment(), stdin=stdin, stdout=stdout,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self) -> None:
        """Wait for its end.

        :raises ConfigurationError: it failed; with the first line of its messages.
        """
        assert self.process.stderr is not None
        messages = self.process.stderr.read().decode(errors="replace")
        if self.process.wait() != 0:
            lines = [line for line in messages.splitlines() if line.strip()] or ["no message"]
            raise ConfigurationError(f"{self._name} failed: {lines[0]}")

    def kill(self) -> None:
        """End it at once, if it still runs, and close its pipes."""
        if self.process.poll() is None:
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        self.process.wait()


@contextmanager
def dump(dsn: str, snapshot: str) -> Iterator[IO[bytes]]:
    """The database in the custom format of ``pg_dump``, as a stream that is read to its end.

    :param snapshot: exported by a transaction that is still open.
    :raises ConfigurationError: ``pg_dump`` failed.
    """
    tool = Tool(
        "pg_dump",
        # The policies of the owner let it see all rows; without the option pg_dump refuses tables that force them.
        ["--format=custom", f"--snapshot={snapshot}", "--enable-row-security", *_NOT_IN_DUMP],
        dsn,
        subprocess.DEVNULL,
        subprocess.PIPE,
    )
    try:
        assert tool.process.stdout is not None
        yield tool.process.stdout
        tool.finish()
    finally:
        tool.kill()


@contextmanager
def load(dsn: str) -> Iterator[IO[bytes]]:
    """A stream that takes such a dump into an empty schema, in one transaction.

    :raises ConfigurationError: ``pg_restore`` failed; nothing was loaded.
    """
    tool = Tool(
        "pg_restore",
        ["--single-transaction", "--exit-on-error", *_NOT_IN_DUMP],
        dsn,
        subprocess.PIPE,
        subprocess.DEVNULL,
    )
    try:
        assert tool.process.stdin is not None
        try:
            yield tool.process.stdin
            tool.process.stdin.close()
        except BrokenPipeError:
            tool.finish()
            raise
        tool.finish()
    finally:
        tool.kill()
