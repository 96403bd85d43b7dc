"""The addresses by which the engine identifies trunks, those it sends to, and the trunks that share an address. Pure.

Two accounts may have trunks at one carrier address. The engine identifies such an address as one trunk, the first of
those that share it; the called number determines the account of a call (:mod:`.call_owner`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from trunkline.directory.model import Account, Directory, Trunk, TrunkMode
from trunkline.directory.trunks.addresses import (
    Address,
    AddressProblem,
    Network,
    is_single,
    overlap,
    parse,
    problem_of,
    written,
)
from trunkline.directory.trunks.resolution import Resolved


@dataclass(frozen=True, slots=True)
class RefusedAddress:
    """A forbidden address of a trunk. ``host``: the trunk's host resolves to it, so the whole trunk is
    left out of the engine; else only the identification by this address is."""

    account_id: int
    trunk_id: int
    trunk_name: str
    address: str
    problem: AddressProblem
    host: bool

    @property
    def text(self) -> str:
        return f"{self.address} {self.problem.value}"


@dataclass(frozen=True, slots=True)
class Identification:
    """What identifies trunks in the engine.

    :ivar addresses: by the trunk that the engine identifies calls from them as.
    :ivar sharing: by that trunk: all trunks, itself among them, that have one of those addresses.
    :ivar unusable: trunks that the engine must not have.
    :ivar servers: by trunk whose host is a name: the address that the engine connects to, one of those that were checked.
    :ivar unresolved: by trunk: why its name has no address. No request can be sent to such a trunk; it is unusable unless
        it has ``addresses``. A name whose first look-up has not ended is in neither.
    """

    addresses: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    sharing: Mapping[int, frozenset[int]] = field(default_factory=dict)
    unusable: frozenset[int] = frozenset()
    refused: tuple[RefusedAddress, ...] = ()
    servers: Mapping[int, str] = field(default_factory=dict)
    unresolved: Mapping[int, str] = field(default_factory=dict)


UNRESOLVED = " resolves to no "
"""In a reason of :attr:`Identification.unresolved`, after the host name."""


def hosts_of(directory: Directory) -> set[str]:
    """What must be resolved before :func:`identification`."""
    return {host for account in directory.accounts.values() for host in names_of(account)}


def names_of(account: Account) -> set[str]:
    """Hosts of an account's trunks that are no addresses."""
    return {trunk.host for trunk in account.trunks.values() if parse(trunk.host) is None}


def identification(
    directory: Directory,
    resolved: Resolved,
    own: frozenset[Address] = frozenset(),
    version: int = 4,
    preferred: Mapping[int, str] = MappingProxyType({}),
) -> Identification:
    """Which addresses identify which trunk and where its requests go, when host names resolve to ``resolved``.

    A trunk that registers is identified by its registration; an address identifies it only where ``addresses`` lists it.

    :param version: 4 or 6, the addresses that the engine's transports can connect to.
    :param preferred: by trunk: the address to be used while its name has it; else the first one is.
    """
    wanted: dict[int, tuple[Trunk, set[Network]]] = {}
    unusable: set[int] = set()
    refused: list[RefusedAddress] = []
    servers: dict[int, str] = {}
    unresolved: dict[int, str] = {}
    for account in directory.accounts.values():
        allowed = _networks(account.allowed_addresses)
        for trunk in account.trunks.values():
            if not trunk.is_active:
                continue
            literal = parse(trunk.host)
            server = (literal,) if literal is not None else resolved.get(trunk.host)
            if server is None:  # not resolved yet
                unusable.add(trunk.trunk_id)
                continue
            problems = _refused(account, trunk, server, allowed, own, host=True)
            if problems:
                refused += problems
                unusable.add(trunk.trunk_id)
                continue
            if literal is None:
                usable = [written(one) for one in server if one.version == version]
                if usable:
                    chosen = preferred.get(trunk.trunk_id)
                    servers[trunk.trunk_id] = chosen if chosen in usable else usable[0]
                else:
                    reason = f"{trunk.host}{UNRESOLVED}IPv{version} address; the look-up is repeated"
                    unresolved[trunk.trunk_id] = reason
                    if not trunk.addresses:
                        unusable.add(trunk.trunk_id)
                        continue
            listed = _networks(trunk.addresses)
            problems = _refused(account, trunk, listed, allowed, own, host=False)
            refused += problems
            bad = {one.address for one in problems}
            found = {one for one in listed if written(one) not in bad}
            if trunk.mode is TrunkMode.ADDRESS and (literal is not None or not listed):
                found |= set(server)
            if found:
                wanted[trunk.trunk_id] = (trunk, found)
    addresses, sharing = _grouped(wanted)
    return Identification(addresses, sharing, frozenset(unusable), tuple(refused), servers, unresolved)


def _networks(texts: Iterable[str]) -> list[Network]:
    return [network for text in texts if (network := parse(text)) is not None]


def _refused(
    account: Account,
    trunk: Trunk,
    networks: Iterable[Network],
    allowed: Collection[Network],
    own: frozenset[Address],
    *,
    host: bool,
) -> list[RefusedAddress]:
    return [
        RefusedAddress(account.account_id, trunk.trunk_id, trunk.name, written(network), problem, host)
        for network in networks
        if (problem := problem_of(network, allowed, own)) is not None
    ]


def _grouped(
    wanted: Mapping[int, tuple[Trunk, set[Network]]],
) -> tuple[dict[int, tuple[str, ...]], dict[int, frozenset[int]]]:
    """Trunks that share an address become one group each: its first trunk, by address before by registration, has all
    addresses of the group. So no address is named twice in the engine's configuration, where only one would count."""
    parent = {trunk_id: trunk_id for trunk_id in wanted}

    def root(trunk_id: int) -> int:
        while parent[trunk_id] != trunk_id:
            parent[trunk_id] = parent[parent[trunk_id]]
            trunk_id = parent[trunk_id]
        return trunk_id

    first: dict[Network, int] = {}
    for trunk_id, (_, networks) in wanted.items():
        for network in networks:
            parent[root(trunk_id)] = root(first.setdefault(network, trunk_id))
    # Few are networks, since an administrator must allow each.
    for network in [one for one in first if not is_single(one)]:
        for other, trunk_id in first.items():
            if overlap(network, other):
                parent[root(trunk_id)] = root(first[network])
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for trunk_id in wanted:
        groups[root(trunk_id)].append(trunk_id)
    addresses: dict[int, tuple[str, ...]] = {}
    sharing: dict[int, frozenset[int]] = {}
    for members in groups.values():
        leader = min(members, key=lambda one: (wanted[one][0].mode is TrunkMode.REGISTER, one))
        networks = {network for member in members for network in wanted[member][1]}
        addresses[leader] = tuple(sorted(map(written, networks)))
        sharing[leader] = frozenset(members)
    return addresses, sharing
