"""Connections to Asterisk that are reset, or swallow every byte: the switch is ready only while signals arrive.

And commands while the manager interface is cut: each returns what happened, and the talk goes on.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.engine.stage import COMPANY, LINE_PASSWORD, Stage
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.testing.installation import ApiError
from trunkline.testing.outside import Answer, Call, Ignore
from trunkline.testing.proxy import FaultProxy

pytestmark = [
    pytest.mark.drill,
    pytest.mark.engine,
    pytest.mark.xdist_group("cut-stage"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

ANNA = "97140000200"
PATIENCE = 60.0
WORD = {"type": "tts", "value": "One moment, please"}


class CutStage(Stage):
    """A stage whose switch reaches Asterisk through proxies."""

    ari: FaultProxy
    ami: FaultProxy

    async def _set(self) -> None:
        settings = self.installation.settings
        self.ari = await self._stack.enter_async_context(FaultProxy(settings.engine.ari_port))
        self.ami = await self._stack.enter_async_context(FaultProxy(settings.engine.ami_port))
        engine = settings.engine.model_copy(
            update={"ari_connect_port": self.ari.port, "ami_connect_port": self.ami.port}
        )
        self.installation.settings = settings.model_copy(update={"engine": engine})
        await super()._set()
        # Phones ring long enough for a restart of the switch on a busy machine.
        company = self._folder / "patient.yaml"
        company.write_text(COMPANY.read_text().replace("dial_time: 6", "dial_time: 45"))
        await self.installation.apply(self.account, company, self.environment)

    def heal(self) -> None:
        for proxy in (self.ari, self.ami):
            proxy.heal()

    async def until(self, state: str) -> dict[str, Any]:
        """The switch as ``trunkline status`` has it, once it is in this state."""
        deadline = time.monotonic() + PATIENCE
        while (found := dict(self.installation.process("switch")))["state"] != state:
            assert time.monotonic() < deadline, f"{found}\n{self.installation.log_tail(20)}"
            await asyncio.sleep(0.1)
        return found

    async def registered(self, devices: int) -> None:
        """Wait until the switch knows of so many devices."""
        await self.until("ready")
        deadline = time.monotonic() + PATIENCE
        while True:
            report = json.loads(await self.installation.run("status", "--json"))
            if report["switch"]["registered_devices"] == devices:
                return
            assert time.monotonic() < deadline, report["switch"]
            await asyncio.sleep(0.2)

    async def talk(self) -> tuple[Call, Call, int]:
        """A customer and Anna talk; their calls and the session's id."""
        before = await self.last_id()
        customer = await self.customer()
        self.anna.on_call(Answer(after=0.2))
        call = await customer.dial(ANNA)
        phone = await self.anna.next_call()
        await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
        deadline = time.monotonic() + PATIENCE
        while True:
            for one in await self.living():
                if one["call_session_id"] > before and len(one["legs"]) == 2:
                    return call, phone, int(one["call_session_id"])
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)

    async def end(self, call: Call, phone: Call) -> None:
        await call.hangup()
        await asyncio.gather(call.ended(), phone.ended())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole(
    asterisk_install: AsteriskInstall, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[CutStage]:
    async with CutStage(asterisk_install, tmp_path_factory.mktemp("cut")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def stage(whole: CutStage) -> AsyncIterator[CutStage]:
    await whole.clear()
    await whole.until("ready")
    yield whole
    whole.heal()
    await whole.until("ready")
    await whole.clear()


async def test_calls_are_answered_after_each_reset_of_the_connections(stage: CutStage) -> None:
    for _ in range(4):
        call, phone, _ = await stage.talk()
        stage.ari.reset()
        stage.ami.reset()
        other, second, _ = await stage.talk()
        assert not call.is_ended
        assert not phone.is_ended
        await stage.end(other, second)
        await stage.end(call, phone)


@pytest.mark.parametrize("silent", ["ari", "ami"])
async def test_the_switch_is_not_ready_while_a_connection_swallows_every_byte(
    stage: CutStage, silent: str
) -> None:
    call, phone, _ = await stage.talk()
    proxy: FaultProxy = getattr(stage, silent)
    proxy.silence()
    found = await stage.until("not_ready")
    assert silent.upper() in found["reason"]
    with pytest.raises(RuntimeError):  # exit code 3
        await stage.installation.run("status")
    proxy.heal()
    await stage.until("ready")
    report = json.loads(await stage.installation.run("status", "--json"))
    assert report["up"]
    assert report["switch"]["signal_path"]["state"] == "ready"
    assert not call.is_ended
    assert not phone.is_ended
    await stage.end(call, phone)
    await stage.end(*(await stage.talk())[:2])


@pytest.mark.parametrize("repetition", range(3))
async def test_hold_while_the_manager_interface_is_away_fails_and_the_talk_goes_on(
    stage: CutStage, repetition: int
) -> None:
    call, phone, session = await stage.talk()
    stage.ami.down()
    with pytest.raises(ApiError) as refused:
        await stage.installation.call_api(
            stage.account, "hold.call", call_session_id=session, contact_message=WORD
        )
    assert refused.value.mnemonic == "internal_error"
    await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
    assert session in {one["call_session_id"] for one in await stage.living()}
    stage.ami.heal()
    await stage.until("ready")
    await stage.installation.call_api(
        stage.account, "hold.call", call_session_id=session, contact_message=WORD
    )
    await stage.installation.call_api(stage.account, "unhold.call", call_session_id=session)
    await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
    await stage.end(call, phone)


@pytest.mark.parametrize("cut", ["reset", "reply"])
async def test_hold_just_after_a_cut_of_the_manager_interface_is_carried_out(
    stage: CutStage, cut: str
) -> None:
    """The connection is back in a moment; and a redirect whose reply is lost was carried out."""
    call, phone, session = await stage.talk()
    if cut == "reset":
        stage.ami.reset()
    else:
        stage.ami.cut_reply(b"Action: Redirect")
    await stage.installation.call_api(
        stage.account, "hold.call", call_session_id=session, contact_message=WORD
    )
    await stage.installation.call_api(stage.account, "unhold.call", call_session_id=session)
    await asyncio.gather(call.hears(phone.tone), phone.hears(call.tone))
    await stage.end(call, phone)


@pytest.mark.parametrize("repetition", range(2))
async def test_two_devices_ring_while_the_switch_loses_asterisk(stage: CutStage, repetition: int) -> None:
    """Who answers first has the call; the other stops ringing, and that ends nothing."""
    tablet = await stage.world.phone("0260001", LINE_PASSWORD, name="Anna's tablet")
    try:
        await stage.registered(4)
        for device in (stage.anna, tablet):
            device.forget()
            device.on_call(Ignore())
        customer = await stage.customer()
        customer.on_call(Answer())
        rows = await stage.installation.data_api(stage.account, "get.employees")
        await stage.installation.call_api(
            stage.account,
            "start.employee_call",
            first_call="employee",
            contact=customer.name,
            virtual_phone_number=ANNA,
            employee={"id": next(row["id"] for row in rows["data"] if row["first_name"] == "Anna")},
        )
        rings, answers = await stage.anna.next_call(), await tablet.next_call()
        await asyncio.gather(rings.ringing(), answers.ringing())
        stage.ari.reset()
        stage.ami.reset()
        await answers.answer()
        await rings.ended(PATIENCE)
        contact = await customer.next_call(PATIENCE)
        await answers.unmute()
        await contact.hears(tablet.tone)
        assert not answers.is_ended
        await contact.hangup()
        await answers.ended()
    finally:
        await tablet.unregister()
        await stage.registered(3)
