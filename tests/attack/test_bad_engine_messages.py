"""No message of Asterisk, whatever its bytes, ends a core task: it is counted, and what comes after it is handled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trunkline.core import log_limit, tasks
from trunkline.core.clock import Instant
from trunkline.core.tasks import CoreTasks
from trunkline.telephony import ami, bad_messages, cel_log, registrations
from trunkline.telephony.ami import AmiClient, AmiMessage
from trunkline.telephony.ari import AriAddress, AriClient
from trunkline.telephony.config import EngineConfig, EnginePaths, EnginePorts, EngineSecrets
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import Channel, Ended, LoginFailed, Signal

pytestmark = pytest.mark.attack

AT = "2026-11-21T20:00:00.000+0000"
SECURITY = (
    "Event: {event}\r\nPrivilege: security,all\r\nEventTV: "
    + AT
    + "\r\nSeverity: Error\r\nService: PJSIP\r\n"
    "EventVersion: 1\r\nAccountID: {name}\r\nSessionID: abc\r\nLocalAddress: IPV4/UDP/127.0.0.1/5060\r\n"
    "RemoteAddress: {address}\r\n"
)
FAILED = SECURITY + "Challenge: a/b\r\nResponse: c\r\nExpectedResponse: \r\n"
LAST_AMI = (
    FAILED.format(event="ChallengeResponseFailed", name="1001", address="IPV4/UDP/192.0.2.1/5") + "\r\n"
).encode()
CHANNEL: dict[str, Any] = {
    "id": "1.1", "name": "PJSIP/1001-0000000a", "state": "Up", "caller": {"number": "1", "name": ""},
    "connected": {"number": "", "name": ""}, "dialplan": {"context": "c", "exten": "s", "app_name": "Stasis"},
    "creationtime": AT, "accountcode": "",
}  # fmt: skip
LAST_ARI = {"type": "ChannelDestroyed", "timestamp": AT, "channel": CHANNEL, "cause": 16}


class Log:
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def error(self, _event: str, **fields: Any) -> None:
        self.lines.append(fields)


def engine(folder: Path) -> AsteriskEngine:
    paths = EnginePaths(folder, folder, folder, folder)
    ports = EnginePorts(1, 2, 3, 4, 5, 6, 7, 8)
    made = AsteriskEngine(EngineConfig(paths, ports, EngineSecrets("a", "b", "c", "d"), folder, folder))
    made._bad._log = Log()  # type: ignore[assignment]
    return made


async def last_signal(of: AsteriskEngine, is_last: Callable[[Signal], bool]) -> None:
    async for signal in of.signals():
        if is_last(signal):
            return


def handled(folder: Path, feed: Callable[[AsteriskEngine], None], is_last: Callable[[Signal], bool]) -> int:
    """Run the readers of the engine until the last signal arrives; the number of bad messages.

    A core task that fails ends the test with CoreTaskFailed.
    """

    async def work() -> int:
        made = engine(folder)
        async with CoreTasks():
            readers = [
                tasks.core_task(made._pump_ami(), name="ami"),
                tasks.core_task(made._pump_failures(), name="ami-failures"),
                tasks.core_task(made._pump_ari(), name="ari"),
            ]
            try:
                feed(made)
                await asyncio.wait_for(last_signal(made, is_last), 10)
            finally:
                for task in [*readers, *made._tasks]:
                    task.cancel()
                await asyncio.gather(*readers, *made._tasks, return_exceptions=True)
        return sum(made.bad_messages.values())

    return asyncio.run(work())


def read_ami(data: bytes) -> Callable[[AsteriskEngine], None]:
    """What the readers of both connections do with these bytes."""

    async def read(client: AmiClient) -> None:
        reader = asyncio.StreamReader(limit=1 << 20)
        reader.feed_data(data)
        reader.feed_eof()
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                for message in await ami._read_messages(reader):
                    client._dispatch(message)

    def feed(made: AsteriskEngine) -> None:
        made._spawn(read(made._ami), "read")
        made._spawn(read(made._failures), "read-failures")

    return feed


def is_last_failure(signal: Signal) -> bool:
    return isinstance(signal, LoginFailed) and (signal.line, signal.ip) == ("1001", "192.0.2.1")


words = st.one_of(
    st.sampled_from(["", "admin", "trunk-9", "web-zz", "1001", "²", "9" * 5000, "<unknown>", "\x00", "\ud800", "None"]),
    st.text(max_size=40),
)  # fmt: skip
contacts = st.builds(
    "Event: ContactStatus\r\nPrivilege: system,all\r\nURI: {}\r\nContactStatus: {}\r\nAOR: x\r\n"
    "EndpointName: {}\r\nRoundtripUsec: {}\r\n\r\n".format,
    st.one_of(words, st.just("sip:1001@192.0.2.1:" + "9" * 5000)),
    st.sampled_from(["Removed", "Reachable", "Unreachable", "Created", ""]),
    words,
    words,
)
failures = st.builds(
    lambda event, name, address: SECURITY.format(event=event, name=name, address=address) + "\r\n",
    st.sampled_from(["InvalidAccountID", "ChallengeResponseFailed", "ChallengeSent", "InvalidPassword"]),
    words,
    st.one_of(words, st.just("IPV4/UDP/192.0.2.7/5060"), st.just("IPV4/UDP/x/y")),
)
ami_bytes = st.lists(
    st.one_of(contacts, failures, st.text(max_size=60).map(lambda text: f"Event: {text}\r\n\r\n")).map(
        lambda text: text.encode(errors="replace")
    )
    | st.binary(max_size=80).map(lambda data: data + b"\r\n\r\n"),
    max_size=6,
).map(b"".join)


@settings(deadline=None)
@given(ami_bytes)
@example(
    SECURITY.format(event="InvalidAccountID", name="admin", address="IPV4/UDP/192.0.2.7/5").encode() + b"\r\n"
)
@example(
    b"Event: ContactStatus\r\nPrivilege: system,all\r\nURI: x\r\nContactStatus: Removed\r\nAOR: a\r\nEndpointName: b\r\n\r\n"
)
def test_messages_of_the_manager_interface(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    cut = (
        SECURITY.format(event="InvalidAccountID", name="", address="IPV4/UDP/192.0.2.9/5").encode() + b"\r\n"
    )
    # The end of an event that was cut is always written, as Asterisk writes it.
    handled(tmp_path_factory.getbasetemp(), read_ami(data + cut + LAST_AMI), is_last_failure)


OTHER: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.integers(-(10**12), 10**12), st.text("a1~/:\x00", max_size=5), st.just([]), st.just({})
)


def mutated(value: dict[str, Any]) -> st.SearchStrategy[Any]:
    """The value with some parts left out or replaced."""
    changes = st.dictionaries(st.sampled_from(sorted(value)), OTHER, max_size=2)
    left_out = st.sets(st.sampled_from(sorted(value)), max_size=2)
    return st.builds(
        lambda changed, gone: {key: one for key, one in {**value, **changed}.items() if key not in gone},
        changes,
        left_out,
    )


EVENT: dict[str, Any] = {
    **LAST_ARI, "args": ["connected", "ANSWER", "16"], "dialstatus": "", "peer": CHANNEL, "caller": CHANNEL,
    "bridge": {"id": "b"}, "digit": "1", "duration_ms": 5, "soft": True, "eventname": "TrunklineHeartbeat",
    "userevent": {"token": "t"}, "playback": {"id": "p", "target_uri": "channel:1.1", "state": "done"},
    "recording": {"name": "r", "target_uri": "channel:1.1", "duration": 1},
}  # fmt: skip
TYPES = ("StasisStart", "ChannelUserevent", "Dial", "ChannelHangupRequest", "ChannelDestroyed", "ChannelEnteredBridge",
         "ChannelLeftBridge", "ChannelDtmfReceived", "PlaybackFinished", "RecordingFinished", "Unknown")  # fmt: skip
ari_texts = st.one_of(
    st.builds(
        lambda data, channel, name: orjson.dumps({**data, "channel": channel, "type": name}).decode(),
        mutated(EVENT),
        mutated(CHANNEL),
        st.sampled_from(TYPES),
    ),
    OTHER.map(lambda one: orjson.dumps(one).decode()),
    st.text(),
)


@settings(deadline=None)
@given(st.lists(ari_texts, max_size=5))
def test_messages_of_the_call_interface(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    def feed(made: AsteriskEngine) -> None:
        for text in texts:
            made._ari._take(text)
        made._ari._take(orjson.dumps({**LAST_ARI, "channel": {**CHANNEL, "id": "last"}}).decode())

    handled(
        tmp_path_factory.getbasetemp(),
        feed,
        lambda one: isinstance(one, Ended) and one.channel == Channel("last"),
    )


@given(st.lists(st.one_of(mutated(CHANNEL), OTHER), max_size=5))
def test_channels_of_a_listing(tmp_path_factory: pytest.TempPathFactory, listed: list[Any]) -> None:
    made = engine(tmp_path_factory.getbasetemp())
    found = made._read_channels([*listed, {**CHANNEL, "id": "last"}])
    assert found[-1][0].id == "last"
    assert len(found) + sum(made.bad_messages.values()) == len(listed) + 1


LAST_CEL = '"HANGUP","20.1","last","1.1","PJSIP/1001-0000000a","77","","5","1002","{""hangupcause"":16}"\n'


@given(st.lists(st.one_of(st.text(), st.just('"HANGUP","nan","1"'), st.just(LAST_CEL[:-20])), max_size=5))
@example(["\x00"])
@example(['"' + "x" * 200_000])
@example(['"CHAN_START","20.1","' + "x" * 200_000])
def test_lines_of_the_cel_log(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "journal.csv"
    text = "".join(f"{line}\n" for line in lines)
    path.write_bytes((text + LAST_CEL).encode(errors="replace"))
    bad: list[str] = []
    found = cel_log.read(path, Instant(0.0), bad.append)
    cel_log.signals(found)
    assert found[-1].channel == "last"


@pytest.mark.parametrize("endpoint", ["admin", "²", ""])
def test_a_bad_endpoint_in_a_listing_of_devices_is_no_device(endpoint: str) -> None:
    fields = [("Event", "ContactList"), ("Endpoint", endpoint), ("Uri", "sip:x@192.0.2.1")]
    assert registrations.contact_of(AmiMessage(fields, Instant(1.0)), Instant(1.0)) is None


async def test_an_answer_that_is_not_json_is_an_error_of_its_request() -> None:
    client = AriClient(AriAddress(1, "a", "b"), "app")
    for body in (b"<html>", b"\xff", b"[1", b"{"):

        async def answer(*_: object, body: bytes = body) -> tuple[int, bytes]:
            return 200, body

        client._http.request = answer  # type: ignore[method-assign, assignment]
        with pytest.raises(Exception, match="not JSON"):
            await client.get("/channels")


def test_bad_messages_are_counted_and_logged_once_a_minute() -> None:
    now = 0.0
    counted = bad_messages.BadMessages(lambda: now)
    log = Log()
    counted._log = log  # type: ignore[assignment]
    for _ in range(100):
        counted.add("ami", "x" * 10_000, ValueError("bad"))
    now = log_limit.LOG_SECONDS
    counted.add("ami", "y", "bad")
    assert [line["messages"] for line in log.lines] == [1, 100]
    assert max(len(line["detail"]) for line in log.lines) <= bad_messages.SHOWN
    assert counted.counts == {"ami": 101}
