"""Message-waiting indication: which lines get which numbers, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company
from tests.notifications.rig import Rig, open_rig
from trunkline.core.clock import Instant
from trunkline.core.errors import EngineUnavailable
from trunkline.directory.model import Directory
from trunkline.telephony.port import Registered, Unregistered
from trunkline.voicemail.indications import MessageIndicator, indicating_messages
from trunkline.voicemail.mailboxes import Mailboxes

pytestmark = pytest.mark.shells

Sent = tuple[str, int, int]


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


class Phones:
    """The company of the tests as the account of the database, and what its phones are sent."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.sent: list[Sent] = []
        self.fails = False
        self.offline: set[str] = set()
        account = company(account_id=rig.account_id)
        self.indicator = MessageIndicator(
            rig.db,
            self._send,
            lambda: Directory({rig.account_id: account}),
            lambda login: login not in self.offline,
        )

    async def _send(self, line: str, new: int, saved: int) -> None:
        if self.fails:
            raise EngineUnavailable("gone")
        self.sent.append((str(line), new, saved))

    def register(self, login: str, device: str = "sip:a@192.0.2.9") -> None:
        at = Instant(1.0)
        self.indicator.handle(
            Registered(at, login, device, "192.0.2.9", 5060, "udp", "", None, None, reachable=True)
        )

    async def add(self, recording_id: str, employee_id: int = c.ANNA) -> None:
        await self.rig.db.execute(
            """insert into recordings (account_id, recording_id, call_session_id, kind, leg_id, status, wav_path)
               values (%(account_id)s, %(id)s, 1, 'voice_mail', %(leg_id)s, 'ready', 'a.wav')""",
            {"account_id": self.rig.account_id, "id": recording_id, "leg_id": ord(recording_id[0])},
        )
        await self.rig.db.execute(
            """insert into voice_messages (account_id, recording_id, employee_id, call_session_id)
               values (%(account_id)s, %(id)s, %(employee_id)s, 1)""",
            {"account_id": self.rig.account_id, "id": recording_id, "employee_id": employee_id},
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.05)

    async def settled(self) -> None:
        await asyncio.sleep(0.8)


@pytest.fixture
async def phones(rig: Rig) -> AsyncIterator[Phones]:
    for employee_id, name in ((c.ANNA, "anna"), (c.BORIS, "boris")):
        await rig.db.execute(
            """insert into employees (account_id, employee_id, key, last_name)
               overriding system value values (%s, %s, %s, 'Berg')""",
            (rig.account_id, employee_id, name),
        )
    phones = Phones(rig)
    async with indicating_messages(phones.indicator):
        await phones.settled()
        yield phones


async def mark(phones: Phones, recording_id: str, action: str) -> None:
    data: dict[str, Any] = {"employee_id": c.ANNA, "recording_id": recording_id, "action": action}
    await Mailboxes(phones.rig.db, Path("/r")).mark(phones.rig.account_id, data)


async def test_all_lines_of_the_employee_get_each_change(phones: Phones) -> None:
    phones.register(c.ANNA_LINE)
    phones.register(c.ANNA_SECOND)
    phones.register(c.BORIS_LINE)
    await phones.settled()
    assert phones.sent == [], "nobody has a mailbox"
    await phones.add("a" * 64)
    await phones.until(lambda: len(phones.sent) == 2)
    assert phones.sent == [(c.ANNA_LINE, 1, 0), (c.ANNA_SECOND, 1, 0)]
    await mark(phones, "a" * 64, "save")
    await phones.until(lambda: len(phones.sent) == 4)
    assert phones.sent[2] == (c.ANNA_LINE, 0, 1)
    await mark(phones, "a" * 64, "delete")
    await phones.until(lambda: len(phones.sent) == 6)
    assert phones.sent[4] == (c.ANNA_LINE, 0, 0), "the last one is gone: the light goes off"


async def test_a_phone_that_registers_gets_the_numbers_once(phones: Phones) -> None:
    await phones.add("a" * 64)
    await phones.settled()
    phones.sent.clear()
    phones.register(c.ANNA_LINE)
    await phones.until(lambda: len(phones.sent) == 1)
    phones.register(c.ANNA_LINE)  # a refresh
    await phones.settled()
    assert phones.sent == [(c.ANNA_LINE, 1, 0)]
    phones.indicator.handle(Unregistered(Instant(2.0), c.ANNA_LINE, "sip:a@192.0.2.9"))
    phones.register(c.ANNA_LINE)
    await phones.until(lambda: len(phones.sent) == 2)


async def test_lines_that_are_offline_and_a_lost_engine(phones: Phones) -> None:
    phones.register(c.ANNA_LINE)
    phones.register(c.ANNA_SECOND)
    phones.offline.add(c.ANNA_SECOND)
    await phones.settled()
    await phones.add("a" * 64)
    await phones.until(lambda: len(phones.sent) == 1)
    phones.fails = True
    await phones.add("b" * 64)
    await phones.settled()
    phones.fails = False
    await phones.add("d" * 64)
    await phones.until(lambda: len(phones.sent) == 2)
    assert phones.sent[-1] == (c.ANNA_LINE, 3, 0)
