"""A PostgreSQL server as an operator has it: the product's role owns its database and is no superuser."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from trunkline.core.errors import DatabaseUnavailable
from trunkline.runtime.ports import free_ports
from trunkline.runtime.postgres import EmbeddedPostgres

OWNER = "pbx"
_PASSWORD = "drills-only-7391"


class OwnServer:
    """The server and the product's database on it.

    :param folder: of the server's data.
    """

    def __init__(self, folder: Path) -> None:
        [self._port] = free_ports(1)
        self._server = EmbeddedPostgres(folder, port=self._port)

    def create(self) -> None:
        """Start for the first time; make role and database."""
        self._server.start()
        with psycopg.connect(self._server.dsn_of("postgres"), autocommit=True) as connection:
            connection.execute(f"create role {OWNER} login createrole password '{_PASSWORD}'".encode())
            connection.execute(f"create database {OWNER} owner {OWNER}".encode())

    @property
    def dsn(self) -> str:
        """Of the product's database, for its owner."""
        return f"postgresql://{OWNER}:{_PASSWORD}@127.0.0.1:{self._port}/{OWNER}"

    @property
    def is_running(self) -> bool:
        process = self._server._process
        # Asked first: a killed server is there, as a zombie, until its parent has asked for it.
        return process is not None and process.poll() is None and self._server.cluster.is_ready()

    def kill(self) -> None:
        """SIGKILL to the postmaster; its other processes notice and end."""
        first = (self._server.cluster.folder / "postmaster.pid").read_text().splitlines()[0]
        os.kill(int(first), signal.SIGKILL)

    async def start_again(self, timeout: float = 120.0) -> None:
        """As a service manager does: until it runs."""
        async with asyncio.timeout(timeout):
            while not self.is_running:
                self._server.stop()
                with contextlib.suppress(DatabaseUnavailable):
                    self._server.start()
                    return
                await asyncio.sleep(0.5)

    def stop(self) -> None:
        self._server.stop()


@contextmanager
def own_server(folder: Path) -> Iterator[OwnServer]:
    """A running server; it is stopped afterwards."""
    server = OwnServer(folder)
    try:
        server.create()
        yield server
    finally:
        server.stop()
