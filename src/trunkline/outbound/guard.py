"""Which addresses requests to a URL of a tenant may reach: the public internet, and networks that the administrator names.

An address is checked three times: as a literal in the URL (:meth:`Allowed.check_url`, for each redirect, too), after a
name was resolved (:class:`GuardedResolver`), and when the socket is made (:mod:`.http`). The last check is decisive: it
has the address of the connection, for any URL and any earlier resolution of the name.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from trunkline.core.lookups import Lookups

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_V4_REFUSED = tuple(
    ipaddress.IPv4Network(one)
    for one in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
"""IPv4 blocks of the IANA special-purpose registry (RFC 6890): private, shared, loopback, link-local, protocol
assignments, documentation, relays of 6to4, benchmarks, multicast, reserved."""

_V6_GLOBAL = ipaddress.IPv6Network("2000::/3")
"""The only part of IPv6 that is assigned to the public internet (RFC 4291). All else is refused: unspecified, loopback,
IPv4-compatible ``::a.b.c.d``, local NAT64 ``64:ff9b:1::/48``, discard-only ``100::/64``, segment routing ``5f00::/16``,
unique local ``fc00::/7``, link-local ``fe80::/10``, site-local ``fec0::/10``, multicast ``ff00::/8``."""

_V6_REFUSED = tuple(ipaddress.IPv6Network(one) for one in ("2001::/23", "2001:db8::/32", "3fff::/20"))
"""Special blocks inside it: protocol assignments (Teredo, benchmarks, ORCHID) and documentation."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""The well-known prefix (RFC 6052): the last 32 bits are the IPv4 address that a gateway connects to."""

_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""The third and fourth word of an interface identifier that embeds an IPv4 address (RFC 5214)."""

_NUMERIC_HOST = re.compile(r"[0-9.]+|0[xX][0-9a-fA-F.xX]*|[0-9a-fA-FxX.]*\.0[xX][0-9a-fA-F]*")
"""A host that some resolvers read as an IPv4 address in another notation: 2130706433, 127.1, 0x7f.1, 0177.0.0.1."""


class ForbiddenAddress(OSError):  # noqa: N818 - reads as what it is
    """A URL leads to an address that requests may not reach."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet.

    An IPv4 address inside an IPv6 address (mapped, NAT64, 6to4, ISATAP) decides for it.

    :raises ValueError: not an IP address.
    """
    if "%" in address:  # a zone names an interface of this machine
        return False
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return _is_public_v4(ip)
    embedded = _embedded(ip)
    if embedded is not None and not _is_public_v4(embedded):
        return False
    if ip.ipv4_mapped is not None or ip in _NAT64:
        return True
    return ip in _V6_GLOBAL and ip.is_global and not any(ip in network for network in _V6_REFUSED)


def _is_public_v4(ip: ipaddress.IPv4Address) -> bool:
    return ip.is_global and not any(ip in network for network in _V4_REFUSED)


def _embedded(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address contains."""
    if ip in _NAT64 or (int(ip) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour


class Allowed:
    """Where requests may go: the public internet, and the networks named.

    :param networks: private networks that are also allowed.
    :param setting: name of the setting with these networks, for the error.
    :param closed_ports: ports of this installation's own services on loopback; never reached, even where loopback is
        among the networks.
    :raises ValueError: not a network.
    """

    def __init__(self, networks: Sequence[str], setting: str, closed_ports: Collection[int] = ()) -> None:
        self._networks = [ipaddress.ip_network(one) for one in networks]
        self._setting = setting
        self._closed_ports = frozenset(closed_ports)

    def permits(self, address: str, port: int | None = None) -> bool:
        """Whether this IP address may be connected to, at this port.

        :raises ValueError: not an IP address.
        """
        if is_public(address):
            return True
        ip = ipaddress.ip_address(address.partition("%")[0])
        meant: _Address = ip
        if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped is not None or ip in _NAT64):
            meant = _embedded(ip) or ip
        if port in self._closed_ports and (meant.is_loopback or meant.is_unspecified):
            return False
        return any(
            one.version == network.version and one in network
            for one in {ip, meant}
            for network in self._networks
        )

    def check_url(self, url: URL) -> None:
        """Refuse a URL whose host is a literal address that may not be connected to; a name is checked when it is resolved.

        :raises ForbiddenAddress: it is, or the host is a number in a notation that is not an IP address.
        """
        self.check_host(url.host, url.port)

    def check_host(self, host: str | None, port: int | None = None) -> None:
        """As :meth:`check_url`, of a host alone."""
        if host is None:
            return
        try:
            permitted = self.permits(host.strip("[]"), port)
        except ValueError:
            if _NUMERIC_HOST.fullmatch(host):
                raise ForbiddenAddress(f"{host} is not an IP address; write four decimal numbers") from None
            return  # a name: the resolver checks its addresses
        if not permitted:
            raise self.refusal(host)

    def refusal(self, host: str) -> ForbiddenAddress:
        return ForbiddenAddress(f"{host} is a private address and {self._setting} does not allow it")


LOOKUPS_PER_ACCOUNT = 4
"""Look-ups of one account at the same time, in one process."""
KEPT_SECONDS = 10.0
"""For which the addresses of a name are used."""
_KEPT_MAX = 10_000

_requests_of: ContextVar[int] = ContextVar("requests_of", default=0)

_Info = tuple[int, int, tuple[Any, ...]]
"""Family, protocol and socket address."""
_Name = tuple[int, str, int]
"""Account, host and family."""

_lookups: Lookups[list[_Info]] = Lookups(LOOKUPS_PER_ACCOUNT, name="receivers")


@contextlib.contextmanager
def requests_of(account_id: int) -> Iterator[None]:
    """Requests in this block are those of an account: names are resolved in its share. Others are the installation's."""
    token = _requests_of.set(account_id)
    try:
        yield
    finally:
        _requests_of.reset(token)


@dataclass(slots=True)
class _PendingLookup:
    """A look-up under way, and how many requests wait for it."""

    source: Future[list[_Info]]
    result: asyncio.Future[list[_Info]]
    waiting: int = 0


class GuardedResolver(AbstractResolver):
    """Resolves as usual and refuses a name of which any answer may not be connected to.

    Each account has its own look-ups, and keeps its own answers: names of one account whose name server does not respond
    delay no request of another, also to the same host. For one event loop.

    :param clock: seconds, monotonic.
    """

    def __init__(self, allowed: Allowed, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed = allowed
        self._clock = clock
        self._pending: dict[_Name, _PendingLookup] = {}
        self._kept: OrderedDict[_Name, tuple[list[_Info], float]] = OrderedDict()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = [
            ResolveResult(
                hostname=host,
                host=address[0] if len(address) < 4 or not address[3] else f"{address[0]}%{address[3]}",
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, protocol, address in await self._addresses((_requests_of.get(), host, family))
        ]
        if any(not self._allowed.permits(entry["host"], port) for entry in found):
            raise self._allowed.refusal(host)
        return found

    async def close(self) -> None:
        for pending in self._pending.values():
            pending.source.cancel()

    async def _addresses(self, name: _Name) -> list[_Info]:
        answers, until = self._kept.get(name, ([], 0.0))
        if self._clock() < until:
            return answers
        pending = self._pending.get(name)
        if pending is None:
            _, host, family = name
            source = _lookups.submit(name[0], lambda: _look_up(host, family))
            pending = self._pending[name] = _PendingLookup(source, asyncio.wrap_future(source))
            pending.result.add_done_callback(lambda _result, done=pending: self._answered(name, done))  # type: ignore[misc]
        pending.waiting += 1
        try:
            return await asyncio.shield(pending.result)
        finally:
            pending.waiting -= 1
            # One that runs cannot be cancelled: the next request of this name waits for it.
            if not pending.waiting and pending.source.cancel():
                self._forget(name, pending)

    def _forget(self, name: _Name, pending: _PendingLookup) -> None:
        if self._pending.get(name) is pending:
            del self._pending[name]

    def _answered(self, name: _Name, pending: _PendingLookup) -> None:
        self._forget(name, pending)
        if pending.result.cancelled() or pending.result.exception() is not None:
            return
        self._kept[name] = (pending.result.result(), self._clock() + KEPT_SECONDS)
        self._kept.move_to_end(name)
        if len(self._kept) > _KEPT_MAX:
            self._kept.popitem(last=False)


def _look_up(host: str, family: int) -> list[_Info]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
    return [(kind, protocol, address) for kind, _, protocol, _, address in found]
