"""Events of decisions in PostgreSQL: a decision is one transaction; what is read again makes the same state."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import pytest

from tests.queues.simulation import ACCOUNT, ANN, BOB, Q2, Q, QueueSimulation
from trunkline.core.errors import StreamConflict
from trunkline.db.pool import Database
from trunkline.events.catalogue import Event
from trunkline.events.store import append_to_stream, stream_events
from trunkline.queues import inputs as i
from trunkline.queues.evolution import replay
from trunkline.queues.states import AgentStatus, OfferOutcome


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database) as opened:
        await opened.execute(
            "insert into accounts (account_id, name, country, time_zone) values (%s, 'Sample Ltd', 'AE', 'Asia/Dubai')",
            (ACCOUNT,),
        )
        yield opened


async def append(db: Database, events: list[Event]) -> None:
    """All streams of these events in one transaction."""
    streams: dict[str, list[Event]] = {}
    for event in events:
        streams.setdefault(event.stream, []).append(event)
    async with db.connection() as connection, connection.transaction():
        for of_stream in streams.values():
            await append_to_stream(connection, of_stream)


def calls() -> QueueSimulation:
    """Calls at fractions of a second, with snapshots on the way."""
    simulation = QueueSimulation(clock=1_700_000_000.123456, snapshot_after=10)
    simulation.queue(strategy="round-robin", required_skills={"french": {"level": 1, "score": 2}}).queue(Q2)
    simulation.agent(ANN, Q, Q2, skills={"french": 1}, wrap_up_time=7)
    simulation.agent(BOB, Q2, status=AgentStatus.ON_DEMAND)
    for seconds in (0.1, 20.000001, 8 + 1 / 3):
        simulation.after(seconds).join(number="971500000001", base_score=3)
        caller = simulation.join(Q2, number="971500000002")
        simulation.answer(ANN)
        simulation.fail(BOB, OfferOutcome.NO_ANSWER)
        simulation.after(0.7).end_call(ANN)
        simulation.hang_up(caller)
    simulation.give(i.RequestCallback(simulation.join(number="971500000003"), "971500000003"))
    return simulation


async def test_the_state_from_the_database_is_the_live_one(db: Database) -> None:
    """13.1"""
    simulation = calls()
    await append(db, simulation.events)
    everything: list[Event] = []
    recent: list[Event] = []
    async with db.connection() as connection:
        for stream in simulation.state.versions:
            everything += await stream_events(connection, ACCOUNT, stream)
            after = simulation.state.snapshots.get(stream, 1) - 1
            recent += await stream_events(connection, ACCOUNT, stream, after=after)
    assert len(recent) < len(everything) == len(simulation.events)
    assert replay(ACCOUNT, everything) == simulation.state
    assert replay(ACCOUNT, recent) == simulation.state, "from the snapshots on"


async def test_a_decision_is_stored_as_a_whole_or_not_at_all(db: Database) -> None:
    simulation = QueueSimulation().queue().agent(ANN)
    await append(db, simulation.events)
    decision = simulation.give(i.JoinQueue(Q, 1, "", simulation.clock))
    streams = {event.stream for event in decision.events}
    assert streams == {f"queue:{Q}", f"agent:{ANN}"}
    of_agent = [one for one in decision.events if one.stream == f"agent:{ANN}"]
    of_another = [dataclasses.replace(one, data={"x": 1}) for one in of_agent]
    await append(db, of_another)
    with pytest.raises(StreamConflict):
        await append(db, decision.events)
    async with db.connection() as connection:
        assert len(await stream_events(connection, ACCOUNT, f"queue:{Q}")) == decision.events[0].seq - 1
