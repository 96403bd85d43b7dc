"""Asterisk resolves no name of a trunk, and the names of one account never delay another's."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.attack.test_configuration_freeze import CONFIG, account, parsed
from tests.attack.test_configuration_freeze import trunk as row
from tests.patience import PATIENCE
from tests.telephony.conftest import Pbx
from trunkline.core.engine_values import CallTag, EndpointName
from trunkline.core.lookups import Lookups
from trunkline.directory.live.snapshot import DirectorySnapshot
from trunkline.directory.model import Directory as AccountDirectory
from trunkline.directory.model import TrunkMode as RowMode
from trunkline.directory.trunks import resolution
from trunkline.directory.trunks.addresses import Network, parse
from trunkline.directory.trunks.identification import identification
from trunkline.directory.trunks.watch import TrunkIdentification
from trunkline.engine_configuration import account_config, accounts_concerned
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.telephony.config import AccountFiles, EndpointSet, TrunkConfig, TrunkMode, TrunkTransport
from trunkline.telephony.port import Answered, Channel, Ended, Endpoint, EndpointKind, Originate, Target

pytestmark = pytest.mark.attack

NAME = "sip.carrier.example"
CARRIER, SILENT = "127.0.0.85", "127.0.0.86"
CALLED = "12025550101"


# --- what is rendered


def host_of(uri: str) -> str:
    found = re.match(r"sip:(?:[^@]*@)?(\[[^\]]*\]|[^:;]*)", uri)
    assert found is not None, uri
    return found[1]


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(network for text in texts if (network := parse(text)) is not None)


def rendered(trunk: TrunkConfig) -> str:
    files = AccountFiles(CONFIG)
    files.put("1", EndpointSet(trunks=[trunk]))
    return "\n".join(text for name, text in files.all_files().items() if name.startswith("accounts/"))


@pytest.mark.parametrize("transport", TrunkTransport)
@pytest.mark.parametrize("mode", TrunkMode)
@pytest.mark.parametrize("server", ["192.0.2.9", "2001:db8::9", ""])
@pytest.mark.parametrize("host", [NAME, "192.0.2.1", "2001:db8::1"])
def test_nothing_that_asterisk_resolves_is_a_name(
    mode: TrunkMode, transport: TrunkTransport, host: str, server: str
) -> None:
    trunk = TrunkConfig.of(
        "7", mode, host, 5062, transport, "user", "secret", ["198.51.100.7"], server=server
    )
    sections = parsed(rendered(trunk))
    kinds = 0
    for _, pairs in sections:
        values = dict(pairs)
        assert all(is_address(value) for key, value in pairs if key == "match")
        proxy = values.get("outbound_proxy")
        if proxy is not None:
            assert host_of(proxy) == (f"[{server}]" if ":" in server else server)
            assert proxy.endswith(";lr;hide")
            assert ("transport=" in proxy) is (transport is not TrunkTransport.UDP)
            assert ":5062" in proxy
        target = values.get("contact") or values.get("server_uri")
        if target is not None:
            kinds += 1
            assert host_of(target) == (f"[{host}]" if ":" in host else host)
            assert is_address(host_of(target)) or proxy is not None
    reachable = is_address(host) or server != ""
    assert kinds == reachable * (2 if mode is TrunkMode.REGISTER else 1)
    # The endpoint that is dialled sends to the address of the name, too.
    dialled = [dict(pairs) for name, pairs in sections if name == "trunk-7" and ("aors", "trunk-7") in pairs]
    assert len(dialled) == reachable
    assert all("outbound_proxy" in one for one in dialled) or not server


def test_a_name_without_address_is_reported_and_the_addresses_of_its_calls_stay() -> None:
    rows = [
        row(1, 7, host=NAME),
        row(1, 8, host=NAME, addresses=("203.0.113.8",)),
        row(1, 9, host="fair.example", mode=RowMode.ADDRESS),
        row(1, 10, host="later.example"),
    ]
    one = account(1, [], rows)
    directory = AccountDirectory({1: one})
    fair = networks("203.0.113.9", "203.0.113.10", "2001:db8::9")
    before = identification(directory, {NAME: (), "fair.example": fair})
    made = account_config(one, before)
    assert {trunk.id: trunk.is_reachable for trunk in made.directory.trunks} == {"8": False, "9": True}
    assert [trunk.server for trunk in made.directory.trunks if trunk.id == "9"] == ["203.0.113.9"]
    assert [(one.entity, one.id) for one in made.refused] == [("trunk", 7), ("trunk", 8)]
    assert all(NAME in one.reason for one in made.refused)
    after = identification(directory, {NAME: (), "fair.example": fair[1:]})
    assert accounts_concerned(directory, before, after) == {1}
    assert accounts_concerned(directory, before, before) == set()
    only_six = account_config(one, identification(directory, {NAME: (), "fair.example": fair[2:]}))
    assert {trunk.id for trunk in only_six.directory.trunks} == {"8"}


def test_a_name_with_one_refused_address_is_not_used() -> None:
    """A name server that gives the check another answer than the call gains nothing: there is one answer."""
    one = account(1, [], [row(1, 7, host=NAME)])
    mixed = networks("203.0.113.9", "127.0.0.2")
    found = identification(AccountDirectory({1: one}), {NAME: mixed})
    assert found.servers == {}
    assert account_config(one, found).directory.trunks == []


# --- who waits for whom


class Names:
    """A resolver whose look-ups of ``*.slow.example`` take until ``end``."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.asked: list[str] = []
        self._lock = threading.Lock()
        self.running = self.most = 0

    def look_up(self, host: str) -> set[str]:
        with self._lock:
            self.asked.append(host)
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            if host.endswith("slow.example"):
                self.end.wait(60)
                raise OSError("no answer")
            return {"203.0.113.9"}
        finally:
            with self._lock:
                self.running -= 1


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    names = Names()
    monkeypatch.setattr(resolution, "_look_up", names.look_up)
    monkeypatch.setattr(resolution, "_lookups", Lookups(resolution.LOOKUPS_PER_ACCOUNT, name="trunk-hosts"))
    yield names
    names.end.set()


SLOW = [row(2, 100 + number, host=f"n{number}.slow.example") for number in range(20)]


async def test_unanswered_names_of_one_account_delay_no_other(names: Names) -> None:
    accounts = {
        2: account(2, [], SLOW),
        3: account(3, [], [row(3, 7, host=NAME), row(3, 8, host="n1.slow.example")]),
    }
    snapshot = SimpleNamespace(current=AccountDirectory({2: accounts[2]}))
    watch = TrunkIdentification(cast(DirectorySnapshot, snapshot), frozenset())
    watch.update(snapshot.current)
    task = asyncio.create_task(watch.run())
    try:
        async with asyncio.timeout(PATIENCE):
            while len(names.asked) < resolution.LOOKUPS_PER_ACCOUNT:
                await asyncio.sleep(0.01)
            snapshot.current = AccountDirectory(accounts)
            begun = time.monotonic()
            watch.update(snapshot.current)
            while 7 not in watch.current.servers:
                await asyncio.sleep(0.01)
        assert time.monotonic() - begun < 20, "the slow names take a minute"
        assert watch.current.servers == {7: "203.0.113.9"}
        assert names.most <= 2 * resolution.LOOKUPS_PER_ACCOUNT
        # One that writes a trunk meanwhile does not wait either.
        assert await resolution.resolve([NAME], 4, timeout=20) == {NAME: (parse("203.0.113.9"),)}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_name_of_an_account_with_unanswered_names_is_resolved_when_a_place_is_free(
    names: Names,
) -> None:
    before = threading.enumerate()
    slow = [asyncio.create_task(resolution.resolve([one.host], 2, timeout=0.2)) for one in SLOW]
    assert all(found == () for answers in await asyncio.gather(*slow) for found in answers.values())
    threads = [one for one in threading.enumerate() if one.name == "trunk-hosts" and one not in before]
    assert len(threads) <= resolution.LOOKUPS_PER_ACCOUNT
    assert len(names.asked) == resolution.LOOKUPS_PER_ACCOUNT  # those that nobody waits for are not begun
    assert await resolution.resolve([NAME], 2, timeout=0.2) == {NAME: ()}
    names.end.set()
    assert await resolution.resolve([NAME], 2, timeout=PATIENCE) == {NAME: (parse("203.0.113.9"),)}


async def test_known_addresses_stay_when_no_name_server_responds_also_after_a_restart(tmp_path: Path) -> None:
    snapshot = SimpleNamespace(current=AccountDirectory({1: account(1, [], [row(1, 7, host=NAME)])}))
    answers = {NAME: networks("203.0.113.9")}
    now = [0.0]

    async def resolver(hosts: object, account_id: int) -> dict[str, tuple[Network, ...]]:
        assert account_id == 1
        return dict(answers)

    def watch() -> TrunkIdentification:
        return TrunkIdentification(
            cast(DirectorySnapshot, snapshot),
            frozenset(),
            file=tmp_path / "known.json",
            resolver=resolver,
            clock=lambda: now[0],
        )

    first = watch()
    await first.first(1)
    assert first.current.servers == {7: "203.0.113.9"}
    answers.clear()
    now[0] += 600
    await first.refresh()
    assert first.current.servers == {7: "203.0.113.9"}
    second = watch()
    second.update(snapshot.current)
    await second.first(1)
    assert second.current.servers == {7: "203.0.113.9"}
    answers[NAME] = networks("203.0.113.10", "203.0.113.9")
    now[0] += 600
    await second.refresh()
    assert second.current.servers == {7: "203.0.113.9"}  # it is in use and still one of them
    (tmp_path / "known.json").write_text("[1, 2")
    third = watch()
    third.update(snapshot.current)
    assert third.current.servers == {}


# --- on the wire


@dataclass
class Carrier(asyncio.DatagramProtocol):
    """A carrier that asks for a login, and answers each call. Its ``Contact`` is a name."""

    requests: list[str] = field(default_factory=list)
    port: int = 0
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        text = data.decode()
        if text.startswith("SIP/2.0"):
            return
        self.requests.append(text)
        method = text.partition(" ")[0]
        if method == "ACK":
            return
        copied = re.findall(r"(?m)^((?:Via|From|Call-ID|CSeq):.*)\r$", text)
        [to] = re.findall(r"(?m)^(To:.*)\r$", text)
        status, more, body = "200 OK", "Expires: 300\r\n" if method == "REGISTER" else "", ""
        if method in ("REGISTER", "INVITE") and "Authorization: " not in text:
            status = "401 Unauthorized"
            more = 'WWW-Authenticate: Digest realm="carrier", nonce="abc", algorithm=MD5\r\n'
        elif method == "REGISTER":
            [contact] = re.findall(r"(?m)^(Contact:.*)\r$", text)
            more += f"{contact};expires=300\r\n"
        elif method == "INVITE":
            more = "Contact: <sip:c@contact.slow.example:5099>\r\nContent-Type: application/sdp\r\n"
            body = (
                f"v=0\r\no=- 1 1 IN IP4 {CARRIER}\r\ns=-\r\nc=IN IP4 {CARRIER}\r\nt=0 0\r\n"
                "m=audio 40000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
            )
        if ";tag=" not in to:
            to += ";tag=remote"
        head = "\r\n".join([f"SIP/2.0 {status}", *copied, to])
        assert self._transport is not None
        self._transport.sendto(f"{head}\r\n{more}Content-Length: {len(body)}\r\n\r\n{body}".encode(), address)

    def of(self, method: str) -> list[str]:
        return [text for text in self.requests if text.startswith(f"{method} ")]

    async def wait(self, method: str, count: int) -> list[str]:
        async with asyncio.timeout(PATIENCE):
            while len(self.of(method)) < count:
                await asyncio.sleep(0.02)
        return self.of(method)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A name server that never responds."""
    if (
        os.geteuid() != 0
        or shutil.which("unshare") is None
        or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0
    ):
        pytest.skip("only root can give a process another resolv.conf")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((SILENT, 53))
        server.setblocking(False)
        yield server


def asked(server: socket.socket) -> set[str]:
    """Names of the queries that came."""
    found = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            query = server.recv(2000)
            labels, at = [], 12
            while length := query[at]:
                labels.append(query[at + 1 : at + 1 + length].decode())
                at += 1 + length
            found.add(".".join(labels))
    return found


@pytest.fixture
async def pbx(asterisk_install: AsteriskInstall, tmp_path: Path, silent: socket.socket) -> AsyncIterator[Pbx]:
    file = tmp_path / "resolv.conf"
    file.write_text(f"nameserver {SILENT}\n")
    # Without the variables that keep Asterisk from each query: the configuration alone must suffice.
    script = f'unset RES_OPTIONS; mount --bind {file} /etc/resolv.conf && exec "$@"'
    install = replace(
        asterisk_install, prefix=("unshare", "-m", "sh", "-c", script, "sh", *asterisk_install.prefix)
    )
    pbx = Pbx(install, tmp_path)
    await pbx.start()
    try:
        yield pbx
    finally:
        await pbx.stop()


@pytest.mark.engine
async def test_a_call_and_a_registration_by_name_need_no_name_server(pbx: Pbx, silent: socket.socket) -> None:
    """The carrier sees its name in each request and no trace of the address; a login is sent there, too."""
    carrier = Carrier()
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: carrier, local_addr=(CARRIER, 0))
    port = carrier.port
    registering = [
        TrunkConfig.of(
            id_, TrunkMode.REGISTER, host, port, username="company", password="secret", server=server
        )
        for id_, host, server in (
            ("8", NAME, CARRIER),
            ("9", "n0.slow.example", ""),
        )
    ]
    pbx.directory = replace(
        pbx.directory,
        trunks=registering,
        defaults=[],
    )
    try:
        async with pbx.engine() as (engine, heard):

            def order(name: str) -> Originate:
                peer = Endpoint(EndpointKind.TRUNK, EndpointName(f"trunk-{name}"))
                return Originate(
                    Channel(f"to-{name}"), Target.of(peer, CALLED, "12025550100"), 20, CallTag("5")
                )

            for register in (await carrier.wait("REGISTER", 2))[:2]:
                assert register.startswith(f"REGISTER sip:{NAME}:{port} SIP/2.0\r\n")
                assert re.search(rf"(?m)^To: <sip:company@{re.escape(NAME)}(:{port})?>\r$", register)
            await engine.originate(order("8"))
            await heard.wait(Answered, lambda one: one.channel == "to-8")
            invites = await carrier.wait("INVITE", 2)
            assert len(invites) == 2
            for invite in invites:
                assert invite.startswith(f"INVITE sip:+{CALLED}@{NAME}:{port} SIP/2.0\r\n")
                assert re.search(rf"(?m)^To: <sip:[+]{CALLED}@{re.escape(NAME)}(:{port})?>\r$", invite)
                assert re.search(rf"(?m)^From: .*@{re.escape(NAME)}>", invite)
            await carrier.wait("ACK", 2)  # of the 401, of the 200
            await engine.hangup(Channel("to-8"))
            await carrier.wait("BYE", 1)
            await heard.wait(Ended, lambda one: one.channel == "to-8")
            begun = time.monotonic()
            with contextlib.suppress(Exception):
                await engine.originate(order("9"))
                await heard.wait(Ended, lambda one: one.channel == "to-9")
            assert time.monotonic() - begun < 4.5, "the silent name server takes 5 s"
            assert not any(re.search(r"(?mi)^Route:|;hide", text) for text in carrier.requests)
            await asyncio.sleep(0.5)
            # Asterisk looks up the name of its machine when it starts.
            assert asked(silent) <= {socket.gethostname()}
    finally:
        carrier.close()
