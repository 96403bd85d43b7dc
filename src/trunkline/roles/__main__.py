"""Entry point of a role's process."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys

import uvloop

from trunkline.core import log
from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings
from trunkline.core.tasks import EXIT_CODE, CoreTaskFailed, CoreTasks
from trunkline.roles.health import Health
from trunkline.runtime.instance import SUPERVISED

ROLES = ("switch", "web", "worker")


async def _main(role: str, settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    health = Health(role, is_watched=SUPERVISED in os.environ)
    module = importlib.import_module(f"trunkline.roles.{role}")
    async with CoreTasks(is_stopping=stopped.is_set), health.reported():
        await module.run(settings, health, stopped)


def main() -> None:
    """Entry point of a role's process."""
    if len(sys.argv) != 2 or sys.argv[1] not in ROLES:
        raise SystemExit(f"usage: python -m trunkline.roles {'|'.join(ROLES)}")
    settings = Settings()
    is_json = settings.log_json if settings.log_json is not None else not sys.stderr.isatty()
    log.configure(sys.argv[1], json=is_json, level=settings.log_level)
    try:
        uvloop.run(_main(sys.argv[1], settings))
    except ConfigurationError as error:
        raise SystemExit(f"trunkline {sys.argv[1]}: {error.message}") from error
    except CoreTaskFailed:
        raise SystemExit(EXIT_CODE) from None  # the log has the traceback


if __name__ == "__main__":
    main()
