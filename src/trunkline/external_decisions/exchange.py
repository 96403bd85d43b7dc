"""Asks other systems about calls: one request each, bounded in time, size and number.

The requests run on an event loop of their own, in a thread: a name server that does not answer, a slow TLS handshake or a
large reply of one account delays no call of another one.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from trunkline.core import log
from trunkline.core.concurrency_limit import ConcurrencyLimit
from trunkline.core.errors import InvalidInput, LimitExceeded, Unavailable
from trunkline.core.settings import ExternalDecisionSettings
from trunkline.core.storable_text import storable
from trunkline.directory.media.spoken import SpokenTexts
from trunkline.directory.model import Account, MediaKind
from trunkline.external_decisions import reply
from trunkline.external_decisions.reply import InvalidReply, Reply, Said
from trunkline.external_decisions.request import shown, with_query
from trunkline.outbound import Allowed, guarded_session, requests_of

_log = log.get_logger("external_decisions")

AT_ONCE, AT_ONCE_OF_ACCOUNT = 100, 10
"""Requests under way; others of the account wait, within the time of the operation."""

_WAITING = 100
_EXCERPT = 500
"""Characters of a reply that are kept with the call."""


class Failed(Exception):  # noqa: N818 - reads as what it is
    """There is no usable reply.

    :ivar why: ``timeout``, ``no_connection``, ``bad_status``, ``invalid_reply`` or ``too_many_requests``.
    """

    def __init__(self, why: str, text: str, *, status: int | None = None, excerpt: str = "") -> None:
        super().__init__(text)
        self.why = why
        self.status = status
        self.excerpt = excerpt


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    body: bytes


class DecisionExchange:
    """The executor of questions to other systems. Start it before the first, close it at the end.

    :param allowed: addresses that may be reached.
    :param account: the directory of an account now; None: it is gone.
    :param spoken: reads texts of replies out; None: they cannot be read.
    :param trust: certification authorities; None: those of the system.
    """

    def __init__(
        self,
        allowed: Allowed,
        account: Callable[[int], Account | None],
        spoken: SpokenTexts | None,
        *,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._account = account
        self._spoken = spoken
        self._trust = trust
        self._turns = ConcurrencyLimit(
            "decisions of other systems",
            total=AT_ONCE,
            per_account=AT_ONCE_OF_ACCOUNT,
            queue=_WAITING,
            wait=60.0,
        )
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="decisions", daemon=True)
        self._session: aiohttp.ClientSession | None = None

    def start(self) -> None:
        self._thread.start()

    async def close(self) -> None:
        """End all requests; what asked them gets no answer."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), self._loop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    async def ask(self, account_id: int, data: Mapping[str, Any]) -> dict[str, Any]:
        """Ask, and find the sounds that the reply names.

        :param data: ``url``, ``method`` (GET, POST), ``parameters`` (name: text), ``seconds`` (for the reply),
            ``call_session_id``, ``language`` (BCP 47, of texts).
        :return: JSON values: ``codes``, ``files`` and ``employee_files`` (paths without extension), ``phones``, ``missing``
            (names of files that the account does not have), ``status``, ``milliseconds``, ``reply`` (its beginning), or
            ``failed`` (why) and ``error`` instead of the first five.
        """
        started = time.monotonic()
        found: dict[str, Any]
        try:
            async with asyncio.timeout(data["seconds"]), self._turns.place(account_id):
                response = await self._request(account_id, data)
                found = await self._understood(account_id, response, data["language"])
        except Failed as failed:
            found = {
                "failed": failed.why,
                "error": str(failed),
                "status": failed.status,
                "reply": failed.excerpt,
            }
        except LimitExceeded as error:
            found = {"failed": "too_many_requests", "error": str(error)}
        except TimeoutError:
            found = {"failed": "timeout", "error": f"no answer within {data['seconds']:g} s"}
        if "error" in found:
            found["error"] = storable(found["error"])
        found["milliseconds"] = round((time.monotonic() - started) * 1000)
        _note(account_id, data, found)
        return found

    # --- the request, on the other loop

    async def _request(self, account_id: int, data: Mapping[str, Any]) -> _Response:
        asked = asyncio.run_coroutine_threadsafe(self._exchange(account_id, data), self._loop)
        try:
            outcome = await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            asked.cancel()
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _exchange(self, account_id: int, data: Mapping[str, Any]) -> _Response | Failed | TimeoutError:
        """A value in each case: who asked may have stopped waiting, and asyncio logs each exception that nobody takes."""
        try:
            with requests_of(account_id):
                return await self._response(data)
        except (Failed, TimeoutError) as error:
            return error

    async def _response(self, data: Mapping[str, Any]) -> _Response:
        try:
            is_get = data["method"] == "GET"
            url = URL(with_query(data["url"], data["parameters"]) if is_get else data["url"])
            self._allowed.check_url(url)
            async with self._open().request(
                data["method"],
                url,
                data=None if is_get else data["parameters"],
                headers={"Accept": "application/json"},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=data["seconds"]),
            ) as response:
                body = await response.content.read(reply.REPLY_MAX + 1)
                while len(body) <= reply.REPLY_MAX and (more := await response.content.read(reply.REPLY_MAX)):
                    body += more
                return _Response(response.status, body)
        except TimeoutError:
            raise
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Failed("no_connection", _reason(error)) from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = guarded_session(
                self._allowed, timeout=aiohttp.ClientTimeout(total=None), trust=self._trust
            )
        return self._session

    async def _end(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    # --- the reply

    async def _understood(self, account_id: int, response: _Response, language: str) -> dict[str, Any]:
        excerpt = storable(response.body[: 4 * _EXCERPT].decode("utf-8", "replace"))[:_EXCERPT]
        if response.status != 200:
            text = f"HTTP {response.status}; only the status 200 is a reply"
            raise Failed("bad_status", text, status=response.status, excerpt=excerpt)
        try:
            read = reply.parse(response.body)
        except InvalidReply as error:
            raise Failed("invalid_reply", str(error), status=response.status, excerpt=excerpt) from None
        missing: list[str] = []
        files = await self._sound(account_id, read.message, language, missing)
        employee_files = await self._sound(account_id, read.employee_message, language, missing)
        if _has_nothing_left(read, files):
            text = f"the account has no media file {', '.join(missing)}"
            raise Failed("invalid_reply", text, status=response.status, excerpt=excerpt)
        return {
            "codes": list(read.codes),
            "files": files,
            "phones": list(read.phones),
            "employee_files": employee_files,
            "missing": missing,
            "status": response.status,
            "reply": excerpt,
        }

    async def _sound(self, account_id: int, said: Said, language: str, missing: list[str]) -> list[str]:
        """The file of a message, as a list of none or one; what cannot be played is noted in ``missing``."""
        account = self._account(account_id)
        if said.name is not None and account is not None:
            own = [media for media in account.media.values() if media.kind is MediaKind.USER]
            for media in own:
                if said.name in (media.name, media.key):
                    return [str(media.path)]
        if said.text is not None and self._spoken is not None:
            try:
                return [await self._spoken.file_of(said.text, language, account_id=account_id)]
            except (InvalidInput, Unavailable, LimitExceeded) as error:
                missing.append(str(error))
                return []
        if said:
            missing.append(said.name or said.text or "")
        return []


def _reason(error: Exception) -> str:
    """Why there was no response, without the URL, which may have keys: texts of the client library have it as a whole."""
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, OSError):
        return f"{type(inner).__name__}: {inner}"[:300]
    if isinstance(inner, aiohttp.ClientResponseError):
        return f"{type(inner).__name__}: the response is no HTTP, or its head is too long"
    if isinstance(inner, aiohttp.ClientError):
        return f"{type(inner).__name__}: the connection or the address does not work"
    return f"{type(inner).__name__}: the address cannot be read"


def _note(account_id: int, data: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    fields = {
        "call_session_id": data["call_session_id"],
        "account_id": account_id,
        "url": shown(data["url"]),
        "status": found.get("status"),
        "milliseconds": found["milliseconds"],
    }
    if "failed" in found:
        _log.warning(
            "external_decision_failed",
            failed=found["failed"],
            error=found["error"],
            consequence="the call goes on with otherwise",
            **fields,
        )
    else:
        _log.info("external_decision", missing=found["missing"], **fields)


def _has_nothing_left(read: Reply, files: list[str]) -> bool:
    return not (read.codes or read.phones or files)


@asynccontextmanager
async def exchanging_decisions(
    settings: ExternalDecisionSettings,
    account: Callable[[int], Account | None],
    spoken: SpokenTexts | None,
    closed_ports: Collection[int] = (),
) -> AsyncIterator[DecisionExchange]:
    """An exchange for the time of the block.

    :param closed_ports: ports on loopback that no request may reach.
    """
    trust: ssl.SSLContext | None = None
    if settings.trusted_certificates is not None:
        trust = ssl.create_default_context()
        trust.load_verify_locations(settings.trusted_certificates)
    allowed = Allowed(
        settings.allowed_private_networks, "external_decisions.allowed_private_networks", closed_ports
    )
    exchange = DecisionExchange(allowed, account, spoken, trust=trust)
    exchange.start()
    try:
        yield exchange
    finally:
        await exchange.close()
