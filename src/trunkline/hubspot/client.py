"""Requests to HubSpot: one at a time in its place within the limits, with a valid token, to addresses that are allowed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import orjson
from yarl import URL

from trunkline.core.settings import HubSpotSettings
from trunkline.hubspot import api
from trunkline.hubspot.api import ObjectKind
from trunkline.hubspot.connections import App, Connection, Connections, Token, valid_until
from trunkline.hubspot.limits import Limits
from trunkline.hubspot.responses import (
    ConnectionProblem,
    OutcomeUnknown,
    RequestRefused,
    TokenExpired,
    TryLater,
    error_of,
    grant_error,
)
from trunkline.outbound import Allowed, ForbiddenAddress, guarded_session

_READ_LIMIT = 2_000_000
"""Bytes of a response: a hundred contacts have a tenth of it. The worker has those of all accounts in its memory."""
SEARCH_PAGES = 10
"""Of one search; what is on further ones is not read."""
_OWNER_PAGES = 50
"""Bytes of a response."""

_NOT_REACHED_PAUSE = 5.0


class Client:
    """Close it at the end.

    :param allowed: addresses that may be reached.
    """

    def __init__(
        self, settings: HubSpotSettings, connections: Connections, limits: Limits, allowed: Allowed
    ) -> None:
        self._settings = settings
        self._connections = connections
        self._limits = limits
        self._allowed = allowed
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    # --- objects

    async def create(
        self,
        connection: Connection,
        kind: ObjectKind,
        properties: Mapping[str, str],
        associations: Sequence[Any],
    ) -> str:
        """Create an object; its id.

        :raises OutcomeUnknown: it may be there.
        """
        body = {"properties": dict(properties), "associations": list(associations)}
        made = await self._request(connection, "POST", kind.path, body)
        if not isinstance(made, dict) or not made.get("id"):
            raise OutcomeUnknown("the response has no id")
        return str(made["id"])

    async def update(
        self, connection: Connection, kind: ObjectKind, object_id: str, properties: Mapping[str, str]
    ) -> None:
        """Change properties of an object."""
        await self._request(connection, "PATCH", f"{kind.path}/{object_id}", {"properties": dict(properties)})

    async def archive(self, connection: Connection, kind: ObjectKind, object_id: str) -> None:
        """Delete an object; a person can restore it for 90 days."""
        await self._request(connection, "DELETE", f"{kind.path}/{object_id}")

    async def associate(
        self, connection: Connection, kind: ObjectKind, object_id: str, contact_id: str
    ) -> None:
        """Associate a call or task with a contact; nothing changes when it is already."""
        await self._request(connection, "PUT", api.association_path(kind, object_id, contact_id))

    async def get(
        self, connection: Connection, kind: ObjectKind, object_id: str, properties: Sequence[str]
    ) -> dict[str, Any]:
        """One object.

        :raises NotThere: it was deleted.
        """
        path = f"{kind.path}/{object_id}"
        found = await self._request(connection, "GET", path, query={"properties": ",".join(properties)})
        return dict(found)

    async def read(
        self, connection: Connection, kind: ObjectKind, ids: Sequence[str], properties: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Objects by their ids; those that are not there are left out."""
        found: list[dict[str, Any]] = []
        for at in range(0, len(ids), api.BATCH):
            body = {
                "inputs": [{"id": one} for one in ids[at : at + api.BATCH]],
                "properties": list(properties),
            }
            response = await self._request(connection, "POST", f"{kind.path}/batch/read", body)
            found += response.get("results") or []
        return found

    async def search(
        self, connection: Connection, kind: ObjectKind, body: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The results of a search, of the first :data:`SEARCH_PAGES` pages.

        New objects are missing for some seconds, and deleted ones may be among them.
        """
        found: list[dict[str, Any]] = []
        after: str | None = None
        for _ in range(SEARCH_PAGES):
            response = await self.search_page(
                connection, kind, {**body, **({"after": after} if after else {})}
            )
            found += response.get("results") or []
            after = ((response.get("paging") or {}).get("next") or {}).get("after")
            if not after:
                break
        return found

    async def search_page(
        self, connection: Connection, kind: ObjectKind, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        """One page of a search: ``results``, ``paging``."""
        return dict(await self._request(connection, "POST", f"{kind.path}/search", body, is_search=True))

    async def contacts_of(
        self, connection: Connection, kind: ObjectKind, ids: Sequence[str]
    ) -> dict[str, frozenset[str]]:
        """Contacts with which objects are associated; those without any are left out."""
        found: dict[str, frozenset[str]] = {}
        for at in range(0, len(ids), api.BATCH):
            body = {"inputs": [{"id": one} for one in ids[at : at + api.BATCH]]}
            response = await self._request(connection, "POST", api.contacts_path(kind), body)
            for one in response.get("results") or []:
                contacts = frozenset(str(each["toObjectId"]) for each in one.get("to") or [])
                found[str(one["from"]["id"])] = contacts
        return found

    async def owners(self, connection: Connection) -> list[dict[str, Any]]:
        """All owners that are not archived."""
        found: list[dict[str, Any]] = []
        query = {"limit": "100", "archived": "false"}
        for _ in range(_OWNER_PAGES):
            response = await self._request(connection, "GET", api.OWNERS_PATH, query=query)
            found += response.get("results") or []
            after = ((response.get("paging") or {}).get("next") or {}).get("after")
            if not after:
                break
            query["after"] = str(after)
        return found

    # --- tokens

    async def portal_of(self, access_token: str) -> int:
        """The portal of a token.

        :raises ConnectionProblem: the token is not accepted, or the response is none of HubSpot.
        """
        status, headers, found = await self._exchange("GET", api.DETAILS_PATH, token=access_token)
        error = grant_error(status, headers, found)
        if error is not None:
            raise error
        portal = found.get("portalId") if isinstance(found, dict) else None
        if not isinstance(portal, int):
            raise ConnectionProblem(
                f"the response of {self._settings.api_url} names no portal: check hubspot.api_url"
            )
        return portal

    async def grant(self, app: App, code: str, redirect_uri: str) -> Token:
        """A token for an authorisation code.

        :raises ConnectionProblem: the code, the app or the address is not accepted.
        """
        return await self._token(
            app, {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        )

    async def refresh(self, app: App, refresh_token: str) -> Token:
        """The next token.

        :raises ConnectionProblem: the app was uninstalled, or the grant is over.
        """
        return await self._token(app, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def _token(self, app: App, fields: Mapping[str, str]) -> Token:
        form = {**fields, "client_id": app.client_id, "client_secret": app.client_secret}
        began = time.time()
        status, headers, found = await self._exchange("POST", api.TOKEN_PATH, form=form)
        error = grant_error(status, headers, found)
        if error is not None:
            raise error
        if not isinstance(found, dict) or not found.get("access_token"):
            raise OutcomeUnknown("the response has no access_token")
        return Token(
            str(found["access_token"]),
            valid_until(began, float(found.get("expires_in") or 1800)),
            found.get("refresh_token"),
        )

    # --- one request

    async def _request(
        self,
        connection: Connection,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        is_search: bool = False,
    ) -> Any:
        account_id, portal_id = connection.account_id, connection.portal_id
        refused: str | None = None
        while True:
            token = await self._connections.token(account_id, self.refresh, refused=refused)
            await self._limits.turn(portal_id, is_search=is_search)
            status, headers, found = await self._exchange(method, path, body=body, query=query, token=token)
            error = error_of(status, headers, found, is_search=is_search)
            if isinstance(error, TryLater) and error.is_of_portal:
                await self._limits.block(portal_id, error.seconds, is_search=is_search)
            if isinstance(error, TokenExpired) and refused is None:
                refused = token
                continue
            if error is not None:
                raise error
            return found

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        form: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers in lower case, JSON of the response (None: it has none).

        :raises TryLater: HubSpot was not reached, so nothing was sent.
        :raises OutcomeUnknown: the connection ended, or there was no response in time.
        :raises RequestRefused: the response is longer than :data:`_READ_LIMIT`.
        """
        url = URL(self._settings.api_url + path).with_query(query or {})
        headers = {"Accept": "application/json"}
        options: dict[str, Any] = {}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if form is not None:
            options["data"] = dict(form)
        elif body is not None:
            headers["Content-Type"] = "application/json"
            options["data"] = orjson.dumps(body)
        try:
            self._allowed.check_url(url)
        except ForbiddenAddress as error:
            raise ConnectionProblem(str(error)) from error
        try:
            async with self._open().request(
                method, url, headers=headers, allow_redirects=False, **options
            ) as response:
                raw = await response.content.read(_READ_LIMIT)
                while chunk := await response.content.read(_READ_LIMIT - len(raw)):
                    raw += chunk
                if len(raw) >= _READ_LIMIT:
                    raise RequestRefused(f"the response of {path} has more than {_READ_LIMIT} bytes")
                names = {name.lower(): value for name, value in response.headers.items()}
                return response.status, names, _json(raw)
        except aiohttp.ClientConnectorError as error:
            raise TryLater(f"HubSpot is not reached: {error}", _NOT_REACHED_PAUSE) from error
        except TimeoutError as error:
            raise OutcomeUnknown(f"no response within {self._settings.timeout:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise OutcomeUnknown(f"{type(error).__name__}: {error}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = guarded_session(
                self._allowed,
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout, sock_connect=10.0),
            )
        return self._session


def _json(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
