"""Line ends in what anybody sends in SIP forge no event of the manager interface and no entry of the CEL log."""

from __future__ import annotations

import asyncio
import csv
import io
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.attack.guesser import Guesser
from tests.telephony.conftest import Pbx
from trunkline.core.clock import Instant
from trunkline.telephony import cel_log
from trunkline.telephony.ami_framing import Framing, Header
from trunkline.telephony.port import HeartbeatReturned, LoginFailed

pytestmark = pytest.mark.attack

ATTACKER, PHONE, VICTIM = "127.0.0.90", "127.0.0.91", "127.0.0.92"
LINE, PASSWORD = "1001", "secret"
NAME_BYTES = 36
"""To which Asterisk shortens an unknown name."""

INJECTIONS = (
    "5\r\nRemoteAddress: IPV4/TCP/127.0.0.92/5\r\nZ: ",
    "5\r\n\r\nEvent: InvalidPassword\r\nAccountID: 1001\r\nZ: ",
    "5\r\n\r\nEvent: FullyBooted\r\n\r\n",
    "\r\n\r\nResponse: Error\r\nActionID: 1",
    "\r\n\r\n\r\n\r\n",
    "5\r\nActionID: 1\r\n",
    "\n\nEvent: UserEvent\n\n",
)


def written(name: str, ip: str) -> str:
    """An event of an unknown name as Asterisk writes it."""
    return (
        "Event: InvalidAccountID\r\nPrivilege: security,all\r\nEventTV: 2026-11-21T20:00:00.000+0000\r\n"
        f"Severity: Error\r\nService: PJSIP\r\nEventVersion: 1\r\nAccountID: {name}\r\nSessionID: abc\r\n"
        f"LocalAddress: IPV4/UDP/127.0.0.1/5060\r\nRemoteAddress: IPV4/UDP/{ip}/5060\r\n\r\n"
    )


def messages(text: str) -> Iterator[list[Header]]:
    headers: list[Header] = []
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if line:
            key, _, value = line.partition(":")
            headers.append((key, value.removeprefix(" ")))
        elif headers:
            yield headers
            headers = []


def accepted(text: str) -> tuple[list[dict[str, str]], int]:
    """The events that are taken from a stream, and how many messages were counted as bad."""
    bad: list[Sequence[Header]] = []
    framing = Framing(lambda headers, _: bad.append(headers))
    found = []
    for headers in messages(text):
        is_fragment, taken = framing.fragment(headers)
        if not is_fragment:
            taken = framing.unrequested(headers)
        if taken is not None:
            found.append(dict(taken))
    return found, len(bad)


names = st.one_of(
    st.sampled_from(INJECTIONS),
    st.lists(
        st.sampled_from(
            ["\r\n", "\n", "\r", "Event: ", "RemoteAddress: ", "IPV4/UDP/127.0.0.92/5", "SessionID:", "LocalAddress:",
             "RemoteAddress:", "x", ":", "Privilege: security,all", "ActionID: 1", "FullyBooted", "Response: "]
        )
    ).map("".join),
    st.text(),
)  # fmt: skip


@given(names)
@example(INJECTIONS[0])
@example(INJECTIONS[1])
def test_an_unknown_name_is_one_event_of_its_real_address(name: str) -> None:
    shortened = name.encode("utf-8", "replace")[:NAME_BYTES].decode(errors="replace")
    found, _ = accepted(written(shortened, ATTACKER) + written("x", PHONE))
    addresses = [one["RemoteAddress"] for one in found]
    assert addresses == [f"IPV4/UDP/{ip}/5060" for ip in (ATTACKER, PHONE)]
    assert {one["Event"] for one in found} == {"InvalidAccountID"}


@pytest.mark.parametrize("name", ["Reload", "Registry"])
def test_an_event_that_passes_the_filter_is_not_counted_as_bad(name: str) -> None:
    bad: list[Sequence[Header]] = []
    framing = Framing(lambda headers, _: bad.append(headers))
    event = [("Event", name), ("Privilege", "system,all"), ("Status", "Registered")]
    assert framing.unrequested(event) is None
    assert bad == []


@given(st.text())
def test_a_name_without_line_ends_is_not_counted_as_bad(name: str) -> None:
    one_line = name.replace("\r", "").replace("\n", "")
    found, bad = accepted(written(one_line, ATTACKER))
    assert len(found) == 1
    assert bad == 0


def row(*fields: str) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(fields)
    return out.getvalue()


REAL = ("HANGUP", "20.1", "1.1", "1.1", "PJSIP/1001-0000000a", "77", "", "5", "1002", '{"hangupcause":16}')
FORGED = ("HANGUP", "21.1", "9.9", "9.9", "PJSIP/1003-0000000b", "78", "", "6", "1002", "")

texts = st.one_of(
    st.just("5\r\n" + row(*FORGED) + "6"),
    st.just("5\n" + ",".join(FORGED) + "\n6"),
    st.lists(st.sampled_from(['"', '""', ",", "\r\n", "\n", "HANGUP", "21.1", '"HANGUP","21.1",', "x"])).map("".join),
    st.text(),
)  # fmt: skip


@given(texts, st.integers(0, 5))
def test_a_number_forges_no_entry_of_the_cel_log(number: str, skipped: int) -> None:
    """From any line on, as the reader begins in the middle of the file."""
    hostile = (*REAL[:7], number.encode(errors="replace").decode(), *REAL[8:])
    text = row(*hostile) + row(*REAL)
    lines = list(io.StringIO(text, newline="\n"))[skipped:]
    found = list(cel_log.parse(lines))
    assert {one.channel for one in found} <= {"1.1"}
    assert len(found) >= (2 if not skipped else 0)
    if not skipped:
        assert found[0].caller == hostile[7]


def test_the_cel_log_is_searched_past_a_number_with_lines(tmp_path: Path) -> None:
    path = tmp_path / "cel.csv"
    hostile = (*REAL[:7], "5\n" + ",".join(FORGED) + "\n", *REAL[8:])
    path.write_text((row(*hostile) + row(*REAL)) * 1000)
    found = cel_log.read(path, Instant(20.0))
    assert len(found) == 2000
    assert {one.channel for one in found} == {"1.1"}


@contextmanager
def sender(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((address, 0))
        made.settimeout(5.0)
        yield made


def options(port: int, name: str, number: int, source: socket.socket) -> bytes:
    ip, own = source.getsockname()
    return (
        f"OPTIONS sip:100@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {ip}:{own};branch=z9hG4bK{number};rport\r\n"
        f"From: <sip:{quote(name, safe='')}@127.0.0.1>;tag={number}\r\nTo: <sip:100@127.0.0.1>\r\n"
        f"Call-ID: {number}@{ip}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


@pytest.mark.engine
async def test_unknown_names_with_line_ends_count_for_their_sender_only(pbx: Pbx) -> None:
    """Against a real engine: the names that Asterisk writes as they came."""
    port = pbx.config.ports.udp
    async with pbx.engine() as (engine, signals), Guesser(port, PHONE) as phone:
        with sender(ATTACKER) as attacker:
            for number, name in enumerate([*INJECTIONS, "admin", "5000", "100; DROP"] * 4):
                attacker.sendto(options(port, name, number, attacker), ("127.0.0.1", port))
                await asyncio.to_thread(attacker.recv, 65536)
        # A failed password is reported after all of these.
        assert await phone.guess(LINE, "wrong") == 401
        await signals.wait(LoginFailed, lambda one: one.ip == PHONE)
        failed = signals.of(LoginFailed)
        assert {one.ip for one in failed[:-1]} == {ATTACKER}
        assert {(one.line, one.tried_password) for one in failed[:-1]} == {("", False), ("5000", False)}
        assert failed[-1].line == LINE
        assert len(failed) > 20
        assert engine.bad_messages["ami"] > 0
        await engine.heartbeat("after")
        await signals.wait(HeartbeatReturned, lambda one: one.token == "after")
