"""Queues whose rules fail, whose events cannot be read, or that are not read yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog

from tests.calls import company as c
from tests.calls.queue_node import MemoryStore, QueueNode, with_queue
from tests.patience import PATIENCE
from trunkline.calls.switch import queue_commands, queue_owner
from trunkline.calls.switch import queues as queues_module
from trunkline.calls.switch.queues import CallQueues, running_queues
from trunkline.core.errors import DatabaseUnavailable, NotFound, SwitchUnavailable
from trunkline.directory.model import Directory
from trunkline.events.catalogue import Event
from trunkline.queues import inputs as i
from trunkline.queues import rules
from trunkline.queues.states import AgentStatus

OTHER = c.ACCOUNT + 1


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_owner, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(queue_commands, "DIRECTORY_SECONDS", 0.05)
    monkeypatch.setattr(queues_module, "START_SECONDS", 0.1)


class BadStore(MemoryStore):
    """The events of some accounts cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[int, Exception] = {}
        self.reads: list[int] = []
        self.opened = asyncio.Event()
        self.opened.set()

    async def read(self, account_id: int) -> list[Event]:
        self.reads.append(account_id)
        await self.opened.wait()
        if account_id in self.errors:
            raise self.errors[account_id]
        return [one for one in self.events if one.account_id == account_id]


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not is_so():
            await asyncio.sleep(0.005)


async def a_node() -> tuple[QueueNode, BadStore]:
    one = QueueNode(with_queue(c.BORIS))
    store = one.store = BadStore()
    await one.begin()
    await one.status(c.BORIS)
    return one, store


@pytest.mark.parametrize("given", ["Restarted", "Elapsed"])
async def test_a_rule_that_fails_each_time_is_tried_after_growing_pauses(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, store = await a_node()
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    one.store.reads.clear()  # type: ignore[attr-defined]
    is_broken = True

    def fails(*args: Any) -> object:
        if is_broken and type(args[1]).__name__ in (given, "JoinQueue"):
            raise RuntimeError("a fault of the rules")
        return rules.decide(*args)

    monkeypatch.setattr(queue_owner, "decide", fails)
    with structlog.testing.capture_logs() as logs:
        await one.call()
        await asyncio.sleep(0.5)  # 0, 0.02, 0.04, 0.08, 0.16 and 0.32 s
        assert 3 <= len(store.reads) <= 7
    errors = [log["event"] for log in logs if log["log_level"] == "error"]
    assert errors.count("queue_rule_failed") == 1
    assert len(errors) <= 2, "and the input that could not be handled"
    is_broken = False
    await until(lambda: one.queues.owner(c.ACCOUNT) is not None)
    await until(one.callers)
    await one.status(c.BORIS)
    assert one.rings() == [c.BORIS_LINE]


async def test_events_that_replay_cannot_apply_are_read_again() -> None:
    one, store = await a_node()
    await one.call()
    last = next(event for event in reversed(store.events) if event.stream == f"agent:{c.BORIS}")
    store.events.append(replace(last, seq=last.seq + 1))  # by another writer
    store.errors[c.ACCOUNT] = KeyError("caller_id")
    store.reads.clear()
    one.owner.give(i.SetStatus(c.BORIS, AgentStatus.ON_BREAK))
    with structlog.testing.capture_logs() as logs:
        await until(lambda: len(store.reads) >= 3)
    assert [log["event"] for log in logs].count("queues_not_read") == 1, "one line for each state"
    assert one.queues.owner(c.ACCOUNT) is None
    store.errors.clear()
    await until(lambda: one.queues.owner(c.ACCOUNT) is not None)
    assert len(one.callers()) == 1


@pytest.mark.parametrize("error", [KeyError("caller_id"), DatabaseUnavailable("the test stopped it")])
async def test_an_account_whose_queues_cannot_be_read_does_not_delay_the_others(error: Exception) -> None:
    one = QueueNode(with_queue(c.BORIS))
    other = replace(with_queue(c.BORIS), account_id=OTHER)
    one.directory = Directory({OTHER: other, **one.directory.accounts})
    store = one.store = BadStore()
    store.errors[OTHER] = error
    await one.begin()
    assert one.queues.owner(c.ACCOUNT) is not None
    assert one.queues.owner(OTHER) is None
    store.errors.clear()
    await until(lambda: one.queues.owner(OTHER) is not None)
    await one.queues.stop()


async def test_an_account_that_gets_its_first_queue_while_the_others_are_read() -> None:
    one = QueueNode(with_queue(c.BORIS))
    account = replace(with_queue(c.BORIS), account_id=OTHER)
    store = BadStore()
    store.opened.clear()
    subscribed: list[Callable[[Directory, frozenset[int]], None]] = []

    def subscribe(changed: Callable[[Directory, frozenset[int]], None]) -> Callable[[], None]:
        subscribed.append(changed)
        return subscribed.clear

    queues = CallQueues(one.switch, store, lambda: one.directory)
    context = running_queues(queues, subscribe)
    starting = asyncio.create_task(context.__aenter__())
    await until(lambda: store.reads)
    one.directory = Directory({OTHER: account, **one.directory.accounts})
    for changed in subscribed:
        changed(one.directory, frozenset({OTHER}))
    store.opened.set()
    await starting
    queues.recovered()
    await until(lambda: queues.owner(OTHER) is not None)
    await context.__aexit__(None, None, None)
    assert subscribed == []


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("set_agent_status", {"employee_id": c.BORIS, "status": "Available"}),
        ("set_agent_wrap_up", {"employee_id": c.BORIS}),
        ("list_agents", {}),
        ("list_queues", {}),
    ],
)
async def test_commands_while_the_queues_are_not_read_are_to_be_sent_again(
    name: str, params: dict[str, Any]
) -> None:
    one = QueueNode(with_queue(c.BORIS))
    store = one.store = BadStore()
    store.errors[c.ACCOUNT] = DatabaseUnavailable("the test stopped it")
    await one.begin()
    with pytest.raises(SwitchUnavailable):
        await one.switch.command(c.ACCOUNT, name, params)
    store.errors.clear()
    await until(lambda: one.queues.owner(c.ACCOUNT) is not None)
    assert await one.switch.command(c.ACCOUNT, name, params)
    await one.queues.stop()


async def test_a_command_waits_for_queues_that_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_commands, "DIRECTORY_SECONDS", 30.0)
    one = QueueNode(with_queue(c.BORIS))
    store = one.store = BadStore()
    store.errors[c.ACCOUNT] = DatabaseUnavailable("the test stopped it")
    await one.begin()
    asyncio.get_running_loop().call_later(0.05, store.errors.clear)
    async with asyncio.timeout(PATIENCE):
        assert await one.switch.command(c.ACCOUNT, "list_agents", {}) != {"agents": []}
    await one.queues.stop()


async def test_an_account_without_queues_has_no_agents() -> None:
    one = await QueueNode(c.company()).begin()
    assert await one.switch.command(c.ACCOUNT, "list_agents", {}) == {"agents": []}
    with pytest.raises(NotFound):
        await one.switch.command(
            c.ACCOUNT, "set_agent_status", {"employee_id": c.BORIS, "status": "Available"}
        )
