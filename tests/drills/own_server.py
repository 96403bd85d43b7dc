"""A PostgreSQL server as an operator has it: the product's role owns its database and is no superuser."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
import pytest

from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.settings import Settings
from trunkline.runtime.postgres import EmbeddedPostgres

OWNER = "pbx"

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting a small file system needs root"
)


class OwnServer:
    """The server and the product's database on it.

    :param folder: of the server's data.
    """

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder)

    def create(self) -> None:
        """Start for the first time; make role and database."""
        self._server.start()
        with psycopg.connect(self._server.dsn_of("postgres"), autocommit=True) as connection:
            connection.execute(f"create role {OWNER} login createrole".encode())
            connection.execute(f"create database {OWNER} owner {OWNER}".encode())

    @property
    def dsn(self) -> str:
        """Of the product's database, for a session whose role is the owner."""
        return f"{self._server.dsn_of(OWNER)}&options=-crole%3D{OWNER}"

    def change(self, settings: Settings) -> Settings:
        """Settings of an instance that uses this server."""
        return settings.model_copy(update={"database_url": self.dsn})

    def run(self, statement: str) -> None:
        """As superuser, in the product's database."""
        with psycopg.connect(self._server.dsn_of(OWNER), autocommit=True) as connection:
            connection.execute(statement.encode())

    def value(self, query: str) -> str:
        """The first column of the only row."""
        with psycopg.connect(self._server.dsn_of(OWNER), autocommit=True) as connection:
            row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return str(row[0])

    @property
    def is_running(self) -> bool:
        return self._server.cluster.is_ready()

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

    @asynccontextmanager
    async def kept_running(self) -> AsyncIterator[None]:
        """Start it again whenever it ends by itself."""

        async def keep() -> None:
            while True:
                await asyncio.sleep(0.5)
                if not self.is_running:
                    with contextlib.suppress(TimeoutError):
                        await self.start_again(5.0)

        keeper = asyncio.create_task(keep())
        try:
            yield
        finally:
            keeper.cancel()
            await asyncio.gather(keeper, return_exceptions=True)

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


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of this size, mounted at ``folder``."""
    folder.mkdir(parents=True)
    options = f"size={megabytes}m,mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "small", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Fill a file system to its last block; the file that does it."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    return ballast
