"""The registered devices of each line, from Asterisk's contacts. Pure: converts AMI messages to signals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from trunkline.core.clock import Instant
from trunkline.core.engine_values import ContactUri, EndpointName
from trunkline.telephony.ami import AmiMessage
from trunkline.telephony.names import endpoint_of
from trunkline.telephony.port import EndpointKind, Registered, Signal, Unregistered

_URI = re.compile(
    r"sips?:(?:[^@]*@)?(?P<host>\[[^\]]+\]|[^:;>]+)(?::(?P<port>[0-9]{1,5}))?(?P<params>[^>]*)", re.I
)
_REACHABLE = {"Reachable": True, "Unreachable": False}


@dataclass(frozen=True, slots=True)
class Contact:
    """One registered device.

    :ivar endpoint: Asterisk's endpoint, ``1001`` or ``web-1001``.
    :ivar uri: where to call it; names the device among those of its line.
    :ivar since: when we first saw it.
    :ivar expires_at: None when not known.
    :ivar round_trip_us: of the last probe, microseconds; None before the first.
    :ivar reachable: None before the first probe.
    """

    endpoint: str
    uri: str
    ip: str
    port: int
    transport: str
    user_agent: str
    since: Instant
    expires_at: Instant | None
    round_trip_us: int | None
    reachable: bool | None

    @property
    def line(self) -> str:
        return endpoint_of(self.endpoint).name

    def signal(self, at: Instant) -> Registered:
        return Registered(
            at=at,
            line=self.line,
            contact_uri=self.uri,
            ip=self.ip,
            port=self.port,
            transport=self.transport,
            user_agent=self.user_agent,
            expires_at=self.expires_at,
            round_trip_us=self.round_trip_us,
            reachable=self.reachable,
        )


class Registrations:
    """All contacts of lines, by endpoint and URI."""

    def __init__(self) -> None:
        self._contacts: dict[str, dict[str, Contact]] = {}

    def of(self, *endpoints: str) -> list[Contact]:
        """Devices of these endpoints that are not known to be unreachable."""
        found = (contact for name in endpoints for contact in self._contacts.get(name, {}).values())
        return [contact for contact in found if contact.reachable is not False]

    def all(self) -> list[Contact]:
        return [contact for devices in self._contacts.values() for contact in devices.values()]

    def replace_all(self, listed: Sequence[Contact], at: Instant) -> list[Signal]:
        """Take all devices there are."""
        keys = {(contact.endpoint, contact.uri) for contact in listed}
        gone = [contact for contact in self.all() if (contact.endpoint, contact.uri) not in keys]
        signals: list[Signal] = [self.remove(contact.endpoint, contact.uri, at) for contact in gone]
        return signals + [self.put(contact, at) for contact in listed]

    def put(self, contact: Contact, at: Instant) -> Registered:
        """A device registered, refreshed or was probed."""
        devices = self._contacts.setdefault(contact.endpoint, {})
        if known := devices.get(contact.uri):
            contact = replace(
                contact,
                since=known.since,
                round_trip_us=known.round_trip_us if contact.round_trip_us is None else contact.round_trip_us,
                reachable=known.reachable if contact.reachable is None else contact.reachable,
            )
        devices[contact.uri] = contact
        return contact.signal(at)

    def expiring(self, before: Instant) -> set[str]:
        """Endpoints with a device whose registration, as known now, ends before this time.

        Asterisk publishes no event for a refresh, so a later expiry must be looked up.
        """
        return {
            endpoint
            for endpoint, devices in self._contacts.items()
            if any(one.expires_at is not None and one.expires_at < before for one in devices.values())
        }

    def looked_up(self, endpoints: Iterable[str], listed: Iterable[Contact], at: Instant) -> list[Signal]:
        """Take all devices of these endpoints; the signals of those that came, changed or went."""
        before = {
            (one.endpoint, one.uri): one
            for name in endpoints
            for one in self._contacts.get(name, {}).values()
        }
        signals: list[Signal] = []
        for contact in listed:
            known = before.pop((contact.endpoint, contact.uri), None)
            signal = self.put(contact, at)
            if self._contacts[contact.endpoint][contact.uri] != known:
                signals.append(signal)
        return signals + [self.remove(endpoint, uri, at) for endpoint, uri in before]

    def remove(self, endpoint: str, uri: str, at: Instant) -> Unregistered:
        devices = self._contacts.get(endpoint, {})
        devices.pop(uri, None)
        if not devices:
            self._contacts.pop(endpoint, None)
        return Unregistered(at, endpoint_of(endpoint).name, uri)

    def probed(self, message: AmiMessage) -> Registered | None:
        """A reachability event of a completely known device; None when it must be looked up first."""
        contact = self._contacts.get(message.get("EndpointName"), {}).get(message.get("URI"))
        if contact is None:
            return None
        return self.put(
            replace(
                contact,
                round_trip_us=_number(message.get("RoundtripUsec")),
                reachable=_REACHABLE.get(message.get("ContactStatus")),
            ),
            message.at,
        )


def contact_of(message: AmiMessage, at: Instant) -> Contact | None:
    """A contact from a ``ContactList`` or ``ContactStatusDetail`` event; None when it is a trunk's, or cannot be dialled."""
    endpoint = message.get("Endpoint") or message.get("EndpointName")
    uri = message.get("Uri")
    match = _URI.match(uri)
    if (
        not EndpointName.is_good(endpoint)
        or endpoint_of(endpoint).kind is not EndpointKind.LINE
        or match is None
        or not ContactUri.is_good(uri)
    ):
        return None
    transport = re.search(r";transport=(\w+)", match["params"], re.I)
    expires = _number(message.get("ExpirationTime")) or _number(message.get("RegExpire"))
    return Contact(
        endpoint=endpoint,
        uri=uri,
        ip=match["host"].strip("[]"),
        port=int(match["port"] or 5060),
        transport=transport[1].lower() if transport else "udp",
        user_agent=message.get("UserAgent"),
        since=at,
        expires_at=Instant(float(expires)) if expires else None,
        round_trip_us=_number(message.get("RoundtripUsec")),
        reachable=_REACHABLE.get(message.get("Status")),
    )


def undialable(message: AmiMessage) -> tuple[str, str] | None:
    """Endpoint and address of a line's device that is never dialled (:class:`ContactUri`); None for others."""
    endpoint, uri = message.get("Endpoint") or message.get("EndpointName"), message.get("Uri")
    is_line = EndpointName.is_good(endpoint) and endpoint_of(endpoint).kind is EndpointKind.LINE
    return (endpoint, uri) if is_line and uri and not ContactUri.is_good(uri) else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
