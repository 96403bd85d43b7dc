"""Waiting limits (section 9) and what a caller hears (section 10), with the vectors 16.4."""

from __future__ import annotations

from typing import Any

import pytest

from tests.queues.simulation import ANN, BOB, CID, Q, QueueSimulation
from trunkline.core.errors import InvalidInput, InvalidState
from trunkline.events.catalogue import EventType
from trunkline.queues import inputs as i
from trunkline.queues.account import RECENT_WAITS
from trunkline.queues.announcements import expected_minutes
from trunkline.queues.effects import (
    NOTHING_TO_SAY,
    LeaveQueue,
    PlaceInQueue,
    PlayAnnouncement,
    PlayJoinAnnouncement,
    PlayMusic,
)
from trunkline.queues.states import AgentStatus, CallerState, OfferOutcome

BREAK, OUT, IN = AgentStatus.ON_BREAK, AgentStatus.LOGGED_OUT, AgentStatus.AVAILABLE


def no_agent(grace: int, **settings: Any) -> QueueSimulation:
    return QueueSimulation(clock=800).queue(
        max_wait_time_with_no_agent=60, max_wait_time_with_no_agent_time_reached=grace, **settings
    )


@pytest.mark.parametrize(
    ("joined", "left", "grace", "leaves"),
    [
        (1000, None, 5, 1065),
        (1000, None, 0, 1000),
        (900, 980, 5, 1040),
        (1000, 980, 5, 1065),
        (1000, 990, 0, 1050),
        (1000, 990, 5, 1065),
    ],
)
def test_vector_16_4_no_agent(joined: int, left: int | None, grace: int, leaves: int) -> None:
    """9.3, 9.4, 9.5"""
    simulation = no_agent(grace)
    if left is not None:
        simulation.agent(ANN, status=BREAK)
    moments = [(joined, "join"), *([(left, "leave")] if left is not None else [])]
    caller = 0
    for at, what in sorted(moments):
        simulation.at(at)
        if what == "join":
            caller = simulation.join()
        else:
            simulation.status(ANN, OUT)
    simulation.at(leaves + 100)
    assert simulation.left(caller) == (leaves, "no_agent_timeout")


@pytest.mark.parametrize("grace", [0, 5])
def test_vector_16_4_an_agent_on_break_is_present(grace: int) -> None:
    """9.3"""
    simulation = no_agent(grace).agent(ANN, status=BREAK)
    caller = simulation.at(1000).join()
    assert simulation.at(90_000).left(caller) is None


def test_9_1_max_wait_time() -> None:
    simulation = QueueSimulation().queue(max_wait_time=30, timeout_destination="voicemail")
    caller, other = simulation.join(), simulation.at(1010).join()
    assert simulation.at(1029.99).left(caller) is None
    assert simulation.at(1030).left(caller) == (1030, "timeout")
    assert simulation.left(other) is None
    assert simulation.at(2000).left(other) == (1040, "timeout")


def test_9_1_none_when_it_is_0() -> None:
    simulation = QueueSimulation().queue()
    caller = simulation.join()
    assert simulation.at(900_000).left(caller) is None


def test_9_1_an_offer_that_rings_is_waited_for() -> None:
    simulation = QueueSimulation().queue(max_wait_time=30, strategy="ring-all").agent(ANN).agent(BOB)
    caller = simulation.join()
    simulation.agent(CID, status=OUT)
    simulation.at(1031)
    assert simulation.left(caller) is None
    simulation.status(CID, IN)
    assert simulation.rings_for(caller) == [ANN, BOB], "no new offer starts"
    simulation.fail(ANN, OfferOutcome.REJECTED)
    assert simulation.left(caller) is None
    simulation.at(1040).fail(BOB, OfferOutcome.NO_ANSWER)
    assert simulation.left(caller) == (1040, "timeout")


def test_9_1_an_answer_wins() -> None:
    simulation = QueueSimulation().queue(max_wait_time=30).agent(ANN)
    caller = simulation.join()
    simulation.at(1035).answer(ANN)
    assert simulation.at(2000).left(caller) is None
    assert simulation.caller(caller).state is CallerState.ANSWERED


def test_9_2_a_resume_sets_the_start_of_the_attempt() -> None:
    simulation = QueueSimulation().queue(max_wait_time=30, abandoned_resume_allowed=True)
    caller = simulation.join(number="971500000001")
    simulation.at(1020).hang_up(caller)
    simulation.at(1025).join(number="971500000001")
    assert simulation.at(1054.9).left(caller) == (1020, "hangup")
    assert simulation.at(1055).left(caller) == (1055, "timeout")


def test_9_3_an_agent_who_turns_up_stops_it() -> None:
    simulation = no_agent(5).agent(ANN, status=OUT)
    caller = simulation.at(1000).join()
    simulation.at(1064).status(ANN, BREAK)
    assert simulation.at(5000).left(caller) is None
    simulation.status(ANN, OUT)
    assert simulation.at(6000).left(caller) == (5060, "no_agent_timeout")


@pytest.mark.parametrize("how", ["logout", "tier", "agent"])
def test_9_4_the_clock_starts_when_the_last_agent_leaves(how: str) -> None:
    simulation = no_agent(0).agent(ANN, status=BREAK).agent(BOB, status=BREAK)
    simulation.at(900).give(i.RemoveTier(Q, ANN))
    simulation.at(950)
    match how:
        case "logout":
            simulation.status(BOB, OUT)
        case "tier":
            simulation.give(i.RemoveTier(Q, BOB))
        case _:
            simulation.give(i.RemoveAgent(BOB))
    caller = simulation.at(1000).join()
    assert simulation.at(2000).left(caller) == (1010, "no_agent_timeout"), "it ran while nobody waited"


def test_9_5_with_0_a_new_caller_of_an_empty_queue_leaves_at_once() -> None:
    simulation = no_agent(0)
    caller = simulation.join()
    assert simulation.left(caller) == (800, "no_agent_timeout")


def test_9_6_the_call_goes_on_to_the_timeout_destination() -> None:
    simulation = no_agent(0, timeout_destination="night")
    caller = simulation.join()
    call = simulation.caller(caller).call_session_id
    assert simulation.done(LeaveQueue) == [LeaveQueue(caller, call, "no_agent_timeout", "night")]


def test_9_6_limits_are_checked_at_their_moment() -> None:
    """Within 0.5 s: the alarm is exact, whatever other deadlines there are."""
    simulation = QueueSimulation(clock=1000.3).queue(max_wait_time=10).agent(ANN, status=BREAK)
    simulation.join()
    assert simulation.alarm == 1010.3


def test_9_7_the_timeout_is_the_reason_when_both_are_due() -> None:
    simulation = no_agent(5, max_wait_time=65)
    caller = simulation.at(1000).join()
    assert simulation.at(2000).left(caller) == (1065, "timeout")


def test_9_7_otherwise_the_earlier_one() -> None:
    simulation = no_agent(5, max_wait_time=66)
    caller = simulation.at(1000).join()
    assert simulation.at(2000).left(caller) == (1065, "no_agent_timeout")


# --- while waiting


def test_10_1_an_answered_call_joins_and_hears_music() -> None:
    simulation = QueueSimulation().queue(moh_id=4)
    caller = simulation.join()
    call = simulation.caller(caller).call_session_id
    assert simulation.effects == [PlayMusic(caller, call, 4)]
    with pytest.raises(InvalidInput, match="answered before"):
        simulation.join(answered_at=1000.5)


def test_10_1_a_call_is_in_one_queue_at_a_time() -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    caller = simulation.join()
    call = simulation.caller(caller).call_session_id
    again = i.JoinQueue(Q, call, "", simulation.clock)
    with pytest.raises(InvalidState, match="in a queue"):
        simulation.give(again)
    simulation.answer(ANN)
    with pytest.raises(InvalidState, match="in a queue"):
        simulation.give(again)
    simulation.end_call(ANN)
    assert simulation.give(again).caller_id != caller, "after a transfer back, for example"


def test_10_1_silence_when_the_music_cannot_be_played_with_one_warning() -> None:
    simulation = QueueSimulation().queue(moh_id=4)
    first, second = simulation.join(), simulation.join()
    for caller in (first, second, first):
        simulation.give(i.MusicFailed(caller))
    assert [one.data for one in simulation.of_type(EventType.QUEUE_MUSIC_FAILED)] == [{"moh_id": 4}]
    assert simulation.caller(first).state is CallerState.WAITING
    simulation.queue(moh_id=5)
    simulation.give(i.MusicFailed(first))
    assert len(simulation.of_type(EventType.QUEUE_MUSIC_FAILED)) == 2, "of the new settings"


def test_10_2_the_announcement_plays_every_so_many_seconds() -> None:
    simulation = QueueSimulation().queue(announce_id=9, announce_frequency=20)
    caller = simulation.join()
    call = simulation.caller(caller).call_session_id
    assert simulation.at(1019.9).done(PlayAnnouncement) == []
    assert simulation.at(1020).done(PlayAnnouncement) == [PlayAnnouncement(caller, call, 9, False)]
    simulation.give(i.AnnouncementEnded(caller))
    simulation.at(1040)
    simulation.at(1061)
    assert simulation.done(PlayAnnouncement)[1:] == [
        PlayAnnouncement(caller, call, 9, False),
        PlayAnnouncement(caller, call, 9, True),
    ], "one that is still playing is restarted, not doubled"


@pytest.mark.parametrize("settings", [{"announce_frequency": 20}, {"announce_id": 9}])
def test_10_2_not_without_a_file_and_a_frequency(settings: dict[str, int]) -> None:
    simulation = QueueSimulation().queue(**settings)
    simulation.join()
    assert simulation.at(9000).done(PlayAnnouncement) == []


def test_10_2_never_to_a_caller_who_is_being_connected() -> None:
    simulation = QueueSimulation().queue(announce_id=9, announce_frequency=20).agent(ANN)
    simulation.join()
    assert len(simulation.at(1021).done(PlayAnnouncement)) == 1, "while an agent rings it plays"
    offer = simulation.offer_of(ANN)
    simulation.give(i.OfferAnswered(offer))
    simulation.at(1050)
    simulation.give(i.OfferConnected(offer))
    assert len(simulation.at(1500).done(PlayAnnouncement)) == 1


def test_10_2_a_broken_file_is_tried_once_per_caller() -> None:
    simulation = QueueSimulation().queue(announce_id=9, announce_frequency=20)
    caller, other = simulation.join(), simulation.at(1010).join()
    simulation.at(1021).give(i.AnnouncementFailed(caller))
    simulation.at(1095)
    played = [one.caller_id for one in simulation.done(PlayAnnouncement)]
    assert (played.count(caller), played.count(other)) == (1, 4)


def test_10_3_joining_leaving_and_connecting_publish_the_waiting_count() -> None:
    simulation = QueueSimulation().queue().agent(ANN, status=BREAK)
    first, second, third = simulation.join(), simulation.join(), simulation.join()
    simulation.hang_up(second)
    simulation.status(ANN, IN)
    assert simulation.rings_for(first) == [ANN]
    simulation.answer(ANN)
    simulation.give(i.CallerTaken(third))
    counted = (
        EventType.CALLER_JOINED, EventType.CALLER_LEFT, EventType.AGENT_CONNECTED,
    )  # fmt: skip
    assert [one.data["waiting"] for one in simulation.of_type(*counted)] == [1, 2, 3, 2, 1, 0]


def test_10_4_an_exit_key_takes_the_caller_out() -> None:
    simulation = QueueSimulation().queue(exit_keys={"5": "voicemail"}).agent(ANN)
    caller = simulation.join()
    call = simulation.caller(caller).call_session_id
    simulation.give(i.CallerPressedKey(caller, "7"))
    assert simulation.left(caller) is None
    simulation.give(i.CallerPressedKey(caller, "5"))
    assert simulation.left(caller) == (1000, "exit_key")
    assert simulation.caller(caller).exit_key == "5", "the key is kept with the call"
    assert simulation.done(LeaveQueue) == [LeaveQueue(caller, call, "exit_key", "voicemail", "5")]
    assert simulation.outcomes() == [(ANN, "cancelled")]
    with pytest.raises(InvalidInput, match="key"):
        simulation.give(i.CallerPressedKey(caller, "x"))


def test_17_the_join_announcement_plays_once() -> None:
    simulation = QueueSimulation().queue(join_announce=3)
    caller = simulation.join()
    simulation.at(5000)
    call = simulation.caller(caller).call_session_id
    assert simulation.done(PlayJoinAnnouncement) == [PlayJoinAnnouncement(caller, call, 3)]


def test_callers_hear_their_position_when_they_join_and_periodically() -> None:
    simulation = QueueSimulation().queue(announce_position=True, announce_frequency=20)
    first, second = simulation.join(), simulation.at(1001).join()
    said = [(one.caller_id, one.media_id, one.place) for one in simulation.done(PlayJoinAnnouncement)]
    assert said == [(first, None, PlaceInQueue(1)), (second, None, PlaceInQueue(2))]
    simulation.at(1010).hang_up(first)
    [announced] = simulation.at(1022).done(PlayAnnouncement)
    assert (announced.caller_id, announced.place) == (second, PlaceInQueue(1))


def test_a_better_score_is_a_better_position() -> None:
    simulation = QueueSimulation().queue(announce_position=True)
    simulation.join()
    simulation.at(1001).join(base_score=600)
    assert [one.place.position for one in simulation.done(PlayJoinAnnouncement)] == [1, 1]


def test_the_expected_wait_is_the_mean_of_the_last_who_were_connected() -> None:
    simulation = QueueSimulation().queue(announce_wait=True, join_announce=3).agent(ANN)
    simulation.join()
    assert simulation.done(PlayJoinAnnouncement)[-1].place == NOTHING_TO_SAY, "nobody was connected yet"
    simulation.at(1100).answer(ANN)
    simulation.at(1101).join()
    assert simulation.done(PlayJoinAnnouncement)[-1].place == PlaceInQueue(minutes=2), "100 s are rounded up"


def test_of_the_last_waits_ten_are_kept() -> None:
    simulation = QueueSimulation().queue(announce_wait=True)
    queue = simulation.state.queues[Q]
    queue.recent_waits = [600] * RECENT_WAITS
    assert expected_minutes(queue) == 10
    simulation.agent(ANN).join()
    simulation.answer(ANN)
    assert queue.recent_waits == [*[600] * (RECENT_WAITS - 1), 0]
    assert expected_minutes(queue) == 9
