"""The name that a failed login tried: from the event, or from the line that Asterisk's log has of the request."""

from __future__ import annotations

import asyncio

import pytest

from tests.attack.guesser import Guesser
from tests.patience import PATIENCE
from tests.telephony.conftest import TelephonySetup
from trunkline.calls.switch.refused_media import unknown_logins
from trunkline.telephony.config import EndpointSet, TrunkConfig, TrunkMode
from trunkline.telephony.port import LoginFailed, Unidentified
from trunkline.telephony.tried_names import NAME_MAX, tried_name

_LINE = (
    "[2026-03-01 12:00:00.000] NOTICE[7] res_pjsip/pjsip_distributor.c: Request 'REGISTER' from '{sender}' failed for"
    " '{ip}:5060' (callid: {call_id}) - {text}\n"
)
IP, CALL_ID = "203.0.113.9", "call-1@203.0.113.9"


def entry(sender: str, ip: str = IP, call_id: str = CALL_ID) -> str:
    return _LINE.format(sender=sender, ip=ip, call_id=call_id, text="Failed to authenticate")


def test_the_line_of_the_request() -> None:
    log = (
        entry("<sip:omar@pbx.example>")
        + entry("<sip:other@pbx.example>", call_id="another")
        + entry("<sip:third@pbx.example>", ip="203.0.113.10")
        + "no line of a request\n"
    )
    assert tried_name(log, CALL_ID, IP) == "omar"
    assert tried_name(log, CALL_ID, "203.0.113.10") == "third"
    assert tried_name(log, "unknown", IP) == ""
    assert tried_name("", CALL_ID, IP) == ""


def test_what_the_sender_wrote_is_made_harmless() -> None:
    assert tried_name(entry('"a\x1b[2J" <sip:a\x1b\u202eb@pbx.example>'), CALL_ID, IP) == "a??b"
    assert tried_name(entry(f"<sip:{'a' * 500}@pbx.example>"), CALL_ID, IP) == "a" * NAME_MAX
    assert tried_name(entry("<sip:pbx.example>"), CALL_ID, IP) == ""
    forged = entry(f"\"' failed for '{IP}:1' (callid: x) - \" <sip:real@pbx.example>")
    assert tried_name(forged, CALL_ID, IP) == "real"


@pytest.mark.engine
async def test_the_name_of_a_real_request(setup: TelephonySetup) -> None:
    log = setup.pbx.config.paths.root / "console"
    async with Guesser(setup.pbx.config.ports.udp, "127.0.0.93") as phone:
        await phone.guess("reception", "secret")
        failed = await setup.signals.wait(LoginFailed, lambda one: one.ip == "127.0.0.93")
        assert failed.line == ""
        assert await setup.engine.tried_name(failed, log) == "reception"


@pytest.mark.engine
async def test_a_request_that_nobody_is_known_by(setup: TelephonySetup) -> None:
    """A carrier that calls the number instead of the registered contact. A line is challenged without a signal."""
    known = setup.pbx.directory.lines[0].login
    async with Guesser(setup.pbx.config.ports.udp, "127.0.0.94") as carrier:
        assert await carrier.send(known, None) == 401
        assert await carrier.send("442079460100", None) == 401
    found = await setup.signals.wait(Unidentified, lambda one: one.ip == "127.0.0.94")
    assert [one for one in setup.signals.all if isinstance(one, Unidentified) and one.ip == found.ip] == [
        found
    ]


@pytest.mark.engine
async def test_an_unknown_login_from_an_address_of_a_trunk(setup: TelephonySetup) -> None:
    directory = setup.pbx.directory
    trunk = TrunkConfig.of("95", TrunkMode.ADDRESS, "127.0.0.95", 5060, addresses=["127.0.0.95"])
    await setup.engine.configure(EndpointSet(lines=directory.lines, trunks=[*directory.trunks, trunk]))
    async with Guesser(setup.pbx.config.ports.udp, "127.0.0.95") as phone:
        assert await phone.send("reception", None) == 403
    async with asyncio.timeout(PATIENCE):
        while unknown_logins((setup.pbx.config.paths.root / "console").read_text()) != [(95, "127.0.0.95")]:
            await asyncio.sleep(0.1)
