"""What a call leaves behind: legs, durations and the recording after hold, consultation and transfer."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.engine.callapi.client import BORIS, CallApiClient
from trunkline.demo.outside import Answer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
]


@pytest.mark.parametrize("start", ["pbx", "api"])
async def test_recording_and_report_of_a_consulted_call(
    client: CallApiClient, start: str, tmp_path: Path
) -> None:
    """Talk, hold, consult, back: what operator and third party said is in no track; the second talk is in its place."""
    talk = await (client.talk_in() if start == "pbx" else client.talk_by_api())
    contact, operator = talk.contact, talk.employee
    began = max(contact.at_answer, operator.at_answer)
    await asyncio.sleep(1.2)
    await client.hold(talk)
    held = time.time()
    client.setup.boris.on_call(Answer())
    await client.do(talk, "make.call", to=BORIS)
    third = await client.setup.boris.next_call()
    await third.answered()
    await client.span("consult", {operator: {third}, third: {operator}}, 0.8)
    await client.do(talk, "restore.talk")
    restored = time.time()
    await client.span("talk", {contact: {operator}, operator: {contact}}, 0.8)
    await contact.hangup()
    await operator.ended()
    await client.prove()
    row = await client.setup.row(talk.before, recorded=True)
    left, right = await client.recording(row, tmp_path)
    assert (set(left), set(right)) == ({contact.tone}, {operator.tone})
    for channel, tone in ((left, contact.tone), (right, operator.tone)):
        first, second = channel[tone]
        assert first.seconds == pytest.approx(held - began, abs=0.35)
        assert second.start == pytest.approx(restored - began, abs=0.3)
        assert second.seconds == pytest.approx(contact.at_end - restored, abs=0.3)
    assert row["talk_duration"] == pytest.approx(contact.at_end - began, abs=0.8)
    clean = held - began + contact.at_end - restored
    assert row["clean_talk_duration"] == pytest.approx(clean, abs=0.8)
    assert row["total_wait_duration"] == pytest.approx(restored - held, abs=1.0)
    legs = {leg["employee_full_name"]: leg for leg in await client.setup.legs(row["id"])}
    assert legs["Berg Anna"]["is_talked"] is True
    assert legs["Lund Boris"]["is_talked"] is False
    assert row["is_transfer"] is False


@pytest.mark.parametrize("start", ["pbx", "api"])
async def test_recording_and_report_of_a_transferred_call(
    client: CallApiClient, start: str, tmp_path: Path
) -> None:
    talk = await (client.talk_in() if start == "pbx" else client.talk_by_api())
    contact, operator = talk.contact, talk.employee
    began = max(contact.at_answer, operator.at_answer)
    await asyncio.sleep(1.0)
    await client.hold(talk)
    client.setup.boris.on_call(Answer())
    await client.do(talk, "make.call", to=BORIS)
    third = await client.setup.boris.next_call()
    await third.answered()
    await asyncio.sleep(0.8)
    await client.do(talk, "transfer.talk")
    transferred = time.time()
    await operator.ended()
    await asyncio.sleep(1.0)
    await third.hangup()
    await contact.ended()
    row = await client.setup.row(talk.before, recorded=True)
    left, right = await client.recording(row, tmp_path)
    assert set(left) == {contact.tone}
    assert set(right) == {operator.tone, third.tone}
    [his] = right[operator.tone]
    [theirs] = right[third.tone]
    first, second = left[contact.tone]
    assert his.seconds == pytest.approx(first.seconds, abs=0.3)
    assert theirs.start == pytest.approx(second.start, abs=0.15)
    assert theirs.start == pytest.approx(transferred - began, abs=0.3)
    assert row["finish_reason"] == "operator_disconnects"
    assert row["is_transfer"] is True
    assert row["employees"]
    legs = {leg["employee_full_name"]: leg for leg in await client.setup.legs(row["id"])}
    assert legs["Berg Anna"]["finish_reason"] == "transfer_disconnects"
    assert legs["Lund Boris"]["is_talked"] is True
