"""The embedded PostgreSQL, for real: as root and ordinary user, after crashes, in awkward folders."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from pathlib import Path

import psycopg
import pytest

from trunkline.core.errors import SetupError
from trunkline.core.settings import Settings
from trunkline.runtime import postgres
from trunkline.runtime.postgres import Cluster, EmbeddedPostgres
from trunkline.runtime.processes import is_alive, wait_gone

pytestmark = pytest.mark.shells


def _server_pid(server: EmbeddedPostgres) -> int:
    return int((server.cluster.folder / "postmaster.pid").read_text().splitlines()[0])


def _value(dsn: str, query: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


async def test_data_outlives_the_server(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        with psycopg.connect(server.dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        pid = _server_pid(server)
    assert not is_alive(pid)
    async with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        assert _value(server.dsn, "SELECT answer FROM kept") == 42
        assert _value(server.dsn, "SHOW timezone") == "UTC"


async def test_committed_rows_survive_kill_9_and_left_over_processes_do_not_hinder(tmp_path: Path) -> None:
    first = EmbeddedPostgres(tmp_path / "pg")
    first.start()
    try:
        assert _value(first.dsn, "SHOW fsync") == "on"
        with psycopg.connect(first.dsn) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        pid = _server_pid(first)
        os.kill(pid, signal.SIGKILL)
        assert first._process is not None
        first._process.wait(10)
        async with EmbeddedPostgres(tmp_path / "pg") as second:
            assert _server_pid(second) != pid
            assert _value(second.dsn, "SELECT answer FROM kept") == 42
    finally:
        first.stop()


async def test_a_server_left_over_by_a_dead_supervisor_is_replaced(tmp_path: Path) -> None:
    first = EmbeddedPostgres(tmp_path / "pg", durable=False)
    first.start()
    try:
        async with EmbeddedPostgres(tmp_path / "pg", durable=False) as second:
            assert first._process is not None
            assert first._process.wait(10) is not None
            assert _value(second.dsn, "SELECT 1") == 1
    finally:
        first.stop()


async def test_a_pid_that_now_belongs_to_somebody_else_is_forgotten(tmp_path: Path) -> None:
    async with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        words = (server.cluster.folder / "postmaster.pid").read_text().splitlines()
    words[0] = str(os.getpid())
    (tmp_path / "pg" / "postmaster.pid").write_text("\n".join(words))
    async with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        assert _value(server.dsn, "SELECT 1") == 1


async def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "pg"
    cluster = Cluster(folder)
    assert len(os.fsencode(cluster.socket_dir / ".s.PGSQL.65535")) <= 107
    async with EmbeddedPostgres(folder, durable=False) as server:
        assert _value(server.dsn, "SELECT 1") == 1
        assert stat.S_IMODE(server.cluster.socket_dir.stat().st_mode) == 0o700
    server.cluster.socket_dir.rmdir()


async def test_the_tcp_port_wants_the_password(tmp_path: Path, free_ports: object) -> None:
    port = free_ports(1)[0]  # type: ignore[operator]
    async with EmbeddedPostgres(tmp_path / "pg", port=port, durable=False) as server:
        over_tcp = f"host=127.0.0.1 port={port} user=trunkline dbname=trunkline"
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"{over_tcp} password=wrong")
        password = (tmp_path / "pg" / "trunkline.password").read_text().strip()
        assert _value(f"{over_tcp} password={password}", "SELECT 1") == 1
        assert _value(server.dsn, "SELECT 1") == 1


def test_another_version_of_the_data_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "PG_VERSION").write_text("16\n")
    with pytest.raises(SetupError, match="made by PostgreSQL 16"):
        Cluster(tmp_path / "pg").prepare()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pg").mkdir()
    (tmp_path / "pg" / "thesis.txt").write_text("mine")
    with pytest.raises(SetupError, match="neither empty nor a database"):
        Cluster(tmp_path / "pg").prepare()
    assert (tmp_path / "pg" / "thesis.txt").read_text() == "mine"


async def test_an_interrupted_creation_starts_afresh(tmp_path: Path) -> None:
    (tmp_path / "pg.new").mkdir()
    (tmp_path / "pg.new" / "PG_VERSION").write_text("half")
    async with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        assert _value(server.dsn, "SELECT 1") == 1
    assert not (tmp_path / "pg.new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody else to become")
async def test_root_runs_it_as_somebody_else_even_below_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    async with EmbeddedPostgres(closed / "pg", durable=False) as server:
        status = Path(f"/proc/{_server_pid(server)}").stat()
        assert status.st_uid != 0
        assert _value(server.dsn, "SELECT current_user::text") == "trunkline"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has somebody else to become")
async def test_root_runs_it_also_when_the_programs_lie_below_a_closed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = postgres.binaries().parents[1]
    shutil.copytree(package.parent / f"{package.name}.libs", closed / f"{package.name}.libs")
    shutil.copytree(postgres.binaries().parent, closed / package.name / postgres.binaries().parent.name)
    moved = closed / package.name / postgres.binaries().relative_to(package)
    monkeypatch.setattr(postgres, "binaries", lambda: moved)
    async with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        assert _value(server.dsn, "SELECT 1") == 1


async def test_it_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    ready, written = os.pipe()
    child = os.fork()
    if child == 0:
        server = EmbeddedPostgres(tmp_path / "pg", durable=False)
        server.start()
        os.write(written, str(_server_pid(server)).encode())
        signal.pause()
        os._exit(0)
    os.close(written)
    pid = int(os.read(ready, 20))
    os.close(ready)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert wait_gone(pid, 10)


def test_the_dsn_is_the_admins_when_he_gives_one(tmp_path: Path) -> None:
    own = Settings(data_dir=tmp_path, database_url="postgresql://db.example/pbx")
    assert postgres.dsn(own) == "postgresql://db.example/pbx"
    assert postgres.cluster_of(own) is None
    assert str(tmp_path).split("/")[-1] in postgres.dsn(Settings(data_dir=tmp_path))


async def test_a_kill_leaves_little_to_replay(tmp_path: Path) -> None:
    """PostgreSQL replays at most about half of ``max_wal_size``; all processes wait meanwhile."""
    async with EmbeddedPostgres(tmp_path / "pg", durable=False) as server:
        query = "select setting::int from pg_settings where name = 'max_wal_size'"
        assert _value(server.dsn, query) == 256, "MB"


def test_settings_of_former_versions_are_replaced_and_others_kept(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "pg", durable=False)
    cluster.prepare()
    file = cluster.folder / "postgresql.conf"
    owner = (file.stat().st_uid, file.stat().st_mode)
    shipped = file.read_text().replace(postgres._RENEWED, "")
    former = shipped.replace("max_wal_size = 256MB", "max_wal_size = 2GB")
    assert former != shipped
    file.write_text(former.replace("checkpoint_timeout = 5min", "checkpoint_timeout = 15min\t# a comment"))
    cluster.prepare()
    assert "\nmax_wal_size = 256MB" in file.read_text()
    assert "\ncheckpoint_timeout = 5min\t# a comment" in file.read_text()
    assert (file.stat().st_uid, file.stat().st_mode) == owner
    own = shipped.replace("max_wal_size = 256MB", "max_wal_size = 4GB")
    file.write_text(own)
    cluster.prepare()
    assert file.read_text().replace(postgres._RENEWED, "").rstrip() == own.rstrip()
    again = file.read_text().replace("max_wal_size = 4GB", "max_wal_size = 2GB")
    file.write_text(again)
    cluster.prepare()
    assert file.read_text() == again, "the administrator may choose a former value"
