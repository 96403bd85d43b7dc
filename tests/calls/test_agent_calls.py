"""Calls that the Call Center API starts, shows and plays files into: the agent's device is called first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.queue_node import QUEUE, QueueNode, with_queue
from tests.calls.simulation import CallSimulation
from tests.calls.test_any_command import coached
from trunkline.calls.effects import ConnectTargets, OriginateLeg
from trunkline.calls.flows import start_requests
from trunkline.calls.live_view import agent_answer, agent_call, call_in_progress
from trunkline.calls.session import Phase
from trunkline.core.call_uuids import uuid_of
from trunkline.core.errors import InvalidState, NotFound, TrunklineError
from trunkline.telephony.port import Originate, Target

COMMON: dict[str, Any] = {"virtual_phone_number": c.number_of(c.TO_ANNA), "contact": c.CUSTOMER}
ONLINE = [c.ANNA_LINE, c.BORIS_LINE, c.DORA_LINE]


def line_id(login: str) -> int:
    line = c.company().line_by_login(login)
    assert line is not None
    return line.sip_line_id


def started(*, online: list[str] | None = None, **params: Any) -> CallSimulation:
    simulation = CallSimulation(coached(), online=ONLINE if online is None else online)
    return simulation.start("start_agent_call", **COMMON, **params)


def originated(simulation: CallSimulation) -> Originate:
    [found] = [one.originate for one in simulation.engine.done if isinstance(one, OriginateLeg)]
    return found


def connected_to(simulation: CallSimulation) -> Target:
    [found] = [one.connect.targets for one in simulation.engine.done if isinstance(one, ConnectTargets)]
    [target] = found
    return target


@pytest.mark.parametrize(
    "device",
    [
        {"employee_id": c.ANNA},
        {"sip_line_id": line_id(c.ANNA_LINE)},
        {"extension": "101"},
        {"extension": c.ANNA_LINE},
    ],
)
def test_the_device_rings_then_the_destination(device: dict[str, Any]) -> None:
    simulation = started(**device)
    assert originated(simulation).target.endpoint.name == c.ANNA_LINE
    assert originated(simulation).target.caller_number == c.CUSTOMER, "the agent sees whom the call is for"
    assert agent_answer(simulation.session) == {"state": "ringing"}
    simulation.answer(c.ANNA_LINE)
    assert agent_answer(simulation.session) == {"state": "answered"}
    assert connected_to(simulation).number == c.CUSTOMER
    simulation.answer(c.CUSTOMER)
    shown = agent_call(simulation.session)
    assert shown["state"] == "Answer"
    assert (shown["type"], shown["dst_num"], shown["user_id"]) == ("outbound", c.CUSTOMER, c.ANNA)
    assert (shown["src_user_id"], shown["src_device_id"]) == (c.ANNA, line_id(c.ANNA_LINE))
    assert shown["uuid"] == uuid_of(simulation.session.call_session_id)


def test_what_each_side_sees() -> None:
    simulation = started(
        employee_id=c.ANNA, shown_number="2001", shown_name="Renewal", contact_shown_name="Palm Office"
    )
    target = originated(simulation).target
    assert (target.caller_number, target.caller_name) == ("2001", "Renewal")
    simulation.answer(c.ANNA_LINE)
    target = connected_to(simulation)
    assert (target.caller_number, target.caller_name) == (c.number_of(c.TO_ANNA), "Palm Office")


@pytest.mark.parametrize("asked", [True, False])
def test_only_the_agents_phone_is_asked_to_answer_at_once(*, asked: bool) -> None:
    simulation = started(employee_id=c.ANNA, auto_answer=asked)
    assert originated(simulation).auto_answer is asked


def test_the_lead_is_kept_for_the_whole_call() -> None:
    simulation = started(employee_id=c.ANNA, lead_id="04")
    simulation.answer(c.ANNA_LINE)
    simulation.answer(c.CUSTOMER)
    assert agent_call(simulation.session)["lead_id"] == "04"


def test_a_colleague_is_called_by_the_extension() -> None:
    simulation = CallSimulation(coached(), online=ONLINE)
    simulation.start("start_agent_call", **{**COMMON, "contact": "102"}, employee_id=c.ANNA)
    simulation.answer(c.ANNA_LINE)
    assert connected_to(simulation).endpoint.name == c.BORIS_LINE


def refused_by(device: dict[str, Any], online: list[str], busy: str | None = None) -> TrunklineError:
    simulation = CallSimulation(coached(), online=online)
    if busy is not None:
        line = c.company().line_by_login(busy)
        assert line is not None
        account = simulation.account
        full = dataclasses.replace(line, channels_count=0)
        simulation.account = dataclasses.replace(account, lines={**account.lines, line.sip_line_id: full})
    request = start_requests.start_agent_call(simulation.account, {**COMMON, **device})
    with pytest.raises(InvalidState) as caught:
        start_requests.check_device(request, simulation.context())
    return caught.value


@pytest.mark.parametrize("device", [{"employee_id": c.ANNA}, {"sip_line_id": line_id(c.ANNA_LINE)}])
def test_a_device_that_is_not_there(device: dict[str, Any]) -> None:
    assert refused_by(device, [c.BORIS_LINE]).mnemonic == "facility_not_subscribed"


def test_a_device_in_calls() -> None:
    device = {"sip_line_id": line_id(c.BORIS_LINE)}
    assert refused_by(device, [c.BORIS_LINE], busy=c.BORIS_LINE).mnemonic == "user_busy"


@pytest.mark.parametrize("device", [{"employee_id": 999}, {"sip_line_id": 999}, {"extension": "999"}])
def test_a_device_that_the_account_does_not_have(device: dict[str, Any]) -> None:
    with pytest.raises(NotFound):
        start_requests.start_agent_call(c.company(), {**COMMON, **device})


@pytest.mark.parametrize(
    ("ends", "cause"),
    [
        (lambda simulation: simulation.refuse(21, c.ANNA_LINE, by_party=True), "CALL_REJECTED"),
        (lambda simulation: simulation.refuse(17, c.ANNA_LINE), "USER_BUSY"),
        (lambda simulation: simulation.ring_out(), "NO_ANSWER"),
    ],
)
def test_an_agent_who_does_not_pick_up(ends: Callable[[CallSimulation], Any], cause: str) -> None:
    simulation = started(sip_line_id=line_id(c.ANNA_LINE))
    ends(simulation)
    assert simulation.session.phase is Phase.ENDED
    assert agent_answer(simulation.session) == {"state": "ended", "cause": cause}


def test_both_parties_hear_a_file_until_it_is_stopped() -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    with pytest.raises(InvalidState):
        simulation.command("barge_media", media_file_id=c.GREETING)
    simulation.answer(c.ANNA_LINE)
    with pytest.raises(NotFound):
        simulation.command("barge_media", media_file_id=999)
    simulation.command("barge_media", media_file_id=c.GREETING)
    assert [one.played_into is not None for one in simulation.engine.channels.values()] == [True, True]
    assert simulation.session.phase is Phase.TALK
    simulation.command("barge_media", media_file_id=None)
    assert [one.played_into for one in simulation.engine.channels.values()] == [None, None]


async def test_a_call_of_a_queue_while_it_waits_and_while_it_talks() -> None:
    node = await QueueNode(with_queue(c.BORIS)).begin()
    await node.status(c.BORIS)
    customer = await node.call()
    [session] = node.switch.sessions.values()
    shown = agent_call(session)
    assert (shown["type"], shown["queue_id"], shown["state"]) == ("queue", QUEUE, "Ring")
    await node.answers(c.BORIS_LINE)
    shown = agent_call(session)
    assert (shown["type"], shown["queue_id"], shown["state"]) == ("queue", QUEUE, "Answer")
    assert (shown["user_id"], shown["dst_user_id"]) == (c.BORIS, c.BORIS)
    await node.hangs_up(customer)


def test_a_call_in_progress_for_the_console() -> None:
    """In each progress; with its coach, who is none of those whose call it is."""
    simulation = CallSimulation(coached(), online=ONLINE).arrive(c.TO_ANNA)
    shown = call_in_progress(simulation.session)
    assert (shown["progress"], shown["talk_since"], shown["employee_ids"]) == ("ringing", None, [c.ANNA])
    assert [(one["employee_id"], one["state"]) for one in shown["parties"]] == [(c.ANNA, "ringing")]
    simulation.answer(c.ANNA_LINE)
    shown = call_in_progress(simulation.session)
    assert (shown["progress"], shown["contact_number"]) == ("talking", c.CUSTOMER)
    assert shown["talk_since"] >= shown["since"]
    assert call_in_progress(simulation.session) == shown
    simulation.command("add_coach", phone_number=c.DORA_LINE, mode="whisper")
    [coach] = call_in_progress(simulation.session)["coaches"]
    assert (coach["employee_id"], coach["state"], coach["is_in_talk"]) == (c.DORA, "ringing", False)
    simulation.answer(c.DORA_LINE)
    shown = call_in_progress(simulation.session)
    assert (shown["coaches"][0]["mode"], shown["coaches"][0]["is_in_talk"]) == ("whisper", True)
    assert shown["employee_ids"] == [c.ANNA]
    simulation.command("hold_call")
    assert call_in_progress(simulation.session)["progress"] == "on_hold"
    simulation.command("unhold_call").command("release_call")
    assert call_in_progress(simulation.session)["progress"] == "ending"


def test_a_call_in_progress_between_employees_names_both() -> None:
    shown = call_in_progress(CallSimulation(coached(), online=ONLINE).dial(c.BORIS_LINE, "101").session)
    assert shown["internal_caller"] == {"employee_id": c.BORIS, "full_name": "Dahl Boris", "number": "102"}
    assert shown["internal_called"] == {"employee_id": c.ANNA, "full_name": "Berg Anna"}
    first_is_offline = CallSimulation(coached(), online=(c.BORIS_LINE,)).dial(c.BORIS_LINE, "101")
    assert call_in_progress(first_is_offline.session)["internal_caller"] == shown["internal_caller"]
    to_group = CallSimulation(coached(), online=ONLINE).dial(c.DORA_LINE, "200")
    assert call_in_progress(to_group.session)["internal_called"] is None, "several are called"
    to_group.at(3).answer(c.BORIS_LINE)
    assert call_in_progress(to_group.session)["internal_called"]["employee_id"] == c.BORIS
    from_outside = CallSimulation(coached(), online=ONLINE).arrive(c.TO_ANNA)
    shown = call_in_progress(from_outside.session)
    assert (shown["internal_caller"], shown["internal_called"]) == (None, None)
