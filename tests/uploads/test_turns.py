"""Uploads of many accounts: each gets its turn."""

from __future__ import annotations

import asyncio
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from tests.apis.data_api.client import DataApiClient
from tests.uploads import sounds
from tests.uploads.customer import MP3, Customer, sends
from tests.uploads.rig import call, settings_for, settled, working
from trunkline.db.jobs import Jobs
from trunkline.uploads.accept import Batch, accept_calls
from trunkline.uploads.storage import Quota

pytestmark = [pytest.mark.shells, pytest.mark.isolation]

OTHERS = range(2001, 2005)
LAST = 2005


async def test_an_upload_does_not_wait_for_the_backlog_of_four_accounts(
    client: DataApiClient, customer: Customer, tmp_path: Path
) -> None:
    """Their recordings arrive only after that of the fifth account is stored."""
    is_stored = asyncio.Event()

    async def held(_request: web.Request) -> web.StreamResponse:
        await is_stored.wait()
        return web.Response(status=404)

    urls = {"held": customer.serve("/held.mp3", held), "good": customer.serve("/good.mp3", _good)}
    jobs = Jobs(client.db.dsn)
    for account_id in (*OTHERS, LAST):
        await client.db.execute(
            "insert into accounts (account_id, name) values (%s, 'Sample Ltd')", (account_id,)
        )
        which, count = ("good", 1) if account_id == LAST else ("held", 6)
        calls = [
            call(f"{account_id}-{number}", mp3_records=[{"record_url": urls[which]}])
            for number in range(count)
        ]
        batch = Batch(account_id, ZoneInfo("UTC"), frozenset(), "one", calls, Quota())
        await accept_calls(client.db, jobs, batch)
    async with working(client, settings_for(tmp_path, customer.certificate, download_timeout=600.0)):
        first = await settled(client, 1)
        is_stored.set()
        rows = await settled(client, 25)
    assert [(row["account_id"], row["status"]) for row in first.values()] == [(LAST, "processed")]
    assert [row["status"] for row in rows.values()].count("error") == 24


_good = sends(sounds.mp3(), MP3)
