"""Calls of one tenant, however many come in, leave media ports to the calls of others and to emergency calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.calls import company as c
from tests.calls.company import company, number_of
from tests.calls.fake_engine import a_line
from tests.calls.test_effect_failures import FailingEngine
from tests.calls.test_recovery import Journal
from trunkline.calls.flows.shares import may_have_more
from trunkline.calls.switch.executor import Performer
from trunkline.calls.switch.switch import Switch
from trunkline.core.clock import Instant
from trunkline.core.errors import LimitExceeded
from trunkline.directory.model import Directory
from trunkline.telephony.port import Arrived, Channel

pytestmark = pytest.mark.attack

CAPACITY = 10
NOW = Instant(1_772_366_400.0)


@pytest.mark.parametrize("hungry", [1, 2, 5, 20])
def test_there_is_always_room_for_who_has_little(hungry: int) -> None:
    capacity, own = 2500, [0] * hungry
    while any(may_have_more(one, sum(own), capacity) for one in own):
        for account in range(hungry):
            own[account] += may_have_more(own[account], sum(own), capacity)
    assert sum(own) < capacity
    assert may_have_more(0, sum(own), capacity)
    assert sum(own) > capacity * 0.85, "and most of it can be used"


async def test_a_flood_of_calls_to_one_tenant(tmp_path: Path) -> None:
    engine = FailingEngine(None)
    performers: list[Performer] = []

    def performer(switch: Switch) -> Performer:
        performers.append(Performer(engine, tmp_path, switch.effect_failed))
        return performers[0]

    switch = Switch(
        node=1,
        directory=lambda: Directory({c.ACCOUNT: company()}),
        writer=Journal(),  # type: ignore[arg-type]
        performer=performer,
        channels_max=CAPACITY,
        clock=lambda: float(NOW),
    )

    def arrive(channel: str, called: str) -> None:
        switch.hear(Arrived(Channel(channel), NOW, a_line(c.ANNA_LINE), called, c.ANNA_LINE, "", NOW))

    for number in range(30):
        arrive(f"flood-{number}", number_of(c.TO_ANNA))
    assert 0 < len(switch.sessions) < CAPACITY
    with pytest.raises(LimitExceeded):
        await switch.command(
            c.ACCOUNT,
            "start_simple_call",
            {
                "contact": "12025550111",
                "operator": "12025550112",
                "virtual_phone_number": number_of(c.TO_ANNA),
            },
        )
    before = len(switch.sessions)
    arrive("emergency", "112")
    assert len(switch.sessions) == before + 1
    await performers[0].settle()
