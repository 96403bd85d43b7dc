"""An installation with calls is backed up while a call goes on, and restored in another folder, on other ports."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.engine.setup import Setup, period
from tests.engine.test_calls_in import ANNA
from trunkline.demo import tones
from trunkline.demo.installation import Installation
from trunkline.demo.outside import Answer, Call
from trunkline.runtime.asterisk import AsteriskInstall

_FIELDS = ["id", "start_time", "finish_reason", "contact_phone_number", "wav_call_records", "talk_duration"]

_NOT_REGISTERED = {"physical_state": None, "date_time": None, "ip": None, "ip_addresses": None}
"""What a line has of its phone, which is not registered at the restored installation."""


async def _rows(installation: Installation, setup: Setup, name: str, **params: Any) -> Any:
    return (await installation.data_api(setup.account, name, **params))["data"]


async def _interfaces(installation: Installation, setup: Setup) -> list[Any]:
    """What a user of the account sees."""
    export = await installation.run("export", "--account", str(setup.account.account_id))
    return [
        export,
        await _rows(installation, setup, "get.calls_report", **period(), fields=_FIELDS),
        await _rows(installation, setup, "get.call_legs_report", **period()),
        await _rows(installation, setup, "get.employees"),
        [{**line, **_NOT_REGISTERED} for line in await _rows(installation, setup, "get.sip_lines")],
    ]


async def _talk(setup: Setup) -> tuple[Call, Call]:
    customer = await setup.customer()
    setup.anna.on_call(Answer(after=0.2))
    call = await customer.dial(ANNA)
    phone = await setup.anna.next_call()
    await phone.answered()
    await asyncio.sleep(2)
    return call, phone


@pytest.mark.engine
@pytest.mark.long(50)
async def test_a_backup_during_a_call_makes_an_equal_installation_elsewhere(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    file, key = tmp_path / "backup.tar", tmp_path / "backup.key"
    async with Setup(asterisk_install, tmp_path / "one") as setup:
        before = await setup.last_id()
        call, phone = await _talk(setup)
        await call.hangup()
        await asyncio.gather(call.ended(), phone.ended())
        row = await setup.row(before, recorded=True)
        ended = await _interfaces(setup.installation, setup)
        second, second_phone = await _talk(setup)
        await setup.installation.run("backup", str(file), "--key", str(key))
        assert not second.is_ended
        await second.hangup()
        await asyncio.gather(second.ended(), second_phone.ended())
        await setup.prove_recording(row, call, phone)
        setup_tones = set(setup.world.tones.values())

    moved = Installation(tmp_path / "two")
    await moved.run("restore", str(file), "--key", str(key))
    async with moved:
        found = await _interfaces(moved, setup)
        export, calls, legs, *lists = found
        # Media files are named with the data folder that they are in.
        here, there = str(setup.installation.settings.data), str(moved.settings.data)
        assert export.replace(there, here).splitlines() == ended[0].splitlines()
        assert lists == ended[3:]
        # The call that went on is closed by the recovery of the new switch, later or already.
        assert [one for one in calls if one["id"] == row["id"]] == ended[1]
        assert [leg for leg in legs if leg["call_session_id"] == row["id"]] == ended[2]
        [recording_id] = row["wav_call_records"]
        status, sound = await moved.get(
            f"{moved.url}/system/media/wav/{row['communication_id']}/{recording_id}/",
            {"Authorization": f"Bearer {setup.account.keys['data_api']}"},
        )
        assert status == 200
        wav = tmp_path / "recording.wav"
        wav.write_bytes(sound)
        left, right = tones.channel_frequencies(wav, setup_tones)
        assert list(left) == [call.tone]
        assert list(right) == [phone.tone]
