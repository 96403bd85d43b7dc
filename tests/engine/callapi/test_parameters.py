"""Parameters by ear: spoken texts, rules that choose the number, confirmation by any key, several devices of a line."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.engine.callapi.client import ANNAS_NUMBER, MUSIC, CallApiClient
from tests.engine.setup import PRECISION
from trunkline.demo import tones
from trunkline.demo.outside import Answer, Call, Customer, Ignore
from trunkline.speech.espeak import EspeakSpeech

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first one sets the setup, maybe on a busy machine
]

TEXT = "Hello, this is a message that takes a little while to say."
DUBAI, ABU_DHABI = "97142000213", "97122000214"


def _spoken(text: str) -> dict[str, str]:
    return {"type": "tts", "value": text}


async def _seconds_of(text: str) -> float:
    pcm = await EspeakSpeech().synthesise(text, "en")
    return len(pcm) / 2 / tones.RATE


async def test_a_text_is_spoken_to_the_contact_to_its_end(client: CallApiClient) -> None:
    customer = await client.setup.customer()
    customer.on_call(Answer())
    data = await client.api(
        "start.informer_call",
        contact=customer.name,
        virtual_phone_number=ANNAS_NUMBER,
        contact_message=_spoken(TEXT),
    )
    contact = await customer.next_call()
    await contact.answered()
    await contact.ended()
    length = await _seconds_of(TEXT)
    assert contact.at_end - contact.at_answer > length - PRECISION
    ear = await contact.ear()
    # A voice pauses between words; a file that was cut short or not found would sound for less.
    assert tones.total(tones.sounding(ear.sound)) > 0.7 * length
    assert not any(tones.heard(ear.sound, client.setup.world.tones.values()).values())
    await client.gone(data["call_session_id"])


async def test_a_spoken_text_is_not_cut_short_by_switching_at_once(client: CallApiClient) -> None:
    """Employee first: the employee's text to its end, then the contact's to its end, and music meanwhile."""
    anna, customer = client.setup.anna, await client.setup.customer()
    anna.on_call(Answer())
    customer.on_call(Answer())
    session = await client.start_employee_call(
        customer,
        "employee",
        employee_message=_spoken("A call for you."),
        contact_message=_spoken(TEXT),
        media_file_id=client.media["tune"],
        switch_at_once=True,
    )
    employee = await anna.next_call()
    await employee.answered()
    contact = await customer.next_call()
    assert contact.at_dial - employee.at_answer > await _seconds_of("A call for you.") - PRECISION
    await contact.answered()
    await client.span("its text", {contact: {MUSIC}, employee: {"tune"}}, 1.0)
    await asyncio.sleep(await _seconds_of(TEXT) - 1.2)
    await client.span("talk", {contact: {employee}, employee: {contact}})
    await contact.hangup()
    await employee.ended()
    await client.prove()
    await client.gone(session)


async def test_contact_first_early_and_at_once(client: CallApiClient) -> None:
    """Early switching lets our own side hear the line, never the contact; its message ends with the answer."""
    anna, customer = client.setup.anna, await client.setup.customer()
    anna.on_call(Answer(after=1.8, early_media=True))
    customer.on_call(Answer())
    session = await client.start_employee_call(
        customer,
        "contact",
        contact_message=client.message("long_word"),
        media_file_id=client.media["tune"],
        switch_at_once=True,
        early_switching=True,
    )
    contact, employee = await customer.next_call(), await anna.next_call()
    await contact.answered()
    await client.span("its message", {contact: {"long_word"}}, 0.6)
    await employee.answered()
    await client.span("talk", {contact: {employee}, employee: {contact}})
    await contact.hangup()
    await employee.ended()
    await client.prove()
    await client.gone(session)


@pytest.mark.parametrize("first", ["operator", "contact"])
async def test_any_key_takes_a_simple_call(client: CallApiClient, first: str) -> None:
    operator, customer = await client.setup.customer(), await client.setup.customer()
    operator.on_call(Answer())
    customer.on_call(Answer())
    data = await client.api(
        "start.simple_call",
        first_call=first,
        contact=customer.name,
        operator=operator.name,
        virtual_phone_number=ANNAS_NUMBER,
        operator_confirmation="any",
    )
    ours = await operator.next_call()
    await ours.answered()
    await client.span("waits for a key", {ours: {MUSIC}}, 0.5)
    assert bool(customer.incoming) is (first == "contact")
    await ours.send_keys("8")
    contact = await customer.next_call()
    await contact.answered()
    await client.span("talk", {contact: {ours}, ours: {contact}})
    await contact.hangup()
    await ours.ended()
    await client.prove()
    await client.gone(data["call_session_id"])


# --- which number calls


async def _shown_to(client: CallApiClient, customer: Customer, **params: object) -> tuple[str, Call]:
    """The number that the contact's phone shows, of a call that nobody takes."""
    customer.on_call(Ignore())
    session = await client.start_employee_call(customer, "contact", **params)
    call = await customer.next_call()
    await client.do(session, "release.call")
    await call.ended()
    return call.number.lstrip("+"), call


async def test_a_rule_chooses_the_number(client: CallApiClient) -> None:
    """Each documented value, by what the contact's phone shows."""
    setup = client.setup
    dubai = await setup.customer_with("97142000301")
    abu_dhabi = await setup.customer_with("97122000302")
    mobile = await setup.customer()

    async def shown(customer: Customer, rule: str, named: str = DUBAI) -> str:
        number, _ = await _shown_to(
            client, customer, virtual_phone_number=named, virtual_phone_usage_rule=rule
        )
        return number

    assert await shown(abu_dhabi, "fixed") == DUBAI
    assert await shown(abu_dhabi, "random", ANNAS_NUMBER) == ANNAS_NUMBER  # of no group
    assert await shown(mobile, "random") in (DUBAI, ABU_DHABI)
    assert await shown(abu_dhabi, "regional_random") == ABU_DHABI
    assert await shown(dubai, "regional_random", ABU_DHABI) == DUBAI
    kept = await shown(mobile, "fixed_for_numa")
    assert [await shown(mobile, "fixed_for_numa", named) for named in (DUBAI, ABU_DHABI)] == [kept, kept]
    assert await shown(dubai, "regional_fixed_for_numa", ABU_DHABI) == DUBAI
    assert await shown(dubai, "regional_fixed_for_numa") == DUBAI


@pytest.mark.parametrize("show", [True, False])
async def test_the_employee_sees_the_number_that_was_chosen(client: CallApiClient, show: bool) -> None:
    setup = client.setup
    customer = await setup.customer_with("97122000302")
    customer.on_call(Answer())
    setup.anna.on_call(Ignore())
    session = await client.start_employee_call(
        customer,
        "contact",
        virtual_phone_number=DUBAI,
        virtual_phone_usage_rule="regional_random",
        show_virtual_phone_number=show,
    )
    contact, employee = await customer.next_call(), await setup.anna.next_call()
    assert contact.number.lstrip("+") == ABU_DHABI
    assert employee.number.lstrip("+") == (ABU_DHABI if show else customer.name)
    await client.do(session, "release.call")
    await asyncio.gather(contact.ended(), employee.ended())
    await client.gone(session)


# --- several devices


@pytest.mark.parametrize("first", ["employee", "contact"])
async def test_a_call_by_api_to_a_line_with_two_devices_is_recorded(
    client: CallApiClient, first: str, tmp_path: Path
) -> None:
    """Both ring; who answers talks, and the recording has both voices."""
    setup = client.setup
    tablet = await setup.phone("0260001", "Anna's tablet")
    try:
        setup.anna.on_call(Ignore())
        tablet.on_call(Answer(after=0.6))
        customer = await setup.customer()
        customer.on_call(Answer())
        before = await setup.last_id()
        session = await client.start_employee_call(customer, first)
        rang, employee = await asyncio.gather(setup.anna.next_call(), tablet.next_call())
        contact = await customer.next_call()
        await asyncio.gather(rang.ended(), employee.answered(), contact.answered())
        await client.span("talk", {contact: {employee}, employee: {contact}}, 1.0)
        await contact.hangup()
        await employee.ended()
        await client.prove()
        row = await setup.row(before, recorded=True)
        left, right = await client.recording(row, tmp_path)
        assert (set(left), set(right)) == ({contact.tone}, {employee.tone})
        await client.gone(session)
    finally:
        await tablet.unregister()
