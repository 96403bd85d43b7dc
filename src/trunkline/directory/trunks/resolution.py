"""Resolves the host names of trunks. Look-ups of one account never delay those of another."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping

from trunkline.core.lookups import Lookups
from trunkline.directory.trunks.addresses import Network, parse

TIMEOUT_SECONDS = 5.0
"""For one name; a name that is not resolved in time has no address."""

LOOKUPS_PER_ACCOUNT = 2
"""Look-ups of one account at the same time. One that took too long counts until the system's resolver has given it up."""

Resolved = Mapping[str, tuple[Network, ...]]
"""By host name."""


_THIS_MACHINE = re.compile(
    r"(?:.+\.)?localhost[46]?(?:\.localdomain[46]?)?\.?|ip6-(?:localhost|loopback)\.?", re.IGNORECASE
)
"""Names of this machine (RFC 6761 section 6.3, and those of usual ``/etc/hosts``), also where no file or server has them."""
_LOOPBACK = ipaddress.ip_network("127.0.0.1/32")


async def resolve(
    hosts: Iterable[str], account_id: int, timeout: float = TIMEOUT_SECONDS
) -> dict[str, tuple[Network, ...]]:
    """Addresses of each host, sorted; a literal address is itself, a name that cannot be resolved has none.

    A name is also what only the system's resolver reads as an address: ``127.1``, ``2130706433``.

    :param account_id: whose names they are: of one account, only ``LOOKUPS_PER_ACCOUNT`` are resolved at the same time.
    :param timeout: seconds, for each name, with the time it waits for others of its account.
    """
    wanted = sorted(set(hosts))
    found = await asyncio.gather(*(_addresses(host, account_id, timeout) for host in wanted))
    return dict(zip(wanted, found, strict=True))


async def _addresses(host: str, account_id: int, timeout: float) -> tuple[Network, ...]:
    literal = parse(host)
    if literal is not None:
        return (literal,)
    if _THIS_MACHINE.fullmatch(host):
        return (_LOOPBACK,)
    try:
        future = _lookups.submit(account_id, lambda: _look_up(host))
        answers = await asyncio.wait_for(asyncio.wrap_future(future), timeout)
    except (OSError, UnicodeError, TimeoutError):
        return ()
    networks = {parse(text) for text in answers}
    return tuple(
        sorted((one for one in networks if one is not None), key=lambda one: (one.version, str(one)))
    )


def _look_up(host: str) -> set[str]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return {str(answer[4][0]).partition("%")[0] for answer in answers}


_lookups: Lookups[set[str]] = Lookups(LOOKUPS_PER_ACCOUNT, name="trunk-hosts")
