"""Subscriptions to notifications (``/api/notification``) and their deliveries (``/api/notification_delivery``).

Additions of this product to the documented API. Rules and statements are those of
:class:`~trunkline.notifications.subscriptions.Subscriptions`, which the command line uses, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trunkline.accounts.permissions import CHANGE_ADMINISTRATION, READ_ADMINISTRATION
from trunkline.apis.call_center.declaration import (
    ACCOUNT_ID,
    ID,
    INT_MAX,
    LIMIT,
    OFFSET,
    TEXT_MAX,
    Arguments,
    Body,
    Field,
    Kind,
    Operation,
    Pages,
    boolean,
    identifier,
    integer,
    json_object,
    other,
    record,
    records,
    text,
)
from trunkline.apis.call_center.record_operations import by_id
from trunkline.apis.service.request_context import RequestContext
from trunkline.apis.service.workloads import Workload
from trunkline.core.clock import to_datetime, to_instant
from trunkline.core.errors import NotFound
from trunkline.notifications import conditions
from trunkline.notifications.catalogue import Mnemonic
from trunkline.notifications.deliveries import replay, replay_many
from trunkline.notifications.subscriptions import (
    METHODS,
    Draft,
    Subscription,
    Subscriptions,
    key_of,
    new_secret,
)

_EVENTS = tuple(one.value for one in Mnemonic)
_STATUSES = ("pending", "delivered", "failed")
_TEMPLATE_MAX = 100_000
_HOURS_MAX = 720
_PAGE_MAX = 1000

_NOTIFICATION_ID = identifier("id", "Number of the subscription.", required=True)
_DELIVERY_ID = identifier("id", "Number of the delivery.", required=True)


def _event_names(value: list[str]) -> list[str]:
    if unknown := [one for one in value if one not in _EVENTS]:
        raise ValueError(f"there is no event {unknown[0]}; there are {', '.join(_EVENTS)}")
    return value


def _header_texts(value: Mapping[str, Any]) -> dict[str, str]:
    if any(not isinstance(one, str) for one in value.values()):
        raise ValueError("the value of a header is a text")
    return dict(value)


NOTIFICATION_FIELDS = (
    ID,
    ACCOUNT_ID,
    text(
        "key",
        "Identifies the subscription in directory files. Default: host and path of the URL.",
        maximum=200,
    ),
    text("name", "The value of notification_name. Default: the key.", maximum=200),
    text("url", "Where to; may have {{name}} in path and query.", required=True, minimum=1, maximum=2000),
    text("method", "HTTP method.", enum=METHODS, default="POST"),
    Field(
        "events",
        Kind.ARRAY,
        "Which events.",
        required=True,
        minimum=1,
        maximum=len(_EVENTS),
        items=Kind.STRING,
        check=_event_names,
    ),
    text("body_template", "Template of the body; null: all variables as JSON.", maximum=_TEMPLATE_MAX),
    json_object("headers", "Further headers, a text each.", maximum=50, check=_header_texts, default={}),
    json_object(
        "conditions",
        "Only calls that meet them: direction, virtual_phone_numbers, contact_phone_numbers, employee_ids, tag_ids,"
        " queue_ids, talk_seconds_min, talk_seconds_max.",
        check=lambda value: conditions.parse(value).as_json(),
        default={},
    ),
    text(
        "secret",
        "Signs deliveries; null: they are not signed.",
        minimum=16,
        maximum=TEXT_MAX,
        write_only=True,
    ),
    boolean(
        "is_active",
        "Whether deliveries are sent. What happens while it is off is not sent later.",
        default=True,
    ),
    boolean("is_signed", "Whether there is a secret.", required=True, read_only=True),
    text(
        "switched_off_reason",
        "Why it was switched off by itself: gone (the receiver answered 410), failing (for 5 days).",
        read_only=True,
    ),
    integer(
        "suspended_until", "Unix time until which nothing is sent to a receiver that fails.", read_only=True
    ),
    integer("created_at", "Unix time.", required=True, read_only=True),
)

_DELIVERY_FIELDS = (
    ID,
    identifier("notification_id", "The subscription; null: of an uploaded call's callback."),
    text("event", required=True),
    text("stream", "What it is about: deliveries of one stream are sent in their order.", required=True),
    integer("seq", "Place in the stream.", required=True, minimum=-INT_MAX),
    text("status", required=True, enum=_STATUSES),
    text("url", "Where to; null: the subscription is deleted.", maximum=_TEMPLATE_MAX),
    text("body", "As it was sent; null: not sent yet.", maximum=None),
    integer("attempts", required=True),
    integer("status_code", "Of the last response."),
    text("error", "Of the last attempt.", maximum=None),
    text("response", "Beginning of the last response.", maximum=None),
    integer("duration_ms", "Of the last attempt."),
    integer("occurred_at", "Unix time of the event.", required=True),
    integer("delivered_at", "Unix time."),
    integer("next_attempt_at", "Unix time; null: none follows."),
)

_PREVIEW_FIELDS = (
    text("event", required=True),
    text("method", required=True),
    text("url", required=True, maximum=None),
    text("content_type", required=True),
    text("body", required=True, maximum=None),
)

_EVENT = text("event", "Default: the first one of the subscription.", enum=_EVENTS)


def _count(name: str, description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "integer", "description": description}},
        "required": [name],
        "additionalProperties": False,
    }


def _subscriptions(request: RequestContext) -> Subscriptions:
    return Subscriptions(request.services.db, request.services.cipher)


def _unix(moment: datetime | None) -> int | None:
    return None if moment is None else int(to_instant(moment))


def _shown(one: Subscription) -> dict[str, Any]:
    return {
        "id": one.subscription_id,
        "account_id": one.account_id,
        "key": one.key,
        "name": one.name,
        "url": one.url,
        "method": one.method,
        "events": one.events,
        "body_template": one.body_template,
        "headers": one.headers,
        "conditions": conditions.parse(one.conditions).as_json(),
        "is_active": one.is_active,
        "is_signed": one.is_signed,
        "switched_off_reason": one.switched_off_reason,
        "suspended_until": _unix(one.suspended_until),
        "created_at": _unix(one.created_at),
    }


async def _read(request: RequestContext, subscription_id: int) -> dict[str, Any]:
    for one in await _subscriptions(request).all(request.account_id):
        if one.subscription_id == subscription_id:
            return _shown(one)
    raise NotFound(f"There is no subscription {subscription_id} in this account.", field="id")


async def _list(request: RequestContext, args: Arguments) -> Pages:
    async def read(*, after: int, limit: int, offset: int) -> list[Mapping[str, Any]]:
        found = [
            _shown(one)
            for one in await _subscriptions(request).all(request.account_id)
            if one.subscription_id > after
        ]
        return [*found[offset : offset + limit]]

    return by_id(args, read)


async def _one(request: RequestContext, args: Arguments) -> Any:
    return await _read(request, args.path["id"])


def _sent(body: Mapping[str, Any]) -> dict[str, Any]:
    """Fields as :class:`Draft` has them; null is their default."""
    values = {**body}
    for name, default in (("headers", {}), ("conditions", {}), ("method", "POST"), ("is_active", True)):
        if name in values and values[name] is None:
            values[name] = default
    if "conditions" in values:
        values["conditions"] = conditions.parse(values["conditions"])
    return values


async def _create(request: RequestContext, args: Arguments) -> Any:
    values = _sent(args.body)
    key = values.pop("key", None) or key_of(values["url"])
    name = values.pop("name", None) or key
    is_active = values.pop("is_active", True)
    made = await _subscriptions(request).create(
        request.account_id,
        Draft(key, name, **values),
        is_active=is_active,
        quota=request.services.settings.limits.account_notifications,
    )
    return await _read(request, made)


async def _change(request: RequestContext, args: Arguments) -> Any:
    values = {name: value for name, value in _sent(args.body).items() if name not in ("key", "name") or value}
    await _subscriptions(request).change(request.account_id, args.path["id"], values)
    return await _read(request, args.path["id"])


async def _delete(request: RequestContext, args: Arguments) -> None:
    await _subscriptions(request).remove(request.account_id, args.path["id"])


async def _rotate(request: RequestContext, args: Arguments) -> Any:
    hours = args.body.get("hours")
    secret = args.body.get("secret") or new_secret()
    await _subscriptions(request).rotate(
        request.account_id, args.path["id"], secret, (24 if hours is None else hours) * 3600.0
    )
    return {"secret": secret}


async def _test(request: RequestContext, args: Arguments) -> Any:
    made = await _subscriptions(request).send_sample(
        request.account_id, args.path["id"], args.body.get("event")
    )
    return {"delivery_id": made}


async def _preview(request: RequestContext, args: Arguments) -> Any:
    return await _subscriptions(request).preview(request.account_id, args.path["id"], args.query.get("event"))


def _delivery(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": row["delivery_id"],
        "notification_id": row["subscription_id"],
        "event": row["mnemonic"],
        "stream": row["stream"],
        "seq": row["seq"],
        "status": row["status"],
        "url": row["url"],
        "body": row["body"],
        "attempts": row["attempts"],
        "status_code": row["status_code"],
        "error": row["error"],
        "response": row["response_excerpt"],
        "duration_ms": row["duration_ms"],
        "occurred_at": _unix(row["occurred_at"]),
        "delivered_at": _unix(row["delivered_at"]),
        "next_attempt_at": _unix(row["next_attempt_at"]) if row["status"] == "pending" else None,
    }


async def _deliveries(request: RequestContext, args: Arguments) -> Pages:
    async def read(last: Mapping[str, Any] | None, size: int) -> list[Mapping[str, Any]]:
        rows = await _subscriptions(request).log(
            request.account_id,
            subscription_id=args.query.get("notification_id"),
            status=args.query.get("status"),
            before=args.query.get("before") if last is None else last["id"],
            limit=size,
        )
        return [_delivery(row) for row in rows]

    return Pages(read, args.query.get("limit") or _PAGE_MAX)


async def _replay(request: RequestContext, args: Arguments) -> Any:
    await replay(request.services.db, request.account_id, args.path["id"])
    return {"queued": 1}


async def _replay_many(request: RequestContext, args: Arguments) -> Any:
    since, until = (
        None if args.body.get(name) is None else to_datetime(args.body[name]) for name in ("since", "until")
    )
    count = await replay_many(
        request.services.db,
        request.account_id,
        subscription_id=args.body["notification_id"],
        mnemonic=args.body.get("event"),
        status=args.body.get("status"),
        since=since,
        until=until,
    )
    return {"queued": count}


_QUEUED = other(_count("queued", "How many deliveries are sent again."))

OPERATIONS = (
    Operation(
        "GET",
        "/api/notification",
        "All subscriptions to notifications, by id.",
        _list,
        READ_ADMINISTRATION,
        query=(LIMIT, OFFSET),
        answer=records(*NOTIFICATION_FIELDS),
    ),
    Operation(
        "POST",
        "/api/notification",
        "Creates a subscription.",
        _create,
        CHANGE_ADMINISTRATION,
        body=Body(NOTIFICATION_FIELDS),
        answer=record(*NOTIFICATION_FIELDS),
        workload=Workload.CHANGE,
    ),
    Operation(
        "GET",
        "/api/notification/{id}",
        "One subscription.",
        _one,
        READ_ADMINISTRATION,
        path_fields=(_NOTIFICATION_ID,),
        answer=record(*NOTIFICATION_FIELDS),
    ),
    Operation(
        "PUT",
        "/api/notification/{id}",
        "Changes a subscription; what is left out stays. Its receiver is tried again at once.",
        _change,
        CHANGE_ADMINISTRATION,
        path_fields=(_NOTIFICATION_ID,),
        body=Body(NOTIFICATION_FIELDS, partial=True),
        answer=record(*NOTIFICATION_FIELDS),
        workload=Workload.CHANGE,
    ),
    Operation(
        "DELETE",
        "/api/notification/{id}",
        "Deletes a subscription with its deliveries.",
        _delete,
        CHANGE_ADMINISTRATION,
        path_fields=(_NOTIFICATION_ID,),
        workload=Workload.UPLOAD,
    ),
    Operation(
        "POST",
        "/api/notification/{id}/rotate",
        "Replaces the signing secret; the former one signs, too, for some hours. The answer has the new one.",
        _rotate,
        CHANGE_ADMINISTRATION,
        path_fields=(_NOTIFICATION_ID,),
        body=Body(
            (
                text("secret", "Default: a random one.", minimum=16, maximum=TEXT_MAX, write_only=True),
                integer("hours", "The former one signs, too.", maximum=_HOURS_MAX, default=24),
            )
        ),
        answer=record(text("secret", required=True)),
        workload=Workload.CHANGE,
    ),
    Operation(
        "POST",
        "/api/notification/{id}/test",
        "Sends a sample as a delivery.",
        _test,
        CHANGE_ADMINISTRATION,
        path_fields=(_NOTIFICATION_ID,),
        body=Body((_EVENT,)),
        answer=other(_count("delivery_id", "Number of the delivery.")),
        workload=Workload.CHANGE,
    ),
    Operation(
        "GET",
        "/api/notification/{id}/preview",
        "The request that a sample would be.",
        _preview,
        READ_ADMINISTRATION,
        path_fields=(_NOTIFICATION_ID,),
        query=(_EVENT,),
        answer=record(*_PREVIEW_FIELDS),
    ),
    Operation(
        "GET",
        "/api/notification_delivery",
        f"Deliveries, newest first, each with its last attempt; {_PAGE_MAX} unless limit says otherwise.",
        _deliveries,
        READ_ADMINISTRATION,
        query=(
            identifier("notification_id", "Only of this subscription."),
            text("status", "Only of this status.", enum=_STATUSES),
            identifier("before", "Only deliveries with smaller ids: the last one of the page before."),
            LIMIT,
        ),
        answer=records(*_DELIVERY_FIELDS),
    ),
    Operation(
        "POST",
        "/api/notification_delivery/{id}/replay",
        "Sends a delivery again, with the present address and template.",
        _replay,
        CHANGE_ADMINISTRATION,
        path_fields=(_DELIVERY_ID,),
        answer=_QUEUED,
        workload=Workload.CHANGE,
    ),
    Operation(
        "POST",
        "/api/notification_delivery/replay",
        "Sends deliveries of a subscription again that are not waiting.",
        _replay_many,
        CHANGE_ADMINISTRATION,
        body=Body(
            (
                identifier("notification_id", "The subscription.", required=True),
                text("event", "Only of this event.", enum=_EVENTS),
                text("status", "Only of this status; default: both.", enum=_STATUSES[1:]),
                integer("since", "Unix time: only of events from then on."),
                integer("until", "Unix time: only of events before then."),
            )
        ),
        answer=_QUEUED,
        workload=Workload.UPLOAD,
    ),
)
