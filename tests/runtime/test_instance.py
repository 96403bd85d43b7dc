"""An instance from real parts: PostgreSQL, Asterisk and stand-ins for the roles under one supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from trunkline import engine_configuration
from trunkline.core.settings import (
    EngineSettings,
    MailSecurity,
    MailSettings,
    MetricsSettings,
    Settings,
    SipSettings,
    SwitchSettings,
    WebSettings,
)
from trunkline.runtime import instance, postgres, secrets, status
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.instance import Parts, environment_of
from trunkline.runtime.ports import ports_of
from trunkline.runtime.processes import is_alive
from trunkline.runtime.service import ServiceState
from trunkline.runtime.supervisor import Supervisor, sole_instance


def _settings(folder: Path, numbers: list[int]) -> Settings:
    return Settings(
        data_dir=folder / "data",
        sip=SipSettings(udp_port=numbers[0], tcp_port=numbers[1], tls_port=numbers[2], wss_port=numbers[3]),
        engine=EngineSettings(ari_port=numbers[4], ami_port=numbers[5]),
        web=WebSettings(http_port=numbers[6], https_port=numbers[7]),
        switch=SwitchSettings(control_port=numbers[8]),
        metrics=MetricsSettings(switch_port=numbers[9], web_port=numbers[10], worker_port=numbers[11]),
    )


async def _until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen"
        await asyncio.sleep(0.05)


@pytest.mark.engine
async def test_database_and_engine_come_up_are_watched_and_go(
    tmp_path: Path, free_ports: Callable[[int], list[int]], asterisk_install: AsteriskInstall
) -> None:
    settings = _settings(tmp_path, free_ports(12))
    instance.prepare_data_folder(settings)
    migrated: list[str] = []
    parts = Parts(
        migrate=migrated.append,
        configure=lambda: engine_configuration.configure(settings, asterisk_install),
        on_up=lambda: None,
    )
    services = instance.services_of(settings, asterisk_install, parts)[:2]
    supervisor = Supervisor(
        services,
        run_dir=settings.run_dir,
        logs_dir=settings.logs_dir,
        say=lambda _line: None,
        ports=ports_of(settings),
    )
    is_up = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_up() -> None:
        loop.call_soon_threadsafe(is_up.set)

    running = asyncio.create_task(supervisor.run(on_up))
    try:
        await asyncio.wait_for(is_up.wait(), 60)
        assert migrated == [postgres.dsn(settings)]
        login = secrets.load(settings).ari
        assert instance.engine_answers(settings.engine.ari_port, login)
        report = status.collect(settings, {"lag": lambda: 0.1, "lines": lambda: 1 / 0})
        assert report["up"]
        assert [(each["name"], each["state"]) for each in report["processes"]] == [
            ("postgres", "ready"), ("asterisk", "ready"),
        ]  # fmt: skip
        assert {port["setting"]: port["open"] for port in report["ports"]}["engine.ari_port"]
        assert report["lag"] == 0.1
        assert report["lines"] == {"error": "division by zero"}
        assert report["processes"][1]["version"] == asterisk_install.version

        for index in (0, 1):
            before = supervisor.status()[index].pid
            assert before is not None
            os.kill(before, signal.SIGKILL)
            await _until(lambda index=index: supervisor.status()[index].restarts == 1)  # type: ignore[misc]
            await _until(lambda index=index: supervisor.status()[index].state is ServiceState.READY)  # type: ignore[misc]
        with psycopg.connect(postgres.dsn(settings)) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        pids = [each.pid for each in supervisor.status()]
    finally:
        supervisor.request_stop()
        await running
    assert not any(is_alive(pid) for pid in pids if pid)
    assert not status.collect(settings)["running"]


@pytest.mark.engine
def test_the_engine_may_open_many_files(
    tmp_path: Path, free_ports: Callable[[int], list[int]], asterisk_install: AsteriskInstall
) -> None:
    settings = _settings(tmp_path, free_ports(12))
    instance.prepare_data_folder(settings)
    service = instance.engine_service(settings, asterisk_install, lambda: tmp_path)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert service.program().open_files >= min(hard, 100_000)


@pytest.mark.engine
def test_the_engine_resolves_no_names(
    tmp_path: Path, free_ports: Callable[[int], list[int]], asterisk_install: AsteriskInstall
) -> None:
    settings = _settings(tmp_path, free_ports(12))
    instance.prepare_data_folder(settings)
    service = instance.engine_service(settings, asterisk_install, lambda: tmp_path)
    assert service.program().launch_environment()["RES_OPTIONS"] == "attempts:0"


def test_children_get_exactly_the_settings_of_their_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        data_dir=tmp_path / "d", database_port=1234, log_json=True,
        sip=SipSettings(udp_port=5999, external_address="192.0.2.7", local_networks=["10.0.0.0/8"]),
        web=WebSettings(trusted_proxies=["192.0.2.0/24", "2001:db8::/32"]),
        mail=MailSettings(host="mail.example.com", security=MailSecurity.TLS, password=SecretStr("a 'word")),
    )  # fmt: skip
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)
    empty = tmp_path / "empty.toml"
    empty.touch()
    monkeypatch.setenv("TRUNKLINE_CONFIG", str(empty))
    again = Settings()
    assert again.model_dump(exclude={"runtime_dir"}) == settings.model_dump(exclude={"runtime_dir"})


def test_a_role_is_recognised_by_its_own_word_only(tmp_path: Path) -> None:
    is_ready = instance.role_service(Settings(data_dir=tmp_path), "web").is_ready_line
    assert is_ready is not None
    assert is_ready(json.dumps({"ready": "web"}))
    assert not is_ready(json.dumps({"ready": "switch"}))
    assert not is_ready('{"ready": ')
    assert not is_ready("web is ready")


def test_two_instances_do_not_meet(tmp_path: Path) -> None:
    with sole_instance(tmp_path / "a" / "run"), sole_instance(tmp_path / "b" / "run"):
        pass


def test_the_state_of_a_dead_supervisor_is_not_believed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.run_dir.mkdir(parents=True)
    note = {"pid": os.getpid(), "started": 1, "up": True, "services": []}
    (settings.run_dir / "supervisor.json").write_text(json.dumps(note))
    report = status.collect(settings)
    assert not report["running"]
    assert not report["up"]
