"""Writes the rows of calls that go to HubSpot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from trunkline.events.catalogue import Event, EventType
from trunkline.hubspot import calls


class HubSpotListener:
    """A listener of the relay."""

    name = "hubspot"

    async def on_events(self, conn: AsyncConnection[Any], events: Sequence[Event]) -> None:
        """See :class:`trunkline.events.relay.Listener`."""
        finished = _calls(events, EventType.SESSION_FINISHED)
        if finished:
            await calls.note_finished(conn, finished)
        recorded = _calls(events, EventType.RECORDING_READY)
        if recorded:
            await calls.note_changed(conn, recorded)


def _calls(events: Sequence[Event], type_: EventType) -> list[tuple[int, int]]:
    found = [
        (event.account_id, event.call_session_id)
        for event in events
        if event.type is type_ and event.call_session_id is not None
    ]
    return list(dict.fromkeys(found))
