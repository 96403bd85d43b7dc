"""What the switch logs of a decision."""

from __future__ import annotations

import structlog

from tests.calls import company as c
from tests.calls.restarted_node import Node


def test_the_first_line_of_a_call_has_its_numbers() -> None:
    node = Node()
    called = node.directory.accounts[c.ACCOUNT].numbers[c.TO_ANNA].phone_number
    with structlog.testing.capture_logs() as logged:
        node.arrive(c.TO_ANNA)
    decisions = [one for one in logged if one["event"] == "call_decision"]
    assert decisions[0]["types"][:2] == ["session_started", "leg_started"]
    assert (decisions[0]["called"], decisions[0]["caller"]) == (called, c.CUSTOMER)
    assert all("called" not in one for one in decisions[1:])
