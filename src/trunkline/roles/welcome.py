"""What a new installation prints: its address, its first login, and what to do next."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable

from trunkline.accounts.first import ensure_first_account
from trunkline.accounts.model import NewAccount
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.settings import Settings
from trunkline.recordings.links import base_url
from trunkline.roles.common import database
from trunkline.runtime import postgres
from trunkline.runtime.ports import Port, is_open, ports_of, sip_ports

FIRST_ACCOUNT = "first-account.txt"
"""File of the folder of secrets with the login, password and keys of the first account."""

DATABASE_SECONDS = 30.0
"""How long PostgreSQL is waited for when it does not respond."""
OPEN_SECONDS = 5.0
"""How long the SIP ports of an Asterisk that is fully up are waited for."""


def welcome(settings: Settings, say: Callable[[str], None]) -> None:
    """When all roles are up: make what a fresh installation needs, print where it is. Blocks."""
    asyncio.run(_welcome(settings, say))


async def _welcome(settings: Settings, say: Callable[[str], None]) -> None:
    made = await _first_account(settings, say)
    say(_first_line(settings, await asyncio.to_thread(_closed_sip_ports, settings)))
    if made is not None:
        hand_over(settings, made, say)


async def _first_account(settings: Settings, say: Callable[[str], None]) -> NewAccount | None:
    """Make the first account, if there is none. A PostgreSQL that was killed in this moment is started again."""
    end = time.monotonic() + DATABASE_SECONDS
    is_reported = False
    while True:
        try:
            async with database(postgres.dsn(settings), "trunkline-welcome") as db:
                return await ensure_first_account(db)
        except DatabaseUnavailable as error:
            if time.monotonic() > end:
                raise
            if not is_reported:
                say(f"waiting for PostgreSQL: {error.message}")
                is_reported = True
        await asyncio.sleep(0.5)


def _closed_sip_ports(settings: Settings) -> list[Port]:
    """Those that Asterisk does not open, although its interfaces respond. Blocks for at most ``OPEN_SECONDS``."""
    end = time.monotonic() + OPEN_SECONDS
    while True:
        closed = [port for port in sip_ports(ports_of(settings)) if not is_open(port)]
        if not closed or time.monotonic() > end:
            return closed
        time.sleep(0.1)


def _first_line(settings: Settings, closed: list[Port]) -> str:
    base = base_url(settings.web.public_url, settings.web.http_bind, settings.web.http_port)
    apis = f"Console at {base}/; APIs at {base}/v4.0 and {base}/v2.0"
    if closed:
        names = ", ".join(f"{port.setting} ({port.transport.upper()} {port.number})" for port in closed)
        return f"NOT READY for phones: Asterisk has not opened {names}; see {settings.logs_dir}/asterisk.log. {apis}"
    sip = settings.sip
    ports = [
        (sip.udp_port, "UDP"),
        (sip.tcp_port, "TCP"),
        (sip.tls_port, "TLS"),
        (sip.wss_port, "WSS"),
    ]
    port = next((f"{number} ({name})" for number, name in ports if number), None)
    phones = "no SIP port is turned on" if port is None else f"phones at SIP port {port}"
    return f"Ready. {apis}; {phones}"


def hand_over(settings: Settings, made: NewAccount, say: Callable[[str], None]) -> None:
    """Print the login, password and keys of the first account; without a terminal, write them to a file of the owner.

    The output of a service goes to a log, and a log is kept and read by others.
    """
    lines = [
        f"  account   {made.account_id}",
        f"  login     {made.login}",
        f"  password  {made.password}",
        *(f"  {api:<11} key {key}" for api, key in made.keys.items()),
        f"  each key opens {' and '.join(made.keys)}: give each program its own, so that one can be taken away alone",
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
