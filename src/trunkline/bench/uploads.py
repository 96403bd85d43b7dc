"""How fast calls of another system are taken in: batches of 50 by several clients, until all are in the report."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from trunkline.demo.installation import Account, Installation

_BATCH = 50
_CLIENTS = 4
_TIMEOUT_SECONDS = 120.0
"""Seconds after the last batch for the rest to be processed."""


@dataclass(frozen=True)
class Uploaded:
    """``accepted`` and ``reported``: rows a second until the last answer, and until the report had them all."""

    rows: int
    in_report: int
    accepted: float
    reported: float


async def upload(installation: Installation, account: Account, rows: int, start: datetime) -> Uploaded:
    """Send ``rows`` answered calls without recordings that began one after another from ``start`` (the account's time)."""
    before = await _reported(installation, account, start)
    batches = _batches(rows, start)
    began = time.monotonic()

    async def client() -> None:
        for batch in batches:
            await installation.data_api(account, "upload.calls", calls=batch)

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    accepted = time.monotonic() - began
    while (arrived := await _reported(installation, account, start) - before) < rows:
        if time.monotonic() - began - accepted > _TIMEOUT_SECONDS:
            break
        await asyncio.sleep(0.2)
    return Uploaded(rows, arrived, round(rows / accepted, 1), round(arrived / (time.monotonic() - began), 1))


def _batches(rows: int, start: datetime) -> Iterator[list[dict[str, Any]]]:
    for first in range(0, rows, _BATCH):
        yield [_call(number, start) for number in range(first, min(first + _BATCH, rows))]


def _call(number: int, start: datetime) -> dict[str, Any]:
    began = start + timedelta(seconds=number % 3600)
    return {
        "ext_id": f"bench-{number}",
        "calling_phone_number": f"999{number % 5000:09}",
        "called_phone_number": "999000000001",
        "start_time": f"{began:%Y-%m-%d %H:%M:%S}",
        "finish_time": f"{began + timedelta(seconds=40):%Y-%m-%d %H:%M:%S}",
        "is_lost": False,
        "wait_duration": 10,
        "talk_duration": 30,
        "tags": [{"tag_name": f"Uploaded {number % 7}"}],
    }


async def _reported(installation: Installation, account: Account, start: datetime) -> int:
    result = await installation.data_api(
        account,
        "get.calls_report",
        date_from=f"{start:%Y-%m-%d %H:%M:%S}",
        date_till=f"{start + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
        limit=0,
    )
    return int(result["metadata"]["total_items"])
