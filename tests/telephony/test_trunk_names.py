"""A trunk whose host is a name: Asterisk resolves none, and sends to the address that it is given for the trunk."""

from __future__ import annotations

import asyncio
import functools
import re
import socket
from dataclasses import replace

import pytest

from tests.patience import PATIENCE
from tests.telephony.conftest import Pbx, TelephonySetup
from trunkline.core.engine_values import CallTag, EndpointName
from trunkline.core.errors import EffectRefused
from trunkline.demo import outside
from trunkline.telephony.carrier_registrations import RegistrationState
from trunkline.telephony.config import TrunkConfig, TrunkMode, TrunkTransport
from trunkline.telephony.port import (
    Answered,
    Channel,
    Ended,
    Endpoint,
    EndpointKind,
    Originate,
    Target,
)

pytestmark = pytest.mark.engine

HOST = "sip.carrier.example"
"""No name server has it."""
CUSTOMER = "12025550110"
TRUNK = Endpoint(EndpointKind.TRUNK, EndpointName("trunk-9"))
CALL = Channel("outgoing")


async def configured(setup: TelephonySetup, trunk: TrunkConfig) -> None:
    await setup.engine.configure(replace(setup.pbx.directory, trunks=[trunk]))


async def test_it_registers_and_calls_leave_through_it(setup: TelephonySetup) -> None:
    ports = setup.pbx.world_ports
    await setup.world.carrier_login("named", "secret")
    await configured(
        setup,
        TrunkConfig.of(
            "9",
            TrunkMode.REGISTER,
            HOST,
            ports.carrier,
            username="named",
            password="secret",
            server=ports.carrier_address,
        ),
    )
    await setup.world.carrier_registered("named")
    log = setup.pbx.config.paths.root / "console"
    async with asyncio.timeout(30):
        while [one.state for one in await setup.engine.registrations_at_carriers(log)] != [
            RegistrationState.REGISTERED
        ]:
            await asyncio.sleep(0.2)
    customer = await setup.world.customer(CUSTOMER)
    customer.on_call(outside.Answer())
    await setup.engine.originate(Originate(CALL, Target.of(TRUNK, CUSTOMER), 20, CallTag("1")))
    call = await customer.next_call()
    await call.answered()
    await setup.signals.wait(Answered, lambda one: one.channel == CALL)
    await call.hangup()
    ended = await setup.signals.wait(Ended, lambda one: one.channel == CALL)
    assert ended.by_party


async def test_another_password_is_tried_at_once(setup: TelephonySetup) -> None:
    """Not at the next attempt, which is a minute later (``forbidden_retry_interval``)."""
    ports = setup.pbx.world_ports
    await setup.world.carrier_login("corrected", "secret")
    log = setup.pbx.config.paths.root / "console"
    trunk = functools.partial(
        TrunkConfig.of,
        "9",
        TrunkMode.REGISTER,
        ports.carrier_address,
        ports.carrier,
        username="corrected",
    )
    for password, state in (
        ("wrong", RegistrationState.REFUSED),
        ("secret", RegistrationState.REGISTERED),
        ("wrong again", RegistrationState.REFUSED),
    ):
        await configured(setup, trunk(password=password))
        async with asyncio.timeout(PATIENCE):
            while [one.state for one in await setup.engine.registrations_at_carriers(log)] != [state]:
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("transport", [TrunkTransport.UDP, TrunkTransport.TCP])
async def test_requests_have_the_name_and_no_route(pbx: Pbx, transport: TrunkTransport) -> None:
    kind = socket.SOCK_DGRAM if transport is TrunkTransport.UDP else socket.SOCK_STREAM
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, kind) as carrier:
        carrier.setblocking(False)
        carrier.bind(("127.0.0.1", 0))
        port = carrier.getsockname()[1]
        if transport is TrunkTransport.TCP:
            carrier.listen()
        trunk = TrunkConfig.of("9", TrunkMode.ADDRESS, HOST, port, transport, server="127.0.0.1")
        pbx.directory = replace(pbx.directory, trunks=[trunk])
        async with pbx.engine() as (engine, _), asyncio.timeout(30):
            await engine.originate(Originate(CALL, Target.of(TRUNK, CUSTOMER), 20, CallTag("1")))
            connection = carrier
            if transport is TrunkTransport.TCP:
                connection, _ = await loop.sock_accept(carrier)
            with connection:
                text = (await loop.sock_recv(connection, 65_536)).decode()
                await engine.hangup(CALL)
    assert re.match(rf"INVITE sip:\+?{CUSTOMER}@{re.escape(HOST)}:{port}\S* SIP/2.0\r\n", text), text
    assert re.search(rf"(?m)^From: .*@{re.escape(HOST)}>", text)
    assert not re.search(r"(?mi)^Route:", text)


async def test_a_call_to_a_name_without_address_fails_at_once(setup: TelephonySetup) -> None:
    await configured(setup, TrunkConfig.of("9", TrunkMode.ADDRESS, HOST))
    async with asyncio.timeout(5):
        with pytest.raises(EffectRefused):
            await setup.engine.originate(Originate(CALL, Target.of(TRUNK, CUSTOMER), 20, CallTag("1")))
