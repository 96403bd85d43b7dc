"""Callbacks of uploaded calls are signed deliveries: retried, in order, logged, guarded; their body stays as it was."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.apis.data_api.client import DataApiClient
from tests.notifications.receiver import Receiver, status
from tests.patience import PATIENCE
from tests.reports.company import ACCOUNT
from tests.uploads.rig import ALL_EVENTS, MASTER_KEY, call, settings_for, settled, working
from trunkline.accounts.secrets import Cipher
from trunkline.notifications.callbacks import callback_secret
from trunkline.notifications.deliveries import replay
from trunkline.notifications.sender import sign
from trunkline.notifications.subscriptions import Subscriptions

CIPHER = Cipher(MASTER_KEY)


@pytest.mark.durability
async def test_a_callback_is_signed_and_logged(client: DataApiClient, tmp_path: Path) -> None:
    async with Receiver() as receiver, working(client, settings_for(tmp_path)):
        url = receiver.url + "?from={{crm}}&x=1"
        await client.do("upload.calls", calls=[call("one", callback={"url": url, "events": ALL_EVENTS})])
        await settled(client, 1)
        first, last = await receiver.wait_for(2)
        async with asyncio.timeout(PATIENCE):
            while (log := await Subscriptions(client.db, CIPHER).log(ACCOUNT))[0]["status"] == "pending":
                await asyncio.sleep(0.02)
        await replay(client.db, ACCOUNT, log[0]["delivery_id"])
        again = (await receiver.wait_for(3))[2]
    session = last.json["call_session_id"]
    stamp = last.json["timestamp"]
    assert first.body.startswith(b'{"ext_id":"one","status":"in_process","timestamp":')
    assert last.body == (
        f'{{"ext_id":"one","status":"processed","timestamp":{stamp},"call_session_id":{session}}}'.encode()
    )
    assert again.body == last.body
    assert last.headers["Content-Type"] == "application/json"
    assert last.headers["Trunkline-Event"] == "uploaded_call_processed"
    moment = int(last.headers["Trunkline-Signature"].split(",")[0][2:])
    secret = callback_secret(CIPHER, ACCOUNT)
    assert last.headers["Trunkline-Signature"] == sign([secret], last.body.decode(), moment)
    assert secret != callback_secret(CIPHER, ACCOUNT + 1)
    assert [one["mnemonic"] for one in log] == ["uploaded_call_processed", "uploaded_call_in_process"]
    assert [one["status_code"] for one in log] == [200, 200]


async def test_a_dead_callback_delays_no_other_one(client: DataApiClient, tmp_path: Path) -> None:
    """It is suspended; callbacks of the same account to another place go on, and nothing is out of order."""
    async with (
        Receiver(answer=status(500)) as dead,
        Receiver() as good,
        working(client, settings_for(tmp_path)),
    ):
        for number in range(12):
            for receiver, name in ((dead, "dead"), (good, "good")):
                reported = {"url": receiver.url, "events": ALL_EVENTS}
                await client.do("upload.calls", calls=[call(f"{name}{number}", callback=reported)])
        await settled(client, 24)
        reported_ = await good.wait_for(24)
        async with asyncio.timeout(15):
            while (
                await client.one("select count(*) from endpoint_states where suspended_until is not null")
                == 0
            ):
                await asyncio.sleep(0.05)
    assert {one.json["status"] for one in dead.received} == {"in_process"}
    statuses: dict[str, list[str]] = {}
    for one in reported_:
        statuses.setdefault(one.json["ext_id"], []).append(one.json["status"])
    assert set(map(tuple, statuses.values())) == {("in_process", "processed")}


async def test_a_callback_reaches_no_forbidden_address(client: DataApiClient, tmp_path: Path) -> None:
    async with Receiver() as receiver, working(client, settings_for(tmp_path)):
        url = f"http://127.0.0.2:{receiver.port}/hook"
        await client.do("upload.calls", calls=[call("one", callback={"url": url, "events": ["processed"]})])
        async with asyncio.timeout(PATIENCE):
            while not (log := await Subscriptions(client.db, CIPHER).log(ACCOUNT)) or not log[0]["error"]:
                await asyncio.sleep(0.02)
    assert "uploads.allowed_private_networks" in log[0]["error"]
    assert receiver.received == []


async def test_many_origins_share_endpoints(client: DataApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from trunkline.notifications import callbacks

    monkeypatch.setattr(callbacks, "ENDPOINTS_MAX", 3)
    async with client.db.connection() as conn:
        for number in range(9):
            await callbacks.make_callback(
                conn,
                ACCOUNT,
                f"https://host{number}.example/x",
                "upload:one",
                "m",
                {"ext_id": "one"},
            )
    assert await client.one("select count(*) from callback_endpoints") == 3
    assert await client.one("select count(*) from deliveries") == 9
