"""What the rows of a call say about queues: where the contact waited, how that ended, and who missed nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.apis.data_api.client import DataApiClient
from tests.calls import company as c
from tests.calls.queue_node import QUEUE, QueueNode, with_queue
from trunkline.calls.evolution import replay
from trunkline.calls.flows import queueing
from trunkline.calls.records.event_writer import EventWriter
from trunkline.calls.records.history import leg_row, session_row
from trunkline.core.clock import to_datetime
from trunkline.db.pool import Database
from trunkline.queues.states import AgentStatus, LeavingReason
from trunkline.reports.fields import QUEUE_OUTCOMES
from trunkline.telephony.port import Channel, KeyPressed

ROOT = Path(__file__).parents[2]
REPORT: dict[str, dict[str, Any]] = {"get.calls_report": {}, "get.calls": {"report_id": 1}}


async def node(*employees: int, **changes: Any) -> QueueNode:
    made = await QueueNode(with_queue(*employees, **changes)).begin()
    for one in employees:
        await made.status(one)
    return made


def rows(one: QueueNode) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The entries of ``queues`` and the rows of the employees' legs, of the only call, made from its events alone."""
    [events] = one.reported.events.values()
    session = replay(events)
    assert session is not None
    legs = [leg_row(session, leg) for leg in session.legs.values() if leg.employee_id is not None]
    return session_row(session, 1)["queues"], legs


def stay(outcome: str | None, wait: int | None, key: str | None = None) -> dict[str, Any]:
    return {
        "queue_id": QUEUE, "queue_name": "Support", "wait_duration": wait, "outcome": outcome, "exit_key": key,
    }  # fmt: skip


async def press(one: QueueNode, customer: Channel, key: str) -> None:
    one.switch.handle(KeyPressed(customer, one.engine.at(), key))
    await one.settle()


def test_the_reports_have_each_way_in_which_the_time_in_a_queue_ends() -> None:
    """Also that of a lead for whom no agent was connected in time."""
    ways = {*LeavingReason, queueing.NOT_IN_TIME} - {LeavingReason.HANGUP}
    assert ways <= set(QUEUE_OUTCOMES), "a filter refuses what is not in the list"
    documented = (ROOT / "docs/api/lists.md").read_text()
    assert {one for one in QUEUE_OUTCOMES if f"`{one}`" not in documented} == set()


async def test_a_caller_whom_an_agent_answers_has_waited_until_the_talk() -> None:
    one = await node(c.BORIS)
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call()
    assert rows(one) == ([stay(None, None)], [])
    await one.wait(30)
    await one.status(c.BORIS)
    await one.answers(c.BORIS_LINE)
    await one.wait(12)
    await one.hangs_up(customer)
    queues, [leg] = rows(one)
    assert queues == [stay("answered", 30)]
    assert (leg["queue_id"], leg["queue_name"], leg["is_talked"]) == (QUEUE, "Support", True)


async def test_a_caller_who_hangs_up_while_an_agent_rings_has_abandoned_the_queue() -> None:
    one = await node(c.BORIS)
    customer = await one.call()
    await one.wait(4)
    await one.hangs_up(customer)
    queues, [leg] = rows(one)
    assert queues == [stay("abandoned", 4)]
    assert (leg["queue_id"], leg["finish_reason"]) == (QUEUE, "abandoned_in_queue")


async def test_an_agent_from_whom_an_exit_key_took_the_call_has_missed_nothing() -> None:
    one = await node(c.ANNA, operation={"exits": {"5": "m"}})
    customer = await one.call()
    await one.wait(3)
    assert one.rings()
    await press(one, customer, "5")
    assert one.rings() == []
    queues, legs = rows(one)
    assert queues == [stay("exit_key", 3, "5")]
    assert {leg["finish_reason"] for leg in legs} == {"abandoned_in_queue"}
    assert one.owner.state.agents[c.ANNA].no_answer_count == 0


async def test_an_agent_who_lets_it_ring_did_not_answer() -> None:
    one = await node(c.BORIS, settings={"ring_timeout": 7})
    await one.call()
    await one.wait(7.5)
    queues, [leg] = rows(one)
    assert queues == [stay(None, None)]
    assert leg["finish_reason"] == "operator_not_responsive"


async def test_each_queue_that_a_caller_waits_in_is_an_entry() -> None:
    one = await node(c.BORIS, settings={"max_wait_time": 10}, operation={"next": "q"})
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    customer = await one.call()
    await one.wait(12)
    await one.hangs_up(customer)
    queues, _ = rows(one)
    assert queues == [stay("timeout", 10), stay("abandoned", 2)]


async def test_a_restart_of_the_switch_loses_no_time_of_waiting() -> None:
    one = await node(c.BORIS)
    await one.status(c.BORIS, AgentStatus.ON_BREAK)
    began, customer = one.clock, await one.call()
    await one.wait(5)
    await one.kill_and_restart()
    await one.wait(5)
    await one.hangs_up(customer)
    assert rows(one)[0] == [stay("abandoned", round(one.clock - began))]


async def test_reports_show_the_queues_of_a_call_and_filter_by_them(db: Database) -> None:
    one = await node(c.ANNA, operation={"exits": {"5": "m"}})
    customer = await one.call()
    await one.wait(3)
    await press(one, customer, "5")
    await one.hangs_up(customer)
    [events] = one.reported.events.values()
    began = to_datetime(events[0].at)
    client = DataApiClient(db)
    writer = EventWriter(db, 1, buffer_max=1000)
    writer.start()
    writer.put(events)
    await writer.flush()
    await writer.stop()
    day = {
        "date_from": f"{began - timedelta(days=1):%Y-%m-%d} 00:00:00",
        "date_till": f"{began + timedelta(days=1):%Y-%m-%d} 00:00:00",
    }
    expected = [stay("exit_key", 3, "5")]

    def by(field: str, operator: str, value: Any) -> dict[str, Any]:
        return {"field": field, "operator": operator, "value": value}

    for method in ("get.calls_report", "get.calls"):
        for condition, count in (
            (by("queues", "=", QUEUE), 1),
            (by("queues", "=", "Support"), 1),
            (by("queues", "=", QUEUE + 1), 0),
            (by("queues", "jsquery", '#.outcome = "exit_key"'), 1),
            (by("queues", "jsquery", '#.outcome = "abandoned"'), 0),
        ):
            found = await client.rows(method, **day, fields=["queues"], filter=condition, **REPORT[method])
            assert found == [{"queues": expected}] * count, (method, condition)
    legs = await client.rows(
        "get.call_legs_report", **day, fields=["queue_id", "queue_name", "finish_reason"],
        filter=by("queue_id", "=", QUEUE),
    )  # fmt: skip
    assert legs == [{"queue_id": QUEUE, "queue_name": "Support", "finish_reason": "abandoned_in_queue"}] * 2
