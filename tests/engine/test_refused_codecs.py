"""A phone or carrier without a common codec is refused with SIP 488; log and status say so, on the real engine."""

from __future__ import annotations

import asyncio
import platform
import time
from typing import Any

import pytest

from tests.engine.setup import Setup
from trunkline.cli.live import entries
from trunkline.cli.switch import ask_switch
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


@pytest.fixture(autouse=True)
def corrected(asterisk_install: AsteriskInstall) -> None:
    if asterisk_install.origin is not Origin.PRIVATE or platform.machine() != "x86_64":
        pytest.skip("this Asterisk writes nothing about such calls")


async def _logged(setup: Setup, kind: str, name: str) -> dict[str, Any]:
    log = setup.installation.settings.logs_dir / "switch.log"
    end = time.monotonic() + WAIT
    while True:
        for entry in entries(log):
            if entry.get("event") == "call_media_refused" and entry.get(kind) == name:
                return dict(entry)
        assert time.monotonic() < end, "the log does not have the refused call"
        await asyncio.sleep(0.1)


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


async def test_a_carrier_that_offers_an_unusable_codec_only(setup: Setup) -> None:
    customer = await setup.world.customer("971500000777", codecs=("gsm",))
    call = await customer.dial("97140000200")
    await asyncio.wait_for(call.ended(), WAIT)
    assert not call.is_answered
    entry = await _logged(setup, "trunk", CARRIER)
    assert (entry["cause"], entry["account_id"]) == ("codec", setup.account.account_id)


async def test_a_call_with_a_common_codec_writes_nothing(setup: Setup) -> None:
    log = setup.installation.settings.logs_dir / "asterisk.log"
    before = log.read_text().count("Handled?")
    customer = await setup.customer()
    call = await customer.dial("97140000202")
    await call.answered()
    await call.hangup()
    assert log.read_text().count("Handled?") == before
