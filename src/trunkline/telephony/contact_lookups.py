"""Follows the contacts of Asterisk: which devices are registered, and until when. Events of the manager interface name the
devices that changed; what they lack is looked up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from enum import Enum
from typing import Any

from trunkline.core.clock import Instant
from trunkline.telephony.ami import AmiClient, AmiError, AmiMessage, AmiTimeout
from trunkline.telephony.config.dialplan import DEVICES
from trunkline.telephony.config.pjsip import BROWSER_PREFIX
from trunkline.telephony.connects import device_name
from trunkline.telephony.device_sources import DeviceSources, remote_source, source_of
from trunkline.telephony.port import Signal
from trunkline.telephony.registrations import Contact, Registrations, contact_of, undialable

_EXPIRY_CHECK = 5.0
"""Seconds between two searches for registrations that end soon."""
_DIAL_LIST_BYTES = 3500
_RETRY_SECONDS = 1.0
"""After which what Asterisk did not respond to in time is looked up or written again."""
_LIST_PAUSE_SECONDS = 0.05
"""After which Asterisk is asked for all contacts again, the first time; then after twice as long each time."""
_PROOF_SECONDS = 2.0
"""How long the event of a device may come before that of the request which proves its address."""
SOURCES = "tl-sources"
"""Family of Asterisk's database: from where the requests of each endpoint came (:mod:`.device_sources`)."""
_FORM = "-form"
"""Key of both families that is no endpoint: exists since the families are written."""


class Refusal(Enum):
    """Why a device is never dialled; the value is the remedy."""

    FORM = "correct the Contact of the phone: with headers, maddr or method in it, it gets no calls"
    SOURCE = "let the phone register again, with one Contact: no request of its line came from this address"


class ContactLookups:
    """Keeps :class:`~trunkline.telephony.registrations.Registrations` equal to Asterisk's contacts.

    :param emit: gets the signals of what changed.
    :param spawn: starts a task of the engine under a name.
    :param remove: removes a device from Asterisk by its endpoint and address: one that is never dialled would still get
        OPTIONS and NOTIFY.

    A device counts only when a request of its line came from its address. Its devices and these sources are stored in
    Asterisk's database, beside Asterisk's contacts: there the dialplan finds whom to dial, and the next switch finds what
    was proven before it.
    """

    def __init__(
        self,
        ami: AmiClient,
        emit: Callable[[Signal], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        remove: Callable[[str, str, Refusal], Coroutine[Any, Any, None]],
    ) -> None:
        self._ami = ami
        self._emit = emit
        self._spawn = spawn
        self._remove = remove
        self._stale: set[str] = set()
        """Endpoints to be looked up."""
        self._sources = DeviceSources()
        self._unproven: dict[tuple[str, str], Contact] = {}
        """Devices whose address no request has proven yet, by endpoint and address."""
        self._stored: dict[tuple[str, str], str] = {}
        """What Asterisk's database has, by family and key."""
        self._storing = asyncio.Lock()
        self._unstored: set[str] = set()
        """Endpoints with changes that are not in Asterisk's database."""
        self._unsent: list[Signal] = []
        """Signals of these changes."""
        self.registrations = Registrations()
        self.known = asyncio.Event()
        """Set while all contacts have been read since the connection to Asterisk."""

    def on_status(self, message: AmiMessage) -> None:
        """Handle a ``ContactStatus`` event."""
        endpoint, uri = message.get("EndpointName"), message.get("URI")
        status = message.get("ContactStatus")
        if endpoint.startswith("trunk-"):
            return
        if status == "Removed":
            self._changed([endpoint], [self.registrations.remove(endpoint, uri, message.at)])
            self._spawn(self._store(), "store-devices")
        elif status in ("Reachable", "Unreachable") and (probed := self.registrations.probed(message)):
            self._changed([endpoint], [probed])
            self._spawn(self._store(), "store-devices")
        else:
            self._look_up({endpoint})

    def on_authenticated(self, message: AmiMessage) -> None:
        """Handle a ``SuccessfulAuth`` event: a request came from this address with the password of the line."""
        endpoint = message.get("AccountID")
        source = remote_source(endpoint, message.get("RemoteAddress"))
        if message.get("Service") != "PJSIP" or source is None or endpoint.startswith("trunk-"):
            return
        registered = map(source_of, self.registrations.of(endpoint))
        if not self._sources.add(endpoint, source, kept=frozenset(registered)):
            return
        if any(endpoint == one for one, _ in self._unproven):
            self._look_up({endpoint})

    def forget(self, lines: Collection[str]) -> None:
        """These lines have another password: a device counts again when a request with it came from its address."""
        endpoints = {name for line in lines for name in (line, BROWSER_PREFIX + line)}
        for endpoint in endpoints:
            self._sources.forget(endpoint)
        self._look_up(endpoints)

    def _look_up(self, endpoints: set[str]) -> None:
        pending = bool(self._stale)
        self._stale |= endpoints
        if self._stale and not pending:
            self._spawn(self._look_up_stale(), "look-up-contacts")

    async def follow_refreshes(self) -> None:
        """Look up devices shortly before their registration ends: one look-up for each period, not for each probe."""
        while True:
            await asyncio.sleep(_EXPIRY_CHECK)
            self._look_up(self.registrations.expiring(Instant(_now() + _EXPIRY_CHECK)))

    async def _look_up_stale(self) -> None:
        """User agent, expiry and address of devices that events named; many at once by one listing."""
        await asyncio.sleep(0.02)
        stale, self._stale = self._stale, set()
        if len(stale) > 20:
            try:
                listed = await self._ami.listing("PJSIPShowContacts")
                found = [one for one in self._contacts(listed) if one.endpoint in stale]
                await self._take_contacts(stale, found)
            except AmiTimeout:
                self._look_up_later(stale)
            except AmiError:
                pass  # all contacts are listed after the next connection
            return
        for endpoint in stale:
            await self.look_up(endpoint)

    def _look_up_later(self, endpoints: Iterable[str]) -> None:
        """Asterisk did not respond in time, as under load: no further event comes of a device that has just registered."""
        self._spawn(self._look_up_again(frozenset(endpoints)), "look-up-contacts-again")

    async def _look_up_again(self, endpoints: frozenset[str]) -> None:
        await asyncio.sleep(_RETRY_SECONDS)
        self._look_up(set(endpoints))

    async def look_up(self, endpoint: str) -> None:
        """Read the contacts of an endpoint now; when Asterisk does not respond, nothing changes, and it is tried again."""
        try:
            messages = await self._ami.listing("PJSIPShowEndpoint", {"Endpoint": endpoint})
        except AmiTimeout:
            self._look_up_later([endpoint])
        except AmiError:
            pass  # no such endpoint, or all contacts are listed after the next connection
        else:
            details = [one for one in messages if one.event == "ContactStatusDetail"]
            await self._take_contacts({endpoint}, self._contacts(details))

    async def _take_contacts(self, endpoints: set[str], listed: Sequence[Contact]) -> None:
        self._changed(endpoints, self.registrations.looked_up(endpoints, listed, _now()))
        await self._store()

    async def list_all(self) -> None:
        """Read all contacts, as after a connection to Asterisk; returns when they are read or the connection is lost.

        Asterisk takes connections while it loads modules and does not have the commands of all yet, so it is asked again.
        The switch takes calls when the contacts are known.
        """
        pause = _LIST_PAUSE_SECONDS
        while True:
            try:
                await self._list_all()
                return
            except AmiError:
                if not self._ami.is_up:
                    return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _RETRY_SECONDS)

    async def _list_all(self) -> None:
        await self._load()
        messages = await self._ami.listing("PJSIPShowContacts")
        signals = self.registrations.replace_all(self._contacts(messages, missed=True), _now())
        written = {key for family, key in self._stored if family == DEVICES and key != _FORM}
        self._changed({one.endpoint for one in self.registrations.all()} | written, signals)
        await self._store()
        self.known.set()

    def _contacts(self, messages: Iterable[AmiMessage], *, missed: bool = False) -> list[Contact]:
        """Those that may be dialled; the others are removed.

        :param missed: events may have been missed before. Then a device counts when a request of its line ever came from its
            host, and all devices count when no source was ever stored: Asterisk kept them from an older version.
        """
        found = []
        is_first = missed and (SOURCES, _FORM) not in self._stored
        for message in messages:
            if contact := contact_of(message, message.at):
                if missed and (is_first or self._sources.has_host(contact)):
                    self._sources.add(contact.endpoint, source_of(contact))
                if self._sources.has(contact):
                    self._unproven.pop((contact.endpoint, contact.uri), None)
                    found.append(contact)
                elif (device := (contact.endpoint, contact.uri)) not in self._unproven:
                    self._unproven[device] = contact
                    self._spawn(self._remove_unproven(*device), "remove-unproven-contact")
            elif refused := undialable(message):
                self._spawn(self._remove(*refused, Refusal.FORM), "remove-contact")
        return found

    async def _remove_unproven(self, endpoint: str, uri: str) -> None:
        await asyncio.sleep(_PROOF_SECONDS)
        contact = self._unproven.pop((endpoint, uri), None)
        if contact is None:
            return
        if self._sources.has(contact):  # proven meanwhile, and Asterisk did not respond to the look-up
            self._look_up({endpoint})
        else:
            await self._remove(endpoint, uri, Refusal.SOURCE)

    # --- Asterisk's database

    async def _load(self) -> None:
        """Read what is stored; the sources of endpoints are added to those that are known."""
        self._stored.clear()
        for family in (DEVICES, SOURCES):
            prefix = f"/{family}/"
            for one in await self._ami.listing("DBGetTree", {"Family": family}):
                if one.get("Key").startswith(prefix):
                    self._stored[family, one.get("Key").removeprefix(prefix)] = one.get("Val")
        for (family, key), text in self._stored.items():
            if family == SOURCES and key != _FORM:
                self._sources.load(key, text)

    def _changed(self, endpoints: Iterable[str], signals: Iterable[Signal]) -> None:
        """Note what the next :meth:`_store` writes and emits."""
        self._unstored.update(endpoints)
        self._unsent.extend(signals)

    async def _store(self) -> None:
        """Write what changed, then emit the signals of it, in the order of the changes: who gets one finds what is stored.

        What cannot be written now is written again soon, or after the next connection to Asterisk.
        """
        async with self._storing:
            endpoints, self._unstored = self._unstored, set()
            signals, self._unsent = self._unsent, []
            await self._write(endpoints)
            for signal in signals:
                self._emit(signal)

    async def _write(self, wanted: Collection[str]) -> None:
        try:
            for endpoint in wanted:
                devices = map(device_name, self.registrations.of(endpoint))
                await self._put(DEVICES, endpoint, dial_list(devices))
                await self._put(SOURCES, endpoint, self._sources.text(endpoint))
            for family in (DEVICES, SOURCES):
                await self._put(family, _FORM, "1")
        except AmiTimeout:
            self._look_up_later(wanted)
        except AmiError:
            pass

    async def _put(self, family: str, key: str, text: str) -> None:
        if self._stored.get((family, key), "") == text:
            return
        if text:
            await self._ami.action("DBPut", {"Family": family, "Key": key, "Val": text})
        else:
            await self._ami.action("DBDel", {"Family": family, "Key": key})
        self._stored[family, key] = text


def dial_list(devices: Iterable[str]) -> str:
    """What ``Dial()`` calls, as long as a value of Asterisk's database may be in the dialplan: cut, it would name another
    address."""
    text = ""
    for device in devices:
        if len(text) + 1 + len(device) <= _DIAL_LIST_BYTES:
            text += f"&{device}" if text else device
    return text


def _now() -> Instant:
    return Instant(time.time())
