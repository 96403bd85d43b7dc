"""Who talked last with a caller: in memory, from the calls of this switch and from finished calls of the database."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import company as c
from tests.calls.company import company, scenario
from tests.reports.lifelike import generate_calls, store
from trunkline.accounts.administration import AccountProfile, Administration
from trunkline.calls.switch import last_talks
from trunkline.calls.switch.last_talks import TALK_DAYS, LastTalks, LastTalksReader, needs_last_talks
from trunkline.db.pool import Database
from trunkline.directory.model import Account, Directory, OperationKind


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    async with await Database.open(database) as opened:
        yield opened


def account_of(account_id: int, choose: str | None = "last") -> Account:
    flow = scenario(1, ("a", OperationKind.FORWARD_USUAL, {"choose": choose, "next": None}))
    flows = {1: flow} if choose is not None else {}
    return dataclasses.replace(company(), account_id=account_id, scenarios=flows)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5), st.integers(0, 50)), max_size=30))
def test_the_newest_talk_counts(talks: list[tuple[str, int, int]]) -> None:
    """In whatever order they become known; of two at one moment the later known one."""
    memory = LastTalks()
    expected: dict[str, tuple[int, int]] = {}
    for caller, employee, at in talks:
        memory.note(1, caller, employee, at)
        if caller not in expected or expected[caller][1] <= at:
            expected[caller] = employee, at
    assert {caller: memory.employee(1, caller, 50) for caller in expected} == {
        caller: employee for caller, (employee, _) in expected.items()
    }
    assert memory.employee(2, "a", 50) is None, "another account"


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_talks, "REMEMBERED_MAX", 3)
    memory = LastTalks()
    for number in range(5):
        memory.note(1, str(number), 7, number)
    assert len(memory) == 3
    assert [memory.employee(1, str(number), 5) for number in range(5)] == [None, None, 7, 7, 7]


def test_an_old_talk_does_not_count() -> None:
    """However long this process runs."""
    memory, day = LastTalks(), 86_400
    memory.note(1, "a", 7, 1000 * day)
    assert memory.employee(1, "a", 1000 * day + TALK_DAYS * day - 1) == 7
    assert memory.employee(1, "a", 1000 * day + TALK_DAYS * day + 1) is None


@pytest.mark.parametrize(
    ("choose", "needed"), [("last", True), ("manager_then_last", True), ("manager", False), (None, False)]
)
def test_which_accounts_need_it(choose: str | None, needed: bool) -> None:
    assert needs_last_talks(account_of(1, choose)) is needed


async def test_finished_calls_are_read_for_accounts_that_need_them(db: Database) -> None:
    administration = Administration(db)
    ids = [
        (await administration.create_account(AccountProfile(name), login=name)).account_id
        for name in ("one", "two")
    ]
    start = datetime.now(UTC) - timedelta(days=2)
    for account_id in ids:
        await store(db, generate_calls(account_id, start, days=1, count=20, seed=account_id))
    directory = Directory({ids[0]: account_of(ids[0]), ids[1]: account_of(ids[1], None)})
    memory = LastTalks()
    reader = LastTalksReader(db, memory, lambda: directory)
    await reader.read()
    rows = await db.fetch_all(
        """select distinct on (contact_phone_number) contact_phone_number, last_talked_employee_id from call_sessions
           where account_id = %s and last_talked_employee_id is not null
           order by contact_phone_number, finish_time desc""",
        (ids[0],),
    )
    assert rows
    for row in rows:
        caller = row["contact_phone_number"]
        assert memory.employee(ids[0], caller, time.time()) == row["last_talked_employee_id"]
        assert memory.employee(ids[1], caller, time.time()) is None
    # A call of another node, finished meanwhile.
    number = rows[0]["contact_phone_number"]
    await db.execute(
        "update call_sessions set start_time = now(), finish_time = now(), last_talked_employee_id = %s"
        " where account_id = %s and contact_phone_number = %s",
        (c.DORA, ids[0], number),
    )
    await reader.read()
    assert memory.employee(ids[0], number, time.time()) == c.DORA
