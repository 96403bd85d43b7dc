"""A page of a company's website in a real Chromium: its visitor calls, is called back, and a foreign page is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import BrowserContext, Page, expect

from tests.chromium import Messages, browser
from tests.engine.setup import Setup
from trunkline.demo import tones
from trunkline.demo.outside import Answer

TONE = 630.0
"""Hz: of no party of the outside world."""

expect.set_options(timeout=30_000)

pytestmark = [
    pytest.mark.phones,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
]

_FREQUENCY = """async () => {
  const stream = CallGearWidget.phone.sound.srcObject;
  if (!stream?.getAudioTracks().length) return 0;
  const context = new AudioContext();
  await context.resume();
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(stream).connect(analyser);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  const rate = context.sampleRate;
  await context.close();
  const loudest = levels.indexOf(Math.max(...levels));
  return levels[loudest] > -60 ? (loudest * rate) / analyser.fftSize : 0;
}"""
"""The loudest frequency that the page plays, 0: silence."""

_CALLBACK = """([phone]) => new Promise((resolve) => CallGearWidget.sitePhoneCall({ phone }, resolve))"""

_DIRECTORY = """
sites:
  shop.example.com:
    industry_id: 19
    calls_enabled: true
    origins: ["{origin}"]
    phone_scenario: anna
    callback_scenario: anna
    calls_number: "97140000200"
    calls_abroad: true
    calls_per_address: 100
"""


@dataclass
class Shop:
    """The company's website, and another one with the same page."""

    key: str
    origin: str
    foreign: str
    context: BrowserContext

    async def page(self, origin: str | None = None, query: str = "") -> Page:
        page = await self.context.new_page()
        await page.goto(f"{origin or self.origin}/offer{query}")
        return page


async def _serving(text: list[str]) -> TestServer:
    async def show(_request: web.Request) -> web.Response:
        return web.Response(text=text[0], content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/offer", show)])
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    return server


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(whole_setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    setup = whole_setup
    text = [""]
    own, other = await _serving(text), await _serving(text)
    origin, foreign = (str(one.make_url("")).rstrip("/") for one in (own, other))
    folder = tmp_path_factory.mktemp("shop")
    file = folder / "site.yaml"
    file.write_text(_DIRECTORY.format(origin=origin))
    await setup.installation.apply(setup.account, file)
    [site] = await _sites(setup)
    text[0] = (
        "<!doctype html><title>Offer</title><h1>Offer</h1>"
        '<a id="link" href="tel:+97140000200" data-trunkline="call">Call</a>'
        f'<script async src="{setup.installation.url}/site/loader.js" data-site="{site["site_key"]}"></script>'
    )
    microphone = folder / "tone.wav"
    tones.write_wav(microphone, tones.sine(TONE, 10.0, rate=48000), rate=48000)
    async with browser(microphone) as context:
        yield Shop(site["site_key"], origin, foreign, context)
    for server in (own, other):
        await server.close()


async def _sites(setup: Setup) -> list[dict[str, Any]]:
    import psycopg
    from psycopg.rows import dict_row

    from trunkline.runtime import postgres

    dsn = postgres.dsn(setup.installation.settings)
    async with await psycopg.AsyncConnection.connect(dsn, row_factory=dict_row) as connection:
        cursor = await connection.execute(
            "select * from sites where account_id = %s and calls_enabled", (setup.account.account_id,)
        )
        return await cursor.fetchall()


async def _ready(page: Page) -> None:
    await page.wait_for_function("window.CallGear?.getVisitorId() > 0")


async def _extra(setup: Setup, call_session_id: int) -> dict[str, Any]:
    fields = ["id", "source", "visitor_id", "visitor_session_id", "utm_source", "utm_campaign", "site_domain_name",
              "communication_page_url", "channel", "entrance_page"]  # fmt: skip
    from tests.engine.setup import period

    result = await setup.installation.data_api(
        setup.account,
        "get.calls_report",
        **period(),
        fields=fields,
        filter={"field": "id", "operator": "=", "value": call_session_id},
    )
    [row] = result["data"]
    return dict(row)


async def test_a_visitor_calls_from_the_page_and_both_hear_each_other(setup: Setup, shop: Shop) -> None:
    setup.anna.on_call(Answer(after=0.3))
    before = await setup.last_id()
    page = await shop.page(query="?utm_source=letter&utm_campaign=spring")
    messages = Messages(page)
    await _ready(page)
    await page.click("#link")
    panel = page.locator(".trunkline-widget")
    try:
        await expect(panel).to_have_attribute("data-state", "talking")
    except AssertionError as error:
        reason = await page.evaluate("CallGearWidget.phone.reason")
        raise AssertionError(f"{error}\n{reason}\n{messages.all}") from error
    at_anna = await setup.anna.next_call()
    # The browser suppresses a tone that does not change as noise after 0.4 s.
    await asyncio.gather(_hears(page, setup.anna.tone, messages), at_anna.hears(TONE, seconds=0.3))
    await panel.get_by_role("button", name="Hang up").click()
    await at_anna.ended()
    await expect(panel).to_have_attribute("data-state", "ended")
    visitor = await page.evaluate("[CallGear.getVisitorId(), CallGear.getSessionId()]")
    await page.close()
    assert messages.errors == []
    row = await setup.row(before)
    assert row["source"] == "sitephone"
    assert row["talk_duration"] > 0
    report = await _extra(setup, row["id"])
    assert [report["visitor_id"], report["visitor_session_id"]] == visitor
    assert report["utm_source"] == "letter"
    assert report["utm_campaign"] == "spring"
    assert report["communication_page_url"] == f"{shop.origin}/offer?utm_source=letter&utm_campaign=spring"
    assert report["site_domain_name"] == "shop.example.com"
    assert report["channel"] == "direct"
    assert report["entrance_page"] == report["communication_page_url"]


async def _hears(page: Page, tone: float, messages: Messages, timeout: float = 15.0) -> None:
    deadline = time.monotonic() + timeout
    heard: list[float] = []
    while time.monotonic() < deadline:
        heard.append(await page.evaluate(_FREQUENCY))
        if abs(heard[-1] - tone) < 25:
            return
    raise AssertionError(f"the page plays {heard}, not {tone}; {messages.all}")


async def test_the_employee_is_called_before_the_visitor(setup: Setup, shop: Shop) -> None:
    customer = await setup.customer()
    customer.on_call(Answer(after=0.3))
    setup.anna.on_call(Answer(after=2.0))
    before = await setup.last_id()
    first = await shop.page(query="?utm_source=letter")
    await _ready(first)
    await first.close()
    page = await shop.page(query="?utm_source=banner")
    messages = Messages(page)
    await _ready(page)
    answer = await page.evaluate(_CALLBACK, [f"+{customer.name}"])
    assert answer == {"success": True, "result": {"status": 0, "code": "ok"}}, messages.all
    at_anna = await setup.anna.next_call()
    assert customer.calls == []
    await at_anna.answered()
    at_customer = await customer.next_call()
    await asyncio.gather(setup.hears(at_anna, customer.tone), setup.hears(at_customer, setup.anna.tone))
    await at_customer.hangup()
    await at_anna.ended()
    row = await setup.row(before)
    assert (row["source"], row["contact_phone_number"]) == ("sitephone", customer.name)
    report = await _extra(setup, row["id"])
    assert report["utm_source"] == "letter"  # of the visit, which began with the first page
    assert report["communication_page_url"].endswith("/offer?utm_source=banner")
    await page.close()


async def test_pages_of_other_origins_are_refused(setup: Setup, shop: Shop) -> None:
    page = await shop.page(shop.foreign)
    await page.wait_for_function("window.CallGear")
    answer = await page.evaluate(_CALLBACK, ["+971500000123"])
    assert answer["success"] is False
    assert answer["result"]["status"] == 3
    assert await page.evaluate("CallGear.getVisitorId()") is None
    state = await page.evaluate("CallGearWidget.phone.start().then(() => CallGearWidget.phone.state)")
    assert state == "failed"
    await page.close()
    assert await setup.living() == []
