"""Hold and back: message, then music for the contact; no audio between the parties."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.callapi.client import MUSIC, CallApiClient

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
]


@pytest.mark.parametrize("start", ["pbx", "api"])
async def test_hold_and_unhold(client: CallApiClient, start: str) -> None:
    talk = await (client.talk_in() if start == "pbx" else client.talk_by_api())
    contact, employee = talk.contact, talk.employee
    await client.span("talk", {contact: {employee}, employee: {contact}})
    await client.hold(talk)
    await client.span("message", {contact: {"word_to_contact"}, employee: set()}, 0.6)
    await asyncio.sleep(0.6)
    await client.span("hold", {contact: {MUSIC}, employee: set()})
    await client.do(talk, "unhold.call")
    await client.span("talk again", {contact: {employee}, employee: {contact}})
    await contact.hangup()
    await employee.ended()
    await client.prove()
    await client.gone(talk.call_session_id)
