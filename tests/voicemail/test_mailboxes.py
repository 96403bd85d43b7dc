"""Mailboxes in the database: PINs, their limits, and messages that come and go."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.notifications.rig import Rig, new_session_id, open_rig
from tests.recordings.test_service import call
from trunkline.core.clock import Instant
from trunkline.core.errors import InvalidInput, NotFound
from trunkline.events.catalogue import Event, EventType
from trunkline.speech import audio
from trunkline.voicemail import mailboxes
from trunkline.voicemail.greetings import Greetings
from trunkline.voicemail.mailboxes import ATTEMPTS_MAX, Mailboxes, MailboxListener

pytestmark = pytest.mark.shells


@pytest.fixture
async def rig(database: str) -> AsyncIterator[Rig]:
    async with open_rig(database) as rig:
        yield rig


@pytest.fixture
async def anna(rig: Rig) -> int:
    row = await rig.db.fetch_one(
        "insert into employees (account_id, key, last_name, extension) values (%s, 'anna', 'Berg', '201')"
        " returning employee_id",
        (rig.account_id,),
    )
    assert row is not None
    return int(row["employee_id"])


def boxes(rig: Rig) -> Mailboxes:
    return Mailboxes(rig.db, Path("/recordings"))


async def tried(rig: Rig, employee_id: int, pin: str) -> str:
    reply = await boxes(rig).open(rig.account_id, {"employee_id": employee_id, "pin": pin})
    return str(reply["result"])


async def test_a_pin_opens_its_mailbox_only(rig: Rig, anna: int) -> None:
    assert await tried(rig, anna, "2580") == "no_pin"
    await boxes(rig).set_pin(rig.account_id, "201", "2580")
    assert await tried(rig, anna, "2581") == "wrong"
    assert await tried(rig, anna, "2580") == "right"
    other = await boxes(rig).open(rig.account_id + 1, {"employee_id": anna, "pin": "2580"})
    assert other["result"] == "no_pin", "another account"
    row = await rig.db.fetch_one("select pin_hash, pin_salt from voice_mailboxes")
    assert row is not None
    assert b"2580" not in bytes(row["pin_hash"]) + bytes(row["pin_salt"])


@pytest.mark.parametrize("pin", ["123", "123456789", "1111", "1234", "12a4", "0201", "6789"])
async def test_a_pin_that_is_none(rig: Rig, anna: int, pin: str) -> None:
    if pin == "0201":
        await rig.db.execute("update employees set extension = '0201' where employee_id = %s", (anna,))
    with pytest.raises(InvalidInput, match="4 to 8 digits"):
        await boxes(rig).set_pin(rig.account_id, "0201" if pin == "0201" else "201", pin)


async def test_nobody_has_the_extension(rig: Rig) -> None:
    with pytest.raises(NotFound, match="extension 999"):
        await boxes(rig).set_pin(rig.account_id, "999", "2580")


async def test_wrong_pins_lock_the_mailbox_also_at_the_same_time(rig: Rig, anna: int) -> None:
    await boxes(rig).set_pin(rig.account_id, "201", "2580")
    results = await asyncio.gather(*(tried(rig, anna, "9999") for _ in range(12)))
    assert results.count("wrong") == ATTEMPTS_MAX
    assert await tried(rig, anna, "2580") == "locked"
    await rig.db.execute("update voice_mailboxes set locked_until = now() - interval '1 second'")
    assert await tried(rig, anna, "2580") == "right"
    assert await tried(rig, anna, "9999") == "wrong", "the count began again"
    for _ in range(ATTEMPTS_MAX):
        await tried(rig, anna, "9999")
    await boxes(rig).set_pin(rig.account_id, "201", "2580")
    assert await tried(rig, anna, "2580") == "right", "a new PIN unlocks it"


# --- messages


async def left(rig: Rig, employee_id: int | None, **changes: Any) -> str:
    """A message for an employee, whose recording is ready; its id."""
    session = new_session_id()
    recording_id = f"{session:064x}"
    events = [
        dataclasses.replace(one, data={**one.data, "employee_id": employee_id, **changes})
        if one.type is EventType.VOICE_MAIL_LEFT
        else one
        for one in call(rig.account_id, session, recorded=False, mail="x")
    ]
    await rig.happened(*events)
    await rig.db.execute(
        "insert into recordings (account_id, recording_id, call_session_id, leg_id, kind, status, wav_path)"
        " values (%s, %s, %s, 1, 'voice_mail', 'ready', 'a/b.wav')",
        (rig.account_id, recording_id, session),
    )
    ready = Event(
        rig.account_id,
        f"call:{session}",
        99,
        EventType.RECORDING_READY,
        Instant(0.0),
        {"kind": "voice_mail", "leg_id": 1, "recording_id": recording_id},
    )
    async with rig.db.connection() as connection:
        await MailboxListener().on_events(connection, [ready, ready])
    return recording_id


async def listed(rig: Rig, employee_id: int) -> list[tuple[str, bool]]:
    reply = await boxes(rig).open(rig.account_id, {"employee_id": employee_id, "pin": "2580"})
    assert all(one["file"] == "/recordings/a/b" for one in reply["messages"])
    return [(one["id"], one["is_saved"]) for one in reply["messages"]]


async def test_messages_come_are_saved_and_deleted(rig: Rig, anna: int) -> None:
    await boxes(rig).set_pin(rig.account_id, "201", "2580")
    first, second = await left(rig, anna), await left(rig, anna)
    await left(rig, None)
    await left(rig, anna, is_empty=True)
    await left(rig, anna + 999)
    assert await listed(rig, anna) == [(first, False), (second, False)]
    mark = {"employee_id": anna, "recording_id": first}
    await boxes(rig).mark(rig.account_id, {**mark, "action": "save"})
    assert await listed(rig, anna) == [(second, False), (first, True)]
    await boxes(rig).mark(rig.account_id + 1, {**mark, "action": "delete"})
    await boxes(rig).mark(rig.account_id, {**mark, "employee_id": anna + 1, "action": "delete"})
    assert len(await listed(rig, anna)) == 2, "of another account, and of another employee"
    await boxes(rig).mark(rig.account_id, {**mark, "action": "delete"})
    assert await listed(rig, anna) == [(second, False)]


async def test_a_message_goes_with_its_recording(rig: Rig, anna: int) -> None:
    await boxes(rig).set_pin(rig.account_id, "201", "2580")
    await left(rig, anna)
    kept = await left(rig, anna)
    await rig.db.execute("delete from recordings where recording_id <> %s", (kept,))
    await mailboxes.prune(rig.db)
    rows = await rig.db.fetch_all("select recording_id from voice_messages")
    assert [row["recording_id"] for row in rows] == [kept]


# --- what an employee changes by phone


async def test_an_employee_changes_the_pin(rig: Rig, anna: int) -> None:
    await boxes(rig).set_pin(rig.account_id, "201", "2580")
    changed = await boxes(rig).change_pin(rig.account_id, {"employee_id": anna, "pin": "7391"})
    assert changed == {"result": "changed"}
    assert await tried(rig, anna, "2580") == "wrong"
    assert await tried(rig, anna, "7391") == "right"
    for pin in ("1234", "0000", "123"):
        refused = await boxes(rig).change_pin(rig.account_id, {"employee_id": anna, "pin": pin})
        assert refused == {"result": "refused"}
    other = await boxes(rig).change_pin(rig.account_id + 1, {"employee_id": anna, "pin": "2580"})
    assert other == {"result": "refused"}, "another account"
    assert await tried(rig, anna, "7391") == "right"


async def sales(rig: Rig) -> int:
    row = await rig.db.fetch_one(
        "insert into employee_groups (account_id, key, name, extension) values (%s, 'sales', 'Sales', '200')"
        " returning group_id",
        (rig.account_id,),
    )
    assert row is not None
    return int(row["group_id"])


async def heard(rig: Rig, employee_id: int, group_id: int | None) -> list[str]:
    data = {"employee_id": employee_id, "group_id": group_id, "pin": "2580"}
    return [one["id"] for one in (await boxes(rig).open(rig.account_id, data))["messages"]]


async def test_messages_for_a_group_are_in_its_mailbox_only(rig: Rig, anna: int) -> None:
    group_id = await sales(rig)
    await boxes(rig).set_pin(rig.account_id, "201", "2580")
    own = await left(rig, anna, group_id=group_id)
    of_group = await left(rig, None, group_id=group_id)
    assert await heard(rig, anna, None) == [own]
    assert await heard(rig, anna, group_id) == [of_group]
    for recording_id, in_group in ((own, group_id), (of_group, None)):
        data = {"employee_id": anna, "group_id": in_group, "recording_id": recording_id, "action": "delete"}
        await boxes(rig).mark(rig.account_id, data)
    assert await heard(rig, anna, group_id) == [of_group], "a message is deleted in its own mailbox only"
    assert await heard(rig, anna, None) == [own]
    data = {"employee_id": anna, "group_id": group_id, "recording_id": of_group, "action": "delete"}
    await boxes(rig).mark(rig.account_id, data)
    assert await heard(rig, anna, group_id) == []


async def test_a_greeting_becomes_a_media_file_of_the_account(rig: Rig, anna: int, tmp_path: Path) -> None:
    spool, media = tmp_path / "spool", tmp_path / "media"
    spool.mkdir()
    media.mkdir()
    group_id = await sales(rig)
    for index, (owner, key) in enumerate(
        [(None, "greeting_201"), (group_id, "greeting_200"), (None, "greeting_201")]
    ):
        pcm = bytes([index, 0]) * 16_000
        (spool / "one.wav").write_bytes(audio.wav(pcm))
        data = {"employee_id": anna, "group_id": owner, "path": "one.wav"}
        kept = await Greetings(rig.db, spool, media).keep(rig.account_id, data)
        assert kept == {"result": "changed"}
        row = await rig.db.fetch_one(
            "select sha256, duration_ms, kind from media_files where account_id = %s and key = %s",
            (rig.account_id, key),
        )
        assert row is not None
        assert (row["duration_ms"], row["kind"]) == (2000, "user")
        assert audio.pcm_of((media / f"{row['sha256']}.wav").read_bytes()) == pcm
        assert not (spool / "one.wav").exists()
    await rig.db.execute("update employees set extension = null where employee_id = %s", (anna,))
    data = {"employee_id": anna, "group_id": None, "path": "one.wav"}
    assert (await Greetings(rig.db, spool, media).keep(rig.account_id, data))["result"] == "unchanged"
