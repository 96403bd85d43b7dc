"""Phones that may transfer calls (``sip.transfers``) reach nothing that their line may not: no call of another account, no
trunk, no right, no extension of the engine."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.attack.test_replaced_calls import ADDRESS, Peer, tag_of
from tests.patience import PATIENCE
from tests.telephony.conftest import Pbx, SignalLog
from tests.telephony.test_config import CONFIG
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.asterisk_correction import TRANSFERS, are_transfers_corrected
from trunkline.telephony.config import TrunkConfig, TrunkMode, base_files
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import Answered, Arrived, Channel, Ended, TransferAsked

pytestmark = [pytest.mark.attack, pytest.mark.engine, pytest.mark.timeout(300)]


async def test_no_call_is_taken_over_and_no_carrier_moves_one(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    """INVITE with Replaces belongs to nobody, or is a call of its own; REFER of a trunk is refused and not reported."""
    if not are_transfers_corrected(asterisk_install.modules_dir):
        pytest.skip("this machine has an Asterisk without the corrections")
    pbx = Pbx(asterisk_install, tmp_path)
    pbx.config = replace(pbx.config, transfers=True)
    assert "res_pjsip_refer" in base_files(pbx.config)["modules.conf"]
    peer = Peer(pbx.config.ports.udp)
    pbx.directory = replace(
        pbx.directory,
        trunks=[TrunkConfig.of("7", TrunkMode.ADDRESS, ADDRESS, peer.port, addresses=[ADDRESS])],
    )
    await pbx.start()
    try:
        async with pbx.engine() as (engine, signals):
            peer.send("INVITE", "talk", branch="talk")
            arrived = await signals.wait(Arrived)
            await engine.answer(arrived.channel)
            await signals.wait(Answered)
            tag = tag_of(await asyncio.to_thread(peer.final, "talk"))
            peer.send("ACK", "talk", to_tag=tag, branch="ack")
            for index, extra in enumerate(("", "Require: replaces\r\n")):
                dialog = f"Replaces: talk;to-tag={tag};from-tag=mine\r\n{extra}"
                peer.send("INVITE", f"replaces-{index}", dialog, branch=f"replaces-{index}")
                response = await asyncio.to_thread(peer.final, f"replaces-{index}")
                assert response.startswith(("SIP/2.0 401", "SIP/2.0 403")), response
            # Asterisk does not compare so long a header, and identifies the trunk.
            long = f"Replaces: talk;to-tag={tag};from-tag=mine;x={'x' * 5000}\r\n"
            peer.send("INVITE", "long", long, branch="long")
            second = await signals.wait(Arrived, lambda one: one.channel != arrived.channel)
            await engine.hangup(second.channel)
            await signals.wait(Ended, lambda one: one.channel == second.channel)
            for index, extra in enumerate(("", "Refer-Sub: false\r\n")):
                refer = f"Refer-To: <sip:442079460999@127.0.0.1>\r\n{extra}"
                peer.send("REFER", "talk", refer, to_tag=tag, branch=f"refer-{index}", cseq=2 + index)
                response = await asyncio.to_thread(peer.final, "talk", "REFER")
                assert response.startswith("SIP/2.0 603"), response
            await asyncio.sleep(0.5)
            assert await engine.channels() == {arrived.channel}
            assert [one.channel for one in signals.of(Ended)] == [second.channel]
            assert not signals.of(TransferAsked)
            async with asyncio.timeout(PATIENCE):
                peer.send("BYE", "talk", to_tag=tag, branch="bye", cseq=5)
                await signals.wait(Ended, lambda one: one.channel == arrived.channel)
    finally:
        peer.close()
        await pbx.stop()


class PeerAsLine:
    """A trunk that may do what lines may (the peer has no password), so its REFER is reported."""

    def __init__(
        self, install: AsteriskInstall, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.pbx = Pbx(install, folder, environment)
        self.pbx.config = replace(self.pbx.config, transfers=True)
        self.pbx.directory = replace(
            self.pbx.directory,
            trunks=[TrunkConfig.of("7", TrunkMode.ADDRESS, ADDRESS, 5060, addresses=[ADDRESS])],
        )
        self.peer = Peer(self.pbx.config.ports.udp)

    async def __aenter__(self) -> PeerAsLine:
        await self.pbx.start()
        templates = self.pbx.config.paths.etc / "pjsip_templates.conf"
        text = templates.read_text()
        await self.pbx.stop()
        allowed = text.partition("[tl-line](!)")[2].partition("allow_transfer")[2].partition("disallow")[0]
        templates.write_text(text.replace("allow_transfer = no\n", f"allow_transfer{allowed}"))
        assert "PJSIP_TRANSFER_HANDLING()=ari-only" in allowed
        await self.pbx.start(keep=True)
        self.pid = self.pbx.pid
        self.engine = await self.pbx.connected.enter_async_context(AsteriskEngine(self.pbx.config))
        self.signals = SignalLog(self.engine)
        await self.engine.wait_offered()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.signals.close()
        await self.pbx.connected.aclose()
        self.peer.close()
        await self.pbx.stop()

    async def answered(self, call: str) -> tuple[Channel, str]:
        """A call of the peer, answered: its channel and our tag."""
        before = len(self.signals.of(Arrived))
        self.peer.send("INVITE", call, branch=call)
        async with asyncio.timeout(PATIENCE):
            while len(self.signals.of(Arrived)) <= before:
                await asyncio.sleep(0.02)
        channel = self.signals.of(Arrived)[before].channel
        await self.engine.answer(channel)
        tag = tag_of(await asyncio.to_thread(self.peer.final, call))
        self.peer.send("ACK", call, to_tag=tag, branch=f"ack-{call}")
        return channel, tag

    async def refer(
        self, call: str, tag: str, replaced: str = "", replaced_tag: str = "", extra: str = ""
    ) -> None:
        """Ask for a transfer, attended if a call is named, and wait for the 202."""
        dialog = quote(f"{replaced};to-tag={replaced_tag};from-tag=mine", safe="")
        query = f"?Replaces={dialog}" if replaced else ""
        refer = f"Refer-To: <sip:442079460999@127.0.0.1{query}>\r\n{extra}"
        self.peer.send("REFER", call, refer, to_tag=tag, branch=f"refer-{call}", cseq=2)
        assert (await asyncio.to_thread(self.peer.final, call, "REFER")).startswith("SIP/2.0 202")

    async def asked(self, channel: Channel) -> TransferAsked:
        return await self.signals.wait(TransferAsked, lambda one: one.channel == channel)

    def bye(self, call: str, tag: str) -> None:
        self.peer.send("BYE", call, to_tag=tag, branch=f"bye-{call}", cseq=3)

    async def all_ended(self, *channels: Channel) -> None:
        """The calls have ended, and Asterisk has not."""
        for channel in channels:
            await self.signals.wait(Ended, lambda one, want=channel: one.channel == want)  # type: ignore[misc]
        assert self.pbx.is_running
        assert self.pbx.pid == self.pid
        assert not await self.engine.channels()


@pytest.mark.parametrize("target", ["blind", "attended"])
async def test_a_request_without_a_subscription_ends_nothing(
    asterisk_install: AsteriskInstall, tmp_path: Path, target: str
) -> None:
    """``Refer-Sub: false`` ended the Asterisk process. A phone that hangs up at the same moment disturbs nothing."""
    if not are_transfers_corrected(asterisk_install.modules_dir):
        pytest.skip("this machine has an Asterisk without the corrections")
    async with PeerAsLine(asterisk_install, tmp_path) as line:
        for number in range(20):
            call = f"{target}-{number}"
            channel, tag = await line.answered(call)
            replaced = (call, tag) if target == "attended" else ("", "")
            await line.refer(call, tag, *replaced, extra="Refer-Sub: false\r\n")
            await line.asked(channel)
            answer = asyncio.create_task(line.engine.answer_transfer(channel, is_done=number % 2 == 0))
            line.bye(call, tag)
            await asyncio.gather(answer, return_exceptions=True)
            await line.all_ended(channel)


_REPORT = b"ast_refer_notify_transfer_request"


@pytest.fixture
def slow_reports(asterisk_install: AsteriskInstall, tmp_path: Path) -> tuple[AsteriskInstall, str]:
    """An Asterisk in which the moment of the report of a transfer can be made longer, and the library that does so."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("this machine has no C compiler")
    library = tmp_path / "slow_reports.so"
    source = Path(__file__).with_name("slow_reports.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    modules = tmp_path / "modules"
    modules.mkdir()
    for module in asterisk_install.modules_dir.iterdir():
        (modules / module.name).symlink_to(module)
    module = modules / TRANSFERS
    content = module.read_bytes()
    assert content.count(_REPORT) == 1
    module.unlink()
    module.write_bytes(content.replace(_REPORT, b"tst" + _REPORT[3:]))
    return replace(asterisk_install, modules_dir=modules), str(library)


@pytest.mark.parametrize("delayed", ["BEFORE", "AFTER"])
@pytest.mark.parametrize("ends", ["as it is reported", "as it is answered", "afterwards"])
async def test_a_call_ends_while_its_transfer_is_reported(
    asterisk_install: AsteriskInstall,
    tmp_path: Path,
    slow_reports: tuple[AsteriskInstall, str],
    delayed: str,
    ends: str,
) -> None:
    """Asterisk read the channel of the replaced call without a reference to it, once as it received REFER and once as it
    sent the result (with the dialog locked); and the response of the switch could come before what it needs was there."""
    if not are_transfers_corrected(asterisk_install.modules_dir):
        pytest.skip("this machine has an Asterisk without the corrections")
    slow, library = slow_reports
    async with PeerAsLine(slow, tmp_path, {"LD_PRELOAD": library, f"SLOW_{delayed}": "300000"}) as line:
        for number in range(3):
            talk, consultation = f"talk-{number}", f"consultation-{number}"
            channel, tag = await line.answered(talk)
            other, other_tag = await line.answered(consultation)
            await line.refer(talk, tag, consultation, other_tag)
            if ends == "as it is reported":
                line.bye(consultation, other_tag)
            asked = await line.asked(channel)
            assert asked.to is None
            if ends != "as it is reported":
                assert asked.other == other
            answer = asyncio.create_task(line.engine.answer_transfer(channel, is_done=True))
            if ends == "as it is answered":
                line.bye(consultation, other_tag)
            await asyncio.gather(answer, return_exceptions=True)
            if ends == "afterwards":
                line.bye(consultation, other_tag)
            line.bye(talk, tag)
            await line.all_ended(channel, other)


def test_the_module_is_loaded_for_the_setting_only() -> None:
    files = base_files(CONFIG)
    assert "refer" not in files["modules.conf"]
    assert "allow_transfer = yes" not in files["pjsip_templates.conf"]
