"""One switch a node: who lost the lease can neither write nor act; commands find the node of a call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
import structlog
from aiohttp import web

from tests.calls import company as c
from trunkline.calls.effects import Hangup
from trunkline.calls.records.event_writer import EventWriter
from trunkline.calls.switch.executor import EffectExecutor
from trunkline.calls.switch.lease import LOCK_SPACE, RENEW_SECONDS, Lease
from trunkline.calls.switch.rpc_client import SwitchClient
from trunkline.calls.switch.switch import Switch
from trunkline.core.clock import Instant
from trunkline.core.errors import LeaseLost, SwitchUnavailable
from trunkline.core.ids import IdGenerator, id_of_channel, node_of
from trunkline.core.tasks import CoreTaskFailed, CoreTasks
from trunkline.db.pool import Database
from trunkline.directory.model import Directory
from trunkline.runtime.node_lock import node_lock
from trunkline.runtime.ports import free_ports
from trunkline.telephony.port import Channel

pytestmark = pytest.mark.drill

LIMIT = 20.0
"""Seconds."""
TOKEN = "token-of-tests"


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database, max_size=6) as db:
        yield db


def lease(database: str, holder: str, node: int = 1, lost: asyncio.Event | None = None) -> Lease:
    url = f"http://127.0.0.1:1/{holder}"
    return Lease(database, node, url, holder=holder, lost=lost.set if lost else lambda: None)


async def break_connections(db: Database) -> None:
    """As a network does, or an administrator: the lock falls while its holder lives."""
    await db.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'trunkline-switch-lease' and datname = current_database()"
    )


async def row(db: Database) -> dict[str, Any]:
    found = await db.fetch_one("select * from switch_leases where node = 1")
    assert found is not None
    return found


async def test_a_holder_keeps_its_lease_when_its_connection_breaks(db: Database, database: str) -> None:
    lost = asyncio.Event()
    async with lease(database, "a", lost=lost) as held:
        token = held.fence.token
        for _ in range(3):
            await break_connections(db)
            async with asyncio.timeout(LIMIT):
                while not (
                    await db.fetch_one(
                        "select 1 as one from pg_locks where locktype = 'advisory' and classid = %s and granted"
                        " and database = (select oid from pg_database where datname = current_database())",
                        (LOCK_SPACE,),
                    )
                ):
                    await asyncio.sleep(0.02)
        assert not lost.is_set()
        assert (await row(db))["token"] == token


async def test_a_missing_table_of_leases_does_not_end_the_switch(db: Database, database: str) -> None:
    """An operator's mistake: calls go on, and the lease is renewed again once the table is back."""
    lost = asyncio.Event()
    async with lease(database, "a", lost=lost) as held:
        await db.execute("alter table switch_leases rename to mislaid")
        await break_connections(db)
        async with asyncio.timeout(LIMIT):
            while not await db.fetch_one(
                "select 1 as one from pg_locks where locktype = 'advisory' and classid = %s and granted"
                " and database = (select oid from pg_database where datname = current_database())",
                (LOCK_SPACE,),
            ):
                await asyncio.sleep(0.02)
        await db.execute("update mislaid set expires_at = now() - interval '1 hour'")
        await db.execute("alter table mislaid rename to switch_leases")
        async with asyncio.timeout(LIMIT):
            while not await db.fetch_one("select 1 as one from switch_leases where expires_at > now()"):
                await asyncio.sleep(0.05)
        assert not lost.is_set()
        assert (await row(db))["token"] == held.fence.token


async def test_a_takeover_adds_to_the_token_and_keeps_the_position(db: Database, database: str) -> None:
    async with lease(database, "a") as first:
        assert first.position is None
        await db.execute("update switch_leases set position = to_timestamp(1700000000.25)")
    async with lease(database, "b") as second:
        assert second.fence.token == first.fence.token + 1
        assert second.position == 1_700_000_000.25
        assert (await row(db))["holder"] == "b"


async def test_a_takeover_finds_when_the_former_switch_had_its_engine_for_the_last_time(
    db: Database, database: str
) -> None:
    connected = 1_700_000_100.5
    async with lease(database, "a") as first:
        assert first.alive_at is None
        first.engine_alive = lambda: Instant(connected)
        async with asyncio.timeout(LIMIT):
            while (await row(db))["alive_at"] is None:
                await asyncio.sleep(0.05)
        first.engine_alive = lambda: None
    async with lease(database, "b") as second:
        assert second.alive_at == connected
        await db.execute("update switch_leases set position = to_timestamp(1700000200)")
        await asyncio.sleep(RENEW_SECONDS * 1.5)  # this switch is not connected to the engine
    async with lease(database, "c") as third:
        assert third.alive_at == 1_700_000_200.0  # a written event counts, too


async def half_open(database: str, installation: str) -> psycopg.AsyncConnection[Any]:
    """The connection of a switch that has ended without a packet (its machine was switched off): it keeps the lock."""
    connection = await psycopg.AsyncConnection.connect(database, autocommit=True)
    await connection.execute("select pg_advisory_lock(%s, 1)", (LOCK_SPACE,))
    await connection.execute(
        "insert into switch_leases (node, holder, control_url, expires_at, renewed_at, token, installation)"
        " values (1, 'former', 'http://127.0.0.1:1/former', now() + interval '10 seconds', now(), 7, %s)",
        (installation,),
    )
    return connection


async def test_the_next_switch_of_an_installation_takes_over_at_once(db: Database, database: str) -> None:
    former = await half_open(database, "an installation")
    began = time.monotonic()
    async with Lease(database, 1, "http://127.0.0.1:1/b", holder="b", installation="an installation") as held:
        took = time.monotonic() - began
        assert held.fence.token == 8
        with pytest.raises(psycopg.OperationalError):
            await former.execute("select 1")
    assert took < 8.0, "the lease of the former one ends after 10 s"


@pytest.mark.parametrize("installation", [None, "another one"])
async def test_a_switch_of_another_installation_waits_until_the_lease_is_over(
    db: Database, database: str, installation: str | None
) -> None:
    former = await half_open(database, "an installation")
    other = Lease(database, 1, "http://127.0.0.1:1/b", holder="b", installation=installation)
    taking = asyncio.ensure_future(other.__aenter__())
    await asyncio.sleep(1.5)
    assert not taking.done()
    await former.execute("select 1")
    await db.execute("update switch_leases set expires_at = now() - interval '4 seconds'")
    await asyncio.sleep(0.5)
    assert not taking.done()
    await db.execute("update switch_leases set expires_at = now() - interval '6 seconds'")
    async with asyncio.timeout(LIMIT):
        await taking
    assert other.fence.token == 8
    await other.__aexit__(None, None, None)


async def test_who_was_taken_for_ended_and_lives_ends_itself(db: Database, database: str) -> None:
    lost, url = asyncio.Event(), "http://127.0.0.1:1/a"

    async def first(began: asyncio.Event) -> None:
        async with CoreTasks(), Lease(database, 1, url, holder="a", installation="x", lost=lost.set):
            began.set()
            await asyncio.Event().wait()

    began = asyncio.Event()
    former = asyncio.ensure_future(first(began))
    async with asyncio.timeout(LIMIT):
        await began.wait()
        async with Lease(database, 1, url, holder="b", installation="x"):
            with pytest.raises(CoreTaskFailed):
                await former
            assert (await row(db))["holder"] == "b"
    assert lost.is_set()


def test_a_folder_has_one_switch_and_a_copy_is_another_installation(tmp_path: Path) -> None:
    file = tmp_path / "switch.lock"
    with node_lock(file) as first:
        assert first
        with node_lock(file) as second:
            assert second is None
    with node_lock(file) as again:
        assert again == first
    copy = tmp_path / "copy.lock"
    copy.write_bytes(file.read_bytes())
    with node_lock(copy) as other:
        assert other
        assert other != first


async def switch_of(database: str, db: Database, lost: asyncio.Event) -> None:
    """What a process of a switch does with its lease, until another one takes the node over."""
    async with CoreTasks(), lease(database, "a", lost=lost):
        await db.execute("update switch_leases set token = token + 1, holder = 'b' where node = 1")
        await break_connections(db)
        await asyncio.Event().wait()


async def test_who_lost_the_lease_ends_itself(db: Database, database: str) -> None:
    """It lives on, while the lock fell to another switch: it notices by itself, and its process ends."""
    lost = asyncio.Event()
    async with asyncio.timeout(LIMIT):
        with pytest.raises(CoreTaskFailed):
            await switch_of(database, db, lost)
    assert lost.is_set()
    assert (await row(db))["holder"] == "b"


class Recorder:
    """An engine that only counts its commands."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    async def hangup(self, channel: Channel, cause: int = 16) -> None:
        self.commands.append(channel)


async def test_who_lost_the_lease_neither_commands_the_engine_nor_takes_commands(tmp_path: Path) -> None:
    fenced = asyncio.Event()
    engine = Recorder()
    switch = Switch(
        node=1,
        directory=lambda: Directory({c.ACCOUNT: c.company()}),
        writer=EventWriter(None, 1, buffer_max=10),  # type: ignore[arg-type]
        executor=lambda one: EffectExecutor(engine, tmp_path, one.effect_failed, fenced.is_set),  # type: ignore[arg-type]
        is_fenced=fenced.is_set,
    )
    executor = switch._executor
    executor.perform(1, [Hangup(Channel("1"))])
    await executor.drain()
    assert engine.commands == ["1"]
    executor.perform(1, [Hangup(Channel("2")), Hangup(Channel("3"))])
    fenced.set()
    await executor.drain()
    assert engine.commands == ["1"]
    with pytest.raises(LeaseLost):
        await switch.command(c.ACCOUNT, "release_call", {"call_session_id": 1})


async def test_an_id_follows_from_the_channel_alone() -> None:
    first = id_of_channel("1772366400.17", 5)
    assert first == id_of_channel("1772366400.17", 5)
    assert first is not None
    assert node_of(first) == 5
    ids = [id_of_channel(f"1772366400.{number}", 5) for number in range(64_000)]
    assert len(set(ids)) == len(ids)
    later = id_of_channel("1772366401.3", 5)
    assert later is not None
    assert max(one for one in ids if one is not None) < later < 1 << 53
    generator = IdGenerator(5, lambda: 1_772_366_400_000)
    assert not {generator.next() for _ in range(10_000)} & set(ids)
    assert id_of_channel("leg-559507046400128", 5) is None


class Node:
    """A switch's control interface that returns its node."""

    def __init__(self, number: int, calls: Sequence[int]) -> None:
        self.number = number
        self.calls = calls
        self.asked: list[str] = []
        [self.port] = free_ports(1)

    async def start(self, stack: AsyncExitStack) -> None:
        app = web.Application()
        app.add_routes([web.post("/command", self._command)])
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", self.port).start()

    async def _command(self, request: web.Request) -> web.Response:
        command = orjson.loads(await request.read())
        self.asked.append(command["name"])
        result = list(self.calls) if command["name"] == "list_calls" else {"node": self.number}
        return web.Response(body=orjson.dumps({"result": result}), content_type="application/json")


async def publish(db: Database, node: Node, *, live: bool = True) -> None:
    await db.execute(
        "insert into switch_leases (node, holder, control_url, expires_at) values"
        " (%(node)s, 'x', %(url)s, now() + make_interval(secs => %(seconds)s))"
        " on conflict (node) do update set control_url = excluded.control_url, expires_at = excluded.expires_at",
        {"node": node.number, "url": f"http://127.0.0.1:{node.port}", "seconds": 600 if live else -600},
    )


async def test_a_command_goes_to_the_node_of_its_call(db: Database) -> None:
    async with AsyncExitStack() as stack:
        nodes = [Node(0, [1, 2]), Node(3, [3]), Node(4, [])]
        for node in nodes:
            await node.start(stack)
            await publish(db, node)
        client = await stack.enter_async_context(SwitchClient("http://127.0.0.1:9", TOKEN, db, 0))
        for node in nodes:
            call = IdGenerator(node.number).next()
            assert await client.command(1, "release_call", {"call_session_id": call}) == {"node": node.number}
        assert await client.command(1, "start_simple_call", {}) == {"node": 0}
        assert orjson.loads(await client.command_json(1, "list_calls", {})) == [1, 2, 3]
        of_nobody = IdGenerator(9).next()
        assert await client.command(1, "release_call", {"call_session_id": of_nobody}) == {"node": 0}


async def test_commands_of_no_call_go_to_a_node_that_lives(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease of this instance's own node is over: the row of a node stays, because it has the node's position."""
    monkeypatch.setattr("trunkline.calls.switch.rpc_client.ROUTE_TIMEOUT_SECONDS", 0.3)
    async with AsyncExitStack() as stack:
        own, other = Node(0, [1]), Node(1, [7, 8])
        await publish(db, own, live=False)
        await other.start(stack)
        await publish(db, other)
        client = await stack.enter_async_context(SwitchClient("http://127.0.0.1:9", TOKEN, db, 0))
        assert await client.command(1, "start_simple_call", {}) == {"node": 1}
        assert orjson.loads(await client.command_json(1, "list_calls", {})) == [7, 8]
        of_nobody = IdGenerator(9).next()
        assert await client.command(1, "release_call", {"call_session_id": of_nobody}) == {"node": 1}


async def test_the_calls_of_other_nodes_are_listed_while_one_does_not_respond(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is in force for some seconds after its end."""
    monkeypatch.setattr("trunkline.calls.switch.rpc_client.ROUTE_TIMEOUT_SECONDS", 0.3)
    async with AsyncExitStack() as stack:
        dead, one, other = Node(0, [1]), Node(3, [3]), Node(4, [4])
        await publish(db, dead)
        for node in (one, other):
            await node.start(stack)
            await publish(db, node)
        client = await stack.enter_async_context(SwitchClient("http://127.0.0.1:9", TOKEN, db, 0))
        with structlog.testing.capture_logs() as logged:
            assert orjson.loads(await client.command_json(1, "list_calls", {})) == [3, 4]
        assert [(line["event"], line["node"]) for line in logged] == [("calls_of_node_not_listed", 0)]
        assert (one.asked, other.asked) == (["list_calls"], ["list_calls"])


async def test_a_command_follows_its_node_to_another_address(db: Database) -> None:
    """The node was started again elsewhere between two commands: the lease has the new address."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(SwitchClient("http://127.0.0.1:9", TOKEN, db, 0))
        call = IdGenerator(3).next()
        gone, back = Node(3, []), Node(3, [])
        await publish(db, gone)
        waiting = asyncio.create_task(client.command(1, "hold_call", {"call_session_id": call}))
        await back.start(stack)
        await publish(db, back)
        async with asyncio.timeout(LIMIT):
            assert await waiting == {"node": 3}
        assert back.asked == ["hold_call"]


async def test_no_node_that_lives_is_an_error(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline.calls.switch.rpc_client.ROUTE_TIMEOUT_SECONDS", 0.3)
    await publish(db, Node(3, []))
    async with SwitchClient("http://127.0.0.1:9", TOKEN, db, 3) as client:
        with pytest.raises(SwitchUnavailable):
            await client.command(1, "hold_call", {"call_session_id": IdGenerator(3).next()})
