"""Whether the agent of a call that the API started has picked up."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.queue_node import QueueNode, with_queue
from trunkline.calls.switch import command_handler
from trunkline.core.errors import NotFound


async def test_the_answer_of_a_call_that_ended_between_two_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_handler, "PICK_UP_POLL_SECONDS", 0.01)
    one = await QueueNode(with_queue(c.BORIS)).begin()
    await one.status(c.BORIS)

    async def state(account_id: int, call: int) -> str:
        result: Any = await one.switch.command(account_id, "wait_for_agent", {"call_session_id": call})
        return str(result["state"])

    customer = await one.call()
    [call] = one.switch.sessions
    assert await state(c.ACCOUNT, call) == "ringing"
    await one.answers(c.BORIS_LINE)
    await one.hangs_up(customer)
    assert call not in one.switch.sessions
    assert await state(c.ACCOUNT, call) == "answered"
    with pytest.raises(NotFound):
        await state(c.ACCOUNT + 1, call)
    one.clock += 61
    with pytest.raises(NotFound):
        await state(c.ACCOUNT, call)
