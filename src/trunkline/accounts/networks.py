"""Addresses and networks of allow-lists. Pure.

An IPv4-mapped IPv6 address (``::ffff:192.0.2.1``, as reported by a dual-stack socket) is that IPv4 address.
``0.0.0.0/0`` means all addresses of either kind: the reference defines it as "everybody".
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from trunkline.core.errors import InvalidInput

_EVERYBODY = IPv4Network("0.0.0.0/0")
_V4_MAPPED = IPv6Network("::ffff:0:0/96")
_V4_MAPPED_BITS = 96


@lru_cache(maxsize=1024)
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """The address from a socket or a header, unmapped and without zone; None if it is invalid."""
    try:
        address = ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """A network or a single address as typed by an admin; bits behind the prefix are dropped.

    :raises InvalidInput: with what a network looks like.
    """
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is not a network; write an address (203.0.113.7) or a network "
            "(203.0.113.0/24, 2001:db8::/32)",
            field="network",
            value=text,
        ) from error
    if isinstance(network, IPv6Network) and network.subnet_of(_V4_MAPPED):
        bare = IPv4Address(int(network.network_address) & 0xFFFF_FFFF)
        return IPv4Network((bare, network.prefixlen - _V4_MAPPED_BITS))
    return network


def admits(networks: Iterable[IPv4Network | IPv6Network], address: IPv4Address | IPv6Address) -> bool:
    """Whether one of the networks holds the address."""
    return any(network == _EVERYBODY or address in network for network in networks)


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """What limits of clients count by: an IPv4 address, or the first 64 bits of an IPv6 address: one client has the rest for
    itself. Anything else is itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return str(int(parsed) >> 64) if isinstance(parsed, IPv6Address) else address
