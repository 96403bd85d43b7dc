"""Names for screen readers, order of headings, contrast: what can be seen in the pages without a browser."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta

import pytest

from tests.apis.call_center.test_live import as_json
from tests.console.browser import Seen
from tests.console.calls import add_call, add_calls, add_employees, noon
from tests.console.conftest import Office
from tests.console.texts import FOLDER
from trunkline.calls.switch.queue_commands import LIST_LIVE
from trunkline.console.setup.menu import ENTITIES, MENU_ENTRIES

_CONTRAST = 4.5
"""Of normal text, by WCAG 2 level AA."""


async def _pages(office: Office) -> list[Seen]:
    await add_employees(office)
    await add_calls(office, noon(), count=30)
    call_id = await add_call(office, noon() + timedelta(hours=9))
    await office.db.execute(
        "insert into tags (account_id, name, key) values (%s, 'vip', 'vip')", (office.account_id,)
    )
    office.switch.answers[LIST_LIVE] = as_json()
    stranger, browser = await office.browser(), await office.browser("captain")
    paths = (
        "",
        "calls?when=yesterday",
        f"calls/{call_id}",
        "contacts",
        "employees",
        "lines",
        "queues",
        "scenarios",
        "new-scenario",
        "me",
        "setup",
        "setup/tags",
        *(f"{one.path.removeprefix('/console/')}/new" for one in ENTITIES),
        *(one.path.removeprefix("/console/") for one in MENU_ENTRIES),
        "setup/notifications/new",
        "setup/deliveries",
        "nothing",
    )
    return [
        await stranger.get("/console/sign-in"),
        *[await browser.get(f"/console/{path}") for path in paths],
    ]


async def test_controls_have_names_and_headings_an_order(office: Office) -> None:
    wrong: list[str] = []
    for page in await _pages(office):
        path, reader = page.url.path, page.reader
        labels = reader.labels | {""}
        inside = set(re.findall(r'<label[^>]*><input[^>]*name="(\w+)"', page.text))
        wrong += [
            f"{path}: {one}"
            for one in reader.controls
            if one.get("type") != "hidden"
            and one.get("id", "-") not in labels
            and "aria-label" not in one
            and one.get("name") not in inside
        ]
        wrong += [f"{path}: id {one} twice" for one in set(reader.ids) if reader.ids.count(one) > 1]
        wrong += [f"{path}: for {one}" for one in reader.labels if one and one not in reader.ids]
        named = re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', page.text)
        wrong += [f"{path}: no {one}" for name in named for one in name.split() if one not in reader.ids]
        wrong += [
            f"{path}: image without alt" for one in re.findall(r"<img[^>]*>", page.text) if " alt=" not in one
        ]
        levels = [int(one) for one in re.findall(r"<h([1-6])", page.text)]
        if levels.count(1) != 1 or any(after > before + 1 for before, after in itertools.pairwise(levels)):
            wrong.append(f"{path}: headings {levels}")
        wrong += [
            f"{path}: {part}"
            for part in ('<main id="main"', 'class="skip"', "<title>")
            if part not in page.text
        ]
        wrong += [
            f"{path}: th without scope"
            for one in re.findall(r"<th\b[^>]*>", page.text)
            if "scope=" not in one
        ]
    assert not wrong, "\n".join(wrong)


def _luminance(color: str) -> float:
    digits = color.lstrip("#")
    if len(digits) == 3:
        digits = "".join(2 * one for one in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(scheme: str) -> None:
    sheet = (FOLDER / "static" / "console.css").read_text()
    light, dark = sheet.split("@media (prefers-color-scheme: dark)")[:2]
    colors = dict(re.findall(r"--([\w-]+): (#\w{3,6});", light if scheme == "light" else dark.split("*,")[0]))
    pairs = [
        *(
            (text, on)
            for text in ("text", "soft", "accent", "bad", "good")
            for on in ("page", "surface", "mark")
        ),
        ("on-accent", "accent"),
        ("bad", "bad-surface"),
    ]
    found = {}
    for text, on in pairs:
        dark_one, light_one = sorted((_luminance(colors[text]), _luminance(colors[on])))
        found[text, on] = round((light_one + 0.05) / (dark_one + 0.05), 2)
    assert min(found.values()) >= _CONTRAST, {
        pair: ratio for pair, ratio in found.items() if ratio < _CONTRAST
    }
