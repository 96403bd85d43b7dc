"""Whether an address is a phone's or a trunk's is looked up for each failed login: the look-up must not grow with the
installation, or forged packets stop the switch."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import company as c
from trunkline.calls.switch.login_guard import BanEnforcer, LoginGuard
from trunkline.calls.switch.presence import Presence
from trunkline.calls.switch.trunk_addresses import TrunkAddresses
from trunkline.core.clock import Instant
from trunkline.db.pool import Database
from trunkline.directory.model import Account, Directory
from trunkline.telephony.port import LoginFailed, Registered, Unregistered

pytestmark = pytest.mark.attack

NETWORKS = ("192.0.2.0/24", "198.51.100.7/32", "198.51.100.64/26", "2001:db8:1::/48", "2001:db8:2::5/128")
IPS = [
    str(ipaddress.ip_address(number))
    for network in map(ipaddress.ip_network, NETWORKS)
    for number in (
        int(network.network_address),
        int(network.broadcast_address),
        int(network.network_address) - 1,
        int(network.broadcast_address) + 1,
    )
]


def with_trunk(host: str, *addresses: str) -> Account:
    account = c.company()
    trunk = dataclasses.replace(next(iter(account.trunks.values())), host=host, addresses=addresses)
    return dataclasses.replace(account, trunks={trunk.trunk_id: trunk})


@given(st.sets(st.sampled_from(NETWORKS)), st.sampled_from(IPS))
def test_an_address_of_a_trunk(networks: set[str], ip: str) -> None:
    account = with_trunk("203.0.113.5", *networks, "no network")
    known = TrunkAddresses(Directory({account.account_id: account}))
    address = ipaddress.ip_address(ip)
    assert known.has(ip) is any(address in ipaddress.ip_network(one) for one in networks)
    assert known.has("203.0.113.5")


def device(line: str, ip: str, contact: str = "a") -> Registered:
    return Registered(
        Instant(1.0), line, f"sip:{contact}@x:70", ip, 70, "udp", "", None, None, reachable=None
    )


def test_the_devices_of_an_address() -> None:
    presence = Presence()
    presence.register(device("1001", "192.0.2.1"))
    presence.register(device("1002", "192.0.2.1"))
    assert [one.line for one in presence.devices_at("192.0.2.1")] == ["1001", "1002"]
    presence.register(device("1001", "192.0.2.2"))  # the same contact from another address
    assert [one.line for one in presence.devices_at("192.0.2.1")] == ["1002"]
    assert [one.line for one in presence.devices_at("192.0.2.2")] == ["1001"]
    presence.unregister(Unregistered(Instant(2.0), "1002", "sip:a@x:70"))
    presence.unregister(Unregistered(Instant(2.0), "1002", "sip:a@x:70"))
    assert presence.devices_at("192.0.2.1") == []


def test_a_failed_login_looks_at_no_list_of_devices_or_trunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first one after a change of the directory reads the trunks."""
    account = with_trunk("203.0.113.5", "192.0.2.0/24")
    directory = Directory({account.account_id: account})
    presence, built = Presence(), []
    presence.register(device("1001", "198.51.100.1"))

    def all_devices(_presence: Presence) -> dict[str, list[Registered]]:
        raise AssertionError("each failed login would look at each device")

    def made(of: Directory, servers: Any) -> TrunkAddresses:
        built.append(of)
        return TrunkAddresses(of, servers)

    monkeypatch.setattr(Presence, "all_devices", all_devices)
    monkeypatch.setattr("trunkline.calls.switch.login_guard.TrunkAddresses", made)
    guard = LoginGuard(
        cast(BanEnforcer, None),
        cast(Database, None),
        presence,
        lambda: directory,
        tmp_path / "bans.json",
        clock=lambda: 1e9,
    )
    for number in range(50):
        guard.handle(LoginFailed(Instant(1e9), "", f"203.0.113.{number}", "wrong password", proven=False))
    assert built == [directory]
    directory = Directory({})
    guard.handle(LoginFailed(Instant(1e9), "", "192.0.2.1", "wrong password", proven=False))
    assert built == [Directory({account.account_id: account}), directory]
