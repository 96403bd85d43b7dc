"""Asterisk's REST interface: commands over pooled HTTP, events over one websocket.

The reader task only reads, parses and enqueues; a slow consumer never makes Asterisk wait (it drops a
websocket that does not take a write in time). Losing the websocket loses events, so the stream yields
:class:`Connected` and :class:`Disconnected`, and a consumer that tracks calls must survey them again
after each :class:`Connected`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
import orjson

from trunkline.core.clock import Instant
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task
from trunkline.telephony.ari_events import AriEvent, parse_event
from trunkline.telephony.bad_messages import BadMessages
from trunkline.telephony.http_pool import HttpError, HttpPool, HttpTimeout
from trunkline.telephony.queue_alarm import QueueAlarm

_FIRST_RETRY = 0.1
_LAST_RETRY = 2.0
_HEARTBEAT = 20.0
_TIMEOUT = 5.0
_HANDSHAKE_SECONDS = 5.0


class AriError(Exception):
    """Asterisk refused a command or did not respond.

    :ivar status: HTTP status; 0 when there was no response at all. 404 and 409 are normal in races: the channel
        is gone, or no longer where the command needs it.
    :ivar timed_out: no response in time; the command may still be carried out.
    """

    def __init__(self, status: int, message: str, *, timed_out: bool = False) -> None:
        super().__init__(f"{status}: {message}" if status else message)
        self.status = status
        self.timed_out = timed_out


@dataclass(frozen=True, slots=True)
class AriAddress:
    """Where Asterisk serves ARI and who we are there."""

    port: int
    user: str
    password: str
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Connected:
    """The event stream is open (again)."""

    at: Instant


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The event stream broke; events are lost until the next :class:`Connected`."""

    at: Instant


AriSignal = Connected | Disconnected | AriEvent


class AriClient:
    """A client of one Stasis application, to be used as an async context manager.

    :param app: name of the application; only one client of a name may be connected at a time.
    :param only: event types wanted; None for all. Filtering in Asterisk reduces its load.
    :param subscribe_all: also receive events of channels outside the application.
    :param connections: most commands under way at once.
    :param bad: counts the messages that cannot be read.
    :param timeout: seconds that Asterisk may take for a command.
    """

    def __init__(
        self,
        address: AriAddress,
        app: str,
        *,
        only: Iterable[str] | None = None,
        subscribe_all: bool = False,
        connections: int = 64,
        bad: BadMessages | None = None,
        timeout: float = _TIMEOUT,
    ) -> None:
        self._base = f"http://{address.host}:{address.port}/ari"
        self._authorization = aiohttp.encode_basic_auth(address.user, address.password)
        self._http = HttpPool(address.host, address.port, self._authorization, connections, timeout)
        self.app = app
        self._only = None if only is None else sorted(only)
        self._subscribe_all = subscribe_all
        self._queue: asyncio.Queue[AriSignal] = asyncio.Queue()
        self._alarm = QueueAlarm("ari_events_pile_up")
        self._bad = bad or BadMessages()
        self._log = get_logger("telephony")
        self._up = asyncio.Event()
        self._was_up = False
        self._dropped = asyncio.Event()
        self._session: aiohttp.ClientSession | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers={"Authorization": self._authorization})
        self._reader = core_task(self._read_for_ever(), name=f"ari-{self.app}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        if self._session:
            await self._session.close()
        self._http.close()

    async def wait_up(self, timeout: float = 30.0) -> None:
        """Return once the event stream is open; :class:`TimeoutError` after ``timeout`` seconds."""
        await asyncio.wait_for(self._up.wait(), timeout)

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    async def events(self) -> AsyncIterator[AriSignal]:
        """Every event in order, for ever. One consumer only."""
        while True:
            yield await self._queue.get()

    async def request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None = None,
        body: Any = None,
        timeout: float | None = None,
    ) -> Any:
        """One command; the decoded answer, None when it is empty. :class:`AriError` otherwise.

        :param path: below ``/ari``, its variable parts quoted with :func:`segment`.
        :param timeout: seconds that Asterisk may take; None = the usual ones.
        """
        data = orjson.dumps(body) if body is not None else None
        try:
            status, raw = await self._http.request(method, f"/ari{path}", params, data, timeout)
        except HttpError as error:
            raise AriError(
                0,
                f"Asterisk does not answer {method} {path}: {error}",
                timed_out=isinstance(error, HttpTimeout),
            ) from error
        if status >= 400:
            raise AriError(status, _message_of(raw))
        try:
            return orjson.loads(raw) if raw else None
        except orjson.JSONDecodeError as error:
            self._bad.add("ari", raw, error)
            raise AriError(0, f"the response of Asterisk to {method} {path} is not JSON") from error

    async def get(self, path: str, **params: str | int) -> Any:
        return await self.request("GET", path, params)

    async def post(self, path: str, body: Any = None, **params: str | int) -> Any:
        return await self.request("POST", path, params, body)

    async def put(self, path: str, body: Any = None, **params: str | int) -> Any:
        return await self.request("PUT", path, params, body)

    async def delete(self, path: str, **params: str | int) -> Any:
        return await self.request("DELETE", path, params)

    def reconnect(self, reason: str) -> None:
        """Drop the event stream and the pooled connections, and reconnect at once."""
        self._log.warning(
            "ari_reconnecting",
            reason=reason,
            consequence="the connection is closed and opened again, and the calls are compared; they continue",
        )
        self._http.close()
        self._up.clear()  # at once: who waits for a connection waits for the next one
        self._dropped.set()

    async def _read_for_ever(self) -> None:
        pause = _FIRST_RETRY
        while True:
            self._dropped.clear()
            try:
                await self._read_until_dropped()
                pause = _FIRST_RETRY
            except (aiohttp.ClientError, OSError, TimeoutError, AriError) as error:
                self._log.debug("ari_not_connected", error=str(error))
            if self._was_up:
                self._was_up = False
                self._up.clear()
                pause = _FIRST_RETRY
                self._http.close()  # what broke the event stream broke the pooled connections too
                self._enqueue(Disconnected(_now()))
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_RETRY)

    async def _read_until_dropped(self) -> None:
        """Read the event stream until it breaks or :meth:`reconnect` is called."""
        reading = asyncio.ensure_future(self._read_once())
        dropped = asyncio.ensure_future(self._dropped.wait())
        try:
            await asyncio.wait({reading, dropped}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            for task in (reading, dropped):
                task.cancel()
            await asyncio.gather(reading, dropped, return_exceptions=True)

    async def _read_once(self) -> None:
        socket = await self._open_stream()
        try:
            self._was_up = True
            self._up.set()
            self._enqueue(Connected(_now()))
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(message.data)
                else:
                    self._bad.add("ari", message.data, f"a message of type {message.type.name}")
        finally:
            await socket.close()

    async def _open_stream(self) -> aiohttp.ClientWebSocketResponse:
        """Connect within ``_HANDSHAKE_SECONDS``: a peer that accepts a connection may never respond."""
        assert self._session is not None
        params = {"app": self.app, "subscribeAll": str(self._subscribe_all).lower()}
        async with asyncio.timeout(_HANDSHAKE_SECONDS):
            socket = await self._session.ws_connect(
                f"{self._base}/events",
                params=params,
                heartbeat=_HEARTBEAT,
                max_msg_size=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
            try:
                if self._only is not None:
                    allowed = [{"type": name} for name in self._only]
                    await self.put(f"/applications/{segment(self.app)}/eventFilter", {"allowed": allowed})
            except BaseException:
                await socket.close()
                raise
        return socket

    def _take(self, text: str) -> None:
        """One message of the event stream; one that cannot be read concerns only itself."""
        try:
            event = parse_event(orjson.loads(text))
        except Exception as error:
            self._bad.add("ari", text, error)
            return
        if event is not None:
            self._enqueue(event)

    def _enqueue(self, signal: AriSignal) -> None:
        self._queue.put_nowait(signal)
        self._alarm.check(self._queue.qsize())


def segment(text: str) -> str:
    """A value as one segment of a path."""
    return quote(text, safe="")


def _now() -> Instant:
    return Instant(time.time())


def _message_of(raw: bytes) -> str:
    try:
        decoded = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode(errors="replace")[:200]
    if not isinstance(decoded, dict):
        return str(decoded)[:200]
    return str(decoded.get("message") or decoded.get("error") or decoded)
