"""Which addresses trunks have, by a few look-ups whatever the number of trunks. Pure."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache

from trunkline.directory.model import Directory, Trunk

_Network = tuple[int, int, int]
"""IP version, length of the prefix, and the prefix as a number."""


class TrunkAddresses:
    """The hosts and networks of all trunks of a directory.

    :param servers: the addresses that the host of a trunk has, as they are known.
    """

    def __init__(
        self, directory: Directory, servers: Callable[[Trunk], Iterable[str]] = lambda trunk: (trunk.host,)
    ) -> None:
        self._hosts: set[str] = set()
        networks: set[str] = set()
        for account in directory.accounts.values():
            for trunk in account.trunks.values():
                self._hosts.update(servers(trunk))
                networks.update(trunk.addresses)
        self._networks = networks
        self._prefixes: dict[tuple[int, int], set[int]] = defaultdict(set)
        for network in map(_network, networks):
            if network is not None:
                version, length, prefix = network
                self._prefixes[version, length].add(prefix)

    def all(self, most: int) -> list[str]:
        """Addresses and networks as text, at most so many: single addresses first."""
        return [*sorted(self._hosts), *sorted(self._networks - self._hosts)][:most]

    def has(self, ip: str) -> bool:
        """Whether a trunk has this address.

        :param ip: an address as Asterisk reports it.
        """
        if ip in self._hosts:
            return True
        address = ipaddress.ip_address(ip)
        number, version, bits = int(address), address.version, address.max_prefixlen
        return any(
            number >> (bits - length) in prefixes
            for (of, length), prefixes in self._prefixes.items()
            if of == version
        )


@lru_cache(maxsize=50_000)
def _network(text: str) -> _Network | None:
    """None for a text that is no network: Asterisk's configuration has no such row either. Cached: the directory changes
    much more often than the networks in it."""
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return None
    bits, length = network.max_prefixlen, network.prefixlen
    return network.version, length, int(network.network_address) >> (bits - length)
