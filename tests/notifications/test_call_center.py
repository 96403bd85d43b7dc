"""Events of the Call Center API: each follows from what happened, and has every variable of the document."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from trunkline.core.call_uuids import uuid_of
from trunkline.core.clock import Instant
from trunkline.events.catalogue import Event, EventType, agent_stream, call_stream, queue_stream
from trunkline.notifications import call_center
from trunkline.notifications.call_center import CenterBackground, CenterEvent, country_of
from trunkline.notifications.facts import aggregate
from trunkline.queues.states import AgentStatus, LeavingReason

ACCOUNT, SESSION, QUEUE, CALLER, AGENT = 7, 5001, 22001, 900, 4001
CONTACT_LEG, AGENT_LEG, OFFER = 5002, 5003, 901
DOCUMENT = {
    "agent:checkin": ["user_id", "device_id", "device_name"],
    "agent:checkout": ["user_id"],
    "queue:join": ["user_id", "queues"],
    "queue:leave": ["user_id", "queues"],
    "agent:status": ["user_id", "activity_id", "pause_id", "in_calls"],
}
CALL_VARIABLES = [
    "id", "call_id", "ts", "site_id", "type", "dst_num", "src_device_id", "dst_device_id", "src_user_id",
    "dst_user_id", "cid_num", "cid_name", "a2", "tags", "queue_id", "lead_id", "lead_name", "campaign_id",
    "dialer_id", "conference_id", "call_script", "waitms", "durationms", "progressms", "billms", "cc_wait",
    "hangup_cause", "canceled",
]  # fmt: skip
"""As the document lists them."""
Step = tuple[float, str, EventType, dict[str, Any]]


def sent(steps: list[Step], background: CenterBackground | None = None) -> list[tuple[str, dict[str, Any]]]:
    """What a subscriber to everything gets, in order."""
    seqs: dict[str, count[int]] = {}
    events = [
        Event(ACCOUNT, stream, next(seqs.setdefault(stream, count(1))), type_, Instant(at), data)
        for at, stream, type_, data in steps
    ]
    found = []
    for number, event in enumerate(events):
        call = call_center.call_of(event)
        known = [one for one in events[: number + 1] if call is not None and one.stream == call_stream(call)]
        facts = aggregate(known)
        for name in call_center.follow(event, facts):
            data = call_center.data_of(event, name, facts, background or CenterBackground())
            found.append((name.value, data))
    return found


def started(direction: str = "in", **more: Any) -> dict[str, Any]:
    return {
        "direction": direction,
        "is_internal": False,
        "virtual_phone_number": "97140000200",
        "contact_phone_number": "12025550111",
        "contact_full_name": "Sample Customer",
        **more,
    }


CALL, VISIT = call_stream(SESSION), queue_stream(QUEUE)
QUEUE_CALL: list[Step] = [
    (1000.0, CALL, EventType.SESSION_STARTED, started(lead_id="04")),
    (1000.0, CALL, EventType.LEG_STARTED, {"leg_id": CONTACT_LEG, "role": "contact", "side": "contact"}),
    (1000.2, CALL, EventType.LEG_ANSWERED, {"leg_id": CONTACT_LEG}),
    (1000.3, CALL, EventType.TAG_SET, {"tag_id": 3, "tag_name": "vip"}),
    (1001.0, CALL, EventType.QUEUE_ENTERED, {"leg_id": CONTACT_LEG, "queue_id": QUEUE}),
    (1001.0, VISIT, EventType.CALLER_JOINED, {"caller_id": CALLER, "call_session_id": SESSION}),
    (
        1003.0, CALL, EventType.LEG_STARTED,
        {
            "leg_id": AGENT_LEG, "role": "employee", "side": "operator", "offer_id": OFFER, "employee_id": AGENT,
            "employee_full_name": "Sample Agent", "sip_line_id": 71,
        },
    ),
    (1003.12, CALL, EventType.LEG_RINGING, {"leg_id": AGENT_LEG}),
    (1009.5, CALL, EventType.LEG_ANSWERED, {"leg_id": AGENT_LEG, "employee_id": AGENT}),
    (
        1009.5, VISIT, EventType.AGENT_CONNECTED,
        {"caller_id": CALLER, "call_session_id": SESSION, "agent_id": AGENT, "waited": 8.5},
    ),
    (1051.5, CALL, EventType.LEG_ENDED, {"leg_id": AGENT_LEG, "role": "employee", "release_cause_code": 16}),
    (
        1051.5, VISIT, EventType.CALLER_FINISHED,
        {
            "caller_id": CALLER, "call_session_id": SESSION, "agent_id": AGENT, "ended_by": "caller", "seconds": 42.0,
            "waited": 8.5,
        },
    ),
    (1051.6, CALL, EventType.LEG_ENDED, {"leg_id": CONTACT_LEG, "role": "contact", "release_cause_code": 16}),
]  # fmt: skip


def test_a_call_of_a_campaign_has_the_name_of_its_lead_in_its_events() -> None:
    """The lead as it was dialled: what its list has later changes nothing."""
    lead = {"name": "Ida", "tags": None, "ext_api_vars": {"plan": "gold"}}
    call: list[Step] = [
        (
            1000.0,
            CALL,
            EventType.SESSION_STARTED,
            started("out", lead_id="04", lead=lead, dial_campaign_id=9),
        ),
        (1000.0, CALL, EventType.LEG_STARTED, {"leg_id": CONTACT_LEG, "role": "contact", "side": "contact"}),
        (1000.2, CALL, EventType.LEG_RINGING, {"leg_id": CONTACT_LEG}),
    ]
    [(name, data)] = sent(call, CenterBackground(lead_name="Another"))
    assert (name, data["lead_id"], data["lead_name"], data["cid_name"]) == ("call:ring", "04", "Ida", "Ida")
    assert data["campaign_id"] == 9


def test_a_call_that_waits_in_a_queue() -> None:
    found = sent(QUEUE_CALL, CenterBackground(lead_name="Sample Lead"))
    assert [name for name, _ in found] == [
        "call:ring", "call:answer", "call:start", "call:ring", "call:answer", "call:answer", "call:end", "call:end",
        "call:end",
    ]  # fmt: skip
    assert all(list(data) == CALL_VARIABLES for _, data in found)
    assert {data["call_id"] for _, data in found} == {uuid_of(SESSION)}
    same = {
        "call_id": uuid_of(SESSION), "site_id": None, "dst_num": "97140000200", "src_device_id": None,
        "src_user_id": None, "cid_num": "12025550111", "cid_name": "Sample Customer", "a2": "US", "tags": ["vip"],
        "lead_id": "04", "lead_name": "Sample Lead", "campaign_id": None, "dialer_id": None, "conference_id": None,
        "call_script": None,
    }  # fmt: skip
    by_agent = {**same, "dst_user_id": AGENT, "dst_device_id": 71, "type": "queue", "queue_id": QUEUE}
    assert found[3] == (
        "call:ring",
        {
            **by_agent, "id": uuid_of(AGENT_LEG), "ts": 1003, "waitms": None, "durationms": 120, "progressms": 120,
            "billms": None, "cc_wait": None, "hangup_cause": None, "canceled": None,
        },
    )  # fmt: skip
    assert found[4][1] == {
        **by_agent, "id": uuid_of(AGENT_LEG), "ts": 1009, "waitms": 6500, "durationms": 6500, "progressms": 120,
        "billms": None, "cc_wait": 8, "hangup_cause": None, "canceled": None,
    }  # fmt: skip
    assert found[6][1] == {
        **by_agent, "id": uuid_of(AGENT_LEG), "ts": 1051, "waitms": 6500, "durationms": 48500, "progressms": 120,
        "billms": 42000, "cc_wait": 8, "hangup_cause": "NORMAL_CLEARING", "canceled": None,
    }  # fmt: skip
    visit = {**by_agent, "id": uuid_of(CALLER), "progressms": None, "canceled": None}
    start = {
        **visit, "dst_user_id": None, "dst_device_id": None, "ts": 1001, "waitms": None, "durationms": 0,
        "billms": None, "cc_wait": None, "hangup_cause": None,
    }  # fmt: skip
    assert found[2] == ("call:start", start)
    assert found[5][1] == {
        **visit, "ts": 1009, "waitms": 8500, "durationms": 8500, "billms": None, "cc_wait": 8, "hangup_cause": None,
    }  # fmt: skip
    assert found[7][1] == {
        **visit, "ts": 1051, "waitms": 8500, "durationms": 50500, "billms": 42000, "cc_wait": 8,
        "hangup_cause": "NORMAL_CLEARING",
    }  # fmt: skip
    last = found[8][1]
    assert (last["id"], last["type"], last["durationms"], last["billms"]) == (
        uuid_of(SESSION),
        "queue",
        51600,
        51400,
    )


@pytest.mark.parametrize(
    ("reason", "expected", "cause"),
    [
        (LeavingReason.HANGUP, "BREAK_OUT", "ORIGINATOR_CANCEL"),
        (LeavingReason.BREAK_OUT, "BREAK_OUT", "NORMAL_CLEARING"),
        (LeavingReason.TIMEOUT, "TIMEOUT", "NORMAL_CLEARING"),
        (LeavingReason.NO_AGENT_TIMEOUT, "NO_AGENT_TIMEOUT", "NORMAL_CLEARING"),
        (LeavingReason.EXIT_KEY, "NONE", "NORMAL_CLEARING"),
    ],
)
def test_why_nobody_answered(reason: LeavingReason, expected: str, cause: str) -> None:
    left = {"caller_id": CALLER, "call_session_id": SESSION, "reason": reason.value, "waited": 5.25}
    [*_, (name, data)] = sent([*QUEUE_CALL[:6], (1006.25, VISIT, EventType.CALLER_LEFT, left)])
    assert (name, data["canceled"], data["hangup_cause"]) == ("call:end", expected, cause)
    assert (data["cc_wait"], data["waitms"], data["durationms"], data["billms"]) == (5, 5250, 5250, 0)


def test_a_call_out_and_a_phone_that_refuses() -> None:
    steps: list[Step] = [
        (1000.0, CALL, EventType.SESSION_STARTED, started("out")),
        (
            1000.0, CALL, EventType.LEG_STARTED,
            {
                "leg_id": 1, "role": "employee", "side": "operator", "employee_id": AGENT, "sip_line_id": 71,
                "employee_full_name": "Sample Agent",
            },
        ),
        (1000.1, CALL, EventType.LEG_STARTED, {"leg_id": 2, "role": "contact", "side": "contact"}),
        (1002.0, CALL, EventType.LEG_RINGING, {"leg_id": 2}),
        (1004.0, CALL, EventType.LEG_ENDED, {"leg_id": 2, "release_cause_code": 17}),
        (1004.0, CALL, EventType.LEG_ENDED, {"leg_id": 1, "release_cause_code": 17}),
    ]  # fmt: skip
    ring, end, own_end = sent(steps)
    assert (ring[0], ring[1]["type"], ring[1]["dst_num"], ring[1]["cid_num"]) == (
        "call:ring", "outbound", "12025550111", "97140000200",
    )  # fmt: skip
    assert (ring[1]["src_user_id"], ring[1]["src_device_id"], ring[1]["dst_user_id"]) == (AGENT, 71, None)
    assert (ring[1]["id"], own_end[1]["id"]) == (uuid_of(2), uuid_of(SESSION))
    assert (end[1]["hangup_cause"], end[1]["waitms"], end[1]["progressms"], end[1]["billms"]) == (
        "USER_BUSY", 3900, 1900, 0,
    )  # fmt: skip


def test_who_listens_is_no_call() -> None:
    steps: list[Step] = [
        (1000.0, CALL, EventType.SESSION_STARTED, started()),
        (1000.0, CALL, EventType.LEG_STARTED, {"leg_id": 9, "role": "coach", "side": "operator"}),
        (1000.5, CALL, EventType.LEG_RINGING, {"leg_id": 9}),
        (1001.0, CALL, EventType.LEG_ANSWERED, {"leg_id": 9}),
        (1002.0, CALL, EventType.LEG_ENDED, {"leg_id": 9}),
    ]
    assert [name for name, _ in sent(steps)] == ["call:ring"]


def status(status: AgentStatus, previous: AgentStatus, reason: str | None = None) -> Step:
    data = {"status": status.value, "previous": previous.value, "reason": reason}
    return 1000.0, agent_stream(AGENT), EventType.AGENT_STATUS_CHANGED, data


def test_what_agents_do() -> None:
    out, free, pause = AgentStatus.LOGGED_OUT, AgentStatus.AVAILABLE, AgentStatus.ON_BREAK
    device = CenterBackground(device_id=71, device_name="0160001")
    found = sent(
        [
            status(free, out),
            status(pause, free, "12"),
            status(pause, free, "max_no_answer"),
            status(free, pause),
            status(out, free),
            (1001.0, agent_stream(AGENT), EventType.TIER_SET, {"queue_id": QUEUE, "is_new": True}),
            (1002.0, agent_stream(AGENT), EventType.TIER_SET, {"queue_id": QUEUE, "is_new": False}),
            (1003.0, agent_stream(AGENT), EventType.TIER_REMOVED, {"queue_id": QUEUE}),
        ],
        device,
    )
    assert found == [
        ("agent:checkin", {"user_id": AGENT, "device_id": 71, "device_name": "0160001"}),
        ("agent:status", {"user_id": AGENT, "activity_id": 1, "pause_id": 0, "in_calls": 1}),
        ("agent:status", {"user_id": AGENT, "activity_id": 1, "pause_id": 12, "in_calls": 1}),
        ("agent:status", {"user_id": AGENT, "activity_id": 1, "pause_id": 0, "in_calls": 1}),
        ("agent:status", {"user_id": AGENT, "activity_id": 1, "pause_id": 0, "in_calls": 1}),
        ("agent:checkout", {"user_id": AGENT}),
        ("agent:status", {"user_id": AGENT, "activity_id": 0, "pause_id": 0, "in_calls": 0}),
        ("queue:join", {"user_id": AGENT, "queues": [QUEUE]}),
        ("queue:leave", {"user_id": AGENT, "queues": [QUEUE]}),
    ]


@pytest.mark.parametrize("name", CenterEvent)
def test_samples_have_the_variables_of_the_document(name: CenterEvent) -> None:
    assert list(call_center.sample(name, 1000.0)) == DOCUMENT.get(name.value, CALL_VARIABLES)


def test_the_body_has_event_and_data() -> None:
    values = {**call_center.sample(CenterEvent.CHECK_OUT, 0.0), "notification_name": "n"}
    values["notification_mnemonic"] = "agent:checkout"
    assert call_center.body_of(values) == {"event": "agent:checkout", "data": {"user_id": 1}}


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("12025550111", "US"),
        ("442079460001", "GB"),
        ("97140000200", "AE"),
        ("201", None),
        (None, None),
        ("", None),
    ],
)
def test_countries(number: str | None, country: str | None) -> None:
    assert country_of(number) == country
