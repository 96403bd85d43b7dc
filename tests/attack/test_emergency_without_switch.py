"""Emergency calls leave by the dialplan alone while no switch is there, from every line; nothing else does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.calls import company as c
from tests.calls.company import company
from tests.telephony.conftest import Pbx
from trunkline.demo.outside import Answer, OutsideWorld, Registrar
from trunkline.directory.model import LineStatus
from trunkline.directory.trunks.identification import Identification
from trunkline.engine_configuration import account_config
from trunkline.routing.emergency import emergency_number, emergency_numbers
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.ports import free_ports
from trunkline.telephony.config import (
    EmergencyRoute,
    TrunkConfig,
    TrunkMode,
    TrunkTransport,
)

OWN = "442079460100"
OTHER = "442079460999"


@pytest.fixture
async def world(asterisk_install: AsteriskInstall, tmp_path: Path) -> AsyncIterator[OutsideWorld]:
    """Phones and carrier of an engine that no switch is connected to. Its first trunk reaches nobody."""
    pbx = Pbx(asterisk_install, tmp_path)
    dead = TrunkConfig.of("8", TrunkMode.ADDRESS, "127.0.0.1", free_ports(1)[0], transport=TrunkTransport.TCP)
    route = EmergencyRoute.of(
        "12~0", emergency_numbers("GB"), [("trunk-8", f"+{OTHER}"), ("trunk-7", f"+{OWN}"), ("trunk-9", "")]
    )
    pbx.directory = replace(
        pbx.directory,
        lines=[replace(one, emergency=route.name) for one in pbx.directory.lines],
        trunks=[*pbx.directory.trunks, dead],
        emergency=[route],
    )
    pbx.config = replace(pbx.config, away_wait=4)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(pbx.stop)
        await pbx.start()
        ports = pbx.config.ports
        sip, tls = Registrar("127.0.0.1", ports.udp), Registrar("127.0.0.1", ports.tls)
        yield await stack.enter_async_context(
            OutsideWorld(asterisk_install, tmp_path / "w", sip, tls, pbx.world_ports)
        )


@pytest.mark.engine
@pytest.mark.attack
@pytest.mark.parametrize(("dialled", "number"), [("112", "112"), ("+999", "999")])
async def test_it_leaves_without_a_switch(world: OutsideWorld, dialled: str, number: str) -> None:
    phone = await world.phone("1001", "secret")
    police = await world.customer(number)
    police.on_call(Answer(after=0.2))
    call = await phone.dial(dialled)
    taken = await police.next_call()
    await call.answered()
    assert taken.number == f"+{OWN}"
    await call.hangup()
    await taken.ended()


@pytest.mark.engine
@pytest.mark.attack
async def test_no_other_number_leaves_without_a_switch(world: OutsideWorld) -> None:
    phone = await world.phone("1001", "secret")
    called = [await world.customer(number) for number in ("12025550111", "1121", "112")]
    for number in ("12025550111", "1121", "112#", "a112"):
        call = await phone.dial(number)
        await call.ended()
    assert not any(one.calls for one in called)


@pytest.mark.parametrize("country", ["AE", "GB", "US", "DE", "FR", "AU", "IN", "", "ZZ"])
def test_the_list_of_a_country_is_what_the_switch_recognises(country: str) -> None:
    listed = emergency_numbers(country)
    assert {"112", "911", "999"} <= listed
    assert listed == {
        digits
        for length in (2, 3, 4, 5)
        for digits in (f"{value:0{length}}" for value in range(10**length))
        if emergency_number(digits, country)
    }
    longer = {
        f"{number}{value:0{6 - len(number)}}" for number in listed for value in range(10 ** (6 - len(number)))
    }
    assert (
        listed & longer
        == {
            digits
            for digits in longer  # of all with six digits, those that begin like one of them: all would take 4 s a country
            if emergency_number(digits, country)
        }
    )


def test_every_line_has_a_route() -> None:
    account = company(is_active=False)
    lines = {key: replace(line, status=LineStatus.INACTIVE) for key, line in account.lines.items()}
    account = replace(account, lines=lines)
    made = account_config(account, Identification()).directory
    assert made.lines
    routes = {one.name: one for one in made.emergency}
    for line in made.lines:
        assert line.emergency is not None
        assert [endpoint for endpoint, _ in routes[line.emergency].ways] == [f"trunk-{c.TRUNK}"]
        assert "998" in routes[line.emergency].numbers
