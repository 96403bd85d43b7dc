"""Races and failures: commands that are too late, of other accounts, and during a restart of the switch."""

from __future__ import annotations

import asyncio
import random

import psycopg
import pytest

from tests.engine.callapi.client import BORIS, CLARA, MUSIC, CallApiClient
from trunkline.demo.installation import ApiError
from trunkline.demo.outside import Answer, Behaviour, Ignore
from trunkline.runtime import postgres

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
]

_COMMANDS = (
    "hold.call", "unhold.call", "make.call", "restore.talk", "transfer.talk", "send.dtmf", "add.coach", "record.call",
)  # fmt: skip
_WAYS = {
    "unhold.call": ("hold.call",),
    "restore.talk": ("hold.call",),
    "transfer.talk": ("hold.call",),
    "hold.call": ("make.call", "unhold.call"),
    "make.call": ("transfer.talk", "restore.talk"),
}
"""What the state diagram takes after a command."""
SEEDS = range(6)
STEPS = 12


async def test_a_call_of_another_account_is_a_call_that_does_not_exist(client: CallApiClient) -> None:
    talk = await client.talk_in()
    stranger = await client.setup.installation.create_account("Strangers")
    message = {"type": "tts", "value": "Hello"}
    for method, params in (
        ("hold.call", {"contact_message": message}),
        ("unhold.call", {}),
        ("make.call", {"to": "12025550110"}),
        ("release.call", {}),
        ("record.call", {"action": "on"}),
        ("add.coach", {"phone_number": "12025550110"}),
        ("send.dtmf", {"dtmf_string": "1"}),
        ("block.contact", {}),
    ):
        theirs = await client.refused_to(stranger, method, call_session_id=talk.call_session_id, **params)
        nobodys = await client.refused_to(
            stranger, method, call_session_id=talk.call_session_id + 7, **params
        )
        assert theirs["data"].pop("value") != nobodys["data"].pop("value")
        # What is left of the points, and the seconds until they come back, go on between the two questions.
        assert theirs["data"].pop("metadata").keys() == nobodys["data"].pop("metadata").keys()
        assert theirs == nobodys
        assert theirs["data"]["mnemonic"] == "call_session_not_found"
    assert await client.setup.installation.call_api(stranger, "list.calls") != await client.setup.living()
    await talk.contact.hangup()
    await client.gone(talk.call_session_id)


async def test_released_at_the_moment_of_the_answer(client: CallApiClient) -> None:
    for delay in (0.0, 0.05, 0.1):
        anna, customer = client.setup.anna, await client.setup.customer()
        anna.on_call(Answer())
        customer.on_call(Answer())
        session = await client.start_employee_call(customer, "employee")
        call = await anna.next_call()
        await asyncio.sleep(delay)
        await asyncio.gather(client.do(session, "release.call"), return_exceptions=True)
        await call.ended()
        await client.gone(session)


async def test_commands_at_once_leave_the_call_in_one_state(client: CallApiClient) -> None:
    talk = await client.talk_in()
    message = client.message("word_to_contact")
    outcomes = await asyncio.gather(
        *(client.do(talk, "hold.call", contact_message=message) for _ in range(4)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    outcomes = await asyncio.gather(
        *(client.do(talk, "unhold.call") for _ in range(4)), return_exceptions=True
    )
    assert sum(outcome is None for outcome in outcomes) == 1
    await client.span("talk", {talk.contact: {talk.employee}, talk.employee: {talk.contact}})
    await talk.contact.hangup()
    await talk.employee.ended()
    await client.prove()
    await client.gone(talk.call_session_id)


@pytest.mark.parametrize("state", ["hold", "dialing", "operator_talk"])
async def test_the_switch_is_killed(client: CallApiClient, state: str) -> None:
    """Afterwards the call goes on where it stood, takes commands, and ends."""
    talk = await client.talk_in()
    contact, operator = talk.contact, talk.employee
    await client.hold(talk)
    await asyncio.sleep(1.3)
    third = None
    if state == "operator_talk":
        client.setup.boris.on_call(Answer(after=0.1))
        await client.do(talk, "make.call", to=BORIS)
        third = await client.setup.boris.next_call()
        await third.answered()
        await asyncio.sleep(0.4)
    elif state == "dialing":
        # An outside number: it rings for a minute. The colleagues' phones ring for six seconds, which may be over
        # before the next switch takes commands; the call is on hold then.
        outsider = await client.setup.customer()
        outsider.on_call(Ignore())
        await client.do(talk, "make.call", to=outsider.name)
        third = await outsider.next_call()
    killed = client.setup.installation.kill("switch")
    await client.setup.installation.wait_restarted("switch", killed)
    await client.until_living(talk.call_session_id)
    if third is not None and state == "operator_talk":
        await client.span("still", {contact: {MUSIC}, operator: {third}, third: {operator}})
        await client.do(talk, "transfer.talk")
        await operator.ended()
        await client.span("transferred", {contact: {third}, third: {contact}})
    else:
        await client.span("still", {contact: {MUSIC}})
        await client.do(talk, "unhold.call" if state == "hold" else "restore.talk")
        await client.span("talk", {contact: {operator}, operator: {contact}})
    await contact.hangup()
    everybody = [operator, *([third] if third else [])]
    await asyncio.gather(*(call.ended() for call in everybody))
    await client.prove()
    row = await client.setup.row(talk.before, timeout=40)
    assert row["finish_reason"] == "caller_disconnects"
    await client.gone(talk.call_session_id)


async def test_a_start_while_the_database_takes_no_events_is_refused_and_calls_nobody(
    client: CallApiClient,
) -> None:
    """Even when the switch is killed then: each accepted start is in the report, and nobody talks in a call that is not."""
    anna, customer = client.setup.anna, await client.setup.customer()
    rung = len(anna.calls)
    dsn = postgres.dsn(client.setup.installation.settings)
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("lock table call_events in access exclusive mode")
        with pytest.raises(ApiError) as refused:
            await client.start_employee_call(customer, "employee")
        assert refused.value.mnemonic == "internal_error"
        assert "remedy" in refused.value.error["data"]["params"]
        killed = client.setup.installation.kill("switch")
        await connection.rollback()
    await client.setup.installation.wait_restarted("switch", killed)
    assert len(anna.calls) == rung
    assert customer.incoming == []
    # The next start is a call as always.
    talk = await client.talk_by_api()
    await talk.contact.hangup()
    await talk.employee.ended()
    row = await client.setup.row(talk.before)
    assert row["finish_reason"] == "caller_disconnects"
    await client.gone(talk.call_session_id)


@pytest.mark.parametrize("seed", SEEDS)
async def test_any_sequence_of_commands_ends_clean(client: CallApiClient, seed: int) -> None:
    """Whatever is commanded, answered, declined, hung up: no error of ours, and nothing is left."""
    dice = random.Random(seed)
    talk = await (client.talk_in() if seed % 2 else client.talk_by_api())
    params: dict[str, dict[str, object]] = {
        "hold.call": {"contact_message": client.message("word_to_contact")},
        "send.dtmf": {"dtmf_string": "7"},
        "record.call": {"action": "on"},
    }
    last = "unhold.call"
    for _ in range(STEPS):
        behaviours: list[Behaviour] = [Answer(), Answer(after=0.2), Ignore()]
        behaviour = dice.choice(behaviours)
        client.setup.boris.on_call(behaviour)
        client.setup.clara.on_call(behaviour)
        method = dice.choice(_COMMANDS)
        for _ in range(3):  # mostly go on, else nearly all is refused
            if method not in _WAYS.get(last, ()):
                method = dice.choice(_COMMANDS)
        sent = {
            **params.get(method, {}),
            **({"to": dice.choice([BORIS, CLARA])} if method == "make.call" else {}),
        }
        try:
            await client.do(talk, method, **sent)
            last = method
        except ApiError as refused:
            assert refused.error["code"] in (-32004, -32602, -32003), refused  # noqa: PT017 - of any step
        await asyncio.sleep(dice.choice([0.0, 0.05, 0.3]))
        if dice.random() < 0.1:
            calls = [
                call for party in client.setup.world.parties for call in party.calls if not call.is_ended
            ]
            if calls:
                await dice.choice(calls).hangup()
    if await client.living(talk.call_session_id) is not None:
        await asyncio.gather(client.do(talk, "release.call"), return_exceptions=True)
    await client.gone(talk.call_session_id)
    assert await client.engine_bridges() == 0
    row = await client.setup.row(talk.before)
    assert row["finish_reason"]
