"""Entry point of a role's process."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import signal
import sys

import uvloop

from trunkline.core import log
from trunkline.core.errors import ConfigurationError
from trunkline.core.settings import Settings
from trunkline.core.tasks import EXIT_CODE, CoreTaskFailed, CoreTasks

ROLES = ("switch", "web", "worker")


async def _main(role: str, settings: Settings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)

    def ready() -> None:
        # What is there now stays: looking through it again and again would hold up calls.
        gc.collect()
        gc.freeze()
        print(json.dumps({"ready": role}), flush=True)  # noqa: T201

    module = importlib.import_module(f"trunkline.roles.{role}")
    async with CoreTasks(is_stopping=stopped.is_set):
        await module.run(settings, ready, stopped)


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
