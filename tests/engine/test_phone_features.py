"""What the keys of a phone do, on the whole product: hold."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.stage import Stage
from trunkline.demo import tones
from trunkline.demo.outside import Answer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("stage"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

ANNA = "97140000200"


async def test_a_phone_holds_and_the_contact_gets_music(stage: Stage) -> None:
    before = await stage.last_id()
    customer = await stage.customer()
    stage.anna.on_call(Answer())
    call = await customer.dial(ANNA)
    phone = await stage.anna.next_call()
    await phone.answered()
    await call.hears(phone.tone)
    await phone.hold()
    await asyncio.sleep(4)
    ear = await call.ear()
    music = ear.sound[-2 * ear.rate :]
    assert not tones.heard(music, [phone.tone])[phone.tone]
    assert abs(music).mean() > 0.01, "no music"
    await phone.resume()
    await call.hears(phone.tone)
    await phone.hangup()
    await call.ended()
    row = await stage.row(before, recorded=True)
    assert row["finish_reason"] == "operator_disconnects"
    assert len(await stage.legs(row["id"])) == 2
