"""Queues (``/api/cc_queue``) and the agents in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from trunkline.apis.call_center.declaration import (
    ACCOUNT_ID,
    ID,
    Answer,
    Arguments,
    Body,
    Data,
    Field,
    Operation,
    boolean,
    identifier,
    ids,
    integer,
    json_value,
    other,
    seconds,
    text,
)
from trunkline.apis.call_center.openapi import record_schema
from trunkline.apis.call_center.record_operations import Handlers, by_id, record_operations
from trunkline.apis.call_center.rights import user_of
from trunkline.apis.call_center.tier_items import SHOWN_SCHEMA, shown_tier, tier_rows
from trunkline.apis.service.request_context import RequestContext
from trunkline.apis.service.workloads import Workload
from trunkline.core.errors import PermissionDenied
from trunkline.directory.queues import changes, listing, rules
from trunkline.directory.users.listing import read_user

_MODULE = "queues"


def _structure(value: Any) -> Any:
    if len(orjson.dumps(value)) > rules.MAX_STRUCTURE_BYTES:
        raise ValueError(f"send at most {rules.MAX_STRUCTURE_BYTES} bytes of JSON")
    return value


def _time_base(value: str) -> str:
    return value or "queue"


def _usual(name: str) -> Any:
    return rules.DEFAULTS[name]


def _seconds(name: str, description: str) -> Field:
    return seconds(name, description, default=_usual(name))


def _flag(name: str, description: str) -> Field:
    return boolean(name, description, default=_usual(name))


_NAME = text("name", "Name, unique in the account.", required=True, minimum=1, check=rules.queue_name)
_STRATEGY = text("strategy", "In which order agents are called.", required=True, enum=rules.STRATEGIES)
_TIME_BASE = text(
    "time_base_score",
    "Since when waiting counts: since the queue was entered, or since the call was answered (system).",
    required=True,
    enum=(*rules.TIME_BASES, ""),
    check=_time_base,
)

QUEUE_FIELDS = (
    ID,
    ACCOUNT_ID,
    identifier("site_id", "Always null.", read_only=True),
    _NAME,
    text("tv_name", "Short name for displays."),
    _STRATEGY,
    integer("record", "Recording of calls of the queue.", default=_usual("record")),
    _TIME_BASE,
    _seconds("max_wait_time", "Longest time in the queue; 0: no limit."),
    _seconds("max_wait_time_with_no_agent", "Longest time without an agent who is present; 0: no limit."),
    _seconds("max_wait_time_with_no_agent_time_reached", "In addition, for callers who come later."),
    _flag("tier_rules_apply", "Whether higher levels are opened later."),
    _seconds("tier_rule_wait_second", "Time until the next level is opened."),
    _flag("tier_rule_no_agent_no_wait", "Whether a level without a present agent is passed over at once."),
    _seconds("discard_abandoned_after", "For how long the place of a caller who hung up is kept."),
    _flag("abandoned_resume_allowed", "Whether a caller who calls again gets the place back."),
    _flag("tier_rule_wait_multiply_level", "Whether the time is multiplied by the level."),
    identifier("announce_id", "Media file of the periodic announcement."),
    _seconds("announce_frequency", "Time between two periodic announcements; 0: none."),
    _flag("announce_position", "Whether callers hear their position."),
    _flag("announce_wait", "Whether callers hear the expected wait."),
    identifier("moh_id", "Media file that callers hear while they wait."),
    integer("sla_strategy", "Formula of the service level.", maximum=1, default=_usual("sla_strategy")),
    _seconds("sla_answer_time", "Time of the service level."),
    _flag("auto_answer", "Whether devices of agents answer by themselves."),
    identifier("pre_bridge_announce", "Media file before the connection."),
    identifier("join_announce", "Media file when a caller joins."),
    json_value("exits", "Destinations of callers who leave, by key or reason.", check=_structure),
    seconds("ring_timeout", "How long a device rings; null: the time of the agent."),
    text("background_color", "For displays."),
    text("font_color", "For displays."),
    ids("labels", "Ids of labels.", default=_usual("labels"), maximum=rules.MAX_LABELS),
    integer("avg_wait_range", "Range of the average waiting time."),
    json_value("audio_playback", "Kept as it was sent.", check=_structure),
    _flag("music_advanced", "Kept as it was sent."),
    text(
        "agent_no_answer_status",
        "Status of an agent who did not answer max_no_answer calls.",
        enum=rules.STATUSES,
        default=_usual("agent_no_answer_status"),
    ),
    _flag("skip_agents_with_external_calls", "Whether agents in other calls are passed over."),
    ids("user_ids", "Agents of the queue.", required=True, read_only=True),
    text("extensions", "Extensions of the queue, with commas.", required=True, read_only=True),
    tier_rows("users", "user", write_only=True),
)

_QUEUE_ID = identifier("id", "Number of the queue.", required=True)
_USER_ID = identifier("id", "Number of the user.", required=True)
_COLUMNS = tuple(
    one.name for one in QUEUE_FIELDS if not one.read_only and one.name not in ("users", "id", "account_id")
)


def shown_queue(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the listing by the names of the API."""
    return {**row, "site_id": None, "extensions": row["extension"] or ""}


async def _queues(request: RequestContext, args: Arguments) -> Any:
    query = args.query
    if all(query.get(one.name) for one in (_NAME, _STRATEGY)) and "time_base_score" in query:
        return await _named(request, query)

    async def read(**more: Any) -> list[Mapping[str, Any]]:
        rows = await listing.read_queues(
            request.services.db,
            request.account_id,
            words=query.get("q") or None,
            name=query.get("name"),
            strategy=query.get("strategy"),
            **more,
        )
        return [shown_queue(row) for row in rows]

    return by_id(args, read)


async def _named(request: RequestContext, query: Mapping[str, Any]) -> dict[str, Any]:
    """The queue of a name, which is created if there is none: the request of the document's example."""
    db, account_id = request.services.db, request.account_id
    found = await listing.read_queues(db, account_id, name=query["name"], limit=1)
    if found:
        return shown_queue(found[0])
    if not request.caller.may(_MODULE, "insert"):
        raise PermissionDenied(
            f"There is no queue {query['name']}, and the user of the key may not create it: trunkline user permit"
            f" --user {request.caller.login} {_MODULE} insert --account {account_id}"
        )
    values = {one.name: query[one.name] for one in (_NAME, _STRATEGY, _TIME_BASE)}
    return await _read(request, await changes.create_queue(db, account_id, values))


async def _queue(request: RequestContext, args: Arguments) -> Any:
    return await _read(request, args.path["id"])


async def _read(request: RequestContext, queue_id: int) -> dict[str, Any]:
    return shown_queue(await listing.read_queue(request.services.db, request.account_id, queue_id))


async def _create(request: RequestContext, args: Arguments) -> Any:
    values = {name: args.body[name] for name in _COLUMNS if name in args.body}
    tiers = [one.of_user() for one in args.body.get("users") or []]
    queue_id = await changes.create_queue(request.services.db, request.account_id, values, tiers)
    return await _read(request, queue_id)


async def _update(request: RequestContext, args: Arguments) -> Any:
    queue_id = args.path["id"]
    await _read(request, queue_id)  # its own error
    values = {name: args.body[name] for name in _COLUMNS if name in args.body}
    tiers = [one.of_user() for one in args.body["users"] or []] if "users" in args.body else None
    await changes.update_queue(request.services.db, request.account_id, queue_id, values, tiers)
    return await _read(request, queue_id)


async def _delete(request: RequestContext, args: Arguments) -> None:
    await _read(request, args.path["id"])
    await changes.delete_queue(request.services.db, request.account_id, args.path["id"])


async def _agents(request: RequestContext, args: Arguments) -> list[list[Any]]:
    await _read(request, args.path["id"])
    rows = await listing.read_tiers(request.services.db, request.account_id, queue_id=args.path["id"])
    return [shown_tier(row, "user") for row in rows]


async def _add_agents(request: RequestContext, args: Arguments) -> Any:
    queue_id = args.path["id"]
    await _read(request, queue_id)
    tiers = [replace(one.of_user(), queue_id=queue_id) for one in args.body["users"]]
    await changes.add_tiers(request.services.db, request.account_id, tiers)
    return await _agents(request, args)


async def _replace_agents(request: RequestContext, args: Arguments) -> Any:
    queue_id = args.path["id"]
    await _read(request, queue_id)
    tiers = [one.of_user() for one in args.body["users"]]
    await changes.update_queue(request.services.db, request.account_id, queue_id, {}, tiers)
    return await _agents(request, args)


async def _remove_agents(request: RequestContext, args: Arguments) -> None:
    queue_id = args.path["id"]
    await _read(request, queue_id)
    await changes.remove_tiers(
        request.services.db, request.account_id, queue_ids=[queue_id], employee_ids=args.body
    )


async def _queues_of(request: RequestContext, args: Arguments) -> list[list[Any]]:
    employee_id = args.path["id"]
    await read_user(request.services.db, request.account_id, employee_id)
    rows = await listing.read_tiers(request.services.db, request.account_id, employee_id=employee_id)
    return [shown_tier(row, "queue") for row in rows]


async def _add_queues(request: RequestContext, args: Arguments) -> Any:
    await read_user(request.services.db, request.account_id, args.path["id"])
    tiers = [replace(one.of_queue(), employee_id=args.path["id"]) for one in args.body["queues"]]
    await changes.add_tiers(request.services.db, request.account_id, tiers)
    return await _queues_of(request, args)


async def _replace_queues(request: RequestContext, args: Arguments) -> Any:
    await read_user(request.services.db, request.account_id, args.path["id"])
    tiers = [replace(one.of_queue(), employee_id=args.path["id"]) for one in args.body["queues"]]
    await changes.replace_queues_of(request.services.db, request.account_id, args.path["id"], tiers)
    return await _queues_of(request, args)


async def _remove_queues(request: RequestContext, args: Arguments) -> None:
    await read_user(request.services.db, request.account_id, args.path["id"])
    await changes.remove_tiers(
        request.services.db, request.account_id, queue_ids=args.body, employee_ids=[args.path["id"]]
    )


async def _set_queues(request: RequestContext, args: Arguments) -> Any:
    """The user is in exactly these queues; the answer is the queue, or an array of several."""
    employee_id = user_of(request, args.query.get("user_id"), (_MODULE, "update"))
    db, account_id = request.services.db, request.account_id
    await read_user(db, account_id, employee_id)
    queue_ids = list(dict.fromkeys(args.query["queue_ids"] or []))
    await changes.join_exactly(db, account_id, employee_id, queue_ids)
    found = []
    for queue_id in queue_ids:
        users = await listing.read_tiers(db, account_id, queue_id=queue_id)
        queue = await _read(request, queue_id)
        found.append({**_shown(queue), "users": [shown_tier(row, "user") for row in users]})
    return found[0] if len(found) == 1 else found


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {one.name: row[one.name] for one in QUEUE_FIELDS if not one.write_only}


_JOINED = record_schema(one for one in QUEUE_FIELDS if not one.write_only)
_JOINED["properties"]["users"] = SHOWN_SCHEMA
_JOINED["required"].append("users")

_USERS_BODY = Body((tier_rows("users", "user", required=True),))
_QUEUES_BODY = Body((tier_rows("queues", "queue", required=True),))
_IDS = ids("ids", "Numbers of users.", required=True)
_QUEUE_IDS = ids("ids", "Numbers of queues.", required=True)


def _tier_operations(
    path: str, path_field: Field, body: Body, listed: Field, handlers: Any
) -> tuple[Operation, ...]:
    read, add, put, remove = handlers
    agents = path.endswith("users")
    whose = "agents of a queue" if agents else "queues of a user"
    return (
        Operation(
            "GET", path, f"The {whose}.", read, (_MODULE, "select"), path_fields=(path_field,),
            answer=other(SHOWN_SCHEMA),
        ),
        Operation(
            "POST", path, f"Adds {whose}; who is there gets another place.", add, (_MODULE, "update"),
            path_fields=(path_field,), body=body, answer=other(SHOWN_SCHEMA), workload=Workload.CHANGE,
        ),
        Operation(
            "PUT", path, f"Replaces the {whose}.", put, (_MODULE, "update"), path_fields=(path_field,), body=body,
            answer=other(SHOWN_SCHEMA), workload=Workload.CHANGE,
        ),
        Operation(
            "DELETE", path, f"Removes {whose}; others are ignored.", remove, (_MODULE, "update"),
            path_fields=(path_field,), body=Body(items=listed), workload=Workload.CHANGE,
        ),
    )  # fmt: skip


def _listing_field(field: Field) -> Field:
    return replace(field, required=False)


OPERATIONS = (
    *record_operations(
        "/api/cc_queue",
        "queue",
        QUEUE_FIELDS,
        _MODULE,
        Handlers(_queues, _create, _queue, _update, _delete),
        query=(
            text("q", "Part of the name."),
            _listing_field(_NAME),
            _listing_field(_STRATEGY),
            _listing_field(_TIME_BASE),
        ),
        listed=" With name, strategy and time_base_score: the queue of that name, which is created if there is none.",
        list_answer=Answer(Data.RECORDS, QUEUE_FIELDS, is_record_possible=True),
    ),
    *_tier_operations(
        "/api/cc_queue/{id}/users",
        _QUEUE_ID,
        _USERS_BODY,
        _IDS,
        (_agents, _add_agents, _replace_agents, _remove_agents),
    ),
    *_tier_operations(
        "/api/user/{id}/queues",
        _USER_ID,
        _QUEUES_BODY,
        _QUEUE_IDS,
        (_queues_of, _add_queues, _replace_queues, _remove_queues),
    ),
    *(
        Operation(
            "GET",
            path,
            "The user is in exactly these queues. The answer is the queue; of several an array.",
            _set_queues,
            query=(
                ids("queue_ids", "Numbers of queues.", required=True, maximum=200),
                identifier("user_id", "Number of the user; without it that of the key."),
            ),
            answer=other({"oneOf": [_JOINED, {"type": "array", "items": _JOINED}]}),
            workload=Workload.CHANGE,
        )
        for path in ("/api/cc_agent/setQueues", "/api/setQueues")  # one example has the short path
    ),
)
