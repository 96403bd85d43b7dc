"""Interactive call processing on the real engine: by tones: each form of a reply, and each failure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests import scenario_examples
from tests.engine.setup import MEDIA_TONES, Setup
from tests.patience import PATIENCE
from trunkline.demo.outside import Answer, Call, busy

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]

NUMBER, AT_ONCE, SOON = "97140000390", "97140000391", "97140000392"
"""As on the page; asks at once, and waits for the reply as long as a busy machine takes; the same for two seconds only."""


class System:
    """The company's other system."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.reply: Any = {}
        self.status = 200
        self.delay = 0.0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(dict(request.query if request.method == "GET" else await request.post()))
        await asyncio.sleep(self.delay)
        body = self.reply if isinstance(self.reply, str) else json.dumps(self.reply)
        return web.Response(status=self.status, text=body, content_type="application/json")


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def asked(whole_setup: Setup) -> AsyncIterator[System]:
    """The example of the page, with the address of a server of ours, and one that asks at once by POST."""
    system = System()
    app = web.Application()
    app.router.add_route("*", "/calls", system.handle)
    server = TestServer(app)
    await server.start_server()
    url = str(server.make_url("/calls"))
    crm = scenario_examples.scenarios()["crm"]
    crm["operations"]["code"]["url"] = url
    at_once: dict[str, Any] = {
        "operations": {
            "ask": {"kind": "external_decision", "url": url, "method": "POST", "reply_seconds": 30, "music": "tune",
                    "otherwise": "anna", "next": "boris"},
            "anna": {"kind": "forward_employee", "employee": "anna"},
            "boris": {"kind": "forward_employee", "employee": "boris"},
        }
    }  # fmt: skip
    operations = at_once["operations"]
    soon = {"operations": {**operations, "ask": {**operations["ask"], "reply_seconds": 2}}}
    file = whole_setup.folder / "decisions.yaml"
    numbers = {
        NUMBER: {"name": "crm", "trunk": "carrier", "rules": [{"scenario": "decided_crm"}]},
        AT_ONCE: {"name": "at_once", "trunk": "carrier", "rules": [{"scenario": "decided_at_once"}]},
        SOON: {"name": "soon", "trunk": "carrier", "rules": [{"scenario": "decided_soon"}]},
    }
    scenarios = {"decided_crm": crm, "decided_at_once": at_once, "decided_soon": soon}
    file.write_text(yaml.safe_dump({"scenarios": scenarios, "virtual_numbers": numbers}, sort_keys=False))
    await whole_setup.installation.apply(whole_setup.account, file, whole_setup.environment)
    yield system
    await server.close()


@pytest.fixture
def system(asked: System, setup: Setup) -> System:
    asked.requests.clear()
    asked.reply, asked.status, asked.delay = {}, 200, 0.0
    for phone in (setup.anna, setup.boris):
        phone.on_call(Answer())
    return asked


async def talks(setup: Setup, call: Call, name: str) -> None:
    phone = await getattr(setup, name).next_call()
    await phone.answered()
    await call.hears(phone.tone)
    await phone.hears(call.tone)
    await call.hangup()
    await asyncio.gather(call.ended(), phone.ended())


async def test_a_code_is_sent_and_a_return_code_routes_the_call(setup: Setup, system: System) -> None:
    system.reply = {"returned_code": 2}
    before = await setup.last_id()
    customer = await setup.customer()
    call = await customer.dial(NUMBER)
    await call.answered()
    await asyncio.sleep(0.5)
    await call.send_keys("4821")
    await talks(setup, call, "boris")
    row = await setup.row(before)
    (sent,) = system.requests
    assert sent["input_result"] == "4821"
    assert (sent["numa"], sent["numb"], sent["direction"]) == (customer.identity.user, NUMBER, "in")
    assert sent["cdr_id"] == sent["call_session_id"] == str(row["id"])
    assert row["finish_reason"] == "caller_disconnects"


async def test_who_enters_no_code_is_asked_about_with_the_text_none(setup: Setup, system: System) -> None:
    system.reply = {"returned_code": ["1"]}
    call = await (await setup.customer()).dial(NUMBER)
    await talks(setup, call, "anna")
    assert [one["input_result"] for one in system.requests] == ["None"]


@pytest.mark.parametrize("phones", [["202"], ["0260002"], ["0", "202"]])
async def test_numbers_of_the_reply_are_called(setup: Setup, system: System, phones: list[str]) -> None:
    system.reply = {"phones": phones}
    await talks(setup, await (await setup.customer()).dial(AT_ONCE), "boris")


async def test_the_next_number_is_called_when_one_is_busy(setup: Setup, system: System) -> None:
    setup.anna.on_call(busy())
    system.reply = {"phones": ["201", "202"]}
    await talks(setup, await (await setup.customer()).dial(AT_ONCE), "boris")


async def test_an_outside_number_of_the_reply_is_called(setup: Setup, system: System) -> None:
    partner = await setup.customer()
    partner.on_call(Answer())
    system.reply = {"phones": [f"+{partner.identity.user}"]}
    call = await (await setup.customer()).dial(AT_ONCE)
    outside = await partner.next_call()
    await outside.answered()
    await call.hears(outside.tone)
    await outside.hears(call.tone)
    await call.hangup()
    await asyncio.gather(call.ended(), outside.ended())


async def test_a_media_file_of_the_reply_is_heard_before_the_call_goes_on(
    setup: Setup, system: System
) -> None:
    system.reply = {"message_name": "long_word", "phones": ["201"], "operator_message": "word_to_employee"}
    call = await (await setup.customer()).dial(AT_ONCE)
    await call.answered()
    await call.hears(MEDIA_TONES["long_word"])
    phone = await setup.anna.next_call()
    await phone.answered()
    await phone.hears(MEDIA_TONES["word_to_employee"])
    await call.hears(phone.tone)
    await call.hangup()
    await asyncio.gather(call.ended(), phone.ended())


async def test_a_text_of_the_reply_is_read_out_and_the_next_operation_follows(
    setup: Setup, system: System
) -> None:
    system.reply = {"text": "Good morning."}
    await talks(setup, await (await setup.customer()).dial(AT_ONCE), "boris")


@pytest.mark.parametrize(
    ("reply", "status", "delay"),
    [
        ({"phones": ["202"]}, 500, 0.0),
        ("not JSON", 200, 0.0),
        ({}, 200, 0.0),
        ({"returned_code": "unknown"}, 200, 0.0),
        ({"message_name": "no such file"}, 200, 0.0),
        ({"phones": ["202"]}, 200, 10.0),
    ],
)
async def test_each_failure_takes_the_fallback_within_the_time_of_the_reply(
    setup: Setup, system: System, reply: Any, status: int, delay: float
) -> None:
    system.reply, system.status, system.delay = reply, status, delay
    started = asyncio.get_running_loop().time()
    call = await (await setup.customer()).dial(SOON)
    phone = await setup.anna.next_call()
    # reply_seconds is 2; the rest is for a busy machine.
    assert asyncio.get_running_loop().time() - started < 8.0
    await phone.answered()
    await call.hears(phone.tone)
    await call.hangup()
    await asyncio.gather(call.ended(), phone.ended())


async def test_a_killed_switch_asks_again(setup: Setup, system: System) -> None:
    system.reply, system.delay = {"phones": ["202"]}, 1.5
    call = await (await setup.customer()).dial(AT_ONCE)
    async with asyncio.timeout(PATIENCE):
        while not system.requests:
            await asyncio.sleep(0.05)
    killed = setup.installation.kill("switch")
    await setup.installation.wait_restarted("switch", killed)
    phone = await setup.boris.next_call(timeout=20)
    await phone.answered()
    await call.hears(phone.tone)
    await call.hangup()
    await asyncio.gather(call.ended(), phone.ended())
    assert len({one["cdr_id"] for one in system.requests}) == 1
