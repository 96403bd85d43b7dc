"""A dialled text is passed to the switch or refused at once; no text makes an uncounted call."""

from __future__ import annotations

import pytest

from tests.telephony.conftest import TelephonySetup
from trunkline.telephony.port import Arrived

pytestmark = [pytest.mark.attack, pytest.mark.engine]


@pytest.mark.parametrize("word", ["h"])
async def test_a_word_of_the_dialplan_is_no_number(setup: TelephonySetup, word: str) -> None:
    """``h`` is what Asterisk runs after a hang-up: dialled, it rang for as long as a switch is waited for, unseen."""
    phone = await setup.world.phone("1002", "secret")
    call = await phone.dial(word)
    await call.ended()
    assert call.cause
    assert not call.is_ringing
    await setup.nobody_left()


async def test_a_refused_call_keeps_its_cause(setup: TelephonySetup) -> None:
    phone = await setup.world.phone("1002", "secret")
    for cause in (17, 21):
        call = await phone.dial("1001")
        arrival = await setup.signals.wait(Arrived)
        setup.signals.all.clear()
        await setup.engine.hangup(arrival.channel, cause)
        await call.ended()
        assert call.cause == cause
    await setup.nobody_left()
