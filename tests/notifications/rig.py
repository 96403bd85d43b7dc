"""A database with an account and calls, and a worker's notification part in this process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from cryptography.fernet import Fernet

from trunkline.accounts.secrets import Cipher
from trunkline.core.clock import Instant
from trunkline.core.ids import IdGenerator
from trunkline.core.settings import NotificationSettings
from trunkline.db.pool import Database
from trunkline.events import store
from trunkline.events.catalogue import UNPUBLISHED, Event, EventType, call_stream
from trunkline.events.relay import Relay
from trunkline.notifications.listener import NotificationListener
from trunkline.notifications.subscriptions import Draft, Subscriptions
from trunkline.notifications.worker import delivering
from trunkline.recordings.links import LinkMaker, Links

LOOPBACK = ["127.0.0.0/8"]
"""The network in which receivers of tests are."""

MASTER_KEY = Fernet.generate_key()
ALL_OF_A_CALL = (
    "in_call_session",
    "call_waiting_answer",
    "employee_answer",
    "call_connected",
    "talk_finished",
    "call_session_finished",
)

_ids = IdGenerator(0)


def links_of(call_session_id: int, recording_id: str, kind: str) -> Links:
    return LinkMaker("https://pbx.example").of(call_session_id, recording_id, kind)


class Rig:
    """What a test needs to make events and look at what came of them."""

    def __init__(self, dsn: str, db: Database, account_id: int) -> None:
        self.dsn = dsn
        self.db = db
        self.account_id = account_id
        self.cipher = Cipher(MASTER_KEY)
        self.subscriptions = Subscriptions(db, self.cipher)

    async def subscribe(
        self, url: str, key: str = "hook", events: Sequence[str] = ALL_OF_A_CALL, **more: Any
    ) -> int:
        return await self.subscriptions.save(
            self.account_id, Draft(key=key, name=f"The {key}", url=url, events=events, **more)
        )

    async def happened(self, *events: Event) -> None:
        async with self.db.connection() as conn:
            await store.write_call_events(conn, events)

    async def deliveries(self) -> list[dict[str, Any]]:
        return await self.db.fetch_all(
            "select * from deliveries where account_id = %s order by delivery_id", (self.account_id,)
        )

    async def until_settled(self, seconds: float = 20) -> list[dict[str, Any]]:
        """All deliveries, once none is pending and the outbox is empty."""
        async with asyncio.timeout(seconds):
            while True:
                row = await self.db.fetch_one(
                    "select (select count(*) from outbox)"
                    " + (select count(*) from deliveries where status = 'pending') as open"
                )
                assert row is not None
                if row["open"] == 0:
                    return await self.deliveries()
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def open_rig(dsn: str) -> AsyncIterator[Rig]:
    db = await Database.open(dsn, max_size=10)
    try:
        row = await db.fetch_one("insert into accounts (name) values ('Sample Ltd') returning account_id")
        assert row is not None
        yield Rig(dsn, db, row["account_id"])
    finally:
        await db.close()


@contextlib.asynccontextmanager
async def worker(rig: Rig, settings: NotificationSettings | None = None) -> AsyncIterator[Relay]:
    """The notification part of a worker process, in this one."""
    settings = settings or NotificationSettings(allowed_private_networks=LOOPBACK)
    relay = Relay(rig.db, [NotificationListener(links_of)])
    async with delivering(rig.db, settings, rig.cipher):
        task = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def new_session_id() -> int:
    return _ids.next()


def relayed(events: Sequence[Event]) -> list[Event]:
    """Those of them that go through the outbox."""
    return [event for event in events if event.type not in UNPUBLISHED]


def call_events(account_id: int, session: int | None = None, start: float | None = None) -> list[Event]:
    """A call that came in, was answered and talked."""
    session = new_session_id() if session is None else session
    start = time.time() if start is None else start
    contact, employee = session * 2, session * 2 + 1
    person = {"employee_id": 4001, "employee_full_name": "Ruiz Ana"}
    facts: list[tuple[EventType, dict[str, Any]]] = [
        (
            EventType.SESSION_STARTED,
            {
                "direction": "in",
                "source": "va",
                "is_internal": False,
                "virtual_phone_number": "971500000010",
                "contact_phone_number": "12025550110",
                "contact_id": 13001,
                "contact_full_name": 'Lee "Sam"',
            },
        ),
        (EventType.SCENARIO_ENTERED, {"scenario_id": 5001, "scenario_name": "Main"}),
        (EventType.LEG_STARTED, {"leg_id": contact, "role": "contact", "direction": "in"}),
        (
            EventType.LEG_STARTED,
            {"leg_id": employee, "role": "employee", "employee_phone_number": "0160001", **person},
        ),
        (EventType.LEG_RINGING, {"leg_id": employee}),
        (EventType.LEG_ANSWERED, {"leg_id": employee, "role": "employee", **person}),
        (EventType.TALK_STARTED, {"leg_id": employee, **person}),
        (EventType.TALK_ENDED, {"leg_id": employee, "employee_id": 4001}),
        (EventType.LEG_ENDED, {"leg_id": employee, "role": "employee"}),
        (
            EventType.SESSION_FINISHED,
            {
                "direction": "in",
                "is_lost": False,
                "finish_reason": "operator_disconnects",
                "talk_duration": 3,
                "total_duration": 9,
                "wait_duration": 6,
                "recorded": False,
            },
        ),
    ]
    return [
        Event(account_id, call_stream(session), number, type_, Instant(start + number), data)
        for number, (type_, data) in enumerate(facts, 1)
    ]
