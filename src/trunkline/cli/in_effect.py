"""Waits until calls use a directory that was written: until the switch has read it and Asterisk has loaded it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import click

from trunkline.accounts.secrets import Cipher
from trunkline.cli.switch import switch_client
from trunkline.core.errors import TrunklineError
from trunkline.core.settings import Settings
from trunkline.db.pool import Database
from trunkline.directory.files.apply import Applied
from trunkline.directory.live.fingerprint import fingerprint
from trunkline.directory.live.load import load_accounts
from trunkline.runtime import secrets
from trunkline.runtime.status import is_running

WAIT_SECONDS = 20
"""Default of the option ``--wait``."""
_POLL_SECONDS = 0.1

wait_option = click.option(
    "--wait",
    "wait_seconds",
    type=click.IntRange(0, 600),
    default=WAIT_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Seconds to wait until calls use the changes; 0 = do not wait.",
)


@dataclass(frozen=True)
class InEffect:
    """Whether calls use what was written.

    :ivar reached: True when the switch has read it and Asterisk has loaded it; None when nobody waited.
    :ivar reason: why not, in one sentence; "" when it is in effect.
    :ivar rows_left_out: rows of the account that Asterisk cannot load: ``entity``, ``id``, ``name``, ``reason``.
    """

    reached: bool | None
    reason: str = ""
    rows_left_out: tuple[dict[str, Any], ...] = ()

    def lines(self) -> list[str]:
        """For people."""
        rows = [
            f"not used in calls: {row['entity']} {row['name']}: {row['reason']}" for row in self.rows_left_out
        ]
        if self.reached is None:
            return rows
        return [*rows, "in effect for new calls" if self.reached else f"written, but {self.reason}"]

    def as_json(self) -> dict[str, Any]:
        return {
            "in_effect": self.reached,
            "in_effect_reason": self.reason,
            "rows_left_out": list(self.rows_left_out),
        }


async def effect_of(
    db: Database, settings: Settings, account_id: int, applied: Applied, wait_seconds: float
) -> InEffect:
    """Wait until new calls of an account use what was applied; returns at once when nothing was.

    :param wait_seconds: at most so long; 0 = return at once.
    """
    if not wait_seconds or applied.plan.is_empty:
        return InEffect(None)
    if not is_running(settings):
        return InEffect(
            False, "Trunkline does not run here: calls use it when the switch runs (`trunkline up`)"
        )
    cipher = Cipher(secrets.load(settings).master_key)
    async with db.connection() as connection:
        loaded = await load_accounts(connection, cipher, settings.media_dir.absolute(), [account_id])
    wanted = fingerprint(loaded.accounts[account_id]) if account_id in loaded.accounts else None
    reason = "the switch has not responded"
    clock = asyncio.get_running_loop().time
    deadline = clock() + wait_seconds
    async with switch_client(settings) as switch:
        while True:
            try:
                state = await switch.directory(account_id)
            except TrunklineError as error:
                reason = f"the switch does not respond ({error.message})"
            else:
                if state["fingerprint"] != wanted:
                    reason = "the switch has not read it yet"
                elif state["applied"]:
                    return InEffect(True, "", tuple(state["rows_left_out"]))
                else:
                    error_text = f": {state['error']}" if state["error"] else ""
                    reason = f"Asterisk has not loaded it yet{error_text}"
            if clock() >= deadline:
                remedy = "it is tried again until it succeeds; `trunkline status` shows `configuration`"
                return InEffect(False, f"after {wait_seconds:g} s {reason}; {remedy}")
            await asyncio.sleep(_POLL_SECONDS)
