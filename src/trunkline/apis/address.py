"""The address of a request: the peer's, or the one from trusted proxies. The same for all APIs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import web

from trunkline.core.settings import Settings

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


AddressOf = Callable[[web.Request], str]
"""The client's address of a request."""


def address_reader(settings: Settings) -> AddressOf:
    """The reader for requests of this instance, with its trusted proxies.

    :raises ValueError: ``web.trusted_proxies`` holds something that is not a network.
    """
    trusted = networks(settings.web.trusted_proxies)

    def address_of(request: web.Request) -> str:
        return client_address(request.remote, request.headers.getall("X-Forwarded-For", []), trusted)

    return address_of


CountryOf = Callable[[web.Request], str]
"""The country of a request's client, ISO 3166 alpha-2; empty: not known."""


def country_reader(settings: Settings) -> CountryOf:
    """The reader for requests of this instance: the header of a trusted proxy (``web.country_header``)."""
    header, trusted = settings.web.country_header, networks(settings.web.trusted_proxies)

    def country_of(request: web.Request) -> str:
        peer = _parse(request.remote or "127.0.0.1")
        if header is None or peer is None or not _within(peer, trusted):
            return ""
        country = request.headers.get(header, "").strip().upper()
        return country if len(country) == 2 and country.isascii() and country.isalpha() else ""

    return country_of


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks from settings (``10.0.0.0/8``, ``::1``).

    :raises ValueError: one of them is none.
    """
    return tuple(ip_network(text, strict=False) for text in texts)


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """The client's address: the peer's own, or the one that trusted proxies report.

    :param peer: address of the other end of the connection; None (a Unix socket) counts as loopback.
    :param forwarded_for: the values of all ``X-Forwarded-For`` headers, in order.
    :param trusted: networks of proxies; the header is read from its end for as long as its members are in these, so
        that a client cannot invent its address.
    """
    current = _parse(peer or "127.0.0.1")
    if current is None:
        return peer or ""
    claims = [claim.strip() for value in forwarded_for for claim in value.split(",")]
    for claim in reversed(claims):
        if not _within(current, trusted):
            break
        claimed = _parse(claim)
        if claimed is None:
            break
        current = claimed
    return str(current)


@lru_cache(maxsize=1024)
def _parse(text: str) -> Address | None:
    """An address, without a port or zone; a v4 address inside v6 becomes v4."""
    bare = text.strip().removeprefix("[").partition("]")[0].partition("%")[0]
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _within(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)
