"""The transition tables: each input has a meaning in each state, and races of a call are states of their own."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from tests.calls import company as c
from tests.calls.simulation import CallSimulation
from trunkline.calls import rules
from trunkline.calls.decision import Decision
from trunkline.calls.effects import Hangup, OriginateLeg
from trunkline.calls.flows.inputs import COMMANDS, SIGNALS, Command, Hold, Input, PartyTaken, Unhold
from trunkline.calls.flows.table import Table, row
from trunkline.calls.session import Phase
from trunkline.calls.states import (
    STATES,
    CallingFirst,
    CallingSecond,
    Consulting,
    Dialling,
    EngineTalk,
    Finished,
    Finishing,
    FirstAnswered,
    Incoming,
    OnHold,
    Releasing,
    State,
    TransferReleasing,
)
from trunkline.core.errors import InvalidState, TrunklineError
from trunkline.events.catalogue import EventType

DORA = "104"
INPUTS: tuple[type[Input], ...] = (*COMMANDS, *SIGNALS)


def talk() -> CallSimulation:
    simulation = CallSimulation(online=[c.ANNA_LINE, c.BORIS_LINE, c.DORA_LINE]).arrive(c.TO_ANNA)
    simulation.at(3).answer(c.ANNA_LINE)
    return simulation.at(10)


def calling() -> CallSimulation:
    return talk().command("hold_call").command("make_call", to=DORA)


def elapse(simulation: CallSimulation) -> None:
    """The ring time is over; nothing of what follows is delivered yet."""
    simulation.clock = min(simulation.session.timers.values())
    assert simulation.elapse()


# --- the table itself


@pytest.mark.parametrize("state", STATES, ids=lambda one: one.__name__)
def test_each_input_has_one_meaning_in_each_state(state: type[State]) -> None:
    table = rules.TABLE
    places = (set(table.rows), table.refused, table.ignored, table.expected)
    for given in INPUTS:
        found = [(state, given) in place for place in places]
        assert sum(found) == 1, f"{state.__name__}, {given.__name__}: {found}"
        if issubclass(given, Command):
            assert (state, given) not in table.ignored | table.expected
        else:
            assert (state, given) not in table.refused


def test_nothing_else_is_in_the_table() -> None:
    table = rules.TABLE
    pairs = set(itertools.product(STATES, INPUTS))
    assert set(table.rows) | table.refused | table.ignored | table.expected == pairs
    for pair, found in table.rows.items():
        assert found.following <= set(STATES), pair
        assert Finished not in found.following, "the end of a call is one event, after every rule"


def test_every_state_can_be_reached_and_left() -> None:
    edges = {(state, after) for (state, _), found in rules.TABLE.rows.items() for after in found.following}
    # Facts change these before a rule is asked.
    edges |= {(EngineTalk, one) for one in STATES if one.__name__ == "EngineTalkEnded"}
    edges |= {
        (one, EngineTalk) for one in STATES if one.__name__ in ("Forwarding", "Dialling", "FirstAnswered")
    }
    edges |= {(one, two) for one in STATES for two in STATES if (one.__name__, two.__name__) in _BY_FACTS}
    edges |= {(Finishing, Finished)}
    reached: set[type[State]] = {Incoming, Dialling, CallingFirst}
    while more := {after for before, after in edges if before in reached} - reached:
        reached |= more
    assert reached == set(STATES)
    leaving: set[type[State]] = {Finished}
    while more := {before for before, after in edges if after in leaving} - leaving:
        leaving |= more
    assert leaving == set(STATES)


_BY_FACTS = {
    ("Incoming", "BetweenOperations"),
    ("Dialling", "MailboxLogin"),
    ("Dialling", "ChangingSetting"),
    ("Dialling", "DialledParking"),
    ("Joining", "Talking"),
    ("InQueue", "Talking"),
    ("Connecting", "Talking"),
    ("Talking", "TalkInterrupted"),
}
"""``scenario_entered`` and the beginning and end of a talk."""


def test_a_pair_may_be_in_one_table_only() -> None:
    one = Table({(OnHold, Unhold): row(lambda _decision, _given: None, OnHold)})
    with pytest.raises(ValueError, match="OnHold"):
        one.merged(one)


def test_a_command_without_a_row_is_refused_and_changes_nothing() -> None:
    simulation = talk()
    before = simulation.session.seq
    for name in ("unhold_call", "restore_talk", "transfer_talk"):
        with pytest.raises(InvalidState):
            simulation.command(name)
    with pytest.raises(InvalidState):
        simulation.command("make_call", to=DORA)
    assert simulation.session.seq == before


def test_a_row_that_leads_elsewhere_fails_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of every walk can fail."""
    simulation = talk()
    rows = {**rules.TABLE.rows}
    rows[EngineTalk, Hold] = row(rows[EngineTalk, Hold].rule, Consulting)
    monkeypatch.setattr(rules, "TABLE", dataclasses.replace(rules.TABLE, rows=rows))
    with pytest.raises(AssertionError, match="OnHold"):
        simulation.command("hold_call")


# --- races


def test_a_third_party_that_answers_as_its_ring_time_ends_is_hung_up_again() -> None:
    simulation = calling()
    third = simulation.ringing(c.DORA_LINE)
    simulation.engine.pending.clear()
    simulation.engine.channels[third].answered = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation.engine, "perform", lambda _: None)
        elapse(simulation)
    assert isinstance(simulation.session.state, Releasing)
    simulation.engine.answer(third)
    answered = simulation.engine.pending.pop(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation.engine, "perform", lambda _: None)
        simulation.handle(answered)
    assert isinstance(simulation.session.state, Releasing)
    assert EventType.CONSULT_STARTED not in simulation.types
    simulation.engine.perform([Hangup(third)])
    simulation.flow()
    assert isinstance(simulation.session.state, OnHold)
    simulation.command("unhold_call")
    assert simulation.session.phase is Phase.TALK


def test_a_party_whose_ring_time_is_over_cannot_be_given_the_call() -> None:
    simulation = calling()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation.engine, "perform", lambda _: None)
        elapse(simulation)
    with pytest.raises(TrunklineError):
        simulation.command("transfer_talk")
    simulation.command("restore_talk")
    assert simulation.session.phase is Phase.TALK


def test_a_transfer_that_nobody_answers_ends_the_call() -> None:
    simulation = calling()
    simulation.command("transfer_talk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation.engine, "perform", lambda _: None)
        elapse(simulation)
        assert isinstance(simulation.session.state, TransferReleasing)
    simulation.hang_up(simulation.ringing(c.DORA_LINE))
    assert simulation.end["finish_reason"] == "operator_not_responsive"


def test_a_second_phone_of_the_first_party_that_answers_too_late_calls_nobody() -> None:
    """Both phones of a group answer at the same moment: the contact is called once."""
    simulation = CallSimulation()
    common = {"virtual_phone_number": c.number_of(1), "contact": c.CUSTOMER}
    message = {"type": "media", "value": c.GREETING}
    simulation.start(
        "start_scenario_call", **common, first_call="employee", scenario_id=c.ALL, contact_message=message
    )
    first, second = (one.channel for one in list(simulation.engine.channels.values())[:2])
    simulation.engine.answer(first)
    simulation.engine.answer(second)
    simulation.flow()
    assert isinstance(simulation.session.state, FirstAnswered | CallingSecond)
    calls = [one for one in simulation.engine.done if isinstance(one, OriginateLeg)]
    assert [one.originate.target.number for one in calls if one.originate.target.number] == [c.CUSTOMER]
    assert second not in simulation.engine.channels


def test_a_signal_without_meaning_is_counted() -> None:
    simulation = talk().command("hold_call")
    contact = simulation.session.contact
    assert contact is not None
    decision = Decision(simulation.session, simulation.context(), simulation.session.last_at)
    rules.TABLE.apply(decision, simulation.session.state, PartyTaken(contact))
    assert (decision.events, decision.effects) == ([], [])
    assert decision.ignored == ["PartyTaken in OnHold"]
