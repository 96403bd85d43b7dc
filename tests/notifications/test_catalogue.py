"""Which notifications follow from which events, and what they carry."""

from __future__ import annotations

from typing import Any

import pytest

from tests.notifications.rig import call_events, links_of
from trunkline.core.clock import Instant
from trunkline.events.catalogue import UNPUBLISHED, Event, EventType, call_stream, line_stream
from trunkline.notifications.catalogue import (
    Background,
    Mnemonic,
    follow,
    named,
    possible,
    sample,
    variables,
)
from trunkline.notifications.facts import CallFacts, aggregate
from trunkline.notifications.variables import CALL_GROUPS, LINE_GROUPS, VARIABLES, Kind

SESSION = 700
BACKGROUND = Background("Sample Ltd", 3, ("vip",), links_of(SESSION, "r" * 64, "talk"), open_links=True)


def reported(events: list[Event]) -> list[tuple[str, dict[str, Any]]]:
    """All notifications of a call, in order."""
    found = []
    for count, event in enumerate(events, 1):
        facts = aggregate(events[:count])
        mnemonics = follow(event, facts)
        assert set(mnemonics) <= possible(event.type)
        found += [(m.value, variables(event, facts, BACKGROUND)) for m in mnemonics]
    return found


def with_events(
    *facts: tuple[EventType, dict[str, Any]], direction: str = "in", is_internal: bool = False
) -> list[Event]:
    started = (
        EventType.SESSION_STARTED,
        {
            "direction": direction,
            "is_internal": is_internal,
            "source": "va",
            "virtual_phone_number": "971500000010",
            "contact_phone_number": "12025550110",
        },
    )
    return [
        Event(1, call_stream(SESSION), number, type_, Instant(1000.0 + number), data)
        for number, (type_, data) in enumerate([started, *facts], 1)
    ]


def leg(leg_id: int, role: str, **more: Any) -> tuple[EventType, dict[str, Any]]:
    return EventType.LEG_STARTED, {"leg_id": leg_id, "role": role, **more}


def test_a_call_in() -> None:
    notifications = reported(call_events(1, SESSION, 1000.0))
    assert [name for name, _ in notifications] == [
        "call_start",
        "in_call_session",
        "call_waiting_answer",
        "employee_answer",
        "call_answer",
        "call_connected",
        "talk_finished",
        "employee_disconnect",
        "call_session_finished",
        "call_finish",
    ]
    by_name = dict(notifications)
    assert by_name["in_call_session"]["employee_id"] is None
    assert by_name["in_call_session"]["calling_phone_number"] == "12025550110"
    assert by_name["call_waiting_answer"]["employee_full_name"] == "Ruiz Ana"
    assert by_name["call_waiting_answer"]["leg_id"] == 2 * SESSION + 1
    assert by_name["talk_finished"]["talk_time_duration"] == 1
    finish = by_name["call_finish"]
    assert finish["talk_time_duration"] == 3
    assert finish["wait_time_duration"] == 6
    assert finish["total_time_duration"] == 9
    assert finish["employee_ids"] == [4001]
    assert finish["scenario_name"] == "Main"
    assert finish["communication_number"] == 3
    assert finish["notification_time"] == "1970-01-01T00:16:50.000Z"


def test_a_lost_call_in_is_reported_as_lost() -> None:
    events = with_events(
        leg(1, "contact"),
        leg(2, "employee", employee_id=5),
        (EventType.LEG_RINGING, {"leg_id": 2}),
        (EventType.LEG_ENDED, {"leg_id": 2, "role": "employee"}),
        (EventType.SESSION_FINISHED, {"is_lost": True, "wait_duration": 20}),
    )
    notifications = reported(events)
    assert "employee_disconnect" not in dict(notifications)
    name, values = notifications[-1]
    assert name == "lost_call"
    assert values["employee_ids"] == [5]
    assert values["wait_time_duration"] == 20


def test_a_lost_call_out_is_not_a_lost_call() -> None:
    events = with_events((EventType.SESSION_FINISHED, {"is_lost": True}), direction="out")
    assert "lost_call" not in dict(reported(events))


def test_a_call_out_is_answered_by_the_contact() -> None:
    events = with_events(
        leg(1, "employee", employee_id=5, employee_full_name="Ruiz Ana"),
        (EventType.LEG_ANSWERED, {"leg_id": 1, "role": "employee"}),
        leg(2, "contact"),
        (EventType.LEG_RINGING, {"leg_id": 2}),
        (EventType.LEG_ANSWERED, {"leg_id": 2, "role": "contact"}),
        direction="out",
    )
    names = [name for name, _ in reported(events)]
    assert names == ["call_start", "out_call_session", "employee_answer", "call_answer"]
    assert reported(events)[-1][1]["employee_id"] == 5
    assert reported(events)[-1][1]["called_phone_number"] == "12025550110"


def test_an_internal_call_is_answered_by_the_colleague() -> None:
    events = with_events(
        leg(1, "employee", side="operator", employee_id=5),
        (EventType.LEG_ANSWERED, {"leg_id": 1, "role": "employee"}),
        leg(2, "employee", side="contact", employee_id=6),
        leg(3, "employee", side="contact", employee_id=7),
        (EventType.LEG_ANSWERED, {"leg_id": 3, "role": "employee"}),
        direction="out",
        is_internal=True,
    )
    names = [name for name, _ in reported(events)]
    assert names == ["call_start", "out_call_session", "employee_answer", "employee_answer", "call_answer"]


def test_after_a_transfer_the_new_employee_has_the_call() -> None:
    events = with_events(
        leg(1, "contact"),
        leg(2, "employee", employee_id=5),
        (EventType.LEG_ANSWERED, {"leg_id": 2}),
        (EventType.TALK_STARTED, {"leg_id": 2}),
        leg(3, "employee", employee_id=6),
        (EventType.LEG_ANSWERED, {"leg_id": 3}),
        (EventType.TALK_STARTED, {"leg_id": 3}),
        (EventType.LEG_ENDED, {"leg_id": 2}),
        (EventType.TAG_SET, {"tag_id": 9, "tag_name": "won"}),
        (EventType.SESSION_FINISHED, {"is_lost": False}),
    )
    notifications = reported(events)
    names = [name for name, _ in notifications]
    assert names.count("call_answer") == 1
    assert names.count("call_connected") == 2
    by_name = dict(notifications)
    assert by_name["employee_disconnect"]["employee_id"] == 5
    assert by_name["set_mark"]["tag_names"] == ["won"]
    assert by_name["call_finish"]["employee_id"] == 6
    assert by_name["call_finish"]["tag_ids"] == [9]


@pytest.mark.parametrize(
    ("kind", "names"),
    [("talk", ["call_record_completed", "call_record_ready"]), ("voice_mail", ["voice_mail_ready"])],
)
def test_recordings_carry_their_links(kind: str, names: list[str]) -> None:
    data = {"kind": kind, "recording_id": "r", "file_duration": 2.6, "has_mp3": True, "has_wav": True}
    notifications = reported(with_events((EventType.RECORDING_READY, data)))[2:]
    assert [name for name, _ in notifications] == names
    values = notifications[0][1]
    assert values["is_incomplete"] is False
    cut = reported(with_events((EventType.RECORDING_READY, {**data, "is_incomplete": True})))[2:]
    assert cut[0][1]["is_incomplete"] is True
    assert values["file_duration"] == 3
    assert values["file_link"] == f"https://pbx.example/system/media/talk/{SESSION}/{'r' * 64}/"
    assert values["full_record_file_link"].endswith(f"/media/{SESSION}/{'r' * 64}")


def test_a_closed_account_gives_no_open_link() -> None:
    data = {"kind": "talk", "recording_id": "r", "has_mp3": True}
    event = with_events((EventType.RECORDING_READY, data))[-1]
    closed = Background("Sample Ltd", links=BACKGROUND.links, open_links=False)
    assert variables(event, CallFacts(), closed)["full_record_file_link"] is None


def test_the_last_phone_of_a_line_makes_it_lost_and_the_first_restores_it() -> None:
    def line(type_: EventType, devices: int) -> Event:
        data = {"sip_line_id": 4, "phone_number": "0160001", "devices": devices}
        return Event(1, line_stream(4), 1, type_, Instant(1.0), data)

    assert follow(line(EventType.LINE_LOST, 0), CallFacts()) == [Mnemonic.LINE_LOST]
    assert follow(line(EventType.LINE_LOST, 1), CallFacts()) == [], "another phone is still there"
    assert follow(line(EventType.LINE_REGISTERED, 1), CallFacts()) == [Mnemonic.LINE_RESTORED]
    assert follow(line(EventType.LINE_REGISTERED, 2), CallFacts()) == []
    values = variables(line(EventType.LINE_LOST, 0), CallFacts(), Background("Sample Ltd"))
    assert values["sip_line_phone_number"] == "0160001"
    assert "call_session_id" not in values


@pytest.mark.parametrize(
    ("type_", "data", "name"),
    [
        (EventType.CALL_HELD, {"leg_id": 2}, "call_held"),
        (EventType.CALL_UNHELD, {"leg_id": 2}, "call_unheld"),
        (EventType.CONSULT_STARTED, {"leg_id": 3, "operator_leg_id": 2}, "consult_started"),
        (EventType.TRANSFERRED, {"leg_id": 3, "operator_leg_id": 2}, "call_transferred"),
        (EventType.CALL_PARKED, {"leg_id": 2, "slot": 1}, "call_parked"),
        (EventType.CALL_RETRIEVED, {"leg_id": 3, "slot": 1}, "call_retrieved"),
        (EventType.CALL_FORWARDED, {"employee_id": 5, "to": "102", "refused": None}, "call_forwarded"),
        (EventType.COACH_JOINED, {"leg_id": 3, "target_leg_id": 2}, "coach_joined"),
        (EventType.TAG_UNSET, {"tag_id": 1}, "unset_mark"),
    ],
)
def test_what_happens_during_a_call(type_: EventType, data: dict[str, Any], name: str) -> None:
    events = with_events(
        leg(1, "contact"), leg(2, "employee", employee_id=5), leg(3, "employee", employee_id=6), (type_, data)
    )
    last, values = reported(events)[-1]
    assert last == name
    if "leg_id" in data:
        assert values["employee_id"] == data["leg_id"] + 3
    assert type_ not in UNPUBLISHED


def test_a_forwarding_that_was_refused_is_none() -> None:
    refused = (EventType.CALL_FORWARDED, {"employee_id": 5, "to": "102", "refused": "locked_numb"})
    assert "call_forwarded" not in dict(reported(with_events(refused)))


def test_a_limit_and_a_ban_name_the_line_or_the_account() -> None:
    def of(type_: EventType, **data: Any) -> tuple[Any, ...]:
        event = Event(1001, line_stream(4), 1, type_, Instant(1.0), data)
        values = variables(event, CallFacts(), Background("Sample Ltd"))
        return tuple(values[name] for name in ("entity", "entity_id", "entity_name", "reason"))

    limit = {"limit": "calls_per_minute", "limit_max_value": 60}
    reached = EventType.OUTGOING_LIMIT_REACHED
    assert of(reached, sip_line_id=4, **limit) == ("sip_line", 4, None, "calls_per_minute: 60")
    assert of(reached, sip_line_id=None, **limit) == ("account", 1001, "Sample Ltd", "calls_per_minute: 60")
    ban = {"sip_line_id": 4, "phone_number": "0160001", "failures": 9}
    banned = of(EventType.LOGIN_BANNED, **ban, ip="203.0.113.9")
    assert banned == ("sip_line", 4, "0160001", "9 wrong passwords from 203.0.113.9")
    assert of(EventType.LOGIN_BANNED, **ban, ip=None)[3] == "9 wrong passwords from many addresses"


def test_values_have_the_types_of_the_table() -> None:
    types: dict[Kind, type] = {
        Kind.INTEGER: int,
        Kind.SECONDS: int,
        Kind.BOOLEAN: bool,
        Kind.INTEGERS: list,
        Kind.STRINGS: list,
    }
    samples = [named(sample(m, 1, "Sample Ltd", 1000.0), "n", m) for m in Mnemonic]
    for values in [*(values for _, values in reported(call_events(1, SESSION))), *samples]:
        for name, value in values.items():
            if value is not None:
                assert isinstance(value, types.get(VARIABLES[name].kind, str)), name


def test_every_notification_can_follow_and_be_sampled() -> None:
    reachable = {mnemonic for type_ in EventType for mnemonic in possible(type_)}
    assert reachable == set(Mnemonic)
    groups = {VARIABLES[name].group for name in sample(Mnemonic.LINE_LOST, 1, "Sample Ltd", 0)}
    assert groups <= LINE_GROUPS
    groups = {VARIABLES[name].group for name in sample(Mnemonic.CALL_START, 1, "Sample Ltd", 0)}
    assert groups <= CALL_GROUPS


def test_events_may_lack_what_they_should_have() -> None:
    """A listener ignores unknown events and accepts missing keys."""
    for type_ in EventType:
        event = Event(1, call_stream(SESSION), 1, type_, Instant(1.0), {})
        facts = aggregate([event])
        follow(event, facts)
        variables(event, facts, Background(""))


def test_what_may_be_reported_or_recorded_goes_through_the_outbox() -> None:
    assert {type_ for type_ in UNPUBLISHED if possible(type_)} == set()
    assert UNPUBLISHED.isdisjoint({EventType.SESSION_FINISHED, EventType.VOICE_MAIL_LEFT}), "make recordings"
