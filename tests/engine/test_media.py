"""What phones speak: transports, encryption, codecs, and several devices on one line, proven by tones."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.setup import PRECISION, Setup
from trunkline.demo.outside import Answer, Ignore, Transport

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

ANNA, DORA = "9714000020" + "0", "9714000020" + "5"


@pytest.mark.parametrize(
    ("transport", "codec", "srtp"),
    [
        (Transport.UDP, "g722", False),
        (Transport.TCP, "ulaw", False),
        (Transport.TLS, "alaw", True),
        (Transport.TLS, "opus", True),
    ],
)
async def test_a_phone_of_this_kind_talks_and_is_recorded(
    setup: Setup, transport: Transport, codec: str, srtp: bool
) -> None:
    phone = await setup.phone("0260004", f"Dora {codec}", transport=transport, codecs=(codec,), srtp=srtp)
    try:
        phone.on_call(Answer(after=0.5))
        before = await setup.last_id()
        customer = await setup.customer()
        call = await customer.dial(DORA)
        answered = await phone.next_call()
        await answered.answered()
        await asyncio.sleep(3)
        await call.hangup()
        await asyncio.gather(call.ended(), answered.ended())
        row = await setup.row(before, recorded=True)
        await setup.prove_talk(row, call, answered)
        # Opus shapes a pure tone for a moment before it has settled.
        precision = 0.6 if codec == "opus" else PRECISION
        await setup.prove_recording(row, call, answered, precision=precision)
    finally:
        await phone.unregister()


async def test_all_devices_of_a_line_ring_and_the_first_talks(setup: Setup) -> None:
    tablet = await setup.phone("0260001", "Anna's tablet")
    try:
        setup.anna.on_call(Ignore())
        tablet.on_call(Answer(after=1.0))
        before = await setup.last_id()
        customer = await setup.customer()
        call = await customer.dial(ANNA)
        desk, answered = await asyncio.gather(setup.anna.next_call(), tablet.next_call())
        await answered.answered()
        await desk.ended()
        await asyncio.sleep(2)
        await call.hangup()
        await asyncio.gather(call.ended(), answered.ended())
        row = await setup.row(before, recorded=True)
        await setup.prove_talk(row, call, answered)
        reasons = {leg["finish_reason"] for leg in await setup.legs(row["id"])}
        assert reasons == {"caller_disconnects", "another_operator_answer"}
    finally:
        await tablet.unregister()
