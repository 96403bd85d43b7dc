"""Keeps requests to addresses that clients name out of networks that are not theirs to reach.

A name is looked at after it was resolved, in the resolver of the connection itself: a name that changes its answer
between a look and a connect helps nobody. A literal address is never resolved, so :meth:`Allowed.check_host` must see
each URL, and each redirect, first.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class ForbiddenAddress(OSError):  # noqa: N818 - reads as what it is
    """A URL leads where requests may not go."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet."""
    ip = _parse(address)
    return ip.is_global and not ip.is_multicast


def _parse(address: str) -> _Address:
    """The address that is really meant: IPv4 inside IPv6 is taken out."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip


class Allowed:
    """Where requests may go: the public internet, and the networks named.

    :param networks: private networks that are allowed beside it; None = everything is.
    :param setting: name of the setting that says so, for the error.
    :raises ValueError: not a network.
    """

    def __init__(self, networks: Sequence[str] | None, setting: str) -> None:
        self._networks = None if networks is None else [ipaddress.ip_network(one) for one in networks]
        self._setting = setting

    @property
    def everything(self) -> bool:
        return self._networks is None

    def permits(self, address: str) -> bool:
        """Whether this IP address may be connected to."""
        if self._networks is None or is_public(address):
            return True
        ip = _parse(address)
        return any(ip.version == network.version and ip in network for network in self._networks)

    def check_host(self, host: str | None) -> None:
        """Refuse the host of a URL when it is a literal address that may not be connected to.

        :raises ForbiddenAddress: it is.
        """
        if host is None:
            return
        try:
            permitted = self.permits(host)
        except ValueError:
            return  # a name: the resolver looks at what it stands for
        if not permitted:
            raise self.refusal(host)

    def refusal(self, host: str) -> ForbiddenAddress:
        return ForbiddenAddress(f"{host} is a private address and {self._setting} does not allow it")


class GuardedResolver(AbstractResolver):
    """Resolves as usual and refuses a name of which any answer may not be connected to."""

    def __init__(self, allowed: Allowed) -> None:
        self._allowed = allowed
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if any(not self._allowed.permits(entry["host"]) for entry in found):
            raise self._allowed.refusal(host)
        return found

    async def close(self) -> None:
        await self._inner.close()
