"""Snapshots: the whole state of a queue or an agent as one event of its stream.

Streams of queues and agents are kept for ever, so without snapshots a restart would take longer with every call. The rules
write one after so many events of a stream; a process that starts reads each stream from its last snapshot on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import fields
from enum import StrEnum
from typing import Any

from trunkline.core.clock import Instant
from trunkline.queues import served
from trunkline.queues.account import Queue
from trunkline.queues.agents import Agent, Engagement, Tier
from trunkline.queues.callers import NEVER, Caller, Offer, Place, Ticket
from trunkline.queues.settings import AgentSettings, QueueSettings
from trunkline.queues.states import (
    AgentState,
    AgentStatus,
    CallerState,
    LeavingReason,
    TicketState,
    TierState,
)

Data = Mapping[str, Any]

_NEVER = "never"
"""JSON has no number for :data:`~trunkline.queues.callers.NEVER`."""


def data_of_queue(queue: Queue) -> dict[str, Any]:
    """A queue with its callers and callbacks, as JSON."""
    return {
        **_plain(queue),
        "settings": queue.settings.values(),
        "callers": [
            {**_plain(caller), "offers": [_plain(offer) for offer in caller.offers.values()]}
            for caller in queue.callers.values()
        ],
        "tickets": [_plain(ticket) for ticket in queue.tickets.values()],
        "served": served.data_of(queue.served),
    }


def queue_of_data(data: Data) -> Queue:
    """The queue of a snapshot."""
    callers = [_caller(one) for one in data["callers"]]
    tickets = [Ticket(**{**one, "state": TicketState(one["state"])}) for one in data["tickets"]]
    return Queue(
        **{
            **data,
            "settings": QueueSettings.stored(data["settings"]),
            "empty_since": _instant(data["empty_since"]),
            "pointer": _place(data["pointer"]),
            "callers": {caller.caller_id: caller for caller in callers},
            "tickets": {ticket.caller_id: ticket for ticket in tickets},
            "served": served.of_data(data.get("served") or []),
        }
    )


def data_of_agent(agent: Agent) -> dict[str, Any]:
    """An agent with its tiers, as JSON."""
    return {
        **_plain(agent),
        "settings": agent.settings.values(),
        "engagement": _plain(agent.engagement) if agent.engagement is not None else None,
        "tiers": [_plain(tier) for tier in agent.tiers.values()],
    }


def agent_of_data(data: Data) -> Agent:
    """The agent of a snapshot."""
    tiers = [Tier(**{**one, "state": TierState(one["state"])}) for one in data["tiers"]]
    engagement = data["engagement"]
    values: dict[str, Any] = {name: _instant(value) for name, value in data.items()}
    values |= {
        "settings": AgentSettings.stored(data["settings"]),
        "status": AgentStatus(data["status"]),
        "state": AgentState(data["state"]),
        "engagement": Engagement(**engagement) if engagement is not None else None,
        "tiers": {tier.queue_id: tier for tier in tiers},
        "external_calls": set(data["external_calls"]),
    }
    return Agent(**values)


def _caller(data: Data) -> Caller:
    offers = [Offer(**one) for one in data["offers"]]
    return Caller(
        **{
            **data,
            "state": CallerState(data["state"]),
            "reason": LeavingReason(data["reason"]) if data["reason"] is not None else None,
            "pointer": _place(data["pointer"]),
            "offers": {offer.offer_id: offer for offer in offers},
        }
    )


def _plain(entity: Queue | Caller | Offer | Ticket | Agent | Engagement | Tier) -> dict[str, Any]:
    return {one.name: _json(getattr(entity, one.name)) for one in fields(entity)}


def _json(value: Any) -> Any:
    match value:
        case StrEnum():
            return value.value
        case float() if value == -math.inf:
            return _NEVER
        case Place():
            return list(value)
        case Set():
            return sorted(value)
        case dict() | QueueSettings() | AgentSettings() | Engagement():
            return None  # written by the functions above
        case _:
            return value


def _instant(value: Any) -> Instant | Any:
    return NEVER if value == _NEVER else value


def _place(data: Any) -> Place | None:
    return Place(*data) if data is not None else None
