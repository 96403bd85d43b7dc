"""Signals that come later than events of commands: a recovery takes them from the CEL log all the same."""

from __future__ import annotations

import pytest

from tests.calls import company as c
from tests.calls.restarted_node import Node, ring
from trunkline.events.catalogue import EventType

pytestmark = pytest.mark.durability


@pytest.mark.parametrize("answer_known", [False, True])
async def test_a_tag_that_is_stored_before_the_answer_hides_no_talk(answer_known: bool) -> None:
    """Asterisk was busy: the tag was set two seconds after the talk had begun, and before the switch got its signals."""
    node = Node()
    customer = node.arrive(c.TWICE)
    phone = ring(node.at(5))
    former = node.switch
    if not answer_known:
        node.kill()
    node.engine.answer(phone)
    if answer_known:
        first = node.engine.pending.pop(0)
        node.missed.append(first)
        former.handle(first)
        node.kill()
    node.flow()
    node.at(7)
    [key] = former.sessions
    await former.command(c.ACCOUNT, "tag_call", {"call_session_id": key, "tag_id": 1})
    node.restart()
    node.at(20)
    node.engine.hang_up(customer)
    node.flow()
    events = node.simulation()
    assert [event.type for event in events].count(EventType.TALK_STARTED) == 1
    assert node.durations() == (5, 15, 20)
