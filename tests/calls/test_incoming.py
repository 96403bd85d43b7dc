"""Calls in on a virtual number: each way they can go and end, with reasons and exact durations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company, number, number_of
from tests.calls.simulation import CallSimulation, walk
from trunkline.calls.effects import ConnectTargets, Hangup, PlayFiles, RecordMessage
from trunkline.calls.records.history import session_row
from trunkline.directory.model import (
    CallRecording,
    EmployeeStatus,
    NumberCampaign,
    NumberStatus,
    Operation,
    Rule,
)
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import Connect

ANNA, BORIS = c.ANNA_LINE, c.BORIS_LINE


def effect(simulation: CallSimulation, kind: type[Any]) -> Any:
    return [one for one in simulation.engine.done if isinstance(one, kind)][-1]


def test_a_talk_that_the_customer_ends() -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    simulation.at(6).answer(ANNA)
    simulation.at(36).hang_up()
    assert simulation.types == [
        EventType.SESSION_STARTED,
        EventType.LEG_STARTED,
        EventType.SCENARIO_ENTERED,
        EventType.OPERATION_ENTERED,
        EventType.LEG_STARTED,
        EventType.LEG_ANSWERED,
        EventType.LEG_ANSWERED,
        EventType.TALK_STARTED,
        EventType.RECORDING_STARTED,
        EventType.RECORDING_STARTED,
        EventType.TALK_ENDED,
        EventType.LEG_ENDED,
        EventType.LEG_ENDED,
        EventType.SESSION_ENDING,
        EventType.SESSION_FINISHED,
    ]
    assert simulation.reasons == [(number_of(c.TO_ANNA), "caller_disconnects"), (ANNA, "caller_disconnects")]
    assert simulation.durations == (6, 6, 30, 30, 36, 0)
    end = simulation.end
    assert (end["finish_reason"], end["is_lost"], end["recorded"]) == ("caller_disconnects", False, True)
    assert end["employees"] == [
        {"employee_id": 1, "employee_full_name": "Berg Anna", "is_answered": True, "is_talked": True}
    ]
    assert end["first_talked_employee_id"] == end["last_answered_employee_id"] == 1
    walk(simulation.events)


def test_a_call_on_a_campaigns_number_shows_whose_it_is() -> None:
    campaign = NumberCampaign(3, "Spring", 5, "example.com")
    visit = {
        "campaign_id": 3,
        "campaign_name": "Spring",
        "site_id": 5,
        "site_domain_name": "example.com",
    }
    for shown, source in (
        (campaign, "va"),
        (replace(campaign, redirection_virtual_number_id=c.ALL), "call_tracking"),
    ):
        numbers = {**company().numbers, c.TO_ANNA: number(c.TO_ANNA, campaign=shown)}
        simulation = CallSimulation(company(numbers=numbers)).arrive(c.TO_ANNA)
        simulation.at(36).hang_up()
        row = session_row(simulation.session, 1)
        assert (row["extra"], row["source"]) == (visit, source)
        walk(simulation.events)
    assert session_row(CallSimulation().arrive(c.TO_ANNA).session, 1)["extra"] == {}


def test_a_talk_that_the_employee_ends() -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    phone = simulation.at(6).answer(ANNA)
    simulation.at(36).hang_up(phone)
    assert [reason for _, reason in simulation.reasons] == ["operator_disconnects"] * 2
    assert simulation.end["finish_reason"] == "operator_disconnects"
    assert simulation.durations == (6, 6, 30, 30, 36, 0)
    walk(simulation.events)


def test_what_was_waited_for_an_absent_switch_counts() -> None:
    simulation = CallSimulation().at(10).arrive(c.TO_ANNA, waited=8)
    simulation.at(12).answer(ANNA)
    simulation.at(20).hang_up()
    assert simulation.durations == (10, 10, 8, 8, 18, 0)


def test_early_media_changes_nothing() -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    simulation.engine.ring(simulation.ringing())
    simulation.at(3).flow().hang_up()
    assert EventType.LEG_RINGING in simulation.types
    assert simulation.end["finish_reason"] == "caller_disconnects"


def test_the_customer_gives_up_while_it_rings() -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    simulation.at(9).hang_up()
    assert [reason for _, reason in simulation.reasons] == ["caller_disconnects"] * 2
    assert simulation.end["is_lost"] is True
    assert simulation.durations == (9, 9, 0, 0, 9, 0)


@pytest.mark.parametrize(
    ("cause", "by_party", "reason"),
    [
        (17, True, "operator_busy"),
        (17, False, "operator_busy"),
        (21, True, "operator_disconnects"),
        (18, False, "operator_not_responsive"),
        (19, True, "operator_not_responsive"),
        (16, True, "operator_not_responsive"),
        (20, False, "sip_offline"),
        (27, False, "locked_phone"),
        (38, False, "locked_phone"),
        (1, False, "operator_number_problems"),
        (3, False, "operator_number_problems"),
    ],
)
def test_a_phone_that_refuses(cause: int, by_party: bool, reason: str) -> None:
    simulation = CallSimulation(online=[ANNA]).arrive(c.TO_ANNA)
    simulation.at(4).refuse(cause, by_party=by_party)
    assert simulation.leg(1).finish_reason == reason
    assert simulation.leg(1).cause == cause
    assert simulation.leg(1).is_failed
    assert simulation.end["is_lost"] is True
    assert simulation.durations == (4, 4, 0, 0, 4, 0)


def test_the_common_reason_of_all_tried_is_the_calls() -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    simulation.refuse(17)
    simulation.refuse(17)
    assert [leg.sip_line_id for leg in simulation.session.legs.values()] == [None, 1, 4]
    assert simulation.end["finish_reason"] == "operator_busy"
    mixed = CallSimulation().arrive(c.TO_ANNA)
    mixed.refuse(17)
    mixed.refuse(21)
    assert mixed.end["finish_reason"] == "no_success_operator_call"


def test_an_employees_phones_ring_one_after_another() -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    assert effect(simulation, ConnectTargets).connect.ring_seconds == 30
    simulation.at(30).ring_out()
    simulation.at(40).answer(c.ANNA_SECOND)
    simulation.at(50).hang_up()
    assert simulation.reasons == [
        (number_of(c.TO_ANNA), "caller_disconnects"),
        (ANNA, "operator_not_responsive"),
        (c.ANNA_SECOND, "caller_disconnects"),
    ]
    assert simulation.durations == (40, 40, 10, 10, 50, 0)
    assert [leg.is_failed for leg in simulation.session.legs.values()] == [False, True, False]


def test_nobody_picks_up() -> None:
    simulation = CallSimulation(online=[BORIS]).arrive(c.TWICE)
    simulation.at(30).ring_out()
    simulation.at(60).ring_out()
    assert [leg.called_phone_number for leg in simulation.session.legs.values()] == [
        number_of(c.TWICE),
        BORIS,
        BORIS,
    ]
    assert simulation.end["finish_reason"] == "operator_not_responsive"
    assert simulation.durations == (60, 60, 0, 0, 60, 0)


def test_an_offline_line_is_not_dialled_but_reported_of() -> None:
    simulation = CallSimulation().arrive(c.TO_DORA)
    assert not [one for one in simulation.engine.done if isinstance(one, ConnectTargets)]
    assert simulation.reasons[1] == (c.DORA_LINE, "sip_offline")
    assert (simulation.end["finish_reason"], simulation.durations) == ("sip_offline", (0, 0, 0, 0, 0, 0))


def test_a_line_that_turns_out_offline_is_reported_of_once() -> None:
    simulation = CallSimulation(online=[c.DORA_LINE])
    simulation.engine.offline = {c.DORA_LINE}
    simulation.arrive(c.TO_DORA)
    assert [leg.finish_reason for leg in simulation.session.legs.values()][1:] == ["sip_offline"]
    assert simulation.end["finish_reason"] == "sip_offline"


def test_all_channels_of_a_line_in_use() -> None:
    simulation = CallSimulation()
    other = CallSimulation()
    other.presence = simulation.presence
    other.arrive(c.TWICE)
    simulation.arrive(c.TWICE)
    assert [reason for _, reason in simulation.reasons][1:] == ["operator_channels_busy"] * 2
    assert simulation.end["finish_reason"] == "operator_channels_busy"
    other.hang_up()
    assert not simulation.presence.line_calls(2)


def test_all_at_once_the_first_to_answer_talks() -> None:
    simulation = CallSimulation().arrive(c.ALL)
    assert len(effect(simulation, ConnectTargets).connect.targets) == 2
    simulation.at(5).answer(BORIS)
    simulation.at(15).hang_up()
    assert simulation.reasons[1:] == [(ANNA, "another_operator_answer"), (BORIS, "caller_disconnects")]
    assert simulation.leg(1).group_name == "Sales"
    assert simulation.end["first_answered_employee_id"] == c.BORIS


def test_all_at_once_and_one_has_no_device() -> None:
    simulation = CallSimulation()
    simulation.engine.offline = {ANNA}
    simulation.arrive(c.ALL)
    simulation.at(5).answer(BORIS)
    phone = simulation.engine.targets(simulation.channel)[0].channel
    simulation.at(15).hang_up(phone)
    assert (ANNA, "sip_offline") in simulation.reasons
    assert simulation.end["finish_reason"] == "operator_disconnects"


def test_several_devices_of_one_line_are_legs_of_one_employee() -> None:
    simulation = CallSimulation()
    simulation.engine.devices = {BORIS: 3}
    simulation.arrive(c.TWICE)
    first = simulation.engine.targets(simulation.channel)[0].channel
    simulation.at(2).engine.answer(first)
    simulation.flow().at(5).hang_up()
    assert [reason for _, reason in simulation.reasons[1:]] == ["caller_disconnects"] + [
        "another_operator_answer"
    ] * 2
    assert len(simulation.end["employees"]) == 1


def test_in_turn() -> None:
    simulation = CallSimulation().arrive(c.IN_TURN)
    assert simulation.ringing() == simulation.ringing(ANNA)
    simulation.at(20).ring_out()
    simulation.at(25).answer(BORIS)
    simulation.at(35).hang_up()
    assert [reason for _, reason in simulation.reasons[1:]] == [
        "operator_not_responsive",
        "caller_disconnects",
    ]


def test_longest_idle_goes_first() -> None:
    simulation = CallSimulation()
    for login, seconds in ((ANNA, 100), (BORIS, 50)):
        earlier = CallSimulation()
        earlier.presence = simulation.presence
        earlier.arrive(c.ALL)
        earlier.at(seconds - 10).answer(login)
        earlier.at(seconds).hang_up()
    simulation.at(200).arrive(c.IDLE)
    assert simulation.ringing() == simulation.ringing(BORIS)
    simulation.refuse(17)
    assert simulation.ringing() == simulation.ringing(ANNA)


def test_an_employee_on_a_mobile() -> None:
    simulation = CallSimulation().arrive(c.TO_CLARA)
    target = effect(simulation, ConnectTargets).connect.targets[0]
    assert (target.number, target.caller_number) == (c.CLARA_MOBILE, number_of(c.TO_CLARA))
    simulation.at(4).answer(c.CLARA_MOBILE)
    simulation.at(9).hang_up()
    assert simulation.leg(1).trunk_id == c.TRUNK
    assert simulation.end["last_talked_employee_full_name"] == "Falk Clara"


def test_a_mobile_and_no_free_channel_of_the_trunk() -> None:
    account = company()
    full = replace(account.trunks[c.TRUNK], max_channels=2)
    clara = c.employee(c.CLARA, "Falk Clara", c.phone(31, None, c.CLARA_MOBILE, channels_count=9))
    simulation = CallSimulation(company(trunks={c.TRUNK: full}, employees={c.CLARA: clara})).arrive(
        c.TO_CLARA
    )
    assert simulation.ringing(c.CLARA_MOBILE)
    other = CallSimulation(simulation.account)
    other.presence = simulation.presence
    other.arrive(c.TO_CLARA)
    assert other.reasons[1:] == [(c.CLARA_MOBILE, "no_resources")]
    assert other.end["finish_reason"] == "no_resources"


def test_greeting_ring_and_voicemail() -> None:
    simulation = CallSimulation().arrive(c.FULL)
    assert effect(simulation, PlayFiles).files == ("/media/greeting",)
    simulation.at(3).engine.played(simulation.channel)
    simulation.flow()
    assert effect(simulation, ConnectTargets).connect.music == "/media/dialing_music"
    simulation.at(23).ring_out()
    assert effect(simulation, PlayFiles).files == ("/media/mail", "/media/beep")
    simulation.at(27).engine.played(simulation.channel)
    simulation.flow()
    record = effect(simulation, RecordMessage)
    assert (record.max_seconds, record.silence_seconds) == (60, 4)
    simulation.at(39).engine.recorded(simulation.channel)
    simulation.flow()
    left = next(event.data for event in simulation.events if event.type is EventType.VOICE_MAIL_LEFT)
    assert left["seconds"] == pytest.approx(12, abs=0.1)
    assert not left["is_empty"]
    assert (simulation.end["finish_reason"], simulation.end["is_lost"]) == ("operator_not_responsive", True)
    assert simulation.durations == (39, 39, 0, 0, 39, 0)
    walk(simulation.events)


@pytest.mark.parametrize("ended_first", [True, False])
def test_a_caller_hangs_up_while_speaking(ended_first: bool) -> None:
    simulation = CallSimulation().arrive(c.MAIL)
    simulation.at(5).engine.played(simulation.channel)
    simulation.flow().at(12).engine.hang_up(simulation.channel)
    if ended_first:
        simulation.engine.pending.reverse()
    simulation.flow()
    mails = [event.data for event in simulation.events if event.type is EventType.VOICE_MAIL_LEFT]
    assert len(mails) == 1
    assert mails[0]["seconds"] == pytest.approx(7, abs=0.1)
    assert simulation.end["finish_reason"] == "caller_disconnects"


def test_who_hangs_up_before_the_beep_leaves_no_message() -> None:
    simulation = CallSimulation().arrive(c.MAIL)
    simulation.at(4).hang_up()
    left = next(event.data for event in simulation.events if event.type is EventType.VOICE_MAIL_LEFT)
    assert (left["seconds"], left["is_empty"]) == (0, True)


def test_the_hour_decides() -> None:
    closed = CallSimulation().arrive(c.BY_HOUR)
    assert effect(closed, PlayFiles).files[0] == "/media/mail"
    account = company()
    opened = company(schedules={**account.schedules, c.NEVER: account.schedules[c.ALWAYS]})
    assert CallSimulation(opened).arrive(c.BY_HOUR).ringing()


def test_a_greeting_then_the_scenario_hangs_up() -> None:
    simulation = CallSimulation().arrive(c.GREETING_ONLY)
    simulation.at(4).engine.played(simulation.channel)
    simulation.flow()
    assert (simulation.end["finish_reason"], simulation.reasons[0][1]) == ("scenario_disconnects",) * 2


def test_hanging_up_during_a_greeting() -> None:
    simulation = CallSimulation().arrive(c.GREETING_ONLY)
    simulation.at(2).hang_up()
    assert simulation.end["finish_reason"] == "caller_disconnects"


def test_a_greeting_without_sound_is_passed() -> None:
    simulation = CallSimulation(company(media={})).arrive(c.GREETING_ONLY)
    assert simulation.end["finish_reason"] == "scenario_disconnects"


def test_scenarios_that_go_round_end() -> None:
    assert CallSimulation().arrive(c.ROUND).end["finish_reason"] == "max_transition_count_exceeded"
    silent = c.scenario(c.GREETING_ONLY, ("a", *c.greeting("a", 99)))
    around = company(scenarios={**c.SCENARIOS, c.GREETING_ONLY: silent})
    assert (
        CallSimulation(around).arrive(c.GREETING_ONLY).end["finish_reason"] == "max_transition_count_exceeded"
    )
    to_nobody = c.scenario(c.TO_CLARA, ("a", *c.to_employee(c.CLARA, "a")))
    no_way = company(scenarios={**c.SCENARIOS, c.TO_CLARA: to_nobody}, trunks={})
    simulation = CallSimulation(no_way).arrive(c.TO_CLARA)
    assert simulation.end["finish_reason"] == "max_transition_count_exceeded"


def test_a_loop_of_calls_that_fail_at_once_ends() -> None:
    account = company(
        scenarios={**c.SCENARIOS, c.TWICE: c.scenario(c.TWICE, ("a", *c.to_employee(c.BORIS, "a")))}
    )
    simulation = CallSimulation(account)
    simulation.arrive(c.TWICE)
    for _ in range(30):
        simulation.refuse(17)
    assert simulation.ringing()
    assert len(simulation.session.operations) == 31
    simulation.hang_up()
    assert simulation.end["finish_reason"] == "caller_disconnects"


@pytest.mark.parametrize(
    ("changes", "reason", "cause"),
    [
        ({"is_active": False}, "app_is_inactive", 21),
        ({"blacklist": frozenset({c.CUSTOMER})}, "numa_in_black_list", 21),
        ({"numbers": {1: number(1, status=NumberStatus.MANUAL_LOCK)}}, "numb_is_inactive", 21),
        ({"numbers": {1: number(1, rules=())}}, "no_active_scenario", 21),
        ({"numbers": {1: number(1, rules=(Rule(1, 1, c.NEVER, is_active=True),))}}, "no_active_scenario", 21),
        ({"numbers": {1: number(1, rules=(Rule(1, 1, None, is_active=False),))}}, "no_active_scenario", 21),
        ({"numbers": {}}, "numb_not_exists", 1),
        ({"employees": {}}, "employees_not_exists", 21),
    ],
)
def test_refused_calls(changes: dict[str, Any], reason: str, cause: int) -> None:
    simulation = CallSimulation(company(**changes)).arrive(c.TO_ANNA)
    assert (simulation.end["finish_reason"], simulation.reasons[0][1], simulation.end["is_lost"]) == (
        reason,
        reason,
        True,
    )
    assert effect(simulation, Hangup).cause == cause
    assert simulation.leg(0).answered_at is None


def test_a_scenario_without_operations() -> None:
    assert CallSimulation().arrive(c.EMPTY).end["finish_reason"] == "no_operation"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_active": False}, "employee_inactive"),
        ({"status": EmployeeStatus.BREAK}, "employee_status_break"),
        ({"status": EmployeeStatus.DO_NOT_DISTURB}, "employee_status_do_not_disturb"),
        ({"status": EmployeeStatus.NOT_AT_WORK}, "employee_status_not_at_work"),
        ({"schedule_id": c.NEVER}, "employee_inactive_by_schedule"),
        ({"in_external_allowed": frozenset({"out"})}, "in_call_not_allowed"),
        ({"phones": ()}, "employee_without_phones"),
    ],
)
def test_an_employee_who_cannot_be_rung(changes: dict[str, Any], reason: str) -> None:
    account = company()
    away = replace(account.employees[c.ANNA], **changes)
    simulation = CallSimulation(company(employees={c.ANNA: away})).arrive(c.TO_ANNA)
    assert simulation.leg(1).finish_reason == reason
    assert simulation.leg(1).employee_id == c.ANNA
    assert simulation.end["finish_reason"] == reason


def test_no_more_calls_than_the_number_takes() -> None:
    account = company(numbers={1: number(1, max_in_calls=1)})
    first = CallSimulation(account).arrive(c.TO_ANNA)
    second = CallSimulation(account)
    second.presence = first.presence
    second.arrive(c.TO_ANNA)
    assert second.end["finish_reason"] == "max_in_call_reached"
    first.hang_up()
    third = CallSimulation(account)
    third.presence = first.presence
    assert third.arrive(c.TO_ANNA).ringing()


@pytest.mark.parametrize(("limit", "taken"), [(None, True), (2, True), (1, False)])
def test_no_more_calls_than_the_group_takes(limit: int | None, taken: bool) -> None:
    base = company()
    group = replace(base.groups[c.ALL], channels_count=limit, employee_ids=(c.ANNA, c.BORIS))
    lines = {key: replace(line, channels_count=3) for key, line in base.lines.items()}
    people = {
        key: replace(one, phones=tuple(replace(phone, channels_count=3) for phone in one.phones))
        for key, one in base.employees.items()
    }
    account = company(groups={c.ALL: group}, lines=lines, employees=people)
    first = CallSimulation(account).arrive(c.ALL)
    assert first.ringing(c.ANNA_LINE)
    second = CallSimulation(account)
    second.presence = first.presence
    second.arrive(c.ALL)
    if taken:
        assert second.ringing(c.ANNA_LINE)
        return
    assert second.end["finish_reason"] == "operator_channels_busy"
    first.hang_up()
    third = CallSimulation(account)
    third.presence = first.presence
    assert third.arrive(c.ALL).ringing(c.ANNA_LINE)


def test_who_passes_operations_leaves_their_attempts_there() -> None:
    simulation = CallSimulation().arrive(c.BY_HOUR)
    assert [one["name"] for one in simulation.session.operations] == ["schedule a", "voicemail c"]
    away = replace(company().groups[c.ALL], employee_ids=(c.DORA,))
    other = CallSimulation(company(groups={c.ALL: away})).arrive(c.FULL)
    other.engine.played(other.channel)
    other.flow()
    skipped = other.leg(1)
    assert (skipped.finish_reason, skipped.operation_name) == ("sip_offline", "forward_group b")
    assert [one["key"] for one in other.session.operations] == ["a", "b", "c"]


def test_released_by_command_at_each_moment() -> None:
    ringing = CallSimulation().arrive(c.ALL)
    ringing.at(3).command("release_call")
    assert [reason for _, reason in ringing.reasons] == ["operator_disconnects"] * 3
    talking = CallSimulation().arrive(c.TO_ANNA)
    talking.at(2).answer(ANNA)
    talking.at(8).command("release_call")
    assert talking.durations == (2, 2, 6, 6, 8, 0)
    assert talking.end["finish_reason"] == "operator_disconnects"
    reported = CallSimulation().arrive(c.GREETING_ONLY)
    reported.at(1).command("release_call")
    assert reported.end["finish_reason"] == "operator_disconnects"
    walk(talking.events)


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        (CallRecording.ALL, True),
        (CallRecording.IN, True),
        (CallRecording.OUT, False),
        (CallRecording.OFF, False),
    ],
)
def test_whose_calls_are_recorded(recording: CallRecording, expected: bool) -> None:
    account = company()
    anna = replace(account.employees[c.ANNA], call_recording=recording)
    simulation = CallSimulation(company(employees={c.ANNA: anna})).arrive(c.TO_ANNA)
    connect: Connect = effect(simulation, ConnectTargets).connect
    assert connect.record is expected
    simulation.answer(ANNA)
    simulation.hang_up()
    assert simulation.end["recorded"] is expected


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("+1 (202) 555-0111\r\n\x00", "12025550111"),
        ('20\u202e25"<>\x1b[2J\u0661', "20252J"),
        ("anonymous", "anonymous"),
        ("\x00\t;", None),
    ],
)
def test_a_caller_number_has_only_what_a_number_can_have(sent: str, kept: str | None) -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA, caller=sent)
    assert simulation.session.contact_phone_number == kept
    texts = [one for event in simulation.events for one in event.data.values() if isinstance(one, str)]
    assert all(one.isprintable() for one in texts)


def test_a_known_contact_is_named() -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA, c.KNOWN)
    assert effect(simulation, ConnectTargets).connect.targets[0].caller_name == "Known Customer"
    simulation.hang_up()
    assert simulation.end["contact_full_name"] == "Known Customer"


def test_the_company_is_whole() -> None:
    kinds = {operation.kind for scenario in c.SCENARIOS.values() for operation in scenario.operations}
    assert len(kinds) >= 5
    assert all(isinstance(one, Operation) for scenario in c.SCENARIOS.values() for one in scenario.operations)


@pytest.mark.parametrize("cause", [3, 20])
def test_a_line_that_has_no_device_any_more_is_offline(cause: int) -> None:
    """Its registration ended just before Asterisk dialled it, or the registrations are not known yet."""
    simulation = CallSimulation(online=[ANNA])
    simulation.engine.offline.add(ANNA)
    simulation.engine.unreachable_cause = cause
    simulation.arrive(c.TO_ANNA)
    assert simulation.leg(1).finish_reason == "sip_offline"
    assert simulation.leg(1).cause == 20
