"""Hold and back: message, then music for the contact; no audio between the parties."""

from __future__ import annotations

import asyncio

import pytest

from tests.engine.callapi.desk import MUSIC, Desk

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("stage"),
    pytest.mark.asyncio(loop_scope="session"),
]


@pytest.mark.parametrize("start", ["pbx", "api"])
async def test_hold_and_unhold(desk: Desk, start: str) -> None:
    talk = await (desk.talk_in() if start == "pbx" else desk.talk_by_api())
    contact, employee = talk.contact, talk.employee
    await desk.span("talk", {contact: {employee}, employee: {contact}})
    await desk.hold(talk)
    await desk.span("message", {contact: {"word_to_contact"}, employee: set()}, 0.6)
    await asyncio.sleep(0.6)
    await desk.span("hold", {contact: {MUSIC}, employee: set()})
    await desk.do(talk, "unhold.call")
    await desk.span("talk again", {contact: {employee}, employee: {contact}})
    await contact.hangup()
    await employee.ended()
    await desk.prove()
    await desk.gone(talk.call_session_id)
