"""Which addresses a trunk may have. Pure, but for :func:`own_addresses`.

A trunk is identified by its registration (the line parameter of RFC 3261 contacts) where there is one. An address
identifies a trunk only when no other party can use it: no network, no loopback, private or own address, unless the
administrator allowed it (``trunkline trunk allow``).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_FIB = Path("/proc/net/fib_trie")
_IF_INET6 = Path("/proc/net/if_inet6")


class AddressProblem(StrEnum):
    """Why a trunk may not have an address; the values are parts of messages."""

    NETWORK = "is a network; only single addresses identify a trunk"
    LOOPBACK = "is this machine"
    PRIVATE = "is private or reserved, so it may belong to something else"
    OWN = "is an address of this machine"
    OTHER_TRUNK = "already identifies a trunk of another account"
    PHONE = "is in use by a registered phone"


# RFC 1122, 1918, 3927, 6598, 6890, 4193, 4291, 3879, 8215, 9637: what no carrier on the public internet has. The
# documentation ranges are absent on purpose: nothing answers there.
_LOOPBACK = [ipaddress.ip_network(one) for one in ("127.0.0.0/8", "::1/128")]
_PRIVATE = [
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.168.0.0/16", "224.0.0.0/3", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "5f00::/16",
        "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
]  # fmt: skip


def parse(text: str) -> Network | None:
    """The address or network of a text, an address as a network of one; IPv4 inside IPv6 is taken out. None for names.

    ``192.0.2.1/24`` is the network 192.0.2.0/24.
    """
    try:
        network = ipaddress.ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96), strict=False)
    return network


def is_single(network: Network) -> bool:
    return network.num_addresses == 1


def written(network: Network) -> str:
    """``192.0.2.1`` for one address, ``192.0.2.0/24`` for a network."""
    return str(network.network_address) if is_single(network) else str(network)


def within(network: Network, allowed: Iterable[Network]) -> bool:
    """Whether one of ``allowed`` contains ``network`` completely."""
    return any(
        network.version == one.version and network.subnet_of(one)  # type: ignore[arg-type]
        for one in allowed
    )


def overlap(first: Network, second: Network) -> bool:
    return first.version == second.version and first.overlaps(second)


def problem_of(
    network: Network, allowed: Iterable[Network], own: frozenset[Address]
) -> AddressProblem | None:
    """Why a trunk may not have this address; None when it may, or the administrator allowed it."""
    if within(network, allowed):
        return None
    if not is_single(network):
        return AddressProblem.NETWORK
    if within(network, _LOOPBACK):
        return AddressProblem.LOOPBACK
    if network.network_address in own:
        return AddressProblem.OWN
    if within(network, _PRIVATE):
        return AddressProblem.PRIVATE
    return None


def own_addresses(*configured: str | None) -> frozenset[Address]:
    """Addresses of this machine's interfaces, and those of ``configured`` texts that are addresses."""
    return _interface_addresses() | {
        network.network_address for text in configured if text and (network := parse(text)) is not None
    }


@lru_cache(maxsize=1)
def _interface_addresses() -> frozenset[Address]:
    found: set[Address] = set()
    if _FIB.exists():
        before = ""
        for line in _FIB.read_text().splitlines():
            if "/32 host LOCAL" in line:
                found.add(ipaddress.ip_address(before.rpartition(" ")[2]))
            before = line
    if _IF_INET6.exists():
        for line in _IF_INET6.read_text().splitlines():
            found.add(ipaddress.IPv6Address(bytes.fromhex(line.split()[0])))
    if not found:  # no procfs: the addresses of the host name
        try:
            answers = socket.getaddrinfo(socket.gethostname(), None)
        except OSError:
            answers = []
        found |= {ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers}
    return frozenset(found)
