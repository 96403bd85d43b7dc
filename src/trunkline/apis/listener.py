"""Accepts connections for the web process: a limited number from each address, so many a second, and each with deadlines.

A connection counts from the moment it is accepted, before its TLS handshake, until it ends. The handshake and the head of
a request must be complete within a time; the body has a separate deadline (:mod:`trunkline.apis.body`), and idle
connections end with the server's keep-alive.

Those of addresses that are not known (:mod:`.service.turns`) wait for turns: to be opened, and with each piece that they
send. When there are too many, the oldest of them is closed, so that a new client gets in.

What a connection may have stored before its client is known is bounded: a head, a few requests behind the first, the bytes
behind an upgrade. Whatever is beyond stays in the socket, or ends the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv6Address, ip_address
from typing import Any

from aiohttp import web
from aiohttp.http import HttpRequestParser, WebSocketReader
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from trunkline.accounts.networks import network_of
from trunkline.apis.address import Network
from trunkline.apis.service.body_allowance import RATE, AllowanceExceeded, BodyAllowance
from trunkline.apis.service.turns import Turns
from trunkline.apis.sparse import Sparse
from trunkline.apis.stored_bytes import BODY, RETRY_SECONDS, StoredBytes
from trunkline.core.log import get_logger
from trunkline.core.tasks import core_task, item_task

_log = get_logger("apis.listener")

TakeIncoming = Callable[[int], bool]

_PAUSE = 0.2
"""Seconds without accepting after the system refused a connection (no file descriptors left)."""

_TOO_LONG = "The address or a header is longer than 8190 bytes: send long values in the body."
_NOT_HTTP = "This is not an HTTP request that can be read: send HTTP/1.1."

READ_MAX = 16 * 1024
"""Bytes that are parsed at once; a read from a socket has up to 256 KiB."""

_BODY_READ_MAX = 64 * 1024
"""Bytes that are parsed in one turn while they belong to the body of a request."""

_UNKNOWN_OF_4 = 3
"""Quarters of the connections that clients without a valid token may have; the rest is for known ones."""

_SHUTDOWN_SECONDS = 5.0
"""For the rest of an answer and the end of TLS after we closed a connection. Whatever the client still sends is decrypted
and dropped until then, without a turn."""

_LAST_ANSWER_SECONDS = 1.0
"""For the client to receive the answer that refuses what it sent."""

_ACCEPTED_AT_ONCE = 16
"""Connections that are accepted in one step of the event loop."""

_PEEKS = 8
"""Times that a socket is looked at which has fewer bytes than it should when it is readable."""

_HELLO_MAX = 16 * 1024
"""Bytes of the message with which a client begins a TLS handshake."""

HEAD_MAX = 32 * 1024
"""Bytes of the head of a request. aiohttp limits each header and their number alone, together a mebibyte."""

PIPELINE_MAX = 1
"""Requests of one connection that wait behind the one that is handled; aiohttp has 32."""

TAIL_MAX = 16 * 1024
"""Bytes that are kept of what a client sends behind an upgrade before it is answered; clients have nothing to send then."""

CONNECTION_COST = RATE // 128
"""An address may open 128 connections a second after 512 at once; further ones wait. Those with a valid token are free."""

_NO_ROOM = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: %d\r\nConnection: close\r\n\r\n"
    % RETRY_SECONDS
)

_REQUEST_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """:ivar total: concurrent connections.
    :ivar per_address: of them, from one address.
    :ivar handshake_seconds: for a TLS handshake.
    :ivar head_seconds: for the head of a request, from the connection or from its first byte.
    :ivar unlimited: networks (of proxies) whose addresses may have any number.
    """

    total: int
    per_address: int
    handshake_seconds: float
    head_seconds: float
    unlimited: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Shares:
    """What the connections of a process share: the turns of unknown clients, and the bytes of requests."""

    turns: Turns
    stored: StoredBytes
    waiting: set[Connection] = field(default_factory=set)
    """Those whose bytes wait for a turn."""

    def make_space(self, size: int, newcomer: Connection) -> bool:
        """Count bytes of a connection that waits for a turn, if the share has space for them.

        When there is none, the connections that have the most bytes give up their place, unless the new one would have as
        many: else a few hundred clients that send all the time would leave no space for a request of a new one.
        """
        while not self.stored.take(size, is_known=False):
            largest = max(self.waiting, key=lambda one: one.waiting_bytes, default=None)
            if largest is None or largest.waiting_bytes <= newcomer.waiting_bytes + size:
                return False
            largest.give_up_place()
        return True


class ConnectionCount:
    """How many connections are open, in all and by address."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._by_address: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self._by_address.total()

    def of(self, address: str) -> int:
        return self._by_address[address]

    def enter(self, address: str) -> bool:
        """Count one more, if the address may have it."""
        is_free = self.is_unlimited(address)
        if self._by_address.total() >= self._limits.total:
            return False
        if not is_free and self._by_address[address] >= self._limits.per_address:
            return False
        self._by_address[address] += 1
        return True

    def is_unlimited(self, address: str) -> bool:
        """Whether it is a proxy's."""
        known = ip_address(address)
        return any(known.version == one.version and known in one for one in self._limits.unlimited)

    def leave(self, address: str) -> None:
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


class Connection(RequestHandler):
    """One connection: ends when the head of a request does not arrive in time.

    :param head_seconds: that time.
    :param when_lost: called once, at its end.
    :param when_identified: called when a request on it had a valid token.
    :param network: of its address, for its turns; None: a proxy's, whose requests wait each for itself.
    """

    __slots__ = (
        "_deadline",
        "_head_bytes",
        "_head_seconds",
        "_is_refused",
        "_is_unreadable",
        "_last_body",
        "_network",
        "_pending",
        "_shares",
        "_take_incoming",
        "_turn",
        "_when_identified",
        "_when_lost",
    )

    def __init__(
        self,
        server: web.Server,
        *,
        shares: Shares,
        network: str | None,
        head_seconds: float,
        when_lost: Callable[[], None],
        when_identified: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, **options)
        self._parser = HttpRequestParser(
            self,
            loop,
            self._read_bufsize,
            payload_exception=RequestPayloadError,
            auto_decompress=options.get("auto_decompress", True),
            max_msg_queue_size=PIPELINE_MAX,
        )
        self._max_msg_queue_size = PIPELINE_MAX
        self._msg_queue_resume_size = 0
        self._head_bytes = 0
        self._is_refused = False
        self._is_unreadable = False
        self._last_body: StreamReader = EMPTY_PAYLOAD
        self._shares = shares
        self._network = network
        self._pending = b""
        self._turn: Callable[[], None] | None = None
        self._head_seconds = head_seconds
        self._when_lost: Callable[[], None] | None = when_lost
        self._deadline: asyncio.TimerHandle | None = None
        self._take_incoming: TakeIncoming | None = None
        self._when_identified = when_identified

    @property
    def is_of_proxy(self) -> bool:
        return self._network is None

    def mark_identified(self) -> None:
        """A request had a valid token."""
        self._when_identified()

    def log_exception(self, *args: Any, **options: Any) -> None:
        """A connection that ends during an answer is no error here; the application counts it."""
        error = options.get("exc_info")
        if not isinstance(error, ConnectionError) and not (
            isinstance(error, RuntimeError) and self.transport is None
        ):
            super().log_exception(*args, **options)

    def limit_incoming(self, take: TakeIncoming) -> None:
        """Ask before anything that comes after the upgrade to a WebSocket is read.

        Frames are parsed as they arrive, and all that arrived at once before anything else happens; so a limit behind the
        parser would be one on the answers alone.
        """
        self._take_incoming = take

    def set_parser(self, parser: WebSocketReader, data_received_cb: Callable[[], None] | None = None) -> None:
        if self._message_tail and not self._may_read(self._message_tail):
            self._message_tail = b""
        super().set_parser(parser, data_received_cb)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        _read_less(transport)
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._may_take():
            self._take(data)
        else:
            self._wait_with(data)

    def _may_take(self) -> bool:
        """Whether the client does not have to wait: it is known, a proxy, or watches a stream, which has a budget."""
        if self._is_refused:
            return True
        if self._turn is not None or self._pending:
            return False
        if self._network is None or self._take_incoming is not None:
            return True
        return self._shares.turns.may_pass(self._network)

    def _wait_with(self, data: bytes) -> None:
        """Keep the bytes until the turn comes, and read no more."""
        if data and not self._shares.make_space(len(data), self):
            self._end_without_room(data)
            return
        self._pending += data
        self._shares.waiting.add(self)
        self._pause_transport_reading()
        self._ask_for_turn()

    def _ask_for_turn(self) -> None:
        if self._turn is None and self._network is not None and self.transport is not None:
            self._turn = self._take_turn
            self._shares.turns.ask(self._network, self._turn)

    def _take_turn(self) -> None:
        """Take some of the bytes that wait. The rest waits for another turn, and until what was taken is read."""
        most = READ_MAX if self._last_body.is_eof() else _BODY_READ_MAX
        data, self._pending = self._pending[:most], self._pending[most:]
        self._turn = None
        self._shares.stored.give_back(len(data), is_known=False)
        if not self._pending:
            self._shares.waiting.discard(self)
        self._take(data)
        if not self._reading_paused and not self._buffer_paused:
            self._resume_transport_reading()

    def _resume_transport_reading(self) -> None:
        if self._pending:
            self._ask_for_turn()
        elif self._turn is None:
            super()._resume_transport_reading()

    @property
    def waiting_bytes(self) -> int:
        """What it has sent and waits for a turn."""
        return len(self._pending)

    def give_up_place(self) -> None:
        """Refuse what waits, and store nothing of it any more."""
        self._end_without_room(b"")
        self._forget_turn()

    def _end_without_room(self, data: bytes) -> None:
        """The process stores too much: refuse the request.

        The rest of its body is read and dropped while it is answered, so that the client reads the answer.
        """
        request = self._current_request
        body = None if request is None else request.get(BODY)
        if body is not None and not self._last_body.is_eof():
            body.refuse()
            self._is_refused = True
            waiting = self._pending
            self._forget_turn()
            self._take(waiting + data)
        elif self.transport is not None:
            if request is None and not self._messages:
                self.transport.write(_NO_ROOM)
            if self.transport.get_extra_info("ssl_object") is None:
                self.force_close()
            else:
                self._end_without_reading()

    def _forget_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and self._network is not None:
            self._shares.turns.cancel(self._network, turn)
        size, self._pending = len(self._pending), b""
        self._shares.stored.give_back(size, is_known=False)
        self._shares.waiting.discard(self)

    def _take(self, data: bytes) -> None:
        if not data:  # aiohttp's way to go on with what the parser has
            self._take_piece(data)
        for at in range(0, len(data), READ_MAX):
            self._take_piece(data[at : at + READ_MAX])

    def _take_piece(self, data: bytes) -> None:
        if self._payload_parser is not None:
            if self._may_read(data):
                super().data_received(data)
            return
        if self._is_unreadable or self._upgraded:
            self._keep_tail(data)
        else:
            self._parse(data)

    def _keep_tail(self, data: bytes) -> None:
        """Keep the beginning of what is behind an upgrade, and read no more until that is answered."""
        if self._upgraded:
            self._message_tail = (self._message_tail + data)[:TAIL_MAX]
        if data:
            self._pause_reading_for_buffer()

    def _parse(self, data: bytes) -> None:
        heads, of_body = self._request_count, self._last_body.total_bytes
        super().data_received(data)
        if self._request_count != heads:
            self._forget_deadline()
            self._head_bytes = 0
            message, self._last_body = self._messages[-1]
            if isinstance(message, _ErrInfo):
                self._messages.pop()
                self._end_with(message.exc)
        else:
            is_body = self._last_body.total_bytes != of_body
            self._count_head(len(data), is_body=is_body)
            # Without data, aiohttp asks the parser for what is behind a request: mostly nothing, and the client is idle.
            if data and not is_body and self._deadline is None and self._is_between_requests():
                self._await_head()
        if self._message_tail:
            self._keep_tail(b"")
            self._pause_reading_for_buffer()

    def _count_head(self, size: int, *, is_body: bool) -> None:
        """Count bytes of a head, or behind a chunked body, that completed nothing; none while the parser waits."""
        if is_body:
            self._head_bytes = 0
        elif not self._reading_paused and not self._buffer_paused:
            self._head_bytes += size
            if self._head_bytes > HEAD_MAX:
                self._end_with(LineTooLong(b"", HEAD_MAX))

    def _end_with(self, error: BaseException) -> None:
        """Refuse what was received, and read nothing more.

        The parser's exception has the text that could not be parsed three times, and refers to itself by its traceback, so
        it would be there until the garbage collector finds it.
        """
        self._is_unreadable = True
        error.with_traceback(None)
        lean: HttpProcessingError = (
            LineTooLong(b"", HEAD_MAX) if isinstance(error, LineTooLong) else HttpProcessingError(code=400)
        )
        self._messages.append((_ErrInfo(status=400, exc=lean, message=""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._pause_reading_for_buffer()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the answer. One that refuses an upgrade is the connection's last: what came behind it is dropped.

        It is whatever the client took for frames, and no HTTP.
        """
        is_last = self._is_unreadable
        if self._upgraded and not self._messages and self._payload_parser is None:
            self._message_tail = b""
            resp.force_close()
            is_last = True
        finished = await super().finish_response(request, resp, start_time)
        if is_last:
            self._end_without_reading()
        return finished

    def _end_without_reading(self) -> None:
        """End a TLS connection soon, and decrypt nothing until then.

        To close it would mean to decrypt and drop what the client sends for up to :data:`_SHUTDOWN_SECONDS`.
        """
        transport = self.transport
        if transport is not None and transport.get_extra_info("ssl_object") is not None:
            self._force_close = True  # nothing else closes it
            transport.pause_reading()
            self._loop.call_later(_LAST_ANSWER_SECONDS, transport.abort)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._forget_deadline()
        self._forget_turn()
        super().connection_lost(exc)
        if self._when_lost is not None:
            self._when_lost()
            self._when_lost = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is not HTTP, or has a line that is too long.

        It is not logged: anybody may send it, and its beginning may have a key (``/api/user?api_key=...``).
        """
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        reason = _TOO_LONG if isinstance(exc, LineTooLong) else _NOT_HTTP
        body = json.dumps({"success": False, "msg": reason})
        headers = {"Server": "trunkline"}
        response = web.Response(status=status, text=body, content_type="application/json", headers=headers)
        response.force_close()
        return response

    def _may_read(self, data: bytes) -> bool:
        """Whether these bytes may be parsed; if not, they are dropped, and no more are taken from the socket."""
        if self._take_incoming is None or self._take_incoming(len(data)):
            return True
        self.pause_reading()
        return False

    def _is_between_requests(self) -> bool:
        return self._current_request is None and not self._messages and not self._upgraded

    def _await_head(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(self._head_seconds, self._end)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        self._deadline = None
        if self._turn is not None:  # what it sent has not been read
            self._await_head()
        elif self.transport is not None and self._is_between_requests():
            self.transport.write(_REQUEST_TIMEOUT)
            self.force_close()


def mark_identified(request: web.Request) -> None:
    """Record that the request has a valid token: its connection no longer counts for its address."""
    if isinstance(request.protocol, Connection):
        request.protocol.mark_identified()


def is_of_proxy(request: web.Request) -> bool:
    """Whether the connection is a trusted proxy's, so that it had no turn for the request."""
    return isinstance(request.protocol, Connection) and request.protocol.is_of_proxy


def limit_incoming(request: web.Request, take: TakeIncoming) -> None:
    """Limit what the client may send after the request's upgrade to a WebSocket, if it came over a :class:`Connection`.

    :param take: returns whether so many bytes may be read.
    """
    if isinstance(request.protocol, Connection):
        request.protocol.limit_incoming(take)


class Listener:
    """Ports of one web process. Close it before the server's runner is cleaned up.

    :param server: of the runner that was set up.
    :param shares: of the application.
    :param options: of each connection, as :class:`aiohttp.web.AppRunner` takes them.
    """

    def __init__(self, server: web.Server, limits: ConnectionLimits, shares: Shares, **options: Any) -> None:
        self._server = server
        self._limits = limits
        self._shares = shares
        self._unknown: OrderedDict[_Opened, None] = OrderedDict()
        self._options = options
        self._count = ConnectionCount(limits)
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._opening: set[asyncio.Task[None]] = set()
        self._refused = Sparse()
        self._ended = Sparse()
        self._new = BodyAllowance()

    @property
    def connections(self) -> int:
        """Connections that are open now, with those whose handshake is not complete."""
        return self._count.total

    async def open(self, host: str, port: int, context: ssl.SSLContext | None, backlog: int) -> None:
        """Take connections at all addresses of a host.

        :raises OSError: the port is taken, or the host has no address here.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((one[0], one[4]) for one in found):
            bound = _bound(family, address, backlog)
            self._sockets.append(bound)
            self._accepting.append(core_task(self._accept(bound, context), name=f"accept-{port}"))

    async def close(self) -> None:
        """Take no more connections; those that are open stay."""
        tasks: Sequence[asyncio.Task[None]] = (*self._accepting, *self._opening)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for bound in self._sockets:
            bound.close()

    async def _accept(self, bound: socket.socket, context: ssl.SSLContext | None) -> None:
        while True:
            await _readable(bound)
            for _ in range(_ACCEPTED_AT_ONCE):
                try:
                    accepted, peer = bound.accept()
                except BlockingIOError:
                    break
                except ConnectionError:
                    continue
                except OSError as error:
                    _log.error(
                        "connection_not_accepted",
                        reason=str(error),
                        consequence="new connections wait; accepting them is tried again",
                        remedy="raise the limit of open files (LimitNOFILE) if there are too many; else check memory",
                    )
                    await asyncio.sleep(_PAUSE)
                    break
                accepted.setblocking(False)
                self._accepted(accepted, _plain(peer[0]), context)

    def _accepted(self, accepted: socket.socket, address: str, context: ssl.SSLContext | None) -> None:
        is_free = self._count.is_unlimited(address)
        waits = not is_free and not self._shares.turns.may_pass(network_of(address))
        self._make_room(waits=waits)
        if not self._count.enter(address):
            accepted.close()
            self._note_refusal(address)
            return
        opened = _Opened(accepted, address)
        opened.when_lost = partial(self._leave, opened)
        if waits:
            self._unknown[opened] = None
        work = self._open(opened, context, is_free=is_free, waits=waits)
        opened.task = item_task(work, name="connection", among=self._opening)

    def _make_room(self, *, waits: bool) -> None:
        """Close the oldest connections that have had no valid token, for a new one."""
        total = self._limits.total
        while self._unknown and (
            self._count.total >= total or (waits and len(self._unknown) >= max(1, total * _UNKNOWN_OF_4 // 4))
        ):
            oldest = next(iter(self._unknown))
            oldest.end()
            if self._ended.is_due():
                _log.warning(
                    "connections_ended",
                    reason="too many clients are connected",
                    address=oldest.address,
                    ended=self._ended.count,
                    consequence="the oldest connections without a valid token are closed for new ones",
                )

    def _leave(self, opened: _Opened) -> None:
        self._unknown.pop(opened, None)
        self._count.leave(opened.address)

    def _note_refusal(self, address: str) -> None:
        if self._refused.is_due():
            _log.warning(
                "connections_refused",
                reason="too many are open, or too many were opened",
                address=address,
                refused=self._refused.count,
                consequence="new connections of this address are closed until others end, or for some seconds",
            )

    async def _open(
        self, opened: _Opened, context: ssl.SSLContext | None, *, is_free: bool, waits: bool
    ) -> None:
        address, network = opened.address, network_of(opened.address)
        try:
            if not is_free:
                await self._new.take(address, CONNECTION_COST)
        except AllowanceExceeded:
            opened.end()
            self._note_refusal(address)
            return
        except BaseException:
            opened.end()
            raise

        def was_identified() -> None:
            self._unknown.pop(opened, None)
            if not is_free:
                self._new.give_back(address, CONNECTION_COST)

        identified = _Once(was_identified)

        def connection() -> Connection:
            opened.connection = Connection(
                self._server,
                shares=self._shares,
                network=None if is_free else network,
                head_seconds=self._limits.head_seconds,
                when_lost=opened.lost,
                when_identified=identified.call,
                **self._options,
            )
            return opened.connection

        seconds = None if context is None else self._limits.handshake_seconds
        try:
            async with asyncio.timeout(seconds):
                if waits:
                    if context is not None:
                        await _client_hello(opened.accepted)
                    await self._shares.turns.turn(network)
                await asyncio.get_running_loop().connect_accepted_socket(
                    connection,
                    opened.accepted,
                    ssl=context,
                    ssl_handshake_timeout=seconds,
                    ssl_shutdown_timeout=None if context is None else _SHUTDOWN_SECONDS,
                )
        except (OSError, TimeoutError):  # among them what TLS refuses
            opened.end()
        except BaseException:
            opened.end()
            raise


class _Opened:
    """A connection from the moment it is accepted."""

    def __init__(self, accepted: socket.socket, address: str) -> None:
        self.accepted = accepted
        self.address = address
        self.task: asyncio.Task[None] | None = None
        self.connection: Connection | None = None
        self.when_lost: Callable[[], None] = lambda: None

    def lost(self) -> None:
        """It is not counted any more."""
        when_lost, self.when_lost = self.when_lost, lambda: None
        when_lost()

    def end(self) -> None:
        """Close it, at whatever stage it is."""
        self.lost()
        if self.connection is not None and self.connection.transport is not None:
            self.connection.transport.abort()
        elif self.task is not None and self.task is not asyncio.current_task() and not self.task.done():
            self.task.cancel()  # which comes here again
        else:
            with contextlib.suppress(OSError):
                self.accepted.close()


async def _client_hello(accepted: socket.socket) -> None:
    """Return when the first message of a TLS handshake is there as a whole, so that its answer costs one turn.

    :raises OSError: it is none, or comes in several records; no client divides it.
    """
    header = await _first_bytes(accepted, 9)  # of the record, 5, and of the message
    size = int.from_bytes(header[3:5], "big")
    if header[:2] != b"\x16\x03" or header[5] != 1 or int.from_bytes(header[6:9], "big") + 4 > size:
        raise ConnectionAbortedError
    await _first_bytes(accepted, 5 + min(size, _HELLO_MAX))
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


async def _first_bytes(accepted: socket.socket, size: int) -> bytes:
    """What a client sent first, which stays to be read.

    :raises OSError: the connection ended before.
    """
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
    for attempt in range(_PEEKS):
        await _readable(accepted)
        data = accepted.recv(size, socket.MSG_PEEK)
        if len(data) == size:
            return data
        await asyncio.sleep(0.01 * 2**attempt)  # it was readable before the option was set, or has ended
    raise ConnectionResetError


async def _readable(one: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(one, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(one)


class _Once:
    """Calls a function the first time."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def call(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()


def _read_less(transport: asyncio.BaseTransport) -> None:
    """Let TLS have no more than :data:`READ_MAX` in advance while nothing is read."""
    set_limits = getattr(transport, "set_read_buffer_limits", None)
    if set_limits is not None:
        set_limits(high=READ_MAX)


def _bound(family: int, address: Any, backlog: int) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(backlog)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


def _plain(address: str) -> str:
    known = ip_address(address.partition("%")[0])
    if isinstance(known, IPv6Address) and known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(known)
