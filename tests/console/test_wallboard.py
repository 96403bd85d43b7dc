"""The wall-board: what it shows of queues, to users and to screens with a link, and when a link ends."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.apis.call_center.test_live import QUEUE, as_json
from tests.console.calls import SCRIPT
from tests.console.conftest import Office
from tests.reports.lifelike import insert
from trunkline.calls.switch.queue_commands import LIST_LIVE
from trunkline.console import live_source, live_stream
from trunkline.console.queues_live import _ask
from trunkline.console.wallboard import Title, colour, tiles

LINKS = "/console/wallboard/links"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("#0f766e", "#0f766e"),
        ("fff", "#fff"),
        (" 0F766E ", "#0F766E"),
        ("red", "red"),
        ("", None),
        (None, None),
        ("#12345", None),
        ("red; background: url(//x)", None),
        ('"><script>', None),
        ("expression(1)", None),
    ],
)
def test_colours_of_settings(text: str | None, shown: str | None) -> None:
    assert colour(text) == shown


async def test_agents_are_counted_by_what_they_do(office: Office) -> None:
    office.switch.answers[LIST_LIVE] = as_json()
    now = await _ask(office.switch, office.account_id, None)
    assert isinstance(now.agents, tuple)
    [tile] = tiles(now, {QUEUE: Title("Short", None, None)}, ())
    assert (tile.available, tile.busy, tile.after_call, tile.on_break) == (1, 1, 1, 2), "one has no phone"
    assert (tile.title.name, tile.waiting, tile.level) == ("Short", 1, 0.6)
    assert tiles(now, {}, (QUEUE + 1,)) == ()
    again = await _ask(office.switch, office.account_id, now)
    assert again == now, "waiting on is no change"


async def test_a_link_shows_the_wall_board_and_nothing_else(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_source, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(live_stream, "STREAM_SECONDS", 2)
    office.switch.answers[LIST_LIVE] = as_json()
    async with office.db.connection() as connection:
        names = {
            "key": "s",
            "name": "Support",
            "tv_name": SCRIPT,
            "background_color": "0f766e",
            "font_color": "x;y",
        }
        await insert(connection, "queues", [{"account_id": office.account_id, "queue_id": QUEUE, **names}])
    captain = await office.browser("captain")
    page = await captain.get(LINKS)
    refused = await captain.send(page, LINKS, name=" ")
    assert refused.status == 400
    made = await captain.send(page, LINKS, name="Hall", shown_language="ru", queue=str(QUEUE))
    found = re.search(r"(/console/wallboard/\d+\.[\w-]+)", made.words)
    assert found is not None
    path = found[1]
    assert path not in (await captain.get(LINKS)).text, "shown once"

    screen = await office.browser(None)
    shown = await screen.get(path)
    assert shown.status == 200
    assert 'lang="ru"' in shown.text
    assert 'data-background="#0f766e"' in shown.text
    assert "data-font" not in shown.text
    assert "<script>alert" not in shown.text
    assert shown.reader.scripts_inside == 0
    assert "style" not in shown.reader.attributes
    assert screen.cookie("trunkline_session") is None
    assert (await screen.get("/console/wallboard", follow=False)).status == 303
    async with screen.client.get(f"{office.origin}{path}/stream") as response:
        async with asyncio.timeout(5):
            text = ""
            while "event: part" not in text:
                text += (await response.content.readuntil(b"\n\n")).decode()
    assert "data-since" in text
    for wrong in (
        f"{path[:-1]}{'A' if path[-1] != 'A' else 'B'}",
        path.replace(str(office.account_id), str(office.other_id)),
    ):
        assert (await screen.get(wrong)).status == 404
        assert (await screen.get(f"{wrong}/stream")).status == 404

    rival = await office.browser("rival")
    link_id = re.search(r'name="link" value="(\d+)"', (await captain.get(LINKS)).text)
    assert link_id is not None
    token = (await rival.get(LINKS)).form(LINKS).fields["form_token"]
    gone = await rival.post(f"{LINKS}/delete", {"form_token": token, "link": link_id[1]})
    assert gone.status == 404
    await captain.send(await captain.get(LINKS), f"{LINKS}/delete", link=link_id[1])
    assert (await screen.get(path)).status == 404
    assert [one.method for one in office.log.entries if one.error_mnemonic is None] == [
        "create.wallboard_link",
        "delete.wallboard_link",
    ]


async def test_a_link_is_for_the_networks_of_the_account(office: Office) -> None:
    office.switch.answers[LIST_LIVE] = as_json()
    captain = await office.browser("captain")
    made = await captain.send(await captain.get(LINKS), LINKS, name="Hall")
    found = re.search(r"(/console/wallboard/\d+\.[\w-]+)", made.words)
    assert found is not None
    screen = await office.browser(None)
    assert (await screen.get(found[1])).status == 200
    await office.db.execute(
        "update allowed_addresses set network = '192.0.2.0/24' where account_id = %s", (office.account_id,)
    )
    assert (await screen.get(found[1])).status == 404


async def test_who_has_the_wall_board_and_its_links(office: Office) -> None:
    office.switch.answers[LIST_LIVE] = as_json()
    expected = {"admin": (200, 200), "supervisor": (200, 403), "operator": (403, 403)}
    for login, statuses in expected.items():
        browser = await office.browser(login)
        found = [(await browser.get(path)).status for path in ("/console/wallboard", LINKS)]
        assert tuple(found) == statuses, login
        if statuses[1] == 403:
            token = (await browser.get("/console/")).reader.forms[-1].fields["form_token"]
            done = await browser.post(LINKS, {"form_token": token, "name": "x"})
            assert done.status == 403, login
