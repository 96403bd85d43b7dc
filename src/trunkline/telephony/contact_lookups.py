"""Follows the contacts of Asterisk: which devices are registered, and until when. Events of the manager interface name the
devices that changed; what they lack is looked up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from trunkline.core.clock import Instant
from trunkline.telephony.ami import AmiClient, AmiError, AmiMessage
from trunkline.telephony.port import Signal
from trunkline.telephony.registrations import Contact, Registrations, contact_of, undialable

_EXPIRY_CHECK = 5.0
"""Seconds between two searches for registrations that end soon."""


class ContactLookups:
    """Keeps :class:`~trunkline.telephony.registrations.Registrations` equal to Asterisk's contacts.

    :param emit: gets the signals of what changed.
    :param spawn: starts a task of the engine under a name.
    :param remove: removes a device from Asterisk by its endpoint and address: one that is never dialled would still get
        OPTIONS and NOTIFY.
    """

    def __init__(
        self,
        ami: AmiClient,
        emit: Callable[[Signal], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        remove: Callable[[str, str], Coroutine[Any, Any, None]],
    ) -> None:
        self._ami = ami
        self._emit = emit
        self._spawn = spawn
        self._remove = remove
        self._stale: set[str] = set()
        """Endpoints to be looked up."""
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
            self._emit(self.registrations.remove(endpoint, uri, message.at))
        elif status in ("Reachable", "Unreachable") and (probed := self.registrations.probed(message)):
            self._emit(probed)
        else:
            self._look_up({endpoint})

    def _look_up(self, endpoints: set[str]) -> None:
        pending = bool(self._stale)
        self._stale |= endpoints
        if self._stale and not pending:
            self._spawn(self._look_up_stale(), "look-up-contacts")

    async def follow_refreshes(self) -> None:
        """Look up devices shortly before their registration ends: one look-up for each period, not for each probe."""
        while True:
            await asyncio.sleep(_EXPIRY_CHECK)
            if not self.known.is_set():  # the listing after the connection failed: Asterisk was still loading
                await self.list_all()
            self._look_up(self.registrations.expiring(Instant(_now() + _EXPIRY_CHECK)))

    async def _look_up_stale(self) -> None:
        """User agent, expiry and address of devices that events named; many at once by one listing."""
        await asyncio.sleep(0.02)
        stale, self._stale = self._stale, set()
        if len(stale) > 20:
            with contextlib.suppress(AmiError):
                listed = await self._ami.listing("PJSIPShowContacts")
                self._take_contacts(stale, [one for one in self._contacts(listed) if one.endpoint in stale])
            return
        for endpoint in stale:
            await self.look_up(endpoint)

    async def look_up(self, endpoint: str) -> None:
        """Read the contacts of an endpoint now; nothing changes when Asterisk does not respond."""
        with contextlib.suppress(AmiError):
            messages = await self._ami.listing("PJSIPShowEndpoint", {"Endpoint": endpoint})
            details = [one for one in messages if one.event == "ContactStatusDetail"]
            self._take_contacts({endpoint}, self._contacts(details))

    def _take_contacts(self, endpoints: set[str], listed: Sequence[Contact]) -> None:
        for signal in self.registrations.looked_up(endpoints, listed, _now()):
            self._emit(signal)

    async def list_all(self) -> None:
        """Read all contacts, as after a connection to Asterisk."""
        with contextlib.suppress(AmiError):
            messages = await self._ami.listing("PJSIPShowContacts")
            for signal in self.registrations.replace_all(messages, _now()):
                self._emit(signal)
            self.known.set()
            self._contacts(messages)

    def _contacts(self, messages: Iterable[AmiMessage]) -> list[Contact]:
        """Those that may be dialled; the others are removed."""
        found = []
        for message in messages:
            if contact := contact_of(message, message.at):
                found.append(contact)
            elif device := undialable(message):
                self._spawn(self._remove(*device), "remove-contact")
        return found


def _now() -> Instant:
    return Instant(time.time())
