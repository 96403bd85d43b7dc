"""Whatever the address of a page says, the answer is a page of ours and no unexpected error."""

from __future__ import annotations

import random
from urllib.parse import quote

import pytest

from tests.apis.call_center.test_live import as_json
from tests.console.calls import add_calls, add_employees, noon
from tests.console.conftest import Office
from trunkline.calls.switch.queue_commands import LIST_LIVE

_PATHS = ("", "calls", "calls.csv", "contacts", "employees", "lines", "queues", "me", "sign-in")
_NAMES = (
    "when", "first", "last", "hour", "until", "direction", "outcome", "employee", "part", "number", "words", "longer",
    "tag", "queue", "reason", "internal", "page", "column", "day", "state", "next",
)  # fmt: skip
_VALUES = (
    "", "0", "1", "-1", "1e9", "9" * 15, "9" * 30, "٣", "²", "x", "'", '"', "\\", "%", "_", "(", "[", "(?i)", "*" * 60, "\0",
    "a\0b", "\r\nX: y", "😀" * 50, "\u202e", "a" * 3000, "None", "nan", "true", "2026-02-30", "9999-12-31", "2000-01-01",
    "24:00", "12:00:00+99:00", "23:59", "in", "lost", "not_called_back", "period", "last_week", "missed", "time", "offline",
    "12:00+02:00", "23:59Z", "{{7*7}}", "%s", "%(who)s", "<b>", "javascript:alert(1)", "//evil.example", "/console/calls",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
async def test_random_addresses(office: Office, seed: int) -> None:
    await add_employees(office)
    await add_calls(office, noon(0).replace(hour=0), count=20, hours=0.1)
    office.switch.answers[LIST_LIVE] = as_json()
    browser, dice = await office.browser("captain"), random.Random(seed)
    for _ in range(60):
        names = dice.sample(_NAMES, dice.randrange(1, 4))
        query = "&".join(f"{name}={quote(dice.choice(_VALUES), safe='')}" for name in names)
        path = f"/console/{dice.choice(_PATHS)}?{query}"
        page = await browser.get(path)
        assert page.status in (200, 400, 404), (path, page.status, page.text[:300])
        assert page.url.path.startswith("/console/"), path
        assert "<b>" not in page.text, path
        assert page.text.strip() != "49", path


@pytest.mark.parametrize("until", ["12:00+02:00", "12:00:00.5", "23:59Z"])
async def test_a_time_of_another_zone_is_refused(office: Office, until: str) -> None:
    browser = await office.browser("captain")
    page = await browser.get(f"/console/calls?until={quote(until)}")
    assert page.status == (200 if "." in until else 400)


@pytest.mark.parametrize("raw", ["%", "%ff", "%ed%a0%80", "a=%ff&words=%c3%28", "words=%00", "page=%d9%a3"])
async def test_addresses_that_are_no_text(office: Office, raw: str) -> None:
    office.switch.answers[LIST_LIVE] = as_json()
    browser = await office.browser("captain")
    for path in _PATHS:
        page = await browser.get(f"/console/{path}?{raw}")
        assert page.status in (200, 400, 404), (path, page.status)
    for path in (
        f"/console/{raw}",
        "/console/calls/1/../../x",
        "/console/calls/999999999999999999",
        "/console//",
    ):
        assert (await browser.get(path)).status in (200, 400, 404), path


async def test_forms_that_cannot_be_read(office: Office) -> None:
    browser = await office.browser("captain")
    for body, kind in (
        (b"x" * 100_000, "application/x-www-form-urlencoded"),
        (b"\xff=\xff", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=1" for _ in range(1000)), "application/x-www-form-urlencoded"),
        (b"{}", "application/json"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"", "text/plain"),
    ):
        for path in ("sign-in", "sign-out", "language", "me/codes", "calls/1/comment"):
            url = f"{office.origin}/console/{path}"
            async with browser.client.post(
                url, data=body, headers={"Content-Type": kind}, allow_redirects=False
            ) as response:
                assert response.status in (400, 403, 404), (path, kind, response.status)
