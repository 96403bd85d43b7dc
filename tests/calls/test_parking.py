"""Parking: a contact waits in a slot until a phone of the account takes it (``*68``)."""

from __future__ import annotations

import dataclasses

import pytest

from tests.calls import company as c
from tests.calls.company import company
from tests.calls.simulation import CallSimulation, walk
from trunkline.calls import rules
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Answer, AnswerTransfer, Join, Music
from trunkline.calls.evolution import replay
from trunkline.calls.flows import parking
from trunkline.calls.flows.number_plan import ToParking, destination
from trunkline.calls.session import Leg, Phase
from trunkline.calls.states import Connecting, DialledParking, Parked, Talking
from trunkline.calls.timers import QuestionAnswered, QuestionFailed
from trunkline.core.clock import Instant
from trunkline.core.errors import InvalidState, TrunklineError
from trunkline.directory.model import Account

EVERYBODY = (c.ANNA_LINE, c.ANNA_SECOND, c.BORIS_LINE, c.DORA_LINE)


def talk(account: Account | None = None) -> CallSimulation:
    simulation = CallSimulation(account, online=EVERYBODY).arrive(c.TO_ANNA)
    simulation.at(3).answer(c.ANNA_LINE)
    return simulation.at(10)


def anna_of(simulation: CallSimulation) -> Leg:
    return next(leg for leg in simulation.session.legs.values() if leg.employee_id == c.ANNA)


def transferred(simulation: CallSimulation, to: str) -> CallSimulation:
    return simulation.command("transfer_by_phone", leg_id=anna_of(simulation).leg_id, to=to)


def dialled(parked: CallSimulation, code: str, login: str = c.DORA_LINE) -> CallSimulation:
    """A call to a code, while the contact of the other call is parked or talks."""
    simulation = CallSimulation(parked.account, online=EVERYBODY)
    simulation.presence = parked.presence
    simulation.clock = parked.clock
    simulation.engine.name_channels("code-%d")
    return simulation.dial(login, code)


def taken(parked: CallSimulation, login: str = c.DORA_LINE) -> CallSimulation:
    """As the switch does it: the phone goes from the call to the slot into the call of the contact."""
    code = dialled(parked, "*6801", login)
    leg = code.session.initiator
    assert leg is not None
    assert code.session.state == DialledParking(1)
    taking = Decision(parked.session, parked.context(), Instant(parked.clock))
    parking.take(taking, leg)
    leaving = Decision(code.session, code.context(), Instant(code.clock))
    leaving.end_own_call(leg)
    rules.finish_when_empty(leaving)
    parked.engine.channels[leg.channel] = code.engine.channels.pop(leg.channel)
    code.take(leaving)
    assert (code.end["finish_reason"], code.end["is_internal"]) == ("success_finish", True)
    parked.take(taking)
    return parked.flow()


def last_legs(simulation: CallSimulation) -> dict[int | None, str | None]:
    return {leg.employee_id: leg.finish_reason for leg in simulation.session.legs.values()}


@pytest.mark.parametrize(
    ("code", "where"),
    [
        ("*68", ToParking()),
        ("*6801", ToParking(1)),
        ("*6899", ToParking(99)),
        ("*6800", None),
        ("*681", None),
        ("*68001", None),
        ("*68x1", None),
    ],
)
def test_codes(code: str, where: ToParking | None) -> None:
    assert destination(company(), code) == where


def test_the_first_free_slot_or_the_wanted_one() -> None:
    assert parking.free_slot({}) == 1
    assert parking.free_slot({1: 10, 2: 11, 4: 12}) == 3
    assert parking.free_slot({1: 10}, 2) == 2
    assert parking.free_slot({1: 10}, 1) is None
    assert parking.free_slot({}, 100) is None
    assert parking.free_slot(dict.fromkeys(parking.SLOTS, 1)) is None


def test_a_blind_transfer_parks_and_another_phone_takes() -> None:
    parked = transferred(talk(), "*68")
    state = parked.session.state
    assert isinstance(state, Parked)
    assert (state.slot, state.by_leg_id) == (1, anna_of(parked).leg_id)
    assert parked.presence.parked(c.ACCOUNT) == {1: parked.session.call_session_id}
    assert not parked.presence.parked(c.ACCOUNT + 1), "another account has no part of it"
    assert [one for one in parked.engine.done if isinstance(one, AnswerTransfer)][-1].is_done
    assert [one.channel for one in parked.engine.done if isinstance(one, Music)][-1] == parked.channel
    assert (parked.session.phase, parked.session.talking) == (Phase.HOLD, False)
    assert last_legs(parked)[c.ANNA] == "transfer_disconnects", "who parked it is gone, and the call is not"
    taken(parked.at(30))
    assert isinstance(parked.session.state, Talking)
    assert not parked.presence.parked(c.ACCOUNT)
    assert not parked.session.timers
    parked.at(60).hang_up()
    assert parked.end["is_transfer"] is True
    assert parked.end["is_lost"] is False
    assert parked.end["first_talked_employee_id"] == c.ANNA
    assert parked.end["last_talked_employee_id"] == c.DORA
    assert parked.end["clean_talk_duration"] == 7 + 30
    walk(parked.events)


def test_who_takes_back_the_own_call_has_transferred_nothing() -> None:
    parked = taken(transferred(talk(), "*68").at(20), c.ANNA_LINE)
    parked.at(25).hang_up()
    assert parked.end["is_transfer"] is False


def test_a_slot_is_wanted_and_taken_slots_are_refused() -> None:
    parked = transferred(talk(), "*6807")
    assert parked.presence.parked(c.ACCOUNT).keys() == {7}
    other = talk()
    other.presence._parked = parked.presence._parked
    before = other.session.seq
    with pytest.raises(InvalidState, match="taken"):
        transferred(other, "*6807")
    assert other.session.seq == before


def test_no_slot_is_free() -> None:
    parked, other = transferred(talk(), "*68"), talk()
    [(_, session_id)] = parked.presence.parked(c.ACCOUNT).items()
    other.presence._parked = {c.ACCOUNT: dict.fromkeys(range(1, 100), session_id)}
    with pytest.raises(InvalidState, match="No parking slot is free"):
        transferred(other, "*68")


def test_who_may_not_call_colleagues_parks_nothing() -> None:
    account = company()
    anna = dataclasses.replace(account.employees[c.ANNA], out_internal_allowed=frozenset())
    simulation = talk(dataclasses.replace(account, employees={**account.employees, c.ANNA: anna}))
    with pytest.raises(TrunklineError, match="may not call"):
        transferred(simulation, "*68")


def test_nobody_takes_it_and_the_phone_that_parked_it_rings() -> None:
    parked = transferred(talk(), "*68").at(129.9).flow()
    assert not parking.called(parked.session)
    parked.at(130).flow()
    assert (
        parked.session.legs[parking.called(parked.session)[0].leg_id].sip_line_id
        == anna_of(parked).sip_line_id
    )
    assert parked.presence.parked(c.ACCOUNT), "anybody can still take it"
    parked.at(132).answer(c.ANNA_LINE)
    assert isinstance(parked.session.state, Talking)
    parked.at(140).hang_up()
    assert parked.end["is_transfer"] is False
    assert not parked.presence.parked(c.ACCOUNT)


def test_the_phone_rings_again_when_it_was_not_answered() -> None:
    parked = transferred(talk(), "*68").at(130).flow()
    parked.refuse(17, c.ANNA_LINE)
    assert isinstance(parked.session.state, Parked)
    parked.at(249).flow()
    assert not parking.called(parked.session)
    parked.at(250).flow()
    assert len(parking.called(parked.session)) == 1
    parked.at(251).hang_up()
    assert parked.end["finish_reason"] == "caller_disconnects"


def test_it_is_taken_while_the_phone_of_who_parked_it_rings() -> None:
    parked = transferred(talk(), "*68").at(130).flow()
    taken(parked)
    assert isinstance(parked.session.state, Talking)
    assert parked.engine.channels.keys() == {leg.channel for leg in parked.session.living}
    assert len(parked.session.living) == 2
    parked.at(140).hang_up()
    assert parked.end["last_talked_employee_id"] == c.DORA


def test_a_phone_that_is_offline_is_called_when_it_is_back_and_not_for_ever() -> None:
    parked = transferred(talk(), "*68")
    parked.presence._devices.clear()
    for moment in range(130, 130 + 5 * 120, 120):
        parked.at(moment).flow()
        assert isinstance(parked.session.state, Parked)
    parked.at(10 + parking.PARKED_SECONDS_MAX + 120).flow()
    assert parked.end["finish_reason"] == "no_success_operator_call"


def test_the_contact_gives_up() -> None:
    parked = transferred(talk(), "*68").at(20).hang_up()
    assert parked.end["finish_reason"] == "caller_disconnects"
    assert not parked.presence.parked(c.ACCOUNT)


def test_an_empty_slot_is_refused() -> None:
    simulation = dialled(talk(), "*6801")
    assert simulation.end["finish_reason"] == "no_success_operator_call"
    assert not [one for one in simulation.engine.done if isinstance(one, Answer)]


def test_the_call_to_the_code_is_answered_when_the_contact_is_parked() -> None:
    """The line has one channel, which its talk has: the code is for the time after it."""
    simulation = dialled(talk(), "*68", c.ANNA_LINE)
    assert simulation.session.state == DialledParking(None)
    assert not [one for one in simulation.engine.done if isinstance(one, Answer)]
    answer = QuestionAnswered(parking.PARK, Instant(simulation.clock), {"slot": 12})
    simulation.take(rules.signal(simulation.session, answer, simulation.context()))
    simulation.flow()
    assert [one for one in simulation.engine.done if isinstance(one, Answer)]
    assert simulation.end["finish_reason"] == "success_finish"


def test_the_call_to_the_code_is_refused_when_nothing_is_on_hold() -> None:
    simulation = dialled(talk(), "*68", c.DORA_LINE)
    failed = QuestionFailed(parking.PARK, Instant(simulation.clock), "restarted")
    simulation.take(rules.signal(simulation.session, failed, simulation.context()))
    simulation.flow()
    assert simulation.end["finish_reason"] == "no_success_operator_call"


def test_after_a_restart_the_contact_hears_music_and_can_be_taken() -> None:
    parked = transferred(talk(), "*68")
    session = replay(parked.events)
    assert session is not None
    assert session.state == parked.session.state
    assert session.timers == parked.session.timers
    decision = Decision(session, parked.context(), Instant(parked.clock))
    parking.resume(decision, frozenset({parked.channel}))
    assert [type(effect) for effect in decision.effects] == [Music]


def test_who_answered_while_no_switch_ran_is_connected() -> None:
    parked = transferred(talk(), "*68").at(130).flow()
    [ringing] = parking.called(parked.session)
    session = replay(parked.events)
    assert session is not None
    leg = session.legs[ringing.leg_id]
    decision = Decision(session, parked.context(), Instant(parked.clock))
    decision.answer_leg(leg)  # the switch was killed after it had stored that
    parking.resume(decision, frozenset({parked.channel, leg.channel}))
    assert session.state == Connecting(leg.leg_id)
    assert [one.channel for one in decision.effects if isinstance(one, Join)] == [parked.channel, leg.channel]


def test_only_a_talk_is_parked() -> None:
    held = talk().command("hold_call")
    with pytest.raises(InvalidState):
        held.command("park_call")
    assert not held.presence.parked(c.ACCOUNT)
