"""What happened in one call, in the order of time: its events, each with its party, and its notifications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trunkline.core.clock import to_datetime
from trunkline.db.pool import Database
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.events.store import call_events

SHOWN = frozenset(
    {
        EventType.SESSION_STARTED, EventType.SCENARIO_ENTERED, EventType.OPERATION_ENTERED, EventType.LEG_STARTED,
        EventType.LEG_RINGING, EventType.LEG_ANSWERED, EventType.TALK_STARTED, EventType.TALK_ENDED,
        EventType.LEG_ENDED, EventType.RECORDING_STARTED, EventType.RECORDING_STOPPED, EventType.RECORDING_REFUSED,
        EventType.RECORDING_CUT, EventType.RECORDING_READY, EventType.CALL_HELD, EventType.CALL_UNHELD,
        EventType.CONSULT_STARTED, EventType.CONSULT_ENDED, EventType.TRANSFER_REQUESTED, EventType.TRANSFERRED,
        EventType.COACH_JOINED, EventType.VOICE_MAIL_STARTED, EventType.VOICE_MAIL_LEFT, EventType.QUEUE_ENTERED,
        EventType.QUEUE_LEFT,
        EventType.KEY_PRESSED, EventType.CALL_PARKED, EventType.PARKING_RETURNED, EventType.CALL_RETRIEVED,
        EventType.CALL_FORWARDED, EventType.TAG_SET, EventType.TAG_UNSET, EventType.SCENARIO_NOTIFICATION,
        EventType.SESSION_FINISHED,
    }
)  # fmt: skip
"""Events that a person understands; the others are steps of the switch."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened.

    :ivar kind: the event's type, or ``notification``.
    :ivar who: name or number of the party that it is about; empty: of the whole call.
    :ivar role: of that party: ``contact``, ``employee``, ``operator``, ``coach``, or empty.
    :ivar data: the event's; of a notification ``name``, ``target`` (the subscription, or its host where it is named
        like the event), ``status``, ``attempts``, ``status_code``, ``error``.
    """

    at: datetime
    kind: str
    who: str = ""
    role: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_failed(self) -> bool:
        """Whether a party was not reached, or a notification was not delivered."""
        return bool(self.data.get("is_failed")) or self.data.get("status") == "failed"


async def read_story(db: Database, account_id: int, call_session_id: int) -> list[Step]:
    """The steps of a call; empty: it has no events, as uploaded calls."""
    async with db.connection() as connection:
        events = await call_events(connection, account_id, call_session_id)
        cursor = await connection.execute(
            """
            select d.mnemonic as name, d.status, d.attempts, d.occurred_at, last.status_code, last.error,
                case when s.name <> d.mnemonic then s.name
                    else coalesce(substring(s.url from '^[a-z]+://(?:[^/?#@]*@)?([^/?#]+)'), s.name) end as target
            from deliveries d join subscriptions s using (account_id, subscription_id) left join lateral (
                select a.status_code, a.error from delivery_attempts a
                where a.account_id = d.account_id and a.delivery_id = d.delivery_id order by a.attempt desc limit 1
            ) last on true
            where d.account_id = %s and d.stream = %s order by d.occurred_at, d.delivery_id
            """,
            (account_id, call_stream(call_session_id)),
        )
        deliveries = await cursor.fetchall()
    notifications = [Step(row["occurred_at"], "notification", data=row) for row in deliveries]
    return sorted([*steps(events), *notifications], key=lambda step: step.at)


def steps(events: Iterable[Event]) -> list[Step]:
    """The steps of a call's events, in their order. Pure."""
    parties: dict[Any, tuple[str, str]] = {}
    found: list[Step] = []
    recorded: set[Any] = set()
    for event in events:
        data = event.data
        if not _is_step_of_recording(event, recorded):
            continue
        if event.type is EventType.LEG_STARTED:
            parties[data.get("leg_id")] = (_party(data), str(data.get("role") or ""))
        if event.type not in SHOWN:
            continue
        who, role = parties.get(data.get("leg_id"), ("", ""))
        if not who and data.get("employee_full_name"):
            who = str(data["employee_full_name"])
        if event.type is EventType.TRANSFERRED or event.type is EventType.TRANSFER_REQUESTED:
            data = {**data, "by": parties.get(data.get("operator_leg_id"), ("", ""))[0]}
        if event.type is EventType.COACH_JOINED:
            data = {**data, "target": parties.get(data.get("target_leg_id"), ("", ""))[0]}
        found.append(Step(to_datetime(event.at), event.type.value, who, role, data))
    return found


def _is_step_of_recording(event: Event, recorded: set[Any]) -> bool:
    """Whether the recording of the call begins or stops with an event; True for others. Each party is recorded by itself.

    :param recorded: the legs that are recorded; is updated.
    """
    leg_id = event.data.get("leg_id")
    before = bool(recorded)
    match event.type:
        case EventType.RECORDING_STARTED:
            recorded.add(leg_id)
            return not before
        case EventType.RECORDING_STOPPED:
            recorded.discard(leg_id)
            return before and not recorded
        case EventType.LEG_ENDED:
            recorded.discard(leg_id)
    return True


def _party(data: Mapping[str, Any]) -> str:
    """Who is on a leg: the employee's name, else the number of its other end."""
    name = data.get("employee_full_name")
    if name:
        return str(name)
    end = "calling_phone_number" if data.get("direction") == "in" else "called_phone_number"
    return str(data.get(end) or data.get("employee_phone_number") or "")
