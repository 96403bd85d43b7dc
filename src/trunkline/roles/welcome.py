"""The first minutes of an installation."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable

from trunkline.accounts.first import ensure_first_account
from trunkline.accounts.model import NewAccount
from trunkline.core.settings import Settings
from trunkline.recordings.links import base_url
from trunkline.roles.common import database
from trunkline.runtime import postgres

FIRST_ACCOUNT = "first-account.txt"
"""File of the folder of secrets with the login, password and keys of the first account."""


def welcome(settings: Settings, say: Callable[[str], None]) -> None:
    """When all roles are up: make what a fresh installation needs, print where it is. Blocks."""
    asyncio.run(_welcome(settings, say))


async def _welcome(settings: Settings, say: Callable[[str], None]) -> None:
    async with database(postgres.dsn(settings), "trunkline-welcome") as db:
        made = await ensure_first_account(db)
    base = base_url(settings.web.public_url, settings.web.http_bind, settings.web.http_port)
    say(f"Ready. APIs at {base}/v4.0 and {base}/v2.0; phones at SIP port {settings.sip.udp_port}")
    if made is not None:
        hand_over(settings, made, say)


def hand_over(settings: Settings, made: NewAccount, say: Callable[[str], None]) -> None:
    """Print the login, password and keys of the first account; without a terminal, write them to a file of the owner.

    The output of a service goes to a log, and a log is kept and read by others.
    """
    lines = [
        f"  account   {made.account_id}",
        f"  login     {made.login}",
        f"  password  {made.password}",
        *(f"  key       {key}  (opens {' and '.join(made.keys)})" for key in made.keys.values()),
    ]
    if sys.stdout.isatty():
        say("A first account was created. This is shown only once; save it:")
        for line in lines:
            say(line)
        return
    path = settings.secrets_dir / FIRST_ACCOUNT
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("".join(f"{line.strip()}\n" for line in lines))
    say(
        f"A first account was created. Its login, password and keys are in {path}: save them and remove the file"
    )
