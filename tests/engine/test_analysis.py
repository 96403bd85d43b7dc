"""A call of ours is analysed once it is recorded: who spoke when."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.sounds import GREETING, QUESTION, said
from tests.engine.setup import Setup
from tests.patience import PATIENCE
from trunkline.analysis.model import SAMPLE_RATE
from trunkline.demo.outside import Answer, What
from trunkline.speech import audio

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup of reports"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

ANNA = "97140000200"


async def test_who_spoke_when(setup: Setup, tmp_path: Path) -> None:
    account = str(setup.account.account_id)
    await setup.installation.run("account", "component", "speech_analytics", "on", "--account", account)
    for name, text in (("question", QUESTION), ("greeting", GREETING)):
        (tmp_path / f"{name}.wav").write_bytes(audio.wav(said(text).tobytes()))
    greeting, question = (len(said(text)) / SAMPLE_RATE for text in (GREETING, QUESTION))

    setup.anna.on_call(Answer())
    before = await setup.last_id()
    customer = await setup.customer()
    call = await customer.dial(ANNA)
    answered = await setup.anna.next_call()
    await asyncio.gather(call.answered(), answered.answered())
    for party in (call, answered):
        async with asyncio.timeout(PATIENCE):
            while party.at(What.SPEAKS) is None:
                await asyncio.sleep(0.05)
        await party.mute()
    await answered.say(tmp_path / "greeting.wav")
    await asyncio.sleep(greeting + 0.7)
    await call.say(tmp_path / "question.wav")
    await asyncio.sleep(question + 0.7)
    await call.hangup()
    await asyncio.gather(call.ended(), answered.ended())
    row = await setup.row(before, recorded=True)

    reported = await _analysis(setup, row["id"])
    assert (reported["spoke_first"], reported["spoke_last"]) == ("employee", "contact")
    contact, employee = reported["channels"]
    assert (contact["side"], employee["side"]) == ("contact", "employee")
    assert employee["speech_duration"] == pytest.approx(greeting, abs=0.6)
    assert contact["speech_duration"] == pytest.approx(question, abs=0.6)
    assert reported["talk_ratio"] == pytest.approx(greeting / (greeting + question), abs=0.05)
    assert reported["overlap_duration"] < 0.3
    met = {one["name"]: one["is_met"] for one in reported["requirements"]}
    assert [met[name] for name in ("stereo", "pcm_16_bit", "sample_rate", "speech_duration")] == [
        True
    ] * 3 + [False]


async def _analysis(setup: Setup, call_session_id: int) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            answer = await setup.installation.data_api(
                setup.account, "getobj.call_analysis", call_session_id=call_session_id
            )
            for one in answer["data"]["recordings"]:
                if one["status"] != "pending":
                    assert one["status"] == "ready", one
                    return dict(one)
            await asyncio.sleep(0.3)
