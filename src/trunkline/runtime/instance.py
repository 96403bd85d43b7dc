"""One instance on one machine: which services it is made of, and running them.

Functions that depend on the database schema, Asterisk's configuration or the roles are in higher layers and are passed in
as :class:`Parts`.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel, SecretStr

from trunkline import __version__
from trunkline.core.disk import folders_of
from trunkline.core.engine_values import DISK_FULL
from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings
from trunkline.core.spool import mark_spool
from trunkline.runtime import (
    certificates,
    engine_database,
    handshakes,
    listen_queue,
    postgres,
    secrets,
    sip_connections,
)
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.background_ask import BackgroundAsk
from trunkline.runtime.files import PRIVATE, private_folder
from trunkline.runtime.full_disk import FullDiskGuard
from trunkline.runtime.logs import RotatingLog
from trunkline.runtime.ports import check_free, media_ports, ports_of
from trunkline.runtime.priority import NICENESS
from trunkline.runtime.program import Program
from trunkline.runtime.secrets import Login
from trunkline.runtime.service import Report, Service
from trunkline.runtime.supervisor import Say, Supervisor, sole_instance

ROLES = ("switch", "web", "worker")
"""In the order of their start."""

SUPERVISED = "TRUNKLINE_SUPERVISED"
"""Environment variable of a role whose reports the supervisor reads."""

DATABASE, ENGINE = "postgres", "asterisk"
_ENGINE_OPEN_FILES = 200_000
_ROLE_OPEN_FILES = 65_536
_STANDBYS = frozenset({"switch"})
"""Roles whose restart callers wait for. A standby takes memory, so the others have none."""
_READY_SECONDS, _NICE_READY_SECONDS = 60, 240
"""Until the first report of a process. One with low priority starts slowly on a busy machine; killing it would only delay it
more. A process that reports is not killed, however long it is not ready."""


@dataclass(frozen=True)
class Parts:
    """What is handed in from above.

    :ivar migrate: brings the database behind a URI to the newest schema. Blocks.
    :ivar configure: writes Asterisk's configuration and returns the path of its ``asterisk.conf``; called
        before every start of Asterisk.
    :ivar on_up: called when all services are ready.
    """

    migrate: Callable[[str], object]
    configure: Callable[[], Path]
    on_up: Callable[[], None]


RESTORE_MARKER = "restore.incomplete"
"""File of the data folder that exists while ``trunkline restore`` replaces its content."""

SILENT_SECONDS = 120.0
"""A role whose event loop does not run for this time is killed and restarted: many times its longest pause."""


def prepare_data_folder(settings: Settings) -> None:
    """Make the folders, secrets and certificate that an instance must have before anything starts."""
    for folder in (
        settings.data,
        settings.run_dir,
        settings.logs_dir,
        settings.spool_dir,
        settings.recordings_dir,
        settings.media_dir,
        settings.uploads_dir,
        settings.certificates_dir,
        settings.asterisk_dir,
    ):
        private_folder(folder)
    mark_spool(settings)
    secrets.ensure(settings)
    certificates.ensure(settings)


def run(settings: Settings, install: AsteriskInstall, parts: Parts, say: Say) -> None:
    """Run the instance until a stopping signal. Everything is stopped when this returns or raises.

    :class:`~trunkline.core.errors.ConfigurationError` when it runs already, a port is taken, or a part
    cannot be brought up.
    """
    os.umask(PRIVATE)
    with sole_instance(settings.run_dir):
        _check_restored(settings)
        prepare_data_folder(settings)
        say = _also_to_log(say, RotatingLog(settings.logs_dir / "supervisor.log"))
        supervisor = Supervisor(
            services_of(settings, install, parts, say),
            run_dir=settings.run_dir,
            logs_dir=settings.logs_dir,
            say=say,
            ports=ports_of(settings),
        )
        supervisor.end_left_over()
        check_free(ports_of(settings))
        if settings.database_url is not None:
            parts.migrate(settings.database_url)
        with media_ports(settings) as overlaps:
            for sentence in overlaps:
                say(f"warning: {sentence}")
            asyncio.run(_supervise(supervisor, settings, parts, say))


async def _supervise(supervisor: Supervisor, settings: Settings, parts: Parts, say: Say) -> None:
    guard = FullDiskGuard(
        folders_of(settings),
        settings.disk,
        lambda value: set_disk_full(settings.engine.ari_port, secrets.load(settings).ari, value),
        say,
        reserve=lambda: engine_database.reserve(settings.asterisk_dir / "db"),
    )
    guarding = asyncio.create_task(guard.run())
    try:
        await supervisor.run(parts.on_up)
    finally:
        guarding.cancel()


def _check_restored(settings: Settings) -> None:
    if (settings.data / RESTORE_MARKER).exists():
        raise ConfigurationError(
            f"a restore into {settings.data} was interrupted; run `trunkline restore` with --replace again. What was there "
            "before is in its folder before-restore-..."
        )


def services_of(
    settings: Settings, install: AsteriskInstall, parts: Parts, say: Say = lambda _: None
) -> list[Service]:
    """The services of an instance in the order of their start."""
    cluster = postgres.cluster_of(settings)
    services = [] if cluster is None else [database_service(cluster, parts.migrate)]
    services.append(engine_service(settings, install, parts.configure, say))
    # Our own processes take the longest to start; those that do not need the engine do not wait for it.
    database = [] if cluster is None else [DATABASE]
    needs = {"switch": [*database, ENGINE]}
    services += [role_service(settings, role, needs.get(role, database)) for role in ROLES]
    return services


def database_service(cluster: postgres.Cluster, migrate: Callable[[str], object]) -> Service:
    """The embedded PostgreSQL, migrated once it runs."""
    return Service(
        name=DATABASE,
        program=cluster.program,
        prepare=cluster.prepare,
        probe=cluster.is_ready,
        once_ready=lambda: _ignore(migrate(cluster.dsn)),
        may_start_slowly=True,
        stop_signal=postgres.STOP_SIGNAL,
        stop_seconds=30,
        version=_postgres_version(),
    )


def engine_service(
    settings: Settings, install: AsteriskInstall, configure: Callable[[], Path], say: Say = lambda _: None
) -> Service:
    """Asterisk on the configuration that ``configure`` writes."""
    login = secrets.load(settings).ari
    configuration = settings.asterisk_dir / "asterisk.conf"

    def prepare() -> None:
        nonlocal configuration
        configuration = configure()
        if (problem := engine_database.prepare(settings.asterisk_dir / "db")) is not None:
            say(f"warning: {problem}")

    return Service(
        name=ENGINE,
        program=lambda: Program(
            install.command("-f", "-n", "-C", str(configuration)),
            environment=install.environment,
            open_files=_ENGINE_OPEN_FILES,
        ),
        prepare=prepare,
        probe=lambda: engine_answers(settings.engine.ari_port, login),
        each_ready=lambda pid: guard_ports(pid, settings, say),
        stop_seconds=20,
        limits_lines=True,
        version=install.version,
    )


def guard_ports(pid: int, settings: Settings, say: Say = lambda _: None) -> str | None:
    """Apply what the engine has no setting for: long listen queues, a deadline for handshakes, limits on connections."""
    sip = settings.sip
    ports = sip_connections.Ports(sip.tcp_port, sip.tls_port, sip.wss_port)
    limits = sip_connections.Limits(
        sip.tcp_connections_per_address, sip.tls_connections_per_address, sip.connections
    )
    try:
        listen_queue.lengthen(pid)
        handshakes.watch(pid, {port for port in (ports.tls, ports.wss) if port})
    except OSError as error:
        return (
            f"listen queues stay short, and TLS handshakes have no deadline ({error.strerror}); "
            "stalled connections can block SIP over TCP and TLS"
        )
    ask = BackgroundAsk(
        sip_connections.asking(settings.switch.control_url, secrets.load(settings).control_token)
    )
    try:
        sip_connections.watch(pid, ports, limits, ask, settings.data / "sip-bans.json", say)
    except OSError as error:
        return f"connections to the SIP ports have no limit ({error.strerror}); one client can block SIP over TCP and TLS"
    return None


def role_service(settings: Settings, role: str, needs: Sequence[str] = ()) -> Service:
    """A role of Trunkline.

    On its output it reports ``{"ready": "<role>"}`` when it is, ``{"not_ready": "<role>", "reason": "..."}`` when it
    can no longer do its work, and ``{"alive": "<role>"}`` every few seconds.
    """

    def report_of(line: str) -> Report | None:
        if not line.startswith(('{"ready"', '{"not_ready"', '{"alive"')):
            return None
        try:
            message = json.loads(line)
        except ValueError:
            return None
        if message.get("ready") == role:
            return Report(ready=True)
        if message.get("not_ready") == role:
            return Report(ready=False, reason=str(message.get("reason", "")))
        return Report(ready=None) if message.get("alive") == role else None

    def says_ready(line: str) -> bool:
        report = report_of(line)
        return report is not None and report.ready is True

    return Service(
        name=role,
        needs=needs,
        program=lambda: Program(
            [sys.executable, "-m", "trunkline.roles", role],
            environment={**environment_of(settings), SUPERVISED: "1"},
            open_files=_ROLE_OPEN_FILES,
            # A role that is asked to stop would first wait for a database that ends at the same moment.
            death_signal=signal.SIGKILL,
        ),
        is_ready_line=says_ready,
        report_of=report_of,
        silent_seconds=SILENT_SECONDS,
        ready_seconds=_NICE_READY_SECONDS if role in NICENESS else _READY_SECONDS,
        version=__version__,
        has_standby=role in _STANDBYS,
    )


def engine_answers(port: int, login: Login) -> bool:
    """Whether the Asterisk on this loopback port is fully up."""
    try:
        return _ask_engine("GET", "/ari/asterisk/ping", port, login) == http.HTTPStatus.OK
    except OSError:
        return False


def set_disk_full(port: int, login: Login, value: str) -> None:
    """Set the variable of the dialplan. Blocks.

    :raises OSError: Asterisk does not respond, or refuses.
    """
    path = f"/ari/asterisk/variable?{urlencode({'variable': DISK_FULL, 'value': value})}"
    status = _ask_engine("POST", path, port, login)
    if status >= http.HTTPStatus.BAD_REQUEST:
        raise OSError(f"Asterisk responds with status {status}")


def _ask_engine(method: str, path: str, port: int, login: Login) -> int:
    """Status of the response of the Asterisk on this loopback port; raises OSError when it does not respond."""
    word = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request(method, path, headers={"Authorization": f"Basic {word}"})
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise OSError(f"no response of HTTP: {error!r}") from error
    finally:
        connection.close()


def environment_of(settings: Settings) -> dict[str, str]:
    """Environment variables that give a child process exactly these settings, from any source."""
    absolute = settings.model_copy(update={"data_dir": settings.data, "runtime_dir": settings.runtime})
    return _flat("TRUNKLINE", absolute)


def _flat(prefix: str, model: BaseModel) -> dict[str, str]:
    variables: dict[str, str] = {}
    separator = "_" if prefix == "TRUNKLINE" else "__"
    for name in type(model).model_fields:
        value: Any = getattr(model, name)
        key = f"{prefix}{separator}{name.upper()}"
        if isinstance(value, BaseModel):
            variables |= _flat(key, value)
        elif isinstance(value, (list, dict)):
            variables[key] = json.dumps(value)
        elif isinstance(value, SecretStr):
            variables[key] = value.get_secret_value()
        elif value is not None:
            variables[key] = str(value)
    return variables


def _postgres_version() -> str:
    words = subprocess.run(
        [postgres.binaries() / "postgres", "--version"], capture_output=True, text=True, check=False
    ).stdout.split()
    return words[2] if len(words) > 2 else ""


def _also_to_log(say: Say, log: RotatingLog) -> Say:
    def both(line: str) -> None:
        say(line)
        log.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {line}\n".encode())

    return both


def _ignore(_value: object) -> None:
    """For a call whose answer does not matter."""
