"""What is done to a talk without moving anybody: coach, keys, tag, recording, one leg less, the blacklist, options."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.engine.callapi.client import FINNS_NUMBER, CallApiClient, Talk
from tests.engine.setup import Setup, period
from trunkline.demo import tones
from trunkline.demo.outside import Answer, Call, Ignore, Phone, busy

INVALID_STATE = (-32004, "invalid_state")

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
]


async def _coached(client: CallApiClient, start: str = "pbx", **params: str) -> tuple[Talk, Call]:
    talk = await (client.talk_in() if start == "pbx" else client.talk_by_api())
    client.setup.clara.on_call(Answer(after=0.3))
    await client.do(talk, "add.coach", **params)
    coach = await client.setup.clara.next_call()
    await coach.answered()
    return talk, coach


@pytest.mark.parametrize(
    ("mode", "start"),
    [("whisper", "pbx"), ("listen", "pbx"), ("barge", "pbx"), ("whisper", "api"), ("barge", "api")],
)
async def test_a_coach_is_heard_as_the_mode_allows(
    client: CallApiClient, mode: str, start: str, tmp_path: Path
) -> None:
    talk, coach = await _coached(client, start, mode=mode)
    contact, employee = talk.contact, talk.employee
    heard_by = {"whisper": {employee}, "listen": set(), "barge": {employee, contact}}[mode]
    await client.span(
        mode,
        {
            coach: {contact, employee},
            employee: {contact} | ({coach} if employee in heard_by else set()),
            contact: {employee} | ({coach} if contact in heard_by else set()),
        },
    )
    await coach.hangup()
    await coach.ended()
    await client.span("without", {employee: {contact}, contact: {employee}})
    await contact.hangup()
    await employee.ended()
    await client.prove()
    row = await client.setup.row(talk.before, recorded=True)
    left, right = await client.recording(row, tmp_path)
    assert (set(left), set(right)) == ({contact.tone}, {employee.tone})
    await client.gone(talk.call_session_id)


async def test_a_coach_by_number(client: CallApiClient) -> None:
    talk = await client.talk_in()
    coach = await client.setup.customer()
    coach.on_call(Answer())
    await client.do(talk, "add.coach", phone_number=coach.name)
    call = await coach.next_call()
    await call.answered()
    hears = {call: {talk.contact, talk.employee}, talk.contact: {talk.employee}}
    await client.span("whisper", {**hears, talk.employee: {talk.contact, call}})
    await talk.contact.hangup()
    await asyncio.gather(call.ended(), talk.employee.ended())
    await client.prove()
    await client.gone(talk.call_session_id)


async def test_a_coach_who_does_not_come(client: CallApiClient) -> None:
    talk = await client.talk_in()
    client.setup.clara.on_call(busy(0.2))
    await client.do(talk, "add.coach")
    await (await client.setup.clara.next_call()).ended()
    client.setup.clara.on_call(Ignore())
    await client.do(talk, "add.coach")
    coach = await client.setup.clara.next_call()
    assert await client.refused(talk, "add.coach") == INVALID_STATE
    await client.span("talk", {talk.contact: {talk.employee}, talk.employee: {talk.contact}})
    await talk.employee.hangup()
    await asyncio.gather(talk.contact.ended(), coach.ended())
    await client.prove()
    await client.gone(talk.call_session_id)


async def test_an_employee_without_a_coach(client: CallApiClient) -> None:
    talk = await client.talk_in("97140000208", client.setup.clara)
    assert await client.refused(talk, "add.coach") == (-32602, "coach_not_found")
    await talk.contact.hangup()
    await talk.employee.ended()
    await client.gone(talk.call_session_id)


async def test_a_coach_through_hold(client: CallApiClient) -> None:
    """The talk is taken from the engine under the coach; the coach leaves when there is nothing to coach."""
    talk, coach = await _coached(client)
    await asyncio.sleep(0.3)
    await client.hold(talk)
    await client.span("hold", {talk.contact: {"word_to_contact"}}, 0.5)
    await client.do(talk, "unhold.call")
    await client.span("talk", {talk.contact: {talk.employee}, coach: {talk.contact, talk.employee}})
    await talk.contact.hangup()
    await asyncio.gather(talk.employee.ended(), coach.ended())
    await client.prove()
    await client.gone(talk.call_session_id)


@pytest.mark.parametrize("start", ["pbx", "api"])
async def test_keys_reach_the_contact(client: CallApiClient, start: str) -> None:
    talk = await (client.talk_in() if start == "pbx" else client.talk_by_api())
    for key in "7#":
        await client.do(talk, "send.dtmf", dtmf_string=key)
    await asyncio.sleep(0.8)
    assert (talk.contact.keys, talk.employee.keys) == ("7#", "")
    await talk.contact.hangup()
    await client.gone(talk.call_session_id)


async def test_a_tag_is_in_list_and_report(client: CallApiClient) -> None:
    talk = await client.talk_in()
    tag = await client.tag_id()
    await client.do(talk, "tag.call", tag_id=tag)
    assert await client.refused(talk, "tag.call", tag_id=tag) == (-32602, "duplicate_tag")
    assert await client.refused(talk, "tag.call", tag_id=987654) == (-32602, "tag_not_found")
    living = await client.living(talk.call_session_id)
    assert living is not None
    assert living["tags"] == [{"tag_id": tag, "tag_name": "Important"}]
    await talk.contact.hangup()
    row = await client.setup.row(talk.before)
    result = await client.setup.installation.data_api(
        client.setup.account,
        "get.calls_report",
        **period(),
        fields=["id", "tags"],
        filter={"field": "id", "operator": "=", "value": talk.call_session_id},
    )
    assert row["id"] == talk.call_session_id
    [tags] = [row["tags"] for row in result["data"]]
    assert [one["tag_name"] for one in tags] == ["Important"]


async def _finn(setup: Setup) -> Phone:
    found = next((party for party in setup.world.parties if party.name == "Finn"), None)
    phone = found or await setup.phone("0260005", "Finn")
    assert isinstance(phone, Phone)
    phone.forget()
    return phone


async def test_recording_is_switched_on_and_off(client: CallApiClient, tmp_path: Path) -> None:
    talk = await client.talk_in(FINNS_NUMBER, await _finn(client.setup))
    assert await client.refused(talk, "record.call", action="off") == (-32602, "record_already_stopped")
    await asyncio.sleep(0.8)
    await client.do(talk, "record.call", action="on")
    assert await client.refused(talk, "record.call", action="on") == (-32602, "record_already_started")
    await asyncio.sleep(1.0)
    await client.do(talk, "record.call", action="off")
    await asyncio.sleep(0.8)
    await client.do(talk, "record.call", action="on")
    await asyncio.sleep(0.7)
    await talk.contact.hangup()
    await talk.employee.ended()
    row = await client.setup.row(talk.before, recorded=True)
    for channel, tone in zip(
        await client.recording(row, tmp_path), (talk.contact.tone, talk.employee.tone), strict=True
    ):
        assert list(channel) == [tone]
        first, second = channel[tone]
        assert first.seconds == pytest.approx(1.0, abs=0.3)
        assert second.start - first.end == pytest.approx(0.8, abs=0.3)
        assert second.seconds == pytest.approx(0.7, abs=0.3)


async def test_recording_of_who_is_always_recorded_stays_on(client: CallApiClient) -> None:
    talk = await client.talk_in()
    assert await client.refused(talk, "record.call", action="on") == (-32602, "record_already_started")
    assert await client.refused(talk, "record.call", action="off") == (-32003, "forbidden")
    await talk.contact.hangup()
    await client.gone(talk.call_session_id)


@pytest.mark.parametrize(("start", "who"), [("pbx", 0), ("pbx", 1), ("api", 0), ("api", 1)])
async def test_one_leg_is_disconnected(client: CallApiClient, start: str, who: int) -> None:
    talk = await (client.talk_in() if start == "pbx" else client.talk_by_api())
    living = await client.living(talk.call_session_id)
    assert living is not None
    leg = next(leg["leg_id"] for leg in living["legs"] if leg["is_operator"] is bool(who))
    assert await client.refused(talk, "disconnect.leg", leg_id=leg + 1_000_000) == (-32602, "leg_not_found")
    await client.do(talk, "disconnect.leg", leg_id=leg)
    await asyncio.gather(talk.contact.ended(), talk.employee.ended())
    await client.gone(talk.call_session_id)


async def test_a_blocked_contact_talks_on_and_comes_no_more(client: CallApiClient) -> None:
    talk = await client.talk_in()
    await client.do(talk, "block.contact")
    assert await client.refused(talk, "block.contact") == (-32602, "duplicate_contact")
    await client.span("talk", {talk.contact: {talk.employee}, talk.employee: {talk.contact}}, 0.4)
    customer = next(one for one in client.setup.world.parties if one.name == talk.contact.party)
    await talk.contact.hangup()
    await talk.employee.ended()
    await client.prove()
    before = await client.setup.last_id()
    assert hasattr(customer, "dial")
    again = await customer.dial("97140000200")
    await again.ended()
    assert (await client.setup.row(before))["finish_reason"] == "numa_in_black_list"


async def test_options_by_key_and_by_api(client: CallApiClient) -> None:
    options = {one["button"]: one["mnemonic"] for one in await client.api("list.talk_options")}
    assert options["0"] == "finish_conversation"
    assert options["3"] == "transfer_call"
    talk = await client.talk_in()
    await talk.employee.send_keys("1")
    for _ in range(40):
        living = await client.living(talk.call_session_id)
        if living and living["tags"]:
            break
        await asyncio.sleep(0.05)
    assert living
    assert [tag["tag_name"] for tag in living["tags"]] == ["Important"]
    assert await client.refused(talk, "call.talk_option", button="9") == (-32602, "talk_option_not_found")
    await client.do(talk, "call.talk_option", button="0")
    await asyncio.gather(talk.contact.ended(), talk.employee.ended())
    await client.gone(talk.call_session_id)


async def test_recording_by_key(client: CallApiClient, tmp_path: Path) -> None:
    """On by the first press, off by the second."""
    talk = await client.talk_in(FINNS_NUMBER, await _finn(client.setup))
    await asyncio.sleep(0.6)
    await talk.employee.send_keys("2")
    await _until_recorded(client, talk, wanted=True)
    await asyncio.sleep(1.2)
    await talk.employee.send_keys("2")
    await _until_recorded(client, talk, wanted=False)
    await asyncio.sleep(0.6)
    await talk.contact.hangup()
    await talk.employee.ended()
    sent = await client.setup.sent(talk.contact, talk.employee)
    # The call of the test before may still be missing in the report when this one begins.
    row = await client.setup.row(talk.call_session_id - 1, recorded=True)
    hears = await client.setup.world.hears([talk.contact, talk.employee])
    for channel, tone in zip(
        await client.recording(row, tmp_path), (talk.contact.tone, talk.employee.tone), strict=True
    ):
        assert list(channel) == [tone], f"{channel}; {sent}; in the talk {hears}"
        assert tones.total(channel[tone]) == pytest.approx(1.2, abs=0.6 + sent.owed), str(sent)


async def _until_recorded(client: CallApiClient, talk: Talk, *, wanted: bool) -> None:
    for _ in range(60):
        living = await client.living(talk.call_session_id)
        assert living
        if {leg["record_call_enabled"] for leg in living["legs"]} == {wanted}:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(living)


async def test_a_coach_by_key(client: CallApiClient) -> None:
    talk = await client.talk_in()
    client.setup.clara.on_call(Answer())
    await talk.employee.send_keys("5")
    coach = await client.setup.clara.next_call()
    await coach.answered()
    hears = {coach: {talk.contact, talk.employee}, talk.contact: {talk.employee}}
    await client.span("whisper", {**hears, talk.employee: {talk.contact, coach}})
    await talk.contact.hangup()
    await asyncio.gather(talk.employee.ended(), coach.ended())
    await client.prove()
    await client.gone(talk.call_session_id)


async def test_a_contact_is_kept_by_key(client: CallApiClient) -> None:
    """The caller becomes a contact: the next call has its id."""
    talk = await client.talk_in()
    number = talk.contact.party
    await talk.employee.send_keys("6")
    for _ in range(60):
        result = await client.setup.installation.data_api(client.setup.account, "get.contacts")
        kept = [row for row in result["data"] if number in json.dumps(row["phone_numbers"])]
        if kept:
            break
        await asyncio.sleep(0.1)
    assert kept
    await talk.contact.hangup()
    await talk.employee.ended()
    await client.gone(talk.call_session_id)


@pytest.mark.parametrize("how", ["key", "api"])
async def test_the_transfer_option(client: CallApiClient, how: str) -> None:
    talk = await client.talk_in()
    client.setup.boris.on_call(Answer(after=0.3))
    await (talk.employee.send_keys("3") if how == "key" else client.do(talk, "call.talk_option", button="3"))
    third = await client.setup.boris.next_call()
    await third.answered()
    await client.span("transferred", {talk.contact: {third}, third: {talk.contact}})
    assert talk.employee.is_ended
    await talk.contact.hangup()
    await third.ended()
    await client.prove()
    await client.gone(talk.call_session_id)


async def test_the_scenario_option(client: CallApiClient) -> None:
    talk = await client.talk_in()
    client.setup.clara.on_call(Answer(after=0.3))
    await client.do(talk, "call.talk_option", button="4")
    other = await client.setup.clara.next_call()
    await asyncio.gather(talk.employee.ended(), other.answered())
    await client.span("in the scenario", {talk.contact: {other}, other: {talk.contact}})
    await other.hangup()
    await talk.contact.ended()
    await client.prove()
    await client.gone(talk.call_session_id)
