"""A phone that requires encrypted media (SRTP) is called and calls."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.engine.setup import LINE_PASSWORD, Setup
from tests.phones.baresip import TONE, Baresip
from tests.phones.test_foreign_phones import wait_reachable
from trunkline.cli.live import entries
from trunkline.cli.switch import ask_switch
from trunkline.demo.outside import Answer, Transport
from trunkline.testing.foreign import ForeignPhones

pytestmark = [
    pytest.mark.engine,
    pytest.mark.phones,
    pytest.mark.xdist_group("phones"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

REQUIRED = "0260007"
ANNA = "201"


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TLS])
async def test_a_phone_that_requires_srtp(
    setup: Setup, foreign_phones: ForeignPhones, tmp_path: Path, transport: Transport
) -> None:
    registrar = setup.installation.sip_tls if transport is Transport.TLS else setup.installation.sip
    began = time.time()
    async with Baresip(
        foreign_phones,
        tmp_path / "baresip",
        registrar,
        transport,
        REQUIRED,
        LINE_PASSWORD,
        account=";mediaenc=srtp-mand",
    ) as phone:
        await wait_reachable(setup, began, REQUIRED)
        before = await setup.last_id()
        call = await setup.anna.dial(REQUIRED)
        await call.answered()
        await call.hears(TONE)
        await call.hangup()
        await phone.wait("CALL_CLOSED")
        await phone.wait("CALL_RTPESTAB")
        row = await setup.row(before, recorded=True)
        assert row["talk_duration"] >= 1

        setup.anna.on_call(Answer())
        await phone.dial(ANNA)
        call = await setup.anna.next_call()
        await call.hears(TONE)
        await phone.hang_up()
        await call.ended()
        await phone.wait("CALL_RTPESTAB")
        await setup.row(row["id"], recorded=True)


async def test_a_line_that_requires_srtp_refuses_a_phone_without_it(setup: Setup) -> None:
    phone = await setup.phone(REQUIRED, "Plain phone")
    try:
        call = await phone.dial(ANNA)
        await asyncio.wait_for(call.ended(), 20)
        assert not call.is_answered
        log = setup.installation.settings.logs_dir / "switch.log"
        end = time.monotonic() + 10
        while not any(
            entry.get("event") == "call_media_refused" and entry.get("line") == REQUIRED
            for entry in entries(log)
        ):
            assert time.monotonic() < end, "the log does not have the refused call"
            await asyncio.sleep(0.2)
        found = await asyncio.to_thread(
            ask_switch, setup.installation.settings, lambda client: client.status()
        )
        [refused] = found["calls_with_refused_media"]
        assert (refused["kind"], refused["name"]) == ("line", REQUIRED)
    finally:
        await phone.unregister()
