"""The outside world speaks real SIP with itself: what its parties say they did and heard is true."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from tests.telephony.rtp_phones import RtpPhone
from trunkline.demo import tones
from trunkline.demo.outside import (
    Answer,
    Behaviour,
    Customer,
    Ignore,
    OutsideWorld,
    Registrar,
    busy,
    choose_ports,
    decline,
    no_such_number,
    ring_then_give_up,
    unreachable,
)
from trunkline.runtime.asterisk import AsteriskInstall

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("outside"),
    pytest.mark.asyncio(loop_scope="module"),
]

ANNA, BORIS = "971500000010", "971500000011"
FOREIGN_TONE = 3375.0
"""Hz; no party's."""
PRECISION = 0.3
"""Seconds to which the place of a sound in time is known."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(
    asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OutsideWorld]:
    """A world whose PBX is its own carrier."""
    ports = choose_ports()
    pbx = Registrar(ports.carrier_address, ports.carrier)
    async with OutsideWorld(asterisk_install, tmp_path_factory.mktemp("outside"), pbx, ports=ports) as world:
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def anna(world: OutsideWorld) -> Customer:
    return await world.customer(ANNA, name="anna")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def boris(world: OutsideWorld) -> Customer:
    return await world.customer(BORIS, name="boris")


async def test_both_hear_each_other_and_nobody_else(
    world: OutsideWorld, anna: Customer, boris: Customer
) -> None:
    boris.on_call(Answer(after=0.3))
    call = await anna.dial(BORIS)
    answered = await call.answered()
    incoming = await boris.next_call()
    await asyncio.sleep(2)
    await incoming.hangup()
    ended = await call.ended()
    await incoming.ended()

    assert incoming.number == ANNA
    assert call.ended_by_other
    assert not incoming.ended_by_other
    hears = await world.hears([call, incoming])
    assert {listener: list(row) for listener, row in hears.items()} == {
        "anna": ["boris"],
        "boris": ["anna"],
    }
    for listener, speaker in (("anna", "boris"), ("boris", "anna")):
        [interval] = hears[listener][speaker]
        speaks = incoming.speaks_from if speaker == "boris" else call.speaks_from
        # When the sound begins and stops depends on the load of the machine.
        assert answered - PRECISION < interval.start
        assert max(answered, speaks) < interval.end < ended + PRECISION


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [(busy(), 17), (decline(), 21), (unreachable(), 34), (no_such_number(), 1), (ring_then_give_up(0.2), 19)],
)
async def test_refusals_reach_the_caller_as_reported(
    anna: Customer, boris: Customer, behaviour: Behaviour, cause: int
) -> None:
    boris.on_call(behaviour)
    call = await anna.dial(BORIS)
    await call.ended()
    assert call.cause == cause
    assert not call.is_answered


async def test_a_number_nobody_has_does_not_exist(world: OutsideWorld, anna: Customer) -> None:
    world.unknown_numbers.clear()
    call = await anna.dial("971500000099")
    await call.ended()
    assert call.cause == 1
    assert world.unknown_numbers == ["971500000099"]


async def test_a_refused_call_is_not_refused_again(
    world: OutsideWorld, anna: Customer, boris: Customer
) -> None:
    """A second refusal, of the extension that Asterisk runs after a hang-up, replaced the cause of the first at times."""
    boris.forget()
    world.unknown_numbers.clear()
    boris.on_call(busy())
    await anna.dial(BORIS)
    await (await boris.next_call()).ended()
    assert world.unknown_numbers == []


async def test_a_cancelled_call_stops_ringing(anna: Customer, boris: Customer) -> None:
    boris.forget()
    boris.on_call(Ignore())
    call = await anna.dial(BORIS)
    await call.ringing()
    await call.hangup()
    incoming = await boris.next_call()
    await incoming.ended()
    assert incoming.is_ringing
    assert not incoming.is_answered
    assert incoming.ended_by_other


async def test_early_media_is_heard_before_the_answer(
    world: OutsideWorld, anna: Customer, boris: Customer
) -> None:
    boris.forget()
    boris.on_call(Answer(after=1.0, early_media=True))
    call = await anna.dial(BORIS)
    answered = await call.answered()
    await asyncio.sleep(1)
    await call.hangup()
    await call.ended()
    # Answering stops the tone until the next command plays it again.
    intervals = (await world.hears([call]))["anna"]["boris"]
    assert intervals[0].start < answered < intervals[-1].end


async def test_keys_arrive(anna: Customer, boris: Customer) -> None:
    boris.forget()
    boris.on_call(Answer())
    call = await anna.dial(BORIS)
    incoming = await boris.next_call()
    await call.answered()
    await call.send_keys("12#")
    await asyncio.sleep(1.2)
    await call.hangup()
    await incoming.ended()
    assert incoming.keys == "12#"


async def test_a_muted_party_is_not_heard(anna: Customer, boris: Customer) -> None:
    boris.forget()
    boris.on_call(Answer())
    call = await anna.dial(BORIS)
    await call.hears(boris.tone, 0.3)
    incoming = await boris.next_call()
    await incoming.mute()
    with pytest.raises(TimeoutError):
        await call.hears(boris.tone, 1.5, timeout=1.8)
    await call.hangup()
    await incoming.ended()


@pytest.mark.parametrize("from_the_start", [False, True])
async def test_packets_of_another_call_change_nothing(
    world: OutsideWorld, anna: Customer, boris: Customer, from_the_start: bool
) -> None:
    """A port may still get the packets of a call that had it before, of this world or of one beside it. They are not
    heard, and the party goes on sending to the other side of its call."""
    boris.forget()
    await world.hang_up_all()
    boris.on_call(Answer(after=1.0))
    call = await anna.dial(BORIS)
    incoming = await boris.next_call()
    if from_the_start:
        await call.ringing()
    else:
        await call.hears(boris.tone)
    async with _foreign_streams(world, FOREIGN_TONE):
        await call.answered()
        await asyncio.sleep(2)
        await call.hangup()
        await incoming.ended()
    for one in (call, incoming):
        assert not tones.heard((await one.ear()).sound, [FOREIGN_TONE])[FOREIGN_TONE]
    hears = await world.hears([call, incoming])
    for listener, speaker in (("anna", "boris"), ("boris", "anna")):
        assert list(hears[listener]) == [speaker]
        assert tones.total(hears[listener][speaker]) > 1.5


@asynccontextmanager
async def _foreign_streams(world: OutsideWorld, tone: float) -> AsyncIterator[None]:
    """Somebody sends a tone in A-law to each customer's port that is open now."""
    host = world.ports.carrier_address
    streams = []
    for port in _open_ports(host, world.ports.rtp_first, world.ports.rtp_last):
        stream = RtpPhone("alaw", tone, 1000)
        stream.open("127.0.0.1")
        stream.start((host, port))
        streams.append(stream)
    assert streams
    try:
        yield
    finally:
        for stream in streams:
            await stream.close()


def _open_ports(host: str, first: int, last: int) -> list[int]:
    """UDP ports of an address that a process has; those of RTP are even."""
    here = socket.inet_aton(host)[::-1].hex().upper()
    addresses = [line.split()[1] for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
    ports = [int(port, 16) for address, port in (one.split(":") for one in addresses) if address == here]
    return [port for port in ports if first <= port <= last and port % 2 == 0]


async def test_what_a_phone_did_not_send_is_known(anna: Customer, boris: Customer) -> None:
    """On a busy machine a phone of the test is late; who hears it gets no more than it sent."""
    boris.forget()
    boris.on_call(Answer())
    call = await anna.dial(BORIS)
    incoming = await boris.next_call()
    await call.hears(boris.tone)
    await incoming.mute()
    await asyncio.sleep(1.0)
    await call.hangup()
    await incoming.ended()
    assert await call.owed() < PRECISION
    assert await incoming.owed() == pytest.approx(1.0, abs=PRECISION)


async def test_phones_register_with_the_right_password_only(world: OutsideWorld) -> None:
    await world.carrier_login("pbx", "right-one")
    phone = await world.phone("pbx", "right-one")
    assert await world.carrier_registered("pbx")
    await phone.unregister()
    await phone.register()
    stranger = await world.phone("pbx", "wrong-one", register=False)
    assert await stranger.wait_registration("Rejected", "Stopped", "Registered") != "Registered"


async def test_nothing_is_left_behind(world: OutsideWorld) -> None:
    await world.hang_up_all()
    assert await world.living_channels() == 0


async def test_a_customer_of_former_tests_has_another_tone_than_those_who_call_him(
    world: OutsideWorld,
) -> None:
    """Two parties of one tone on one call: nobody can say who was heard."""
    regular = await world.customer("971500000013")
    for number in range(971500000020, 971500000040):
        world.renew(regular)
        assert (await world.customer(str(number))).tone != regular.tone
