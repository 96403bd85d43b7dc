"""A PostgreSQL server as an operator has it: the product's role owns its database and is not a superuser."""

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
from trunkline.runtime.ports import free_ports
from trunkline.runtime.postgres import EmbeddedPostgres

OWNER = "pbx"
_PASSWORD = "drills-only-7391"

_GRANTEE = "case when granted.grantee = 0 then 'public' else granted.grantee::regrole::text end"
_GRANTED = {
    "table": f"select {_GRANTEE}, granted.privilege_type from pg_class,"
    " aclexplode(coalesce(relacl, acldefault('r', relowner))) as granted where oid = %s::regclass",
    "schema": f"select {_GRANTEE}, granted.privilege_type from pg_namespace,"
    " aclexplode(coalesce(nspacl, acldefault('n', nspowner))) as granted where oid = %s::regnamespace",
}
"""Who has which permission on a table or schema, by kind."""

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="mounting a small file system needs root"
)


class OwnServer:
    """The server and the product's database on it.

    :param folder: of the server's data.
    :ivar port: on loopback.
    """

    def __init__(self, folder: Path) -> None:
        [self.port] = free_ports(1)
        self._server = EmbeddedPostgres(folder, port=self.port)

    def create(self) -> None:
        """Start for the first time; make role and database."""
        self._server.start()
        with psycopg.connect(self._server.dsn_of("postgres"), autocommit=True) as connection:
            connection.execute(f"create role {OWNER} login createrole password '{_PASSWORD}'".encode())
            connection.execute(f"create database {OWNER} owner {OWNER}".encode())

    def dsn_through(self, port: int) -> str:
        """Connection URI of the product's database, for its owner, by a proxy on this port of loopback."""
        return f"postgresql://{OWNER}:{_PASSWORD}@127.0.0.1:{port}/{OWNER}"

    @property
    def dsn(self) -> str:
        """Connection URI of the product's database, for its owner."""
        return self.dsn_through(self.port)

    def change(self, settings: Settings) -> Settings:
        """Settings of an instance that uses this server."""
        return settings.model_copy(update={"database_url": self.dsn})

    @contextmanager
    def revoked(self, kind: str, name: str) -> Iterator[None]:
        """Nobody but the superuser has a permission on a table or schema; afterwards all have what they had.

        :param kind: ``table`` or ``schema``.
        """
        with psycopg.connect(self._server.dsn_of(OWNER), autocommit=True) as connection:
            granted = connection.execute(_GRANTED[kind], (name,)).fetchall()
            assert granted
            for grantee, _ in granted:
                connection.execute(f"revoke all on {kind} {name} from {grantee}".encode())
            try:
                yield
            finally:
                for grantee, privilege in granted:
                    connection.execute(f"grant {privilege} on {kind} {name} to {grantee}".encode())

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
    folder.mkdir(parents=True, exist_ok=True)
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
