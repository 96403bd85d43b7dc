"""A carrier gets the number and the name that the switch chose, and nothing else that a phone wrote about the caller."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.attack.test_redirected_calls import CALLED, Carrier, carriers
from tests.attack.test_replaced_calls import ADDRESS, Peer
from tests.telephony.conftest import Pbx
from tests.telephony.conftest import pbx as pbx  # the fixture
from trunkline.core.engine_values import CallTag, DisplayName, EndpointName
from trunkline.telephony.config import TrunkConfig, TrunkMode
from trunkline.telephony.port import Arrived, Connect, ConnectFinished, Endpoint, EndpointKind, Target

pytestmark = [pytest.mark.attack, pytest.mark.engine]

WRITTEN = (
    'P-Asserted-Identity: "Bank" <sip:12025550177@192.0.2.1>\r\n'
    'Remote-Party-ID: "Bank" <sip:12025550178@192.0.2.1>;party=calling;screen=yes\r\n'
    'Diversion: "Bank" <sip:12025550179@192.0.2.1>;reason=unconditional\r\n'
    "History-Info: <sip:12025550176@192.0.2.1>;index=1\r\n"
)


@pytest.mark.parametrize("tag", ["", "5"])
async def test_names_and_headers_of_a_phone_do_not_leave(pbx: Pbx, tag: str) -> None:
    carrier, other = Carrier("486 Busy Here"), Carrier("486 Busy Here")
    peer = Peer(pbx.config.ports.udp)
    try:
        async with carriers(pbx, carrier, other) as (engine, heard):
            caller = TrunkConfig.of("7", TrunkMode.ADDRESS, ADDRESS, peer.port, addresses=[ADDRESS])
            await engine.configure(replace(pbx.directory, trunks=[*pbx.directory.trunks, caller]))
            peer.send("INVITE", "call", WRITTEN, branch="call", name="Bank")
            arrived = await heard.wait(Arrived)
            trunk = Endpoint(EndpointKind.TRUNK, EndpointName("trunk-8"))
            target = Target.of(trunk, CALLED, "12025550100")
            await engine.connect(arrived.channel, Connect([target], 20, tag=CallTag(tag)))
            await heard.wait(ConnectFinished)
    finally:
        peer.close()
    (request,) = carrier.requests
    headers = request.partition("\r\n\r\n")[0]
    assert "12025550100@" in headers
    assert "Bank" not in headers
    assert "1202555017" not in headers
    assert "Diversion" not in headers


def test_a_name_does_not_change_the_order_of_a_display() -> None:
    assert DisplayName.cleaned("a\u202eknaB\u2066 b") == "aknaB b"
