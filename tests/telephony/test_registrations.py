from __future__ import annotations

from trunkline.core.clock import Instant
from trunkline.telephony.ami import AmiMessage
from trunkline.telephony.port import Registered, Unregistered
from trunkline.telephony.registrations import Contact, Registrations, contact_of

NOW, LATER = Instant(100.0), Instant(200.0)
DESK, WEB = "sip:1001@192.0.2.1:5062", "sip:a@192.0.2.2:40000;transport=ws"


def listed(endpoint: str, uri: str, **headers: str) -> AmiMessage:
    fields = {"Event": "ContactList", "Endpoint": endpoint, "Uri": uri, **headers}
    return AmiMessage(list(fields.items()), NOW)


def contacts(*messages: AmiMessage) -> list[Contact]:
    return [contact for one in messages if (contact := contact_of(one, NOW))]


def test_devices_of_a_line_are_kept_apart() -> None:
    registrations = Registrations()
    messages = [
        listed("1001", DESK, UserAgent="Desk", ExpirationTime="500", Status="NonQualified"),
        listed("web-1001", WEB, UserAgent="Browser", ExpirationTime="600"),
        listed("trunk-7", "sip:192.0.2.9:5060"),
    ]
    registrations.replace_all(contacts(*messages), NOW)
    desk, web = registrations.of("1001", "web-1001")
    assert (desk.line, desk.ip, desk.port, desk.transport, desk.user_agent) == (
        "1001", "192.0.2.1", 5062, "udp", "Desk",
    )  # fmt: skip
    assert (web.line, web.port, web.transport, web.expires_at) == ("1001", 40000, "ws", 600.0)


def test_a_listing_ends_what_is_not_in_it_and_keeps_since() -> None:
    registrations = Registrations()
    registrations.replace_all(contacts(listed("1001", DESK), listed("web-1001", WEB)), NOW)
    signals = registrations.replace_all(contacts(listed("1001", DESK)), LATER)
    assert Unregistered(LATER, "1001", WEB) in signals
    (desk,) = registrations.all()
    assert desk.since == NOW


def test_a_probe_shows_reachability_and_an_unreachable_device_is_not_called() -> None:
    registrations = Registrations()
    registrations.replace_all(contacts(listed("1001", DESK)), NOW)
    probe = {"Event": "ContactStatus", "EndpointName": "1001", "URI": DESK}
    good = AmiMessage([*probe.items(), ("ContactStatus", "Reachable"), ("RoundtripUsec", "1500")], LATER)
    reported = registrations.probed(good)
    assert reported
    assert (reported.round_trip_us, reported.reachable) == (1500, True)
    registrations.replace_all(contacts(listed("1001", DESK)), LATER)
    assert registrations.all()[0].round_trip_us == 1500
    bad = AmiMessage([*probe.items(), ("ContactStatus", "Unreachable"), ("RoundtripUsec", "0")], LATER)
    registrations.probed(bad)
    assert registrations.of("1001") == []
    assert len(registrations.all()) == 1


def test_a_probe_of_an_unknown_device_asks_for_a_look_up() -> None:
    probe = AmiMessage([("Event", "ContactStatus"), ("EndpointName", "1001"), ("URI", DESK)], NOW)
    assert Registrations().probed(probe) is None


def test_a_look_up_moves_the_expiry_and_removes_what_is_not_listed() -> None:
    registrations = Registrations()
    registrations.replace_all(
        contacts(listed("1001", DESK, ExpirationTime="150"), listed("web-1001", WEB, ExpirationTime="900")),
        NOW,
    )
    assert registrations.expiring(LATER) == {"1001"}
    refreshed = contact_of(listed("1001", DESK, ExpirationTime="500"), LATER)
    assert refreshed
    [signal] = registrations.looked_up({"1001"}, [refreshed], LATER)
    assert isinstance(signal, Registered)
    assert signal.expires_at == 500.0
    assert registrations.expiring(LATER) == set()
    assert registrations.looked_up({"1001"}, [refreshed], LATER) == []  # nothing changed: nothing to write
    assert registrations.looked_up({"1001"}, [], LATER) == [Unregistered(LATER, "1001", DESK)]
    assert [one.endpoint for one in registrations.all()] == ["web-1001"]
