"""Consult and transfer: who hears whom at each step of the state diagram, and what ends where."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.callapi.client import BORIS, CLARA, DORA, MUSIC, CallApiClient, Talk
from trunkline.demo.outside import Answer, Behaviour, Call, Ignore, Party, busy, decline, ring_then_give_up

PAIR = "300"
INVALID_STATE = (-32004, "invalid_state")

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
]


async def _held(client: CallApiClient, start: str = "pbx") -> Talk:
    talk = await (client.talk_in() if start == "pbx" else client.talk_by_api())
    await client.hold(talk)
    return talk


async def _third(client: CallApiClient, kind: str) -> tuple[Party, str]:
    """Somebody to consult, and what ``make.call`` names them by."""
    if kind == "external":
        customer = await client.setup.customer()
        return customer, customer.name
    return client.setup.boris, BORIS if kind == "extension" else "0260002"


async def _consulting(
    client: CallApiClient, start: str = "pbx", kind: str = "extension"
) -> tuple[Talk, Call]:
    talk = await _held(client, start)
    third, number = await _third(client, kind)
    third.on_call(Answer(after=0.3))
    await client.do(talk, "make.call", to=number)
    call = await third.next_call()
    await call.answered()
    return talk, call


@pytest.mark.parametrize(("start", "kind"), [("pbx", "extension"), ("api", "line"), ("pbx", "external")])
async def test_consult_and_transfer(client: CallApiClient, start: str, kind: str) -> None:
    talk, third = await _consulting(client, start, kind)
    contact, operator = talk.contact, talk.employee
    await asyncio.sleep(0.8)
    await client.span("consult", {contact: {MUSIC}, operator: {third}, third: {operator}})
    await client.do(talk, "transfer.talk")
    await operator.ended()
    await client.span("transferred", {contact: {third}, third: {contact}})
    await contact.hangup()
    await third.ended()
    await client.prove()
    row = await client.setup.row(talk.before)
    assert row["is_transfer"] is True
    assert row["finish_reason"] == "caller_disconnects"
    reasons = {leg["employee_full_name"]: leg["finish_reason"] for leg in await client.setup.legs(row["id"])}
    assert reasons["Berg Anna"] == "transfer_disconnects"
    await client.gone(talk.call_session_id)


async def test_consult_and_back(client: CallApiClient) -> None:
    talk, third = await _consulting(client)
    contact, operator = talk.contact, talk.employee
    await client.span("consult", {operator: {third}, third: {operator}})
    await client.do(talk, "restore.talk")
    await third.ended()
    await client.span("restored", {contact: {operator}, operator: {contact}})
    await operator.hangup()
    await contact.ended()
    await client.prove()
    row = await client.setup.row(talk.before)
    assert (row["is_transfer"], row["finish_reason"]) == (False, "operator_disconnects")
    await client.gone(talk.call_session_id)


async def test_back_while_the_third_party_rings(client: CallApiClient) -> None:
    talk = await _held(client)
    client.setup.boris.on_call(Ignore())
    await client.do(talk, "make.call", to=BORIS)
    third = await client.setup.boris.next_call()
    await client.do(talk, "restore.talk")
    await third.ended()
    assert not third.is_answered
    await client.span("restored", {talk.contact: {talk.employee}, talk.employee: {talk.contact}})
    await talk.contact.hangup()
    await talk.employee.ended()
    await client.prove()
    await client.gone(talk.call_session_id)


@pytest.mark.parametrize("behaviour", [busy(0.2), decline(0.2), ring_then_give_up(0.2)])
async def test_a_third_party_who_is_not_reached(client: CallApiClient, behaviour: Behaviour) -> None:
    talk = await _held(client)
    client.setup.boris.on_call(behaviour)
    await client.do(talk, "make.call", to=BORIS)
    third = await client.setup.boris.next_call()
    await third.ended()
    await asyncio.sleep(0.9)
    await client.span("on hold again", {talk.contact: {MUSIC}})
    assert await client.refused(talk, "restore.talk") == INVALID_STATE
    await client.do(talk, "unhold.call")
    await client.span("talk", {talk.contact: {talk.employee}, talk.employee: {talk.contact}})
    await talk.employee.hangup()
    await talk.contact.ended()
    await client.prove()
    await client.gone(talk.call_session_id)


async def test_a_third_party_who_hangs_up(client: CallApiClient) -> None:
    talk, third = await _consulting(client)
    await third.hangup()
    await third.ended()
    await asyncio.sleep(0.5)
    await client.span("on hold again", {talk.contact: {MUSIC}})
    await client.do(talk, "unhold.call")
    await client.span("talk", {talk.contact: {talk.employee}, talk.employee: {talk.contact}})
    await talk.contact.hangup()
    await talk.employee.ended()
    await client.prove()
    await client.gone(talk.call_session_id)


async def test_a_blind_transfer(client: CallApiClient) -> None:
    talk = await _held(client)
    client.setup.boris.on_call(Answer(after=1.5))
    await client.do(talk, "make.call", to=BORIS)
    third = await client.setup.boris.next_call()
    await client.do(talk, "transfer.talk")
    await talk.employee.ended()
    assert await client.refused(talk, "transfer.talk") == INVALID_STATE
    await third.answered()
    await client.span("transferred", {talk.contact: {third}, third: {talk.contact}})
    await third.hangup()
    await talk.contact.ended()
    await client.prove()
    row = await client.setup.row(talk.before)
    assert (row["is_transfer"], row["finish_reason"]) == (True, "operator_disconnects")
    await client.gone(talk.call_session_id)


async def test_a_blind_transfer_in_the_form_of_the_reference(client: CallApiClient) -> None:
    talk = await client.talk_in()
    client.setup.boris.on_call(Answer(after=0.5))
    await client.do(talk, "transfer.talk", contact=BORIS)
    third = await client.setup.boris.next_call()
    await asyncio.gather(talk.employee.ended(), third.answered())
    await client.span("transferred", {talk.contact: {third}, third: {talk.contact}})
    await talk.contact.hangup()
    await third.ended()
    await client.prove()
    await client.gone(talk.call_session_id)


async def test_a_blind_transfer_to_a_group(client: CallApiClient) -> None:
    """The first of its members who is free is called: one third party at a time."""
    talk = await client.talk_in("97140000208", client.setup.clara)
    client.setup.anna.on_call(Answer(after=0.6))
    await client.do(talk, "transfer.talk", contact=PAIR)
    third = await client.setup.anna.next_call()
    await asyncio.gather(talk.employee.ended(), third.answered())
    await client.span("transferred", {talk.contact: {third}, third: {talk.contact}})
    await talk.contact.hangup()
    await third.ended()
    await client.prove()
    assert client.setup.boris.incoming == []
    assert (await client.setup.row(talk.before))["is_transfer"] is True
    await client.gone(talk.call_session_id)


async def test_the_coach_of_a_transferred_employee_leaves(client: CallApiClient) -> None:
    """The coach hears both until then, is not called for the third party, and can be called for it."""
    talk = await client.talk_in()
    contact, operator = talk.contact, talk.employee
    client.setup.clara.on_call(Answer())
    await client.do(talk, "add.coach")
    coach = await client.setup.clara.next_call()
    await coach.answered()
    await client.span("coached", {coach: {contact, operator}, contact: {operator}})
    client.setup.boris.on_call(Answer(after=1.0))
    await client.do(talk, "transfer.talk", contact=BORIS)
    third = await client.setup.boris.next_call()
    assert await client.refused(talk, "add.coach", phone_number=CLARA) == INVALID_STATE
    await asyncio.gather(operator.ended(), coach.ended(), third.answered())
    await client.span("transferred", {contact: {third}, third: {contact}})
    await client.do(talk, "add.coach", phone_number=CLARA)
    again = await client.setup.clara.next_call()
    await again.answered()
    await client.span("coached again", {again: {contact, third}, contact: {third}, third: {contact, again}})
    await contact.hangup()
    await asyncio.gather(third.ended(), again.ended())
    await client.prove()
    await client.gone(talk.call_session_id)


@pytest.mark.parametrize("behaviour", [busy(1.0), decline(1.0)])
async def test_a_blind_transfer_that_fails_ends_the_call(client: CallApiClient, behaviour: Behaviour) -> None:
    talk = await _held(client)
    client.setup.boris.on_call(behaviour)
    await client.do(talk, "make.call", to=BORIS)
    await client.do(talk, "transfer.talk")
    await asyncio.gather(talk.employee.ended(), talk.contact.ended())
    await client.gone(talk.call_session_id)
    row = await client.setup.row(talk.before)
    assert row["is_transfer"] is False


@pytest.mark.parametrize("state", ["hold", "dialing", "operator_talk", "transferring"])
@pytest.mark.parametrize("who", ["contact", "operator"])
async def test_hanging_up_in_each_state(client: CallApiClient, state: str, who: str) -> None:
    talk = await _held(client)
    third: Call | None = None
    if state != "hold":
        client.setup.boris.on_call(Answer(after=0.2) if state == "operator_talk" else Ignore())
        await client.do(talk, "make.call", to=BORIS)
        third = await client.setup.boris.next_call()
        if state == "operator_talk":
            await third.answered()
            await asyncio.sleep(0.3)
        if state == "transferring":
            await client.do(talk, "transfer.talk")
    await (talk.contact if who == "contact" else talk.employee).hangup()
    if (state, who) == ("transferring", "operator"):
        # The operator has left anyway: the contact waits for the third party.
        await asyncio.sleep(0.3)
        assert not talk.contact.is_ended
        await talk.contact.hangup()
    everybody = [talk.contact, talk.employee, *([third] if third else [])]
    await asyncio.gather(*(call.ended() for call in everybody))
    await client.gone(talk.call_session_id)
    row = await client.setup.row(talk.before)
    by_contact = who == "contact" or state == "transferring"
    assert row["finish_reason"] == ("caller_disconnects" if by_contact else "operator_disconnects")


async def test_commands_in_wrong_states(client: CallApiClient) -> None:
    talk = await client.talk_in()
    for method in ("unhold.call", "restore.talk", "transfer.talk"):
        assert await client.refused(talk, method) == INVALID_STATE
    assert await client.refused(talk, "make.call", to=BORIS) == INVALID_STATE
    await client.hold(talk)
    for method in ("restore.talk", "transfer.talk", "add.coach"):
        assert await client.refused(talk, method) == INVALID_STATE
    again = client.message("word_to_contact")
    assert await client.refused(talk, "hold.call", contact_message=again) == INVALID_STATE
    for nobody in (DORA, "299"):
        assert await client.refused(talk, "make.call", to=nobody) == (-32602, "no_active_phone_number")
    client.setup.boris.on_call(Ignore())
    await client.do(talk, "make.call", to=BORIS)
    assert await client.refused(talk, "make.call", to=CLARA) == INVALID_STATE
    assert await client.refused(talk, "unhold.call") == INVALID_STATE
    assert await client.refused(talk, "hold.call", contact_message=again) == INVALID_STATE
    await client.do(talk, "release.call")
    await asyncio.gather(talk.contact.ended(), talk.employee.ended())
    await client.gone(talk.call_session_id)
    for method in ("unhold.call", "release.call"):
        assert await client.refused(talk, method) == (-32602, "call_session_not_found")


async def test_two_transfers_at_once(client: CallApiClient) -> None:
    talk, third = await _consulting(client)
    await asyncio.sleep(0.2)
    outcomes = await asyncio.gather(
        *(client.do(talk, "transfer.talk") for _ in range(3)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    await talk.employee.ended()
    await client.span("transferred", {talk.contact: {third}, third: {talk.contact}})
    await third.hangup()
    await talk.contact.ended()
    await client.prove()
    await client.gone(talk.call_session_id)


async def test_transferred_once_more(client: CallApiClient) -> None:
    talk, third = await _consulting(client)
    await asyncio.sleep(0.2)
    await client.do(talk, "transfer.talk")
    await asyncio.gather(talk.employee.ended())
    await client.until_states(talk.call_session_id, contact="Conversation", Boris="Conversation")
    await client.hold(talk)
    client.setup.clara.on_call(Answer(after=0.2))
    await client.do(talk, "make.call", to=CLARA)
    last = await client.setup.clara.next_call()
    await last.answered()
    await asyncio.sleep(0.4)
    await client.do(talk, "transfer.talk")
    await third.ended()
    await client.span("transferred again", {talk.contact: {last}, last: {talk.contact}})
    await talk.contact.hangup()
    await last.ended()
    await client.prove()
    await client.gone(talk.call_session_id)


@pytest.mark.parametrize("who", ["contact", "third"])
async def test_hanging_up_while_being_transferred(client: CallApiClient, who: str) -> None:
    talk, third = await _consulting(client)
    await asyncio.sleep(0.2)
    leaving = talk.contact if who == "contact" else third
    await asyncio.gather(client.do(talk, "transfer.talk"), leaving.hangup(), return_exceptions=True)
    # For any order: no party is left alone.
    if not talk.employee.is_ended and who == "third":
        await asyncio.sleep(0.5)
        if not talk.employee.is_ended:
            await client.do(talk, "release.call")
    await asyncio.gather(talk.contact.ended(), talk.employee.ended(), third.ended())
    await client.gone(talk.call_session_id)


async def test_states_in_each_phase(client: CallApiClient) -> None:
    """``list.calls`` shows the phase of every party."""
    talk = await client.talk_in()
    session = talk.call_session_id
    await client.until_states(session, contact="Conversation", Anna="Conversation")
    await client.hold(talk)
    await client.until_states(session, contact="On hold", Anna="On hold")
    client.setup.boris.on_call(Ignore())
    await client.do(talk, "make.call", to=BORIS)
    await client.until_states(session, contact="On hold", Anna="On hold", Boris="Dial")
    await client.do(talk, "restore.talk")
    await client.until_states(session, contact="Conversation", Anna="Conversation")
    await client.hold(talk)
    client.setup.clara.on_call(Answer())
    await client.do(talk, "make.call", to=CLARA)
    await client.until_states(session, contact="On hold", Anna="Operators talking", Clara="Operators talking")
    await client.do(talk, "transfer.talk")
    await client.until_states(session, contact="Conversation", Clara="Conversation")
    await client.hold(talk)
    client.setup.boris.on_call(Ignore())
    await client.do(talk, "make.call", to=BORIS)
    await client.do(talk, "transfer.talk")
    await client.until_states(session, contact="Call Transfer", Boris="Dial")
    await client.do(talk, "release.call")
    await client.gone(session)


async def test_the_third_party_hears_its_message_first(client: CallApiClient) -> None:
    """The party on hold and the operator wait until it was played."""
    talk = await _held(client)
    client.setup.boris.on_call(Answer())
    await client.do(talk, "make.call", to=BORIS, to_message=client.message("word_to_employee"))
    third = await client.setup.boris.next_call()
    await third.answered()
    await client.span("message", {third: {"word_to_employee"}}, 0.4)
    await asyncio.sleep(0.5)
    await client.span("consult", {third: {talk.employee}, talk.employee: {third}, talk.contact: {MUSIC}})
    await talk.contact.hangup()
    await asyncio.gather(talk.employee.ended(), third.ended())
    await client.prove()
    await client.gone(talk.call_session_id)
