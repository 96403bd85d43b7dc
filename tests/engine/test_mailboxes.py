"""What an employee changes by phone in a mailbox, on the whole product: the PIN, the greeting, messages for a group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio
import yaml

from tests.engine.setup import Setup
from tests.engine.test_scenarios import asked_for_pin
from tests.patience import PATIENCE
from trunkline.demo import tones
from trunkline.demo.outside import Call
from trunkline.runtime import postgres

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup of reports"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

TO_CLARA, TO_TEAM = "97140000381", "97140000382"
BEEP = 1000.0
"""Hz: the tone after which a caller speaks."""
PIN, NEW_PIN = "2580", "7391"


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def mailbox(whole_setup: Setup) -> AsyncIterator[None]:
    """Two numbers that take messages: for Clara, and for a group that she and Boris are in."""
    speak = {"kind": "voicemail", "text": "Speak."}
    file = whole_setup.folder / "mailboxes.yaml"
    document = {
        "groups": {"team": {"name": "Team", "extension": "320", "members": ["boris", "clara"]}},
        "scenarios": {
            "to_clara": {"name": "To Clara", "operations": {"leave": {**speak, "employee": "clara"}}},
            "to_team": {"name": "To the team", "operations": {"leave": {**speak, "group": "team"}}},
        },
        "virtual_numbers": {
            TO_CLARA: {"name": "To Clara", "trunk": "carrier", "rules": [{"scenario": "to_clara"}]},
            TO_TEAM: {"name": "To the team", "trunk": "carrier", "rules": [{"scenario": "to_team"}]},
        },
    }
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    await whole_setup.installation.apply(whole_setup.account, file, whole_setup.environment)
    account = str(whole_setup.account.account_id)
    for extension in ("202", "203"):
        await whole_setup.installation.run(
            "account", "mailbox-pin", extension, "--pin", PIN, "--account", account
        )
    yield


async def entered(setup: Setup, code: str, pin: str = PIN) -> Call:
    """Clara calls a mailbox and enters the PIN."""
    call = await setup.clara.dial(code)
    await asked_for_pin(call)
    await call.send_keys(f"{pin}#")
    return call


async def silence(call: Call) -> None:
    """What is played is over."""
    await asked_for_pin(call)


async def left_message(setup: Setup, number: str) -> Call:
    """A customer speaks after the beep; the message is in the mailbox then."""
    before = await setup.last_id()
    call = await (await setup.customer()).dial(number)
    await call.answered()
    await asyncio.sleep(5)
    await call.hangup()
    await call.ended()
    row = await setup.row_with(before, "voice_mail_records")
    # The report shows the recording when it is ready; the message comes by the event of that, a moment later.
    dsn = postgres.dsn(setup.installation.settings)
    params = (setup.account.account_id, row["id"])
    async with (
        asyncio.timeout(PATIENCE),
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
    ):
        query = "select 1 from voice_messages where account_id = %s and call_session_id = %s"
        while not await (await connection.execute(query, params)).fetchone():
            await asyncio.sleep(0.1)
    return call


async def test_the_pin_is_changed_by_phone(setup: Setup, mailbox: None) -> None:
    call = await entered(setup, "*98")
    await silence(call)
    await call.send_keys("9")
    await silence(call)
    await call.send_keys(f"{NEW_PIN}#")
    await silence(call)
    await call.send_keys(f"{NEW_PIN}#")
    await silence(call)
    await call.hangup()
    await call.ended()
    call = await entered(setup, "*98", PIN)
    await asked_for_pin(call)  # this PIN is wrong now
    await call.send_keys(f"{NEW_PIN}#")
    await silence(call)
    await call.send_keys("9")
    await silence(call)
    await call.send_keys(f"{PIN}#")
    await silence(call)
    await call.send_keys(f"{PIN}#")
    await silence(call)
    await call.hangup()
    await call.ended()
    call = await entered(setup, "*98")
    await silence(call)
    assert not call.is_ended
    await call.hangup()


async def test_callers_hear_the_greeting_that_the_employee_has_spoken(setup: Setup, mailbox: None) -> None:
    """The greeting is Clara's tone, which no prompt has; another number of the account keeps its prompt."""
    call = await entered(setup, "*98")
    await silence(call)
    await call.send_keys("0")
    await call.hears(BEEP, seconds=0.2)
    await asyncio.sleep(4)
    await call.send_keys("#")
    await silence(call)
    await call.hangup()
    await call.ended()
    export = await setup.installation.run("export", "--account", str(setup.account.account_id))
    assert "greeting_203" in export, setup.installation.log_tail(60)
    async with asyncio.timeout(45):
        while True:
            before = await setup.last_id()
            caller = await (await setup.customer()).dial(TO_CLARA)
            await caller.answered()
            await asyncio.sleep(4)
            await caller.hangup()
            await caller.ended()
            await setup.row(before)
            heard = tones.heard((await caller.ear()).sound, [call.tone])[call.tone]
            if tones.total(heard) > 1.0:
                break
    other = await left_message(setup, TO_TEAM)
    assert tones.total(tones.heard((await other.ear()).sound, [call.tone])[call.tone]) < 0.3


async def over(setup: Setup, call: Call) -> None:
    """Hang up; the line, which has one channel, is free then."""
    await call.hangup()
    await call.ended()
    async with asyncio.timeout(PATIENCE):
        while await setup.living():
            await asyncio.sleep(0.05)


async def test_members_hear_the_messages_for_their_group(setup: Setup, mailbox: None) -> None:
    dsn = postgres.dsn(setup.installation.settings)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:  # messages of tests before this one
        await connection.execute(
            "delete from voice_messages where account_id = %s", (setup.account.account_id,)
        )
    caller = await left_message(setup, TO_TEAM)
    own = await entered(setup, "*98")
    await silence(own)
    assert not tones.heard((await own.ear()).sound, [caller.tone])[caller.tone], (
        "it is in no employee's mailbox"
    )
    await over(setup, own)
    call = await entered(setup, "*98320")
    await call.hears(caller.tone)
    await call.send_keys("3")
    await silence(call)
    await over(setup, call)
    call = await entered(setup, "*98320")
    await silence(call)
    assert not tones.heard((await call.ear()).sound, [caller.tone])[caller.tone], "it is deleted"
    await call.hangup()
    await call.ended()
    outsider = await setup.anna.dial("*98320")
    await outsider.ended()
    assert not outsider.is_answered
