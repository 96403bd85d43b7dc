"""``trunkline backup`` and ``trunkline restore`` on databases of their own, without Asterisk."""

from __future__ import annotations

import gc
import json
import os
import stat
import subprocess
import sys
from dataclasses import replace as replaced
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet
from psycopg import sql

from trunkline.backup import archive
from trunkline.backup.make import make
from trunkline.backup.restore import RESTORED_SETTINGS, restore
from trunkline.cli.backup import backup as backup_command
from trunkline.cli.backup import restore as restore_command
from trunkline.core.errors import ConfigurationError, DatabaseUnavailable
from trunkline.core.settings import Settings, SipSettings
from trunkline.db import migrate
from trunkline.runtime import instance, secrets
from trunkline.runtime.instance import RESTORE_MARKER
from trunkline.runtime.postgres import EmbeddedPostgres
from trunkline.runtime.supervisor import sole_instance

pytestmark = pytest.mark.shells

SOUND = bytes(range(256)) * 8000
"""Larger than the chunks in which files are read."""


def _installation(folder: Path, dsn: str | None) -> Settings:
    settings = Settings(data_dir=folder, database_url=dsn, sip=SipSettings(udp_port=5071))
    instance.prepare_data_folder(settings)
    return settings


@pytest.fixture
def source(database: str, tmp_path: Path) -> Settings:
    """An installation with two accounts, a recording, a media file and raw sound of a call."""
    settings = _installation(tmp_path / "one", database)
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (name) values ('Palm'), ('Harbour %s \\ \"quoted\"')")
    for path in ("recordings/1001/2026/11/a.wav", "media/ab/greeting.wav", "spool/42/leg.sln"):
        target = settings.data / path
        target.parent.mkdir(parents=True)
        target.write_bytes(SOUND)
    return settings


def _rows(dsn: str) -> dict[str, list[Any]]:
    tables = "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"
    with psycopg.connect(dsn) as connection:
        return {
            name: connection.execute(
                sql.SQL("select t::text from {} t order by 1").format(sql.Identifier(name))
            ).fetchall()
            for (name,) in connection.execute(tables).fetchall()
        }


def _security(dsn: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        policies = "select polrelid::regclass::text, polname, polroles::regrole[]::text[] from pg_policy order by 1, 2"
        grants = (
            "select relname, relacl::text, relrowsecurity, relforcerowsecurity from pg_class"
            " where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') order by 1"
        )
        return [connection.execute(policies).fetchall(), connection.execute(grants).fetchall()]


def _backed_up(settings: Settings, folder: Path) -> tuple[Path, Path]:
    file, key = folder / "backup.tar", folder / "backup.key"
    make(settings, file, key)
    return file, key


def test_another_installation_gets_all_rows_and_files(
    source: Settings, empty_database: str, tmp_path: Path
) -> None:
    assert source.database_url is not None
    file, key = _backed_up(source, tmp_path)
    target = Settings(data_dir=tmp_path / "two", database_url=empty_database)
    result = restore(target, file, key, replace=False)
    assert result.files == 6
    assert result.upgraded == []
    assert result.previous is None
    assert _rows(empty_database) == _rows(source.database_url)
    assert _security(empty_database) == _security(source.database_url)
    for path in ("recordings/1001/2026/11/a.wav", "media/ab/greeting.wav", "spool/42/leg.sln"):
        assert (target.data / path).read_bytes() == SOUND
        assert stat.S_IMODE((target.data / path).stat().st_mode) == 0o600
    for name in ("trunkline.crt", "trunkline.key"):
        assert (target.certificates_dir / name).read_bytes() == (source.certificates_dir / name).read_bytes()
    assert secrets.ensure(target).master_key == secrets.load(source).master_key
    assert secrets.load(target).control_token != secrets.load(source).control_token
    assert "[sip]\nudp_port = 5071\n" in (target.data / RESTORED_SETTINGS).read_text()
    assert not (target.data / RESTORE_MARKER).exists()
    assert not (source.data / "backup-spool").exists()


def test_the_files_are_private_and_the_secrets_encrypted(source: Settings, tmp_path: Path) -> None:
    file, key = _backed_up(source, tmp_path)
    for path in (file, key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert secrets.load(source).master_key not in content
    assert b"PRIVATE KEY" not in content
    assert SOUND in content
    assert key.read_bytes().strip() == secrets.load(source).master_key


def test_an_embedded_server_that_is_stopped_is_backed_up_and_restored(
    source: Settings, tmp_path: Path
) -> None:
    assert source.database_url is not None
    file, key = _backed_up(source, tmp_path)
    embedded = Settings(data_dir=tmp_path / "two")
    restore(embedded, file, key, replace=False)
    again, third = tmp_path / "again.tar", Settings(data_dir=tmp_path / "three")
    make(embedded, again, None)
    restore(third, again, key, replace=False)
    server = EmbeddedPostgres(third.postgres_dir)
    server.start()
    try:
        assert _rows(server.dsn) == _rows(source.database_url)
    finally:
        server.stop()


def test_restore_needs_the_key_of_the_backup(source: Settings, empty_database: str, tmp_path: Path) -> None:
    file, _ = _backed_up(source, tmp_path)
    target = Settings(data_dir=tmp_path / "two", database_url=empty_database)
    with pytest.raises(ConfigurationError, match=r"give --key FILE.*secrets/master\.key"):
        restore(target, file, None, replace=False)
    other = tmp_path / "other.key"
    other.write_bytes(Fernet.generate_key())
    with pytest.raises(ConfigurationError, match="not the key of this backup"):
        restore(target, file, other, replace=False)
    assert _rows(empty_database) == {}


def test_the_key_file_of_another_installation_is_kept(source: Settings, tmp_path: Path) -> None:
    key = tmp_path / "other.key"
    key.write_bytes(b"something else")
    with pytest.raises(ConfigurationError, match="not the key of this installation"):
        make(source, tmp_path / "backup.tar", key)
    assert key.read_bytes() == b"something else"
    assert not (tmp_path / "backup.tar").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_part_of_a_backup_is_refused(
    source: Settings, empty_database: str, tmp_path: Path, share: float
) -> None:
    file, key = _backed_up(source, tmp_path)
    os.truncate(file, int(file.stat().st_size * share))
    target = Settings(data_dir=tmp_path / "two", database_url=empty_database)
    with pytest.raises(ConfigurationError, match="not a complete backup"):
        restore(target, file, key, replace=False)
    assert _rows(empty_database) == {}
    assert not target.recordings_dir.exists()


def test_a_changed_byte_is_refused(source: Settings, tmp_path: Path) -> None:
    file, key = _backed_up(source, tmp_path)
    content = bytearray(file.read_bytes())
    content[content.index(SOUND) + 5] ^= 1
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match="digest"):
        restore(Settings(data_dir=tmp_path / "two"), file, key, replace=False)


def test_data_is_replaced_only_when_asked_for_and_kept(source: Settings, tmp_path: Path) -> None:
    assert source.database_url is not None
    file, key = _backed_up(source, tmp_path)
    before = _rows(source.database_url)
    with psycopg.connect(source.database_url) as connection:
        connection.execute("insert into accounts (name) values ('Later')")
    (source.recordings_dir / "later.wav").write_bytes(b"later")
    source.unwritten_events_dir.mkdir()
    (source.unwritten_events_dir / "1-1.events").write_bytes(b"of the replaced database")
    with pytest.raises(ConfigurationError, match="--replace"):
        restore(source, file, key, replace=False)
    assert (source.recordings_dir / "later.wav").exists()
    result = restore(source, file, key, replace=True)
    assert result.previous is not None
    assert _rows(source.database_url) == before
    assert not (source.recordings_dir / "later.wav").exists()
    assert not source.unwritten_events_dir.exists()
    assert (Path(result.previous) / "recordings" / "later.wav").read_bytes() == b"later"


def test_a_restore_that_fails_changes_nothing(source: Settings, tmp_path: Path) -> None:
    assert source.database_url is not None
    file, key = tmp_path / "backup.tar", tmp_path / "backup.key"
    key.write_bytes(secrets.load(source).master_key)
    with archive.new_file(file) as stream:
        writer = archive.Writer(stream)
        writer.add_manifest(
            archive.Manifest(1, "0", migrate.newest(), archive.fingerprint(key.read_bytes()), "2026-11-21")
        )
        writer.add_bytes("database/00000000", b"PGDMP is all that is right in this dump")
        writer.finish()
    before = _rows(source.database_url)
    with pytest.raises(ConfigurationError, match="pg_restore failed"):
        restore(source, file, key, replace=True)
    assert _rows(source.database_url) == before
    assert (source.recordings_dir / "1001/2026/11/a.wav").read_bytes() == SOUND
    assert not (source.data / RESTORE_MARKER).exists()


def test_a_backup_of_a_newer_version_is_refused(source: Settings, tmp_path: Path) -> None:
    key = secrets.load(source).master_key
    (tmp_path / "key").write_bytes(key)
    manifest = archive.Manifest(1, "99.0", "9999", archive.fingerprint(key), "2026-11-21")
    for name, one in (("schema", manifest), ("format", replaced(manifest, format=99))):
        with archive.new_file(tmp_path / name) as stream:
            writer = archive.Writer(stream)
            writer.add_manifest(one)
            writer.finish()
        with pytest.raises(ConfigurationError, match=r"made by Trunkline 99\.0.*install that version"):
            restore(Settings(data_dir=tmp_path / "two"), tmp_path / name, tmp_path / "key", replace=False)


@pytest.mark.parametrize(
    "name", ["media/../../outside", "/etc/passwd", "media//x", "logs/x", "secrets/master.key"]
)
def test_members_outside_of_the_known_folders_are_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / "backup.tar"
    with archive.new_file(file) as stream:
        writer = archive.Writer(stream)
        writer.add_manifest(archive.Manifest(1, "0", "0001", "", ""))
        writer.add_bytes(name, b"x")
        writer.finish()
    with pytest.raises(ConfigurationError, match="unexpected member"):
        archive.verify(file)


def test_a_killed_backup_leaves_the_previous_one(source: Settings, tmp_path: Path) -> None:
    file, key = _backed_up(source, tmp_path)
    complete = file.read_bytes()
    # The process is killed after it has written the database and a part of the files.
    script = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from trunkline.backup import archive, make\n"
        "from trunkline.core.settings import Settings\n"
        "def killed(self, name, path):\n"
        "    self.add_bytes(name, bytes(8 << 20))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "archive.Writer.add_file = killed\n"
        "make.make(Settings(), Path(sys.argv[1]), None)\n"
    )
    environment = {**os.environ, **instance.environment_of(source)}
    process = subprocess.run([sys.executable, "-c", script, str(file)], env=environment, check=False)
    assert process.returncode == -9
    assert file.read_bytes() == complete
    [partial] = [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]
    assert partial.stat().st_size > 4 << 20
    with pytest.raises(ConfigurationError, match="not a complete backup"):
        archive.verify(partial)
    make(source, file, key)
    assert not partial.exists()
    assert archive.verify(file).revision == migrate.newest()


def test_an_interrupted_restore_prevents_the_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    (tmp_path / RESTORE_MARKER).touch()
    with pytest.raises(ConfigurationError, match="interrupted; run `trunkline restore` with --replace"):
        instance.run(settings, None, None, print)  # type: ignore[arg-type]


def test_a_file_that_changes_meanwhile_keeps_the_size_of_its_header(tmp_path: Path) -> None:
    grown, file = tmp_path / "grown.sln", tmp_path / "backup.tar"
    grown.write_bytes(b"x" * 10)

    class Growing(archive.Writer):
        def _put(self, name: str, size: int, stream: Any, changed: int) -> None:
            grown.write_bytes(b"y" * (5 if name == "spool/short" else 50))
            super()._put(name, size, stream, changed)

    with archive.new_file(file) as stream:
        writer = Growing(stream)
        writer.add_manifest(archive.Manifest(1, "0", "0001", "", ""))
        writer.add_file("spool/long", grown)
        writer.add_file("spool/short", grown)
        writer.add_file("spool/gone", tmp_path / "gone")
        writer.finish()
    sizes = {name: (size, len(content.read())) for name, size, content in archive.members(file)}
    assert sizes["spool/long"] == (50, 50)  # the manifest's member had changed it before
    assert sizes["spool/short"] == (50, 50)
    assert set(sizes) == {"manifest.json", "spool/long", "spool/short"}


def test_a_script_gets_one_object(source: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in instance.environment_of(source).items():
        monkeypatch.setenv(name, value)
    arguments = [str(tmp_path / "b.tar"), "--key", str(tmp_path / "b.key"), "--json"]
    made = json.loads(CliRunner().invoke(backup_command, arguments, catch_exceptions=False).output)
    assert made["files"] == 6
    assert made["files_size"] > 3 * len(SOUND)
    assert made["revision"] == migrate.newest()


@pytest.mark.parametrize("trunks_off", [True, False])
def test_a_copy_next_to_the_original_takes_no_registrations(
    source: Settings, empty_database: str, tmp_path: Path, trunks_off: bool
) -> None:
    assert source.database_url is not None
    with psycopg.connect(source.database_url) as connection:
        connection.execute(
            "insert into trunks (account_id, key, name, mode, host, username)"
            " select account_id, 'carrier', 'carrier', 'register', 'sip.example', 'u' from accounts where name = 'Palm'"
        )
    file, key = _backed_up(source, tmp_path)
    environment = {"TRUNKLINE_DATA_DIR": str(tmp_path / "two"), "TRUNKLINE_DATABASE_URL": empty_database}
    options = ["--trunks-off"] if trunks_off else []
    result = CliRunner().invoke(
        restore_command, [str(file), "--key", str(key), *options], env=environment, catch_exceptions=False
    )
    assert result.exit_code == 0
    assert ("1 trunks register at their carriers" in result.output) is not trunks_off
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("select is_active from trunks").fetchall() == [(not trunks_off,)]


def test_a_backup_that_fails_leaves_no_error_of_its_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when PostgreSQL is killed meanwhile: the stream of the archive is closed before tarfile's."""
    ignored: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)

    def fail() -> None:
        with (tmp_path / "file").open("wb") as stream, archive.Writer(stream) as writer:
            writer.add_bytes("name", b"content")
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail()
    gc.collect()
    assert ignored == []


def test_a_backup_while_the_database_of_a_running_installation_does_not_answer_can_be_repeated(
    source: Settings, tmp_path: Path
) -> None:
    """Another exit status than that of wrong settings: the database starts again by itself."""
    settings = Settings(data_dir=source.data)
    settings.postgres_dir.mkdir(parents=True, exist_ok=True)
    (settings.postgres_dir / "PG_VERSION").write_text("16\n")
    with sole_instance(settings.run_dir), pytest.raises(DatabaseUnavailable, match="trunkline status"):
        make(settings, tmp_path / "backup", None)
