"""Who may come in, and where."""

from __future__ import annotations

import ssl
from dataclasses import replace

import aiohttp
import pytest

from tests.telephony.conftest import NUMBER, Pbx, TelephonySetup
from tests.telephony.test_calls import CUSTOMER, LINE, TRUNK
from trunkline.core.engine_values import CallTag
from trunkline.core.errors import EffectRefused
from trunkline.demo import outside
from trunkline.telephony.config import TrunkConfig, TrunkMode
from trunkline.telephony.port import (
    Arrived,
    Channel,
    Ended,
    Originate,
    Target,
)

pytestmark = pytest.mark.engine


async def test_browsers_come_in_by_websocket_and_see_no_control_interface(pbx: Pbx) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    secrets, door = pbx.config.secrets, f"https://127.0.0.1:{pbx.config.ports.wss}"
    async with pbx.engine():
        from_elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.9", 0), ssl=context)
        async with aiohttp.ClientSession(connector=from_elsewhere) as session:
            async with session.ws_connect(f"{door}/ws", protocols=["sip"]) as socket:
                assert socket.protocol == "sip"
            headers = {"Authorization": aiohttp.encode_basic_auth(secrets.ari_user, secrets.ari_password)}
            for path in ("/ari/channels", "/ARI/channels", "/Ari/api-docs/resources.json", "//ari/channels"):
                async with session.get(door + path, headers=headers) as response:
                    assert response.status in (403, 404), path


async def test_a_trunk_that_registers_brings_calls(setup: TelephonySetup) -> None:
    ports = setup.world.ports
    await setup.world.carrier_login("company", "trunk-secret")
    trunk = TrunkConfig.of(
        "9",
        TrunkMode.REGISTER,
        ports.carrier_address,
        ports.carrier,
        username="company",
        password="trunk-secret",
    )
    directory = replace(setup.pbx.directory, trunks=[trunk])
    await setup.engine.configure(directory)
    customer = await setup.world.customer(CUSTOMER)
    call = await setup.world.dial_registered(customer, NUMBER, "company")
    arrival = await setup.signals.wait(Arrived)
    assert (arrival.endpoint.name, arrival.called) == ("trunk-9", NUMBER)
    await call.hangup()
    await setup.nobody_left()


async def test_a_stranger_gets_nothing(setup: TelephonySetup) -> None:
    stranger = await setup.world.phone("7777", "secret", register=False)
    call = await stranger.dial(NUMBER)
    await call.ended()
    assert not setup.signals.of(Arrived)


async def test_originate_to_nobody_and_to_a_refusal(setup: TelephonySetup) -> None:
    with pytest.raises(EffectRefused):
        await setup.engine.originate(Originate(Channel("nobody"), Target(LINE), 5, CallTag("1")))
    customer = await setup.world.customer(CUSTOMER)
    customer.on_call(outside.busy())
    await setup.engine.originate(Originate(Channel("busy"), Target.of(TRUNK, CUSTOMER), 5, CallTag("1")))
    ended = await setup.signals.wait(Ended, lambda one: one.channel == "busy")
    assert (ended.cause, ended.by_party) == (17, True)
    customer.on_call(outside.Ignore())
    await setup.engine.originate(Originate(Channel("late"), Target.of(TRUNK, CUSTOMER), 1, CallTag("1")))
    ended = await setup.signals.wait(Ended, lambda one: one.channel == "late")
    assert not ended.by_party
    await setup.nobody_left()
