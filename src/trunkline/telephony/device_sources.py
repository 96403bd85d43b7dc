"""From which addresses the devices of each line have authenticated. Pure.

A phone writes the address of its device into ``Contact`` of REGISTER. Asterisk replaces host and port of the first one by
the source of the request, and takes further ones as they are. So an address counts only when a request with the password
of the line came from it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

from trunkline.telephony.config.pjsip import BROWSER_PREFIX
from trunkline.telephony.registrations import Contact

MAX_SOURCES = 32
"""Sources that are kept of one endpoint; the one that was not used for the longest time goes first."""
_REMOTE = re.compile(r"IPV[46]/([A-Z]+)/([0-9A-Fa-f.:]+)/([0-9]{1,5})")
_OF_BROWSERS = ("WS", "WSS")

Source = tuple[str, int]
"""IP address and port."""


class DeviceSources:
    """The sources of authenticated requests, by endpoint."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Source, None]] = {}

    def add(self, endpoint: str, source: Source, kept: Collection[Source] = ()) -> bool:
        """A request from this source was authenticated; returns whether the source is new.

        :param kept: sources of registered devices, which are not forgotten for others.
        """
        known = self._known.setdefault(endpoint, {})
        is_new = source not in known
        known.pop(source, None)
        known[source] = None
        if len(known) > MAX_SOURCES:
            del known[next((one for one in known if one not in kept and one != source), next(iter(known)))]
        return is_new

    def forget(self, endpoint: str) -> None:
        """No request with the present password is known."""
        self._known.pop(endpoint, None)

    def has(self, contact: Contact) -> bool:
        """Whether a request came from host and port of the device."""
        return source_of(contact) in self._known.get(contact.endpoint, ())

    def has_host(self, contact: Contact) -> bool:
        """Whether a request came from the host of the device, from any port."""
        ip, _ = source_of(contact)
        return any(ip == known for known, _ in self._known.get(contact.endpoint, ()))

    def text(self, endpoint: str) -> str:
        """To be stored: ``203.0.113.5/5060 203.0.113.9/40312``, the last one used last."""
        return " ".join(f"{ip}/{port}" for ip, port in self._known.get(endpoint, ()))

    def load(self, endpoint: str, text: str) -> None:
        """Add the sources of a stored text, as ones that were used before those that are known."""
        stored: dict[Source, None] = {}
        for one in text.split():
            ip, _, port = one.rpartition("/")
            if port.isascii() and port.isdigit():
                stored[ip, int(port)] = None
        self._known[endpoint] = stored | self._known.get(endpoint, {})


def source_of(contact: Contact) -> Source:
    """Host and port of a device's address."""
    return _normal(contact.ip), contact.port


def remote_source(endpoint: str, address: str) -> Source | None:
    """The source in a security event (``IPV4/UDP/203.0.113.5/5060``); None when it is not one, or none of this endpoint: its
    browser credential proves a device only over WebSocket."""
    match = _REMOTE.fullmatch(address)
    if match is None or (endpoint.startswith(BROWSER_PREFIX) and match[1] not in _OF_BROWSERS):
        return None
    return _normal(match[2]), int(match[3])


def _normal(host: str) -> str:
    """One spelling of an IPv6 address; a host name stays as it is, and is no source."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host
