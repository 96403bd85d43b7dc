"""Rules of the addresses from which devices have authenticated, and of what is dialled for a line."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from tests.patience import PATIENCE
from trunkline.core.clock import Instant
from trunkline.telephony import contact_lookups
from trunkline.telephony.ami import AmiClient, AmiMessage, AmiTimeout
from trunkline.telephony.contact_lookups import ContactLookups, dial_list
from trunkline.telephony.device_sources import MAX_SOURCES, DeviceSources, remote_source
from trunkline.telephony.port import Registered, Signal, Unregistered
from trunkline.telephony.registrations import Contact, contact_of


def device(uri: str, endpoint: str = "1001") -> Contact:
    message = AmiMessage([("Event", "ContactList"), ("Endpoint", endpoint), ("Uri", uri)], Instant(1.0))
    contact = contact_of(message, Instant(1.0))
    assert contact is not None
    return contact


@pytest.mark.parametrize(
    ("remote", "uri"),
    [
        ("IPV4/UDP/203.0.113.5/5062", "sip:1001@203.0.113.5:5062"),
        ("IPV4/UDP/203.0.113.5/5060", "sip:1001@203.0.113.5"),
        ("IPV4/WSS/203.0.113.5/40000", "sip:a@203.0.113.5:40000;transport=ws"),
        ("IPV6/TLS/2001:db8::1/40000", "sip:a@[2001:DB8:0::1]:40000;transport=tls"),
    ],
)
def test_a_device_counts_when_a_request_came_from_its_address(remote: str, uri: str) -> None:
    sources = DeviceSources()
    source = remote_source("1001", remote)
    assert source is not None
    assert not sources.has(device(uri))
    assert sources.add("1001", source)
    assert not sources.add("1001", source)
    assert sources.has(device(uri))
    assert not sources.has(device(uri, "1002"))


@pytest.mark.parametrize(
    "uri", ["sip:1001@203.0.113.6:5062", "sip:1001@203.0.113.5:5063", "sip:1001@carrier.example:5062"]
)
def test_a_device_with_another_address_does_not_count(uri: str) -> None:
    sources = DeviceSources()
    sources.add("1001", ("203.0.113.5", 5062))
    assert not sources.has(device(uri))
    assert sources.has_host(device(uri)) == uri.startswith("sip:1001@203.0.113.5")


def test_sources_are_stored_and_bounded() -> None:
    sources, again = DeviceSources(), DeviceSources()
    for number in range(MAX_SOURCES + 5):
        sources.add("1001", ("203.0.113.5", 5000 + number))
    again.load("1001", sources.text("1001"))
    assert again.text("1001") == sources.text("1001")
    assert not sources.has(device("sip:1001@203.0.113.5:5004"))
    assert sources.has(device("sip:1001@203.0.113.5:5005"))
    damaged = DeviceSources()
    damaged.load("1001", "damaged 203.0.113.9/x")
    assert damaged.text("1001") == ""


@pytest.mark.parametrize(
    ("endpoint", "text"),
    [
        ("1001", ""),
        ("1001", "IPV4/UDP/203.0.113.5"),
        ("1001", "IPV4/UDP/carrier.example/5060"),
        ("1001", "203.0.113.5:5060"),
        ("web-1001", "IPV4/UDP/203.0.113.5/5060"),
        ("web-1001", "IPV4/TLS/203.0.113.5/5060"),
    ],
)
def test_what_is_no_source(endpoint: str, text: str) -> None:
    assert remote_source(endpoint, text) is None


def test_the_source_of_a_registered_device_is_not_forgotten_for_others() -> None:
    """A device that connects again and again must not make another one of its line refused."""
    sources = DeviceSources()
    quiet = ("203.0.113.9", 5060)
    sources.add("1001", quiet)
    for number in range(MAX_SOURCES * 3):
        sources.add("1001", ("203.0.113.5", 5000 + number), kept={quiet})
    assert sources.has(device("sip:1001@203.0.113.9"))
    assert len(sources.text("1001").split()) == MAX_SOURCES


class Manager:
    """Asterisk's manager interface, which at first does not respond to some actions."""

    def __init__(self, silent_to: str, times: int) -> None:
        self.silent_to, self.times = silent_to, times
        self.is_up = True
        self.database: dict[str, str] = {}
        self.uri = "sip:1001@203.0.113.5:6000"
        self.writes = asyncio.Event()
        """Until it is set, Asterisk writes nothing."""
        self.writes.set()

    def _answer(self, name: str) -> None:
        if name == self.silent_to and self.times:
            self.times -= 1
            raise AmiTimeout(f"Asterisk did not answer {name}")

    async def listing(self, name: str, parameters: dict[str, str] | None = None) -> list[AmiMessage]:
        self._answer(name)
        kind = "ContactList" if name == "PJSIPShowContacts" else "ContactStatusDetail"
        if name not in ("PJSIPShowContacts", "PJSIPShowEndpoint"):
            return []
        if parameters and parameters["Endpoint"] != "1001":
            return []
        return [AmiMessage([("Event", kind), ("EndpointName", "1001"), ("Uri", self.uri)], Instant(1.0))]

    async def action(self, name: str, parameters: dict[str, str]) -> None:
        self._answer(name)
        await self.writes.wait()
        self.database[f"{parameters['Family']}/{parameters['Key']}"] = parameters.get("Val", "")


@pytest.mark.parametrize(
    ("silent_to", "lines"), [("PJSIPShowEndpoint", 1), ("PJSIPShowContacts", 30), ("DBPut", 1)]
)
async def test_a_device_whose_look_up_got_no_response_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch, silent_to: str, lines: int
) -> None:
    """A phone that registers on another port while Asterisk is busy: no further event of it comes, so it was unreachable
    until it registered again."""
    monkeypatch.setattr(contact_lookups, "_RETRY_SECONDS", 0.05, raising=False)
    manager = Manager(silent_to, 2)
    signals: list[Signal] = []
    tasks: list[asyncio.Future[None]] = []
    lookups = ContactLookups(
        cast(AmiClient, manager),
        signals.append,
        lambda work, _name: tasks.append(asyncio.ensure_future(work)),
        cast(Any, None),
    )
    remote = ("RemoteAddress", "IPV4/UDP/203.0.113.5/6000")
    lookups.on_authenticated(
        AmiMessage(
            [("Event", "SuccessfulAuth"), ("Service", "PJSIP"), ("AccountID", "1001"), remote], Instant(1.0)
        )
    )
    for number in range(lines):
        name = f"100{1 + number}" if number < 9 else f"10{1 + number}"
        lookups.on_status(
            AmiMessage(
                [("Event", "ContactStatus"), ("EndpointName", name), ("ContactStatus", "NonQualified")],
                Instant(1.0),
            )
        )
    async with asyncio.timeout(PATIENCE):
        while "203.0.113.5:6000" not in manager.database.get("tl-devices/1001", ""):
            await asyncio.sleep(0.01)
        while not signals:
            await asyncio.sleep(0.01)
    assert manager.times == 0
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("silent_to", ["DBGetTree", "PJSIPShowContacts"])
async def test_contacts_are_asked_for_until_asterisk_has_loaded_the_commands(silent_to: str) -> None:
    """The switch waits for them: it took no call for five seconds after one of three starts of Asterisk."""
    manager = Manager(silent_to, 3)
    signals: list[Signal] = []
    lookups = ContactLookups(cast(AmiClient, manager), signals.append, cast(Any, None), cast(Any, None))
    async with asyncio.timeout(PATIENCE):
        await lookups.list_all()
    assert lookups.known.is_set()
    assert [one.endpoint for one in lookups.registrations.all()] == ["1001"]
    lookups.known.clear()
    manager.times, manager.is_up = 1, False
    await lookups.list_all()  # the connection is lost: the next one lists them
    assert not lookups.known.is_set()


def _status(status: str, uri: str) -> AmiMessage:
    fields = [("Event", "ContactStatus"), ("EndpointName", "1001"), ("URI", uri), ("ContactStatus", status)]
    return AmiMessage(fields, Instant(1.0))


async def test_a_signal_of_a_device_follows_what_is_stored_of_it_in_the_order_of_events() -> None:
    """Without a switch the dialplan calls what is stored: who was notified of a registration may rely on it. A device that
    is removed while Asterisk writes would be shown as registered for ever, if the signal of its registration came last."""
    manager = Manager("", 0)
    signals: list[Signal] = []
    tasks: list[asyncio.Future[None]] = []
    lookups = ContactLookups(
        cast(AmiClient, manager),
        signals.append,
        lambda work, _name: tasks.append(asyncio.ensure_future(work)),
        cast(Any, None),
    )
    remote = ("RemoteAddress", "IPV4/UDP/203.0.113.5/6000")
    lookups.on_authenticated(
        AmiMessage(
            [("Event", "SuccessfulAuth"), ("Service", "PJSIP"), ("AccountID", "1001"), remote], Instant(1.0)
        )
    )
    manager.writes.clear()
    lookups.on_status(_status("NonQualified", manager.uri))
    async with asyncio.timeout(PATIENCE):
        while not lookups.registrations.of("1001"):
            await asyncio.sleep(0.01)
    lookups.on_status(_status("Reachable", manager.uri))
    lookups.on_status(_status("Removed", manager.uri))
    await asyncio.sleep(0.1)
    assert (signals, manager.database) == ([], {})
    manager.writes.set()
    await asyncio.gather(*tasks)
    assert [type(one) for one in signals] == [Registered, Registered, Unregistered]
    assert manager.database.get("tl-devices/1001", "") == ""


def test_a_dial_list_is_never_cut_within_an_address() -> None:
    devices = [f"PJSIP/1001/sip:{'x' * 300}@203.0.113.{number}" for number in range(20)]
    found = dial_list(devices)
    assert len(found) <= 3500
    assert found.split("&") == devices[: len(found.split("&"))]
    assert dial_list([]) == ""
