"""Connections to Asterisk that are reset, or swallow every byte: the switch is ready only while signals arrive.

And commands while the manager interface is cut: each returns what happened, and the talk goes on.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.drills.proxied_setup import PATIENCE, ProxiedSetup
from trunkline.demo.installation import ApiError
from trunkline.demo.outside import Answer
from trunkline.testing.proxy import FaultProxy

pytestmark = [
    pytest.mark.drill,
    pytest.mark.engine,
    pytest.mark.xdist_group("proxied setup"),
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.timeout(300),
]

WORD = {"type": "tts", "value": "One moment, please"}


async def test_calls_are_answered_after_each_reset_of_the_connections(setup: ProxiedSetup) -> None:
    for _ in range(4):
        call, phone, _ = await setup.talk()
        setup.ari.reset()
        setup.ami.reset()
        other, second, _ = await setup.talk()
        assert not call.is_ended
        assert not phone.is_ended
        await setup.end(other, second)
        await setup.end(call, phone)


@pytest.mark.parametrize("silent", ["ari", "ami"])
async def test_the_switch_is_not_ready_while_a_connection_swallows_every_byte(
    setup: ProxiedSetup, silent: str
) -> None:
    call, phone, _ = await setup.talk()
    proxy: FaultProxy = getattr(setup, silent)
    proxy.silence()
    found = await setup.until("not_ready")
    assert silent.upper() in found["reason"]
    with pytest.raises(RuntimeError):  # exit code 3
        await setup.installation.run("status")
    proxy.heal()
    await setup.until("ready")
    report = json.loads(await setup.installation.run("status", "--json"))
    assert report["up"]
    assert report["switch"]["signal_path"]["state"] == "ready"
    assert not call.is_ended
    assert not phone.is_ended
    await setup.end(call, phone)
    await setup.end(*(await setup.talk())[:2])


@pytest.mark.parametrize("repetition", range(3))
async def test_hold_while_the_manager_interface_is_away_fails_and_the_talk_goes_on(
    setup: ProxiedSetup, repetition: int
) -> None:
    call, phone, session = await setup.talk()
    setup.ami.down()
    with pytest.raises(ApiError) as refused:
        await setup.installation.call_api(
            setup.account, "hold.call", call_session_id=session, contact_message=WORD
        )
    assert refused.value.mnemonic == "internal_error"
    await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
    assert session in {one["call_session_id"] for one in await setup.living()}
    # Until the next heartbeat fails, the state is still the one from before the cut: "ready" would say nothing.
    await setup.until("not_ready")
    setup.ami.heal()
    await setup.until("ready")
    await setup.installation.call_api(
        setup.account, "hold.call", call_session_id=session, contact_message=WORD
    )
    await setup.installation.call_api(setup.account, "unhold.call", call_session_id=session)
    await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
    await setup.end(call, phone)


@pytest.mark.parametrize("cut", ["reset", "reply"])
async def test_hold_just_after_a_cut_of_the_manager_interface_is_carried_out(
    setup: ProxiedSetup, cut: str
) -> None:
    """The connection is back in a moment; and a redirect whose reply is lost was carried out."""
    call, phone, session = await setup.talk()
    if cut == "reset":
        setup.ami.reset()
    else:
        setup.ami.cut_reply(b"Action: Redirect")
    await setup.installation.call_api(
        setup.account, "hold.call", call_session_id=session, contact_message=WORD
    )
    await setup.installation.call_api(setup.account, "unhold.call", call_session_id=session)
    await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
    await setup.end(call, phone)


@pytest.mark.parametrize("repetition", range(2))
async def test_two_devices_ring_while_the_switch_loses_asterisk(setup: ProxiedSetup, repetition: int) -> None:
    """Who answers first has the call; the other stops ringing, and that ends nothing."""
    async with setup.tablet() as tablet:
        customer = await setup.customer()
        customer.on_call(Answer())
        await setup.click_to_call(customer)
        rings, answers = await setup.anna.next_call(), await tablet.next_call()
        await asyncio.gather(rings.ringing(), answers.ringing())
        setup.ari.reset()
        setup.ami.reset()
        await answers.answer()
        await rings.ended(PATIENCE)
        contact = await customer.next_call(PATIENCE)
        await answers.unmute()
        await contact.hears(tablet.tone)
        assert not answers.is_ended
        await contact.hangup()
        await answers.ended()


async def test_a_call_ends_although_asterisk_stops_sending_events_of_channels(setup: ProxiedSetup) -> None:
    """The connections and the heartbeats work, calls arrive, and nothing else is reported: the log has what happened."""
    before = await setup.last_id()
    call, phone, _ = await setup.talk()
    await setup.only_events("ChannelUserevent", "StasisStart")
    await setup.end(call, phone)
    row = await setup.row(before, timeout=PATIENCE)
    assert row["finish_reason"] == "caller_disconnects"
    await setup.prove_talk(row, call, phone)
    # After the reconnect events arrive again.
    await setup.end(*(await setup.talk())[:2])
