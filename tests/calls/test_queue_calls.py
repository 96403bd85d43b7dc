"""Calls in queues: the switch, its queues and a fake engine together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from tests.calls import company as c
from tests.calls.queue_node import QUEUE, QueueNode, with_queue
from tests.calls.restarted_node import asterisk_names
from trunkline.calls.effects import OriginateLeg, PlayFiles
from trunkline.calls.states import Forwarding, InQueue
from trunkline.calls.switch.queue_commands import AgentCommands, Phones
from trunkline.core import metrics
from trunkline.core.clock import Instant
from trunkline.core.errors import InvalidState, NotFound
from trunkline.directory.model import CallQueue, CallRecording, Directory, EmployeeStatus, MediaKind
from trunkline.events.catalogue import EventType
from trunkline.queues import inputs as i
from trunkline.queues.overview import Activity
from trunkline.queues.states import AgentState, AgentStatus, CallerState
from trunkline.telephony.port import Channel, Ended

ANNA_PHONES = sorted([c.ANNA_LINE, c.ANNA_SECOND])


async def node(*employees: int, **changes: object) -> QueueNode:
    made = await QueueNode(with_queue(*employees, **changes)).begin()  # type: ignore[arg-type]
    for one in employees:
        await made.status(one)
    return made


async def test_a_caller_waits_with_music_until_an_agent_is_free() -> None:
    one = await node(c.BORIS)
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call()
    assert one.engine.hearing(customer) == {"music"}
    assert one.rings() == []
    await one.wait(30)
    await one.status(c.BORIS)
    assert one.rings() == [c.BORIS_LINE]
    phone = await one.answers(c.BORIS_LINE)
    assert c.BORIS_LINE in one.engine.hearing(customer)
    await one.wait(10)
    assert one.owner.state.agents[c.BORIS].state is AgentState.IN_CALL
    await one.hangs_up(customer)
    assert phone not in one.engine.channels
    [end] = one.finished()
    assert (end["finish_reason"], end["wait_duration"], end["talk_duration"]) == (
        "caller_disconnects",
        30,
        10,
    )
    assert one.owner.state.agents[c.BORIS].state is AgentState.WAITING
    assert one.callers() == []


async def test_all_phones_of_an_agent_ring_and_one_takes_the_call() -> None:
    one = await node(c.ANNA)
    customer = await one.call()
    assert one.rings() == ANNA_PHONES
    await one.answers(c.ANNA_SECOND)
    assert one.rings() == []
    assert one.engine.hearing(customer) == {c.ANNA_SECOND}
    assert len(one.engine.channels) == 2


async def both_answer(one: QueueNode) -> tuple[Channel, Channel]:
    """Both phones of Anna answer before the switch handles either."""
    first, second = one.phone(c.ANNA_LINE), one.phone(c.ANNA_SECOND)
    one.engine.answer(first)
    one.engine.answer(second)
    await one.settle()
    return first, second


@pytest.mark.parametrize("settings", [{}, {"pre_bridge_announce": c.GREETING}])
async def test_two_phones_of_an_agent_that_answer_together_give_one_talk(settings: dict[str, Any]) -> None:
    one = await node(c.ANNA, settings=settings)
    customer = await one.call()
    first, second = await both_answer(one)
    assert first in one.engine.channels, "the first answer wins"
    assert second not in one.engine.channels
    if settings:
        assert one.engine.hearing(first) == {"message"}
        one.engine.played(first)
        await one.settle()
    assert one.engine.hearing(customer) == {c.ANNA_LINE}
    assert one.owner.state.agents[c.ANNA].state is AgentState.IN_CALL
    outcomes = [event.data["outcome"] for event in one.store.events if "outcome" in event.data]
    assert outcomes == []
    await one.hangs_up(customer)
    assert one.engine.channels == {}
    assert one.callers() == []
    assert one.owner.state.agents[c.ANNA].state is AgentState.WAITING


async def test_the_offer_fails_when_the_last_of_two_answered_phones_has_left() -> None:
    one = await node(c.ANNA, settings={"pre_bridge_announce": c.GREETING})
    customer = await one.call()
    first, _ = await both_answer(one)
    assert first in one.engine.channels
    await one.hangs_up(first)
    outcomes = [event.data["outcome"] for event in one.store.events if "outcome" in event.data]
    assert outcomes == ["cancelled", "cancelled"], "of agent and caller, once"
    assert one.engine.hearing(customer) == {"music"}
    assert one.rings() == ANNA_PHONES


@pytest.mark.parametrize("settings", [{}, {"pre_bridge_announce": c.GREETING}])
async def test_a_phone_that_answers_while_it_is_hung_up_changes_nothing(settings: dict[str, Any]) -> None:
    """The request to hang it up and its answer cross: the switch handles the answer after the other phone talks."""
    one = await node(c.ANNA, settings=settings)
    customer = await one.call()
    first, second = one.phone(c.ANNA_LINE), one.phone(c.ANNA_SECOND)
    one.engine.answer(second)
    one.engine.hang_up(second)
    late, one.engine.pending[:] = list(one.engine.pending), []
    one.engine.answer(first)
    await one.settle()
    if settings:
        assert one.engine.hearing(first) == {"message"}
    one.engine.pending.extend(late)
    await one.settle()
    if settings:
        one.engine.played(first)
        await one.settle()
    assert one.engine.hearing(customer) == {c.ANNA_LINE}
    assert one.owner.state.agents[c.ANNA].state is AgentState.IN_CALL
    await one.wait(5)
    await one.hangs_up(first)
    assert not one.engine.channels
    assert one.finished()[0]["talk_duration"] == 5
    assert one.owner.state.agents[c.ANNA].state is AgentState.WAITING


async def test_who_hangs_up_has_abandoned() -> None:
    one = await node(c.BORIS)
    customer = await one.call()
    await one.hangs_up(customer)
    assert not one.engine.channels
    assert one.finished()[0]["finish_reason"] == "abandoned_in_queue"
    assert [caller.state for caller in one.callers()] == [CallerState.ABANDONED]
    assert one.owner.state.agents[c.BORIS].state is AgentState.WAITING


async def test_an_agent_who_leaves_before_the_connection_leaves_the_caller_in_its_place() -> None:
    one = await node(c.BORIS, settings={"pre_bridge_announce": c.GREETING})
    customer = await one.call()
    phone = await one.answers(c.BORIS_LINE)
    assert one.engine.hearing(phone) == {"message"}
    await one.hangs_up(phone)
    assert one.engine.hearing(customer) == {"music"}
    [session] = one.switch.sessions.values()
    assert session.state == InQueue(QUEUE)
    assert one.rings() == [c.BORIS_LINE], "no penalty: he rings again"


async def test_ring_all_ends_the_other_phones_as_answered_elsewhere() -> None:
    one = await node(c.ANNA, c.BORIS, settings={"strategy": "ring-all"})
    customer = await one.call()
    assert one.rings() == sorted([*ANNA_PHONES, c.BORIS_LINE])
    await one.answers(c.BORIS_LINE)
    assert one.engine.hearing(customer) == {c.BORIS_LINE}
    assert len(one.engine.channels) == 2
    causes = {effect.cause for effect in one.engine.done if type(effect).__name__ == "Hangup"}  # type: ignore[union-attr]
    assert causes == {26}
    assert one.owner.state.agents[c.ANNA].state is AgentState.WAITING
    assert one.owner.state.agents[c.ANNA].no_answer_count == 0


@pytest.mark.parametrize(("cause", "state"), [(17, "busy"), (21, "rejected"), (19, "no_answer")])
async def test_an_offer_that_fails_is_followed_by_the_next_agent(cause: int, state: str) -> None:
    one = await node(c.ANNA, c.BORIS, settings={"strategy": "top-down"})
    await one.call()
    for phone in ANNA_PHONES:
        one.engine.refuse(one.phone(phone), cause, by_party=True)
    await one.settle()
    assert one.rings() == [c.BORIS_LINE]
    outcomes = [event.data["outcome"] for event in one.store.events if "outcome" in event.data]
    assert set(outcomes) == {state}


async def test_the_ring_time_ends_the_offer() -> None:
    one = await node(c.BORIS, settings={"ring_timeout": 7})
    customer = await one.call()
    await one.wait(6.9)
    assert one.rings() == [c.BORIS_LINE]
    await one.wait(0.2)
    assert one.rings() == []
    assert one.owner.state.agents[c.BORIS].no_answer_count == 1
    assert one.engine.hearing(customer) == {"music"}
    await one.wait(2)
    assert one.rings() == [c.BORIS_LINE]


async def test_the_longest_wait_leads_to_the_next_operation() -> None:
    one = await node(c.BORIS, settings={"max_wait_time": 20}, operation={"next": "m"})
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call()
    await one.wait(20.1)
    assert one.engine.hearing(customer) == {"message"}, "the prompt of the voice mail"
    [session] = one.switch.sessions.values()
    assert session.message is not None


async def test_without_a_way_on_the_call_ends_and_is_reported() -> None:
    one = await node(c.BORIS, settings={"max_wait_time": 20})
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    await one.call()
    await one.wait(21)
    assert one.finished()[0]["finish_reason"] == "no_operators_available"


async def test_an_exit_key_leads_to_its_operation_and_others_do_nothing() -> None:
    one = await node(c.ANNA, operation={"exits": {"5": "b"}})
    await one.status(c.ANNA, AgentStatus.ON_BREAK)
    customer = await one.call()
    from trunkline.telephony.port import KeyPressed

    one.switch.handle(KeyPressed(customer, one.engine.at(), "4"))
    await one.settle()
    assert one.engine.hearing(customer) == {"music"}
    one.switch.handle(KeyPressed(customer, one.engine.at(), "5"))
    await one.settle()
    ringing = [chan.endpoint.name for chan in one.engine.channels.values() if chan.dialler]
    assert ringing == [c.BORIS_LINE]


async def test_an_exit_key_counts_also_when_the_caller_is_forgotten_at_once() -> None:
    from trunkline.telephony.port import KeyPressed

    settings = {"discard_abandoned_after": 0}
    one = await node(c.ANNA, operation={"exits": {"5": "b"}}, settings=settings)
    await one.status(c.ANNA, AgentStatus.ON_BREAK)
    customer = await one.call()
    one.switch.handle(KeyPressed(customer, one.engine.at(), "5"))
    one.clock += 0.01
    for due in [later for later in one.armed if later.at <= one.clock]:
        due.function()  # before the transaction that stores the key has ended
    await one.settle()
    ringing = [chan.endpoint.name for chan in one.engine.channels.values() if chan.dialler]
    assert ringing == [c.BORIS_LINE]


async def test_a_caller_who_left_before_the_offer_is_no_missed_call_of_the_agent() -> None:
    one = await node(c.BORIS)
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    await one.call()
    [session] = one.switch.sessions.values()
    session.state = Forwarding()  # the call went on in its scenario; the queues do not have that yet
    await one.status(c.BORIS)
    assert one.rings() == []
    assert {event.data["outcome"] for event in one.store.events if "outcome" in event.data} == {"cancelled"}
    assert one.owner.state.agents[c.BORIS].no_answer_count == 0


async def test_an_offer_of_a_call_that_has_ended_is_not_kept() -> None:
    one = await node(c.BORIS)
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call()
    one.owner.give(i.SetStatus(c.BORIS, AgentStatus.AVAILABLE))
    one.engine.hang_up(customer)
    one.flow()  # the call ends before the offer is carried out
    await one.settle()
    assert not one.switch.sessions
    assert one.queues._calls == {}


async def test_a_talk_that_an_agent_transfers_is_no_call_of_the_queue() -> None:
    one = await node(c.BORIS)
    await one.call()
    await one.answers(c.BORIS_LINE)
    [session] = one.switch.sessions.values()
    assert session.queue_id == QUEUE
    await one.switch.command(
        c.ACCOUNT, "transfer_talk", {"call_session_id": session.call_session_id, "contact": "104"}
    )
    await one.settle()
    assert session.queue_id is None


async def test_a_killed_switch_keeps_places_and_talks() -> None:
    one = await node(c.BORIS)
    first = await one.call("971500000001")
    await one.answers(c.BORIS_LINE)
    await one.wait(5)
    others = []
    for number in ("971500000002", "971500000003", "971500000004"):
        others.append(await one.call(number))
        await one.wait(3)
    before = [(one_.caller_id, one_.joined_at, one_.state) for one_ in one.callers()]
    await one.kill_and_restart()
    assert [(one_.caller_id, one_.joined_at, one_.state) for one_ in one.callers()] == before
    assert c.BORIS_LINE in one.engine.hearing(first)
    assert all(one.engine.hearing(other) == {"music"} for other in others)
    assert one.owner.state.agents[c.BORIS].state is AgentState.IN_CALL
    await one.hangs_up(first)
    assert one.rings() == [c.BORIS_LINE]
    await one.answers(c.BORIS_LINE)
    assert one.engine.hearing(others[0]) == {c.BORIS_LINE}, "who waits longest is the first"


async def test_callers_whose_joining_was_not_stored_join_in_their_order_after_a_restart() -> None:
    one = await node(c.BORIS)
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    stored = await one.call("971500000001")
    await one.wait(10)
    one.store.is_down = True
    lost = []
    for number in ("971500000002", "971500000003"):
        lost.append(await one.call(number))
        await one.wait(10)
    one.store.is_down = False
    events = list(one.store.events)
    one.kill()
    await one.queues.stop()
    one.store.events = events  # what the killed switch had in memory is lost
    one.restart()
    await one.begin()
    assert len(one.callers()) == 3
    latest = await one.call("971500000004")
    await one.status(c.BORIS)
    for customer in (stored, *lost, latest):
        phone = await one.answers(c.BORIS_LINE)
        assert one.engine.hearing(customer) == {c.BORIS_LINE}
        await one.hangs_up(phone)


@pytest.mark.durability
@pytest.mark.parametrize("is_stored", [False, True])
async def test_a_caller_who_left_while_no_switch_ran_is_in_the_events_of_the_queue_once(
    is_stored: bool,
) -> None:
    """The switch was killed when it had decided that the call waits, before or after the queue's events were stored."""
    one = await node(c.BORIS)
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    if not is_stored:
        one.store.is_down = True
    customer = await one.call()
    one.store.is_down = False
    events = list(one.store.events)
    one.kill()
    await one.queues.stop()
    one.store.events = events
    one.engine.hang_up(customer)
    for _ in range(2):
        one.restart()
        await one.begin()
        of_callers = [event for event in one.store.events if event.type.value.startswith("caller_")]
        assert [event.type.value for event in of_callers] == [
            "caller_joined",
            "caller_left",
        ]
        assert of_callers[-1].data["reason"] == "hangup"
        assert one.callers()[0].state is CallerState.ABANDONED
        one.kill()
        await one.queues.stop()


@pytest.mark.durability
async def test_an_agent_who_picked_up_and_left_before_the_switch_could_connect_has_answered() -> None:
    """The switch was stopped for a while: the phone was answered and hung up meanwhile."""
    one = await node(c.BORIS)
    customer = await one.call()
    phone = one.phone(c.BORIS_LINE)
    one.engine.channels.pop(phone)
    answered_at_phone = Instant(one.clock + 2)
    await one.wait(9)
    one.engine.pending.append(Ended(phone, Instant(one.clock), 16, True, answered_at_phone))
    await one.settle()
    [events] = one.reported.events.values()
    [leg_id] = [event.data["leg_id"] for event in events if event.data.get("channel") == phone]
    assert [
        event.at
        for event in events
        if event.type is EventType.LEG_ANSWERED and event.data["leg_id"] == leg_id
    ] == [answered_at_phone]
    assert one.engine.hearing(customer) == {"music"}, "the caller waits"
    assert one.rings() == [c.BORIS_LINE]


async def test_a_caller_of_whom_only_the_queue_is_stored_hears_music_after_a_restart() -> None:
    one = await node(c.BORIS)
    asterisk_names(one)
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call()
    one.forget()
    one.engine.channels[customer].music = None  # it was to be started when the switch was killed
    await one.kill_and_restart()
    assert len(one.callers()) == 1
    assert one.engine.hearing(customer) == {"music"}


async def test_callers_are_connected_while_the_database_accepts_nothing() -> None:
    one = await node(c.BORIS)
    stored = len(one.store.events)
    one.store.is_down = True
    customer = await one.call()
    await one.answers(c.BORIS_LINE)
    assert one.engine.hearing(customer) == {c.BORIS_LINE}
    assert len(one.store.events) == stored
    assert one.owner.unstored > 0
    one.store.is_down = False
    await one.owner.flush()
    assert one.owner.unstored == 0
    assert [event.type.value for event in one.store.events].count("caller_joined") == 1


async def test_a_direct_call_keeps_the_queue_away_from_an_agent() -> None:
    from tests.calls.fake_engine import a_line

    one = await node(c.BORIS)
    phone = one.engine.arrive(a_line(c.BORIS_LINE), "97142000001", c.BORIS_LINE)
    await one.settle()
    customer = await one.call()
    assert one.rings() == []
    await one.hangs_up(phone)
    assert one.rings() == [c.BORIS_LINE]
    assert one.engine.hearing(customer) == {"music"}


async def test_a_colleague_dials_the_short_number_of_a_queue() -> None:
    from tests.calls.fake_engine import a_line

    one = await node(c.BORIS, extension="600")
    caller = one.engine.arrive(a_line(c.DORA_LINE), "600", c.DORA_LINE)
    await one.settle()
    assert one.engine.hearing(caller) == {"music"}
    assert one.rings() == [c.BORIS_LINE]
    await one.answers(c.BORIS_LINE)
    assert one.engine.hearing(caller) == {c.BORIS_LINE}
    await one.wait(5)
    await one.hangs_up(caller)
    [end] = one.finished()
    assert (end["is_internal"], end["is_lost"], end["talk_duration"]) == (True, False, 5)
    assert end["last_talked_employee_id"] == c.BORIS


@pytest.mark.parametrize("by", ["api", "phone"])
async def test_a_talk_is_transferred_to_a_queue(by: str) -> None:
    from trunkline.telephony.port import TransferAsked

    one = await node(c.BORIS, c.DORA, extension="600", settings={"strategy": "top-down"})
    await one.status(c.DORA, AgentStatus.ON_BREAK)
    customer = await one.call()
    first = await one.answers(c.BORIS_LINE)
    await one.wait(5)
    await one.status(c.DORA)
    [session] = one.switch.sessions.values()
    if by == "api":
        await one.switch.command(
            c.ACCOUNT, "transfer_talk", {"call_session_id": session.call_session_id, "contact": "600"}
        )
    else:
        one.switch.handle(TransferAsked(first, one.engine.at(), "600", None))
    await one.settle()
    assert first not in one.engine.channels
    assert one.engine.hearing(customer) == {"music"}
    assert one.owner.state.agents[c.BORIS].state is not AgentState.IN_CALL
    [waiting] = [caller for caller in one.callers() if caller.is_in_queue]
    assert waiting.call_session_id == session.call_session_id


async def test_the_exits_of_the_queue_itself() -> None:
    from tests.calls.fake_engine import a_line
    from trunkline.telephony.port import KeyPressed

    one = await node(c.ANNA, extension="600", exits={"1": f"employee:{c.BORIS}"})
    await one.status(c.ANNA, AgentStatus.ON_BREAK)
    caller = one.engine.arrive(a_line(c.DORA_LINE), "600", c.DORA_LINE)
    customer = await one.call()
    for channel in (caller, customer):
        one.switch.handle(KeyPressed(channel, one.engine.at(), "1"))
        await one.settle()
        assert one.engine.hearing(channel) == set() or "music" not in one.engine.hearing(channel)
        ringing = [chan for chan in one.engine.channels.values() if chan.dialler == channel]
        assert [chan.endpoint.name for chan in ringing] == [c.BORIS_LINE]
        one.engine.refuse(ringing[0].channel, 17)
        await one.settle()


async def test_a_device_that_is_offline_counts_as_unregistered() -> None:
    one = await node(c.BORIS)
    one.engine.offline.add(c.BORIS_LINE)
    await one.call()
    outcomes = [event.data["outcome"] for event in one.store.events if "outcome" in event.data]
    assert set(outcomes) == {"unregistered"}
    await one.wait(4)
    assert len(outcomes) == len([event for event in one.store.events if "outcome" in event.data])


async def test_a_rule_that_fails_costs_one_input_and_the_state_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from trunkline.calls.switch import queue_owner
    from trunkline.queues import rules

    one = await node(c.BORIS)
    first = await one.call("971500000001")
    failed: list[object] = []

    def fails_once(*given: object) -> object:
        if not failed and type(given[1]).__name__ == "JoinQueue":
            failed.append(given[1])
            raise RuntimeError("a fault of the rules")
        return rules.decide(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(queue_owner, "decide", fails_once)
    second = await one.call("971500000002")
    assert failed
    assert len(one.callers()) == 2, "who waits joins again"
    await one.answers(c.BORIS_LINE)
    assert one.engine.hearing(first) == {c.BORIS_LINE}
    assert one.engine.hearing(second) == {"music"}


async def test_another_writer_of_a_stream_is_noticed_and_its_events_count() -> None:
    one = await node(c.BORIS)
    last = next(event for event in reversed(one.store.events) if event.stream == f"agent:{c.BORIS}")
    foreign = replace(
        last, seq=last.seq + 1, data={"status": "On Break", "reason": None, "previous": "Available"}
    )
    one.store.events.append(foreign)
    customer = await one.call()
    assert one.rings() == []
    assert one.engine.hearing(customer) == {"music"}
    assert one.owner.state.agents[c.BORIS].status is AgentStatus.ON_BREAK
    assert len(one.callers()) == 1


async def test_announcements_interrupt_the_music() -> None:
    one = await node(
        c.BORIS,
        settings={"join_announce": c.GREETING, "announce_id": c.GREETING, "announce_frequency": 10},
    )
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call()
    assert "message" in one.engine.hearing(customer)
    one.engine.played(customer)
    await one.settle()
    assert one.engine.hearing(customer) == {"music"}
    for _ in range(2):
        await one.wait(9)
        assert "message" not in one.engine.hearing(customer)
        await one.wait(1.1)
        assert "message" in one.engine.hearing(customer)
        one.engine.played(customer)
        await one.settle()


async def test_a_caller_hears_the_position_and_then_the_music() -> None:
    settings = {"announce_position": True, "announce_wait": True, "announce_frequency": 10}
    account = with_queue(c.BORIS, settings=settings)
    words = enumerate(("queue_position", "queue_wait", "digit_1", "digit_2"), 900)
    more = {number: c.media(number, name, MediaKind.SYSTEM) for number, name in words}
    one = await QueueNode(replace(account, media={**account.media, **more})).begin()
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    [customer, other] = [await one.call() for _ in range(2)]
    for channel, position in ((customer, 1), (other, 2)):
        files = next(
            do.files for do in one.engine.done if isinstance(do, PlayFiles) and do.channel == channel
        )
        assert [file.rsplit("/", 1)[-1] for file in files] == ["queue_position", f"digit_{position}"]
        one.engine.played(channel)
        await one.settle()
        assert one.engine.hearing(channel) == {"music"}


async def test_an_announcement_that_is_gone_is_tried_once() -> None:
    one = await node(c.BORIS, settings={"announce_id": 999, "announce_frequency": 10})
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call()
    await one.wait(25)
    failures = [event for event in one.store.events if event.type.value == "caller_announcement_failed"]
    assert len(failures) == 1
    assert one.engine.hearing(customer) == {"music"}


async def test_a_queue_may_record_whom_the_settings_do_not_record() -> None:
    account = with_queue(c.BORIS, is_recorded=True)
    boris = replace(account.employees[c.BORIS], call_recording=CallRecording.OFF)
    account = replace(account, employees={**account.employees, c.BORIS: boris})
    one = await QueueNode(account).begin()
    await one.status(c.BORIS)
    customer = await one.call()
    phone = await one.answers(c.BORIS_LINE)
    assert one.engine.channels[customer].recording
    assert one.engine.channels[phone].recording


async def test_phones_are_asked_to_answer_by_themselves() -> None:
    one = await node(c.BORIS, settings={"auto_answer": True})
    await one.call()
    [called] = [effect for effect in one.engine.done if isinstance(effect, OriginateLeg)]
    assert called.originate.auto_answer


async def test_a_change_of_the_directory_is_in_effect_for_who_waits() -> None:
    one = await node(c.ANNA)
    await one.status(c.ANNA, AgentStatus.LOGGED_OUT)
    customer = await one.call()
    one.directory = Directory({c.ACCOUNT: with_queue(c.ANNA, c.BORIS)})
    one.queues.directory_changed(one.directory, frozenset({c.ACCOUNT}))
    await one.status(c.BORIS)
    assert one.rings() == [c.BORIS_LINE]
    one.directory = Directory({c.ACCOUNT: with_queue(c.ANNA)})
    one.queues.directory_changed(one.directory, frozenset({c.ACCOUNT}))
    await one.settle()
    assert one.rings() == []
    assert one.engine.hearing(customer) == {"music"}


async def test_who_waits_in_a_queue_that_is_removed_goes_on() -> None:
    one = await node(c.ANNA, operation={"next": "b"})
    await one.status(c.ANNA, AgentStatus.ON_BREAK)
    customer = await one.call()
    account = one.directory.accounts[c.ACCOUNT]
    one.directory = Directory({c.ACCOUNT: replace(account, queues={}, agents={})})
    one.queues.directory_changed(one.directory, frozenset({c.ACCOUNT}))
    await one.settle()
    ringing = [chan.endpoint.name for chan in one.engine.channels.values() if chan.dialler == customer]
    assert ringing == [c.BORIS_LINE]


async def test_the_settings_of_a_bad_queue_do_not_stop_the_others() -> None:
    account = with_queue(c.BORIS)
    bad = CallQueue(QUEUE + 1, "Bad", settings={"strategy": "no such"})
    one = await QueueNode(replace(account, queues={bad.queue_id: bad, **account.queues})).begin()
    await one.status(c.BORIS)
    await one.call()
    assert one.rings() == [c.BORIS_LINE]
    assert bad.queue_id not in one.owner.state.queues


async def test_agents_are_commanded_by_other_processes() -> None:
    one = await node(c.BORIS)

    class Direct:
        """Stands for the client: the command goes to the switch of this process."""

        async def command(
            self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
        ) -> dict[str, Any]:
            result = await one.switch.command(account_id, name, params)
            return orjson.loads(orjson.dumps(result))  # type: ignore[no-any-return]

    commands = AgentCommands(Direct())
    view = await commands.set_status(c.ACCOUNT, c.BORIS, AgentStatus.ON_BREAK, "12")
    assert (view.status, view.status_reason, view.state) == (AgentStatus.ON_BREAK, "12", AgentState.WAITING)
    customer = await one.call()
    [queue] = await commands.queues(c.ACCOUNT)
    assert (queue["waiting"], queue["on_break"], queue["agents"]) == (1, 1, {"Waiting": 1})
    assert queue["callers"][0]["number"] == c.CUSTOMER
    assert (queue["name"], queue["longest_wait"], queue["service"]["offered"]) == ("Support", 0, 0)
    await commands.set_status(c.ACCOUNT, c.BORIS, AgentStatus.AVAILABLE)
    await one.settle()
    await one.answers(c.BORIS_LINE)
    live = await commands.live(c.ACCOUNT)
    [view] = live.agents
    assert [view] == await commands.agents(c.ACCOUNT)
    assert (view.activity, view.since, view.phones) == (Activity.TALKING, one.clock, Phones.BUSY)
    assert view.name == "Dahl Boris"
    assert live.queues[0]["service"]["answered"] == 1
    assert (view.state, view.queue_ids, view.queue_id) == (AgentState.IN_CALL, (QUEUE,), QUEUE)
    assert view.call_session_id in one.switch.sessions
    with pytest.raises(InvalidState):
        await commands.set_state(c.ACCOUNT, c.BORIS, AgentState.WAITING)
    await one.hangs_up(customer)
    view = await commands.set_wrap_up(c.ACCOUNT, c.BORIS, 30)
    assert view.wrap_up_until == one.clock + 30
    await one.call()
    assert one.rings() == []
    await one.wait(31)
    assert one.rings() == [c.BORIS_LINE]
    with pytest.raises(NotFound):
        await commands.set_status(c.ACCOUNT, c.DORA, AgentStatus.AVAILABLE)


async def test_the_figures_of_queues_are_metrics() -> None:
    one = await node(c.BORIS)
    one.queues.show_metrics()

    def shown() -> dict[str, float]:
        registry = metrics.registry_of("switch")
        labels = {"account": str(c.ACCOUNT), "queue": str(QUEUE)}
        names = [
            declared.name for declared in metrics.declared() if declared.name.startswith("trunkline_queue_")
        ]
        return {
            name.removeprefix("trunkline_queue_"): value
            for name in names
            if (value := registry.get_sample_value(name, labels)) is not None
        }

    assert shown() == {
        "waiting": 0, "longest_wait_seconds": 0, "talking": 0, "agents_present": 1, "agents_free": 1,
        "answered_today": 0, "abandoned_today": 0,
    }  # fmt: skip
    await one.call()
    second = await one.call()
    await one.wait(30)
    await one.hangs_up(second)
    await one.answers(c.BORIS_LINE)
    await one.call()
    await one.wait(4)
    assert shown() == {
        "waiting": 1, "longest_wait_seconds": 4, "talking": 1, "agents_present": 1, "agents_free": 0,
        "answered_today": 1, "abandoned_today": 1, "service_level_today": 0,
    }  # fmt: skip
    one.directory = Directory({c.ACCOUNT: replace(with_queue(c.BORIS), queues={})})
    one.queues.directory_changed(one.directory, frozenset({c.ACCOUNT}))
    assert shown() == {}


async def test_who_does_not_wish_to_be_disturbed_is_busy() -> None:
    account = with_queue(c.BORIS)
    boris = replace(account.employees[c.BORIS], status=EmployeeStatus.DO_NOT_DISTURB)
    one = await QueueNode(replace(account, employees={**account.employees, c.BORIS: boris})).begin()
    await one.status(c.BORIS)
    await one.call()
    assert {event.data["outcome"] for event in one.store.events if "outcome" in event.data} == {"busy"}
