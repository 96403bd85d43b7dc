"""The data of an instance are not accessible to other users of the machine, and PostgreSQL has a separate user."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from pathlib import Path

import psycopg
import pytest

from trunkline.accounts.model import NewAccount
from trunkline.core.settings import Settings
from trunkline.roles.welcome import FIRST_ACCOUNT, hand_over
from trunkline.runtime import instance, system_user
from trunkline.runtime.logs import RotatingLog
from trunkline.runtime.postgres import SYSTEM_USER, EmbeddedPostgres
from trunkline.runtime.program import Program

pytestmark = pytest.mark.attack

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives PostgreSQL another user")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_data_folder_and_all_in_it_are_private(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder in (data, data / "logs", data / "run"):  # as an older version left them
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
    (data / "logs" / "web.log").touch(0o644)
    before = os.umask(0o022)
    try:
        instance.prepare_data_folder(Settings(data_dir=data))
        RotatingLog(data / "logs" / "web.log").close()
    finally:
        os.umask(before)
    assert mode(data) == mode(data / "logs") == mode(data / "run") == 0o700
    assert mode(data / "logs" / "web.log") == 0o600
    open_to_others = [path for path in data.rglob("*") if mode(path) & 0o077]
    assert open_to_others == []


def test_what_a_child_makes_is_private(tmp_path: Path) -> None:
    program = Program(["/bin/sh", "-c", f"mkdir {tmp_path}/folder; echo 1 > {tmp_path}/folder/file"])
    subprocess.run(program.launch_argv(), env=program.launch_environment(), check=True)
    assert (mode(tmp_path / "folder"), mode(tmp_path / "folder" / "file")) == (0o700, 0o600)


def owner(path: Path) -> str:
    return pwd.getpwuid(path.stat().st_uid).pw_name


@as_root
async def test_root_gives_postgres_a_user_of_its_own(tmp_path: Path) -> None:
    """Two instances side by side; what is private to the data folder does not stop them."""
    tmp_path.chmod(0o700)
    async with (
        EmbeddedPostgres(tmp_path / "one", durable=False) as one,
        EmbeddedPostgres(tmp_path / "two", durable=False) as two,
    ):
        for server in (one, two):
            folder = server.cluster.folder
            pid = int((folder / "postmaster.pid").read_text().splitlines()[0])
            assert owner(folder) == owner(Path(f"/proc/{pid}")) == SYSTEM_USER
            with psycopg.connect(server.dsn) as connection:
                connection.execute("create table t as select 1 as one")


@as_root
async def test_a_database_that_nobody_owned_is_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    async with EmbeddedPostgres(folder, durable=False) as server:
        with psycopg.connect(server.dsn) as connection:
            connection.execute("create table kept as select 42 as answer")
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)
    async with EmbeddedPostgres(folder, durable=False) as server:
        with psycopg.connect(server.dsn) as connection:
            assert connection.execute("select answer from kept").fetchone() == (42,)
    assert {owner(path) for path in (folder, *folder.rglob("*"))} == {SYSTEM_USER}


@as_root
def test_the_user_is_made_once() -> None:
    uid, gid = system_user.ensure(SYSTEM_USER)
    assert system_user.ensure(SYSTEM_USER) == (uid, gid)
    entry = pwd.getpwnam(SYSTEM_USER)
    assert uid not in (0, pwd.getpwnam("nobody").pw_uid)
    assert entry.pw_shell.endswith(("nologin", "false"))


@pytest.mark.parametrize("terminal", [False, True])
def test_secrets_of_the_first_account_are_not_written_to_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.secrets_dir.mkdir()
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    said: list[str] = []
    hand_over(settings, NewAccount(1001, 1, "admin", "the-password", {"call": "the-key"}), said.append)
    path = settings.secrets_dir / FIRST_ACCOUNT
    if terminal:
        assert not path.exists()
        assert "the-password" in "".join(said)
        return
    assert not {"the-password", "the-key"} & set(" ".join(said).split())
    assert str(path) in "".join(said)
    assert mode(path) == 0o600
    assert "password  the-password" in path.read_text()
    assert "call        key the-key\n" in path.read_text()
