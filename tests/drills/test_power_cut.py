"""The machine loses power during a talk: the report shows the talk as long as it was."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.engine.setup import Setup
from tests.engine.test_calls_in import ANNA
from trunkline.demo.outside import Answer
from trunkline.runtime.asterisk import AsteriskInstall

pytestmark = [
    pytest.mark.drill,
    pytest.mark.long_drill,
    pytest.mark.engine,
    pytest.mark.durability,
    pytest.mark.timeout(300),
]

TALK = 6.0
WITHOUT_POWER = 15.0
WITNESS_SECONDS = 4.0
"""The switch stores every two seconds that it is connected to Asterisk; later on a busy machine."""


async def test_a_talk_at_a_power_cut(asterisk_install: AsteriskInstall, tmp_path: Path) -> None:
    async with Setup(asterisk_install, tmp_path) as setup:
        before = await setup.last_id()
        customer = await setup.customer()
        setup.anna.on_call(Answer())
        call = await customer.dial(ANNA)
        phone = await setup.anna.next_call()
        await asyncio.gather(call.answered(), phone.answered())
        began = time.monotonic()
        await asyncio.sleep(TALK)
        names = ("asterisk", "switch", "web", "worker", "postgres")
        pids = [int(setup.installation.process(name)["pid"]) for name in names]
        supervisor = setup.installation._process
        assert supervisor is not None
        # A supervisor that ends, or sees the end of a process, would stop the others in order.
        os.kill(supervisor.pid, signal.SIGSTOP)
        for pid in (*pids, supervisor.pid):
            os.kill(pid, signal.SIGKILL)
        talk = time.monotonic() - began
        await supervisor.wait()
        await asyncio.sleep(WITHOUT_POWER)
        await setup.installation.start()

        row = await setup.row(before)
        assert row["finish_reason"] == "internal_error"
        assert row["is_lost"] is False
        assert talk - WITNESS_SECONDS <= row["talk_duration"] <= talk + 1
        assert row["total_duration"] <= talk + 2
        assert {leg["finish_reason"] for leg in await setup.legs(row["id"])} == {"internal_error"}
        [explained] = await _last_calls(setup)
        assert explained["explanation"].startswith("Asterisk ended during the call")
        assert await setup.living() == []


async def _last_calls(setup: Setup) -> list[dict[str, str]]:
    found = json.loads(
        await setup.installation.run(
            "calls", "--last", "5", "--account", str(setup.account.account_id), "--json"
        )
    )
    return list(found)
