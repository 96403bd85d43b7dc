"""The process of a role: ``python -m trunkline.roles ROLE``."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import signal
import sys
import time
from types import ModuleType

import psycopg
import uvloop

from trunkline.core import log
from trunkline.core.errors import ConfigurationError, DatabaseUnavailable, first_line
from trunkline.core.settings import Settings
from trunkline.core.tasks import EXIT_CODE, CoreTaskFailed, CoreTasks
from trunkline.db.pool import is_unavailable, log_cause
from trunkline.roles.common import StoppedAtStart
from trunkline.roles.health import Health, StartPhases
from trunkline.roles.observation import observed
from trunkline.runtime.instance import SUPERVISED
from trunkline.runtime.priority import NICENESS
from trunkline.runtime.processes import uptime
from trunkline.runtime.standby import wait_for_start

ROLES = ("switch", "web", "worker")
_START_AGAIN_SECONDS = 0.2


def _load(role: str) -> ModuleType:
    """Import the role. What this makes stays, so the garbage collector never examines it."""
    gc.disable()
    try:
        return importlib.import_module(f"trunkline.roles.{role}")
    finally:
        gc.freeze()
        gc.enable()


async def _main(
    role: str, module: ModuleType, settings: Settings, phases: StartPhases, *, was_standby: bool
) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    health = Health(
        role,
        is_watched=SUPERVISED in os.environ,
        phases=phases,
        was_standby=was_standby,
        niceness=niceness_of(role),
    )
    async with CoreTasks(is_stopping=stopped.is_set), health.reported(), observed(role, settings, health):
        with contextlib.suppress(StoppedAtStart):
            await _run(module, settings, health, stopped)


def niceness_of(role: str) -> int:
    """Niceness of a role once it has started; 0 without a supervisor, where the administrator sets the priority."""
    return NICENESS.get(role, 0) if SUPERVISED in os.environ else 0


async def _run(module: ModuleType, settings: Settings, health: Health, stopped: asyncio.Event) -> None:
    """Run the role. When PostgreSQL becomes unavailable during its start, the start begins again and waits: a process that
    ended instead would be started after growing pauses."""
    while True:
        try:
            await module.run(settings, health, stopped)
            return
        except (DatabaseUnavailable, psycopg.Error) as error:
            if health.was_ready or stopped.is_set():
                raise
            if isinstance(error, psycopg.Error) and not is_unavailable(error):
                raise
            log.get_logger("roles").warning(
                "start_interrupted",
                cause=log_cause(error),
                error=first_line(error),
                consequence="the start begins again when PostgreSQL responds",
                remedy="see logs/postgres.log, and trunkline status",
            )
        await asyncio.sleep(_START_AGAIN_SECONDS)


def main() -> None:
    """Entry point of a role's process."""
    if len(sys.argv) != 2 or sys.argv[1] not in ROLES:
        raise SystemExit(f"usage: python -m trunkline.roles {'|'.join(ROLES)}")
    role = sys.argv[1]
    settings = Settings()
    is_json = settings.log_json if settings.log_json is not None else not sys.stderr.isatty()
    log.configure(role, json=is_json, level=settings.log_level)
    module = _load(role)  # after the log is configured: modules make their loggers at import
    was_standby = wait_for_start()
    phases = StartPhases(time.monotonic() - (0.0 if was_standby else uptime(os.getpid()) or 0.0))
    phases.done("load")
    try:
        uvloop.run(_main(role, module, settings, phases, was_standby=was_standby))
    except ConfigurationError as error:
        raise SystemExit(f"trunkline {role}: {error.message}") from error
    except CoreTaskFailed:
        raise SystemExit(EXIT_CODE) from None  # the log has the traceback
