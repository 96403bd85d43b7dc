"""Uploads as a customer sees them: over HTTP, through `trunkline up`, and through a web process that is killed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import psycopg
import pytest
import pytest_asyncio

from tests.uploads import sounds
from tests.uploads.customer import MP3, WAV, sends
from tests.uploads.rig import ALL_EVENTS, call
from tests.uploads.whole import DAY, Whole, whole_product
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.speech.audio import RATE, SAMPLE_BYTES, decode

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("whole uploads"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),  # the first one starts the product, maybe on a busy machine
]

BATCH = 20
SENDERS = 6


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(
    asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Whole]:
    async with whole_product(tmp_path_factory.mktemp("whole")) as product:
        yield product


async def reported(whole: Whole, *ext_ids: str, fields: list[str]) -> dict[str, dict[str, Any]]:
    """Rows of ``get.calls_report`` by ``ext_id``; twice the same call fails."""
    rows = await whole.rows("get.calls_report", **DAY, fields=["ext_id", *fields])
    found = [row for row in rows if row["ext_id"] in ext_ids]
    assert len(found) == len({row["ext_id"] for row in found})
    return {row["ext_id"]: row for row in found}


async def length(whole: Whole, url: str, token: str = "") -> float:
    """Seconds of an MP3 that is public, or for a session."""
    status, body = await whole.installation.get(url, {"Authorization": f"Bearer {token}"} if token else {})
    assert status == 200, (url, body)
    return len(decode(body)) / SAMPLE_BYTES / RATE


async def test_from_login_to_the_sound(whole: Whole) -> None:
    callback = {"callback": {"url": whole.receiver.url, "events": ALL_EVENTS}}

    def recorded(ext_id: str, url: str) -> dict[str, Any]:
        record = {"employee_channel": "left", "employee_name": "Ruiz Ana", "record_url": url}
        return call(ext_id, wav_records=[record], **callback)

    good = whole.trusted.serve("/good.wav", sends(sounds.wav(), WAV))
    untrusted = whole.stranger.serve("/good.wav", sends(sounds.wav(), WAV))
    answer = await whole.ask("upload.calls", calls=[recorded("fine", good), recorded("untrusted", untrusted)])
    assert answer == {"success": True}

    rows = await whole.settled({"fine", "untrusted"})
    assert {name: (row["status"], row["error_code"]) for name, row in rows.items()} == {
        "fine": ("processed", None),
        "untrusted": ("error", "connection_download_error"),
    }
    assert whole.stranger.asked == []  # nothing was sent to a server without a valid certificate
    accepted = await whole.receiver.wait_for(lambda got: len({outline(one.json()) for one in got}) == 4)
    bodies = {outline(one.json()): one.json() for one in accepted}
    assert set(bodies) == {
        ("fine", "in_process"),
        ("fine", "processed"),
        ("untrusted", "in_process"),
        ("untrusted", "error"),
    }
    assert bodies["untrusted", "error"]["error_code"] == "connection_download_error"
    assert "certificate" in bodies["untrusted", "error"]["error_message"].lower()

    fields = [
        "id",
        "call_records",
        "full_record_file_link",
        "talk_duration",
        "first_talked_employee_full_name",
    ]
    shown = await reported(whole, "fine", "untrusted", fields=fields)
    assert list(shown) == ["fine"]
    row = shown["fine"]
    assert row["id"] == rows["fine"]["call_session_id"] == bodies["fine", "processed"]["call_session_id"]
    assert (row["talk_duration"], row["first_talked_employee_full_name"]) == (20, "Ruiz Ana")
    [record] = row["call_records"]
    own = f"{whole.installation.url}/system/media/talk/{row['id']}/{record}/"
    assert await length(whole, row["full_record_file_link"]) == pytest.approx(17, abs=0.2)
    assert await length(whole, own, whole.token) == pytest.approx(17, abs=0.2)


def outline(body: dict[str, Any]) -> tuple[str, str]:
    return body["ext_id"], body["status"]


async def test_a_call_that_was_handed_on_twice(whole: Whole) -> None:
    """Each of three employees has a leg with the own recording, and all legs are the talk."""
    seconds = {"Ruiz Ana": 6, "Stone Mira": 8, "Kato Jun": 10}
    records = [
        {
            "employee_name": name,
            "record_url": whole.trusted.serve(f"/{one}.mp3", sends(sounds.mp3(float(one)), MP3)),
        }
        for name, one in seconds.items()
    ]
    handed_on = call(
        "handed on",
        calling_phone_number="12025550177",
        finish_time="2026-03-03 12:00:34",
        talk_duration=24,
        is_transfer=True,
        mp3_records=records,
    )
    await whole.ask("upload.calls", calls=[handed_on])
    [settled] = (await whole.settled({"handed on"})).values()
    assert settled["status"] == "processed", settled
    fields = [
        "id", "is_transfer", "call_records", "employees", "first_talked_employee_full_name",
        "last_talked_employee_full_name", "talk_duration",
    ]  # fmt: skip
    row = (await reported(whole, "handed on", fields=fields))["handed on"]
    assert (row["is_transfer"], row["talk_duration"]) == (True, 24)
    assert [one["employee_full_name"] for one in row["employees"]] == list(seconds)
    assert {one["is_talked"] for one in row["employees"]} == {True}
    assert (row["first_talked_employee_full_name"], row["last_talked_employee_full_name"]) == (
        "Ruiz Ana",
        "Kato Jun",
    )

    fields = [
        "id", "call_session_id", "employee_id", "employee_full_name", "duration", "is_operator", "is_talked",
        "is_transfered", "call_records", "start_time",
    ]  # fmt: skip
    condition = {"field": "call_session_id", "operator": "=", "value": row["id"]}
    legs = await whole.rows("get.call_legs_report", **DAY, fields=fields, filter=condition)
    [contact] = [leg for leg in legs if not leg["is_operator"]]
    assert (contact["duration"], contact["call_records"]) == (24, [])
    operators = [leg for leg in legs if leg["is_operator"]]
    assert [(leg["employee_full_name"], leg["duration"], leg["is_transfered"]) for leg in operators] == [
        ("Ruiz Ana", 6, False),
        ("Stone Mira", 8, True),
        ("Kato Jun", 10, True),
    ]
    own = [leg["call_records"] for leg in operators]
    assert sorted(one for [one] in own) == sorted(row["call_records"])
    for [record], expected in zip(own, seconds.values(), strict=True):
        url = f"{whole.installation.url}/system/media/talk/{row['id']}/{record}/"
        assert await length(whole, url, whole.token) == pytest.approx(expected, abs=0.2)

    # The other lists of the same call, and each employee's part of it.
    [flat] = [
        one
        for one in await whole.rows("get.calls", **DAY, report_id=1, fields=["communication_id", "cdrs"])
        if int(one["communication_id"]) == row["id"]
    ]
    assert sorted(int(leg["id"]) for leg in flat["cdrs"]) == sorted(leg["id"] for leg in legs)
    communications = await whole.rows("get.communications_report", **DAY, fields=["id", "communication_type"])
    assert {"id": row["id"], "communication_type": "call"} in communications
    for leg in operators:
        by_employee = {"field": "employee_id", "operator": "=", "value": leg["employee_id"]}
        found = await whole.rows("get.calls_report", **DAY, fields=["id"], filter=by_employee)
        assert row["id"] in [one["id"] for one in found]


# --- killed web processes


async def send(whole: Whole, batch: list[dict[str, Any]]) -> bool:
    """Whether the upload was answered; it was accepted then."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError):
        return bool((await whole.ask("upload.calls", calls=batch))["success"])
    return False


def batch_of(name: str) -> list[dict[str, Any]]:
    return [call(f"{name}-{number}", tags=[{"tag_name": "Killed"}]) for number in range(BATCH)]


async def kept(whole: Whole, name: str) -> set[str]:
    """What of a batch was accepted."""
    return {ext_id for ext_id in await whole.uploaded() if ext_id.rpartition("-")[0] == name}


async def check_once(whole: Whole, *names: str) -> None:
    """All calls of the batches are in the reports, each once, with its tag and its number."""
    wanted = {one["ext_id"] for name in names for one in batch_of(name)}
    rows = await whole.settled(wanted)
    assert {row["status"] for row in rows.values()} == {"processed"}
    shown = await reported(whole, *wanted, fields=["id", "tags", "communication_number"])
    assert set(shown) == wanted
    assert {row["id"] for row in shown.values()} == {row["call_session_id"] for row in rows.values()}
    assert all([tag["tag_name"] for tag in row["tags"]] == ["Killed"] for row in shown.values())
    numbers = [row["communication_number"] for row in shown.values()]
    assert len(set(numbers)) == len(numbers)


async def killed_while(whole: Whole, busy: Callable[[], Awaitable[None]]) -> None:
    """Kill the web process once ``busy`` returns, and wait for the next one."""
    await busy()
    pid = whole.installation.kill("web")
    await whole.installation.wait_restarted("web", pid)


async def test_killed_in_the_middle_of_an_upload(whole: Whole) -> None:
    """The rows wait for a lock when the process dies: none of them stays, and the retry counts once."""
    batch = batch_of("middle")
    async with await psycopg.AsyncConnection.connect(whole.dsn) as holder:
        await holder.execute("lock table uploaded_calls in share mode")
        sending = asyncio.create_task(send(whole, batch))

        async def waits() -> None:
            async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(whole.dsn) as watcher:
                await watcher.set_autocommit(True)
                while not await (await watcher.execute(_WAITING)).fetchone():
                    await asyncio.sleep(0.01)

        await killed_while(whole, waits)
        assert await sending is False
        await holder.rollback()
    async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(whole.dsn) as watcher:
        await watcher.set_autocommit(True)
        while await (await watcher.execute(_INSERTING)).fetchone():
            await asyncio.sleep(0.01)
    assert await kept(whole, "middle") == set()
    assert await send(whole, batch)
    assert await send(whole, batch)
    await check_once(whole, "middle")


_INSERTING = """
select 1 from pg_stat_activity where query like '%insert into uploaded_calls%' and state <> 'idle'
    and pid <> pg_backend_pid()
"""
_WAITING = f"{_INSERTING} and wait_event_type = 'Lock'"


async def test_killed_right_after_the_answer(whole: Whole) -> None:
    for number in range(3):
        name = f"answered{number}"

        async def answered(name: str = name) -> None:
            assert await send(whole, batch_of(name))

        await killed_while(whole, answered)
        assert len(await kept(whole, name)) == BATCH
        assert await send(whole, batch_of(name))
    await check_once(whole, *(f"answered{number}" for number in range(3)))


async def test_killed_under_load(whole: Whole) -> None:
    """What was answered is there; each batch is there as a whole or not at all; the client's retry makes it whole."""
    answers: dict[str, bool] = {}
    enough = asyncio.Event()

    async def client(sender: int) -> None:
        number = 0
        while not enough.is_set() or number < 3:
            name = f"load{sender}_{number}"
            answers[name] = await send(whole, batch_of(name))
            number += 1
            if not answers[name]:
                break

    async def some() -> None:
        async with asyncio.timeout(60):
            while sum(answers.values()) < SENDERS:
                await asyncio.sleep(0.005)

    clients = [asyncio.create_task(client(sender)) for sender in range(SENDERS)]
    await killed_while(whole, some)
    enough.set()
    await asyncio.gather(*clients)
    unheard = {name for name, heard in answers.items() if not heard}
    assert unheard, "nothing was under way when it was killed"
    for name, heard in answers.items():
        there = len(await kept(whole, name))
        assert there == BATCH if heard else there in (0, BATCH), name
    for name in answers:
        assert await send(whole, batch_of(name))
    await check_once(whole, *answers)
