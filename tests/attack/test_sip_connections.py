"""Connections to the SIP ports that shut others out or keep Asterisk busy are ended; those of phones and trunks are not."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.calls.company import TRUNK as TRUNK_ID
from tests.calls.company import company
from tests.patience import PATIENCE
from tests.telephony.conftest import Pbx
from tests.telephony.conftest import pbx as pbx  # the fixture
from trunkline.calls.switch.login_guard import LoginGuard
from trunkline.calls.switch.presence import Presence
from trunkline.core.clock import Instant
from trunkline.db.pool import Database
from trunkline.directory.model import Directory
from trunkline.runtime import listen_filter, listen_queue, sip_connections
from trunkline.runtime.sip_connections import (
    INITIAL_BYTES,
    PHONE,
    TRUNK,
    UNKNOWN_ADDRESS_TCP,
    UNKNOWN_ADDRESS_TLS,
    UNKNOWN_CONNECTION,
    ConnectionRules,
    Known,
    Limits,
    Ports,
)
from trunkline.runtime.tcp_diag import Connection
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import Registered

pytestmark = pytest.mark.attack

TCP, TLS, WSS = 5060, 9061, 8089
LIMITS = Limits(tcp_per_address=500, tls_per_address=500, total=900)
"""The default settings."""


NOTHING = Known()


class Switch:
    """What the rules ask."""

    def __init__(self, known: Known | None = NOTHING) -> None:
        self.known = known
        self.asked: list[set[str]] = []

    def ask(self, addresses: Collection[str]) -> Known | None:
        self.asked.append(set(addresses))
        return self.known


def _rules(switch: Switch, limits: Limits = LIMITS) -> ConnectionRules:
    rules = ConnectionRules(Ports(TCP, TLS, WSS), limits, switch.ask)
    rules.judge([], 0.0, bans_changed=False)
    switch.asked.clear()
    return rules


def _of(address: str, first: int, count: int, received: int = 600, port: int = TCP) -> list[Connection]:
    return [
        Connection(str(one), port, address, 10_000 + one, received) for one in range(first, first + count)
    ]


def _ended(rules: ConnectionRules, present: list[Connection], now: float) -> set[str]:
    return set(rules.judge(present, now, bans_changed=False).end)


def test_a_silent_tcp_connection_ends_after_five_seconds() -> None:
    rules = _rules(Switch())
    present = [*_of("192.0.2.1", 1, 1, 0), *_of("192.0.2.1", 2, 1, 4), *_of("192.0.2.1", 3, 1, 0, TLS)]
    assert _ended(rules, present, 1.0) == set()
    assert _ended(rules, present, 5.9) == set()
    assert _ended(rules, present, 6.0) == {"1"}


def test_the_youngest_and_the_silent_connections_of_an_address_end() -> None:
    rules = _rules(Switch(), Limits(tcp_per_address=2, tls_per_address=3))
    assert _ended(rules, _of("192.0.2.1", 1, 2), 1.0) == set()
    assert _ended(
        rules, [*_of("192.0.2.1", 9, 1), *_of("192.0.2.1", 1, 2), *_of("192.0.2.2", 20, 2)], 1.2
    ) == {"9"}
    present = [*_of("192.0.2.3", 30, 2, 0), *_of("192.0.2.3", 32, 1), *_of("192.0.2.3", 40, 3, port=WSS)]
    assert _ended(rules, present, 1.4) == {"31"}
    v6 = [*_of("2001:db8::1", 50, 2), *_of("2001:db8::2", 52, 1), *_of("2001:db8:0:1::1", 53, 1)]
    assert _ended(rules, v6, 1.6) == {"52"}


def test_a_crowd_of_one_address_is_blocked_for_a_moment() -> None:
    rules = _rules(Switch(), Limits(tcp_per_address=2))
    assert rules.judge(_of("192.0.2.1", 1, 4), 1.0, bans_changed=False).blocked == set()
    assert rules.judge(_of("192.0.2.1", 1, 5), 2.0, bans_changed=False).blocked == {"192.0.2.1"}
    assert rules.judge([], 12.1, bans_changed=False).blocked == set()


def test_beyond_the_total_silent_ones_end_first_and_phones_never() -> None:
    phone, trunk = _of("192.0.2.1", 1, 1)[0], _of("192.0.2.2", 2, 1)[0]
    switch = Switch(
        Known(registered=frozenset({(phone.address, phone.port)}), trunks=frozenset({trunk.address}))
    )
    rules = _rules(switch, Limits(total=10))
    others = _of("192.0.2.1", 3, 2)
    silent = _of("192.0.2.9", 10, 8, 0)
    assert _ended(rules, [phone, trunk, *others, *silent], 1.0) == {"10", "11"}
    assert not switch.asked
    assert _ended(rules, [phone, trunk, *others, *_of("192.0.2.9", 30, 8)], 3.0) == {"3", "4"}
    assert switch.asked == [{"192.0.2.1", "192.0.2.2", "192.0.2.9"}]


def test_while_many_are_silent_silence_ends_sooner() -> None:
    rules = _rules(Switch(), Limits(total=10))
    present = _of("192.0.2.9", 1, 6, 0)
    assert rules.judge(present, 1.0, bans_changed=False).is_full
    assert _ended(rules, present, 1.6) == {one.inode for one in present}


def _sent(connections: list[Connection], received: int) -> list[Connection]:
    return [replace(one, received=received) for one in connections]


def test_a_connection_that_sends_too_much_is_cut_unless_a_phone_is_registered_over_it() -> None:
    flood, phone = _of("192.0.2.1", 1, 1)[0], _of("192.0.2.2", 2, 1)[0]
    switch = Switch()
    rules = _rules(switch)
    assert not rules.judge(_sent([flood, phone], UNKNOWN_CONNECTION.burst), 1.0, bans_changed=False).end
    switch.known = Known(registered=frozenset({(phone.address, phone.port)}))
    verdict = rules.judge(_sent([flood, phone], 3 * UNKNOWN_CONNECTION.burst), 2.0, bans_changed=False)
    assert (set(verdict.end), set(verdict.blocked)) == ({flood.inode}, {flood.address})
    assert rules.judge([], 61.0, bans_changed=False).blocked == {flood.address}
    assert rules.judge([], 63.0, bans_changed=False).blocked == set()


@pytest.mark.parametrize("is_trunk", [False, True])
def test_also_a_known_connection_may_not_send_without_limit(is_trunk: bool) -> None:
    phone = _of("192.0.2.2", 2, 1)
    known = frozenset({(phone[0].address, phone[0].port)})
    rules = _rules(
        Switch(Known(trunks=frozenset({phone[0].address})) if is_trunk else Known(registered=known))
    )
    allowed = TRUNK if is_trunk else PHONE
    assert not _ended(rules, phone, 1.0)
    assert not _ended(rules, _sent(phone, 600 + allowed.burst), 10.0)
    received = 600 + allowed.burst
    for second in range(60):
        received += allowed.rate
        assert not _ended(rules, _sent(phone, received), 11.0 + second)
    assert _ended(rules, _sent(phone, received + 2 * allowed.burst), 71.0) == {"2"}


@pytest.mark.parametrize("port", [TCP, TLS])
def test_many_connections_of_one_address_may_not_send_too_much_together(port: int) -> None:
    allowed = UNKNOWN_ADDRESS_TCP if port == TCP else UNKNOWN_ADDRESS_TLS
    rules = _rules(Switch(), replace(LIMITS, tcp_per_address=0, tls_per_address=0))
    count = allowed.burst // INITIAL_BYTES
    present = _of("192.0.2.1", 1, count + 1, INITIAL_BYTES, port)
    verdict = rules.judge(present, 1.0, bans_changed=False)
    assert verdict.end == {one.inode for one in present}
    assert verdict.blocked == {"192.0.2.1"}


def test_many_addresses_may_not_send_too_much_together() -> None:
    """An attacker who changes its address, while 200 phones log in."""
    rules = _rules(Switch())
    attackers = [_of(f"198.51.100.{n}", n, 1, 64 << 10)[0] for n in range(40)]
    phones = [_of(f"203.0.113.{n}", 1000 + n, 1, 1200)[0] for n in range(200)]
    verdict = rules.judge(attackers + phones, 1.0, bans_changed=False)
    assert verdict.end == {one.inode for one in attackers}
    assert verdict.only == frozenset()


def test_while_unknown_clients_send_too_much_new_connections_are_of_known_addresses() -> None:
    phone, trunk = _of("203.0.113.1", 1, 1), _of("203.0.113.2", 2, 1)
    registered = frozenset({(phone[0].address, phone[0].port)})
    rules = _rules(Switch(Known(registered=registered, trunks=frozenset({"203.0.113.2"}))))
    assert rules.judge(phone + trunk, 10.0, bans_changed=True).only is None
    flood = [_of(f"198.51.100.{n}", 10 + n, 1, 64 << 10)[0] for n in range(70)]
    assert rules.judge(trunk + flood, 20.0, bans_changed=False).only == frozenset(
        {"203.0.113.1", "203.0.113.2"}
    )
    assert rules.judge(trunk, 60.0, bans_changed=False).only is None


def test_a_switch_that_does_not_answer_does_not_save_a_flood() -> None:
    """It may be the flood that keeps it from answering. A phone that was known stays."""
    flood, phone = _of("192.0.2.1", 1, 1)[0], _of("192.0.2.2", 2, 1)[0]
    switch = Switch(Known(registered=frozenset({(phone.address, phone.port)})))
    rules = _rules(switch)
    assert not _ended(rules, [flood, phone], 10.0)
    assert switch.asked == [{flood.address}], "it is asked before a rule applies"
    switch.known = None
    assert _ended(rules, _sent([flood, phone], 2 * UNKNOWN_CONNECTION.burst), 20.0) == {"1"}


def test_a_switch_that_does_not_answer_lets_nobody_be_cut_for_their_number() -> None:
    rules = _rules(Switch(None), Limits(total=2))
    assert _ended(rules, _of("192.0.2.1", 1, 3), 1.0) == set()


def test_a_slow_flow_is_not_cut() -> None:
    """A carrier that is not known: 60 KB/s for an hour."""
    rules = _rules(Switch())
    for second in range(1, 3600):
        assert not _ended(rules, _of("192.0.2.1", 1, 1, 60_000 * second), float(second))


def test_a_carrier_that_connects_for_the_first_time_during_a_flood_may() -> None:
    """The supervisor has the addresses of all trunks, also while the switch does not answer."""
    configured = frozenset({"192.0.2.7", "198.51.100.0/28", "10.0.0.0/8", "carrier.example.com"})
    switch = Switch(Known(configured=configured))
    rules = _rules(switch)
    rules.judge([], 1.0, bans_changed=True)
    switch.known = None
    flood = [one for n in range(30) for one in _of(f"203.0.113.{n + 1}", n, 1, 120_000)]
    rules.judge(flood, 2.0, bans_changed=False)
    flood = [replace(one, received=one.received * 2) for one in flood]
    carrier = [*_of("192.0.2.7", 100, 1, 300_000), *_of("198.51.100.3", 101, 1, 300_000)]
    verdict = rules.judge([*flood, *carrier], 2.2, bans_changed=False)
    assert verdict.only is not None
    assert {"192.0.2.7", "198.51.100.0/28"} <= verdict.only
    assert not {"10.0.0.0/8", "carrier.example.com"} & verdict.only
    assert not {"100", "101"} & verdict.end
    assert verdict.end


def test_the_addresses_of_trunks_are_asked_for_without_any_connection() -> None:
    switch = Switch()
    rules = _rules(switch)
    for second in range(1, 121):
        rules.judge([], float(second), bans_changed=False)
    assert 1 <= len(switch.asked) <= 3


def test_a_ban_ends_connections_but_those_of_registered_phones() -> None:
    guesser, phone, trunk = (
        _of(ip, n, 1)[0] for n, ip in enumerate(("192.0.2.1", "192.0.2.1", "192.0.2.2"), 1)
    )
    switch = Switch(None)
    rules = _rules(switch)
    present = [guesser, phone, trunk]
    assert not rules.judge(present, 2.0, bans_changed=True).end
    switch.known = Known(
        frozenset({"192.0.2.1", "192.0.2.2"}),
        frozenset({(phone.address, phone.port)}),
        frozenset({"192.0.2.2"}),
    )
    verdict = rules.judge(present, 3.0, bans_changed=False)
    assert (set(verdict.end), set(verdict.blocked)) == ({guesser.inode}, {"192.0.2.1"})
    again = _of("192.0.2.1", 8, 1)
    assert _ended(rules, [phone, *again], 4.0) == {"8"}
    switch.known = Known()
    assert not rules.judge(again, 5.0, bans_changed=True).blocked


def test_what_the_switch_has_of_addresses(tmp_path: Path) -> None:
    presence = Presence()
    for number, ip in enumerate(("192.0.2.1", "192.0.2.2"), 1):
        presence.register(
            Registered(Instant(1.0), f"100{number}", f"sip:a@{ip}:70", ip, 70, "tcp", "", None, None, None)
        )
    bans = tmp_path / "bans.json"
    kept = {
        "scope": "address",
        "ip": "192.0.2.2",
        "line": "",
        "since": 1.0,
        "until": 9e9,
        "failures": 9,
        "count": 1,
    }
    bans.write_text(json.dumps({"bans": [{**kept, "allowed": [], "count": 1}]}))
    guard = LoginGuard(cast(AsteriskEngine, None), cast(Database, None), presence, Directory, bans)
    assert guard.known_of([]) == {
        "banned": ["192.0.2.2"],
        "registered": [["192.0.2.2", 70]],
        "trunks": [],
        "configured": [],
    }
    assert guard.known_of(["192.0.2.1", "x"])["registered"] == [["192.0.2.1", 70], ["192.0.2.2", 70]]


def test_a_trunk_with_a_host_name_is_known_by_its_addresses(tmp_path: Path) -> None:
    """Else a carrier is taken for anybody: banned, and kept out in a flood."""
    account = company()
    account = replace(
        account, trunks={TRUNK_ID: replace(account.trunks[TRUNK_ID], host="sip.carrier.example")}
    )
    resolved, now = ["198.51.100.9"], [1.0]
    guard = LoginGuard(
        cast(AsteriskEngine, None),
        cast(Database, None),
        Presence(),
        lambda: directory,
        tmp_path / "bans.json",
        clock=lambda: now[0],
        servers=lambda trunk: resolved if trunk.host == "sip.carrier.example" else (),
    )
    directory = Directory({account.account_id: account})
    known = guard.known_of(["198.51.100.9"])
    assert known["trunks"] == ["198.51.100.9"]
    assert "198.51.100.9" in known["configured"]
    resolved[:] = ["198.51.100.10"]
    now[0] += 6
    assert "198.51.100.10" in guard.known_of([])["configured"]


# --- against Asterisk

_SILENT = """
import resource, socket, sys, time
port, count, sources = map(int, sys.argv[1:])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
kept = []
for number in range(count):
    try:
        source = f"127.80.{number % sources // 200}.{1 + number % sources % 200}"
        kept.append(socket.create_connection(("127.0.0.1", port), 1, (source, 0)))
    except OSError:
        if sources == 1:
            break
print(len(kept), flush=True)
time.sleep(60)
"""


def _watch(pbx: Pbx, switch: Switch, bans: Path) -> None:
    listen_queue.lengthen(pbx.pid)
    ports = pbx.config.ports
    sip_connections.watch(pbx.pid, Ports(ports.tcp, ports.tls, ports.wss), LIMITS, switch.ask, bans)


@contextlib.contextmanager
def _silent(port: int, count: int, sources: int) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-c", _SILENT, str(port), str(count), str(sources)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def _options(port: int, *, over: str, source: str = "127.0.0.41", seconds: float = 5.0) -> float | None:
    """Seconds until an OPTIONS is answered over a new connection (or UDP); None when it is not.

    Over UDP it is repeated as clients do (RFC 3261, 17.1.2.2): while Asterisk's queues are full it leaves new requests
    without a response, and the kernel drops what does not fit into the receive queue.
    """
    began = time.monotonic()
    waits = itertools.takewhile(lambda one: one < seconds, (0.5 * 2**number for number in range(8)))
    kind = socket.SOCK_DGRAM if over == "UDP" else socket.SOCK_STREAM
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.socket(socket.AF_INET, kind) as plain:
            plain.settimeout(seconds)
            plain.bind((source, 0))
            plain.connect(("127.0.0.1", port))
            with trust.wrap_socket(plain) if over == "TLS" else plain as phone:
                request = _request("OPTIONS", over, began)
                if over != "UDP":
                    phone.sendall(request)
                    return time.monotonic() - began if phone.recv(4000) else None
                for wait in [*waits, seconds]:
                    plain.settimeout(min(wait, began + seconds - time.monotonic()))
                    plain.sendall(request)
                    with contextlib.suppress(TimeoutError):
                        plain.recv(4000)
                        return time.monotonic() - began
                return None
    except OSError:
        return None


def _request(method: str, over: str, number: object) -> bytes:
    return (
        f"{method} sip:1@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{over} 127.0.0.41:5;branch=z9hG4bK{number};rport\r\n"
        "Max-Forwards: 70\r\nFrom: <sip:nobody@127.0.0.1>;tag=a\r\nTo: <sip:1@127.0.0.1>\r\n"
        f"Call-ID: {number}\r\nCSeq: 1 {method}\r\nContact: <sip:x@127.0.0.41:5>\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@pytest.mark.engine
@pytest.mark.parametrize("sources", [1, 900])
async def test_silent_tcp_connections_do_not_shut_others_out(pbx: Pbx, tmp_path: Path, sources: int) -> None:
    """More connections than pjsip has handles, as fast as one client can: others are served within seconds."""
    ports = pbx.config.ports
    async with pbx.engine():
        _watch(pbx, Switch(), tmp_path / "bans.json")
        with _silent(ports.tcp, 9000 if sources > 1 else 6000, sources) as flood:
            assert flood.stdout is not None
            reading = asyncio.to_thread(flood.stdout.readline)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reading, 20)
            await asyncio.sleep(1.0)
            for over, port in (("TCP", ports.tcp), ("TLS", ports.tls)):
                took = await asyncio.to_thread(_options, port, over=over)
                assert took is not None, f"{over} is shut"


_PIPELINED = """
import socket, sys, threading, time
port, sources, data = int(sys.argv[1]), int(sys.argv[2]), sys.stdin.buffer.read()
def read(connection):
    try:
        while connection.recv(65536):
            pass
    except OSError:
        pass
def flood(first):
    number = first
    while True:
        address = f"127.0.43.{1 + number % sources}"
        number += 2
        try:
            with socket.create_connection(("127.0.0.1", port), 1, (address, 0)) as attacker:
                threading.Thread(target=read, args=(attacker,), daemon=True).start()
                attacker.settimeout(0.3)
                while True:
                    try:
                        attacker.send(data)
                    except TimeoutError:
                        pass
        except OSError:
            time.sleep(0.02)
for first in range(2):
    threading.Thread(target=flood, args=(first,), daemon=True).start()
time.sleep(120)
"""

_ECHO = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
    own.bind(("127.0.0.1", 0))
    print(own.getsockname()[1], flush=True)
    while True:
        data, sender = own.recvfrom(4000)
        own.sendto(data, sender)
"""
"""Shows how long the machine itself takes at that moment."""


@contextlib.contextmanager
def _child(code: str, *arguments: object, data: bytes = b"") -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdin is not None
        child.stdin.write(data)
        child.stdin.close()
        yield child
    finally:
        child.kill()
        child.wait()


@contextlib.contextmanager
def flood_of_one_call_id(method: str, port: int) -> Iterator[None]:
    """Two clients that send such requests without a pause. Requests with one Call-ID wait in one queue of Asterisk."""
    with _child(_PIPELINED, port, 2, data=_request(method, "TCP", 1) * 100):
        yield


def _during_flood(
    pbx: Pbx, data: bytes, sources: int
) -> tuple[list[tuple[float | None, float | None]], bool]:
    """Seconds of OPTIONS and of the machine itself at the same moment, and whether an address of the flood may connect."""
    with _child(_ECHO) as echo, _child(_PIPELINED, pbx.config.ports.tcp, sources, data=data):
        assert echo.stdout is not None
        echo_port = int(echo.stdout.readline())
        time.sleep(3.0)
        began, took = time.monotonic(), []
        while time.monotonic() - began < 4.0:
            took.append((_options(pbx.config.ports.udp, over="UDP"), _options(echo_port, over="UDP")))
            time.sleep(0.1)
        try:
            socket.create_connection(("127.0.0.1", pbx.config.ports.tcp), 1, ("127.0.43.1", 0)).close()
        except TimeoutError:
            return took, False
        return took, True


@pytest.mark.engine
@pytest.mark.parametrize("sources", [1, 48])
@pytest.mark.parametrize("method", ["OPTIONS", "REGISTER", "INVITE"])
async def test_pipelined_requests_without_a_login_are_ended(
    pbx: Pbx, tmp_path: Path, method: str, sources: int
) -> None:
    """Clients that send as fast as they can and connect again, also from other addresses: they are shut out, and others
    are answered at once. "At once" is measured against the machine at the same moment, which may be busy with other tests.
    """
    data = b"".join(_request(method, "TCP", number) for number in range(100))
    async with pbx.engine():
        _watch(pbx, Switch(), tmp_path / "bans.json")
        took, may_connect = await asyncio.to_thread(_during_flood, pbx, data, sources)
    options = [one for one, _ in took if one is not None]
    echoes = [one for _, one in took if one is not None]
    print(method, sources, [round(sum(all_of) / len(all_of), 3) for all_of in (options, echoes)], len(took))
    assert len(options) == len(echoes) == len(took), took
    assert sum(options) < 0.5 * len(took) + 5 * sum(echoes), took
    if sources == 1:
        assert not may_connect


@pytest.mark.engine
async def test_a_ban_ends_the_connections_of_its_address(pbx: Pbx, tmp_path: Path) -> None:
    port, switch, bans = pbx.config.ports.tcp, Switch(), tmp_path / "bans.json"
    async with pbx.engine():
        _watch(pbx, switch, bans)
        guesser = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.44", 0))
        phone = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.44", 0))
        for _, writer in (guesser, phone):
            writer.write(_request("OPTIONS", "TCP", time.monotonic()))
        assert await guesser[0].read(4000)
        assert await phone[0].read(4000)
        registered = frozenset({phone[1].get_extra_info("sockname")})
        switch.known = Known(frozenset({"127.0.0.44"}), registered)
        bans.write_text("{}")
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                assert not await guesser[0].read(4000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.44", 0))
        phone[1].write(_request("OPTIONS", "TCP", time.monotonic()))
        assert await asyncio.wait_for(phone[0].read(4000), 10)
        switch.known = Known()
        bans.write_text("{ }")
        async with asyncio.timeout(PATIENCE):
            again = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.44", 0))
        for _, writer in (guesser, phone, again):
            writer.close()


def _connects(port: int, source: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5, (source, 0)).close()
    except TimeoutError:
        return False
    return True


def test_only_addresses_and_networks_that_are_given_connect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        listen_filter.drop(listening, ["127.0.50.9"], ["127.0.50.1", "127.0.51.16/28", "127.0.50.8/30", "x"])
        sources = ["127.0.50.1", "127.0.51.17", "127.0.51.31", "127.0.50.10"]
        assert [_connects(port, one) for one in sources] == [True] * 4
        sources = ["127.0.50.2", "127.0.51.32", "127.0.51.15", "127.0.50.9"]
        assert [_connects(port, one) for one in sources] == [False] * 4
        listen_filter.drop(listening, [])
        assert _connects(port, "127.0.50.9")
