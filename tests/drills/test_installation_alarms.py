"""Faults of the installation become one event and one mail each, and so does their end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from tests.billing.mail_server import MailServer
from trunkline.billing import notices
from trunkline.core.settings import MailSecurity, MailSettings
from trunkline.db.jobs import Jobs
from trunkline.db.pool import Database
from trunkline.outbound.mail import mailer
from trunkline.roles.installation_alarms import SwitchAlarms, note_dead_letters, order_mails

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
    assert await order_mails(db, jobs, OPERATORS) == 3
    assert await order_mails(db, jobs, OPERATORS) == 0
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
        await order_mails(db, jobs, OPERATORS[:1])
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
    assert await order_mails(db, jobs, OPERATORS) == 0
    for count in (1, 2):
        await db.execute(
            "insert into dead_letters (account_id, stream, seq, type, data, error) values (1, 'call-1', %s, 'x', '', 'no')",
            (count,),
        )
        await note_dead_letters(db)
        await note_dead_letters(db)
        assert await order_mails(db, jobs, OPERATORS) == 1
    await db.execute("delete from dead_letters where account_id = 1")
    await note_dead_letters(db)
    assert await order_mails(db, jobs, OPERATORS) == 0, "fewer are no alarm"


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
        await alarms.look(None, [trunk(state)])
    await alarms.look(None, None)
    for _ in range(3):
        await alarms.look(None, [trunk("registered")])
    assert written.events == [("trunk_registration", "unreachable"), ("trunk_registration", "registered")]


async def test_events_that_wait_are_reported_once_the_database_is_back() -> None:
    written = Written()
    alarms = SwitchAlarms(written.write)
    written.is_unavailable = True
    for _ in range(5):
        await alarms.look("PostgreSQL does not answer", [])
    written.is_unavailable = False
    await alarms.look("PostgreSQL does not answer", [])
    for _ in range(3):
        await alarms.look(None, [])
    assert written.events == [("events_wait", "PostgreSQL does not answer"), ("events_wait", None)]
