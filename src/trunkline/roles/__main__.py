"""Entry point of a role's process."""

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

import uvloop

from trunkline.core import log
from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings
from trunkline.core.tasks import EXIT_CODE, CoreTaskFailed, CoreTasks
from trunkline.roles.common import StoppedAtStart
from trunkline.roles.health import Health, StartPhases
from trunkline.roles.observation import observed
from trunkline.runtime.instance import SUPERVISED
from trunkline.runtime.priority import NICENESS, lower_priority
from trunkline.runtime.processes import uptime
from trunkline.runtime.standby import wait_for_start

ROLES = ("switch", "web", "worker")


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

    health = Health(role, is_watched=SUPERVISED in os.environ, phases=phases, was_standby=was_standby)
    async with CoreTasks(is_stopping=stopped.is_set), health.reported(), observed(role, settings, health):
        with contextlib.suppress(StoppedAtStart):
            await module.run(settings, health, stopped)


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
    if SUPERVISED in os.environ and role in NICENESS:
        # Not before: to load at a low priority takes minutes on a busy machine, and deliveries wait for it after a restart.
        lower_priority(NICENESS[role])
    try:
        uvloop.run(_main(role, module, settings, phases, was_standby=was_standby))
    except ConfigurationError as error:
        raise SystemExit(f"trunkline {role}: {error.message}") from error
    except CoreTaskFailed:
        raise SystemExit(EXIT_CODE) from None  # the log has the traceback


if __name__ == "__main__":
    main()
