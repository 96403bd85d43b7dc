"""An employee takes a call that rings for a colleague (``*8``)."""

from __future__ import annotations

import pytest

from tests.calls import company as c
from tests.calls.company import company
from tests.calls.simulation import CallSimulation, walk
from trunkline.calls import rules
from trunkline.calls.context import RingingPhone
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Hangup, PickUp
from trunkline.calls.flows import pick_up
from trunkline.calls.flows.number_plan import ToPickUp, destination
from trunkline.calls.session import Leg
from trunkline.core.clock import Instant
from trunkline.core.errors import EffectRefused
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import Channel, Ended

EVERYBODY = (c.ANNA_LINE, c.ANNA_SECOND, c.BORIS_LINE, c.DORA_LINE)
COMPANY = company()
BORIS, CLARA, DORA = (COMPANY.employees[one] for one in (c.BORIS, c.CLARA, c.DORA))
SALES = COMPANY.groups[c.ALL]


def phone(channel: str, employee_id: int, group_id: int | None = None) -> RingingPhone:
    return RingingPhone(Channel(channel), 1, employee_id, group_id)


def chosen(where: ToPickUp, *phones: RingingPhone, by: int = c.ANNA) -> str | None:
    found = pick_up.choose(COMPANY, by, phones, where)
    return found.channel if found is not None else None


@pytest.mark.parametrize(
    ("dialled", "where"),
    [
        ("*8", ToPickUp()),
        ("*8102", ToPickUp(employee=BORIS)),
        ("*8200", ToPickUp(group=SALES)),
        ("*8199", None),
        ("*8112", None),
    ],
)
def test_codes(dialled: str, where: ToPickUp | None) -> None:
    assert destination(COMPANY, dialled) == where


def test_which_phone() -> None:
    boris, dora = phone("b", c.BORIS, c.ALL), phone("d", c.DORA)
    anna, later = phone("a", c.ANNA, c.ALL), phone("b2", c.BORIS)
    assert chosen(ToPickUp(employee=BORIS), dora, boris, later) == "b"
    assert chosen(ToPickUp(employee=DORA), boris) is None
    assert chosen(ToPickUp(group=SALES), later, anna, boris) == "b", (
        "not one's own, and not a call to the colleague"
    )
    assert chosen(ToPickUp(), dora, anna, later, boris) == "b2", "Dora is in no group of Anna's"
    assert chosen(ToPickUp(), boris, by=c.DORA) is None
    own = RingingPhone(Channel("own"), 1, c.BORIS, None, caller_employee_id=c.ANNA)
    assert chosen(ToPickUp(employee=BORIS), own) is None, "nobody talks with oneself"


def ringing_phones(simulation: CallSimulation) -> list[Channel]:
    return [one.channel for one in simulation.presence.ringing(c.ACCOUNT)]


def coded(waiting: CallSimulation, dialled: str, login: str = c.DORA_LINE) -> CallSimulation:
    """A call to a code, while the other call waits."""
    simulation = CallSimulation(waiting.account, online=EVERYBODY)
    simulation.presence = waiting.presence
    simulation.clock = waiting.clock
    simulation.engine.name_channels("code-%d")
    return simulation.dial(login, dialled)


def by_of(simulation: CallSimulation) -> Leg:
    leg = simulation.session.initiator
    assert leg is not None
    return leg


def decided(simulation: CallSimulation) -> Decision:
    return Decision(simulation.session, simulation.context(), Instant(simulation.clock))


def test_a_call_of_a_customer_is_taken() -> None:
    waiting = CallSimulation(online=EVERYBODY).arrive(c.ALL)
    ringing = waiting.ringing(c.BORIS_LINE)
    assert ringing in ringing_phones(waiting)
    assert not waiting.presence.ringing(c.ACCOUNT + 1), "another account has no part of it"
    code = coded(waiting, "*8102")
    [effect] = [one for one in code.engine.done if isinstance(one, PickUp)]
    assert effect.ringing == ringing
    taking, leaving = decided(waiting.at(3)), decided(code.at(3))
    leg = waiting.session.leg_of(ringing)
    assert leg is not None
    by = by_of(code)
    pick_up.take(taking, leg, by)
    leaving.end_own_call(by)
    rules.finish_when_empty(leaving)
    code.engine.channels.clear()
    code.take(leaving)
    assert (code.end["finish_reason"], code.end["is_internal"]) == ("success_finish", True)
    # The engine: the phone has the place of the other, whose channel ends.
    chan = waiting.engine.channels.pop(ringing)
    chan.channel = by.channel
    waiting.engine.channels[by.channel] = chan
    waiting.take(taking)
    waiting.handle(Ended(ringing, Instant(waiting.clock), 26, by_party=False))
    waiting.engine.answer(by.channel)
    waiting.flow()
    waiting.at(20).hang_up()
    assert waiting.end["first_talked_employee_id"] == c.DORA
    reasons = [
        (leg.employee_id, leg.finish_reason) for leg in waiting.session.legs.values() if leg.is_operator_side
    ]
    assert sorted(reasons) == [
        (c.ANNA, "another_operator_answer"),
        (c.BORIS, "another_operator_answer"),
        (c.DORA, "caller_disconnects"),
    ]
    assert not ringing_phones(waiting)
    walk(waiting.events)
    walk(code.events)


def test_the_colleague_answered_first() -> None:
    """The engine ends the phone that dialled the code."""
    waiting = CallSimulation(online=EVERYBODY).dial(c.ANNA_LINE, "102")
    code = coded(waiting, "*8102")
    waiting.answer(c.BORIS_LINE)
    code.engine.channels.clear()
    code.handle(Ended(code.channel, Instant(code.clock), 21, by_party=False))
    assert code.end["is_lost"] is False
    waiting.hang_up()
    assert waiting.end["is_lost"] is False


@pytest.mark.parametrize("dialled", ["*8", "*8102", "*8101", "*8200"])
def test_nothing_rings(dialled: str) -> None:
    simulation = CallSimulation(online=EVERYBODY).dial(c.DORA_LINE, dialled)
    assert not any(isinstance(one, PickUp) for one in simulation.engine.done)
    assert simulation.end["finish_reason"] == "no_success_operator_call"


def test_answered_calls_and_calls_of_the_api_are_not_there() -> None:
    waiting = CallSimulation(online=EVERYBODY).arrive(c.ALL)
    waiting.answer(c.BORIS_LINE)
    assert not ringing_phones(waiting)
    started = CallSimulation(online=EVERYBODY).start(
        "start_employee_call",
        virtual_phone_number=c.number_of(1),
        contact=c.CUSTOMER,
        employee={"id": c.BORIS},
        first_call="employee",
    )
    assert not ringing_phones(started)


def test_a_refused_effect_ends_the_call_to_the_code() -> None:
    waiting = CallSimulation(online=EVERYBODY).dial(c.ANNA_LINE, "102")
    code = coded(waiting, "*8102")

    effect = next(one for one in code.engine.done if isinstance(one, PickUp))
    code.take(rules.effect_failed(code.session, effect, EffectRefused("no"), code.context()))
    assert isinstance(code.engine.done[-1], Hangup)
    code.flow()
    assert EventType.SESSION_FINISHED in code.types
