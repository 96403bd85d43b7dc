"""Resolves the host names of trunks."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from trunkline.directory.trunks.addresses import Network, parse

TIMEOUT_SECONDS = 5.0
"""For one name; a name that is not resolved in time has no address."""

_threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="trunk-hosts")
"""A pool of their own, because a name whose server never responds occupies a thread."""

Resolved = Mapping[str, tuple[Network, ...]]
"""By host name."""


_THIS_MACHINE = re.compile(
    r"(?:.+\.)?localhost[46]?(?:\.localdomain[46]?)?\.?|ip6-(?:localhost|loopback)\.?", re.IGNORECASE
)
"""Names of this machine (RFC 6761 section 6.3, and those of usual ``/etc/hosts``), also where no file or server has them."""
_LOOPBACK = ipaddress.ip_network("127.0.0.1/32")


async def resolve(hosts: Iterable[str]) -> dict[str, tuple[Network, ...]]:
    """Addresses of each host, sorted, IPv4 first; a literal address is itself, a name that cannot be resolved has none.

    A name is also what only the system's resolver reads as an address: ``127.1``, ``2130706433``.
    """
    wanted = sorted(set(hosts))
    found = await asyncio.gather(*(_addresses(host) for host in wanted))
    return dict(zip(wanted, found, strict=True))


async def _addresses(host: str) -> tuple[Network, ...]:
    literal = parse(host)
    if literal is not None:
        return (literal,)
    if _THIS_MACHINE.fullmatch(host):
        return (_LOOPBACK,)
    loop = asyncio.get_running_loop()
    try:
        answers = await asyncio.wait_for(
            loop.run_in_executor(_threads, _look_up, host),
            TIMEOUT_SECONDS,
        )
    except (OSError, UnicodeError, TimeoutError):
        return ()
    networks = {parse(text) for text in answers}
    return tuple(
        sorted((one for one in networks if one is not None), key=lambda one: (one.version, str(one)))
    )


def _look_up(host: str) -> set[str]:
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return {str(answer[4][0]).partition("%")[0] for answer in answers}
