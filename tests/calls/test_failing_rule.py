"""An error in a rule: its call ends, its event log has no gap, and the other calls continue."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.restarted_node import Node, ring
from tests.calls.simulation import CallSimulation
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
def node() -> Node:
    return Node(c.company(employees=Fragile(c.company().employees)))


def breaks(node: Node) -> Fragile:
    people = node.directory.accounts[c.ACCOUNT].employees
    assert isinstance(people, Fragile)
    people.broken = True
    return people


def test_what_was_reported_stands_and_the_call_ends(node: Node) -> None:
    node.arrive(c.TO_ANNA)
    phone = ring(node.at(5))
    breaks(node)
    node.engine.answer(phone)
    node.flow()
    events = node.simulation()
    assert EventType.TALK_STARTED in [event.type for event in events]
    assert node.end["finish_reason"] == "internal_error"
    reported = replay(events)
    assert reported is not None
    assert reported.phase is Phase.ENDED


def test_the_end_of_the_only_leg() -> None:
    """Its rule fails, and the engine will not report that end again: the call is over nevertheless."""
    people = Fragile(c.company().employees)
    simulation = CallSimulation(c.company(employees=people))
    simulation.start(
        "start_employee_call",
        virtual_phone_number=c.number_of(1),
        contact=c.CUSTOMER,
        first_call="employee",
        employee={"id": c.ANNA},
    )
    people.broken = True
    ended = Ended(simulation.ringing(), simulation.engine.at(), 17, by_party=True)
    decision = rules.signal(simulation.session, ended, simulation.context())
    assert isinstance(decision.failure, RuntimeError)
    assert simulation.session.phase is Phase.ENDED
    assert [event.type for event in decision.events].count(EventType.LEG_ENDED) == 1
    assert [event.seq for event in (*simulation.events, *decision.events)] == list(
        range(1, simulation.session.seq + 1)
    )


def test_other_calls_go_on(node: Node) -> None:
    node.arrive(c.TO_ANNA)
    node.at(5).engine.answer(ring(node))
    node.flow()
    people = breaks(node)
    stranger = node.engine.arrive(
        node.engine.channels[next(iter(node.engine.channels))].endpoint, c.number_of(2), ""
    )
    node.flow()
    assert stranger in node.hands.unknown_channels or stranger not in node.engine.channels, (
        "nobody is left to wait"
    )
    people.broken = False
    assert [one.phase for one in node.switch.sessions.values()] == [Phase.TALK]
