"""The phone of the console in a real Chromium talks with desk phones: by tones, both ways."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Locator, Page, expect

from tests.chromium import Messages, browser
from tests.engine.setup import LINE_PASSWORD, Setup, wait_browser_known
from tests.phones.baresip import TONE as DESK_TONE
from tests.phones.baresip import Baresip
from tests.phones.test_foreign_phones import wait_reachable
from trunkline.demo import tones
from trunkline.demo.installation import Installation
from trunkline.demo.outside import Answer, Call, Transport
from trunkline.runtime.asterisk import AsteriskInstall
from trunkline.runtime.asterisk_correction import are_bridges_corrected
from trunkline.testing.foreign import ForeignPhones

TONE = 630.0
"""Hz: of no party of the outside world."""
DESK_LINE = "0260006"
PASSWORD = "a long password of tests"
USERS = {"operator": "dora", "supervisor": "dora-supervises"}
"""Logins of Dora Finch by role."""

expect.set_options(timeout=30_000)

pytestmark = [
    pytest.mark.phones,
    pytest.mark.xdist_group("setup"),
    pytest.mark.asyncio(loop_scope="session"),
]

_FREQUENCY = """async (element) => {
  if (!element.srcObject?.getAudioTracks().length) return 0;
  const context = new AudioContext();
  await context.resume();
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(element.srcObject).connect(analyser);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  const rate = context.sampleRate;
  await context.close();
  const loudest = levels.indexOf(Math.max(...levels));
  return levels[loudest] > -60 ? (loudest * rate) / analyser.fftSize : 0;
}"""
"""The loudest frequency that an element plays, 0: silence."""

_LEVELS = """async (element, tones) => {
  if (!element.srcObject?.getAudioTracks().length) return tones.map(() => -200);
  const context = new AudioContext();
  await context.resume();
  const analyser = context.createAnalyser();
  analyser.fftSize = 8192;
  context.createMediaStreamSource(element.srcObject).connect(analyser);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const levels = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(levels);
  const width = context.sampleRate / analyser.fftSize;
  await context.close();
  return tones.map((tone) => Math.max(...[-1, 0, 1].map((n) => levels[Math.round(tone / width) + n])));
}"""
"""Decibels of some tones in what an element plays."""

_STATE = """() => trunklinePhone.calls.map(({ session, state }) => ({
  state,
  ice: session.connection?.iceConnectionState,
  connection: session.connection?.connectionState,
  signaling: session.connection?.signalingState,
  local: session.connection?.localDescription?.sdp,
  remote: session.connection?.remoteDescription?.sdp,
}))"""


class BrowserPhone:
    """The page of the phone, as a person uses it."""

    def __init__(self, page: Page, installation: Installation) -> None:
        self.page = page
        self.installation = installation
        self.url = installation.url
        self.messages = Messages(page)

    async def open(self) -> None:
        await self.page.goto(f"{self.url}/console/phone")
        await self.ready()

    async def ready(self) -> None:
        try:
            await expect(self.page.locator("#phone")).to_have_attribute("data-state", "registered")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.messages.all}") from error
        loaded_at = await self.page.evaluate("performance.timeOrigin")  # ms
        await wait_browser_known(self.installation, loaded_at / 1000)

    @property
    def calls(self) -> Locator:
        return self.page.locator("[data-call]")

    def call(self, number: str) -> Locator:
        return self.calls.filter(has_text=number)

    async def dial(self, number: str) -> Locator:
        await self.page.fill("[data-part=number]", number)
        await self.page.click("[data-part=dial] button")
        return self.call(number)

    async def press(self, call: Locator, name: str) -> None:
        await call.locator(f"[data-own={name}]").click()

    async def transfer(self, call: Locator, number: str) -> None:
        self.page.once("dialog", lambda dialog: asyncio.ensure_future(dialog.accept(number)))
        await self.press(call, "transfer")

    async def is_in(self, call: Locator, state: str) -> None:
        try:
            await expect(call).to_have_attribute("data-state", state)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.messages.all}\n{await self.notice()}") from error

    async def notice(self) -> str:
        return await self.page.locator("[data-part=notice]").inner_text()

    async def hears(self, call: Locator, tone: float, timeout: float = 15.0) -> None:
        deadline = time.monotonic() + timeout
        heard: list[float] = []
        while time.monotonic() < deadline:
            heard.append(await call.locator("audio").evaluate(_FREQUENCY))
            if abs(heard[-1] - tone) < 25:
                return
        state = await self.page.evaluate(_STATE)
        raise AssertionError(f"the browser hears {heard}, not {tone}; {state}; {self.messages.all}")

    async def hears_all(self, call: Locator, *tones: float, timeout: float = 15.0) -> None:
        """All of these tones at once."""
        deadline = time.monotonic() + timeout
        while True:
            levels = await call.locator("audio").evaluate(_LEVELS, list(tones))
            if min(levels) > -60:
                return
            assert time.monotonic() < deadline, (
                f"{dict(zip(tones, levels, strict=True))}; {self.messages.all}"
            )


async def _employee_id(setup: Setup, last_name: str) -> int:
    found = await setup.installation.data_api(setup.account, "get.employees", fields=["id", "last_name"])
    return int(next(one["id"] for one in found["data"] if one["last_name"] == last_name))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def operator(
    whole_setup: Setup, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BrowserContext]:
    """A browser in which Dora is signed in, with her tone for a microphone."""
    setup = whole_setup
    employee_id = await _employee_id(setup, "Finch")
    for role, login in USERS.items():
        created = ("--login", login, "--password", PASSWORD, "--role", role, "--employee", str(employee_id))
        await setup.installation.run("user", "create", *created, "--account", str(setup.account.account_id))
    microphone = tmp_path_factory.mktemp("microphone") / "tone.wav"
    tones.write_wav(microphone, tones.sine(TONE, 10.0, rate=48000), rate=48000)
    async with browser(microphone) as context:
        await _sign_in(context, setup, USERS["operator"])
        yield context


async def _sign_in(context: BrowserContext, setup: Setup, login: str) -> None:
    page = await context.new_page()
    await page.goto(f"{setup.installation.url}/console/sign-in")
    await page.fill("[name=login]", login)
    await page.fill("[name=password]", PASSWORD)
    await page.click("main button")
    await page.wait_for_url("**/console/")
    # A tone is noise to the browser.
    await page.evaluate("localStorage.setItem('trunkline-phone-sound', JSON.stringify({ processed: false }))")
    await page.close()


@pytest_asyncio.fixture(loop_scope="session")
async def phone(setup: Setup, operator: BrowserContext) -> AsyncIterator[BrowserPhone]:
    page = await operator.new_page()
    one = BrowserPhone(page, setup.installation)
    await one.open()
    yield one
    await setup.world.hang_up_all()
    await expect(one.calls).to_have_count(0)
    await page.close()


async def test_a_browser_calls_a_desk_phone_and_both_hear_each_other(
    setup: Setup, phone: BrowserPhone
) -> None:
    setup.anna.on_call(Answer(after=0.3))
    before = await setup.last_id()
    call = await phone.dial("201")
    at_anna = await setup.anna.next_call()
    await phone.is_in(call, "talking")
    await asyncio.gather(phone.hears(call, setup.anna.tone), setup.hears(at_anna, TONE))
    await phone.press(call, "hang-up")
    await at_anna.ended()
    await expect(phone.calls).to_have_count(0)
    assert phone.messages.errors == []
    row = await setup.row(before)
    assert row["talk_duration"] > 0


async def test_the_credential_of_a_page_is_not_good_for_a_phone(setup: Setup, phone: BrowserPhone) -> None:
    async with phone.page.expect_response("**/console/phone/line") as response:
        await phone.page.reload()
    line = await (await response.value).json()
    other = await setup.world.phone(line["login"], ha1=line["ha1"], name="other", register=False)
    assert await other.wait_registration("Registered", "Rejected", "Stopped") != "Registered"
    await phone.ready()


async def test_a_desk_phone_calls_the_browser_and_is_put_on_hold(setup: Setup, phone: BrowserPhone) -> None:
    at_anna = await setup.anna.dial("204")
    call = phone.calls.first
    await phone.is_in(call, "ringing")
    await phone.press(call, "answer")
    await phone.is_in(call, "talking")
    await asyncio.gather(phone.hears(call, setup.anna.tone), setup.hears(at_anna, TONE))

    await phone.press(call, "mute")
    await _is_silent(at_anna)
    await phone.press(call, "unmute")
    await setup.hears(at_anna, TONE)

    await phone.press(call, "hold")
    await phone.is_in(call, "held")
    await _hears_music(at_anna)
    await phone.press(call, "resume")
    await phone.is_in(call, "talking")
    await asyncio.gather(phone.hears(call, setup.anna.tone), setup.hears(at_anna, TONE))

    await phone.press(call, "keys")
    for key in "15#":
        await call.locator(f"[data-key='{key}']").click()
    await at_anna.hangup()
    await expect(phone.calls).to_have_count(0)
    assert phone.messages.errors == []


async def test_the_browser_hands_a_call_over(setup: Setup, phone: BrowserPhone) -> None:
    setup.boris.on_call(Answer(after=0.3))
    customer = await setup.customer()
    customer.on_call(Answer(after=0.3))
    call = await phone.dial(customer.name)
    at_customer = await customer.next_call()
    await phone.hears(call, customer.tone)
    await phone.transfer(call, "202")
    at_boris = await setup.boris.next_call()
    await expect(phone.calls).to_have_count(0)
    await asyncio.gather(setup.hears(at_customer, setup.boris.tone), setup.hears(at_boris, customer.tone))
    await at_customer.hangup()
    await at_boris.ended()


async def test_a_transfer_that_is_refused_leaves_the_call(setup: Setup, phone: BrowserPhone) -> None:
    setup.anna.on_call(Answer(after=0.3))
    call = await phone.dial("201")
    at_anna = await setup.anna.next_call()
    await phone.hears(call, setup.anna.tone)
    await phone.transfer(call, "299")
    await expect(phone.page.locator("[data-part=notice]")).to_contain_text("not transferred")
    await asyncio.gather(phone.hears(call, setup.anna.tone), setup.hears(at_anna, TONE))


async def test_a_consultation_then_both_others_are_connected(setup: Setup, phone: BrowserPhone) -> None:
    setup.boris.on_call(Answer(after=0.3))
    at_anna = await setup.anna.dial("204")
    first = phone.calls.first
    await phone.is_in(first, "ringing")
    await phone.press(first, "answer")
    await phone.hears(first, setup.anna.tone)
    second = await phone.dial("202")
    at_boris = await setup.boris.next_call()
    await phone.is_in(second, "talking")
    await phone.is_in(first, "held")
    await asyncio.gather(phone.hears(second, setup.boris.tone), setup.hears(at_boris, TONE))
    await phone.press(second, "connect")
    await expect(phone.calls).to_have_count(0)
    await asyncio.gather(setup.hears(at_anna, setup.boris.tone), setup.hears(at_boris, setup.anna.tone))
    await at_anna.hangup()
    await at_boris.ended()


@pytest.mark.parametrize("caller", ["browser", "desk phone"])
async def test_a_call_goes_on_after_the_page_is_loaded_again(
    setup: Setup, phone: BrowserPhone, caller: str
) -> None:
    before = await setup.last_id()
    if caller == "browser":
        setup.anna.on_call(Answer(after=0.3))
        call = await phone.dial("201")
        at_anna = await setup.anna.next_call()
    else:
        at_anna = await setup.anna.dial("204")
        call = phone.calls.first
        await phone.is_in(call, "ringing")
        await phone.press(call, "answer")
    await phone.hears(call, setup.anna.tone)
    phone.page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    for _ in range(2):
        await phone.page.reload()
        await phone.ready()
        await phone.is_in(call, "talking")
        await asyncio.gather(phone.hears(call, setup.anna.tone), setup.hears(at_anna, TONE))
    await phone.press(call, "hold")
    await _hears_music(at_anna)
    await phone.press(call, "resume")
    await asyncio.gather(phone.hears(call, setup.anna.tone), setup.hears(at_anna, TONE))
    await phone.press(call, "hang-up")
    await at_anna.ended()
    row = await setup.row(before)
    assert not row["is_transfer"]


async def test_a_phone_with_one_stream_is_not_asked_for_another_when_the_page_is_loaded_again(
    setup: Setup,
    phone: BrowserPhone,
    foreign_phones: ForeignPhones,
    asterisk_install: AsteriskInstall,
    tmp_path: Path,
) -> None:
    """The page changes its streams twice. baresip refused all streams of such an offer, and the call ended."""
    if not are_bridges_corrected(asterisk_install.modules_dir):
        pytest.skip("this machine has an Asterisk without a correction")
    phone.page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
    began = time.time()
    async with Baresip(
        foreign_phones, tmp_path / "b", setup.installation.sip, Transport.UDP, DESK_LINE, LINE_PASSWORD
    ) as desk:
        await wait_reachable(setup, began, DESK_LINE)
        await desk.dial("204")
        call = phone.calls.first
        await phone.is_in(call, "ringing")
        await phone.press(call, "answer")
        await phone.hears(call, DESK_TONE)
        for _ in range(2):
            await phone.page.reload()
            await phone.ready()
            await phone.is_in(call, "talking")
            await phone.hears(call, DESK_TONE)
        await phone.press(call, "hold")
        await phone.press(call, "resume")
        await phone.hears(call, DESK_TONE)
        await phone.press(call, "hang-up")
        await desk.wait("CALL_CLOSED")


async def test_of_two_tabs_one_has_the_phone(
    setup: Setup, phone: BrowserPhone, operator: BrowserContext
) -> None:
    at_anna = await setup.anna.dial("204")
    call = phone.calls.first
    await phone.is_in(call, "ringing")
    await phone.press(call, "answer")
    await phone.hears(call, setup.anna.tone)
    page = await operator.new_page()
    other = BrowserPhone(page, phone.installation)
    await page.goto(f"{phone.url}/console/phone")
    await expect(page.locator("#phone")).to_have_attribute("data-state", "elsewhere")
    await expect(other.calls).to_have_count(0)

    await page.click("[data-part=take]")
    await other.ready()
    await expect(phone.page.locator("#phone")).to_have_attribute("data-state", "elsewhere")
    taken = other.calls.first
    await other.is_in(taken, "talking")
    await asyncio.gather(other.hears(taken, setup.anna.tone), setup.hears(at_anna, TONE))

    await page.close()  # the first tab goes on
    await phone.ready()
    call = phone.calls.first
    await asyncio.gather(phone.hears(call, setup.anna.tone), setup.hears(at_anna, TONE))
    await at_anna.hangup()
    await expect(phone.calls).to_have_count(0)


async def test_a_supervisor_whispers_and_only_the_employee_hears_it(
    setup: Setup, operator: BrowserContext
) -> None:
    assert operator.browser is not None
    context = await operator.browser.new_context(ignore_https_errors=True, permissions=["microphone"])
    await _sign_in(context, setup, USERS["supervisor"])
    phone = BrowserPhone(await context.new_page(), setup.installation)
    await phone.open()
    setup.anna.on_call(Answer(after=0.3))
    customer = await setup.customer()
    at_customer = await customer.dial("97140000200")
    at_anna = await setup.anna.next_call()
    await at_anna.answered()
    live = await context.new_page()
    messages = Messages(live)
    await live.goto(f"{setup.installation.url}/console/live")
    row = live.locator("tbody tr", has_text="Anna")
    await row.get_by_role("button", name="Whisper").click()
    call = phone.calls.first
    await phone.is_in(call, "ringing")
    await phone.press(call, "answer")
    await asyncio.gather(
        setup.hears(at_anna, TONE),
        setup.hears(at_anna, customer.tone),
        setup.hears(at_customer, setup.anna.tone),
        phone.hears_all(call, customer.tone, setup.anna.tone),
    )
    await expect(row).to_contain_text("whispers")
    sound = (await at_customer.ear()).sound
    assert tones.total(tones.heard(sound, [TONE])[TONE]) < 0.1, tones.described(sound)
    await row.get_by_role("button", name="Stop listening").click()
    await expect(phone.calls).to_have_count(0)
    await row.get_by_role("button", name="Hang up").click()
    await asyncio.gather(at_customer.ended(), at_anna.ended())
    await expect(row).to_have_count(0)
    assert messages.errors == []
    await context.close()


async def test_a_number_on_another_page_is_called_by_the_tab_with_the_phone(
    setup: Setup, phone: BrowserPhone, operator: BrowserContext
) -> None:
    setup.anna.on_call(Answer(after=0.3))
    desk = await operator.new_page()
    messages = Messages(desk)
    await desk.goto(f"{phone.url}/console/workspace")
    await expect(desk.locator("#phone")).to_have_attribute("data-state", "elsewhere")
    page = await operator.new_page()
    await page.goto(f"{phone.url}/console/employees")
    await page.locator("[data-dial='201']").click()
    at_anna = await setup.anna.next_call()
    call = phone.call("201")
    await phone.is_in(call, "talking")
    await desk.bring_to_front()
    await expect(desk.locator(".call-card")).to_have_count(1)
    await phone.press(call, "hang-up")
    await at_anna.ended()
    await expect(desk.locator(".call-card")).to_have_count(0)
    assert messages.errors == []
    await page.close()
    await desk.close()


async def _hears_music(call: Call, timeout: float = 15.0) -> None:
    """A whole second comes with sound that is not the tone of the browser."""
    deadline = time.monotonic() + timeout
    while True:
        await asyncio.sleep(0.5)
        sound = (await call.ear()).sound[-tones.RATE :]
        if tones.total(tones.sounding(sound)) > 0.7 and tones.total(tones.heard(sound, [TONE])[TONE]) < 0.1:
            return
        assert time.monotonic() < deadline, tones.described(sound)


async def _is_silent(call: Call, timeout: float = 15.0) -> None:
    """A whole second comes in which there is no sound."""
    deadline = time.monotonic() + timeout
    while True:
        await asyncio.sleep(0.5)
        sound = (await call.ear()).sound[-tones.RATE :]
        if tones.total(tones.sounding(sound)) < 0.1:
            return
        assert time.monotonic() < deadline, tones.described(sound)
