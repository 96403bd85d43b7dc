"""Requests of CLI commands to the switch of this instance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from trunkline.core.errors import SwitchUnavailable
from trunkline.core.settings import Settings
from trunkline.runtime import secrets

if TYPE_CHECKING:
    from trunkline.calls.switch.rpc_client import SwitchClient

T = TypeVar("T")


def switch_client(settings: Settings) -> SwitchClient:
    """A client of the switch at the address of the settings."""
    # Not at import: its HTTP library takes a fifth of a second of a command, and not every command asks.
    from trunkline.calls.switch.rpc_client import SwitchClient

    return SwitchClient(settings.switch.control_url, secrets.load(settings).control_token)


def ask_switch(settings: Settings, work: Callable[[SwitchClient], Awaitable[T]]) -> T:
    """Run a coroutine with a client of the switch.

    :raises SwitchUnavailable: the switch does not respond.
    """

    async def ask() -> T:
        async with switch_client(settings) as client:
            return await work(client)

    try:
        return asyncio.run(ask())
    except SwitchUnavailable as error:
        raise SwitchUnavailable(f"{error.message}; `trunkline status` shows its process") from error
