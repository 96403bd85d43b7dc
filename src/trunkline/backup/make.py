"""Writes a backup while the installation runs, or while it is stopped.

The rows are those of one snapshot. A recording is made after the end of its call and its raw sound is removed then, so the
raw sound that exists at the moment of the snapshot is kept by hard links until it is in the archive: every call of the
snapshot has its recording, or the sound from which the restored installation makes it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from cryptography.fernet import Fernet

from trunkline import __version__
from trunkline.backup import archive, postgres_tools
from trunkline.backup.settings_file import changed_settings
from trunkline.core.errors import AlreadyRunning, ConfigurationError, DatabaseUnavailable
from trunkline.core.settings import Settings
from trunkline.db import migrate
from trunkline.db.pool import translated_errors
from trunkline.runtime import postgres, secrets
from trunkline.runtime.files import create_once
from trunkline.runtime.postgres import EmbeddedPostgres
from trunkline.runtime.supervisor import sole_instance

_PRIVATE_KEY = "trunkline.key"
_LINKS = "backup-spool"
"""Folder of hard links below the data folder. One that a killed backup left is removed by the next."""


@dataclass(frozen=True)
class BackupSummary:
    """What is in a backup. Sizes in bytes."""

    file: str
    key_file: str | None
    created_at: str
    revision: str
    database_size: int
    files: int
    files_size: int


def make(settings: Settings, file: Path, key_file: Path | None) -> BackupSummary:
    """Write a backup of the installation to a file.

    :param key_file: where a copy of the master key goes; None: no copy is made.
    :raises ConfigurationError: a file cannot be written, or the key file has another key.
    :raises DatabaseUnavailable: the configured PostgreSQL server does not respond.
    """
    master_key = secrets.master_key(settings)
    if key_file is not None:
        _write_key(key_file, master_key)
    with _database(settings) as dsn, archive.new_file(file) as stream, archive.Writer(stream) as writer:
        return _write(settings, dsn, writer, file, key_file, master_key)


def _write(
    settings: Settings, dsn: str, writer: archive.Writer, file: Path, key_file: Path | None, master_key: bytes
) -> BackupSummary:
    fernet, created_at = Fernet(master_key), datetime.now(UTC).isoformat(timespec="seconds")
    with _kept_spool(settings) as spool:
        with translated_errors(), psycopg.connect(dsn) as connection:
            connection.execute("set transaction isolation level repeatable read, read only")
            revision = migrate.revision_of(connection)
            if revision is None:
                raise ConfigurationError("the database has no schema yet; there is nothing to back up")
            snapshot = connection.execute("select pg_export_snapshot()").fetchone()
            assert snapshot is not None
            spool.keep()
            manifest = archive.Manifest(
                archive.FORMAT, __version__, revision, archive.fingerprint(master_key), created_at
            )
            writer.add_manifest(manifest)
            with postgres_tools.dump(dsn, snapshot[0]) as stream:
                database_size = writer.add_chunks(archive.DATABASE, stream)
        before, size = writer.members, 0
        for name, path in _files(settings, spool.folder):
            if name == f"{archive.CERTIFICATES}{_PRIVATE_KEY}":
                with suppress(FileNotFoundError):
                    writer.add_bytes(name + archive.ENCRYPTED, fernet.encrypt(path.read_bytes()))
                continue
            size += writer.add_file(name, path)
    files = writer.members - before
    writer.add_bytes(archive.SETTINGS, fernet.encrypt(changed_settings(settings).encode()))
    writer.finish()
    return BackupSummary(
        str(file),
        None if key_file is None else str(key_file),
        created_at,
        revision,
        database_size,
        files,
        size,
    )


def _write_key(path: Path, master_key: bytes) -> None:
    try:
        if create_once(path, master_key + b"\n", 0o600) or path.read_bytes().strip() == master_key:
            return
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}); name another file with --key"
        ) from error
    raise ConfigurationError(f"{path} exists and is not the key of this installation; name another file")


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """The connection URI of a server that runs: the embedded one is started when the installation is stopped."""
    dsn = postgres.dsn(settings)
    cluster = postgres.cluster_of(settings)
    if cluster is None or cluster.is_ready():
        yield dsn
        return
    if not (settings.postgres_dir / "PG_VERSION").exists():
        raise ConfigurationError(
            f"there is no installation in {settings.data}; use the same settings as `trunkline up`"
        )
    try:
        with sole_instance(settings.run_dir):
            server = EmbeddedPostgres(settings.postgres_dir, port=settings.database_port)
            server.start()
            try:
                yield dsn
            finally:
                server.stop()
    except AlreadyRunning as error:
        raise DatabaseUnavailable(
            "the database does not answer at present; `trunkline status` shows its process"
        ) from error


class _Spool:
    """Hard links of the raw sound."""

    def __init__(self, source: Path, folder: Path) -> None:
        self._source = source
        self.folder = folder

    def keep(self) -> None:
        """Link what is in the spool folder now and has no link yet."""
        for path in _regular(self._source):
            link = self.folder / path.relative_to(self._source)
            link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(FileExistsError, FileNotFoundError):
                os.link(path, link)


@contextmanager
def _kept_spool(settings: Settings) -> Iterator[_Spool]:
    folder = settings.data / _LINKS
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        spool = _Spool(settings.spool_dir, folder)
        # Before the snapshot and after it: a call of the snapshot may get its recording between the two.
        spool.keep()
        yield spool
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _files(settings: Settings, spool: Path) -> Iterator[tuple[str, Path]]:
    """Names in the archive and files, those that disappear first at the beginning."""
    folders = {
        "spool": spool,
        "recordings": settings.recordings_dir,
        "media": settings.media_dir,
        "certificates": settings.certificates_dir,
    }
    for name in archive.FOLDERS:
        for path in _regular(folders[name]):
            yield f"{name}/{path.relative_to(folders[name]).as_posix()}", path


def _regular(folder: Path) -> Iterator[Path]:
    """Regular files below a folder, which may change meanwhile."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(parent) / name
            if path.is_file() and not path.is_symlink():
                yield path
