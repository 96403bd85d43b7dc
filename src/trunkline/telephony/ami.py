"""Asterisk's manager interface: registrations, security events, reloads and the double redirect.

One connection carries actions and events. Answers are matched by ``ActionID``; events that belong to no
action go to the queue. After a broken connection it logs in again by itself; actions under way fail.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from trunkline.core.clock import Instant
from trunkline.core.log import get_logger
from trunkline.core.response_timeout import ResponseTimeout
from trunkline.core.tasks import core_task
from trunkline.telephony.ami_framing import EVENTS, Framing, Header
from trunkline.telephony.bad_messages import BadMessages
from trunkline.telephony.http_pool import send
from trunkline.telephony.queue_alarm import QueueAlarm

_FIRST_RETRY = 0.1
_LAST_RETRY = 2.0
_TIMEOUT = 5.0
_HANDSHAKE_SECONDS = 5.0
_MESSAGE_MAX = 1 << 20
"""Bytes."""
_END = b"\r\n\r\n"
_LOGIN = "login"
"""Action id of the log-in; those of other actions are numbers."""
_NOT_CONNECTED = "Asterisk's manager interface is not connected"


class AmiError(Exception):
    """An action was refused, or Asterisk does not respond."""


class AmiNotConnected(AmiError):  # noqa: N818 - what happened
    """There is no connection, or it broke before the response.

    :ivar sent: the action had been sent, so it may have been carried out.
    """

    def __init__(self, message: str, *, sent: bool = False) -> None:
        super().__init__(message)
        self.sent = sent


class AmiTimeout(AmiError):  # noqa: N818 - what happened
    """No response in time: the action may still be carried out."""


@dataclass(frozen=True, slots=True)
class AmiAddress:
    """Where Asterisk serves AMI and who we are there."""

    port: int
    user: str
    secret: str
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class AmiUp:
    """Logged in (again)."""

    at: Instant


@dataclass(frozen=True, slots=True)
class AmiDown:
    at: Instant


@dataclass(frozen=True, slots=True)
class AmiMessage:
    """A response or event: its headers as they came; a header that comes twice keeps all its values."""

    headers: Sequence[tuple[str, str]]
    at: Instant

    def get(self, name: str, default: str = "") -> str:
        """First value of a header, case-insensitive."""
        wanted, length = name.lower(), len(name)
        for key, value in self.headers:
            if len(key) == length and key.lower() == wanted:
                return value
        return default

    def all(self, name: str) -> list[str]:
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]

    @property
    def event(self) -> str:
        """Name of the event, "" for a response."""
        return self.get("Event")


AmiSignal = AmiUp | AmiDown | AmiMessage


@dataclass(slots=True)
class _Pending:
    done: asyncio.Future[AmiMessage]
    is_list: bool
    response: AmiMessage | None = None
    events: list[AmiMessage] = field(default_factory=list)


class AmiClient:
    """An AMI connection that reconnects automatically, to be used as an async context manager.

    :param bad: counts the messages that cannot be read.
    :param timeout: seconds that Asterisk may take for an action.
    :param queue_max: events that may wait for the consumer; the next ones are read later. None: no limit, as a connection
        with actions needs, whose responses come between the events.
    """

    def __init__(
        self,
        address: AmiAddress,
        bad: BadMessages | None = None,
        *,
        timeout: float = _TIMEOUT,
        queue_max: int | None = None,
    ) -> None:
        self._address = address
        self._queue_max = queue_max
        self._has_room = asyncio.Event()
        self._timeout = timeout
        self._bad = bad or BadMessages()
        self._framing = Framing(self._add_bad)
        self._queue: asyncio.Queue[AmiSignal] = asyncio.Queue()
        self._pending: dict[str, _Pending] = {}
        self._ids = itertools.count(1)
        self._up = asyncio.Event()
        self._was_up = False
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._alarm = QueueAlarm("ami_events_pile_up")
        self._log = get_logger("telephony")

    async def __aenter__(self) -> Self:
        self._task = core_task(self._run(), name="ami")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def wait_up(self, timeout: float = 30.0) -> None:
        """Return once logged in; :class:`TimeoutError` after ``timeout`` seconds."""
        await asyncio.wait_for(self._up.wait(), timeout)

    @property
    def is_up(self) -> bool:
        return self._up.is_set()

    async def events(self) -> AsyncIterator[AmiSignal]:
        """Every event that answers no action, in order, for ever. One consumer only."""
        while True:
            signal = await self._queue.get()
            if self._queue_max is not None and self._queue.qsize() <= self._queue_max // 2:
                self._has_room.set()
            yield signal

    async def action(self, name: str, headers: Mapping[str, str | Sequence[str]] | None = None) -> AmiMessage:
        """Perform an action; its response. :class:`AmiError` when Asterisk refuses it.

        A header with several values (``Variable``) is given as a sequence.
        """
        if not self._up.is_set():
            raise AmiNotConnected(_NOT_CONNECTED)
        return (await self._perform(name, headers or {}, is_list=False)).response or _nothing()

    async def listing(
        self, name: str, headers: Mapping[str, str | Sequence[str]] | None = None
    ) -> list[AmiMessage]:
        """Perform an action that answers with a list of events; the events without the closing one."""
        if not self._up.is_set():
            raise AmiNotConnected(_NOT_CONNECTED)
        return (await self._perform(name, headers or {}, is_list=True)).events

    async def command(self, line: str) -> str:
        """Output of a console command."""
        return "\n".join((await self.action("Command", {"Command": line})).all("Output"))

    async def _perform(
        self, name: str, headers: Mapping[str, str | Sequence[str]], *, is_list: bool
    ) -> _Pending:
        if self._writer is None:
            raise AmiNotConnected(_NOT_CONNECTED)
        action_id = str(next(self._ids))
        pending = _Pending(asyncio.get_running_loop().create_future(), is_list)
        self._pending[action_id] = pending
        try:
            send(self._writer, _encode(name, action_id, headers))
            async with ResponseTimeout(self._timeout):
                response = await pending.done
        except TimeoutError as error:
            raise AmiTimeout(f"Asterisk did not answer {name} within {self._timeout:.0f} s") from error
        except OSError as error:
            self._mark_down()  # the reader has not noticed yet
            raise AmiNotConnected(f"{name}: the connection to Asterisk broke: {error}") from error
        finally:
            self._pending.pop(action_id, None)
        if response.get("Response") == "Error":
            text = response.get("Message")
            if is_list and text.startswith(("No ", "Unable to retrieve")):  # an empty list is not a failure
                return pending
            raise AmiError(f"{name}: {text}")
        pending.response = response
        return pending

    def reconnect(self, reason: str) -> None:
        """Drop the connection and reconnect at once. Actions in progress fail."""
        self._log.warning(
            "ami_reconnecting",
            reason=reason,
            consequence="the connection is closed and opened again; calls continue",
        )
        self._mark_down()
        if self._writer is not None:
            self._writer.transport.abort()

    def _mark_down(self) -> None:
        if self._up.is_set():
            self._up.clear()
            self._queue.put_nowait(AmiDown(_now()))

    async def _run(self) -> None:
        pause = _FIRST_RETRY
        while True:
            try:
                await self._connect_and_read()
            except ValueError as error:  # a line that is longer than the limit
                self._bad.add("ami", "", error)
            except (OSError, AmiError, TimeoutError, asyncio.IncompleteReadError) as error:
                self._log.debug("ami_not_connected", error=str(error))
            finally:
                self._fail_pending()
            if self._was_up:
                self._was_up = False
                pause = _FIRST_RETRY
            self._mark_down()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LAST_RETRY)

    async def _connect_and_read(self) -> None:
        async with asyncio.timeout(_HANDSHAKE_SECONDS):
            reader, writer = await asyncio.open_connection(
                self._address.host, self._address.port, limit=_MESSAGE_MAX
            )
        self._writer = writer
        self._framing = Framing(self._add_bad)
        try:
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                await reader.readline()
                await self._login(reader, writer)
            while True:
                for message in await _read_messages(reader):
                    self._dispatch(message)
                if self._queue_max is not None and self._queue.qsize() >= self._queue_max:
                    self._has_room.clear()
                    await self._has_room.wait()
        finally:
            self._writer = None
            writer.transport.abort()

    async def _login(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        credentials = {"Username": self._address.user, "Secret": self._address.secret}
        send(writer, _encode("Login", _LOGIN, credentials))
        is_answered = False
        while not is_answered:
            for message in await _read_messages(reader):
                if message.get("ActionID") != _LOGIN:
                    self._dispatch(message)
                    continue
                is_answered = True
                if message.get("Response") == "Error":
                    raise AmiError(f"Login: {message.get('Message')}")
        self._was_up = True
        self._up.set()
        self._queue.put_nowait(AmiUp(_now()))

    def _add_bad(self, headers: Sequence[Header], reason: str) -> None:
        self._bad.add("ami", headers, reason)

    def _dispatch(self, message: AmiMessage) -> None:
        """One message; one that cannot be handled concerns only itself."""
        try:
            is_fragment, instead = self._framing.fragment(message.headers)
            if not is_fragment:
                self._dispatch_whole(message)
            elif instead is not None:
                self._enqueue(AmiMessage(instead, message.at))
        except Exception as error:
            self._bad.add("ami", message, error)

    def _dispatch_whole(self, message: AmiMessage) -> None:
        action_id = message.get("ActionID")
        if message.event and (message.event in EVENTS or not action_id):
            taken = self._framing.unrequested(message.headers)
            if taken is not None:
                self._enqueue(AmiMessage(taken, message.at))
            return
        pending = self._pending.get(action_id)
        if pending is None or pending.done.done():
            return  # of an action that was given up
        if not message.event:
            if pending.is_list and message.get("Response") != "Error":
                pending.response = message
            else:
                pending.done.set_result(message)
        elif message.get("EventList") == "Complete" or message.event == "StatusComplete":
            pending.done.set_result(pending.response or message)
        else:
            pending.events.append(message)

    def _enqueue(self, message: AmiMessage) -> None:
        self._queue.put_nowait(message)
        self._alarm.check(self._queue.qsize())

    def _fail_pending(self) -> None:
        for pending in self._pending.values():
            if not pending.done.done():
                pending.done.set_exception(AmiNotConnected("the connection to Asterisk broke", sent=True))


async def _read_messages(reader: asyncio.StreamReader) -> list[AmiMessage]:
    """The next message. Several when a sender's text has an empty line in it: parts that :class:`Framing` judges.

    :raises ValueError: it is longer than any message of Asterisk.
    """
    try:
        text = await reader.readuntil(_END)
    except asyncio.LimitOverrunError as error:
        raise ValueError(f"a message of more than {_MESSAGE_MAX} bytes") from error
    now = _now()
    messages: list[AmiMessage] = []
    headers: list[tuple[str, str]] = []
    for line in text.decode(errors="replace").split("\n"):
        stripped = line.rstrip("\r")
        if stripped:
            key, _, value = stripped.partition(":")
            headers.append((key, value.removeprefix(" ")))
        elif headers:
            messages.append(AmiMessage(headers, now))
            headers = []
    return messages


def _encode(name: str, action_id: str, headers: Mapping[str, str | Sequence[str]]) -> bytes:
    lines = [f"Action: {name}", f"ActionID: {action_id}"]
    lines += [f"{key}: {_one_line(value)}" for key, value in _flatten(headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _flatten(headers: Mapping[str, str | Sequence[str]]) -> Iterator[tuple[str, str]]:
    for key, value in headers.items():
        for one in [value] if isinstance(value, str) else value:
            yield key, one


def _one_line(value: str) -> str:
    # A line break would allow a value to inject headers or actions.
    return value.replace("\r", " ").replace("\n", " ")


def _nothing() -> AmiMessage:
    return AmiMessage((), _now())


def _now() -> Instant:
    return Instant(time.time())
