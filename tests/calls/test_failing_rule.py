"""An error in a rule: its call ends, its event log has no gap, and the other calls continue."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.story import Story
from tests.calls.test_recovery import House, ring
from trunkline.calls import rules
from trunkline.calls.evolution import replay
from trunkline.calls.session import Phase
from trunkline.directory.model import Employee
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import Ended


class Fragile(dict[int, Employee]):
    """People whom nobody may ask for once ``broken``."""

    broken = False

    def get(self, key: int, default: Any = None) -> Any:
        if self.broken:
            raise RuntimeError("a rule that does not know what to do")
        return super().get(key, default)


@pytest.fixture
def house() -> House:
    return House(c.company(employees=Fragile(c.company().employees)))


def breaks(house: House) -> Fragile:
    people = house.directory.accounts[c.ACCOUNT].employees
    assert isinstance(people, Fragile)
    people.broken = True
    return people


def test_what_was_told_stands_and_the_call_ends(house: House) -> None:
    house.arrive(c.TO_ANNA)
    phone = ring(house.at(5))
    breaks(house)
    house.engine.answer(phone)
    house.flow()
    events = house.story()
    assert EventType.TALK_STARTED in [event.type for event in events]
    assert house.end["finish_reason"] == "internal_error"
    told = replay(events)
    assert told is not None
    assert told.phase is Phase.ENDED


def test_the_end_of_the_only_leg() -> None:
    """Its rule fails, and the engine will not tell of that end again: the call is over nevertheless."""
    people = Fragile(c.company().employees)
    story = Story(c.company(employees=people))
    story.start(
        "start_employee_call",
        virtual_phone_number=c.number_of(1),
        contact=c.CUSTOMER,
        first_call="employee",
        employee={"id": c.ANNA},
    )
    people.broken = True
    ended = Ended(story.ringing(), story.engine.at(), 17, by_party=True)
    decision = rules.signal(story.session, ended, story.context())
    assert isinstance(decision.failure, RuntimeError)
    assert story.session.phase is Phase.ENDED
    assert [event.type for event in decision.events].count(EventType.LEG_ENDED) == 1
    assert [event.seq for event in (*story.events, *decision.events)] == list(range(1, story.session.seq + 1))


def test_other_calls_go_on(house: House) -> None:
    house.arrive(c.TO_ANNA)
    house.at(5).engine.answer(ring(house))
    house.flow()
    people = breaks(house)
    stranger = house.engine.arrive(
        house.engine.channels[next(iter(house.engine.channels))].endpoint, c.number_of(2), ""
    )
    house.flow()
    assert stranger in house.hands.unknown_channels or stranger not in house.engine.channels, (
        "nobody is left to wait"
    )
    people.broken = False
    assert [one.phase for one in house.switch.sessions.values()] == [Phase.TALK]
