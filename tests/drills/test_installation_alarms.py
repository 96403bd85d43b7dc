"""Faults of the installation become one event and one mail each, and so does their end."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.billing.mail_server import MailServer
from trunkline.billing import notices
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.settings import MailSecurity, MailSettings
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database
from trunkline.outbound.mail import mailer
from trunkline.roles import installation_alarms
from trunkline.roles.installation_alarms import (
    SwitchAlarms,
    enqueue_mails,
    last_states,
    note_dead_letters,
    prune,
)

OPERATORS = ["one@example.com", "two@example.com"]


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database, max_size=4) as db:
        yield db


async def event(db: Database, kind: str, data: str, age: str = "0 s") -> None:
    await db.execute(
        "insert into installation_events (node, type, data, occurred_at) values (1, %s, %s::jsonb, now() - %s::interval)",
        (kind, data, age),
    )


async def subjects(db: Database) -> list[str]:
    rows = await db.fetch_all("select args->>'subject' as subject from procrastinate_jobs order by id")
    return [row["subject"] for row in rows]


async def test_each_event_is_mailed_once_to_each_operator(db: Database, database: str) -> None:
    jobs = Jobs(database)
    await event(db, "disk_level", '{"level": "no_calls", "free_bytes": 7}')
    await event(db, "disk_level", '{"level": "enough", "free_bytes": 7000}')
    await event(db, "disk_level", '{"level": "alarm"}', age="2 days")
    assert await enqueue_mails(db, jobs, OPERATORS) == 3
    assert await enqueue_mails(db, jobs, OPERATORS) == 0
    assert await subjects(db) == [
        *["Trunkline: the disk is nearly full (no_calls)"] * 2,
        *["Trunkline: the disk has enough free space again"] * 2,
    ]


async def test_the_mail_arrives(db: Database, database: str) -> None:
    async with MailServer() as server:
        jobs = Jobs(database)
        settings = MailSettings(host="127.0.0.1", port=server.port, security=MailSecurity.NONE)
        sender = notices.Sender(mailer(settings), 60)
        jobs.register(notices.SEND, sender.send, queue=notices.QUEUE)
        names = '"account_id": 1001, "account_name": "Palm", "trunk_name": "carrier"'
        await event(db, "trunk_registration", f'{{{names}, "trunk_id": 7, "state": "refused", "code": 403}}')
        await enqueue_mails(db, jobs, OPERATORS[:1])
        work = asyncio.create_task(jobs.run(notices.CONCURRENCY))
        try:
            async with asyncio.timeout(30):
                while not server.got:
                    await asyncio.sleep(0.05)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        [mail] = server.got
        assert (mail["To"], mail["Subject"]) == (
            "one@example.com",
            "Trunkline: trunk carrier of account 1001 is not registered (refused)",
        )
        assert "code: 403" in mail.get_content()


async def test_dead_letters(db: Database, database: str) -> None:
    jobs = Jobs(database)
    await db.execute(
        "insert into accounts (account_id, name, time_zone) values (1, 'Harbour Tours', 'Asia/Dubai')"
    )
    await note_dead_letters(db)
    assert await enqueue_mails(db, jobs, OPERATORS) == 0
    for count in (1, 2):
        await db.execute(
            "insert into dead_letters (account_id, stream, seq, type, data, error) values (1, 'call-1', %s, 'x', '', 'no')",
            (count,),
        )
        await note_dead_letters(db)
        await note_dead_letters(db)
        assert await enqueue_mails(db, jobs, OPERATORS) == 1
    await db.execute("delete from dead_letters where account_id = 1")
    await note_dead_letters(db)
    assert await enqueue_mails(db, jobs, OPERATORS) == 0, "fewer are no alarm"


class Written:
    """Events of a switch; refuses them while ``is_unavailable``."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.is_unavailable = False

    async def write(self, kind: str, data: Mapping[str, Any]) -> bool:
        if not self.is_unavailable:
            self.events.append((kind, data.get("state", data.get("reason"))))
        return not self.is_unavailable


def trunk(state: str) -> dict[str, Any]:
    return {"trunk_id": 7, "server": "sip:192.0.2.1", "state": state, "code": None, "reason": ""}


async def test_a_trunk_that_is_not_registered() -> None:
    written = Written()
    alarms = SwitchAlarms(written.write)
    for state in (
        "waiting",
        "registered",
        "unreachable",
        "registered",
        "unreachable",
        "unreachable",
        "unreachable",
    ):
        await alarms.check(None, [trunk(state)])
    await alarms.check(None, None)
    for _ in range(3):
        await alarms.check(None, [trunk("registered")])
    assert written.events == [("trunk_registration", "unreachable"), ("trunk_registration", "registered")]


async def test_events_that_wait_are_reported_once_the_database_is_back() -> None:
    written = Written()
    alarms = SwitchAlarms(written.write)
    written.is_unavailable = True
    for _ in range(5):
        await alarms.check("PostgreSQL does not answer", [])
    written.is_unavailable = False
    await alarms.check("PostgreSQL does not answer", [])
    for _ in range(3):
        await alarms.check(None, [])
    assert written.events == [("events_wait", "PostgreSQL does not answer"), ("events_wait", None)]


async def write_to(db: Database, kind: str, data: Mapping[str, Any]) -> bool:
    await db.execute(
        "insert into installation_events (node, type, data) values (1, %s, %s)", (kind, Jsonb(dict(data)))
    )
    return True


async def states(db: Database) -> list[str | None]:
    rows = await db.fetch_all(
        "select coalesce(data->>'state', data->>'reason') as state from installation_events where node = 1 order by 1"
    )
    return [row["state"] for row in rows]


async def test_a_restarted_switch_reports_changes_only(db: Database) -> None:
    """Not a second time what lasts, and what ended while it was away."""

    def started() -> SwitchAlarms:
        return SwitchAlarms(functools.partial(write_to, db), functools.partial(last_states, db, 1))

    other = {**trunk("registered"), "trunk_id": 8}
    await event(db, "trunk_registration", '{"trunk_id": 7, "state": "registered"}')
    await db.execute(
        "update installation_events set node = 2"
    )  # of another node, which has this trunk no more
    alarms = started()
    for _ in range(3):
        await alarms.check("PostgreSQL does not respond", [trunk("refused"), other])
    assert await states(db) == ["PostgreSQL does not respond", "refused"]
    alarms = started()
    for _ in range(3):
        await alarms.check("PostgreSQL does not respond", [trunk("refused"), other])
    assert await states(db) == ["PostgreSQL does not respond", "refused"]
    alarms = started()
    for _ in range(3):
        await alarms.check(None, [trunk("registered"), other])
    assert await states(db) == ["PostgreSQL does not respond", "refused", "registered", None]


async def test_the_last_states_are_read_before_anything_is_compared() -> None:
    written, is_available = Written(), False

    async def read() -> dict[str, str]:
        if not is_available:
            raise DatabaseUnavailable("no server")
        return {"trunk 7": "refused"}

    alarms = SwitchAlarms(written.write, read)
    for _ in range(3):
        await alarms.check(None, [trunk("refused")])
    is_available = True
    for _ in range(3):
        await alarms.check(None, [trunk("refused")])
    assert written.events == []


async def test_old_events_are_removed_but_the_last_of_each_state(db: Database) -> None:
    await event(db, "disk_level", '{"level": "alarm"}', age="91 days")
    await event(db, "trunk_registration", '{"trunk_id": 7, "state": "registered"}', age="95 days")
    await event(db, "trunk_registration", '{"trunk_id": 7, "state": "refused"}', age="93 days")
    await event(db, "trunk_registration", '{"trunk_id": 8, "state": "refused"}', age="92 days")
    await event(db, "dead_letters", '{"count": 3}', age="100 days")
    await event(db, "login_guessing", '{"line": "0260002"}', age="91 days")
    await event(db, "disk_level", '{"level": "enough"}', age="89 days")
    assert await prune(db) == 3
    rows = await db.fetch_all("select type, data from installation_events order by installation_event_id")
    assert [(row["type"], next(iter(row["data"].values()))) for row in rows] == [
        ("trunk_registration", "refused"),
        ("trunk_registration", "refused"),
        ("dead_letters", 3),
        ("disk_level", "enough"),
    ]


async def test_a_lost_trunk_is_an_event_of_its_account(db: Database) -> None:
    row = await db.fetch_one("insert into accounts (name) values ('Sample Ltd') returning account_id")
    assert row is not None
    names = {
        "account_id": row["account_id"],
        "account_name": "Sample Ltd",
        "trunk_id": 7,
        "trunk_name": "north",
    }
    refused = {**names, "server": "carrier.example", "state": "refused", "code": 403, "reason": "Forbidden"}
    well = {**names, "server": "carrier.example", "state": "registered", "code": None, "reason": ""}
    for data in (refused, well):
        assert await installation_alarms.write(db, 1, "trunk_registration", data)
    assert await installation_alarms.write(db, 1, "events_wait", {"reason": "x"})
    alarms = await db.fetch_all("select type from installation_events order by installation_event_id")
    assert [one["type"] for one in alarms] == ["trunk_registration", "trunk_registration", "events_wait"]
    events = await db.fetch_all("select stream, seq, type, data from outbox order by outbox_id")
    assert [(one["stream"], one["seq"], one["type"]) for one in events] == [
        ("trunk:7", 1, "trunk_lost"),
        ("trunk:7", 2, "trunk_restored"),
    ]
    assert (events[0]["data"]["entity_name"], events[0]["data"]["reason"]) == ("north", "403 Forbidden")
