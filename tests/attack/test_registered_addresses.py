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
from tests.attack.test_replaced_calls import ADDRESS, Peer, tag_of
from tests.patience import PATIENCE
from tests.telephony.conftest import NUMBER, Pbx
from trunkline.core.engine_values import CallTag, DisplayName
from trunkline.core.errors import EngineError
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.asterisk_correction import REGISTRAR, REGISTRAR_CORRECTIONS, is_registrar_corrected
from trunkline.telephony.config import DefaultRoute, TrunkConfig, TrunkMode
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import Arrived, Channel, Connect, Endpoint, Originate, Registered, Target

pytestmark = [pytest.mark.attack, pytest.mark.engine, pytest.mark.timeout(120)]

LINE = Endpoint.line("1001")
CALLER = "12025550101"
"""Of the peer."""


CORRECTED = pytest.mark.parametrize("pbx", ["corrected"], indirect=True)


class Trap:
    """Where the calls shall go that the attacker steals: another tenant's carrier, which takes calls of this address."""

    def __init__(self, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.88", port))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.bind(("127.0.0.88", self.port))
        self._listener.listen()
        self._listener.setblocking(False)

    def methods(self) -> set[str]:
        """Of the requests that came."""
        found = set()
        while True:
            try:
                found.add(self._socket.recv(65536).split(b" ")[0].decode())
            except BlockingIOError:
                return found

    def connections(self) -> int:
        """How many connections over TCP came."""
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()
                count += 1
        return count

    def close(self) -> None:
        self._socket.close()
        self._listener.close()


@pytest.fixture
def trap() -> Iterator[Trap]:
    trap = Trap()
    yield trap
    trap.close()


def uncorrected(install: AsteriskInstall, folder: Path) -> AsteriskInstall:
    """With the registrar as Debian and the upstream source have it: it takes each Contact."""
    folder.mkdir()
    for module in install.modules_dir.iterdir():
        (folder / module.name).symlink_to(module)
    if is_registrar_corrected(install.modules_dir):
        content = bytearray((folder / REGISTRAR).read_bytes())
        for one in REGISTRAR_CORRECTIONS:
            content[one.offset : one.offset + len(one.old)] = one.old
        (folder / REGISTRAR).unlink()
        (folder / REGISTRAR).write_bytes(content)
    return replace(install, modules_dir=folder)


@pytest.fixture(params=["any Asterisk"])
async def pbx(
    request: pytest.FixtureRequest, asterisk_install: AsteriskInstall, tmp_path: Path
) -> AsyncIterator[Pbx]:
    """What a test does not mark with :data:`CORRECTED` holds with an Asterisk whose registrar is not corrected."""
    install = asterisk_install
    if request.param == "corrected":
        if not is_registrar_corrected(install.modules_dir):
            pytest.skip("this machine has an Asterisk without a correction")
    else:
        install = uncorrected(install, tmp_path / "modules")
    pbx = Pbx(install, tmp_path)
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


@CORRECTED
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_a_phone_makes_asterisk_send_nothing_to_another_address(
    pbx: Pbx, trap: Trap, transport: str
) -> None:
    """Not even OPTIONS, nor a connection: with a line's password, any service that the server reaches could be addressed."""
    suffix = "" if transport == "udp" else f";transport={transport}"
    carrier = f"127.0.0.88:{trap.port}{suffix}"
    async with pbx.engine() as (engine, signals), Guesser(pbx.config.ports.udp) as phone:
        for address in (
            f"sip:x@127.0.0.1:5999>, <sip:x@{carrier}",
            f"sip:x@127.0.0.1:5999>\r\nm: <sip:x@{carrier}",
            f"tel:12025550101>, <sip:x@{carrier}",
            f"sip:x@127.0.0.1:5999>;expires=0, <sip:x@{carrier}",
            f"sip:x@127.0.0.1?Route=%3Csip:x%40{carrier.replace(';', '%3B').replace('=', '%3D')}%3Blr%3E",
            f"sip:x@127.0.0.9:{trap.port};maddr=127.0.0.88{suffix}",
            f"sips:x@127.0.0.9:{trap.port};MAddr=127.0.0.88",
            f"sip:x@127.0.0.1:5999>, <sip:x@{carrier}>;expires=0, <sip:y@{carrier}",
        ):
            assert await phone.guess("1001", "secret", address) in (400, 416), address
            await asyncio.sleep(0.2)
        await asyncio.sleep(1.5)
        assert trap.methods() == set()
        assert trap.connections() == 0
        listed = await engine._ami.listing("PJSIPShowContacts")
        assert not [one for one in listed if one.get("Endpoint") == "1001"]
        # A phone whose address was changed on the way removes its former one and adds the new one in one request.
        assert await phone.guess("1001", "secret") == 200
        first = (await signals.wait(Registered)).contact_uri
        moved = f"sip:moved@127.0.0.1:5998>, <{first}>;expires=0, <sip:gone@{carrier}>;expires=0\r\nX-End: <"
        assert await phone.guess("1001", "secret", moved) == 200
        listed = await engine._ami.listing("PJSIPShowContacts")
        [left] = [one.get("Uri") for one in listed if one.get("Endpoint") == "1001"]
        assert left == first.replace("sip:1001@", "sip:moved@")
        assert trap.methods() == set()
        assert trap.connections() == 0


@CORRECTED
async def test_a_request_within_a_call_goes_to_no_maddr(pbx: Pbx) -> None:
    """Neither by the Contact of INVITE nor by its Record-Route."""
    peer = Peer(pbx.config.ports.udp)
    trap = Trap(peer.port)
    route = f"Record-Route: <sip:{ADDRESS}:{peer.port};maddr=127.0.0.88;lr>\r\n"
    try:
        async with pbx.engine() as (engine, signals):
            peer.send("INVITE", "routed", route, branch="routed")
            arrived = await signals.wait(Arrived)
            await engine.answer(arrived.channel)
            tag = tag_of(await asyncio.to_thread(peer.final, "routed"))
            peer.send("ACK", "routed", to_tag=tag, branch="ack")
            await asyncio.sleep(0.3)
            await engine.hangup(arrived.channel)
            await asyncio.sleep(1)
            assert trap.methods() == set()
    finally:
        peer.close()
        trap.close()


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
                async with asyncio.timeout(PATIENCE):
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
