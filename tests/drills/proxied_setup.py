"""The installation of the drills: its switch reaches Asterisk through proxies that cut the connections."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.engine.setup import COMPANY, LINE_PASSWORD, Setup
from trunkline.demo.outside import Answer, Call, Customer, Ignore, Phone
from trunkline.runtime import secrets
from trunkline.telephony.config.dialplan import APP
from trunkline.testing.proxy import FaultProxy

ANNA = "97140000200"
PATIENCE = 60.0
AWAY_WAIT = 30
"""Seconds that a channel waits in Asterisk for a switch."""


class ProxiedSetup(Setup):
    """A setup whose switch reaches Asterisk through proxies."""

    ari: FaultProxy
    ami: FaultProxy

    async def _set(self) -> None:
        settings = self.installation.settings
        self.ari = await self._stack.enter_async_context(FaultProxy(settings.engine.ari_port))
        self.ami = await self._stack.enter_async_context(FaultProxy(settings.engine.ami_port))
        engine = settings.engine.model_copy(
            update={"ari_connect_port": self.ari.port, "ami_connect_port": self.ami.port}
        )
        # A switch that is killed by each test starts again later each time.
        switch = settings.switch.model_copy(update={"away_wait": AWAY_WAIT})
        self.installation.settings = settings.model_copy(update={"engine": engine, "switch": switch})
        await super()._set()
        # Phones ring long enough for a restart of the switch on a busy machine.
        company = self.folder / "patient.yaml"
        text = COMPANY.read_text().replace("dial_time: 6", "dial_time: 45")
        company.write_text(text.replace("ring_seconds: 4", "ring_seconds: 45"))
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

    async def only_events(self, *kinds: str) -> None:
        """Have Asterisk send only these events to the switch, until the switch connects again."""
        settings = self.installation.settings
        login = secrets.load(settings).ari
        url = f"http://127.0.0.1:{settings.engine.ari_port}/ari/applications/{APP}/eventFilter"
        headers = {"Authorization": aiohttp.encode_basic_auth(login.user, login.password)}
        body = {"allowed": [{"type": kind} for kind in kinds]}
        async with aiohttp.ClientSession(headers=headers) as session, session.put(url, json=body) as response:
            assert response.status == 200, await response.text()

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

    @asynccontextmanager
    async def tablet(self) -> AsyncIterator[Phone]:
        """A second device of Anna's line; both only ring."""
        tablet = await self.world.phone("0260001", LINE_PASSWORD, name="Anna's tablet")
        try:
            await self.registered(4)
            for device in (self.anna, tablet):
                device.forget()
                device.on_call(Ignore())
            yield tablet
        finally:
            await self.world.hang_up_all()
            await tablet.unregister()
            await self.registered(3)

    async def click_to_call(self, customer: Customer) -> None:
        """Anna is called first, then the customer."""
        rows = await self.installation.data_api(self.account, "get.employees")
        await self.installation.call_api(
            self.account,
            "start.employee_call",
            first_call="employee",
            contact=customer.name,
            virtual_phone_number=ANNA,
            employee={"id": next(row["id"] for row in rows["data"] if row["first_name"] == "Anna")},
        )
