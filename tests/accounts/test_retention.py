"""What an account keeps no longer is removed, and nothing else; a break in between leaves nothing half."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from trunkline.accounts.retention import DataKind, Days, of_all_accounts, reset, set_days
from trunkline.cli.main import commands
from trunkline.core.errors import InvalidInput, NotFound
from trunkline.core.ids import first_id_at
from trunkline.core.settings import RetentionSettings, Settings
from trunkline.db import partitions
from trunkline.db.partitions import Month
from trunkline.db.pool import Database
from trunkline.directory.media.spoken_retention import remove_spoken_texts
from trunkline.recordings import retention as recordings
from trunkline.roles import worker
from trunkline.roles.worker import remove_old
from trunkline.uploads import sessions

NOW = datetime(2026, 6, 15, tzinfo=UTC).timestamp()
DAY = 86_400
LONG, SHORT, EVER = 1, 2, 3


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


async def _accounts(db: Database) -> None:
    await db.execute("insert into accounts (account_id, name) values (1, 'Long'), (2, 'Short'), (3, 'Ever')")


async def _call(
    db: Database, settings: Settings, account_id: int, age: float, *, finished: bool = True
) -> int:
    """A call that began so many days ago, with a row in each of its tables and a recording with files."""
    session = first_id_at(int((NOW - age * DAY) * 1000)) + account_id
    async with db.connection() as conn:
        await partitions.ensure_for(conn, session)
        await conn.execute(
            "insert into call_sessions (account_id, call_session_id, node, start_time, finish_time, direction, source)"
            " values (%s, %s, 0, now(), %s, 'in', 'va')",
            (account_id, session, datetime.now(UTC) if finished else None),
        )
        await conn.execute(
            "insert into call_events (account_id, call_session_id, seq, type, occurred_at, data)"
            " values (%s, %s, 1, 'session_started', now(), '{}')",
            (account_id, session),
        )
        await conn.execute(
            "insert into call_streams (account_id, call_session_id, version, is_open) values (%s, %s, 1, %s)",
            (account_id, session, not finished),
        )
        await conn.execute(
            "insert into recordings (account_id, recording_id, call_session_id, kind, status, wav_path, mp3_path)"
            " values (%s, %s, %s, 'talk', 'ready', %s, %s)",
            (account_id, f"{session:064x}", session, f"{session}.wav", f"{session}.mp3"),
        )
    settings.recordings_dir.mkdir(exist_ok=True)
    for kind in ("wav", "mp3"):
        (settings.recordings_dir / f"{session}.{kind}").write_bytes(b"sound")
    return session


async def _left(db: Database, table: str) -> set[int]:
    rows = await db.fetch_all(sql.SQL("select call_session_id from {}").format(sql.Identifier(table)))
    return {row["call_session_id"] for row in rows}


def _files(settings: Settings) -> set[str]:
    return {path.name for path in settings.recordings_dir.iterdir()}


@pytest.mark.durability
async def test_recordings_by_account(database: str, settings: Settings) -> None:
    async with await Database.open(database) as db:
        await _accounts(db)
        old = {one: await _call(db, settings, one, 40) for one in (LONG, SHORT, EVER)}
        new = {one: await _call(db, settings, one, 5) for one in (LONG, SHORT, EVER)}
        await set_days(db, LONG, DataKind.RECORDINGS, 60)
        await set_days(db, SHORT, DataKind.RECORDINGS, 30)
        await remove_old(db, settings, NOW)
        rows = await db.fetch_all("select call_session_id, status, wav_path, mp3_path from recordings")
    gone = old[SHORT]
    assert {row["call_session_id"] for row in rows if row["status"] == "removed"} == {gone}
    assert [(row["wav_path"], row["mp3_path"]) for row in rows if row["status"] == "removed"] == [
        (None, None)
    ]
    kept = {*old.values(), *new.values()} - {gone}
    assert _files(settings) == {f"{one}.{kind}" for one in kept for kind in ("wav", "mp3")}


async def test_a_break_between_row_and_files_is_taken_up(
    database: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise KeyboardInterrupt

    async with await Database.open(database) as db:
        await _accounts(db)
        await _call(db, settings, SHORT, 40)
        with monkeypatch.context() as patched:
            patched.setattr(recordings, "_delete_files", breaks)
            with pytest.raises(KeyboardInterrupt):
                await recordings.remove_recordings(db, settings.recordings_dir, {SHORT: NOW})
        [row] = await db.fetch_all("select status, wav_path from recordings")
        assert (row["status"], row["wav_path"] is None) == ("removed", False)
        await recordings.remove_recordings(db, settings.recordings_dir, {SHORT: NOW})
        [row] = await db.fetch_all("select status, wav_path from recordings")
    assert row == {"status": "removed", "wav_path": None}
    assert _files(settings) == set()


async def test_a_file_that_cannot_be_deleted_delays_no_other_and_ends_no_worker(
    database: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recordings, "BATCH", 1)
    monkeypatch.setattr(worker, "HOUSEKEEPING_PERIOD", 0.01)
    monkeypatch.setattr(time, "time", lambda: NOW)
    async with await Database.open(database) as db:
        await _accounts(db)
        stuck, *others = [await _call(db, settings, SHORT, 40 + number) for number in range(3)]
        file = settings.recordings_dir / f"{stuck}.wav"
        file.unlink()
        file.mkdir()  # also root cannot unlink it
        await set_days(db, SHORT, DataKind.RECORDINGS, 30)
        housekeeping = asyncio.create_task(worker._housekeeping(db, settings))
        async with asyncio.timeout(20):
            while _files(settings) - {file.name, f"{stuck}.mp3"}:
                await asyncio.sleep(0.02)
            file.rmdir()
            while _files(settings):
                await asyncio.sleep(0.02)
            gone = [{"wav_path": None, "mp3_path": None}] * len([stuck, *others])
            # The row is written after its files are deleted.
            while await db.fetch_all("select wav_path, mp3_path from recordings") != gone:
                await asyncio.sleep(0.02)
        assert not housekeeping.done()
        housekeeping.cancel()
        await asyncio.gather(housekeeping, return_exceptions=True)


@pytest.mark.durability
async def test_calls_go_with_all_that_is_theirs_and_open_ones_stay(database: str, settings: Settings) -> None:
    async with await Database.open(database) as db:
        await _accounts(db)
        gone = [await _call(db, settings, SHORT, 100 + number / 100) for number in range(5)]
        open_ = await _call(db, settings, SHORT, 120, finished=False)
        kept = [await _call(db, settings, SHORT, 50), await _call(db, settings, EVER, 400)]
        await set_days(db, SHORT, DataKind.CALLS, 62)
        await remove_old(db, settings, NOW)
        left = {open_, *kept}
        assert not left & set(gone)
        for table in ("call_sessions", "call_events", "call_streams"):
            assert await _left(db, table) == left, table
        assert await _left(db, "recordings") == left
    # The sound of the open call is past its time, its row is not.
    assert _files(settings) == {f"{one}.{kind}" for one in kept for kind in ("wav", "mp3")}


async def test_a_month_that_nobody_keeps_is_dropped(database: str, settings: Settings) -> None:
    months = partitions.partition_name("call_events", Month(2025, 12))
    async with await Database.open(database) as db:
        await _accounts(db)
        for account_id in (LONG, SHORT, EVER):
            await _call(db, settings, account_id, 180)
        recent = await _call(db, settings, LONG, 70)
        await set_days(db, LONG, DataKind.CALLS, 100)
        await set_days(db, SHORT, DataKind.CALLS, 62)
        await remove_old(db, settings, NOW)
        assert await _exists(db, months), "the third account keeps it for ever"
        await set_days(db, EVER, DataKind.CALLS, 90)
        await remove_old(db, settings, NOW)
        assert not await _exists(db, months)
        assert await _left(db, "call_sessions") == {recent}
        assert await _left(db, "recordings") == {recent}


async def test_a_month_in_use_is_left_for_another_time(database: str, settings: Settings) -> None:
    month = partitions.partition_name("call_sessions", Month(2025, 12))
    async with await Database.open(database) as db:
        await db.execute("insert into accounts (account_id, name) values (1, 'Long')")
        await _call(db, settings, LONG, 180)
        await set_days(db, LONG, DataKind.CALLS, 62)
        async with await psycopg.AsyncConnection.connect(database) as reading:
            await reading.execute(f"select count(*) from {month}".encode())
            await remove_old(db, settings, NOW)
            assert await _exists(db, month)
        await remove_old(db, settings, NOW)
        assert not await _exists(db, month)


async def test_attempts_of_campaigns_are_kept_as_long_as_calls(database: str, settings: Settings) -> None:
    """Not those of a lead that may be called again, which its limits count, nor one whose end is not stored."""
    async with await Database.open(database) as db:
        await _accounts(db)
        for account_id in (SHORT, EVER):
            await db.execute(
                "with q as (insert into queues (account_id, key, name) values (%(a)s, 'q', 'Q') returning queue_id),"
                " c as (insert into dial_campaigns (account_id, name, queue_id, settings, node)"
                "   select %(a)s, 'C', queue_id, '{}', 1 from q returning campaign_id),"
                " l as (insert into dial_leads (account_id, campaign_id, phone, zones, closed)"
                "   select %(a)s, campaign_id, phone, '{}', closed"
                "   from c, (values ('971500000001', 'reached'), ('971500000002', null)) v(phone, closed))"
                " insert into dial_attempts (account_id, campaign_id, phone, call_session_id, node, ended_at, outcome)"
                " select %(a)s, campaign_id, phone, call, 1, to_timestamp(%(now)s) - days * interval '1 day', outcome"
                " from c, (values ('971500000001', 1, 70, 'answered'), ('971500000001', 2, 50, 'busy'),"
                "   ('971500000002', 3, 70, 'busy'), ('971500000001', 4, 70, null)) v(phone, call, days, outcome)",
                {"a": account_id, "now": NOW},
            )
        await set_days(db, SHORT, DataKind.CALLS, 62)
        await remove_old(db, settings, NOW)
        rows = await db.fetch_all("select account_id, call_session_id from dial_attempts")
    left = {(row["account_id"], row["call_session_id"]) for row in rows}
    assert left == {(SHORT, 2), (SHORT, 3), (SHORT, 4), *((EVER, call) for call in (1, 2, 3, 4))}


async def _exists(db: Database, table: str) -> bool:
    row = await db.fetch_one("select to_regclass(%s) is not null as there", (table,))
    return bool(row and row["there"])


@pytest.mark.durability
async def test_visits_of_websites_go_and_uploaded_ones_stay(
    database: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_PRUNE_BATCH", 2)
    async with await Database.open(database) as db:
        await _accounts(db)
        await set_days(db, SHORT, DataKind.VISITS, 10)
        await set_days(db, EVER, DataKind.VISITS, None)
        await db.execute(
            """insert into visitor_sessions (account_id, ext_id, date_time)
               select account_id, ext_id, to_timestamp(%s) - make_interval(days => days)
               from generate_series(1, 3) account_id, unnest('{null,null,uploaded}'::text[]) ext_id,
                   unnest('{9,11,401}'::int[]) days where ext_id is null or days = 401""",
            (NOW,),
        )
        await remove_old(db, settings, NOW)
        rows = await db.fetch_all(
            "select account_id, count(*), count(ext_id) as uploaded from visitor_sessions group by 1 order by 1"
        )
    assert [tuple(row.values()) for row in rows] == [(LONG, 5, 1), (SHORT, 3, 1), (EVER, 7, 1)]


async def test_values_of_an_account_before_those_of_the_installation(database: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, retention=RetentionSettings(recordings_days=90))
    async with await Database.open(database) as db:
        await _accounts(db)
        await set_days(db, SHORT, DataKind.RECORDINGS, 7)
        await set_days(db, EVER, DataKind.RECORDINGS, None)
        await set_days(db, LONG, DataKind.REQUEST_LOG, 5)
        await reset(db, LONG, DataKind.REQUEST_LOG)
        found = await of_all_accounts(db, settings)
        with pytest.raises(InvalidInput):
            await set_days(db, SHORT, DataKind.CALLS, 61)
        with pytest.raises(NotFound):
            await set_days(db, 99, DataKind.CALLS, 100)
    assert {one: values[DataKind.RECORDINGS] for one, values in found.items()} == {
        LONG: Days(90, False),
        SHORT: Days(7, True),
        EVER: Days(None, True),
    }
    assert found[LONG][DataKind.REQUEST_LOG] == Days(90, False)
    assert found[LONG][DataKind.CALLS] == Days(None, False)


@pytest.mark.durability
async def test_spoken_texts_that_nobody_uses(database: str, tmp_path: Path) -> None:
    names = {name: name * 64 for name in "abcd"}
    for name in names.values():
        (tmp_path / f"{name}.wav").write_bytes(b"sound")
    (tmp_path / "note.wav").write_bytes(b"not ours")
    long_ago = time.time() - 40 * DAY
    for name in (names["a"], names["b"], "note"):
        os.utime(tmp_path / f"{name}.wav", (long_ago, long_ago))
    async with await Database.open(database) as db:
        await _accounts(db)
        await db.execute(
            "insert into media_files (account_id, key, name, kind, sha256, duration_ms, size_bytes)"
            " values (1, 'greeting', 'Greeting', 'user', %s, 1, 1)",
            (names["b"],),
        )
        assert await remove_spoken_texts(db, tmp_path, 30) == 1
    assert {path.stem[0] for path in tmp_path.iterdir()} == {"b", "c", "d", "n"}


def test_the_operator_sets_and_sees_it(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", database)
    monkeypatch.setenv("TRUNKLINE_DATA_DIR", str(tmp_path))
    with psycopg.connect(database) as connection:
        connection.execute("insert into accounts (account_id, name) values (1, 'Long')")
    run = CliRunner()
    done = run.invoke(commands, ["retention", "set", "recordings", "30", "--account", "1"])
    assert done.output == "account 1 keeps recordings: 30 days\n"
    [row] = json.loads(run.invoke(commands, ["retention", "list", "--json"]).output)
    assert (row["recordings"], row["calls"], row["request_log"]) == (30, None, 90)
    assert "recordings 30 days*" in run.invoke(commands, ["retention", "list"]).output
    run.invoke(commands, ["retention", "reset", "recordings", "--account", "1"])
    assert "recordings for ever," in run.invoke(commands, ["retention", "list"]).output
