"""Limits on connections to Asterisk's SIP ports (TCP, TLS, WSS), which Asterisk has no setting for.

Asterisk accepts the connections itself. The supervisor, as its parent, looks at them several times a second, and ends them
through copies of its sockets:

- A TCP connection without a byte after five seconds; while silent ones fill a quarter of all that are allowed, after half
  a second.
- The youngest connections of an address beyond a number, silent ones first.
- Beyond a number of connections in all (pjsip of the fetched Asterisk has 1024 handles for UDP, TCP and TLS together):
  silent ones, then those that are neither of a registered phone nor of a trunk; the oldest first, because a phone is silent
  for a moment only.
- Connections that have sent more than their :class:`Allowance`: each for itself, all of one address, and all that are of
  nobody who is known. New ones of such an address are dropped for a minute. While all unknown ones together are beyond
  theirs, new ones are accepted only from addresses over which a phone was registered in the last day, and those of trunks.
- Connections of an address that the switch has banned; new ones are dropped while the ban lasts.

A connection over which a phone is registered, and those of the addresses of trunks, have allowances of their own, and are
exempt from the other rules. The switch knows them. It is asked now and then, and when one of the rules applies. A flood can
keep it from answering: then the connections count as known that were known before.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import http.client
import ipaddress
import json
import os
import select
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from trunkline.runtime import listen_filter, tcp_diag
from trunkline.runtime.child_sockets import LISTENING, copies, tcp_sockets
from trunkline.runtime.tcp_diag import Connection

CHECK_PERIOD_SECONDS = 0.25
"""Seconds."""
CHECK_PERIOD_WHEN_FEW_SECONDS, FEW = 0.1, 100
"""Seconds, while there are at most so many connections: what one sends between two looks is processed by Asterisk."""
SILENT_SECONDS, SILENT_SECONDS_FULL = 5.0, 0.5
"""A TCP connection without a byte ends after this time; the shorter one while many are open."""
CHECK_PERIOD_WHEN_FULL_SECONDS = 0.05
"""Seconds, while many silent connections are open, or some send too much."""
SILENT_BYTES = 150
"""A connection that has sent less is ended before others: a SIP request and a TLS handshake are longer."""
BLOCKED_SECONDS = 60.0
"""For an address that sent too much."""
CROWD_BLOCKED_SECONDS = 10.0
"""For an address with more than twice as many connections as it may have."""
ASK_EVERY = 1.0
"""The switch is asked at most so often, and an answer applies so long."""
REMEMBERED_SECONDS = 86_400.0
"""For so long an address is remembered from which a phone was registered."""
ASK_AGAIN = 5.0
"""So often it is asked about connections that are not known, also when no rule applies."""
REFRESH = 60.0
"""The addresses of trunks are at most so old while the switch answers."""
NETWORK_BITS_MIN = 16
"""A network of a trunk that is larger (a shorter prefix) has too many addresses of others to be exempt in a flood."""
INITIAL_BYTES = 16 << 10
"""Bytes that a connection may have sent when all unknown ones together send too much: a phone has registered with less."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much may be sent: ``burst`` bytes at once, and then ``rate`` bytes per second."""

    burst: int
    rate: int


UNKNOWN_CONNECTION = Allowance(128 << 10, 64 << 10)
UNKNOWN_ADDRESS_TCP = Allowance(1 << 20, 128 << 10)
"""500 phones that log in over TCP at one moment send 600 KiB."""
UNKNOWN_ADDRESS_TLS = Allowance(4 << 20, 512 << 10)
"""TLS and WSS: with the handshakes, 500 phones send 2 MiB."""
UNKNOWN = Allowance(2 << 20, 256 << 10)
"""All connections that are neither of a registered phone nor of a trunk."""
PHONE = Allowance(1 << 20, 128 << 10)
"""A connection over which a phone is registered: 50 calls per second."""
TRUNK = Allowance(8 << 20, 2 << 20)
"""All connections of an address of a trunk."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of the engine; 0 = off."""

    tcp: int
    tls: int
    wss: int

    @property
    def all(self) -> frozenset[int]:
        return frozenset(port for port in (self.tcp, self.tls, self.wss) if port)


@dataclass(frozen=True, slots=True)
class Limits:
    """:ivar tcp_per_address, tls_per_address: connections of one address to TCP, and to TLS and WSS; 0 = no limit.
    :ivar total: connections to TCP and TLS of all addresses; 0 = no limit."""

    tcp_per_address: int = 0
    tls_per_address: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """What the switch has of some addresses.

    :ivar banned: addresses that are banned as a whole, asked for or not.
    :ivar registered: address and port of each phone that is registered from a banned address, or one asked for.
    :ivar trunks: those of the same addresses that are of trunks.
    :ivar configured: addresses and networks of all trunks.
    :ivar about: the addresses that were asked for; None: those of this question.
    """

    banned: frozenset[str] = frozenset()
    registered: frozenset[tuple[str, int]] = frozenset()
    trunks: frozenset[str] = frozenset()
    configured: frozenset[str] = frozenset()
    about: frozenset[str] | None = None

    def has(self, one: Connection) -> bool:
        """Whether a phone is registered over this connection, or a trunk has its address."""
        return (one.address, one.port) in self.registered or self.has_trunk(one.address)

    def has_trunk(self, address: str) -> bool:
        return address in self.trunks or _is_in(address, self.configured)


Ask = Callable[[Collection[str]], Known | None]
"""Ask the switch about these addresses; None = no answer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """:ivar end: inodes.
    :ivar blocked: addresses whose new connections are dropped.
    :ivar only: when it is not None, also new connections of all other addresses than these are dropped.
    :ivar is_full: whether many silent connections are open, or some send too much: the next check is soon."""

    end: frozenset[str]
    blocked: frozenset[str]
    is_full: bool = False
    only: frozenset[str] | None = None


@dataclass
class ConnectionRules:
    """Which connections are ended. Pure but for ``ask``; times are of one monotonic clock, in seconds."""

    ports: Ports
    limits: Limits
    ask: Ask
    _first_seen: dict[str, tuple[float, int]] = field(default_factory=dict)
    _received: dict[str, int] = field(default_factory=dict)
    _levels: dict[tuple[str, str], float] = field(default_factory=dict)
    _proven: set[str] = field(default_factory=set)
    """Inodes of connections that were known once; they are until they end."""
    _used: dict[str, float] = field(default_factory=dict)
    """Addresses from which phones are registered, and when they were last seen."""
    _blocked_until: dict[str, float] = field(default_factory=dict)
    _known: Known = Known()
    _asked: frozenset[str] = frozenset()
    _bans_changed: bool = True
    _asked_at: float = float("-inf")
    _answered_at: float = float("-inf")
    _looked_at: float | None = None
    _seen: int = 0

    def judge(self, connections: Iterable[Connection], now: float, bans_changed: bool) -> Verdict:
        """:param bans_changed: the switch has other bans than at the last check."""
        present = list(connections)
        self._note(present, now)
        self._bans_changed |= bans_changed
        pooled = [one for one in present if one.local_port != self.ports.wss]
        silent = sorted((one for one in pooled if one.received < SILENT_BYTES), key=self._age)
        is_full = self.limits.total > 0 and (
            len(pooled) > self.limits.total or 4 * len(silent) > self.limits.total
        )
        end = self._silent(present, now, SILENT_SECONDS_FULL if is_full else SILENT_SECONDS)
        end |= self._beyond_address(present, now)
        self._count(present, now)
        pooled = [one for one in pooled if one.inode not in end]
        excess = len(pooled) - self.limits.total if self.limits.total else 0
        silent = [one for one in silent if one.inode not in end]
        if excess > 0:
            end |= {one.inode for one in silent[:excess]}
            excess -= len(silent)
        flooding = self._flooding(present)
        of_banned = any(one.address in self._known.banned and not self._is_known(one) for one in present)
        if self._bans_changed or flooding or excess > 0 or of_banned or self._is_ask_due(present, now):
            concerned = {one.address for one in present if excess > 0 or not self._is_known(one)}
            has_answer = self._ask(concerned, present, now)
            flooding = self._flooding(present)
            end |= {one.inode for one in flooding}
            for client in {one.client for one in flooding}:
                if not any(one.client == client and self._is_known(one) for one in present):
                    self._block(client, now + BLOCKED_SECONDS)
            if has_answer:
                end |= self._of_unknown(present, end, max(excess, 0))
        self._blocked_until = {one: until for one, until in self._blocked_until.items() if until > now}
        banned = (one for one in self._known.banned if not self._known.has_trunk(one))
        blocked = frozenset(self._blocked_until).union(banned)
        return Verdict(frozenset(end), blocked, is_full or bool(flooding), self._only(now))

    # ---

    def _note(self, present: Collection[Connection], now: float) -> None:
        seen: dict[str, tuple[float, int]] = {}
        for one in present:
            if one.inode not in self._first_seen:
                self._seen += 1
            seen[one.inode] = self._first_seen.get(one.inode, (now, self._seen))
        self._first_seen = seen

    def _age(self, one: Connection) -> int:
        return self._first_seen[one.inode][1]

    def _silent(self, present: Collection[Connection], now: float, seconds: float) -> set[str]:
        return {
            one.inode
            for one in present
            if one.local_port == self.ports.tcp
            and not one.received
            and now - self._first_seen[one.inode][0] >= seconds
        }

    def _beyond_address(self, present: Collection[Connection], now: float) -> set[str]:
        of_client: dict[tuple[str, bool], list[Connection]] = defaultdict(list)
        for one in present:
            of_client[one.client, one.local_port == self.ports.tcp].append(one)
        end: set[str] = set()
        for (client, is_tcp), own in of_client.items():
            most = self.limits.tcp_per_address if is_tcp else self.limits.tls_per_address
            if not most or len(own) <= most:
                continue
            own.sort(key=lambda one: (one.received < SILENT_BYTES, self._age(one)))
            end |= {one.inode for one in own[most:]}
            if len(own) > 2 * most:
                self._block(client, now + CROWD_BLOCKED_SECONDS)
        return end

    def _is_known(self, one: Connection) -> bool:
        return one.inode in self._proven or self._known.has(one)

    def _count(self, present: Collection[Connection], now: float) -> None:
        """Add what each connection has sent since the last look to the levels that it counts for."""
        elapsed = now - self._looked_at if self._looked_at is not None else 0.0
        is_first, self._looked_at = self._looked_at is None, now
        levels: dict[tuple[str, str], float] = {}
        for key, level in self._levels.items():
            if (left := level - elapsed * _ALLOWANCES[key[0]].rate) > 0:
                levels[key] = left
        received: dict[str, int] = {}
        for one in present:
            received[one.inode] = one.received
            more = 0 if is_first else one.received - self._received.get(one.inode, 0)
            for key in self._keys(one) if more > 0 else ():
                levels[key] = min(levels.get(key, 0.0) + more, 2.0 * _ALLOWANCES[key[0]].burst)
        self._received, self._levels = received, levels

    def _keys(self, one: Connection) -> list[tuple[str, str]]:
        """The levels that a connection counts for."""
        if self._known.has_trunk(one.address):
            return [("trunk", one.address)]
        if self._is_known(one):
            return [("phone", one.inode)]
        kind = "address over TCP" if one.local_port == self.ports.tcp else "address over TLS"
        return [("connection", one.inode), (kind, one.client), ("all", "")]

    def _flooding(self, present: Collection[Connection]) -> list[Connection]:
        """Connections that count for a level beyond its allowance."""
        over = {key for key, level in self._levels.items() if level > _ALLOWANCES[key[0]].burst}
        if not over:
            return []
        return [
            one
            for one in present
            if any(
                key in over and (key[0] != "all" or one.received > INITIAL_BYTES) for key in self._keys(one)
            )
        ]

    def _is_ask_due(self, present: Collection[Connection], now: float) -> bool:
        return now - self._asked_at >= ASK_AGAIN and (
            now - self._answered_at >= REFRESH or self._has_unknown(present)
        )

    def _has_unknown(self, present: Collection[Connection]) -> bool:
        return any(one.received >= SILENT_BYTES and not self._is_known(one) for one in present)

    def _ask(self, addresses: Collection[str], present: Collection[Connection], now: float) -> bool:
        """Whether there is an answer of the switch that is new enough to end connections by it."""
        if now - self._asked_at >= ASK_EVERY:
            self._asked_at = now
            answer = self.ask(addresses)
            if answer is not None:
                self._bans_changed = False
                about = frozenset(addresses) if answer.about is None else answer.about
                self._asked, self._answered_at = about | answer.banned, now
                self._known = Known(
                    answer.banned,
                    answer.registered,
                    answer.trunks | (self._known.trunks - about),
                    known if (known := self._known.configured) == answer.configured else answer.configured,
                )
                for one in present:
                    if not self._is_known(one) or one.inode in self._proven:
                        continue
                    self._proven.add(one.inode)  # what it sent before was to log in
                    for key in (
                        ("address over TCP", one.client),
                        ("address over TLS", one.client),
                        ("all", ""),
                    ):
                        self._levels[key] = max(0.0, self._levels.get(key, 0.0) - one.received)
        self._proven &= {one.inode for one in present}
        self._used |= {one.address: now for one in present if one.inode in self._proven}
        return now - self._answered_at < ASK_EVERY

    def _of_unknown(self, present: Collection[Connection], ended: Collection[str], excess: int) -> set[str]:
        unknown = [one for one in present if not self._is_known(one) and one.address in self._asked]
        end = {one.inode for one in unknown if one.address in self._known.banned}
        if excess:
            others = [
                one
                for one in unknown
                if one.local_port != self.ports.wss and one.inode not in end and one.inode not in ended
            ]
            end |= {one.inode for one in sorted(others, key=self._age)[:excess]}
        return end

    def _only(self, now: float) -> frozenset[str] | None:
        self._used = {address: at for address, at in self._used.items() if now - at < REMEMBERED_SECONDS}
        if self._levels.get(("all", ""), 0.0) <= UNKNOWN.burst:
            return None
        networks = (one for one in self._known.configured if _network(one) is not None)
        return self._known.trunks.union(self._used, networks)

    def _block(self, client: str, until: float) -> None:
        self._blocked_until[client] = max(until, self._blocked_until.get(client, 0.0))


_ALLOWANCES = {
    "connection": UNKNOWN_CONNECTION,
    "address over TCP": UNKNOWN_ADDRESS_TCP,
    "address over TLS": UNKNOWN_ADDRESS_TLS,
    "all": UNKNOWN,
    "phone": PHONE,
    "trunk": TRUNK,
}


def watch(
    pid: int,
    ports: Ports,
    limits: Limits,
    ask: Ask,
    bans: Path,
    say: Callable[[str], None] = lambda _: None,
    check_period: float = CHECK_PERIOD_SECONDS,
) -> threading.Thread:
    """Apply the rules to a child in a thread that ends with the child.

    :param bans: file that the switch writes with each change of its bans.
    :raises OSError: the child is gone, or the kernel is too old.
    """
    listening = {
        one.inode for one in tcp_sockets(pid) if one.state == LISTENING and one.local_port in ports.all
    }
    families = {copy.family for _, copy in copies(pid, listening)}
    tcp_diag.connections(ports.all, families)
    handle = os.pidfd_open(pid)

    def run() -> None:
        rules = ConnectionRules(ports, limits, ask)
        dropped: frozenset[str] = frozenset()
        only: frozenset[str] | None = None
        bans_at: int | None = None
        ends = select.poll()
        ends.register(handle, select.POLLIN)
        try:
            pause = check_period
            while not ends.poll(pause * 1000):
                with contextlib.suppress(OSError):  # the child ends just now
                    written_at = _modified(bans)
                    present = list(tcp_diag.connections(ports.all, families))
                    verdict = rules.judge(present, time.monotonic(), bans_changed=written_at != bans_at)
                    bans_at = written_at
                    if (verdict.blocked, verdict.only) != (dropped, only):
                        _drop(pid, ports.all, verdict.blocked, verdict.only)
                        if new := verdict.blocked - dropped:
                            say(f"SIP connections: new ones of {_some(new)} are dropped")
                        if only is None and verdict.only is not None:
                            say(
                                "SIP connections: unknown clients send too much; new ones are dropped unless a trunk or a"
                                " registered phone has the address"
                            )
                        dropped, only = verdict.blocked, verdict.only
                    if verdict.end:
                        end(pid, verdict.end)
                    few = min(CHECK_PERIOD_WHEN_FEW_SECONDS, check_period)
                    pause = few if len(present) <= FEW else check_period
                    if verdict.is_full:
                        pause = CHECK_PERIOD_WHEN_FULL_SECONDS
        finally:
            os.close(handle)

    thread = threading.Thread(target=run, name=f"sip-connections-{pid}", daemon=True)
    thread.start()
    return thread


def end(pid: int, inodes: Collection[str]) -> int:
    """Reset those of the child's connections, with what they have sent and the child has not read; how many.

    :raises OSError: the child's sockets cannot be reached.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    nowhere = ctypes.create_string_buffer(16)  # a struct sockaddr of AF_UNSPEC: disconnect
    ended = 0
    for _, connection in copies(pid, inodes):
        libc.connect(connection.fileno(), nowhere, 16)
        ended += 1
    return ended


def asking(url: str, token: str, seconds: float = 0.5) -> Ask:
    """Ask the command server of the switch; a switch that does not answer in time is no answer."""
    host = url.removeprefix("http://")

    def ask(addresses: Collection[str]) -> Known | None:
        connection = http.client.HTTPConnection(host, timeout=seconds)
        try:
            body = json.dumps({"addresses": list(addresses)})
            connection.request("POST", "/sip_addresses", body, {"Authorization": f"Bearer {token}"})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                return None
            result = json.loads(response.read())["result"]
            return Known(
                frozenset(result["banned"]),
                frozenset((ip, int(port)) for ip, port in result["registered"]),
                frozenset(result["trunks"]),
                frozenset(result["configured"]),
            )
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return None
        finally:
            connection.close()

    return ask


@functools.lru_cache(maxsize=10_000)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """None for what is no address or network, or is too large a network."""
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        return None
    return found if found.prefixlen >= NETWORK_BITS_MIN else None


@functools.lru_cache(maxsize=4096)
def _is_in(address: str, networks: frozenset[str]) -> bool:
    if address in networks:
        return True
    try:
        wanted = ipaddress.ip_address(address)
    except ValueError:
        return False
    found = (_network(one) for one in networks)
    return any(one is not None and one.version == wanted.version and wanted in one for one in found)


def _drop(pid: int, ports: Collection[int], addresses: Collection[str], only: Collection[str] | None) -> None:
    listening = {one.inode for one in tcp_sockets(pid) if one.state == LISTENING and one.local_port in ports}
    for _, copy in copies(pid, listening):
        listen_filter.drop(copy, sorted(addresses), None if only is None else sorted(only))


def _modified(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _some(addresses: Collection[str]) -> str:
    shown = sorted(addresses)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
