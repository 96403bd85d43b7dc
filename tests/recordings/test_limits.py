"""Limits of the recordings of accounts: the rule, the totals that are kept, and what is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from trunkline.accounts.administration import Administration
from trunkline.core import not_recorded
from trunkline.core.disk import DiskLevel, DiskWatch
from trunkline.core.errors import DatabaseUnavailable
from trunkline.core.ids import IdGenerator, first_id_at
from trunkline.core.settings import Settings
from trunkline.db.pool import Database
from trunkline.directory.model import Directory
from trunkline.events.publisher import Publication
from trunkline.recordings.limits import DiskSpace, LimitKind, Usage, limit_of, limits_reached
from trunkline.recordings.retention import remove_recordings
from trunkline.roles.installation_alarms import wording
from trunkline.roles.recording_limits import RecordingLimits

ENOUGH = DiskSpace(size=1000, left=100, is_scarce=False)
SCARCE = DiskSpace(size=1000, left=20, is_scarce=True)


@pytest.mark.parametrize(
    ("usage", "usual", "kinds"),
    [
        (Usage(1, stored=99), 100, []),
        (Usage(1, stored=100), 100, ["bytes"]),
        (Usage(1, stored=60, raw=40), 100, ["bytes"]),
        (Usage(1, stored=200, own_limit=0), 100, []),
        (Usage(1, stored=100, own_limit=200), 100, []),
        (Usage(1, stored=50, own_limit=50), 0, ["bytes"]),
        (Usage(1, stored=900), 0, []),
        (Usage(1, stored=499), None, []),
        (Usage(1, stored=500), None, ["bytes"]),
        (Usage(1, stored=10, lately=900), 100, []),
    ],
)
def test_a_limit_of_bytes(usage: Usage, usual: int | None, kinds: list[str]) -> None:
    found = limits_reached([usage], usual, ENOUGH, has_others=True)
    assert [one.kind for one in found.values()] == kinds


def test_the_only_account_has_the_whole_disk() -> None:
    assert not limits_reached([Usage(1, stored=900, lately=900)], None, SCARCE, has_others=False)
    assert limit_of(None, None, 1000, has_others=False) == 0


@pytest.mark.parametrize(
    ("usages", "space", "before", "stopped"),
    [
        ([Usage(1, lately=90), Usage(2, lately=10)], ENOUGH, (), []),
        ([Usage(1, lately=90), Usage(2, lately=10)], SCARCE, (), [1]),  # share (90 + 10 + 20) / 2
        ([Usage(1, lately=60), Usage(2, lately=40)], SCARCE, (), []),
        ([Usage(1, lately=30, raw=31), Usage(2, lately=40)], SCARCE, (), [1]),
        ([Usage(1, lately=56), Usage(2, lately=40)], SCARCE, (), []),
        ([Usage(1, lately=56), Usage(2, lately=40)], SCARCE, (1,), [1]),  # until below nine tenths of 58
        ([Usage(1, lately=30), Usage(2, lately=40)], SCARCE, (1,), []),
        ([Usage(1, stored=900), Usage(2, lately=30)], SCARCE, (), [2]),  # who fills the disk now
        ([Usage(1, lately=30)], SCARCE, (), [1]),  # the other one may record now
        ([Usage(1, lately=20)], SCARCE, (), []),
        ([Usage(1)], SCARCE, (), []),
        ([Usage(1, lately=90), Usage(2, lately=10)], replace(SCARCE, left=-50), (), [1]),
    ],
)
def test_a_share_of_what_is_left(
    usages: Sequence[Usage], space: DiskSpace, before: Sequence[int], stopped: list[int]
) -> None:
    found = limits_reached(usages, 0, space, has_others=True, shared_before=before)
    assert sorted(found) == stopped
    assert {one.kind for one in found.values()} <= {LimitKind.SHARE}


@pytest.mark.parametrize("accounts", [2, 3, 50])
def test_never_is_everybody_over_the_share(accounts: int) -> None:
    """So somebody is recorded until nobody is."""
    for left in (0, 1, 1000):
        usages = [Usage(one, lately=one * one) for one in range(1, accounts + 1)]
        found = limits_reached(usages, 0, replace(SCARCE, left=left), has_others=True)
        assert 1 not in found


_SESSION = first_id_at(1_710_000_000_000)


async def _store(db: Database, number: int, size: int, account_id: int = 1, **more: Any) -> None:
    """As the worker does: a row that is pending, and its end."""
    recording = f"{account_id}-{number:03d}"
    columns, values = ", ".join(["", *more]), ", %s" * len(more)
    await db.execute(
        "insert into recordings (account_id, recording_id, call_session_id, kind"
        f"{columns}) values (%s, %s, %s, 'talk'{values})".encode(),
        (account_id, recording, _SESSION + number * 8192, *more.values()),
    )
    await db.execute(
        "update recordings set status = 'ready', wav_path = %s, mp3_path = %s, size_bytes = %s"
        " where account_id = %s and recording_id = %s",
        (f"{recording}.wav", f"{recording}.mp3", size, account_id, recording),
    )


async def _totals(db: Database) -> list[tuple[Any, ...]]:
    rows = await db.fetch_all(
        "select account_id, bytes, day_bytes, before_bytes from recording_totals order by account_id"
    )
    return [tuple(row.values()) for row in rows]


async def test_totals_follow_the_rows(database: str, tmp_path: Path) -> None:
    async with await Database.open(database) as db:
        for one in (1, 2):
            await db.execute("insert into accounts (account_id, name) values (%s, 'Sample')", (one,))
        for number in range(3):
            await _store(db, number, 100)
        await _store(db, 3, 7, account_id=2)
        await _store(db, 4, 1000, source_format=Jsonb({}))  # uploaded: has its own limit
        assert await _totals(db) == [(1, 300, 300, 0), (2, 7, 7, 0)]
        async with db.connection() as connection:  # what is not committed does not count
            await connection.execute("update recordings set size_bytes = 999 where account_id = 1")
            await connection.rollback()
        for _ in range(2):  # the one that ends a recording may run twice
            await db.execute(
                "update recordings set size_bytes = 100 where account_id = 1 and source_format is null"
            )
        assert (await _totals(db))[0] == (1, 300, 300, 0)
        for _ in range(2):  # the files of removed recordings are deleted once
            await remove_recordings(db, tmp_path, {1: 1_710_000_000.0 + 20})
        [uploaded] = await db.fetch_all("select wav_path from recordings where recording_id = '1-004'")
        assert uploaded["wav_path"] is None
        assert await _totals(db) == [(1, 0, 300, 0), (2, 7, 7, 0)]
        await db.execute("delete from recordings where account_id = 2")
        assert (await _totals(db))[1] == (2, 0, 7, 0)


@pytest.mark.parametrize(
    ("day", "after"), [(0, (110, 15, 6)), (1, (110, 10, 5)), (2, (110, 10, 0)), (-1, (110, 15, 6))]
)
async def test_the_bytes_of_two_days(database: str, day: int, after: tuple[int, int, int]) -> None:
    async with await Database.open(database) as db:
        await db.execute("insert into accounts (account_id, name) values (1, 'Sample')")
        await db.execute(
            "insert into recording_totals (account_id, bytes, day, day_bytes, before_bytes)"
            " values (1, 100, (now() at time zone 'UTC')::date - %s, 5, 6)",
            (day,),
        )
        await _store(db, 1, 10)
        assert await _totals(db) == [(1, *after)]


class _Switch:
    """What the limits need of a switch."""

    node = 0

    def __init__(self) -> None:
        self.sessions: dict[int, Any] = {}
        self.unrecorded: dict[int, str] = {}

    def do_not_record(self, unrecorded: dict[int, str]) -> None:
        self.unrecorded = dict(unrecorded)


class _Publisher(list[Publication]):
    put = list.append


async def test_an_account_at_its_limit_is_not_recorded_and_reported(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By stored bytes, by raw audio of a live call, and of one that is over; also while PostgreSQL is unavailable."""
    settings = Settings(data_dir=tmp_path)
    switch, publisher, disk = _Switch(), _Publisher(), DiskWatch([tmp_path], settings.disk)
    ids, elsewhere = IdGenerator(0, lambda: 1_710_000_000_000), IdGenerator(1, lambda: 1_710_000_000_000)
    live, other_node = ids.next(), elsewhere.next()
    for call, size in ((live, 40), (other_node, 500)):
        (settings.spool_dir / str(call)).mkdir(parents=True)
        (settings.spool_dir / str(call) / "a.sln").write_bytes(b"x" * size)
    switch.sessions = {call: type("Session", (), {"account_id": 1}) for call in (live, other_node)}
    async with await Database.open(database) as db:
        for one in (1, 2):
            await db.execute("insert into accounts (account_id, name) values (%s, 'Sample')", (one,))
        await _store(db, 1, 60)
        await _store(db, 2, 60, account_id=2)

        def made() -> RecordingLimits:
            return RecordingLimits(switch, db, settings, disk, publisher, lambda: Directory({}))  # type: ignore[arg-type]

        administration = Administration(db)
        await administration.set_recording_limit(1, 101)
        limits = made()
        await limits.start()
        assert (switch.unrecorded, publisher) == ({}, [])
        await administration.set_recording_limit(1, 100)
        switch.sessions = {}  # the call is over: its audio counts until it is a recording
        for _ in range(2):
            await limits.check()
        assert switch.unrecorded == {1: not_recorded.ACCOUNT_LIMIT}
        [reached] = publisher
        data = {"limit": "recordings_bytes", "limit_max_value": 100, "recorded_bytes": 100}
        assert (reached.type, reached.account_id, reached.data) == ("recordings_limit_reached", 1, data)
        assert reached.alarm is not None
        mail = {"node": 0, "type": reached.alarm.type, "data": reached.alarm.data}
        [now] = await db.fetch_all("select now() as occurred_at")
        assert "its calls are not recorded" in wording(mail | now)[0]
        first = {"account_id": 1, "account_name": None, "limit": "bytes", "limit_max_value": 100}
        assert limits.status() == {"count": 1, "first": [{**first, "recorded_bytes": 100}]}

        with monkeypatch.context() as away:

            async def unavailable(*_: object) -> None:
                raise DatabaseUnavailable("PostgreSQL does not respond")

            away.setattr(db, "fetch_all", unavailable)
            await limits.check()
            assert switch.unrecorded == {1: not_recorded.ACCOUNT_LIMIT}

        await db.execute(
            "insert into installation_events (node, type, data) values (0, 'recordings_limit', %s)",
            (Jsonb(reached.alarm.data),),
        )
        (settings.spool_dir / str(live) / "a.sln").unlink()
        (settings.spool_dir / str(live)).rmdir()
        await administration.set_recording_limit(1, 60)
        limits = made()  # a switch that was started again knows what was published
        await limits.start()
        assert (switch.unrecorded, len(publisher)) == ({1: not_recorded.ACCOUNT_LIMIT}, 1)
        await administration.set_recording_limit(1, 0)
        await limits.check()
        await administration.set_recording_limit(1, 60)
        await limits.check()  # not an hour later: not published again
        assert switch.unrecorded == {1: not_recorded.ACCOUNT_LIMIT}
        assert [one.data.get("state") for one in publisher] == [None, "below"]
        assert disk.level is DiskLevel.ENOUGH

        await administration.set_recording_limit(1, 0)
        await _store(db, 3, 100)
        disk.level, disk.free = DiskLevel.ALARM, settings.disk.recordings_free + 40
        await limits.check()  # 160 and 60 bytes lately, and 40 are left
        assert switch.unrecorded == {1: not_recorded.ACCOUNT_SHARE}
        assert [(one.limit, one.used) for one in limits.reached.values()] == [(130, 160)]
