"""Connecting an account, checking what it needs, its state, and the owners of its employees."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from trunkline.core.errors import InvalidInput
from trunkline.db.pool import Database
from trunkline.directory.employees.hubspot_owners import read_owners, set_owners
from trunkline.hubspot import api
from trunkline.hubspot.api import ObjectKind
from trunkline.hubspot.client import Client
from trunkline.hubspot.connections import App, Connection, ConnectionKind, Connections, Token
from trunkline.hubspot.owners import Employee, Match, Owner, matches, owner_from
from trunkline.hubspot.responses import HubSpotError

_STATE = """
select state, count(*) as calls, min(due_at) as oldest_due from hubspot_calls
where account_id = %(account_id)s group by state
"""

_ERRORS = """
select call_session_id, state, attempts, due_at, error from hubspot_calls
where account_id = %(account_id)s and error is not null order by call_session_id desc limit %(most)s
"""

_ZONE = "select time_zone from accounts where account_id = %(account_id)s"

_LINKS = "select open_recording_links from accounts where account_id = %(account_id)s"


@dataclass(frozen=True, slots=True)
class Check:
    """:ivar remedy: what to do, when it is not met."""

    what: str
    is_met: bool
    remedy: str


@dataclass(frozen=True, slots=True)
class State:
    """:ivar counts: calls by state.
    :ivar errors: the latest calls with an error.
    """

    connection: Connection
    counts: Mapping[str, int]
    errors: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the administrator of a portal opens, to grant access.

    :ivar state: comes back with the code, so that no code of somebody else is used.
    """

    url: str
    redirect_uri: str
    state: str


def invite(client_id: str, redirect_uri: str) -> Invitation:
    """The address at which access is granted."""
    state = secrets.token_urlsafe(16)
    return Invitation(api.authorize_url(client_id, redirect_uri, state), redirect_uri, state)


def code_of(answer: str, invitation: Invitation) -> str:
    """The code in the address to which HubSpot sent the browser.

    :raises InvalidInput: it has none, or is the answer to another invitation.
    """
    query = parse_qs(urlsplit(answer.strip()).query)
    if "error" in query:
        raise InvalidInput(f"HubSpot refused: {' '.join(query.get('error_description') or query['error'])}")
    if not query.get("code"):
        raise InvalidInput("The address has no code; copy all of it from the address line of the browser.")
    if query.get("state") != [invitation.state]:
        raise InvalidInput(
            "The address is the answer to another request; open the address shown above again."
        )
    return query["code"][0]


class Setup:
    """For one account."""

    def __init__(self, db: Database, client: Client, connections: Connections, account_id: int) -> None:
        self.db = self._db = db
        self.client = self._client = client
        self._connections = connections
        self._account_id = account_id

    async def time_zone(self) -> ZoneInfo:
        """Of the account."""
        row = await self._db.fetch_one(_ZONE, {"account_id": self._account_id})
        return ZoneInfo(row["time_zone"] if row is not None else "UTC")

    async def with_token(self, kind: ConnectionKind, access_token: str) -> Connection:
        """Connect with a service key or the token of a private app.

        :raises HubSpotError: it is not accepted.
        """
        text = access_token.strip()
        if not text or not text.isascii() or any(one.isspace() for one in text):
            raise InvalidInput("The token is one word, for example pat-eu1-...", field="token")
        portal_id = await self._client.portal_of(text)
        await self._connections.save(self._account_id, kind, portal_id, Token(text))
        return await self._connections.get(self._account_id)

    async def with_code(self, app: App, code: str, redirect_uri: str) -> Connection:
        """Connect with an authorisation code of OAuth.

        :raises HubSpotError: it is not accepted.
        """
        token = await self._client.grant(app, code, redirect_uri)
        portal_id = await self._client.portal_of(token.access)
        await self._connections.save(self._account_id, ConnectionKind.OAUTH, portal_id, token, app)
        return await self._connections.get(self._account_id)

    async def state(self, most: int = 10) -> State:
        """How far the calls are.

        :param most: calls with errors that are listed.
        """
        connection = await self._connections.get(self._account_id)
        rows = await self._db.fetch_all(_STATE, {"account_id": self._account_id})
        errors = await self._db.fetch_all(_ERRORS, {"account_id": self._account_id, "most": most})
        return State(connection, {row["state"]: row["calls"] for row in rows}, errors)

    async def checks(self, public_url: str | None) -> list[Check]:
        """What the connection needs.

        :param public_url: where recordings are fetched.
        """
        connection = await self._connections.find(self._account_id)
        if connection is None:
            return [Check("the account is connected", False, "trunkline hubspot connect")]
        found = [
            Check("the account is connected", True, ""),
            Check("calls are sent", connection.is_active, "trunkline hubspot set log_calls on"),
        ]
        again = "grant the scopes, then trunkline hubspot connect"
        for what, request in (
            ("HubSpot accepts the token, and contacts can be read", ObjectKind.CONTACT),
            ("calls can be read", ObjectKind.CALL),
        ):
            body = {"filterGroups": [], "limit": 1}
            found.append(await _checked(what, self._client.search_page(connection, request, body), again))
        found.append(await _checked("owners can be read", self._client.owners(connection), again))
        if found[-1].is_met:
            without = [one.employee.full_name for one in await self.matches() if one.why not in ("set",)]
            found.append(
                Check(
                    "each employee has an owner"
                    + (
                        f" (not: {', '.join(without[:5])}{' ...' if len(without) > 5 else ''})"
                        if without
                        else ""
                    ),
                    not without,
                    "trunkline hubspot map",
                )
            )
        if connection.push_recordings:
            row = await self._db.fetch_one(_LINKS, {"account_id": self._account_id})
            found += [
                Check(
                    "recordings have an https address",
                    public_url is not None and public_url.startswith("https://"),
                    "set web.public_url to the https address of this PBX",
                ),
                Check(
                    "recordings play without a token",
                    row is not None and row["open_recording_links"],
                    "trunkline account recording-links on, or trunkline hubspot set push_recordings off",
                ),
            ]
        found.append(
            Check(f"no problem{f' ({connection.problem})' if connection.problem else ''}",
                  connection.problem is None, "trunkline hubspot connect")
        )  # fmt: skip
        return found

    async def matches(self) -> list[Match]:
        """The owner of each active employee, or a proposal by mail address and name."""
        connection = await self._connections.get(self._account_id)
        owners = await self.owners(connection)
        async with self._db.connection() as conn:
            rows = await read_owners(conn, self._account_id)
        people = [
            Employee(row["employee_id"], row["full_name"], row["email"], row["hubspot_owner_id"] or None)
            for row in rows
        ]
        return matches(people, owners)

    async def owners(self, connection: Connection) -> list[Owner]:
        """Owners of the portal."""
        return [owner_from(row) for row in await self._client.owners(connection)]

    async def accept(self, proposals: Sequence[Match]) -> int:
        """Set the proposed owners; how many employees were changed."""
        chosen = {
            one.employee.employee_id: one.owner_id
            for one in proposals
            if one.owner_id is not None and one.why in ("email", "name")
        }
        async with self._db.connection() as conn:
            return await set_owners(conn, self._account_id, chosen)

    async def set_owner(self, employee_id: int, owner_id: str) -> None:
        """Set the owner of an employee.

        :param owner_id: empty: none.
        :raises InvalidInput: no such employee or owner.
        """
        connection = await self._connections.get(self._account_id)
        owners = await self.owners(connection)
        if owner_id and owner_id not in {one.owner_id for one in owners}:
            listed = ", ".join(f"{one.owner_id} {one.email}" for one in owners[:50])
            raise InvalidInput(f"The portal has no owner {owner_id}; it has: {listed}.", field="owner")
        async with self._db.connection() as conn:
            rows = await read_owners(conn, self._account_id)
            if employee_id not in {row["employee_id"] for row in rows}:
                raise InvalidInput(f"There is no active employee {employee_id}.", field="employee")
            await set_owners(conn, self._account_id, {employee_id: owner_id})


async def _checked(what: str, request: Any, remedy: str) -> Check:
    try:
        await request
    except HubSpotError as error:
        return Check(f"{what}: {error.message}", False, remedy)
    return Check(what, True, remedy)
