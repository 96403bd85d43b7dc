"""The examples of docs/scenarios.md, applied as they are and played with real calls, tones and keys."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from email.message import EmailMessage

import psycopg
import pytest
import pytest_asyncio
import yaml

from tests import scenario_examples
from tests.engine.setup import Setup
from trunkline.demo import tones
from trunkline.demo.outside import Answer, Call, Customer, busy
from trunkline.runtime import postgres
from trunkline.speech.audio import decode
from trunkline.telephony.ari import AriError

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

FIRST_NUMBER = 97140000300
REGULAR = "12025550142"
"""The contact of the examples' company."""


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def numbers(whole_setup: Setup) -> AsyncIterator[dict[str, str]]:
    """Each scenario of the page has a virtual number of its own."""
    scenarios = scenario_examples.scenarios()
    numbers = {key: str(FIRST_NUMBER + n) for n, key in enumerate(scenarios)}
    file = whole_setup.folder / "scenarios.yaml"
    added = {
        number: {"name": key, "trunk": "carrier", "rules": [{"scenario": key}]}
        for key, number in numbers.items()
    }
    file.write_text(yaml.safe_dump({"scenarios": scenarios, "virtual_numbers": added}, sort_keys=False))
    await whole_setup.installation.apply(whole_setup.account, file, whole_setup.environment)
    yield numbers


async def talks(setup: Setup, call: Call, name: str) -> None:
    """The caller is connected to this employee; then the caller hangs up, and the employee is free again."""
    phone = await getattr(setup, name).next_call()
    await phone.answered()
    await call.hears(phone.tone)
    await call.hangup()
    await asyncio.gather(call.ended(), phone.ended())
    await setup.nobody_left()


def all_answer(setup: Setup) -> None:
    for phone in (setup.anna, setup.boris):
        phone.on_call(Answer())


async def from_number(setup: Setup, number: str) -> Customer:
    return await setup.customer_with(number)


async def test_an_announcement_is_skipped_with_a_key(setup: Setup, numbers: dict[str, str]) -> None:
    all_answer(setup)
    call = await (await setup.customer()).dial(numbers["announcement"])
    await call.answered()
    await asyncio.sleep(0.5)
    pressed = asyncio.get_running_loop().time()
    await call.send_keys("1")
    phone = await setup.anna.next_call()
    await phone.answered()
    # Both announcements last more than three seconds; the greeting behind them under two.
    assert asyncio.get_running_loop().time() - pressed < 3.0
    await call.hangup()
    await phone.ended()


async def test_a_split_and_a_group_and_a_list_choose_who_is_called(
    setup: Setup, numbers: dict[str, str]
) -> None:
    all_answer(setup)
    await talks(setup, await (await setup.customer()).dial(numbers["split"]), "anna")
    regular = await from_number(setup, REGULAR)
    await talks(setup, await regular.dial(numbers["by_group"]), "anna")
    await talks(setup, await (await setup.customer()).dial(numbers["by_group"]), "boris")
    partner = await from_number(setup, "442079460911")
    await talks(setup, await partner.dial(numbers["by_list"]), "anna")
    await talks(setup, await regular.dial(numbers["by_list"]), "boris")


async def test_the_region_of_the_caller(setup: Setup, numbers: dict[str, str]) -> None:
    all_answer(setup)
    await talks(setup, await (await setup.customer()).dial(numbers["by_region"]), "anna")
    london = await from_number(setup, "442079460912")
    await talks(setup, await london.dial(numbers["by_region"]), "boris")
    before = await setup.last_id()
    call = await (await from_number(setup, REGULAR)).dial(numbers["by_region"])
    await call.ended()
    assert (call.is_answered, call.cause) == (False, 21)
    assert (await setup.row(before))["finish_reason"] == "scenario_disconnects"


async def test_the_usual_employee_is_called_first(setup: Setup, numbers: dict[str, str]) -> None:
    customer = await setup.customer()
    # Anna is first in turn, and does not answer: the first talk is Boris's.
    setup.boris.on_call(Answer())
    setup.anna.on_call(busy())
    await talks(setup, await customer.dial(numbers["usual"]), "boris")
    all_answer(setup)
    setup.anna.forget()
    await talks(setup, await customer.dial(numbers["usual"]), "boris")
    # A stranger gets the first of the group.
    await talks(setup, await (await setup.customer()).dial(numbers["usual"]), "anna")


async def test_a_scenario_tags_the_call(setup: Setup, numbers: dict[str, str]) -> None:
    all_answer(setup)
    before = await setup.last_id()
    await talks(setup, await (await setup.customer()).dial(numbers["tagged"]), "anna")
    row = await setup.row(before)
    assert await setup.tags(row["id"]) == ["Important"]


async def test_a_sub_scenario_returns(setup: Setup, numbers: dict[str, str]) -> None:
    all_answer(setup)
    before = await setup.last_id()
    await talks(setup, await (await setup.customer()).dial(numbers["with_welcome"]), "anna")
    row = await setup.row(before)
    assert row["scenario_name"] == "with_welcome"


async def test_a_hang_up_with_a_cause(setup: Setup, numbers: dict[str, str]) -> None:
    before = await setup.last_id()
    call = await (await setup.customer()).dial(numbers["busy"])
    await call.ended()
    assert (call.is_answered, call.cause) == (False, 17)
    assert (await setup.row(before))["finish_reason"] == "scenario_disconnects"


# --- menus


async def in_menu(setup: Setup, number: str) -> Call:
    """A caller who hears the prompt."""
    call = await (await setup.customer()).dial(number)
    await call.answered()
    await asyncio.sleep(0.5)
    return call


@pytest.mark.parametrize(
    ("key", "name"), [("1", "anna"), ("2", "boris"), ("48213", "anna"), ("482131", "anna")]
)
async def test_keys_of_a_menu_lead_to_their_operations(
    setup: Setup, numbers: dict[str, str], key: str, name: str
) -> None:
    all_answer(setup)
    call = await in_menu(setup, numbers["menu"])
    await call.send_keys(key)
    await talks(setup, call, name)


async def test_who_presses_nothing_hears_the_prompt_again_and_then_the_call_ends(
    setup: Setup, numbers: dict[str, str]
) -> None:
    before = await setup.last_id()
    call = await in_menu(setup, numbers["menu"])
    await call.ended()
    row = await setup.row(before)
    assert (row["finish_reason"], row["is_lost"]) == ("ivr_timeout", True)
    # Two prompts, and two seconds after each.
    assert row["total_duration"] > 8


async def test_a_wrong_key_is_said_and_the_last_one_takes_its_branch(
    setup: Setup, numbers: dict[str, str]
) -> None:
    before = await setup.last_id()
    call = await in_menu(setup, numbers["menu"])
    await call.send_keys("*")
    await asyncio.sleep(1)
    assert not call.is_ended
    await call.send_keys("*")
    await call.ended()
    assert (await setup.row(before))["finish_reason"] == "scenario_disconnects"


@pytest.mark.parametrize(
    ("keys", "name"), [("202", "boris"), ("310", "anna"), ("999", "anna"), ("20", "anna")]
)
async def test_an_extension_is_dialled(setup: Setup, numbers: dict[str, str], keys: str, name: str) -> None:
    """A wrong one, and one that is not finished in time, lead to the team, in turn."""
    all_answer(setup)
    call = await in_menu(setup, numbers["extensions"])
    await call.send_keys(keys)
    await talks(setup, call, name)


async def test_a_killed_switch_repeats_the_menu(setup: Setup, numbers: dict[str, str]) -> None:
    all_answer(setup)
    call = await in_menu(setup, numbers["menu"])
    killed = setup.installation.kill("switch")
    await setup.installation.wait_restarted("switch", killed)
    await asyncio.sleep(1)
    assert not call.is_ended
    await call.send_keys("2")
    await talks(setup, call, "boris")


# --- mail


async def mails_to(setup: Setup, *addresses: str) -> dict[str, EmailMessage]:
    """The mails since the test began, once these addresses have one each."""
    async with asyncio.timeout(90):
        while True:
            found = {str(mail["To"]): mail for mail in setup.mail_server.got}
            if found.keys() >= set(addresses):
                return found
            await asyncio.sleep(0.1)


async def test_a_notification_is_mailed_and_delivered(setup: Setup, numbers: dict[str, str]) -> None:
    all_answer(setup)
    setup.mail_server.got.clear()
    before = await setup.last_id()
    customer = await setup.customer()
    await talks(setup, await customer.dial(numbers["notify"]), "anna")
    mail = (await mails_to(setup, "workshop@example.com"))["workshop@example.com"]
    assert "A call for the workshop" in mail.get_content()
    assert f"+{customer.identity.user}" in mail["Subject"]
    assert "scenario_notification" in await setup.reported(
        (await setup.row(before))["id"], ["scenario_notification", "call_session_finished"]
    )


@pytest.mark.parametrize("killed", [False, True])
async def test_a_voice_message_is_mailed_with_its_recording(
    setup: Setup, numbers: dict[str, str], killed: bool
) -> None:
    """Also when the worker is killed as soon as the caller hangs up: each address has one mail."""
    setup.mail_server.got.clear()
    call = await (await setup.customer()).dial(numbers["message"])
    await call.answered()
    await asyncio.sleep(6)  # the prompt, the beep, and some seconds of the caller's tone
    await call.hangup()
    await call.ended()
    if killed:
        worker = setup.installation.kill("worker")
        await setup.installation.wait_restarted("worker", worker)
    found = await mails_to(setup, "office@example.com", "anna@example.com")
    for mail in found.values():
        [part] = mail.iter_attachments()
        heard = tones.heard(tones.from_pcm(decode(part.get_content())), {call.tone})
        assert tones.total(heard[call.tone]) > 1.0
    await asyncio.sleep(2)
    assert len(setup.mail_server.got) == 2
    assert len({mail["Message-ID"] for mail in setup.mail_server.got}) == 2


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
async def test_a_voice_message_goes_on_while_the_switch_is_away(
    setup: Setup, numbers: dict[str, str], sent: signal.Signals
) -> None:
    """The caller goes on to speak, and a key ends the message after that; nothing is lost or doubled."""
    setup.mail_server.got.clear()
    before = await setup.last_id()
    call = await (await setup.customer()).dial(numbers["message"])
    await call.answered()
    await asyncio.sleep(6)  # the prompt, the beep, and some seconds of the caller's tone
    ended = int(setup.installation.process("switch")["pid"])
    os.kill(ended, sent)
    await setup.installation.wait_restarted("switch", ended)
    await asyncio.sleep(4)
    assert not call.is_ended
    await call.send_keys("#")
    await call.ended(timeout=20)
    row = await setup.row_with(before, "voice_mail_records")
    assert row["finish_reason"] == "no_operation"
    sound = await setup.voice_mail(row)
    assert list(sound) == [call.tone]
    assert sound[call.tone] > 5.0
    await mails_to(setup, "office@example.com", "anna@example.com")
    await asyncio.sleep(2)
    assert len(setup.mail_server.got) == 2


@pytest.mark.parametrize("away", ["before the end", "after the end"])
async def test_a_voice_message_whose_events_are_lost(
    setup: Setup, numbers: dict[str, str], away: str
) -> None:
    """PostgreSQL takes no events and the switch is killed: answer and message are in the report, and the mails are sent."""
    setup.mail_server.got.clear()
    before = await setup.last_id()
    customer = await setup.customer()
    dsn = postgres.dsn(setup.installation.settings)
    async with await psycopg.AsyncConnection.connect(dsn) as locking:
        await locking.execute("lock table call_events, call_sessions, outbox in access exclusive mode")
        call = await customer.dial(numbers["message"])
        await call.answered()
        await asyncio.sleep(7)
        killed = setup.installation.kill("switch")
        await asyncio.sleep(2)
        if away == "after the end":
            await call.hangup()
            await call.ended()
    await setup.installation.wait_restarted("switch", killed)
    await asyncio.sleep(2)
    if away == "before the end":
        assert not call.is_ended
        await call.hangup()
        await call.ended()
    row = await setup.row_with(before, "voice_mail_records")
    assert row["finish_reason"] == "caller_disconnects"
    sound = await setup.voice_mail(row)
    assert list(sound) == [call.tone]
    assert sound[call.tone] > 3.0
    await mails_to(setup, "office@example.com", "anna@example.com")
    await asyncio.sleep(2)
    assert len(setup.mail_server.got) == 2


async def test_voice_mail_ends_when_the_spool_cannot_be_written(
    setup: Setup, numbers: dict[str, str]
) -> None:
    """At once, and also once the switch has noticed; ``trunkline status`` has the problem meanwhile."""
    spool = setup.installation.settings.spool_dir
    aside = spool.with_name("spool aside")
    spool.rename(aside)
    spool.write_text("a file is in the place of the folder")
    try:
        for is_noticed in (False, True):
            if is_noticed:
                async with asyncio.timeout(30):
                    while f"{spool} cannot be written" not in await status_of(setup):
                        await asyncio.sleep(0.5)
            call = await (await setup.customer()).dial(numbers["message"])
            await call.answered()
            await call.ended(timeout=25)  # the prompt takes some seconds
    finally:
        spool.unlink()
        aside.rename(spool)
    async with asyncio.timeout(20):
        while "cannot be written" in await status_of(setup):
            await asyncio.sleep(0.5)


async def status_of(setup: Setup) -> str:
    """The output of ``trunkline status``, whatever its exit code is."""
    try:
        return await setup.installation.run("status")
    except RuntimeError as error:
        return str(error)


# --- by the API


async def test_a_call_of_the_api_goes_through_a_menu(setup: Setup, numbers: dict[str, str]) -> None:
    """``start.scenario_call``: the contact is called, then chooses in the menu of the scenario."""
    all_answer(setup)
    customer = await setup.customer()
    customer.on_call(Answer(after=0.3))
    scenarios = await setup.installation.data_api(setup.account, "get.scenarios")
    [menu] = [one["id"] for one in scenarios["data"] if one["name"] == "menu"]
    await setup.installation.call_api(
        setup.account,
        "start.scenario_call",
        first_call="contact",
        virtual_phone_number=numbers["menu"],
        contact=customer.identity.user,
        scenario_id=menu,
    )
    call = await customer.next_call()
    await call.answered()
    await asyncio.sleep(1)
    await call.send_keys("2")
    await talks(setup, call, "boris")


# --- the mailbox by phone


async def hears_file(call: Call, tone: float) -> None:
    """A message with this tone is played to the call."""
    await call.hears(tone, seconds=0.5, timeout=30)


async def test_an_employee_hears_saves_and_deletes_messages_by_phone(
    setup: Setup, numbers: dict[str, str]
) -> None:
    await setup.installation.run(
        "account", "mailbox-pin", "201", "--pin", "2580", "--account", str(setup.account.account_id)
    )
    await empty_mailbox(await setup.anna.dial("*98"))  # of messages of other tests
    setup.mail_server.got.clear()
    caller = await (await setup.customer()).dial(numbers["message"])
    await caller.answered()
    await asyncio.sleep(6)
    await caller.hangup()
    await caller.ended()
    await mails_to(setup, "anna@example.com")  # the message is ready
    # A wrong PIN first, then the right one.
    call = await setup.anna.dial("*98")
    await asked_for_pin(call)
    await call.send_keys("9999#")
    await asked_for_pin(call)
    await call.send_keys("2580#")
    await hears_file(call, caller.tone)
    await call.send_keys("2")  # saved
    await asyncio.sleep(1)
    await call.hangup()
    await call.ended()
    # The saved one is still there, and is deleted.
    call = await setup.anna.dial("*98")
    await asked_for_pin(call)
    await call.send_keys("2580#")
    await hears_file(call, caller.tone)
    assert len(await setup.living()) == 1
    await call.hangup()
    await call.ended()
    await empty_mailbox(await setup.anna.dial("*98"))
    # Nothing is left.
    call = await setup.anna.dial("*98")
    await asked_for_pin(call)
    await call.send_keys("2580#")
    await call.ended()
    sound = (await call.ear()).sound
    assert not any(tones.heard(sound, setup.world.tones.values()).values())


async def empty_mailbox(call: Call) -> None:
    """Delete each message; the call ends after the last one."""
    await asked_for_pin(call)
    await call.send_keys("2580#")
    async with asyncio.timeout(60):
        while not call.is_ended:
            await asyncio.sleep(0.7)
            with contextlib.suppress(AriError):  # it ended at this moment
                await call.send_keys("3")


async def asked_for_pin(call: Call) -> None:
    """What is said before the PIN is over: no further sound comes."""
    await call.answered()
    past, spoken, loop = len((await call.ear()).sound), 0.0, asyncio.get_running_loop()
    last = loop.time()
    async with asyncio.timeout(30):
        while not spoken or loop.time() - last < 1.2:
            await asyncio.sleep(0.1)
            now = tones.total(tones.sounding((await call.ear()).sound[past:]))
            if now > spoken:
                spoken, last = now, loop.time()
