"""The state of agents and queues at this moment, as the API and the command line show it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

import pytest
from click.testing import CliRunner

from tests.apis.call_center.rest import Rest
from trunkline.calls.switch.queue_commands import AgentView, LiveQueuesView, Phones
from trunkline.cli import queues as cli_queues
from trunkline.cli.main import commands
from trunkline.core.call_uuids import uuid_of
from trunkline.queues.overview import Activity
from trunkline.queues.service_level import ServiceCounts
from trunkline.queues.states import AgentState, AgentStatus

QUEUE, CALL, TALK = 22001, 7001, 7002
NOW = 1_790_000_000.0
COUNTS = ServiceCounts(answered=4, answered_in_time=3, abandoned=1, flowed_out=2, answered_wait=10.0)


def view(agent_id: int, **more: Any) -> AgentView:
    usual: dict[str, Any] = {
        "status": AgentStatus.AVAILABLE,
        "status_reason": None,
        "status_changed_at": NOW - 100,
        "state": AgentState.WAITING,
        "wrap_up_until": None,
        "ready_time": None,
        "talk_time": 12.7,
        "calls_answered": 3,
        "no_answer_count": 0,
        "queue_ids": (QUEUE,),
        "name": f"Agent {agent_id}",
        "activity": Activity.AVAILABLE,
        "since": NOW - 30.5,
        "phones": Phones.FREE,
    }
    return AgentView(agent_id, **{**usual, **more})


AGENTS = [
    view(11),
    view(12, activity=Activity.TALKING, state=AgentState.IN_CALL, queue_id=QUEUE, call_session_id=TALK),
    view(
        13, status=AgentStatus.ON_BREAK, activity=Activity.ON_BREAK, reason="max_no_answer", no_answer_count=2
    ),
    view(14, status=AgentStatus.ON_BREAK, activity=Activity.ON_BREAK, reason="5"),
    view(
        15, status=AgentStatus.LOGGED_OUT, activity=Activity.LOGGED_OUT, since=None, phones=Phones.UNREACHABLE
    ),
    view(16, activity=Activity.WRAP_UP, until=NOW + 9.9),
    view(17, activity=Activity.DELAY, until=NOW + 5, reason="busy", queue_ids=()),
    view(18, phones=Phones.UNREACHABLE),
]
QUEUES = [
    {
        "queue_id": QUEUE,
        "name": "Support",
        "waiting": 1,
        "longest_wait": 42,
        "talking": 1,
        "callbacks": 0,
        "agents": {"Waiting": 3, "In a queue call": 1},
        "on_break": 2,
        "service": {
            "since": 1_789_948_800, "answer_time": 20, "formula": "answered_in_time / (offered - abandoned_short)",
            "level": 0.6, "offered": 5, "average_wait": 2.5, **asdict(COUNTS),
        },
        "callers": [
            {
                "caller_id": 100, "call_session_id": CALL, "number": "12025550111", "position": 1, "state": "Waiting",
                "score": 42, "waited": 42,
            }
        ],
    }
]  # fmt: skip


def as_json() -> dict[str, Any]:
    return {"agents": [asdict(one) for one in AGENTS], "queues": QUEUES}


@pytest.fixture
def live(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> Rest:
    rest.switch.answers |= {"list_queues_live": as_json(), "list_agents": {"agents": as_json()["agents"]}}
    monkeypatch.setattr(time, "time", lambda: NOW)
    return rest


async def test_why_each_agent_gets_calls_or_not(live: Rest) -> None:
    found = {one["user_id"]: one for one in await live.get("/api/cc_agent/live")}
    assert list(found) == [11, 12, 13, 14, 15, 16, 17, 18]
    assert found[11] == {
        "user_id": 11, "name": "Agent 11", "status": "Available", "activity": "available", "since": int(NOW - 31),
        "seconds": 30, "until": None, "reason": None, "pause_id": None, "phones": "free", "queue_id": None,
        "uuid": None, "queue_ids": [QUEUE], "calls_answered": 3, "talk_time": 12, "no_answer_count": 0,
    }  # fmt: skip
    assert (found[12]["activity"], found[12]["queue_id"], found[12]["uuid"]) == (
        "talking",
        QUEUE,
        uuid_of(TALK),
    )
    assert (found[13]["reason"], found[13]["pause_id"]) == ("max_no_answer", None)
    assert (found[14]["reason"], found[14]["pause_id"]) == ("pause", 5)
    assert (found[15]["since"], found[15]["seconds"], found[15]["phones"]) == (None, None, "unreachable")
    assert found[16]["until"] == NOW + 9
    assert (found[17]["activity"], found[17]["reason"]) == ("delay", "busy")


async def test_filters_of_agents(live: Rest) -> None:
    assert [one["user_id"] for one in await live.get("/api/cc_agent/live?user_id=13")] == [13]
    assert 17 not in [one["user_id"] for one in await live.get(f"/api/cc_agent/live?queue_id={QUEUE}")]
    assert await live.get("/api/cc_agent/live?queue_id=5") == []


async def test_a_queue_with_its_callers_agents_and_counts(live: Rest) -> None:
    [found] = await live.get("/api/cc_queue/live")
    assert {name: value for name, value in found.items() if name not in ("agents", "callers", "today")} == {
        "id": QUEUE, "name": "Support", "waiting": 1, "longest_wait": 42, "talking": 1, "present_agents": 6,
        "available_agents": 1, "on_break": 2,
    }  # fmt: skip
    assert found["callers"] == [
        {
            "position": 1,
            "uuid": uuid_of(CALL),
            "cid_num": "12025550111",
            "state": "Waiting",
            "waited": 42,
            "score": 42,
        }
    ]
    assert [one["user_id"] for one in found["agents"]] == [11, 12, 13, 14, 15, 16, 18]
    today = found["today"]
    assert (today["level"], today["offered"], today["average_wait"], today["answered"]) == (0.6, 5, 2.5, 4)
    assert "answered_wait" not in today
    assert await live.get("/api/cc_queue/live?queue_id=5") == []


async def test_permissions(live: Rest) -> None:
    user = await live.post(
        "/api/user",
        {"name": "Ann Reed", "username": "ann", "password": "Correct horse 1", "email": "ann@example.com"},
    )
    session = await live.post("/api/user/login", {"username": "ann", "password": "Correct horse 1"}, key=None)
    key = session["api_key"]
    for path in ("/api/cc_agent/live", "/api/cc_queue/live", "/api/cc_agent/live?user_id=13"):
        assert (await live.ask("GET", path, key=key)).status == 403
    own = await live.ask("GET", f"/api/cc_agent/live?user_id={user['id']}", key=key)
    assert (own.status, own.data) == (200, [])


def printed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    found = LiveQueuesView(AGENTS, QUEUES)
    monkeypatch.setattr(cli_queues, "_live", lambda _account: (found, {5: "Lunch"}))
    monkeypatch.setattr(time, "time", lambda: NOW)
    result = CliRunner().invoke(commands, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = printed(monkeypatch, "queue", "list")
    assert listed.splitlines()[1].split() == [
        str(QUEUE), "Support", "1", "42", "1", "6", "1", "2", "4", "1", "60.0", "%",
    ]  # fmt: skip
    shown = printed(monkeypatch, "queue", "show", "Support")
    assert "12025550111" in shown
    assert "60.0 % within 20 s (answered_in_time / (offered - abandoned_short))" in shown
    agents = printed(monkeypatch, "agent", "list").splitlines()
    assert "max_no_answer" in agents[3]
    assert "Lunch" in agents[4]
    assert json.loads(printed(monkeypatch, "queue", "list", "--json"))[0]["id"] == QUEUE
    assert json.loads(printed(monkeypatch, "queue", "show", str(QUEUE), "--json"))["waiting"] == 1
    assert json.loads(printed(monkeypatch, "agent", "list", "--json"))[2]["reason"] == "max_no_answer"
