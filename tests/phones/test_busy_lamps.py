"""Busy lamps: a phone watches the extensions of its account, and of no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.phones.transferring_phone import TransferringPhone
from tests.telephony.conftest import Pbx, SignalLog, line
from tests.telephony.test_config import CONFIG
from trunkline.core.engine_values import CallTag, WatchersName
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.telephony.config import EndpointSet, LineConfig, WatchedExtension, base_files, directory_files
from trunkline.telephony.engine import AsteriskEngine
from trunkline.telephony.port import Arrived, Channel, Endpoint, Originate, Registered, Ringing, Target

pytestmark = [pytest.mark.engine, pytest.mark.phones, pytest.mark.timeout(120)]


def of_account(account: str, login: str) -> LineConfig:
    return replace(line(login), watchers=WatchersName(account))


DIRECTORY = EndpointSet(
    lines=[of_account("1", "1001"), of_account("1", "1002"), of_account("2", "1003")],
    watched=[
        WatchedExtension.of(1, "201", ["1001"]),
        WatchedExtension.of(1, "202", ["1002"]),
        WatchedExtension.of(2, "203", ["1003"]),
    ],
)


@pytest_asyncio.fixture
async def pbx(asterisk_install: AsteriskInstall, tmp_path: Path) -> AsyncIterator[Pbx]:
    pbx = Pbx(asterisk_install, tmp_path)
    pbx.config = replace(pbx.config, busy_lamps=True)
    pbx.directory = DIRECTORY
    await pbx.start()
    yield pbx
    await pbx.stop()


def phone(pbx: Pbx, login: str) -> TransferringPhone:
    return TransferringPhone("127.0.0.1", pbx.config.ports.udp, login, "secret")


async def ring(engine: AsteriskEngine, login: str) -> Channel:
    channel = Channel(f"ring-{login}")
    await engine.originate(Originate(channel, Target(Endpoint.line(login)), 20, CallTag("45")))
    return channel


async def test_a_lamp_shows_when_a_colleague_rings_and_talks(pbx: Pbx) -> None:
    async with (
        pbx.engine() as (engine, signals),
        phone(pbx, "1001") as watching,
        phone(pbx, "1002") as watched,
    ):
        assert (await watching.watch("202")).startswith("SIP/2.0 200")
        await watching.lamp("202", "terminated")
        watched.answers = False
        await signals.wait(Registered, lambda one: one.line == "1002")
        ringing = await ring(engine, "1002")
        await signals.wait(Ringing, lambda one: one.channel == ringing)
        await watching.lamp("202", "early")
        await engine.hangup(ringing)
        await watching.lamp("202", "terminated")
        call = await dialled(engine, signals, watched)
        await watching.lamp("202", "confirmed")
        await engine.hangup(call)
        await watching.lamp("202", "terminated")


async def dialled(engine: AsteriskEngine, signals: SignalLog, phone: TransferringPhone) -> Channel:
    dialling = asyncio.create_task(phone.dial("442079460100"))
    arrived = await signals.wait(Arrived)
    await engine.answer(arrived.channel)
    await dialling
    return arrived.channel


async def test_nothing_else_is_watched(pbx: Pbx) -> None:
    """Extensions of other accounts, lines by their login, extensions and contexts of the switch, mailboxes."""
    async with pbx.engine() as (_, _), phone(pbx, "1001") as curious:
        for extension in ("203", "1001", "1003", "442079460100", "taken", "s", "h"):
            assert (await curious.watch(extension)).startswith("SIP/2.0 4"), extension
            assert (await curious.watch(extension, "presence")).startswith("SIP/2.0 4"), extension
        assert (await curious.watch("1003", "message-summary")).startswith("SIP/2.0 4")
        assert not curious.lamps


async def test_a_new_extension_is_watched_without_a_restart(pbx: Pbx) -> None:
    async with pbx.engine() as (engine, _), phone(pbx, "1001") as watching:
        assert (await watching.watch("299")).startswith("SIP/2.0 404")
        more = WatchedExtension.of(1, "299", ["1002"])
        await engine.configure(replace(DIRECTORY, watched=[*DIRECTORY.watched, more]))
        assert (await watching.watch("299")).startswith("SIP/2.0 200")


def test_the_setting_turns_them_off() -> None:
    files = {**base_files(CONFIG), **directory_files(CONFIG, DIRECTORY)}
    assert "exten_state" not in files["modules.conf"]
    assert "hint" not in "".join(files.values())
    assert "allow_subscribe = yes" not in files["pjsip_templates.conf"]
    on = replace(CONFIG, busy_lamps=True)
    trunk = base_files(on)["pjsip_templates.conf"].partition("[tl-trunk](!)")[2].partition("[")[0]
    assert "allow_subscribe = no" in trunk
