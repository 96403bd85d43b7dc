"""Events and rows of calls on the real database: whole, once, and nothing lost while it is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.simulation import T0, CallSimulation
from trunkline.calls.records.event_writer import EventWriter
from trunkline.calls.session import Session
from trunkline.core.ids import IdGenerator, first_id_at
from trunkline.db.pool import Database
from trunkline.events.catalogue import UNPUBLISHED, Event, EventType
from trunkline.events.store import call_events, open_calls
from trunkline.runtime.postgres import EmbeddedPostgres

pytestmark = pytest.mark.shells


@asynccontextmanager
async def writing(db: Database, **options: Any) -> AsyncIterator[EventWriter]:
    writer = EventWriter(db, 1, buffer_max=options.pop("buffer_max", 1000), **options)
    writer.start()
    try:
        yield writer
    finally:
        await writer.stop()


def talk(caller: str = c.CUSTOMER, seed: int = 0) -> CallSimulation:
    """A finished call of 36 seconds; ``seed`` distinguishes calls of the same millisecond."""
    simulation = CallSimulation()
    for _ in range(seed):
        simulation.ids.next()
    simulation.arrive(c.TO_ANNA, caller)
    simulation.at(6).answer(c.ANNA_LINE)
    return simulation.at(36).hang_up()


async def row(db: Database, session: Session) -> dict[str, Any]:
    found = await db.fetch_one(
        "select * from call_sessions where account_id = %s and call_session_id = %s",
        (session.account_id, session.call_session_id),
    )
    assert found is not None
    return found


async def outbox(db: Database) -> list[int]:
    return [
        one["seq"] for one in await db.fetch_all("select seq from outbox order by account_id, stream, seq")
    ]


def reported(events: Sequence[Event]) -> list[int]:
    """Numbers of those that go through the outbox."""
    return [event.seq for event in events if event.type not in UNPUBLISHED]


async def test_a_call_is_kept_whole(db: Database) -> None:
    simulation = talk()
    async with writing(db) as writer:
        writer.put(simulation.events)
        await writer.flush()
        assert writer.unwritten == 0
    found = await row(db, simulation.session)
    assert found["node"] == 1
    assert found["start_time"].timestamp() == pytest.approx(T0, abs=0.01)
    assert (found["finish_time"] - found["start_time"]).total_seconds() == pytest.approx(36, abs=0.01)
    assert (found["finish_reason"], found["is_lost"]) == ("caller_disconnects", False)
    durations = ["wait", "total_wait", "talk", "clean_talk", "total", "postprocess"]
    assert [found[f"{name}_duration"] for name in durations] == [6, 6, 30, 30, 36, 0]
    assert (found["operator_phone_number"], found["country_code"]) == (c.ANNA_LINE, "US")
    assert found["employees"][0]["is_talked"] is True
    assert [one["name"] for one in found["scenario_operations"]] == ["forward_employee a"]
    legs = await db.fetch_all("select * from call_legs where account_id = %s order by leg_id", (c.ACCOUNT,))
    assert [leg["is_operator"] for leg in legs] == [False, True]
    assert [(leg["duration"], leg["total_duration"]) for leg in legs] == [(30, 36), (30, 36)]
    assert legs[1]["employee_full_name"] == "Berg Anna"
    async with db.connection() as connection:
        kept = await call_events(connection, c.ACCOUNT, simulation.session.call_session_id)
    assert [(event.seq, event.type) for event in kept] == [
        (event.seq, event.type) for event in simulation.events
    ]
    assert await outbox(db) == reported(simulation.events)


async def test_a_living_call_has_its_row(db: Database) -> None:
    simulation = CallSimulation().arrive(c.TO_ANNA)
    async with writing(db) as writer:
        writer.put(simulation.events)
        await writer.flush()
        living = await row(db, simulation.session)
        assert (living["finish_time"], living["finish_reason"], living["total_duration"]) == (
            None,
            None,
            None,
        )
        reported = len(simulation.events)
        simulation.at(5).hang_up()
        writer.put(simulation.events[reported:])
        await writer.flush()
    ended = await row(db, simulation.session)
    assert (ended["total_duration"], ended["communication_number"]) == (5, living["communication_number"])


async def test_written_twice_is_written_once(db: Database) -> None:
    simulation = talk()
    for _ in range(2):
        async with writing(db) as writer:
            writer.put(simulation.events)
            await writer.flush()
    assert await outbox(db) == reported(simulation.events)
    assert (await row(db, simulation.session))["communication_number"] == 1
    async with writing(db) as writer:
        other = talk(seed=5)
        writer.put(other.events)
        await writer.flush()
    assert (await row(db, other.session))["communication_number"] == 2


async def test_communications_are_counted_for_each_contact(db: Database) -> None:
    simulations = [talk(f"1202555010{one % 3}", seed=one * 4) for one in range(12)]
    async with writing(db) as first, writing(db) as second:
        for index, simulation in enumerate(simulations):
            (first, second)[index % 2].put(simulation.events)
        await asyncio.gather(first.flush(), second.flush())
    rows = [await row(db, simulation.session) for simulation in simulations]
    for contact in {one["contact_phone_number"] for one in rows}:
        numbers = [one["communication_number"] for one in rows if one["contact_phone_number"] == contact]
        assert sorted(numbers) == [1, 2, 3, 4]


async def test_a_month_without_partition_is_made(db: Database) -> None:
    far = (1_772_366_400 + 900 * 86_400) * 1000
    simulation = CallSimulation()
    simulation.ids = IdGenerator(1, lambda: far)
    simulation.arrive(c.TO_ANNA).at(3).hang_up()
    assert simulation.session.call_session_id >= first_id_at(far)
    async with writing(db) as writer:
        writer.put(simulation.events)
        await writer.flush()
    assert (await row(db, simulation.session))["total_duration"] == 3


async def test_flush_waits_for_its_own_and_no_more(db: Database) -> None:
    async with writing(db) as writer:
        await writer.flush()  # nothing was put: nothing to wait for
        first, second = talk(), talk(seed=9)
        writer.put(first.events)
        waiting = asyncio.create_task(writer.flush())
        await asyncio.sleep(0)
        writer.put(second.events)
        async with asyncio.timeout(20):
            await waiting
        assert (await row(db, first.session))["total_duration"] == 36
        async with asyncio.timeout(20):
            await asyncio.gather(*(writer.flush() for _ in range(5)))
        assert writer.unwritten == 0


def poisoned(simulation: CallSimulation, index: int) -> list[Event]:
    events = list(simulation.events)
    events[index] = replace(events[index], data={**events[index].data, "note": "a\u0000b"})
    return events


async def dead_letters(db: Database) -> list[tuple[str, int]]:
    rows = await db.fetch_all("select stream, seq from dead_letters order by stream, seq")
    return [(one["stream"], one["seq"]) for one in rows]


async def test_an_event_that_cannot_be_stored_is_dead_lettered_with_the_rest_of_its_call(
    db: Database,
) -> None:
    simulations = [talk(seed=one * 4) for one in range(3)]
    async with writing(db) as writer:
        for index, simulation in enumerate(simulations):
            writer.put(poisoned(simulation, 5) if index == 1 else simulation.events)
        async with asyncio.timeout(20):
            await writer.flush()
        assert writer.unwritten == 0
        assert writer.alarm is not None
        assert "dead_letters" in writer.alarm
    for index, simulation in enumerate(simulations):
        assert (await row(db, simulation.session))["finish_reason"] == "caller_disconnects"
        async with db.connection() as connection:
            kept = await call_events(connection, c.ACCOUNT, simulation.session.call_session_id)
        assert len(kept) == (5 if index == 1 else len(simulation.events))
    later = EventWriter(db, 1, buffer_max=10)
    await later.load_dead_letter_count()
    assert later.alarm == writer.alarm, "the next switch has the alarm, too"
    bad = simulations[1]
    assert await dead_letters(db) == [(one.stream, one.seq) for one in bad.events[5:]]
    published = reported([*simulations[0].events, *bad.events[:5], *simulations[2].events])
    assert len(await outbox(db)) == len(published)
    async with db.connection() as connection:
        assert await open_calls(connection, 1) == [], "a call that is over is not taken up again"


async def test_what_is_no_json_stops_nobody(db: Database) -> None:
    simulation, other = talk(), talk(seed=7)
    strange = replace(simulation.events[3], data={**simulation.events[3].data, "note": object()})
    async with writing(db) as writer:
        writer.put([*simulation.events[:3], strange, *simulation.events[4:]])
        writer.put(other.events)
        async with asyncio.timeout(20):
            await writer.flush()
    assert (await row(db, other.session))["total_duration"] == 36
    assert len(await dead_letters(db)) == len(simulation.events) - 3


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_events_before_one_that_does_not_follow_are_stored(db: Database, in_one_batch: bool) -> None:
    """A fault of the program: a leg answers that never began. The call is in the reports nevertheless."""
    simulation, other = talk(), talk(seed=7)
    at = next(n for n, one in enumerate(simulation.events) if one.type is EventType.LEG_ANSWERED)
    bad = simulation.events[at]
    events = [
        *simulation.events[:at],
        replace(bad, data={**bad.data, "leg_id": 1}),
        *simulation.events[at + 1 :],
    ]
    async with writing(db) as writer:
        if not in_one_batch:
            writer.put(events[: at - 1])
            await writer.flush()
        writer.put(events[at - 1 :] if not in_one_batch else events)
        writer.put(other.events)
        async with asyncio.timeout(20):
            await writer.flush()
    assert (await row(db, other.session))["total_duration"] == 36
    async with db.connection() as connection:
        kept = await call_events(connection, c.ACCOUNT, simulation.session.call_session_id)
        assert await open_calls(connection, 1) == []
    assert [one.seq for one in kept] == [one.seq for one in events[:at]]
    assert await dead_letters(db) == [(one.stream, one.seq) for one in events[at:]]
    assert (await row(db, simulation.session))["finish_reason"] == "caller_disconnects"


async def test_a_passing_error_loses_nothing(db: Database) -> None:
    """A lock time-out is not the event's fault: it is tried again."""
    simulation = talk()
    async with db.connection() as holder:
        await holder.execute("lock table outbox in access exclusive mode")
        async with writing(db) as writer:
            writer.put(simulation.events)
            await asyncio.sleep(0.3)
            await holder.execute(
                "select pg_cancel_backend(pid) from pg_stat_activity"
                " where state = 'active' and pid <> pg_backend_pid() and datname = current_database()"
            )
            await asyncio.sleep(0.1)
            assert writer.unwritten == len(simulation.events)
            await holder.execute("rollback")
            async with asyncio.timeout(20):
                await writer.flush()
    assert await outbox(db) == reported(simulation.events)


async def test_while_the_database_is_unavailable_events_wait(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    await asyncio.to_thread(server.start)
    try:
        from trunkline.db.migrate import upgrade

        dsn = server.dsn_of("postgres")
        await asyncio.to_thread(upgrade, dsn)
        async with await Database.open(dsn, wait_timeout=0.5) as db, writing(db, buffer_max=20) as writer:
            await db.execute(
                "insert into accounts (account_id, name, time_zone) values (%s, 'P', 'UTC')", (c.ACCOUNT,)
            )
            before = talk()
            writer.put(before.events)
            await writer.flush()
            await asyncio.to_thread(server.stop)
            simulations = [talk(seed=one * 5) for one in range(1, 3)]
            for simulation in simulations:
                writer.put(simulation.events)
            async with asyncio.timeout(20):
                while writer.unavailable_since is None:
                    await asyncio.sleep(0.05)
            assert writer.full
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(40):
                await writer.flush()
            assert len(await outbox(db)) == sum(len(reported(one.events)) for one in (before, *simulations))
            assert EventType.SESSION_FINISHED in simulations[1].types
    finally:
        await asyncio.to_thread(server.stop)


async def test_tags_go_into_their_history_once(db: Database) -> None:
    simulation = CallSimulation()
    simulation.arrive(c.TO_ANNA, c.CUSTOMER)
    simulation.at(6).answer(c.ANNA_LINE)
    simulation.command("tag_call", tag_id=1, user_id=5, login="kate")
    name = simulation.session.tags[0]["tag_name"]
    simulation.command("mark_call", set=[], unset=[1])
    async with writing(db) as writer:
        for _ in range(2):  # a batch whose end was not seen is written again
            writer.put(simulation.events)
            await writer.flush()
    rows = await db.fetch_all("select * from tag_history order by tag_history_id")
    reported = [(row["action"], row["tag_name"], row["is_auto"], row["user_login"]) for row in rows]
    assert reported == [("set", name, False, "kate"), ("unset", name, True, None)]
    assert {(row["communication_type"], row["communication_id"]) for row in rows} == {
        ("call", simulation.session.call_session_id)
    }


async def test_what_others_write_of_a_visit_stays(db: Database) -> None:
    """A sale may be recorded while the call lives; its row is written again after that."""
    simulation = CallSimulation()
    simulation.arrive(c.TO_ANNA, c.CUSTOMER)
    begun = replace(simulation.events[0], data={**simulation.events[0].data, "visit": {"campaign_id": 3}})
    written = len(simulation.events)
    async with writing(db) as writer:
        writer.put([begun, *simulation.events[1:]])
        await writer.flush()
        await db.execute("""update call_sessions set extra = extra || '{"sale_cost": 5}'""")
        simulation.at(5).hang_up()
        writer.put(simulation.events[written:])
        await writer.flush()
    assert (await row(db, simulation.session))["extra"] == {"campaign_id": 3, "sale_cost": 5}
