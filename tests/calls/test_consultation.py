"""Hold, consult, transfer and coaching, step by step: phases, audio paths, reasons, and refusals."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.calls import company as c
from tests.calls.simulation import CallSimulation
from tests.calls.test_any_command import coached, settled
from trunkline.calls.effects import RecordVoice, Supervise
from trunkline.calls.live_view import live_call
from trunkline.calls.records.history import session_row
from trunkline.calls.session import PHASES, Phase
from trunkline.calls.states import Announcing
from trunkline.core.errors import InvalidInput, InvalidState, NotFound, PermissionDenied, TrunklineError
from trunkline.events.catalogue import EventType
from trunkline.events.reasons import Reason
from trunkline.telephony.port import Channel, Supervision

MESSAGE = {"type": "media", "value": c.GREETING}
DORA = "104"
R = Reason


def talk(kind: str = "in") -> CallSimulation:
    """Contact and Anna talk."""
    simulation = CallSimulation(coached(), online=[c.ANNA_LINE, c.BORIS_LINE, c.DORA_LINE])
    if kind == "in":
        simulation.arrive(c.TO_ANNA)
        simulation.at(5).answer(c.ANNA_LINE)
    else:
        common: dict[str, Any] = {"virtual_phone_number": c.number_of(1), "contact": c.CUSTOMER}
        more = {"contact_message": MESSAGE} if kind == "told" else {}
        simulation.start(
            "start_employee_call", **common, **more, first_call="employee", employee={"id": c.ANNA}
        )
        simulation.answer(c.ANNA_LINE)
        simulation.at(5).answer(c.CUSTOMER)
        if kind == "told":
            simulation.engine.played(contact(simulation))
            simulation.flow()
    assert phase_of(simulation) is Phase.TALK
    return simulation


def hold(kind: str = "in") -> CallSimulation:
    return talk(kind).at(15).command("hold_call")


def dialing(kind: str = "in") -> CallSimulation:
    return hold(kind).command("make_call", to=DORA)


def consult(kind: str = "in") -> CallSimulation:
    simulation = dialing(kind)
    simulation.at(25).answer(c.DORA_LINE)
    return simulation


def contact(simulation: CallSimulation) -> Channel:
    found = simulation.session.contact
    assert found is not None
    return found.channel


def party(simulation: CallSimulation, login: str) -> Channel:
    return next(
        one.channel
        for one in simulation.session.living
        if login in (one.called_phone_number, one.calling_phone_number)
    )


def hears(simulation: CallSimulation, login: str) -> set[str]:
    channel = contact(simulation) if login == c.CUSTOMER else party(simulation, login)
    return simulation.engine.hearing(channel)


def in_talk(simulation: CallSimulation) -> set[Channel]:
    """Who is where the contact is."""
    channels = simulation.engine.channels
    return {one for one, chan in channels.items() if chan.bridge == channels[contact(simulation)].bridge}


def anna(simulation: CallSimulation) -> Channel:
    return party(simulation, c.ANNA_LINE)


def reason(simulation: CallSimulation, login: str) -> Reason | None:
    return next(
        leg.finish_reason for leg in simulation.session.legs.values() if leg.called_phone_number == login
    )


def phase_of(simulation: CallSimulation) -> Phase:
    return simulation.session.phase


KINDS = pytest.mark.parametrize("kind", ["in", "api", "told"])


@KINDS
def test_hold_and_back(kind: str) -> None:
    simulation = hold(kind)
    assert phase_of(simulation) is Phase.HOLD
    assert hears(simulation, c.CUSTOMER) == {"music"}
    assert not hears(simulation, c.ANNA_LINE)
    settled(simulation)
    simulation.at(35).command("unhold_call")
    assert phase_of(simulation) is Phase.TALK
    assert c.ANNA_LINE in hears(simulation, c.CUSTOMER)
    settled(simulation)
    simulation.at(45).hang_up(contact(simulation))
    assert simulation.end["finish_reason"] == R.CALLER_DISCONNECTS
    assert simulation.end["talk_duration"] == 40
    assert simulation.end["clean_talk_duration"] == 20, "nobody talks on hold"
    assert not simulation.end["is_transfer"]


def test_message_on_hold_is_followed_by_music() -> None:
    simulation = talk().command("hold_call", contact_message=MESSAGE)
    assert hears(simulation, c.CUSTOMER) == {"message"}
    simulation.engine.played(contact(simulation))
    assert hears(simulation.flow(), c.CUSTOMER) == {"music"}


def test_message_on_hold_is_cut_when_they_talk_again() -> None:
    simulation = talk().command("hold_call", contact_message=MESSAGE).command("unhold_call")
    assert "message" not in hears(simulation, c.CUSTOMER)
    settled(simulation)


@KINDS
def test_consult_and_transfer(kind: str) -> None:
    simulation = consult(kind)
    assert phase_of(simulation) is Phase.OPERATOR_TALK
    assert hears(simulation, c.CUSTOMER) == {"music"}
    assert hears(simulation, c.ANNA_LINE) == {c.DORA_LINE}
    settled(simulation)
    simulation.at(35).command("transfer_talk")
    assert phase_of(simulation) is Phase.TALK
    assert hears(simulation, c.CUSTOMER) == {c.DORA_LINE}
    assert reason(simulation, c.ANNA_LINE) is R.TRANSFER_DISCONNECTS
    settled(simulation)
    simulation.at(45).hang_up(party(simulation, c.DORA_LINE))
    assert simulation.end["finish_reason"] == R.OPERATOR_DISCONNECTS
    assert simulation.end["is_transfer"]
    row = session_row(simulation.session, 1)
    # Neither the hold nor the consultation is talk with the contact.
    assert row["employee_talks"] == {str(c.ANNA): 10, str(c.DORA): 10}
    assert (row["talk_duration"], row["clean_talk_duration"]) == (40, 20)


@KINDS
def test_transfer_while_it_rings(kind: str) -> None:
    simulation = dialing(kind).command("transfer_talk")
    assert reason(simulation, c.ANNA_LINE) is R.TRANSFER_DISCONNECTS
    assert phase_of(simulation) is Phase.DIALING
    assert hears(simulation, c.CUSTOMER) == {"music"}
    for name in ("transfer_talk", "restore_talk", "unhold_call"):
        refused(simulation, name)
    simulation.answer(c.DORA_LINE)
    assert phase_of(simulation) is Phase.TALK
    settled(simulation)
    simulation.hang_up(contact(simulation))
    assert simulation.end["is_transfer"]
    assert simulation.end["finish_reason"] == R.CALLER_DISCONNECTS


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        (17, R.OPERATOR_BUSY),
        (19, R.OPERATOR_NOT_RESPONSIVE),
        (21, R.OPERATOR_DISCONNECTS),
        (20, R.SIP_OFFLINE),
    ],
)
def test_transfer_to_who_is_not_reached_ends_the_call(cause: int, why: Reason) -> None:
    simulation = dialing().command("transfer_talk")
    simulation.refuse(cause, c.DORA_LINE)
    assert reason(simulation, c.DORA_LINE) is why
    assert simulation.end["finish_reason"] == why
    assert not simulation.end["is_transfer"]


@pytest.mark.parametrize("cause", [17, 19, 20, 21])
def test_third_party_who_is_not_reached_leaves_the_call_on_hold(cause: int) -> None:
    simulation = dialing().refuse(cause, c.DORA_LINE)
    assert phase_of(simulation) is Phase.HOLD
    assert hears(simulation, c.ANNA_LINE) == {"music"}
    settled(simulation)
    simulation.command("make_call", to=c.CLARA_MOBILE)
    simulation.answer(c.CLARA_MOBILE)
    assert phase_of(simulation) is Phase.OPERATOR_TALK
    settled(simulation)


def test_third_party_whom_the_engine_could_not_call_leaves_the_call_on_hold() -> None:
    simulation = dialing()
    simulation.fail(simulation.ringing(c.DORA_LINE)).flow()
    assert phase_of(simulation) is Phase.HOLD
    settled(simulation)


@pytest.mark.parametrize("answered", [False, True])
def test_back_from_the_third_party(answered: bool) -> None:
    simulation = (consult() if answered else dialing()).command("restore_talk")
    assert phase_of(simulation) is Phase.TALK
    assert c.ANNA_LINE in hears(simulation, c.CUSTOMER)
    assert reason(simulation, c.DORA_LINE) is R.OPERATOR_DISCONNECTS
    settled(simulation)
    simulation.command("hold_call").command("make_call", to=c.BORIS_LINE)
    simulation.answer(c.BORIS_LINE)
    settled(simulation.command("transfer_talk"))
    simulation.hang_up(contact(simulation))
    assert simulation.end["is_transfer"]


def test_third_party_hears_its_message_before_anybody_talks_to_it() -> None:
    simulation = hold().command("make_call", to=DORA, to_message=MESSAGE)
    simulation.answer(c.DORA_LINE)
    assert phase_of(simulation) is Phase.DIALING
    assert hears(simulation, c.DORA_LINE) == {"message"}
    assert isinstance(simulation.session.state, Announcing)
    simulation.engine.played(party(simulation, c.DORA_LINE))
    assert phase_of(simulation.flow()) is Phase.OPERATOR_TALK
    settled(simulation)


@pytest.mark.parametrize("start", [talk, hold])
@pytest.mark.parametrize("to", [DORA, c.DORA_LINE, c.CLARA_MOBILE])
def test_blind_transfer(start: Any, to: str) -> None:
    simulation: CallSimulation = start().command("transfer_talk", contact=to)
    assert reason(simulation, c.ANNA_LINE) is R.TRANSFER_DISCONNECTS
    simulation.answer()
    settled(simulation)
    assert phase_of(simulation) is Phase.TALK
    simulation.hang_up(contact(simulation))
    assert simulation.end["is_transfer"]


def test_blind_transfer_to_nobody_leaves_the_talk_alone() -> None:
    simulation = talk()
    before = simulation.session.seq
    with pytest.raises(InvalidInput) as error:
        simulation.command("transfer_talk", contact="199")
    assert error.value.mnemonic == "no_active_phone_number"
    assert (simulation.session.seq, simulation.session.phase) == (before, Phase.TALK)


@pytest.mark.parametrize("phase", [hold, dialing, consult])
@pytest.mark.parametrize(
    ("who", "why"), [("contact", R.CALLER_DISCONNECTS), ("operator", R.OPERATOR_DISCONNECTS)]
)
def test_hang_ups_on_hold_end_the_call(phase: Any, who: str, why: Reason) -> None:
    simulation: CallSimulation = phase()
    simulation.hang_up(contact(simulation) if who == "contact" else anna(simulation))
    assert simulation.end["finish_reason"] == why
    assert not simulation.end["is_transfer"]


def test_contact_hangs_up_while_it_is_handed_over() -> None:
    simulation = dialing().command("transfer_talk")
    simulation.hang_up(contact(simulation))
    assert simulation.end["finish_reason"] == R.CALLER_DISCONNECTS
    assert reason(simulation, c.ANNA_LINE) is R.TRANSFER_DISCONNECTS


def test_third_party_hangs_up() -> None:
    simulation = consult()
    simulation.hang_up(party(simulation, c.DORA_LINE))
    assert phase_of(simulation) is Phase.HOLD
    settled(simulation)
    settled(simulation.command("unhold_call"))


def test_disconnect_of_each_leg() -> None:
    for index, ends in ((0, True), (1, True), (2, False)):
        simulation = consult()
        simulation.command("disconnect_leg", leg_id=list(simulation.session.legs)[index])
        assert (phase_of(simulation) is Phase.ENDED) == ends
        if not ends:
            assert phase_of(simulation) is Phase.HOLD
    with pytest.raises(NotFound) as error:
        talk().command("disconnect_leg", leg_id=5)
    assert error.value.mnemonic == "leg_not_found"


# --- what is refused --------------------------------------------------------------------------------------

ALLOWED: dict[str, set[Phase]] = {
    "hold_call": {Phase.TALK},
    "unhold_call": {Phase.HOLD},
    "make_call": {Phase.HOLD},
    "restore_talk": {Phase.DIALING, Phase.OPERATOR_TALK},
    "transfer_talk": {Phase.DIALING, Phase.OPERATOR_TALK},
    "add_coach": {Phase.TALK},
    "record_call": {Phase.TALK},
    "run_scenario": {Phase.TALK},
}
"""The transitions of the state diagram, by their cause."""

PARAMS: dict[str, dict[str, Any]] = {
    "make_call": {"to": DORA},
    "record_call": {"action": "off"},
    "run_scenario": {"scenario_id": c.ALL},
}


def ringing() -> CallSimulation:
    return CallSimulation(coached()).arrive(c.TO_ANNA)


def finishing() -> CallSimulation:
    simulation = talk()
    simulation.command("release_call", flow=False)
    return simulation


SIMULATIONS = {
    Phase.SESSION: ringing,
    Phase.TALK: talk,
    Phase.HOLD: hold,
    Phase.DIALING: dialing,
    Phase.OPERATOR_TALK: consult,
    Phase.FINISHING: finishing,
}


def refused(simulation: CallSimulation, name: str) -> None:
    before = simulation.session.seq
    with pytest.raises(InvalidState) as error:
        simulation.command(name, **PARAMS.get(name, {}))
    assert error.value.mnemonic == "invalid_state"
    assert simulation.session.seq == before, "a refused command publishes nothing"


@pytest.mark.parametrize("phase", SIMULATIONS)
@pytest.mark.parametrize("name", ALLOWED)
def test_commands_by_phase(phase: Phase, name: str) -> None:
    if phase not in ALLOWED[name]:
        refused(SIMULATIONS[phase](), name)
        return
    simulation = SIMULATIONS[phase]()
    try:
        simulation.command(name, **PARAMS.get(name, {}))
    except TrunklineError as error:
        assert error.mnemonic == "forbidden"  # noqa: PT017 - Anna's calls are always recorded
        assert name == "record_call"
    settled(simulation)


def test_commands_while_they_are_being_joined_again() -> None:
    simulation = hold()
    simulation.command("unhold_call", flow=False)
    for name in ("unhold_call", "make_call", "hold_call"):
        refused_now(simulation, name)
    settled(simulation.flow())


def refused_now(simulation: CallSimulation, name: str) -> None:
    with pytest.raises(InvalidState):
        simulation.command(name, flow=False, **PARAMS.get(name, {}))


DIAGRAM = [
    ("SESSION", "TALK"),
    ("TALK", "CALL_COACH"),
    ("CALL_COACH", "TALK"),
    ("TALK", "RECORD_TALK"),
    ("RECORD_TALK", "TALK"),
    ("TALK", "MARK_CALL"),
    ("MARK_CALL", "TALK"),
    ("TALK", "HOLD"),
    ("HOLD", "TALK"),
    ("HOLD", "WAITING_INPUT"),
    ("WAITING_INPUT", "HOLD"),
    ("WAITING_INPUT", "DIALING"),
    ("DIALING", "HOLD"),
    ("DIALING", "OPERATOR_TALK"),
    ("DIALING", "TALK"),
    ("DIALING", "FINISHING"),
    ("OPERATOR_TALK", "TALK"),
    ("TALK", "POST_TALK"),
    ("POST_TALK", "FINISHING"),
    ("FINISHING", "ENDED"),
]
"""The rows of the Call API's state diagram."""

WITHIN = {"CALL_COACH": "TALK", "RECORD_TALK": "TALK", "MARK_CALL": "TALK", "WAITING_INPUT": "HOLD"}
"""States of the diagram that are no phase of their own: the call stays where it is meanwhile."""


@pytest.mark.parametrize(("before", "after"), DIAGRAM)
def test_the_phases_have_every_arrow_of_the_diagram(before: str, after: str) -> None:
    first, last = (Phase[WITHIN.get(one, one)] for one in (before, after))
    # Back to a talk goes by HOLD: until the bridge reports that they hear each other, they do not.
    by_hold = last in PHASES[Phase.HOLD] and Phase.HOLD in PHASES[first]
    assert first is last or last in PHASES[first] or by_hold


# --- coach, recording, tags, keys, scenario ---------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, "listen", "whisper"])
@pytest.mark.parametrize("number", [None, DORA, c.DORA_LINE, c.CLARA_MOBILE])
@KINDS
def test_a_coach_who_answers_supervises_the_operator(kind: str, number: str | None, mode: str | None) -> None:
    simulation = talk(kind).command("add_coach", phone_number=number, mode=mode)
    coach = simulation.answer(c.CLARA_MOBILE if number == c.CLARA_MOBILE else c.DORA_LINE)
    effect = next(one for one in simulation.engine.done if isinstance(one, Supervise))
    assert effect == Supervise(coach, anna(simulation), Supervision(mode or "whisper"))
    with pytest.raises(InvalidState):
        simulation.command("add_coach", phone_number=c.BORIS_LINE)
    assert {leg["state"] for leg in live_call(simulation.session, ZoneInfo("UTC"))["legs"]} == {
        "Conversation"
    }
    simulation.hang_up(coach)
    assert phase_of(simulation) is Phase.TALK
    settled(simulation)
    simulation.hang_up(contact(simulation))
    assert simulation.end["finish_reason"] == R.CALLER_DISCONNECTS
    assert simulation.end["last_answered_employee_id"] == c.ANNA
    assert {one["employee_id"] for one in simulation.end["employees"] if one["is_answered"]} == {c.ANNA}


@KINDS
def test_coach_who_barges_in_takes_part_in_the_talk(kind: str) -> None:
    simulation = talk(kind)
    two = {contact(simulation), anna(simulation)}
    done = len(simulation.engine.done)
    simulation.command("add_coach", phone_number=DORA, mode="barge")
    coach = simulation.answer(c.DORA_LINE)
    assert in_talk(simulation) == {*two, coach}
    assert not any(isinstance(one, Supervise | RecordVoice) for one in simulation.engine.done[done:])
    simulation.command("hold_call")
    assert hears(simulation, c.CUSTOMER) == {"music"}
    simulation.command("unhold_call")
    assert in_talk(simulation) == {*two, coach}
    simulation.at(45).hang_up(coach)
    assert in_talk(simulation) == two
    settled(simulation)
    simulation.at(65).hang_up(contact(simulation))
    assert simulation.end["finish_reason"] == R.CALLER_DISCONNECTS
    assert simulation.end["talk_duration"] == 60


def test_talk_goes_on_while_a_coach_barges_in() -> None:
    simulation = talk().command("add_coach", phone_number=DORA, mode="barge")
    simulation.answer(c.DORA_LINE)
    assert simulation.types.count(EventType.TALK_STARTED) == 1
    assert EventType.TALK_ENDED not in simulation.types


def test_coach_who_barges_in_on_hold_waits_for_the_talk() -> None:
    simulation = talk().command("add_coach", phone_number=DORA, mode="barge").command("hold_call")
    coach = simulation.answer(c.DORA_LINE)
    assert hears(simulation, c.CUSTOMER) == {"music"}
    simulation.command("unhold_call")
    assert in_talk(simulation) == {contact(simulation), anna(simulation), coach}


def test_coach_goes_when_whom_he_coached_does() -> None:
    for command, params in (
        ("transfer_talk", {"contact": c.BORIS_LINE}),
        ("run_scenario", {"scenario_id": c.MAIL}),
    ):
        simulation = talk().command("add_coach", phone_number=DORA)
        coach = simulation.answer(c.DORA_LINE)
        simulation.command(command, **params)
        assert coach not in simulation.engine.channels


def test_coach_who_answers_on_hold_listens_to_who_holds() -> None:
    simulation = talk().command("add_coach", phone_number=DORA).command("hold_call")
    coach = simulation.answer(c.DORA_LINE)
    assert Supervise(coach, anna(simulation), Supervision.WHISPER) in simulation.engine.done


@pytest.mark.parametrize("cause", [17, 19, 20, 21])
def test_coach_who_is_not_reached_changes_nothing(cause: int) -> None:
    simulation = talk().command("add_coach", phone_number=DORA).refuse(cause, c.DORA_LINE)
    assert phase_of(simulation) is Phase.TALK
    settled(simulation)


def test_coach_and_the_caller_is_gone() -> None:
    simulation = talk().command("add_coach", phone_number=DORA)
    simulation.answer(c.DORA_LINE)
    simulation.hang_up(contact(simulation))
    assert simulation.end["finish_reason"] == R.CALLER_DISCONNECTS


@pytest.mark.parametrize(
    ("number", "mnemonic"), [("199", "no_active_phone_number"), (None, "coach_not_found")]
)
def test_no_such_coach(number: str | None, mnemonic: str) -> None:
    simulation = CallSimulation()
    simulation.arrive(c.TO_ANNA)
    simulation.answer(c.ANNA_LINE)
    with pytest.raises(TrunklineError) as error:
        simulation.command("add_coach", phone_number=number)
    assert error.value.mnemonic == mnemonic
    assert phase_of(simulation) is Phase.TALK


def test_recording_of_whose_calls_are_always_recorded() -> None:
    with pytest.raises(PermissionDenied):
        talk().command("record_call", action="off")
    with pytest.raises(InvalidState) as error:
        talk().command("record_call", action="on")
    assert error.value.mnemonic == "record_already_started"


def test_recording_on_and_off() -> None:
    simulation = CallSimulation()
    simulation.start(
        "start_simple_call",
        virtual_phone_number=c.number_of(1),
        contact=c.CUSTOMER,
        first_call="operator",
        operator="442079460177",
    )
    simulation.answer("442079460177")
    simulation.answer(c.CUSTOMER)
    simulation.command("record_call", action="off")
    assert {leg["record_call_enabled"] for leg in live_call(simulation.session, ZoneInfo("UTC"))["legs"]} == {
        False
    }
    assert not any(leg.is_recorded for leg in simulation.session.living)
    with pytest.raises(InvalidState) as error:
        simulation.command("record_call", action="off")
    assert error.value.mnemonic == "record_already_stopped"
    simulation.command("record_call", action="on")
    assert {leg["record_call_enabled"] for leg in live_call(simulation.session, ZoneInfo("UTC"))["legs"]} == {
        True
    }
    assert all(leg.is_recorded for leg in simulation.session.living)
    assert sum(isinstance(one, RecordVoice) and one.on for one in simulation.engine.done) == 2
    assert simulation.types.count(EventType.RECORDING_STARTED) == 4


def test_a_call_has_a_tag_once() -> None:
    simulation = talk().command("tag_call", tag_id=1)
    assert [tag["tag_id"] for tag in simulation.session.tags] == [1]
    for tag_id, mnemonic in ((1, "duplicate_tag"), (99, "tag_not_found")):
        with pytest.raises(TrunklineError) as error:
            simulation.command("tag_call", tag_id=tag_id)
        assert error.value.mnemonic == mnemonic


def test_marks_that_are_given_already_or_absent_change_nothing() -> None:
    """They have checked them: what is given already, or is not there, is left alone."""
    new = {"tag_id": 7, "tag_name": "New"}
    simulation = talk().command("tag_call", tag_id=1)
    name = simulation.session.tags[0]["tag_name"]
    author: dict[str, Any] = {
        "user_id": 5,
        "user_login": "kate",
        "employee_id": None,
        "employee_full_name": None,
    }
    simulation.command("mark_call", set=[new, {"tag_id": 1, "tag_name": name}], unset=[9], **author)
    assert simulation.answer_of_command == {"set": [7], "unset": []}
    assert [tag["tag_name"] for tag in simulation.session.tags] == [name, "New"]
    simulation.command("mark_call", set=[], unset=[1, 9], **author)
    assert simulation.answer_of_command == {"set": [], "unset": [1]}
    assert [tag["tag_id"] for tag in simulation.session.tags] == [7]
    assert dict(simulation.events[-1].data) == {"tag_id": 1, "tag_name": name, **author}
    assert simulation.types[-1] is EventType.TAG_UNSET


def test_block_contact() -> None:
    assert talk().command("block_contact").answer_of_command == {"contact_phone_number": c.CUSTOMER}


@pytest.mark.parametrize("kind", ["in", "told"])
@pytest.mark.parametrize("fails", [False, True])
def test_scenario_takes_over(kind: str, fails: bool) -> None:
    simulation = talk(kind).command("run_scenario", scenario_id=c.TO_DORA)
    assert reason(simulation, c.ANNA_LINE) is R.TRANSFER_DISCONNECTS
    if fails:
        simulation.refuse(17, c.DORA_LINE)
        assert simulation.end["finish_reason"] == R.OPERATOR_BUSY
        return
    simulation.answer(c.DORA_LINE)
    assert phase_of(simulation) is Phase.TALK
    settled(simulation)
    settled(simulation.command("hold_call"))
    settled(simulation.command("unhold_call"))
    simulation.hang_up(party(simulation, c.DORA_LINE))
    assert simulation.end["finish_reason"] == R.OPERATOR_DISCONNECTS


def test_scenario_that_is_gone() -> None:
    simulation = talk()
    with pytest.raises(NotFound) as error:
        simulation.command("run_scenario", scenario_id=999)
    assert error.value.mnemonic == "scenario_not_found"
    settled(simulation)
