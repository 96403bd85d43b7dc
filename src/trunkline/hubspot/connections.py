"""The connection of an account with its portal: the secrets, the settings, and a token that is valid now."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from trunkline.accounts.secrets import Cipher
from trunkline.core.clock import to_datetime
from trunkline.core.errors import InvalidInput, NotFound
from trunkline.db.pool import Connection as DatabaseConnection
from trunkline.db.pool import Database, Row
from trunkline.directory.employees.hubspot_owners import clear_owners

REFRESH_BEFORE = 300.0
"""Seconds before its end at which a token is replaced; a shorter one at half of its time."""

SETTINGS = ("create_contacts", "missed_call_tasks", "push_recordings")
"""What an account may switch."""

CHANNEL = "trunkline_hubspot"
"""NOTIFY channel: something is due."""


class ConnectionKind(StrEnum):
    OAUTH = "oauth"
    SERVICE_KEY = "service_key"
    PRIVATE_APP = "private_app"


@dataclass(frozen=True, slots=True)
class Token:
    """:ivar until: when it ends; None: it does not.
    :ivar refresh: with which the next one is requested; None: there is no next one.
    """

    access: str
    until: datetime | None = None
    refresh: str | None = None


@dataclass(frozen=True, slots=True)
class App:
    """The app of an OAuth connection."""

    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class Connection:
    """:ivar problem: why nothing is sent; None: it works, as far as is known."""

    account_id: int
    portal_id: int
    kind: ConnectionKind
    is_active: bool
    create_contacts: bool
    missed_call_tasks: bool
    push_recordings: bool
    default_owner_id: str | None
    problem: str | None
    paused_until: datetime | None
    connected_at: datetime
    country: str
    """Of the account, ISO 3166 alpha-2: how numbers without a country code are read."""


Refresh = Callable[[App, str], Awaitable[Token]]
"""``(app, refresh token)``: a new token from HubSpot."""

_READ = """
select c.account_id, c.portal_id, c.kind, c.is_active, c.create_contacts, c.missed_call_tasks, c.push_recordings,
    c.default_owner_id, c.problem, c.paused_until, c.connected_at, a.country
from hubspot_connections c join accounts a on a.account_id = c.account_id
where c.account_id = %(account_id)s
"""

_SECRETS = """
select kind, client_id, client_secret_encrypted, refresh_token_encrypted, access_token_encrypted, access_token_until
from hubspot_connections where account_id = %(account_id)s
"""

_SAVE = """
insert into hubspot_connections as c (account_id, kind, portal_id, client_id, client_secret_encrypted,
    refresh_token_encrypted, access_token_encrypted, access_token_until)
values (%(account_id)s, %(kind)s, %(portal_id)s, %(client_id)s, %(client_secret)s, %(refresh)s, %(access)s, %(until)s)
on conflict (account_id) do update set kind = excluded.kind, portal_id = excluded.portal_id,
    client_id = excluded.client_id, client_secret_encrypted = excluded.client_secret_encrypted,
    refresh_token_encrypted = excluded.refresh_token_encrypted,
    access_token_encrypted = excluded.access_token_encrypted, access_token_until = excluded.access_token_until,
    is_active = true, problem = null, paused_until = null, connected_at = now(),
    default_owner_id = case when c.portal_id = excluded.portal_id then c.default_owner_id end
"""

_REFRESHED = """
update hubspot_connections set access_token_encrypted = %(access)s, access_token_until = %(until)s,
    refresh_token_encrypted = coalesce(%(refresh)s, refresh_token_encrypted)
where account_id = %(account_id)s
"""

_PAUSE = """
update hubspot_connections set problem = %(problem)s, paused_until = now() + %(seconds)s * interval '1 second'
where account_id = %(account_id)s
"""

_WORKS = """
update hubspot_connections set problem = null, paused_until = null
where account_id = %(account_id)s and (problem is not null or paused_until is not null)
"""


class Connections:
    """Keeps the connections.

    :param cipher: hides the secrets.
    """

    def __init__(self, db: Database, cipher: Cipher) -> None:
        self._db = db
        self._cipher = cipher

    @property
    def installation(self) -> str:
        """Marks what this installation creates in a portal."""
        return self._cipher.derive("hubspot installation")[:12]

    async def find(self, account_id: int) -> Connection | None:
        """The connection of an account."""
        row = await self._db.fetch_one(_READ, {"account_id": account_id})
        return None if row is None else Connection(**{**row, "kind": ConnectionKind(row["kind"])})

    async def get(self, account_id: int) -> Connection:
        """The same.

        :raises NotFound: the account is not connected.
        """
        found = await self.find(account_id)
        if found is None:
            raise NotFound(
                f"account {account_id} is not connected with HubSpot; run trunkline hubspot connect",
                field="account_id",
            )
        return found

    async def save(
        self, account_id: int, kind: ConnectionKind, portal_id: int, token: Token, app: App | None = None
    ) -> None:
        """Connect an account, or replace its connection. With another portal, what was sent to the former one is
        forgotten, with the owners of the employees."""
        values: dict[str, Any] = {
            "account_id": account_id,
            "kind": kind.value,
            "portal_id": portal_id,
            "client_id": None if app is None else app.client_id,
            "client_secret": None if app is None else self._cipher.encrypt(app.client_secret),
            **self._hidden(token),
        }
        async with self._db.connection() as conn:
            cursor = await conn.execute(
                "select portal_id from hubspot_connections where account_id = %(account_id)s for update",
                values,
            )
            former = await cursor.fetchone()
            await conn.execute(_SAVE, values)
            if former is not None and former["portal_id"] != portal_id:
                await _forget(conn, account_id)
            await conn.execute("select pg_notify(%s, '')", (CHANNEL,))

    async def set(self, account_id: int, **changes: bool | str | None) -> None:
        """Change settings: those of :data:`SETTINGS`, ``is_active``, ``default_owner_id``."""
        known = {*SETTINGS, "is_active", "default_owner_id"}
        if not changes.keys() <= known:
            raise InvalidInput(f"The settings are {', '.join(sorted(known))}.", field="settings")
        found = await self.get(account_id)
        values = {name: getattr(found, name) for name in known} | changes
        async with self._db.connection() as conn:
            await conn.execute(
                """update hubspot_connections set create_contacts = %(create_contacts)s,
                       missed_call_tasks = %(missed_call_tasks)s, push_recordings = %(push_recordings)s,
                       default_owner_id = %(default_owner_id)s, is_active = %(is_active)s
                   where account_id = %(account_id)s""",
                {**values, "account_id": account_id},
            )
            await conn.execute("select pg_notify(%s, '')", (CHANNEL,))

    async def remove(self, account_id: int) -> None:
        """Disconnect: the secrets and what is known of the portal are deleted here; the portal keeps its engagements."""
        await self.get(account_id)
        async with self._db.connection() as conn:
            await _forget(conn, account_id)
            await conn.execute("delete from hubspot_connections where account_id = %s", (account_id,))

    async def pause(self, account_id: int, seconds: float, problem: str | None) -> None:
        """Send nothing for a time.

        :param problem: what a person must do something about.
        """
        await self._db.execute(_PAUSE, {"account_id": account_id, "seconds": seconds, "problem": problem})

    async def works(self, account_id: int) -> None:
        """A request succeeded."""
        await self._db.execute(_WORKS, {"account_id": account_id})

    async def token(self, account_id: int, refresh: Refresh, *, refused: str | None = None) -> str:
        """An access token that is valid now. One process at a time requests a new one.

        :param refused: a token that HubSpot does not accept although it is not over.
        :raises NotFound: the account is not connected.
        """
        row = await self._db.fetch_one(_SECRETS, {"account_id": account_id})
        if row is not None and not self._is_over(row, refused):
            return self._cipher.decrypt(row["access_token_encrypted"])
        async with self._db.connection() as conn:
            cursor = await conn.execute(_SECRETS + " for update", {"account_id": account_id})
            row = await cursor.fetchone()
            if row is None:
                raise NotFound(f"account {account_id} is not connected with HubSpot", field="account_id")
            if not self._is_over(row, refused):  # another process was first
                return self._cipher.decrypt(row["access_token_encrypted"])
            app = App(row["client_id"], self._cipher.decrypt(row["client_secret_encrypted"]))
            token = await refresh(app, self._cipher.decrypt(row["refresh_token_encrypted"]))
            await conn.execute(_REFRESHED, {"account_id": account_id, **self._hidden(token)})
        return token.access

    def _is_over(self, row: Row, refused: str | None) -> bool:
        if row["kind"] != ConnectionKind.OAUTH:
            return False
        until: datetime | None = row["access_token_until"]
        if until is not None and until <= to_datetime(time.time()):
            return True
        return refused is not None and self._cipher.decrypt(row["access_token_encrypted"]) == refused

    def _hidden(self, token: Token) -> dict[str, Any]:
        return {
            "access": self._cipher.encrypt(token.access),
            "until": token.until,
            "refresh": None if token.refresh is None else self._cipher.encrypt(token.refresh),
        }


def valid_until(now: float, seconds: float) -> datetime:
    """When a new token is to be replaced.

    :param seconds: that it is valid, by HubSpot.
    """
    return to_datetime(now) + timedelta(seconds=max(seconds - REFRESH_BEFORE, seconds / 2))


async def _forget(conn: DatabaseConnection, account_id: int) -> None:
    await conn.execute("delete from hubspot_calls where account_id = %s", (account_id,))
    await conn.execute("delete from hubspot_objects where account_id = %s", (account_id,))
    await clear_owners(conn, account_id)
