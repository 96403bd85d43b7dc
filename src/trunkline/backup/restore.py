"""Makes an installation from a backup.

Everything is prepared beside the data folder's own content, then renamed into place. What was there is moved to a folder
``before-restore-...``. While the names change, a marker file prevents the start of the installation.
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
from cryptography.fernet import Fernet, InvalidToken

from trunkline.backup import archive, postgres_tools
from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings
from trunkline.db import migrate, row_security
from trunkline.db.pool import translated_errors
from trunkline.runtime.files import create_once, private_folder
from trunkline.runtime.instance import RESTORE_MARKER
from trunkline.runtime.postgres import EmbeddedPostgres
from trunkline.runtime.supervisor import sole_instance

_STAGING = "restore.partial"
_OLD_SCHEMA = "before_restore"
RESTORED_SETTINGS = "restored-settings.toml"


@dataclass(frozen=True)
class Restored:
    """What was restored.

    :ivar created_at: when the backup was made.
    :ivar upgraded: migrations that were applied to it.
    :ivar previous: folder with what was there before, None when there was nothing.
    :ivar settings: file with the settings of the backup, which are not in effect.
    :ivar registering_trunks: active trunks that register at their carriers when this installation is started.
    """

    created_at: str
    version: str
    upgraded: list[str]
    files: int
    previous: str | None
    settings: str
    registering_trunks: int


def restore(
    settings: Settings, file: Path, key_file: Path | None, *, replace: bool, trunks_off: bool = False
) -> Restored:
    """Restore an installation that does not run.

    :param replace: also where an installation has data.
    :param trunks_off: no trunk is active, so that a copy takes no registration and no call of a running original.
    :raises ConfigurationError: the key is missing or another one, the backup is damaged or of a newer version, the
        installation runs or has data. Nothing was changed.
    """
    master_key = _read_key(key_file)
    manifest = archive.verify(file)
    if archive.fingerprint(master_key) != manifest.key_fingerprint:
        raise ConfigurationError(
            f"{key_file} is not the key of this backup; give the file that `trunkline backup --key` wrote, or "
            "secrets/master.key of the installation that made the backup"
        )
    if not migrate.is_known(manifest.revision):
        raise ConfigurationError(
            f"the backup was made by Trunkline {manifest.version} with migration {manifest.revision} of the schema, which "
            f"is newer than this version (migration {migrate.newest()}); install that version or a newer one"
        )
    with sole_instance(settings.run_dir):
        if not replace:
            _check_empty(settings)
        return _Restore(settings, file, manifest, master_key, trunks_off=trunks_off).run()


def _read_key(key_file: Path | None) -> bytes:
    if key_file is None:
        raise ConfigurationError(
            "the key of the backup is required, because it encrypts passwords of trunks and secrets of webhooks: give --key "
            "FILE, which `trunkline backup --key FILE` wrote; it is equal to secrets/master.key of the original data folder"
        )
    try:
        key = key_file.read_bytes().strip()
        Fernet(key)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{key_file} is not a readable key ({error}); give the right file"
        ) from error
    return key


def _check_empty(settings: Settings) -> None:
    what: str | None = None
    if settings.database_url is None:
        if (settings.postgres_dir / "PG_VERSION").exists():
            what = str(settings.postgres_dir)
    elif _has_tables(settings.database_url):
        what = "the database of TRUNKLINE_DATABASE_URL"
    for folder in (settings.recordings_dir, settings.media_dir):
        if what is None and folder.is_dir() and any(folder.iterdir()):
            what = str(folder)
    if what is not None:
        raise ConfigurationError(
            f"this installation has data ({what}); choose another data folder (TRUNKLINE_DATA_DIR), or replace it with "
            "--replace"
        )


def _has_tables(dsn: str) -> bool:
    with translated_errors(), psycopg.connect(dsn) as connection:
        row = connection.execute(
            "select exists (select from pg_class c where c.relkind in ('r', 'p')"
            " and c.relnamespace = to_regnamespace('public'))"
        ).fetchone()
        return bool(row and row[0])


class _Restore:
    def __init__(
        self,
        settings: Settings,
        file: Path,
        manifest: archive.Manifest,
        master_key: bytes,
        *,
        trunks_off: bool,
    ) -> None:
        self._trunks_off = trunks_off
        self._registering_trunks = 0
        self._settings = settings
        self._file = file
        self._manifest = manifest
        self._fernet = Fernet(master_key)
        self._master_key = master_key
        self._staging = settings.data / _STAGING
        self._marker = settings.data / RESTORE_MARKER
        self._files = 0

    def run(self) -> Restored:
        private_folder(self._settings.data)
        shutil.rmtree(self._staging, ignore_errors=True)
        private_folder(self._staging)
        try:
            upgraded = self._stage()
            self._stage_key()
            previous = self._put_in_place()
        finally:
            shutil.rmtree(self._staging, ignore_errors=True)
        return Restored(
            self._manifest.created_at,
            self._manifest.version,
            upgraded,
            self._files,
            None if previous is None else str(previous),
            str(self._settings.data / RESTORED_SETTINGS),
            self._registering_trunks,
        )

    def _stage(self) -> list[str]:
        for name in archive.FOLDERS:
            private_folder(self._staging / name)
        if self._settings.database_url is None:
            server = EmbeddedPostgres(self._staging / "postgres")
            server.start()
            try:
                upgraded = self._load(server.dsn)
            finally:
                server.stop()
                if server.cluster.socket_dir != server.cluster.folder:
                    shutil.rmtree(server.cluster.socket_dir, ignore_errors=True)
            return upgraded
        # The new rows take effect before the files do.
        self._marker.touch(mode=0o600)
        try:
            with _replaced_schema(self._settings.database_url):
                return self._load(self._settings.database_url)
        except BaseException:
            self._marker.unlink()
            raise

    def _load(self, dsn: str) -> list[str]:
        with translated_errors(), psycopg.connect(dsn, autocommit=True) as connection:
            row_security.make_roles(connection)
        # The chunks of the dump follow each other in the archive, so one pass feeds it and then extracts the files.
        members = archive.members(self._file)
        rest: tuple[str, archive.Readable] | None = None
        with postgres_tools.load(dsn) as dump:
            for name, _, stream in members:
                if name == archive.MANIFEST:
                    continue
                if not name.startswith(archive.DATABASE):
                    rest = name, stream
                    break
                shutil.copyfileobj(stream, dump)
        if rest is not None:
            self._extract(*rest)
        for name, _, stream in members:
            self._extract(name, stream)
        upgraded = migrate.upgrade(dsn)
        with translated_errors(), psycopg.connect(dsn) as connection:
            if self._trunks_off:
                connection.execute("update trunks set is_active = false where is_active")
            row = connection.execute(
                "select count(*) from trunks where is_active and mode = 'register'"
            ).fetchone()
            self._registering_trunks = int(row[0]) if row else 0
        return upgraded

    def _extract(self, name: str, stream: archive.Readable) -> None:
        if name == archive.SETTINGS:
            text = self._decrypted(stream)
            note = (
                f"# Settings of the installation that was backed up at {self._manifest.created_at}. Not in effect:\n"
                "# copy what you need to trunkline.toml.\n"
            )
            create_once(self._staging / RESTORED_SETTINGS, note.encode() + text, 0o600)
            return
        content = None
        if name.endswith(archive.ENCRYPTED):
            content, name = self._decrypted(stream), name.removesuffix(archive.ENCRYPTED)
        target = self._staging / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(target, "xb", opener=_private) as out:
            if content is None:
                shutil.copyfileobj(stream, out)
            else:
                out.write(content)
        self._files += 1

    def _decrypted(self, stream: archive.Readable) -> bytes:
        try:
            return self._fernet.decrypt(stream.read())
        except InvalidToken as error:
            raise ConfigurationError(
                f"{self._file} has a secret that its key does not decrypt; use another backup"
            ) from error

    def _stage_key(self) -> None:
        # engine.json and control.token authenticate processes of one installation; `trunkline up` makes new ones.
        private_folder(self._staging / "secrets")
        create_once(self._staging / "secrets" / "master.key", self._master_key + b"\n", 0o600)

    def _put_in_place(self) -> Path | None:
        data = self._settings.data
        # Events that wait for the replaced database do not belong to the restored one.
        waiting = self._settings.unwritten_events_dir.name
        names = [*archive.FOLDERS, "secrets", RESTORED_SETTINGS, waiting]
        if self._settings.database_url is None:
            names.append("postgres")
        present = [name for name in names if (data / name).exists()]
        self._marker.touch(mode=0o600)
        previous: Path | None = None
        if present:
            previous = data / f"before-restore-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
            previous.mkdir(mode=0o700)
            for name in present:
                (data / name).rename(previous / name)
        for name in names:
            staged = self._staging / name
            if staged.exists():
                staged.rename(data / name)
        self._marker.unlink()
        return previous


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def _replaced_schema(dsn: str) -> Iterator[None]:
    """An empty schema ``public`` on a server of the operator; the old one comes back when the block fails."""

    def run(*statements: bytes) -> None:
        with translated_errors(), psycopg.connect(dsn) as connection:
            for statement in statements:
                connection.execute(statement)

    with translated_errors(), psycopg.connect(dsn) as connection:
        row = connection.execute("select to_regnamespace('before_restore') is not null").fetchone()
        was_interrupted = bool(row and row[0])
    if was_interrupted:
        run(b"drop schema if exists public cascade", b"alter schema before_restore rename to public")
    run(b"alter schema public rename to before_restore", b"create schema public")
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error):
            run(b"drop schema if exists public cascade", b"alter schema before_restore rename to public")
        raise
    run(b"drop schema before_restore cascade")
