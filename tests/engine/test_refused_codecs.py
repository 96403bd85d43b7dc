"""Media that does not come about, on the real engine: a phone or carrier without a common codec is refused with SIP 488, and
sound may not arrive. Log and status say so."""

from __future__ import annotations

import asyncio
import platform
import time
from typing import Any

import pytest

from tests.engine.setup import Setup
from trunkline.calls.rules import SILENT_SECONDS
from trunkline.cli.live import entries
from trunkline.cli.switch import ask_switch
from trunkline.db.pool import Database
from trunkline.demo.outside import Answer
from trunkline.reports.call_explanation import explain
from trunkline.runtime import postgres
from trunkline.runtime.asterisk import AsteriskInstall, Origin

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

LINE = "0260006"
CARRIER = "Carrier"
WAIT = 20.0
"""Seconds."""


@pytest.fixture
def corrected(asterisk_install: AsteriskInstall) -> None:
    if asterisk_install.origin is not Origin.PRIVATE or platform.machine() != "x86_64":
        pytest.skip("this Asterisk writes nothing about such calls")


async def _logged(setup: Setup, kind: str, name: str, event: str = "call_media_refused") -> dict[str, Any]:
    log = setup.installation.settings.logs_dir / "switch.log"
    end = time.monotonic() + WAIT
    while True:
        for entry in entries(log):
            if entry.get("event") == event and entry.get(kind) == name:
                return dict(entry)
        assert time.monotonic() < end, f"the log has no {event}"
        await asyncio.sleep(0.1)


@pytest.mark.usefixtures("corrected")
async def test_a_phone_that_offers_an_unusable_codec_only(setup: Setup) -> None:
    phone = await setup.phone(LINE, "Old phone", codecs=("gsm",))
    try:
        call = await phone.dial("201")
        await asyncio.wait_for(call.ended(), WAIT)
        assert not call.is_answered
        entry = await _logged(setup, "line", LINE)
        assert (entry["cause"], entry["account_id"]) == ("codec", setup.account.account_id)
        assert "G.711" in entry["remedy"]
        assert entry["addresses"]
        status = await asyncio.to_thread(
            ask_switch, setup.installation.settings, lambda client: client.status()
        )
        found = {
            "account_id": setup.account.account_id,
            "kind": "line",
            "name": LINE,
            "cause": "codec",
            "count": 1,
        }
        assert found in status["calls_with_refused_media"]
    finally:
        await phone.unregister()


@pytest.mark.usefixtures("corrected")
async def test_a_carrier_that_offers_an_unusable_codec_only(setup: Setup) -> None:
    customer = await setup.world.customer("971500000777", codecs=("gsm",))
    call = await customer.dial("97140000200")
    await asyncio.wait_for(call.ended(), WAIT)
    assert not call.is_answered
    entry = await _logged(setup, "trunk", CARRIER)
    assert (entry["cause"], entry["account_id"]) == ("codec", setup.account.account_id)


@pytest.mark.usefixtures("corrected")
async def test_a_call_with_a_common_codec_writes_nothing(setup: Setup) -> None:
    log = setup.installation.settings.logs_dir / "asterisk.log"
    before = log.read_text().count("Handled?")
    customer = await setup.customer()
    call = await customer.dial("97140000202")
    await call.answered()
    await call.hangup()
    assert log.read_text().count("Handled?") == before


async def _without_sound(setup: Setup) -> int:
    """Calls of the trunk that the status has."""
    status = await asyncio.to_thread(ask_switch, setup.installation.settings, lambda client: client.status())
    found = [one for one in status["calls_without_sound"] if (one["kind"], one["name"]) == ("trunk", CARRIER)]
    return sum(one["count"] for one in found)


async def test_a_customer_whose_sound_does_not_arrive(setup: Setup) -> None:
    customer = await setup.customer()
    customer.is_silent = True
    setup.anna.on_call(Answer())
    call = await customer.dial("97140000200")
    phone = await setup.anna.next_call()
    await phone.answered()
    call_session_id = (await setup.only_call(2))["call_session_id"]
    counted = await _without_sound(setup)
    await asyncio.sleep(SILENT_SECONDS + 1)
    await call.hangup()
    await phone.ended()
    async with await Database.open(postgres.dsn(setup.installation.settings), max_size=1) as db:
        async with asyncio.timeout(WAIT):
            while (
                explanation := await explain(db, setup.account.account_id, call_session_id)
            ) is None:  # it lives
                await asyncio.sleep(0.1)
    # What the employee sent has arrived.
    assert explanation.count("no sound") == 1
    assert "arrived from the customer in the whole call (trunk Carrier)" in explanation
    assert await _without_sound(setup) == counted + 1
    entry = await _logged(setup, "trunk", CARRIER, "call_without_sound")
    assert entry["account_id"] == setup.account.account_id
