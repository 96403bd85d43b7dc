"""What a phone dials is told to the switch or refused at once; no word makes a call that nobody counts."""

from __future__ import annotations

import pytest

from tests.telephony.conftest import House

pytestmark = [pytest.mark.attack, pytest.mark.engine]


@pytest.mark.parametrize("word", ["h"])
async def test_a_word_of_the_dialplan_is_no_number(house: House, word: str) -> None:
    """``h`` is what Asterisk runs after a hang-up: dialled, it rang for as long as a switch is waited for, unseen."""
    phone = await house.world.phone("1002", "secret")
    call = await phone.dial(word)
    ended = await call.ended()
    assert ended - call.at_dial < 1.5
    assert call.cause == 1
    await house.nobody_left()
