"""Calls started by the API: who is called when, what each hears until they talk, as in the pages of the reference."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.callapi.client import ANNAS_NUMBER, BORIS_WITH_MESSAGE_NUMBER, MUSIC, CallApiClient
from tests.engine.setup import MEDIA_SECONDS, PRECISION
from trunkline.demo.outside import Answer, Ignore, Party, What, busy

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
]


async def _end(client: CallApiClient, session: int, *parties: Party) -> None:
    """Somebody hangs up: everybody is gone."""
    calls = [call for party in parties for call in party.calls]
    await calls[0].hangup()
    await asyncio.gather(*(call.ended() for call in calls))
    await client.prove()
    await client.gone(session)


@pytest.mark.parametrize("at_once", [False, True])
async def test_employee_first_with_messages(client: CallApiClient, at_once: bool) -> None:
    """The employee hears the whole message, then music while the contact is called; the contact its own unless at once."""
    anna, customer = client.setup.anna, await client.setup.customer()
    anna.on_call(Answer())
    customer.on_call(Answer(after=1.2))
    session = await client.start_employee_call(
        customer,
        "employee",
        employee_message=client.message("word_to_employee"),
        contact_message=client.message("word_to_contact"),
        media_file_id=client.media["tune"],
        switch_at_once=at_once,
    )
    employee = await anna.next_call()
    await employee.answered()
    await client.span("his message", {employee: {"word_to_employee"}}, 0.4)
    assert customer.incoming == []
    contact = await customer.next_call()
    assert contact.at_dial - employee.at_answer > MEDIA_SECONDS["word_to_employee"] - PRECISION
    await client.span("the contact rings", {employee: {"tune"}}, 0.5)
    await contact.answered()
    if not at_once:
        await client.span("its message", {contact: {"word_to_contact"}, employee: {"tune"}}, 0.4)
        await asyncio.sleep(0.5)
    await client.span("talk", {contact: {employee}, employee: {contact}})
    await _end(client, session, customer, anna)


@pytest.mark.parametrize("at_once", [False, True])
async def test_contact_first_with_messages(client: CallApiClient, at_once: bool) -> None:
    """While it hears its message the employee is called; at once cuts it short, else both hear theirs to the end."""
    anna, customer = client.setup.anna, await client.setup.customer()
    anna.on_call(Answer(after=0.8))
    customer.on_call(Answer())
    session = await client.start_employee_call(
        customer,
        "contact",
        contact_message=client.message("long_word" if at_once else "word_to_contact"),
        employee_message=client.message("word_to_employee"),
        media_file_id=client.media["tune"],
        switch_at_once=at_once,
    )
    contact = await customer.next_call()
    await contact.answered()
    employee = await anna.next_call()
    assert employee.at_dial - contact.at_answer < MEDIA_SECONDS["long_word" if at_once else "word_to_contact"]
    await employee.answered()
    if not at_once:
        await asyncio.sleep(0.1)
        await client.span("his message", {employee: {"word_to_employee"}, contact: {"tune"}}, 0.4)
        await asyncio.sleep(0.6)
    await client.span("talk", {contact: {employee}, employee: {contact}})
    await _end(client, session, customer, anna)


@pytest.mark.parametrize("first", ["employee", "contact"])
async def test_without_messages_music_plays_until_they_talk(client: CallApiClient, first: str) -> None:
    anna, customer = client.setup.anna, await client.setup.customer()
    second, waiting = (customer, anna) if first == "employee" else (anna, customer)
    waiting.on_call(Answer())
    second.on_call(Answer(after=1.6))
    session = await client.start_employee_call(customer, first, media_file_id=client.media["tune"])
    one = await waiting.next_call()
    await one.answered()
    other = await second.next_call()
    await client.span("ringing", {one: {"tune"}})
    await other.answered()
    await client.span("talk", {one: {other}, other: {one}})
    await _end(client, session, customer, anna)


async def test_the_systems_music_plays_when_none_is_named(client: CallApiClient) -> None:
    anna, customer = client.setup.anna, await client.setup.customer()
    anna.on_call(Answer(after=1.8))
    customer.on_call(Answer())
    session = await client.start_employee_call(customer, "contact")
    contact = await customer.next_call()
    await contact.answered()
    await client.span("ringing", {contact: {MUSIC}})
    await (await anna.next_call()).answered()
    await _end(client, session, customer, anna)


@pytest.mark.parametrize("early", [False, True])
async def test_early_switching_lets_the_employee_hear_the_line(client: CallApiClient, early: bool) -> None:
    anna, customer = client.setup.anna, await client.setup.customer()
    anna.on_call(Answer())
    customer.on_call(Answer(after=2.0, early_media=True))
    session = await client.start_employee_call(
        customer, "employee", early_switching=early, media_file_id=client.media["tune"]
    )
    employee, contact = await anna.next_call(), await customer.next_call()
    await contact.wait(What.EARLY_MEDIA)
    await client.span("early", {employee: {contact} if early else {"tune"}})
    await contact.answered()
    await client.span("talk", {contact: {employee}, employee: {contact}})
    await _end(client, session, customer, anna)


async def test_keys_are_sent_to_the_contact_with_their_pauses(client: CallApiClient) -> None:
    talk = await client.talk_by_api("employee", dtmf_string=".12.3")
    assert talk.contact.keys == ""
    await client.span("keys are sent", {talk.employee: {talk.contact}}, 0.6)
    await asyncio.sleep(2.5)
    assert talk.contact.keys == "123"
    await client.span("talk", {talk.contact: {talk.employee}, talk.employee: {talk.contact}})
    await talk.contact.hangup()
    await talk.employee.ended()
    await client.prove()
    await client.gone(talk.call_session_id)


@pytest.mark.parametrize("show", [True, False])
async def test_which_number_the_employee_sees(client: CallApiClient, show: bool) -> None:
    talk = await client.talk_by_api(show_virtual_phone_number=show, external_id="order-17", direction="out")
    assert talk.employee.number.lstrip("+") == (ANNAS_NUMBER if show else talk.contact.party)
    assert talk.contact.number.lstrip("+") == ANNAS_NUMBER
    living = await client.living(talk.call_session_id)
    assert living is not None
    assert (living["external_id"], living["direction"]) == ("order-17", "out")
    assert {leg["state"] for leg in living["legs"]} == {"Conversation"}
    await talk.contact.hangup()
    await talk.employee.ended()
    row = await client.setup.row(talk.before)
    assert (row["direction"], row["source"], row["finish_reason"]) == ("out", "callapi", "caller_disconnects")


async def test_an_employees_phones_are_tried_in_turn(client: CallApiClient) -> None:
    """The first is offline, the second does not answer, the third does."""
    second, third = (
        await client.setup.customer_with("971500000091"),
        await client.setup.customer_with("971500000092"),
    )
    second.on_call(Ignore())
    third.on_call(Answer())
    customer = await client.setup.customer()
    customer.on_call(Answer())
    session = await client.start_employee_call(
        customer, "employee", employee={"id": await client.employee_id("Gina")}
    )
    missed = await second.next_call()
    await missed.ended()
    employee = await third.next_call()
    assert employee.at_dial >= missed.at_end - 0.3
    contact = await customer.next_call()
    await contact.answered()
    await client.span("talk", {contact: {employee}, employee: {contact}})
    await _end(client, session, customer, third)


@pytest.mark.parametrize("first", ["employee", "contact"])
@pytest.mark.parametrize("missing", ["first", "second"])
async def test_a_party_is_not_reached(client: CallApiClient, first: str, missing: str) -> None:
    before = await client.setup.last_id()
    anna, customer = client.setup.anna, await client.setup.customer()
    one, two = (anna, customer) if first == "employee" else (customer, anna)
    one.on_call(busy(0.2) if missing == "first" else Answer())
    two.on_call(busy(0.2) if missing == "second" else Answer())
    session = await client.start_employee_call(customer, first)
    await (await one.next_call()).ended()
    assert bool(two.incoming) is (missing == "second")
    await client.gone(session)
    row = await client.setup.row(before)
    unreached = first if missing == "first" else {"employee": "contact", "contact": "employee"}[first]
    assert row["finish_reason"] == (
        "no_success_operator_call" if unreached == "employee" else "no_success_caller_call"
    )
    assert row["is_lost"] is True


@pytest.mark.parametrize("state", ["first rings", "second rings", "message"])
async def test_released_before_they_talk(client: CallApiClient, state: str) -> None:
    anna, customer = client.setup.anna, await client.setup.customer()
    anna.on_call(Ignore() if state == "first rings" else Answer())
    customer.on_call(Ignore())
    params: dict[str, Any] = {}
    if state == "message":
        params["employee_message"] = client.message("long_word")
    session = await client.start_employee_call(customer, "employee", **params)
    employee = await anna.next_call()
    if state == "second rings":
        await customer.next_call()
    await asyncio.sleep(0.2)
    await client.do(session, "release.call")
    await employee.ended()
    await client.gone(session)


@pytest.mark.parametrize("first", ["operator", "contact"])
async def test_simple_call(client: CallApiClient, first: str) -> None:
    operator, customer = await client.setup.customer(), await client.setup.customer()
    operator.on_call(Answer(after=0.2))
    customer.on_call(Answer(after=0.2))
    session = (
        await client.api(
            "start.simple_call",
            first_call=first,
            contact=customer.name,
            operator=operator.name,
            virtual_phone_number=ANNAS_NUMBER,
        )
    )["call_session_id"]
    ours, contact = await operator.next_call(), await customer.next_call()
    await asyncio.gather(ours.answered(), contact.answered())
    assert (ours.at_dial < contact.at_dial) is (first == "operator")
    await client.span("talk", {contact: {ours}, ours: {contact}})
    await _end(client, session, customer, operator)


@pytest.mark.parametrize("first", ["operator", "contact"])
async def test_simple_call_taken_by_a_key(client: CallApiClient, first: str) -> None:
    operator, customer = await client.setup.customer(), await client.setup.customer()
    operator.on_call(Answer())
    customer.on_call(Answer())
    session = (
        await client.api(
            "start.simple_call",
            first_call=first,
            contact=customer.name,
            operator=operator.name,
            virtual_phone_number=ANNAS_NUMBER,
            operator_confirmation="1",
            operator_message=client.message("word_to_employee"),
        )
    )["call_session_id"]
    ours = await operator.next_call()
    await ours.answered()
    await client.span("message", {ours: {"word_to_employee"}}, 0.4)
    await ours.send_keys("5")
    await asyncio.sleep(0.9)
    assert bool(customer.incoming) is (first == "contact")
    await client.span("the wrong key", {ours: {MUSIC}}, 0.4)
    await ours.send_keys("1")
    contact = await customer.next_call()
    await contact.answered()
    await client.span("talk", {contact: {ours}, ours: {contact}})
    await _end(client, session, customer, operator)


@pytest.mark.parametrize("method", ["start.scenario_call", "start.vnumber_call"])
@pytest.mark.parametrize("first", ["employee", "contact"])
async def test_calls_through_a_scenario(client: CallApiClient, method: str, first: str) -> None:
    """The scenario has a message for the employee; the contact has one of its own."""
    boris, customer = client.setup.boris, await client.setup.customer()
    boris.on_call(Answer())
    customer.on_call(Answer())
    params: dict[str, Any] = {"virtual_phone_number": BORIS_WITH_MESSAGE_NUMBER}
    if method == "start.scenario_call":
        params = {"virtual_phone_number": ANNAS_NUMBER, "scenario_id": await client.scenario_id("Told")}
    session = (await client.api(method, first_call=first, contact=customer.name, **params))["call_session_id"]
    employee = await boris.next_call()
    await employee.answered()
    if first == "employee":
        await client.span("his message", {employee: {"word_to_employee"}}, 0.4)
        assert customer.incoming == []
    contact = await customer.next_call()
    await contact.answered()
    if first == "contact":
        await client.span("his message", {employee: {"word_to_employee"}, contact: {MUSIC}}, 0.4)
        await asyncio.sleep(0.4)
    await client.span("talk", {contact: {employee}, employee: {contact}})
    await _end(client, session, customer, boris)


async def test_an_informer_call_plays_its_message_and_ends(client: CallApiClient) -> None:
    before = await client.setup.last_id()
    customer = await client.setup.customer()
    customer.on_call(Answer())
    session = (
        await client.api(
            "start.informer_call",
            contact=customer.name,
            virtual_phone_number=ANNAS_NUMBER,
            contact_message=client.message("word_to_contact"),
        )
    )["call_session_id"]
    contact = await customer.next_call()
    await contact.answered()
    await client.span("message", {contact: {"word_to_contact"}}, 0.4)
    await contact.ended()
    assert contact.at_end - contact.at_answer > MEDIA_SECONDS["word_to_contact"] - PRECISION
    await client.prove()
    await client.gone(session)
    row = await client.setup.row(before)
    assert (row["source"], row["finish_reason"]) == ("callapi_informer_call", "success_finish")


async def test_informer_gives_up(client: CallApiClient) -> None:
    before = await client.setup.last_id()
    customer = await client.setup.customer()
    customer.on_call(Ignore())
    await client.api(
        "start.informer_call",
        contact=customer.name,
        virtual_phone_number=ANNAS_NUMBER,
        contact_message=client.message("word_to_contact"),
        dialing_timeout=2,
    )
    contact = await customer.next_call()
    await contact.ended()
    assert contact.at_end - contact.at_dial > 2.0 - PRECISION
    assert (await client.setup.row(before))["finish_reason"] == "no_success_caller_call"
