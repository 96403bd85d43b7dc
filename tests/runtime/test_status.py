"""``trunkline status`` shows the running instance, not the settings of the command."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from trunkline.cli import system
from trunkline.cli.status_summary import summary
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.settings import Settings, WebSettings
from trunkline.roles.health import ALIVE_SECONDS
from trunkline.runtime import status
from trunkline.runtime.instance import SILENT_SECONDS
from trunkline.runtime.ports import ports_of
from trunkline.runtime.processes import started_at
from trunkline.runtime.supervisor import STATE_IS_OLD, state_file


def _http_port(settings: Settings) -> int:
    [port] = [one["port"] for one in status.collect(settings)["ports"] if one["setting"] == "web.http_port"]
    assert isinstance(port, int)
    return port


def test_the_ports_are_those_of_the_running_instance(tmp_path: Path) -> None:
    started = Settings(data_dir=tmp_path, web=WebSettings(http_port=8123))
    changed = Settings(data_dir=tmp_path, web=WebSettings(http_port=8124))
    assert _http_port(changed) == 8124
    started.run_dir.mkdir(parents=True)
    state = {
        "pid": os.getpid(),
        "started": started_at(os.getpid()),
        "up": True,
        "ports": [asdict(port) for port in ports_of(started)],
        "services": [],
    }
    state_file(started.run_dir).write_text(json.dumps(state))
    assert _http_port(changed) == 8123


@contextmanager
def _watched(settings: Settings, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that the state file of a running supervisor (this process) has as ready."""
    settings.run_dir.mkdir(parents=True)
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            service = {
                "name": name,
                "state": "ready",
                "pid": process.pid,
                "restarts": 0,
                "version": "1",
                "reason": "",
                "standby": False,
            }
            state = {
                "pid": os.getpid(),
                "started": started_at(os.getpid()),
                "up": True,
                "ports": [],
                "services": [service],
            }
            state_file(settings.run_dir).write_text(json.dumps(state))
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("name", ["worker", "postgres"])
def test_a_stopped_process_is_not_ready(tmp_path: Path, name: str) -> None:
    settings = Settings(data_dir=tmp_path)
    with _watched(settings, name) as process:
        report = status.collect(settings)
        assert (report["up"], name in report["missing"]) == (True, False)
        os.kill(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        report = status.collect(settings)
        assert (report["up"], name in report["missing"]) == (False, True)
        [shown] = report["processes"]
        assert (shown["state"], shown["reason"]) == (
            "not_responding",
            "the process is stopped by a signal",
        )


def test_the_age_of_the_last_report_is_shown_and_an_old_one_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trunkline.runtime.last_report import LastReport

    settings = Settings(data_dir=tmp_path)
    with _watched(settings, "web"):
        last = LastReport(settings.run_dir, "web")
        last.now()
        last.now()
        [shown] = status.collect(settings)["processes"]
        assert shown["state"] == "ready"
        assert 0 <= shown["report_age"] < status.RESPONDS_SECONDS
        now = time.monotonic()
        monkeypatch.setattr("trunkline.runtime.last_report.time.monotonic", lambda: now + 40)
        report = status.collect(settings)
        [shown] = report["processes"]
        assert (shown["state"], report["up"]) == ("not_responding", False)
        assert shown["reason"] == f"no report for {shown['report_age']:.0f} s"
        last.close()
        [shown] = status.collect(settings)["processes"]
        assert (shown["state"], shown["report_age"]) == ("ready", None)


def test_several_reports_fit_into_the_time_after_which_a_role_does_not_respond() -> None:
    assert ALIVE_SECONDS * 3 < status.RESPONDS_SECONDS < SILENT_SECONDS


def test_states_that_cannot_be_written_are_shown_as_old(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with _watched(settings, "worker"):
        assert not status.collect(settings)["states_are_old"]
        os.utime(state_file(settings.run_dir), (STATE_IS_OLD, STATE_IS_OLD))
        report = status.collect(settings)
        assert report["states_are_old"]
        assert any("are old" in line for line in summary({**report, "ports": []}, datetime.now(UTC)))


def test_an_instance_whose_sip_port_is_closed_is_not_up(
    tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    settings = Settings(data_dir=tmp_path)
    [number] = free_ports(1)
    with _watched(settings, "asterisk"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as transport:
        state = json.loads(state_file(settings.run_dir).read_text())
        port = {"setting": "sip.udp_port", "transport": "udp", "address": "127.0.0.1", "number": number}
        state_file(settings.run_dir).write_text(json.dumps({**state, "ports": [port]}))
        assert status.collect(settings)["up"] is False
        transport.bind(("127.0.0.1", number))
        assert status.collect(settings)["up"] is True


@pytest.mark.durability
def test_the_exit_code_of_a_database_that_does_not_respond_is_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk PostgreSQL runs and refuses each new connection."""

    def refused() -> object:
        raise DatabaseUnavailable("the database does not answer")

    settings = Settings(data_dir=tmp_path)
    monkeypatch.setattr(system, "load_settings", lambda: settings)
    monkeypatch.setattr(system, "_switch_status", lambda _: {"live_calls": 0, "registered_lines": 0})
    monkeypatch.setattr(system, "_weak_sip_passwords", list)
    monkeypatch.setattr(system, "_backlog", dict)
    with _watched(settings, "postgres"):
        assert CliRunner().invoke(system.status).exit_code == 0
        monkeypatch.setattr(system, "_backlog", refused)
        shown = CliRunner().invoke(system.status)
        assert shown.exit_code == 3
        assert "is up, and a part of it does NOT work" in shown.output
        found = CliRunner().invoke(system.status, ["--json"])
        assert (found.exit_code, json.loads(found.output)["works"]) == (3, False)
