"""Without a switch, and before its recovery is done, it is offered no new call, and no transfer by a phone is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.attack.test_transfers_by_phones import PeerAsLine
from tests.patience import PATIENCE
from trunkline.core.clock import Instant
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.asterisk_correction import are_transfers_corrected
from trunkline.telephony.ami import AmiAddress, AmiClient
from trunkline.telephony.bad_messages import BadMessages
from trunkline.telephony.config import EngineConfig
from trunkline.telephony.config.dialplan import READY
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import Arrived, Ended, EngineUp, Signal, TransferAsked

pytestmark = [pytest.mark.engine, pytest.mark.durability]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)


async def offered(config: EngineConfig) -> bool:
    """Whether Asterisk has noticed that a switch takes calls; a connection that was lost it notices milliseconds later."""
    address = AmiAddress(config.ports.ami, config.secrets.ami_user, config.secrets.ami_secret)
    async with AmiClient(address, BadMessages()) as ami:
        await ami.wait_up(PATIENCE)
        shown = await ami.action("Getvar", {"Variable": f"DIALPLAN_EXISTS(stasis-{READY},s,1)"})
    return shown.get("Value") == "1"


async def transfer(line: PeerAsLine, call: str, tag: str, cseq: int, *, attended: bool = False) -> str:
    """The status line of the response to a REFER."""
    replaced = f"?Replaces={quote(f'{call};to-tag={tag};from-tag=mine', safe='')}" if attended else ""
    refer = f"Refer-To: <sip:442079460999@127.0.0.1{replaced}>\r\n"
    line.peer.send("REFER", call, refer, to_tag=tag, branch=f"refer-{call}-{cseq}", cseq=cseq)
    return (await asyncio.to_thread(line.peer.final, call, "REFER")).partition("\r")[0]


async def test_calls_and_transfers_wait_for_the_recovery(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    """A phone whose transfer is refused keeps its call. One that got 202 left it, and nobody carried the transfer out."""
    if not are_transfers_corrected(asterisk_install.modules_dir):
        pytest.skip("this machine has an Asterisk without the corrections")
    line = PeerAsLine(asterisk_install, tmp_path)
    line.pbx.config = replace(line.pbx.config, away_wait=60)
    async with line:
        channel, tag = await line.answered("talk")
        await line.signals.close()
        await line.pbx.connected.aclose()  # there is no switch
        async with asyncio.timeout(PATIENCE):
            while await offered(line.pbx.config):
                pass
        for cseq, attended in ((2, False), (3, True)):
            assert "503" in await transfer(line, "talk", tag, cseq, attended=attended)
        got: list[Signal] = []
        async with AsteriskEngine(line.pbx.config) as engine:
            signals = engine.signals()
            while not isinstance(await anext(signals), EngineUp):
                pass
            assert "503" in await transfer(line, "talk", tag, 4)
            line.peer.send("INVITE", "second", branch="second")
            async with asyncio.timeout(PATIENCE):
                while len(seen := (await engine.survey(Instant(0.0))).channels) < 2:
                    await asyncio.sleep(0.02)
            assert {one.controlled for one in seen if one.channel != channel} == {False}

            async def take_signals() -> None:
                while True:
                    got.append(await anext(signals))

            taking = asyncio.create_task(take_signals())
            await until(lambda: any(isinstance(one, Arrived) and one.channel != channel for one in got))
            # A reload of the dialplan keeps what the connection of the switch has registered.
            await engine._act("Reload", {"Module": "pbx_config.so"})
            await engine.heartbeat("after the reload")
            assert "202" in await transfer(line, "talk", tag, 5)
            await until(lambda: any(isinstance(one, TransferAsked) for one in got))
            for one in await engine.channels():
                await engine.hangup(one)
            await until(lambda: len([one for one in got if isinstance(one, Ended)]) == 2)
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)
