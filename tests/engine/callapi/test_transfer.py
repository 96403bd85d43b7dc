"""Consult and transfer: who hears whom at each step of the state diagram, and what ends where."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.callapi.desk import BORIS, CLARA, DORA, MUSIC, Desk, Talk
from trunkline.demo.outside import Answer, Behaviour, Call, Ignore, Party, busy, decline, ring_then_give_up

PAIR = "300"
INVALID_STATE = (-32004, "invalid_state")

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("stage"),
    pytest.mark.asyncio(loop_scope="session"),
]


async def _held(desk: Desk, start: str = "pbx") -> Talk:
    talk = await (desk.talk_in() if start == "pbx" else desk.talk_by_api())
    await desk.hold(talk)
    return talk


async def _third(desk: Desk, kind: str) -> tuple[Party, str]:
    """Somebody to consult, and what ``make.call`` names them by."""
    if kind == "external":
        customer = await desk.stage.customer()
        return customer, customer.name
    return desk.stage.boris, BORIS if kind == "extension" else "0260002"


async def _consulting(desk: Desk, start: str = "pbx", kind: str = "extension") -> tuple[Talk, Call]:
    talk = await _held(desk, start)
    third, number = await _third(desk, kind)
    third.on_call(Answer(after=0.3))
    await desk.do(talk, "make.call", to=number)
    call = await third.next_call()
    await call.answered()
    return talk, call


@pytest.mark.parametrize(("start", "kind"), [("pbx", "extension"), ("api", "line"), ("pbx", "external")])
async def test_consult_and_transfer(desk: Desk, start: str, kind: str) -> None:
    talk, third = await _consulting(desk, start, kind)
    contact, operator = talk.contact, talk.employee
    await asyncio.sleep(0.8)
    await desk.span("consult", {contact: {MUSIC}, operator: {third}, third: {operator}})
    await desk.do(talk, "transfer.talk")
    await operator.ended()
    await desk.span("transferred", {contact: {third}, third: {contact}})
    await contact.hangup()
    await third.ended()
    await desk.prove()
    row = await desk.stage.row(talk.before)
    assert row["is_transfer"] is True
    assert row["finish_reason"] == "caller_disconnects"
    reasons = {leg["employee_full_name"]: leg["finish_reason"] for leg in await desk.stage.legs(row["id"])}
    assert reasons["Berg Anna"] == "transfer_disconnects"
    await desk.gone(talk.call_session_id)


async def test_consult_and_back(desk: Desk) -> None:
    talk, third = await _consulting(desk)
    contact, operator = talk.contact, talk.employee
    await desk.span("consult", {operator: {third}, third: {operator}})
    await desk.do(talk, "restore.talk")
    await third.ended()
    await desk.span("restored", {contact: {operator}, operator: {contact}})
    await operator.hangup()
    await contact.ended()
    await desk.prove()
    row = await desk.stage.row(talk.before)
    assert (row["is_transfer"], row["finish_reason"]) == (False, "operator_disconnects")
    await desk.gone(talk.call_session_id)


async def test_back_while_the_third_party_rings(desk: Desk) -> None:
    talk = await _held(desk)
    desk.stage.boris.on_call(Ignore())
    await desk.do(talk, "make.call", to=BORIS)
    third = await desk.stage.boris.next_call()
    await desk.do(talk, "restore.talk")
    await third.ended()
    assert not third.is_answered
    await desk.span("restored", {talk.contact: {talk.employee}, talk.employee: {talk.contact}})
    await talk.contact.hangup()
    await talk.employee.ended()
    await desk.prove()
    await desk.gone(talk.call_session_id)


@pytest.mark.parametrize("behaviour", [busy(0.2), decline(0.2), ring_then_give_up(0.2)])
async def test_a_third_party_who_is_not_reached(desk: Desk, behaviour: Behaviour) -> None:
    talk = await _held(desk)
    desk.stage.boris.on_call(behaviour)
    await desk.do(talk, "make.call", to=BORIS)
    third = await desk.stage.boris.next_call()
    await third.ended()
    await asyncio.sleep(0.9)
    await desk.span("on hold again", {talk.contact: {MUSIC}})
    assert await desk.refused(talk, "restore.talk") == INVALID_STATE
    await desk.do(talk, "unhold.call")
    await desk.span("talk", {talk.contact: {talk.employee}, talk.employee: {talk.contact}})
    await talk.employee.hangup()
    await talk.contact.ended()
    await desk.prove()
    await desk.gone(talk.call_session_id)


async def test_a_third_party_who_hangs_up(desk: Desk) -> None:
    talk, third = await _consulting(desk)
    await third.hangup()
    await third.ended()
    await asyncio.sleep(0.5)
    await desk.span("on hold again", {talk.contact: {MUSIC}})
    await desk.do(talk, "unhold.call")
    await desk.span("talk", {talk.contact: {talk.employee}, talk.employee: {talk.contact}})
    await talk.contact.hangup()
    await talk.employee.ended()
    await desk.prove()
    await desk.gone(talk.call_session_id)


async def test_a_blind_transfer(desk: Desk) -> None:
    talk = await _held(desk)
    desk.stage.boris.on_call(Answer(after=1.5))
    await desk.do(talk, "make.call", to=BORIS)
    third = await desk.stage.boris.next_call()
    await desk.do(talk, "transfer.talk")
    await talk.employee.ended()
    assert await desk.refused(talk, "transfer.talk") == INVALID_STATE
    await third.answered()
    await desk.span("transferred", {talk.contact: {third}, third: {talk.contact}})
    await third.hangup()
    await talk.contact.ended()
    await desk.prove()
    row = await desk.stage.row(talk.before)
    assert (row["is_transfer"], row["finish_reason"]) == (True, "operator_disconnects")
    await desk.gone(talk.call_session_id)


async def test_a_blind_transfer_in_the_form_of_the_reference(desk: Desk) -> None:
    talk = await desk.talk_in()
    desk.stage.boris.on_call(Answer(after=0.5))
    await desk.do(talk, "transfer.talk", contact=BORIS)
    third = await desk.stage.boris.next_call()
    await asyncio.gather(talk.employee.ended(), third.answered())
    await desk.span("transferred", {talk.contact: {third}, third: {talk.contact}})
    await talk.contact.hangup()
    await third.ended()
    await desk.prove()
    await desk.gone(talk.call_session_id)


async def test_a_blind_transfer_to_a_group(desk: Desk) -> None:
    """The first of its members who is free is called: one third party at a time."""
    talk = await desk.talk_in("97140000208", desk.stage.clara)
    desk.stage.anna.on_call(Answer(after=0.6))
    await desk.do(talk, "transfer.talk", contact=PAIR)
    third = await desk.stage.anna.next_call()
    await asyncio.gather(talk.employee.ended(), third.answered())
    await desk.span("transferred", {talk.contact: {third}, third: {talk.contact}})
    await talk.contact.hangup()
    await third.ended()
    await desk.prove()
    assert desk.stage.boris.incoming == []
    assert (await desk.stage.row(talk.before))["is_transfer"] is True
    await desk.gone(talk.call_session_id)


async def test_the_coach_of_a_transferred_employee_leaves(desk: Desk) -> None:
    """He hears both until then, is not called for the third party, and can be called for it."""
    talk = await desk.talk_in()
    contact, operator = talk.contact, talk.employee
    desk.stage.clara.on_call(Answer())
    await desk.do(talk, "add.coach")
    coach = await desk.stage.clara.next_call()
    await coach.answered()
    await desk.span("coached", {coach: {contact, operator}, contact: {operator}})
    desk.stage.boris.on_call(Answer(after=1.0))
    await desk.do(talk, "transfer.talk", contact=BORIS)
    third = await desk.stage.boris.next_call()
    assert await desk.refused(talk, "add.coach", phone_number=CLARA) == INVALID_STATE
    await asyncio.gather(operator.ended(), coach.ended(), third.answered())
    await desk.span("transferred", {contact: {third}, third: {contact}})
    await desk.do(talk, "add.coach", phone_number=CLARA)
    again = await desk.stage.clara.next_call()
    await again.answered()
    await desk.span("coached again", {again: {contact, third}, contact: {third}, third: {contact, again}})
    await contact.hangup()
    await asyncio.gather(third.ended(), again.ended())
    await desk.prove()
    await desk.gone(talk.call_session_id)


@pytest.mark.parametrize("behaviour", [busy(1.0), decline(1.0)])
async def test_a_blind_transfer_that_fails_ends_the_call(desk: Desk, behaviour: Behaviour) -> None:
    talk = await _held(desk)
    desk.stage.boris.on_call(behaviour)
    await desk.do(talk, "make.call", to=BORIS)
    await desk.do(talk, "transfer.talk")
    await asyncio.gather(talk.employee.ended(), talk.contact.ended())
    await desk.gone(talk.call_session_id)
    row = await desk.stage.row(talk.before)
    assert row["is_transfer"] is False


@pytest.mark.parametrize("state", ["hold", "dialing", "operator_talk", "transferring"])
@pytest.mark.parametrize("who", ["contact", "operator"])
async def test_hanging_up_in_each_state(desk: Desk, state: str, who: str) -> None:
    talk = await _held(desk)
    third: Call | None = None
    if state != "hold":
        desk.stage.boris.on_call(Answer(after=0.2) if state == "operator_talk" else Ignore())
        await desk.do(talk, "make.call", to=BORIS)
        third = await desk.stage.boris.next_call()
        if state == "operator_talk":
            await third.answered()
            await asyncio.sleep(0.3)
        if state == "transferring":
            await desk.do(talk, "transfer.talk")
    await (talk.contact if who == "contact" else talk.employee).hangup()
    if (state, who) == ("transferring", "operator"):
        # He has left anyway: the contact waits for the third party.
        await asyncio.sleep(0.3)
        assert not talk.contact.is_ended
        await talk.contact.hangup()
    everybody = [talk.contact, talk.employee, *([third] if third else [])]
    await asyncio.gather(*(call.ended() for call in everybody))
    await desk.gone(talk.call_session_id)
    row = await desk.stage.row(talk.before)
    by_contact = who == "contact" or state == "transferring"
    assert row["finish_reason"] == ("caller_disconnects" if by_contact else "operator_disconnects")


async def test_commands_in_wrong_states(desk: Desk) -> None:
    talk = await desk.talk_in()
    for method in ("unhold.call", "restore.talk", "transfer.talk"):
        assert await desk.refused(talk, method) == INVALID_STATE
    assert await desk.refused(talk, "make.call", to=BORIS) == INVALID_STATE
    await desk.hold(talk)
    for method in ("restore.talk", "transfer.talk", "add.coach"):
        assert await desk.refused(talk, method) == INVALID_STATE
    again = desk.message("word_to_contact")
    assert await desk.refused(talk, "hold.call", contact_message=again) == INVALID_STATE
    for nobody in (DORA, "299"):
        assert await desk.refused(talk, "make.call", to=nobody) == (-32602, "no_active_phone_number")
    desk.stage.boris.on_call(Ignore())
    await desk.do(talk, "make.call", to=BORIS)
    assert await desk.refused(talk, "make.call", to=CLARA) == INVALID_STATE
    assert await desk.refused(talk, "unhold.call") == INVALID_STATE
    assert await desk.refused(talk, "hold.call", contact_message=again) == INVALID_STATE
    await desk.do(talk, "release.call")
    await asyncio.gather(talk.contact.ended(), talk.employee.ended())
    await desk.gone(talk.call_session_id)
    for method in ("unhold.call", "release.call"):
        assert await desk.refused(talk, method) == (-32602, "call_session_not_found")


async def test_two_transfers_at_once(desk: Desk) -> None:
    talk, third = await _consulting(desk)
    await asyncio.sleep(0.2)
    outcomes = await asyncio.gather(
        *(desk.do(talk, "transfer.talk") for _ in range(3)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    await talk.employee.ended()
    await desk.span("transferred", {talk.contact: {third}, third: {talk.contact}})
    await third.hangup()
    await talk.contact.ended()
    await desk.prove()
    await desk.gone(talk.call_session_id)


async def test_transferred_once_more(desk: Desk) -> None:
    talk, third = await _consulting(desk)
    await asyncio.sleep(0.2)
    await desk.do(talk, "transfer.talk")
    await asyncio.gather(talk.employee.ended())
    await desk.until_states(talk.call_session_id, contact="Conversation", Boris="Conversation")
    await desk.hold(talk)
    desk.stage.clara.on_call(Answer(after=0.2))
    await desk.do(talk, "make.call", to=CLARA)
    last = await desk.stage.clara.next_call()
    await last.answered()
    await asyncio.sleep(0.4)
    await desk.do(talk, "transfer.talk")
    await third.ended()
    await desk.span("transferred again", {talk.contact: {last}, last: {talk.contact}})
    await talk.contact.hangup()
    await last.ended()
    await desk.prove()
    await desk.gone(talk.call_session_id)


@pytest.mark.parametrize("who", ["contact", "third"])
async def test_hanging_up_while_being_transferred(desk: Desk, who: str) -> None:
    talk, third = await _consulting(desk)
    await asyncio.sleep(0.2)
    leaving = talk.contact if who == "contact" else third
    await asyncio.gather(desk.do(talk, "transfer.talk"), leaving.hangup(), return_exceptions=True)
    # For any order: no party is left alone.
    if not talk.employee.is_ended and who == "third":
        await asyncio.sleep(0.5)
        if not talk.employee.is_ended:
            await desk.do(talk, "release.call")
    await asyncio.gather(talk.contact.ended(), talk.employee.ended(), third.ended())
    await desk.gone(talk.call_session_id)


async def test_states_in_each_phase(desk: Desk) -> None:
    """``list.calls`` tells where every party stands."""
    talk = await desk.talk_in()
    session = talk.call_session_id
    await desk.until_states(session, contact="Conversation", Anna="Conversation")
    await desk.hold(talk)
    await desk.until_states(session, contact="On hold", Anna="On hold")
    desk.stage.boris.on_call(Ignore())
    await desk.do(talk, "make.call", to=BORIS)
    await desk.until_states(session, contact="On hold", Anna="On hold", Boris="Dial")
    await desk.do(talk, "restore.talk")
    await desk.until_states(session, contact="Conversation", Anna="Conversation")
    await desk.hold(talk)
    desk.stage.clara.on_call(Answer())
    await desk.do(talk, "make.call", to=CLARA)
    await desk.until_states(session, contact="On hold", Anna="Operators talking", Clara="Operators talking")
    await desk.do(talk, "transfer.talk")
    await desk.until_states(session, contact="Conversation", Clara="Conversation")
    await desk.hold(talk)
    desk.stage.boris.on_call(Ignore())
    await desk.do(talk, "make.call", to=BORIS)
    await desk.do(talk, "transfer.talk")
    await desk.until_states(session, contact="Call Transfer", Boris="Dial")
    await desk.do(talk, "release.call")
    await desk.gone(session)


async def test_the_third_party_hears_its_message_first(desk: Desk) -> None:
    """The party on hold and the operator wait until it was played."""
    talk = await _held(desk)
    desk.stage.boris.on_call(Answer())
    await desk.do(talk, "make.call", to=BORIS, to_message=desk.message("word_to_employee"))
    third = await desk.stage.boris.next_call()
    await third.answered()
    await desk.span("message", {third: {"word_to_employee"}}, 0.4)
    await asyncio.sleep(0.5)
    await desk.span("consult", {third: {talk.employee}, talk.employee: {third}, talk.contact: {MUSIC}})
    await talk.contact.hangup()
    await asyncio.gather(talk.employee.ended(), third.ended())
    await desk.prove()
    await desk.gone(talk.call_session_id)
