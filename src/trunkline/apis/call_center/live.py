"""Agents and queues at this moment: additions of this product to the documented API.

The switch has the figures; one request to it gives agents and queues of the same moment.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from trunkline.apis.call_center.declaration import (
    Arguments,
    Field,
    Kind,
    Operation,
    identifier,
    integer,
    other,
    records,
    text,
)
from trunkline.apis.call_center.openapi import record_schema
from trunkline.apis.call_center.rights import check_permission
from trunkline.apis.service.request_context import RequestContext
from trunkline.apis.service.workloads import Workload
from trunkline.calls.switch.queue_commands import AgentCommands, AgentView, LiveQueuesView, Phones
from trunkline.core.call_uuids import uuid_of
from trunkline.queues.agents import MAX_NO_ANSWER
from trunkline.queues.overview import Activity
from trunkline.queues.service_level import STRATEGIES, ServiceCounts
from trunkline.queues.states import AgentStatus, CallerState

PAUSE = "pause"
"""Reason of a break that was set; ``pause_id`` has which one."""

AGENT_FIELDS = (
    identifier("user_id", "The agent.", required=True),
    text("name", "Full name.", required=True),
    text(
        "status",
        "As the agent or an administrator has set it.",
        required=True,
        enum=tuple(one.value for one in AgentStatus),
    ),
    text("activity", "What the agent is doing.", required=True, enum=tuple(one.value for one in Activity)),
    integer("since", "Unix time at which the activity began."),
    integer("seconds", "How long it has lasted."),
    integer("until", "Unix time at which it ends by itself: of wrap_up and delay."),
    text(
        "reason",
        "Of a break or log-out: pause, or max_no_answer (too many calls in a row were not answered). Of a delay: how"
        " the last call to the agent ended.",
    ),
    identifier("pause_id", "Status of the employee during a break that was set."),
    text(
        "phones",
        "Whether the phones of the agent can be called now.",
        enum=tuple(one.value for one in Phones),
    ),
    identifier("queue_id", "Queue of the present call."),
    text("uuid", "The present call."),
    Field("queue_ids", Kind.ARRAY, "Queues of the agent.", required=True, items=Kind.INTEGER),
    integer("calls_answered", "Calls of queues since the agent checked in.", required=True),
    integer("talk_time", "Seconds in calls of queues since then.", required=True),
    integer("no_answer_count", "Calls in a row that were not answered.", required=True),
)

_CALLER_FIELDS = (
    integer("position", "1 is served first.", required=True, minimum=1),
    text("uuid", "The call.", required=True),
    text("cid_num", "Number of the caller; empty: withheld.", required=True),
    text("state", "Trying: an agent is being called.", required=True, enum=("Waiting", "Trying")),
    integer("waited", "Seconds since it joined.", required=True),
    integer("score", "By which callers of all queues are ordered.", required=True, minimum=-(2**31)),
)

_COUNTS = tuple(one.name for one in fields(ServiceCounts) if one.name != "answered_wait")

_LEVEL: Mapping[str, Any] = {"type": ["number", "null"], "minimum": 0, "maximum": 1}

_COUNTED = record_schema(
    (
        integer("since", "Unix time of midnight in the time zone of the account.", required=True),
        integer("answer_time", "sla_answer_time of the queue.", required=True),
        text(
            "formula",
            "How level is worked out.",
            required=True,
            enum=tuple(one.value for one in STRATEGIES.values()),
        ),
        integer("offered", "answered and abandoned", required=True),
        *(integer(name, required=True) for name in _COUNTS),
    )
)
_COUNTED["properties"] |= {"level": _LEVEL, "average_wait": {"type": ["number", "null"], "minimum": 0}}
_COUNTED["required"] += ["level", "average_wait"]

_QUEUE_FIELDS = (
    identifier("id", "Number of the queue.", required=True),
    text("name", "Name.", required=True),
    integer("waiting", "Callers who wait.", required=True),
    integer("longest_wait", "Seconds of the caller who joined first; null: nobody waits."),
    integer("talking", "Callers who talk with an agent.", required=True),
    integer("present_agents", "Agents of the queue who are not logged out.", required=True),
    integer("available_agents", "Of these: who would get a call now.", required=True),
    integer("on_break", "Of these: who are on a break.", required=True),
)


def _array(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


_QUEUE = record_schema(_QUEUE_FIELDS)
_QUEUE["properties"] |= {
    "callers": _array(record_schema(_CALLER_FIELDS)),
    "agents": _array(record_schema(AGENT_FIELDS)),
    "today": _COUNTED,
}
_QUEUE["required"] += ["callers", "agents", "today"]


def shown_agent(view: AgentView, now: float) -> dict[str, Any]:
    """An agent by the names of the API.

    :param now: Unix time.
    """
    is_absent = view.activity in (Activity.ON_BREAK, Activity.LOGGED_OUT)
    is_pause = is_absent and view.reason is not None and view.reason != MAX_NO_ANSWER
    pause = view.reason if is_pause else None
    return {
        "user_id": view.agent_id,
        "name": view.name,
        "status": view.status.value,
        "activity": view.activity.value,
        "since": None if view.since is None else int(view.since),
        "seconds": None if view.since is None else max(0, int(now - view.since)),
        "until": None if view.until is None else int(view.until),
        "reason": PAUSE if is_pause else view.reason,
        "pause_id": int(pause) if pause is not None and pause.isdecimal() else None,
        "phones": None if view.phones is None else view.phones.value,
        "queue_id": view.queue_id,
        "uuid": None if view.call_session_id is None else uuid_of(view.call_session_id),
        "queue_ids": list(view.queue_ids),
        "calls_answered": view.calls_answered,
        "talk_time": int(view.talk_time),
        "no_answer_count": view.no_answer_count,
    }


def shown_queues(found: LiveQueuesView, now: float) -> list[dict[str, Any]]:
    """The queues by the names of the API, each with its callers and agents."""
    return [_shown_queue(one, found.agents, now) for one in found.queues]


def _shown_queue(queue: Mapping[str, Any], agents: Sequence[AgentView], now: float) -> dict[str, Any]:
    own = [one for one in agents if queue["queue_id"] in one.queue_ids]
    return {
        "id": queue["queue_id"],
        "name": queue["name"],
        "waiting": queue["waiting"],
        "longest_wait": queue["longest_wait"],
        "talking": queue["talking"],
        "present_agents": sum(one.status.is_present for one in own),
        "available_agents": sum(is_free(one) for one in own),
        "on_break": queue["on_break"],
        "callers": [_shown_caller(one) for one in queue["callers"]],
        "agents": [shown_agent(one, now) for one in own],
        "today": {name: value for name, value in queue["service"].items() if name != "answered_wait"},
    }


def is_free(agent: AgentView) -> bool:
    """Whether an agent would get a call now."""
    return agent.activity is Activity.AVAILABLE and agent.phones in (Phones.FREE, None)


def _shown_caller(caller: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "position": caller["position"],
        "uuid": uuid_of(caller["call_session_id"]),
        "cid_num": caller["number"],
        "state": CallerState(caller["state"]).value,
        "waited": caller["waited"],
        "score": caller["score"],
    }


async def _agents(request: RequestContext, args: Arguments) -> list[dict[str, Any]]:
    user_id, queue_id = args.query.get("user_id"), args.query.get("queue_id")
    if user_id is None or user_id != request.caller.employee_id:
        check_permission(request, ("agents", "select"), "may see its own state only, with its user_id")
    views = await AgentCommands(request.services.switch).agents(request.account_id)
    now = time.time()
    return [
        shown_agent(one, now)
        for one in views
        if user_id in (None, one.agent_id) and (queue_id is None or queue_id in one.queue_ids)
    ]


async def _queues(request: RequestContext, args: Arguments) -> list[dict[str, Any]]:
    queue_id = args.query.get("queue_id")
    found = await AgentCommands(request.services.switch).live(request.account_id)
    wanted = LiveQueuesView(
        found.agents, [one for one in found.queues if queue_id in (None, one["queue_id"])]
    )
    return shown_queues(wanted, time.time())


OPERATIONS = (
    Operation(
        "GET",
        "/api/cc_agent/live",
        "What each agent is doing, since when and why.",
        _agents,
        query=(
            identifier("user_id", "Only this agent."),
            identifier("queue_id", "Only agents of this queue."),
        ),
        answer=records(*AGENT_FIELDS),
        workload=Workload.COMMAND,
    ),
    Operation(
        "GET",
        "/api/cc_queue/live",
        "The queues with their waiting callers, agents and the counts of today.",
        _queues,
        ("queues", "select"),
        query=(identifier("queue_id", "Only this queue."),),
        answer=other(_array(_QUEUE)),
        workload=Workload.COMMAND,
    ),
)
