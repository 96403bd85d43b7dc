"""The HTTP client for URLs of tenants. No other module creates one; a test checks this."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import aiohttp

from trunkline import __version__
from trunkline.outbound.guard import Allowed, GuardedResolver


def guarded_session(
    allowed: Allowed, *, timeout: aiohttp.ClientTimeout, trust: ssl.SSLContext | None = None, **options: Any
) -> aiohttp.ClientSession:
    """A client session that connects only where ``allowed`` permits; to be closed by the caller.

    It keeps no cookies and uses no proxy of the environment. Check the URL of each request, and of each redirect, with
    :meth:`Allowed.check_url` first, for an error that names the setting. Send those of an account in a block of
    :func:`~.guard.requests_of`.

    :param trust: certification authorities; default: those of the system.
    """

    def connect(address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, place = address
        if not allowed.permits(place[0], place[1]):
            raise allowed.refusal(place[0])
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0,
            resolver=GuardedResolver(allowed),
            use_dns_cache=False,  # the resolver has one for each account; look-ups of that of aiohttp have no account
            ssl=True if trust is None else trust,
            socket_factory=connect,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"Trunkline/{__version__}"},
        timeout=timeout,
        trust_env=False,
        **options,
    )
