"""The address that a phone registers sends no call elsewhere: not by headers in it (``?Route=``), not by ``maddr``."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attack.guesser import Guesser
from tests.attack.test_replaced_calls import ADDRESS, Peer
from tests.telephony.conftest import NUMBER, Pbx
from trunkline.core.engine_values import CallTag, DisplayName
from trunkline.core.errors import EngineError
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.telephony.config import DefaultRoute, TrunkConfig, TrunkMode
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import Arrived, Channel, Connect, Endpoint, Originate, Registered, Target

pytestmark = [pytest.mark.attack, pytest.mark.engine, pytest.mark.timeout(120)]

LINE = Endpoint.line("1001")
CALLER = "12025550101"
"""Of the peer."""


class Trap:
    """Where the calls shall go that the attacker steals: another tenant's carrier, which takes calls of this address."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.88", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    def methods(self) -> set[str]:
        """Of the requests that came."""
        found = set()
        while True:
            try:
                found.add(self._socket.recv(65536).split(b" ")[0].decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


@pytest.fixture
async def pbx(asterisk_install: AsteriskInstall, tmp_path: Path) -> AsyncIterator[Pbx]:
    pbx = Pbx(asterisk_install, tmp_path)
    pbx.directory = replace(
        pbx.directory,
        trunks=[TrunkConfig.of("7", TrunkMode.ADDRESS, ADDRESS, 5060, addresses=[ADDRESS])],
        defaults=[DefaultRoute.of(NUMBER, "1001", ["trunk-7-ip"])],
    )
    await pbx.start()
    try:
        yield pbx
    finally:
        await pbx.stop()


def hostile(trap: Trap) -> list[str]:
    carrier = f"127.0.0.88:{trap.port}"
    return [
        f"sip:x@127.0.0.1?Route=%3Csip:882161234567%40{carrier}%3Blr%3E",
        f"sip:x@127.0.0.1?Route=%3Csip%3A88216%40{carrier}%3E&P-Asserted-Identity=%3Csip%3A1%40127.0.0.2%3E",
        f"sip:882161234567@127.0.0.9:{trap.port};maddr=127.0.0.88",
        f"sip:882161234567@127.0.0.9:{trap.port};ob;MADDR=127.0.0.88",
        # Asterisk replaces the address of the first Contact only.
        f"sip:x@127.0.0.1:5999>, <sip:882161234567@{carrier}",
        f"sip:x@127.0.0.1:5999>\r\nm: <sip:882161234567@{carrier}",
        f"sip:x@127.0.0.1:5999>;expires=0, <sip:882161234567@{carrier}>;expires=60, <sip:x@127.0.0.1:5998",
    ]


async def test_no_call_of_the_switch_leaves_by_the_address_of_a_phone(pbx: Pbx, trap: Trap) -> None:
    """The phone registers another address at the moment at which it is called; and it is called by its new address only."""
    peer = Peer(pbx.config.ports.udp)
    target = Target.of(LINE, caller_number=CALLER)
    named = replace(target, caller_name=DisplayName("Dana"))
    async with pbx.engine() as (engine, signals), Guesser(pbx.config.ports.udp) as phone:
        try:
            for number, address in enumerate(hostile(trap)):
                for kind, connect in enumerate((Connect([target], 3), Connect([named], 3))):
                    call = f"call-{number}-{kind}"
                    assert await phone.guess("1001", "secret") == 200
                    await signals.wait(Registered, lambda one: one.line == "1001")
                    peer.send("INVITE", call, branch=call)
                    count = 2 * number + kind
                    async with asyncio.timeout(20):
                        while len(signals.of(Arrived)) <= count:
                            await asyncio.sleep(0.02)
                    arrived = signals.of(Arrived)[count]
                    assert await phone.guess("1001", "secret", address) == 200
                    await engine.connect(arrived.channel, replace(connect, tag=CallTag(f"{count + 1}")))
                    await asyncio.sleep(0.5)
                    await engine.hangup(arrived.channel)
                    await phone.guess("1001", "secret", "*")
                assert await phone.guess("1001", "secret", address) == 200
                await asyncio.sleep(0.3)
                with contextlib.suppress(EngineError):  # there is nobody to call
                    await engine.originate(
                        Originate(Channel(f"out-{number}"), target, 2, tag=CallTag(f"9{number}"))
                    )
                await asyncio.sleep(1)
            assert "INVITE" not in trap.methods()
            uris = [one.contact_uri.lower() for one in signals.of(Registered)]
            assert not [one for one in uris if "maddr" in one or "127.0.0.88" in one]
        finally:
            peer.close()


async def test_no_call_without_a_switch_leaves_by_the_address_of_a_phone(pbx: Pbx, trap: Trap) -> None:
    async with pbx.engine():
        pass  # the directory is in force
    peer = Peer(pbx.config.ports.udp)
    try:
        async with Guesser(pbx.config.ports.udp) as phone:
            for number, address in enumerate(hostile(trap)):
                assert await phone.guess("1001", "secret", address) == 200
                peer.send("INVITE", f"call-{number}", branch=f"call-{number}")
                await asyncio.sleep(pbx.config.away_wait + 1)
        assert "INVITE" not in trap.methods()
    finally:
        peer.close()


async def test_a_device_with_such_an_address_is_removed(pbx: Pbx, trap: Trap) -> None:
    """So it gets no OPTIONS and no NOTIFY either. One that registered while no switch ran is removed by the next."""
    async with Guesser(pbx.config.ports.udp) as phone:
        addresses = hostile(trap)
        async with pbx.engine() as (engine, signals):
            assert await phone.guess("1001", "secret", addresses[0]) == 200
            await _no_contact(engine)
            assert not signals.of(Registered)
            assert await phone.guess("1001", "secret", addresses[4]) == 200
            await _no_contact(engine)
        for address in (addresses[2], addresses[4]):
            assert await phone.guess("1001", "secret", address) == 200
            async with pbx.engine() as (engine, _signals):
                await _no_contact(engine)


async def test_a_device_stays_known_when_the_switch_and_asterisk_start_again(pbx: Pbx) -> None:
    """Also one that registered while no switch ran, from a host that its line has used before."""
    async with Guesser(pbx.config.ports.udp) as phone, Guesser(pbx.config.ports.udp) as other:
        async with pbx.engine() as (_engine, signals):
            assert await phone.guess("1001", "secret") == 200
            first = (await signals.wait(Registered)).contact_uri
        assert await other.guess("1001", "secret") == 200
        for is_new in (False, True):
            if is_new:
                await asyncio.sleep(2)  # Asterisk writes its database once a second
                await pbx.stop()
                await pbx.start(keep=True)
            async with pbx.engine() as (engine, _signals):
                async with asyncio.timeout(10):
                    while len(engine.contacts()) < 2:
                        await asyncio.sleep(0.1)
                assert first in {one.uri for one in engine.contacts()}


async def test_a_device_of_an_older_version_stays_registered(pbx: Pbx) -> None:
    """Asterisk has its contact, and nothing is stored about the addresses of requests."""
    async with Guesser(pbx.config.ports.udp) as phone:
        async with pbx.engine() as (engine, signals):
            assert await phone.guess("1001", "secret") == 200
            await signals.wait(Registered)
            for family in ("tl-devices", "tl-sources"):
                await engine._ami.action("DBDelTree", {"Family": family})
        async with pbx.engine() as (engine, signals):
            await signals.wait(Registered)
            assert len(engine.contacts()) == 1


async def _no_contact(engine: AsteriskEngine) -> None:
    async with asyncio.timeout(20):
        while True:
            listed = await engine._ami.listing("PJSIPShowContacts")
            if not [one for one in listed if "127.0.0.88" in one.get("Uri")]:
                return
            await asyncio.sleep(0.1)
