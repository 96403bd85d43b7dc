"""A dialled text is passed to the switch or refused at once; no text makes an uncounted call."""

from __future__ import annotations

import pytest

from tests.telephony.conftest import House
from trunkline.telephony.port import Arrived

pytestmark = [pytest.mark.attack, pytest.mark.engine]


@pytest.mark.parametrize("word", ["h"])
async def test_a_word_of_the_dialplan_is_no_number(house: House, word: str) -> None:
    """``h`` is what Asterisk runs after a hang-up: dialled, it rang for as long as a switch is waited for, unseen."""
    phone = await house.world.phone("1002", "secret")
    call = await phone.dial(word)
    await call.ended()
    assert call.cause
    assert not call.is_ringing
    await house.nobody_left()


async def test_a_refused_call_keeps_its_cause(house: House) -> None:
    phone = await house.world.phone("1002", "secret")
    for cause in (17, 21):
        call = await phone.dial("1001")
        arrival = await house.heard.wait(Arrived)
        house.heard.all.clear()
        await house.engine.hangup(arrival.channel, cause)
        await call.ended()
        assert call.cause == cause
    await house.nobody_left()
