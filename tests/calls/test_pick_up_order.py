"""Signals of Asterisk about a call that is picked up come in two orders."""

from __future__ import annotations

import pytest

from tests.calls import company as c
from tests.calls.fake_engine import a_line
from tests.calls.restarted_node import Node
from trunkline.calls.session import Phase
from trunkline.core.clock import Instant
from trunkline.events.catalogue import EventType
from trunkline.telephony.port import Answered, Channel, Ended, Signal, TargetStarted


@pytest.mark.parametrize("is_target_first", [False, True], ids=["phones end first", "a new target first"])
def test_the_call_goes_on_with_the_phone_that_picked_it_up(is_target_first: bool) -> None:
    """A device that does not respond to the INVITE ends later, so Asterisk reports the phone as a new target before."""
    node = Node()
    customer = node.arrive(c.TO_ANNA)
    [call] = node.switch.sessions.values()
    rings = [one.channel for one in node.engine.channels.values() if one.dialler and not one.answered]
    for channel in rings:
        node.engine.ring(channel)
    node.at(2).flow()
    phone = node.engine.arrive(a_line(c.DORA_LINE), "*8101", c.DORA_LINE)
    node.flow()
    code = node.switch.channels[phone]
    assert code is not call
    at = Instant(node.clock + 1)
    ends: list[Signal] = [Ended(channel, at, 26, False) for channel in rings]
    target = TargetStarted(phone, at, customer, a_line(c.DORA_LINE), None)
    for signal in [target, *ends] if is_target_first else ends:
        node.switch.handle(signal)
    for signal in (Answered(phone, at), Answered(customer, at)):
        node.switch.handle(signal)
    assert node.switch.channels[phone] is call
    assert code.phase is Phase.ENDED
    assert call.phase is not Phase.ENDED
    [started] = [
        event
        for event in node.reported.events[call.call_session_id]
        if event.type is EventType.LEG_STARTED and event.data.get("channel") == phone
    ]
    assert started.data["employee_id"] == c.DORA
    assert _living(node, phone) == 1


def _living(node: Node, channel: Channel) -> int:
    return sum(leg.channel == channel for call in node.switch.sessions.values() for leg in call.living)
