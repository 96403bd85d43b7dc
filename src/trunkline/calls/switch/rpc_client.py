"""Sends commands from the other processes to the switch that owns a call.

A command about a call goes to the node whose number is in the call's id, at the address in the node's lease. Other commands
go to the node of this instance's settings or, if the lease of that node is over, to the first live node. Lists of calls
come from all live nodes. The row of a lease stays when the lease is over: it has the position from which the node's next
switch continues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
import psycopg

from trunkline.calls.command_names import CHECK
from trunkline.core import errors
from trunkline.core.errors import (
    DatabaseUnavailable,
    LeaseLost,
    SwitchInterrupted,
    SwitchUnavailable,
    TrunklineError,
)
from trunkline.core.ids import node_of
from trunkline.core.log import get_logger
from trunkline.db.pool import Database

ROUTE_TIMEOUT_SECONDS = 5.0
"""How long a command waits for a switch that is being restarted."""

ANSWER_SECONDS = 10.0
CONNECT_SECONDS = 1.0
"""For a connection, also when the switch accepts none because it is busy."""
_RETRY_SECONDS = 0.1

_log = get_logger("calls")

_RESULT = b'{"result":'
"""How the switch's answer begins unless it is an error."""

_NOT_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
)
"""Errors of the HTTP client with which no byte of the request has left."""

LISTS = frozenset({"list_calls", "list_agent_calls", "list_calls_in_progress"})
"""Commands whose result is a list of calls of all nodes."""

REPEATABLE = frozenset(
    {
        CHECK,
        "release_call",
        "list_talk_options",
        "wait_for_agent",
        "set_agent_status",
        "set_agent_state",
        "set_agent_wrap_up",
        "list_agents",
        "list_queues",
        "list_queues_live",
        "site_state",
        *LISTS,
    }
)
"""Commands that may be sent again when the answer was lost: a repetition has the same result, up to its time."""


LEASES_SECONDS = 1.0
"""Maximum age of the cached leases; after a failed connection they are read again."""


@dataclass(frozen=True, slots=True)
class _Node:
    url: str
    is_live: bool


class _Unreachable(SwitchUnavailable):
    """There is no connection, so nothing was done."""


class _Broken(SwitchInterrupted):
    """The request was sent, or a part of it, and there is no response that can be read."""


class _Leases:
    """Which nodes there are, and where."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._nodes: dict[int, _Node] = {}
        self._read_at = 0.0

    async def nodes(self, *, anew: bool = False) -> dict[int, _Node]:
        """By node number; while the database is unavailable, the result of the last read."""
        now = asyncio.get_running_loop().time()
        if anew or not self._nodes or now - self._read_at > LEASES_SECONDS:
            try:
                rows = await self._db.fetch_all(
                    "select node, control_url, expires_at > now() as is_live from switch_leases order by node"
                )
            except (DatabaseUnavailable, psycopg.Error):
                return self._nodes
            self._nodes = {row["node"]: _Node(row["control_url"], row["is_live"]) for row in rows}
            self._read_at = now
        return self._nodes


class SwitchClient:
    """Sends commands to switches; an async context manager.

    :param url: of this instance's own node, ``http://127.0.0.1:8070``; for all commands where ``db`` is None.
    :param token: ``control.token`` of the instance.
    :param db: with the leases.
    :param node: of this instance.
    """

    def __init__(self, url: str, token: str, db: Database | None = None, node: int = 0) -> None:
        self._url = url
        self._node = node
        self._leases = _Leases(db) if db is not None else None
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def command(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> dict[str, Any]:
        """Have a command done.

        :raises TrunklineError: what the switch refuses, as the switch raised it.
        :raises SwitchUnavailable: no switch answers; the command was not done. Its kind
            :class:`SwitchInterrupted`: the connection broke while the switch worked, it may have been done.
        """
        response_body = await self._done(account_id, name, params, request_id)
        try:
            result: dict[str, Any] = orjson.loads(response_body)["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise _interrupted() from error
        return result

    async def command_json(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> bytes:
        """As :meth:`command`, with the result as JSON: who only passes it on need not read it."""
        response_body = await self._done(account_id, name, params, request_id)
        return response_body[len(_RESULT) : -1]

    async def _done(self, account_id: int, name: str, params: dict[str, Any], request_id: str) -> bytes:
        """The switch's ``{"result": ...}``."""
        body = orjson.dumps(
            {"name": name, "account_id": account_id, "params": params, "request_id": request_id}
        )
        if self._leases is not None and name in LISTS:
            nodes = await self._leases.nodes()
            live = [number for number, node in nodes.items() if node.is_live]
            if live:
                lists = await self._lists(live, name, body)
                calls = b",".join(found for one in lists if (found := one[len(_RESULT) + 1 : -2]))
                return _RESULT + b"[" + calls + b"]}"
        call_session_id = params.get("call_session_id")
        node = node_of(call_session_id) if isinstance(call_session_id, int) else None
        return await self._done_by(node, name, body)

    async def _lists(self, nodes: Sequence[int], name: str, body: bytes) -> list[bytes]:
        """The lists of the nodes that respond: a node that has ended has a lease for some more seconds.

        :raises SwitchUnavailable: none responds.
        """
        found = await asyncio.gather(
            *(self._done_by(number, name, body) for number in nodes), return_exceptions=True
        )
        lists = [one for one in found if isinstance(one, bytes)]
        for number, one in zip(nodes, found, strict=True):
            if isinstance(one, bytes):
                continue
            if not lists or not isinstance(one, SwitchUnavailable):
                raise one
            _log.warning(
                "calls_of_node_not_listed",
                node=number,
                error=one.message,
                consequence="list.calls returns the calls of the other nodes",
                remedy="see logs/switch.log of the node",
            )
        return lists

    async def _done_by(self, node: int | None, name: str, body: bytes) -> bytes:
        deadline = asyncio.get_running_loop().time() + ROUTE_TIMEOUT_SECONDS
        failed = False
        while True:
            url = await self._url_of(node, anew=failed)
            try:
                return await self._send(url, body)
            except (_Unreachable, LeaseLost) as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise SwitchUnavailable(
                        "The telephone switch does not answer; nothing was done. Try again in a few seconds."
                    ) from error
            except _Broken as error:
                if name not in REPEATABLE or asyncio.get_running_loop().time() > deadline:
                    raise _interrupted() from error
            failed = True
            await asyncio.sleep(_RETRY_SECONDS)

    async def _url_of(self, node: int | None, *, anew: bool) -> str:
        """URL of a node's switch; without a node, or for a call of an unknown node, that of this instance's own switch if it
        is live, else of the first one that is. It reports that the call does not exist."""
        if self._leases is None:
            return self._url
        nodes = await self._leases.nodes(anew=anew)
        found = nodes.get(node) if node is not None else None
        if found is None:
            own = nodes.get(self._node)
            live = (one for one in nodes.values() if one.is_live)
            found = own if own is not None and own.is_live else next(live, own)
        return found.url if found is not None else self._url

    async def status(self) -> dict[str, Any]:
        """Figures of the switch, see :meth:`trunkline.calls.switch.switch.Switch.status`.

        This and the following methods raise :class:`TrunklineError` as the switch raised it, and :class:`SwitchUnavailable`
        when nothing responds, or what responds at the address is not a switch of this version.
        """
        found: dict[str, Any] = await self._asked("GET", "/status")
        return found

    async def login_bans(self) -> list[dict[str, Any]]:
        """See :meth:`trunkline.calls.switch.login_guard.LoginGuard.listed`."""
        found: list[dict[str, Any]] = await self._asked("GET", "/bans", kind=list)
        return found

    async def lift_login_bans(self, ip: str | None, line: str | None) -> list[dict[str, Any]]:
        """See :meth:`trunkline.calls.switch.login_guard.LoginGuard.lift`."""
        found: list[dict[str, Any]] = await self._asked(
            "POST", "/bans/lift", {"ip": ip, "line": line}, kind=list
        )
        return found

    async def rows_left_out(self, account_id: int) -> list[dict[str, Any]]:
        """Rows of an account that cannot be part of the engine's configuration: ``account_id``, ``entity``, ``id``,
        ``name``, ``reason``."""
        directory = await self._asked("GET", f"/directory/{account_id}", fields=("rows_left_out",))
        found: list[dict[str, Any]] = directory["rows_left_out"]
        return found

    async def directory_fingerprint(self, account_id: int) -> str | None:
        """Of the switch's copy of an account, see :mod:`trunkline.directory.live.fingerprint`."""
        directory = await self._asked("GET", f"/directory/{account_id}", fields=("fingerprint",))
        found: str | None = directory["fingerprint"]
        return found

    async def directory(self, account_id: int) -> dict[str, Any]:
        """What the switch and Asterisk have of an account: ``fingerprint``, ``rows_left_out``, and of the configuration
        of all accounts ``applied`` (Asterisk has loaded it) and ``error`` (why not, of the last attempt)."""
        fields = ("fingerprint", "rows_left_out", "applied", "error")
        found: dict[str, Any] = await self._asked("GET", f"/directory/{account_id}", fields=fields)
        return found

    async def _asked(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        kind: type[dict[str, Any]] | type[list[Any]] = dict,
        fields: Sequence[str] = (),
    ) -> Any:
        """The ``result`` of a request to the switch of the settings.

        :param kind: type of the result.
        :param fields: what the result must contain.
        """
        data = orjson.dumps(body) if body is not None else None
        status, response_body = await self._exchange(method, f"{self._url}{path}", data)
        try:
            answer = orjson.loads(response_body)
            if "error" in answer:
                raise _raised(answer["error"])
            result = answer["result"]
            if not isinstance(result, kind) or any(field not in result for field in fields):
                raise ValueError("not the result of this request")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SwitchUnavailable(
                f"The response of {self._url}{path} (status {status}) is not one of a switch of this version;"
                " check which program has the port of switch.control_port"
            ) from error
        return result

    async def _send(self, url: str, body: bytes) -> bytes:
        _, response_body = await self._exchange("POST", f"{url}/command", body)
        if response_body.startswith(_RESULT) and response_body.endswith(b"}"):
            return response_body
        try:
            error = orjson.loads(response_body)["error"]
        except (ValueError, KeyError, TypeError) as unread:
            raise _Broken(
                "the response of the switch is not in the expected format; do web and switch have the same version?"
            ) from unread
        raise _raised(error)

    async def _exchange(self, method: str, url: str, body: bytes | None) -> tuple[int, bytes]:
        """Status and body. No error of the HTTP client leaves this method.

        :raises _Unreachable: nothing was sent.
        :raises _Broken: no response, or one that is not HTTP.
        """
        try:
            async with self._open().request(method, url, data=body, allow_redirects=False) as response:
                return response.status, await response.read()
        except _NOT_SENT as error:
            raise _Unreachable(f"the switch does not respond at {url} ({_reason(error)})") from error
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise _Broken(f"the switch at {url} sent no response ({_reason(error)})") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use the client as an async context manager")
        return self._session


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _interrupted() -> SwitchInterrupted:
    return SwitchInterrupted(
        "The telephone switch was interrupted; the command may have been carried out."
        " Look at list.calls before you try again."
    )


def _raised(body: dict[str, Any]) -> TrunklineError:
    kind = getattr(errors, str(body.get("kind")), TrunklineError)
    if not (isinstance(kind, type) and issubclass(kind, TrunklineError)):
        kind = TrunklineError
    return kind(
        body.get("message") or "the switch failed; see its log",
        mnemonic=body.get("mnemonic"),
        field=body.get("field"),
        value=body.get("value"),
        params=body.get("params"),
    )
