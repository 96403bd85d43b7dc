"""Rules of the addresses from which devices have authenticated, and of what is dialled for a line."""

from __future__ import annotations

import pytest

from trunkline.core.clock import Instant
from trunkline.telephony.ami import AmiMessage
from trunkline.telephony.contact_lookups import dial_list
from trunkline.telephony.device_sources import MAX_SOURCES, DeviceSources, remote_source
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
    source = remote_source(remote)
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
    "text", ["", "IPV4/UDP/203.0.113.5", "IPV4/UDP/carrier.example/5060", "203.0.113.5:5060"]
)
def test_what_is_no_source(text: str) -> None:
    assert remote_source(text) is None


def test_a_dial_list_is_never_cut_within_an_address() -> None:
    devices = [f"PJSIP/1001/sip:{'x' * 300}@203.0.113.{number}" for number in range(20)]
    found = dial_list(devices)
    assert len(found) <= 3500
    assert found.split("&") == devices[: len(found.split("&"))]
    assert dial_list([]) == ""
