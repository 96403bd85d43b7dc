"""``is_lost`` of a call: somebody was called and nobody talked. A code calls nobody."""

from __future__ import annotations

import pytest

from tests.calls import company as c
from tests.calls.simulation import CallSimulation

ALL = (c.ANNA_LINE, c.BORIS_LINE)


@pytest.mark.parametrize("code", ["*98", "*78", "*73", "*90102", "*68", "*6801", "*8", "*8102", "***123456"])
@pytest.mark.parametrize("seconds", [0.0, 4.0])
def test_a_code_calls_nobody(code: str, seconds: float) -> None:
    """Whether it is carried out, refused, or left by its caller."""
    simulation = CallSimulation(online=ALL).dial(c.ANNA_LINE, code)
    if simulation.channel in simulation.engine.channels:
        simulation.at(seconds).hang_up()
    assert simulation.end["is_lost"] is False


def test_a_message_that_was_played_is_not_lost() -> None:
    simulation = CallSimulation(online=ALL)
    message = {"type": "media", "value": c.GREETING}
    simulation.start(
        "start_informer_call",
        virtual_phone_number=c.number_of(1),
        contact=c.CUSTOMER,
        contact_message=message,
    )
    simulation.engine.played(simulation.answer(c.CUSTOMER))
    simulation.flow()
    assert (simulation.end["finish_reason"], simulation.end["is_lost"]) == ("success_finish", False)


@pytest.mark.parametrize("dialled", ["102", "12025550142", "999999"])
def test_a_call_to_somebody_is_lost_without_a_talk(dialled: str) -> None:
    simulation = CallSimulation(online=ALL).dial(c.ANNA_LINE, dialled)
    if simulation.channel in simulation.engine.channels:
        simulation.at(4).hang_up()
    assert simulation.end["is_lost"] is True
