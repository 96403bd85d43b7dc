"""Handles events and makes a delivery for each subscription to the event, in the event's own
transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg import AsyncConnection

from trunkline.core.clock import to_datetime
from trunkline.core.errors import InvalidInput
from trunkline.core.log import get_logger
from trunkline.events import store
from trunkline.events.catalogue import Event, call_stream
from trunkline.notifications import call_center, catalogue, conditions
from trunkline.notifications.catalogue import Background, Links
from trunkline.notifications.deliveries import make
from trunkline.notifications.facts import CallFacts, aggregate

_log = get_logger("notifications")

LinksOf = Callable[[int, str, str], Links]
"""``(call_session_id, recording_id, kind)``: where that recording can be fetched."""

_ACTIVE_SUBSCRIPTIONS = """
select account_id, subscription_id, name, events, conditions from subscriptions
where account_id = any(%s) and is_active order by subscription_id
"""

_ACCOUNTS = "select account_id, name, open_recording_links from accounts where account_id = any(%s)"

_CALLS = """
select call.call_session_id, call.communication_number, call.attributes, call.extra, call.region_name,
    array(select member.contact_group_id from contact_group_members member
        where member.account_id = call.account_id and member.contact_id = call.contact_id
        order by member.contact_group_id) as contact_group_ids
from unnest(%s::bigint[], %s::bigint[]) as wanted(account_id, call_session_id)
    join call_sessions call using (account_id, call_session_id)
"""


class NotificationListener:
    """A listener of the relay.

    :param links: makes addresses of recordings.
    """

    name = "notifications"

    def __init__(self, links: LinksOf) -> None:
        self._links = links

    async def on_events(self, conn: AsyncConnection[Any], events: Sequence[Event]) -> None:
        """See :class:`trunkline.events.relay.Listener`."""
        subscriptions = await _subscriptions(conn, {event.account_id for event in events})
        wanted = [event for event in events if _is_wanted(event, subscriptions[event.account_id])]
        if not wanted:
            return
        event_logs = await _event_logs(conn, wanted)
        backgrounds = await self._backgrounds(conn, wanted)
        rows: list[dict[str, Any]] = []
        for event, background in zip(wanted, backgrounds, strict=True):
            call = call_center.call_of(event)
            facts = _facts(event, event_logs.get(call_stream(call), []) if call is not None else [])
            rows += _deliveries(event, facts, background, subscriptions[event.account_id])
        rows += await _center_deliveries(conn, wanted, event_logs, subscriptions)
        if rows:
            await make(conn, rows)

    async def _backgrounds(self, conn: AsyncConnection[Any], events: Sequence[Event]) -> list[Background]:
        """What the events do not carry, one for each event."""
        cursor = await conn.execute(_ACCOUNTS, (list({event.account_id for event in events}),))
        accounts = {row["account_id"]: row for row in await cursor.fetchall()}
        calls = list({(e.account_id, e.call_session_id) for e in events if e.call_session_id is not None})
        cursor = await conn.execute(_CALLS, ([call[0] for call in calls], [call[1] for call in calls]))
        sessions = {row["call_session_id"]: row for row in await cursor.fetchall()}
        return [
            self._background(event, accounts[event.account_id], sessions.get(event.call_session_id, {}))
            for event in events
        ]

    def _background(self, event: Event, account: Mapping[str, Any], call: Mapping[str, Any]) -> Background:
        recording_id, session = event.data.get("recording_id"), event.call_session_id
        links = None
        if session is not None and isinstance(recording_id, str):
            links = self._links(session, recording_id, str(event.data.get("kind")))
        return Background(
            account_name=account["name"],
            communication_number=call.get("communication_number"),
            attributes=tuple(call.get("attributes") or ()),
            links=links,
            open_links=account["open_recording_links"],
            contact_group_ids=tuple(call.get("contact_group_ids") or ()),
            visit={**(call.get("extra") or {}), "cpn_region_name": call.get("region_name")},
        )


_DEVICE = """
select line.sip_line_id, line.phone_number
from employee_devices device join sip_lines line using (account_id, sip_line_id)
where device.account_id = %s and device.employee_id = %s
order by not device.is_checked_in, device.position, device.phone_id limit 1
"""

_LEAD = "select name from leads where account_id = %s and phone = %s and lead_id = %s limit 1"

_ByAccount = Mapping[int, list[dict[str, Any]]]


async def _subscriptions(conn: AsyncConnection[Any], accounts: set[int]) -> _ByAccount:
    cursor = await conn.execute(_ACTIVE_SUBSCRIPTIONS, (list(accounts),))
    found: dict[int, list[dict[str, Any]]] = {account_id: [] for account_id in accounts}
    for row in await cursor.fetchall():
        try:
            wanted = conditions.parse(row["conditions"])
        except InvalidInput as error:
            _log.error(
                "subscription_not_readable",
                account_id=row["account_id"],
                subscription_id=row["subscription_id"],
                error=str(error),
                consequence="this subscription gets no notifications; all others do",
                remedy="remove it with trunkline notification remove ID and add it again, or run trunkline apply",
            )
            continue
        found[row["account_id"]].append({**row, "conditions": wanted})
    return found


def _is_wanted(event: Event, subscriptions: list[dict[str, Any]]) -> bool:
    """Whether a notification that may follow from this event has been chosen by anybody."""
    possible = {mnemonic.value for mnemonic in catalogue.possible(event.type)}
    return any(not possible.isdisjoint(subscription["events"]) for subscription in subscriptions)


async def _event_logs(conn: AsyncConnection[Any], events: Sequence[Event]) -> dict[str, list[Event]]:
    """The event logs of the events' calls, by stream."""
    calls = {(e.account_id, call) for e in events if (call := call_center.call_of(e)) is not None}
    return await store.events_of_calls(conn, calls)


def _facts(event: Event, event_log: list[Event]) -> CallFacts:
    """The call's event log up to this event, without later events."""
    if event.call_session_id is None:
        return aggregate(one for one in event_log if one.at <= event.at)
    return aggregate([*(one for one in event_log if one.seq < event.seq), event])


async def _center_deliveries(
    conn: AsyncConnection[Any],
    events: Sequence[Event],
    event_logs: Mapping[str, list[Event]],
    subscriptions: _ByAccount,
) -> list[dict[str, Any]]:
    """The delivery rows of events of the Call Center API."""
    rows: list[dict[str, Any]] = []
    for event in events:
        if event.type not in call_center.TYPES:
            continue
        wanting = [
            one for one in subscriptions[event.account_id] if not call_center.NAMES.isdisjoint(one["events"])
        ]
        if not wanting:
            continue
        call = call_center.call_of(event)
        facts = _facts(event, event_logs.get(call_stream(call), []) if call is not None else [])
        background = await center_background(conn, event, facts)
        for name in call_center.follow(event, facts):
            data = call_center.data_of(event, name, facts, background)
            rows += [
                {
                    "account_id": event.account_id,
                    "subscription_id": one["subscription_id"],
                    "stream": call_center.stream_of(event),
                    "seq": event.seq,
                    "mnemonic": name.value,
                    "occurred_at": to_datetime(event.at),
                    "variables": catalogue.named(data, one["name"], name.value),
                }
                for one in wanting
                if name.value in one["events"] and _is_of_interest(one, event, facts)
            ]
    return rows


async def center_background(
    conn: AsyncConnection[Any], event: Event, facts: CallFacts
) -> call_center.CenterBackground:
    """What an event of the Call Center API needs of the tables."""
    agent_id = call_center.agent_of(event)
    if agent_id is not None:
        cursor = await conn.execute(_DEVICE, (event.account_id, agent_id))
        device = await cursor.fetchone()
        if device is not None:
            return call_center.CenterBackground(
                device_id=device["sip_line_id"], device_name=device["phone_number"]
            )
    elif call_center.needs_background(event, facts):
        lead_id = facts.session["lead_id"]
        number = facts.session.get("contact_phone_number")
        cursor = await conn.execute(_LEAD, (event.account_id, number, lead_id))
        lead = await cursor.fetchone()
        if lead is not None:
            return call_center.CenterBackground(lead_name=lead["name"])
    return call_center.CenterBackground()


def _deliveries(
    event: Event, facts: CallFacts, background: Background, subscriptions: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The delivery rows of one event."""
    values = catalogue.variables(event, facts, background)
    return [
        {
            "account_id": event.account_id,
            "subscription_id": subscription["subscription_id"],
            "stream": event.stream,
            "seq": event.seq,
            "mnemonic": mnemonic.value,
            "occurred_at": to_datetime(event.at),
            "variables": catalogue.named(values, subscription["name"], mnemonic.value),
        }
        for mnemonic in catalogue.follow(event, facts)
        for subscription in subscriptions
        if mnemonic.value in subscription["events"] and _is_of_interest(subscription, event, facts)
    ]


def _is_of_interest(subscription: Mapping[str, Any], event: Event, facts: CallFacts) -> bool:
    """Whether the event's call meets the subscription's conditions; True when it is about no call."""
    if call_center.call_of(event) is None:
        return True
    return conditions.are_met(subscription["conditions"], facts, catalogue.talk_seconds(event, facts))
