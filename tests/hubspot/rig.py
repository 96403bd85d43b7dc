"""A database with accounts that are connected with a local HubSpot, and a worker's part for it in this process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from psycopg.types.json import Jsonb

from tests.hubspot.server import HubSpot, Portal
from tests.notifications.rig import LOOPBACK, MASTER_KEY, new_session_id
from trunkline.accounts.secrets import Cipher
from trunkline.core.clock import Instant
from trunkline.core.settings import HubSpotSettings
from trunkline.db.pool import Database
from trunkline.events import store
from trunkline.events.catalogue import Event, EventType, call_stream
from trunkline.events.relay import Relay
from trunkline.hubspot.connections import ConnectionKind, Connections, Token
from trunkline.hubspot.limits import LimitKind, Rate
from trunkline.hubspot.listener import HubSpotListener
from trunkline.hubspot.setup import Setup
from trunkline.hubspot.worker import client_of, syncing
from trunkline.recordings.links import LinkMaker

SEARCH_DELAY = 0.6
FAST = {LimitKind.REQUESTS: Rate(0.001, 100), LimitKind.SEARCH: Rate(0.001, 100)}
"""No limit that a test would wait for; the server's are raised, too."""
CONTACT, VIRTUAL = "12025550110", "971500000010"
ANNA, BEN = 4001, 4002


def settings_for(url: str) -> HubSpotSettings:
    return HubSpotSettings(
        api_url=url, allowed_private_networks=LOOPBACK, timeout=1.0, search_delay=SEARCH_DELAY
    )


class Rig:
    def __init__(self, db: Database, hubspot: HubSpot, clients: contextlib.AsyncExitStack) -> None:
        self.db = db
        self._clients = clients
        self.hubspot = hubspot
        self.cipher = Cipher(MASTER_KEY)
        self.connections = Connections(db, self.cipher)
        self.settings = settings_for(hubspot.url)

    async def setup(self, account_id: int) -> Setup:
        client, connections = await self._clients.enter_async_context(
            client_of(self.db, self.settings, self.cipher, rates=FAST)
        )
        return Setup(self.db, client, connections, account_id)

    async def account(self, name: str = "Sample Ltd", country: str = "US") -> int:
        row = await self.db.fetch_one(
            "insert into accounts (name, country) values (%s, %s) returning account_id", (name, country)
        )
        assert row is not None
        account_id: int = row["account_id"]
        for employee_id, last, email in (
            (ANNA, "Ruiz", "anna@example.com"),
            (BEN, "Okoye", "ben@example.com"),
        ):
            await self.db.execute(
                "insert into employees (account_id, employee_id, key, last_name, email) values (%s, %s, %s, %s, %s)",
                (account_id, employee_id, f"e{employee_id}", last, email),
            )
        return account_id

    async def connected(self, portal_id: int = 501, name: str = "Sample Ltd") -> tuple[int, Portal]:
        """An account that is connected with a service key, and its portal with two owners."""
        account_id = await self.account(name)
        token = f"pat-{portal_id}"
        portal = self.hubspot.portal(portal_id, token)
        portal.rate = portal.search_rate = (10**6, 1.0)
        portal.owners = [
            {
                "id": f"{portal_id}1",
                "email": "anna@example.com",
                "firstName": "Anna",
                "lastName": "Ruiz",
                "userId": 71,
            },
            {
                "id": f"{portal_id}2",
                "email": "ben@example.com",
                "firstName": "Ben",
                "lastName": "Okoye",
                "userId": 72,
            },
        ]
        await self.connections.save(account_id, ConnectionKind.SERVICE_KEY, portal_id, Token(token))
        for employee_id, number in ((ANNA, 1), (BEN, 2)):
            await self.db.execute(
                "update employees set hubspot_owner_id = %s where account_id = %s and employee_id = %s",
                (f"{portal_id}{number}", account_id, employee_id),
            )
        return account_id, portal

    async def call(self, account_id: int, *, publish: bool = True, **changes: Any) -> int:
        """A finished call of which the rows are written, and its event."""
        call_id = new_session_id()
        start = changes.pop("start", time.time() - 60)
        row: dict[str, Any] = {
            "account_id": account_id,
            "call_session_id": call_id,
            "node": 0,
            "start_time": datetime.fromtimestamp(start, UTC),
            "finish_time": datetime.fromtimestamp(start + 30, UTC),
            "direction": "in",
            "is_internal": False,
            "source": "va",
            "finish_reason": "operator_disconnects",
            "is_lost": False,
            "virtual_phone_number": VIRTUAL,
            "contact_phone_number": CONTACT,
            "talk_duration": 20,
            "employees": [{"employee_id": ANNA, "employee_full_name": "Ruiz"}],
            "last_talked_employee_id": ANNA,
            "last_answered_employee_id": ANNA,
            "scenario_name": "Main",
            **changes,
        }
        columns = ", ".join(row)
        values = [Jsonb(one) if isinstance(one, list) else one for one in row.values()]
        await self.db.execute(
            f"insert into call_sessions ({columns}) values ({', '.join(['%s'] * len(row))})".encode(), values
        )
        if publish:
            await self.finished(account_id, call_id)
        return call_id

    async def lost(self, account_id: int, **changes: Any) -> int:
        return await self.call(
            account_id, is_lost=True, finish_reason="operator_not_responsive", talk_duration=0,
            last_talked_employee_id=None, last_answered_employee_id=None, **changes,
        )  # fmt: skip

    async def finished(self, account_id: int, call_id: int) -> None:
        await self.happened(account_id, call_id, EventType.SESSION_FINISHED, {"direction": "in"}, 1)

    async def happened(
        self, account_id: int, call_id: int, type_: EventType, data: dict[str, Any], seq: int
    ) -> None:
        event = Event(account_id, call_stream(call_id), seq, type_, Instant(time.time()), data)
        async with self.db.connection() as conn:
            await store.write_call_events(conn, [event])

    async def recorded(self, account_id: int, call_id: int, kind: str = "talk") -> str:
        recording_id = f"{call_id:064x}"
        await self.db.execute(
            """insert into recordings (account_id, recording_id, call_session_id, kind, status, mp3_path)
               values (%s, %s, %s, %s, 'ready', 'x.mp3')""",
            (account_id, recording_id, call_id, kind),
        )
        data = {"recording_id": recording_id, "kind": kind}
        await self.happened(account_id, call_id, EventType.RECORDING_READY, data, 2)
        return recording_id

    async def rows(self, account_id: int) -> dict[int, dict[str, Any]]:
        found = await self.db.fetch_all("select * from hubspot_calls where account_id = %s", (account_id,))
        return {row["call_session_id"]: row for row in found}

    async def settled(self, seconds: float = 30, *, wake: bool = False) -> None:
        """Return once nothing is pending."""
        async with asyncio.timeout(seconds):
            while True:
                if wake:
                    await self.db.execute("update hubspot_calls set due_at = now() where state = 'pending'")
                    await self.db.execute("select pg_notify('trunkline_hubspot', '')")
                row = await self.db.fetch_one(
                    "select (select count(*) from outbox) + (select count(*) from event_failures)"
                    " + (select count(*) from hubspot_calls where state = 'pending')"
                    " + (select count(*) from hubspot_objects where verify_at < now()) as open"
                )
                assert row is not None
                if row["open"] == 0:
                    return
                await asyncio.sleep(0.05)

    @contextlib.asynccontextmanager
    async def worker(self, rates: dict[LimitKind, Rate] | None = None) -> AsyncIterator[None]:
        links = LinkMaker("https://pbx.example")
        relay = Relay(self.db, [HubSpotListener()])
        async with syncing(
            self.db, self.settings, self.cipher, lambda *one: links.of(*one).playable, rates=rates or FAST
        ):
            task = asyncio.create_task(relay.run())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


@contextlib.asynccontextmanager
async def open_rig(dsn: str) -> AsyncIterator[Rig]:
    hubspot = HubSpot()
    async with (
        await Database.open(dsn, max_size=10) as db,
        hubspot.running(),
        contextlib.AsyncExitStack() as clients,
    ):
        yield Rig(db, hubspot, clients)
