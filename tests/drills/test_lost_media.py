"""A phone that vanishes during a talk: the call ends after ``sip.media_timeout``, a silent party stays."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.engine.setup import Setup
from tests.engine.test_calls_in import ANNA
from trunkline.demo.outside import Answer
from trunkline.runtime.asterisk import AsteriskInstall

pytestmark = [pytest.mark.drill, pytest.mark.long_drill, pytest.mark.engine, pytest.mark.timeout(300)]

TIMEOUT = 12


async def test_a_silent_party_stays_and_a_vanished_one_is_ended(
    asterisk_install: AsteriskInstall, tmp_path: Path
) -> None:
    setup = Setup(asterisk_install, tmp_path)
    settings = setup.installation.settings
    sip = settings.sip.model_copy(update={"media_timeout": TIMEOUT})
    setup.installation.settings = settings.model_copy(update={"sip": sip})
    async with setup:
        before = await setup.last_id()
        customer = await setup.customer()
        setup.anna.on_call(Answer())
        call = await customer.dial(ANNA)
        phone = await setup.anna.next_call()
        await asyncio.gather(call.answered(), phone.answered())
        await call.mute()
        await asyncio.sleep(TIMEOUT + 8)
        assert len(await setup.living()) == 1
        vanished = time.monotonic()
        process = setup.world._process
        assert process is not None
        process.kill()

        row = await setup.row(before, timeout=TIMEOUT + 30)
        assert time.monotonic() - vanished < TIMEOUT + 10
        assert row["finish_reason"] in ("operator_number_problems", "caller_number_problems")
        assert 44 in {leg["release_cause_code"] for leg in await setup.legs(row["id"])}
        assert await setup.living() == []
