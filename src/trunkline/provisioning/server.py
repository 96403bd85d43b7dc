"""Where phones register: host and port for each transport. Pure but for the name of this machine."""

from __future__ import annotations

import socket
from enum import StrEnum
from urllib.parse import urlsplit

from trunkline.core.errors import InvalidInput
from trunkline.core.settings import Settings


class Transport(StrEnum):
    """Between phone and PBX."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


def sip_host(settings: Settings, transport: Transport = Transport.UDP) -> str:
    """The host where phones register: the external address, else the address of the listener, of the web server, or of this
    machine.

    For TLS the name of the web server comes first: it is the one in the certificate.
    """
    sip = settings.sip
    bound_address = sip.bind if sip.bind not in ("0.0.0.0", "::") else None
    web = urlsplit(settings.web.public_url or "").hostname
    first = web if transport is Transport.TLS else None
    return first or sip.external_address or bound_address or web or socket.gethostname()


def sip_port(settings: Settings, transport: Transport) -> int:
    """The port of a transport.

    :raises InvalidInput: the transport is turned off.
    """
    sip = settings.sip
    ports = {Transport.UDP: sip.udp_port, Transport.TCP: sip.tcp_port, Transport.TLS: sip.tls_port}
    if not ports[transport]:
        raise InvalidInput(
            f"sip.{transport}_port is 0, so this transport is turned off; choose another one, or set the port",
            field="transport",
            value=transport.value,
        )
    return ports[transport]


def sip_server(settings: Settings) -> str:
    """``host:port`` for a phone that is set up by hand."""
    sip = settings.sip
    return f"{sip_host(settings)}:{sip.udp_port or sip.tcp_port or sip.tls_port}"


def https_address(settings: Settings) -> str:
    """Start of the addresses that phones fetch their configuration from, without a slash at the end.

    :raises InvalidInput: HTTPS is turned off, and no public address with ``https://`` is set.
    """
    web = settings.web
    if web.public_url is not None and web.public_url.startswith("https://"):
        return web.public_url.rstrip("/")
    if not web.https_port:
        raise InvalidInput(
            "phones fetch their configuration over HTTPS only, and web.https_port is 0: set the port, or web.public_url"
            " with https:// when a proxy ends HTTPS"
        )
    bound_address = web.https_bind if web.https_bind not in ("0.0.0.0", "::") else None
    return f"https://{bound_address or sip_host(settings, Transport.TLS)}:{web.https_port}"
