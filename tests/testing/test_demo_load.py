"""``trunkline demo load`` with accounts that have a directory, and the folders of ``trunkline demo run``."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from trunkline.cli.demo import demo, temporary_folder
from trunkline.cli.directory import apply
from trunkline.core.errors import DirectoryFileError, InvalidInput
from trunkline.demo import demo_call
from trunkline.directory.files.file import parse

pytestmark = pytest.mark.shells

OWN = "sip_lines: {'0170001': {}}\nemployees: {anna: {last_name: Ivanova, extension: 301}}\n"
END_SECONDS = 60


@pytest.fixture
def accounts(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two empty accounts."""
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path / "data"))
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "insert into accounts (name) values ('Palm'), ('Reed') returning account_id"
        ).fetchall()
    return [row[0] for row in rows]


def load(account_id: int, *options: str) -> str:
    result = CliRunner().invoke(
        demo, ["load", "--account", str(account_id), *options], catch_exceptions=False
    )
    assert result.exit_code == 0
    return result.output


def logins(database: str, account_id: int) -> list[str]:
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "select phone_number from sip_lines where account_id = %s order by 1", (account_id,)
        )
        return [row[0] for row in found.fetchall()]


def test_an_account_with_a_directory_is_changed_only_with_yes(
    database: str, accounts: list[int], tmp_path: Path
) -> None:
    file = tmp_path / "company.yaml"
    file.write_text(OWN)
    CliRunner().invoke(apply, [str(file), "--yes", "--account", str(accounts[0])], catch_exceptions=False)
    assert load(accounts[0], "--dry-run").endswith("nothing was written\n")
    with pytest.raises(InvalidInput, match=r"sip_lines, employees.*--yes"):
        load(accounts[0])
    assert logins(database, accounts[0]) == ["0170001"]
    assert "+ employees.omar" in load(accounts[0], "--yes")
    assert "0160001" in logins(database, accounts[0])
    assert load(accounts[0]).startswith("no changes\n")


def test_each_account_gets_logins_and_numbers_of_its_own(database: str, accounts: list[int]) -> None:
    first, second = accounts
    load(first)
    assert "line 0161001  password" in load(second)
    assert logins(database, first)[0] == "0160001"
    assert logins(database, second)[0] == "0161001"
    assert load(second) == "no changes\n"


def test_the_error_of_a_taken_login_names_login_and_account(accounts: list[int], tmp_path: Path) -> None:
    load(accounts[0])
    file = tmp_path / "company.yaml"
    file.write_text("sip_lines: {'0160001': {}}\n")
    with pytest.raises(DirectoryFileError, match=rf"0160001.*another account \({accounts[0]}\)"):
        CliRunner().invoke(apply, [str(file), "--yes", "--account", str(accounts[1])], catch_exceptions=False)


@pytest.mark.parametrize("series", range(demo_call.SERIES))
def test_names_of_a_series(series: int) -> None:
    login, number = demo_call.of_series("0160004", series), demo_call.of_series(demo_call.NUMBER, series)
    assert (demo_call.series_of(login), demo_call.series_of(number)) == (series, series)
    form = parse(demo_call.company(series), {})
    assert login in form.section("sip_lines")
    assert number in form.section("virtual_numbers")
    assert demo_call.of_series(demo_call.CUSTOMER, series) == demo_call.CUSTOMER


def test_folders_of_ended_and_killed_demonstrations_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed = tmp_path / "trunkline-demo-killed"
    killed.mkdir()
    (killed / "lock").touch()
    with temporary_folder() as folder, temporary_folder() as other:
        assert not killed.exists()
        assert folder.is_dir()
        assert other.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_terminated_demonstration_leaves_no_folder(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from trunkline.cli.demo import _until_terminated, temporary_folder\n"
        "async def work():\n"
        "    print('ready', flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "with temporary_folder():\n"
        "    asyncio.run(_until_terminated(work()))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"TMPDIR": str(tmp_path)},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            assert len(list(tmp_path.iterdir())) == 1
            process.send_signal(signal.SIGTERM)
            assert process.wait(END_SECONDS) != 0
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []
