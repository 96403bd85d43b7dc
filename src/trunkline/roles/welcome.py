"""The first minutes of an installation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from trunkline.accounts.first import ensure_first_account
from trunkline.core.settings import Settings
from trunkline.recordings.links import base_url
from trunkline.roles.common import database
from trunkline.runtime import postgres


def welcome(settings: Settings, say: Callable[[str], None]) -> None:
    """When all roles are up: make what a fresh installation needs, print where it is. Blocks."""
    asyncio.run(_welcome(settings, say))


async def _welcome(settings: Settings, say: Callable[[str], None]) -> None:
    async with database(postgres.dsn(settings), "trunkline-welcome") as db:
        made = await ensure_first_account(db)
    base = base_url(settings.web.public_url, settings.web.http_bind, settings.web.http_port)
    say(f"Ready. APIs at {base}/v4.0 and {base}/v2.0; phones at SIP port {settings.sip.udp_port}")
    if made is not None:
        say("A first account was created. This is shown only once; save it:")
        say(f"  account   {made.account_id}")
        say(f"  login     {made.login}")
        say(f"  password  {made.password}")
        for key in made.keys.values():
            say(f"  key       {key}  (opens {' and '.join(made.keys)})")
