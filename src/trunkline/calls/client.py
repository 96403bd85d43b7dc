"""The way from the other processes to the switch that owns a call."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from trunkline.core import errors
from trunkline.core.errors import SwitchInterrupted, SwitchUnavailable, TrunklineError

PATIENCE_SECONDS = 5.0
"""How long a command waits for a switch that is being restarted."""

ANSWER_SECONDS = 10.0
_RETRY_SECONDS = 0.1

_RESULT = b'{"result":'
"""How the switch's answer begins unless it is an error."""

REPEATABLE = frozenset({"release_call", "list_calls", "list_talk_options"})
"""Commands that may be sent again when the answer was lost: doing them twice changes nothing."""


class SwitchClient:
    """Sends commands to the switch of this instance's node; an async context manager.

    :param url: of the control door, ``http://127.0.0.1:8070``.
    :param token: ``control.token`` of the instance.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers=self._headers, timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=1.0)
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
        said = await self._done(account_id, name, params, request_id)
        try:
            result: dict[str, Any] = orjson.loads(said)["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise _interrupted() from error
        return result

    async def command_json(
        self, account_id: int, name: str, params: dict[str, Any], *, request_id: str = ""
    ) -> bytes:
        """As :meth:`command`, with the result as JSON: who only passes it on need not read it."""
        said = await self._done(account_id, name, params, request_id)
        return said[len(_RESULT) : -1]

    async def _done(self, account_id: int, name: str, params: dict[str, Any], request_id: str) -> bytes:
        """The switch's ``{"result": ...}``."""
        body = orjson.dumps(
            {"name": name, "account_id": account_id, "params": params, "request_id": request_id}
        )
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            try:
                return await self._send(body)
            except aiohttp.ClientConnectorError as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise SwitchUnavailable(
                        "The telephone switch does not answer; nothing was done. Try again in a few seconds."
                    ) from error
            except (aiohttp.ClientError, TimeoutError) as error:
                if name not in REPEATABLE or asyncio.get_running_loop().time() > deadline:
                    raise _interrupted() from error
            await asyncio.sleep(_RETRY_SECONDS)

    async def status(self) -> dict[str, Any]:
        """Figures of the switch, see :meth:`trunkline.calls.switch.Switch.status`."""
        async with self._open().get(f"{self._url}/status") as response:
            found: dict[str, Any] = orjson.loads(await response.read())["result"]
            return found

    async def rows_left_out(self, account_id: int) -> list[dict[str, Any]]:
        """Rows of an account that cannot be part of the engine's configuration: ``account_id``, ``entity``, ``id``,
        ``name``, ``reason``."""
        async with self._open().get(f"{self._url}/directory/{account_id}") as response:
            found: list[dict[str, Any]] = orjson.loads(await response.read())["result"]["rows_left_out"]
            return found

    async def directory_fingerprint(self, account_id: int) -> str | None:
        """Of what the switch knows of an account, see :mod:`trunkline.directory.fingerprint`."""
        async with self._open().get(f"{self._url}/directory/{account_id}") as response:
            found: str | None = orjson.loads(await response.read())["result"]["fingerprint"]
            return found

    async def _send(self, body: bytes) -> bytes:
        async with self._open().post(f"{self._url}/command", data=body) as response:
            said = await response.read()
        if said.startswith(_RESULT) and said.endswith(b"}"):
            return said
        try:
            error = orjson.loads(said)["error"]
        except (ValueError, KeyError, TypeError) as unread:
            raise aiohttp.ClientPayloadError("the switch's answer is not one of ours") from unread
        raise _raised(error)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use the client as an async context manager")
        return self._session


def _interrupted() -> SwitchInterrupted:
    return SwitchInterrupted(
        "The telephone switch was interrupted; the command may have been carried out."
        " Look at list.calls before you try again."
    )


def _raised(told: dict[str, Any]) -> TrunklineError:
    kind = getattr(errors, str(told.get("kind")), TrunklineError)
    if not (isinstance(kind, type) and issubclass(kind, TrunklineError)):
        kind = TrunklineError
    return kind(
        told.get("message") or "the switch failed; see its log",
        mnemonic=told.get("mnemonic"),
        field=told.get("field"),
        value=told.get("value"),
        params=told.get("params"),
    )
