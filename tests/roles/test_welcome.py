"""What ``trunkline up`` prints when all processes are ready."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from trunkline.accounts.first import ensure_first_account
from trunkline.accounts.model import NewAccount
from trunkline.cli import system
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.settings import Settings, SipSettings
from trunkline.db.pool import Database
from trunkline.roles import welcome as module
from trunkline.roles.welcome import welcome
from trunkline.runtime.asterisk import AsteriskInstall, Origin


def test_it_is_not_ready_while_a_sip_port_is_closed(
    database: str,
    tmp_path: Path,
    free_ports: Callable[[int], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "OPEN_SECONDS", 0.3)
    [number] = free_ports(1)
    sip = SipSettings(udp_port=number, tcp_port=0, tls_port=0, wss_port=0)
    settings = Settings(data_dir=tmp_path, database_url=database, sip=sip)
    settings.secrets_dir.mkdir(parents=True)
    said: list[str] = []
    welcome(settings, said.append)
    assert said[0].startswith(
        f"NOT READY for phones: Asterisk has not opened sip.udp_port (UDP {number}); see "
    )
    assert "phones at" not in said[0]
    assert f"Console at http://127.0.0.1:{settings.web.http_port}/" in said[0]
    said.clear()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as transport:
        transport.bind(("0.0.0.0", number))
        welcome(settings, said.append)
    assert said[0].endswith(f"; phones at SIP port {number} (UDP)")


def test_the_line_begins_with_its_first_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script waits for ``^Ready``."""
    monkeypatch.setattr(module, "welcome", lambda _settings, say: say("Ready. Console"))
    install = AsteriskInstall((), tmp_path, tmp_path, "22", Origin.SYSTEM)
    system._parts(Settings(data_dir=tmp_path), install).on_up()
    assert capsys.readouterr().out == "Ready. Console\n"


def test_a_postgresql_that_is_killed_in_this_moment_is_waited_for(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The product stopped, because its last step failed."""
    monkeypatch.setattr(module, "OPEN_SECONDS", 0.0)
    settings = Settings(data_dir=tmp_path, database_url=database)
    settings.secrets_dir.mkdir(parents=True)
    failures = 2

    async def killed(db: Database) -> NewAccount | None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise DatabaseUnavailable("PostgreSQL does not answer")
        return await ensure_first_account(db)

    monkeypatch.setattr(module, "ensure_first_account", killed)
    said: list[str] = []
    welcome(settings, said.append)
    assert said[0] == "waiting for PostgreSQL: PostgreSQL does not answer"
    assert len([line for line in said if line.startswith("waiting")]) == 1
    assert any("Console at" in line for line in said)
