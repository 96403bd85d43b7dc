"""Pages of phone lists and dialing campaigns: leads are pasted, a campaign is started, and its results are shown."""

from __future__ import annotations

import re

import pytest

from tests.console.browser import Browser
from tests.console.conftest import Office
from tests.console.test_setup import make, make_needed, make_one
from trunkline.console.forms import FIELD
from trunkline.console.setup.campaigns import CAMPAIGNS, LEADS, OUTCOMES
from trunkline.console.setup.phone_lists import PHONE_LISTS
from trunkline.dialer.outcomes import Closing, DialOutcome
from trunkline.phone_lists.rules import MAX_LINES_OF_TEXT, leads_in_text


def test_each_outcome_has_a_title() -> None:
    assert set(OUTCOMES) == set(DialOutcome)
    assert set(LEADS) == {"new", "open", *Closing}


def test_leads_in_text() -> None:
    text = '+1 202 555 0110, Stone; Mira\n\n00971 50 123 0021\t"Haddad"\r\n+12025550112;\n'
    assert leads_in_text(text) == [
        {"phone": "12025550110", "name": "Stone; Mira"},
        {"phone": "971501230021", "name": "Haddad"},
        {"phone": "12025550112"},
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("+12025550110\n0501230021, Haddad", "line 2: write the number in full"),
        ("name, phone\n", "line 1"),
        ("+12025550110, " + "x" * 256, "at most 255 characters"),
        ("+12025550110\n" * (MAX_LINES_OF_TEXT + 1), f"at most {MAX_LINES_OF_TEXT} numbers"),
        (" \n", "at least one number"),
    ],
)
def test_texts_that_are_no_leads(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        leads_in_text(text)


async def _token(browser: Browser) -> dict[str, str]:
    """The field that forms of this session have."""
    return {FIELD: (await browser.get("/console/")).form("/console/sign-out").fields[FIELD]}


async def _list_with(browser: Browser, text: str) -> str:
    """The path of a new list with these leads."""
    path = f"{PHONE_LISTS.path}/{await make_one(browser, PHONE_LISTS)}"
    added = await browser.send(await browser.get(path), f"{path}/leads", leads=text)
    assert added.status == 200, added.words
    return path


async def test_leads_are_pasted_and_removed(office: Office) -> None:
    browser = await office.browser("captain")
    path = await _list_with(browser, "+12025550110, <b>Stone</b>\n+12025550111")
    page = await browser.get(path)
    assert "Numbers in it: 2" in page.words
    assert "<b>Stone</b>" in page.words
    wrong = await browser.send(page, f"{path}/leads", leads="+12025550113\n12")
    assert wrong.status == 422
    assert "line 2: write the number in full" in wrong.words
    assert "+12025550113\n12" in wrong.form(f"{path}/leads").fields["leads"]
    removed = await browser.send(page, f"{path}/leads/12025550110/delete")
    assert "Numbers in it: 1" in removed.words, "and nothing of the wrong text was added"
    rival = await office.browser("rival")
    for action in ("leads", "leads/12025550111/delete"):
        assert (await rival.post(f"{path}/{action}", {})).status == 403, "no form of a page"
    refused = await rival.post(f"{path}/leads", {**await _token(rival), "leads": "+12025550110"})
    assert refused.status == 404


async def test_long_lists_have_pages(office: Office) -> None:
    browser = await office.browser("captain")
    path = await _list_with(browser, "\n".join(f"+1202555{number:04}" for number in range(101)))
    page = await browser.get(path)
    [more] = [one for one in page.links if "after=" in one]
    assert "0100" not in page.words
    assert "+1 202-555-0100" in (await browser.get(more)).words


async def test_a_campaign_is_started_and_stopped(office: Office) -> None:
    browser = await office.browser("captain")
    await make_needed(browser)
    path = f"{CAMPAIGNS.path}/{await make_one(browser, CAMPAIGNS, max_lines='7', abandon_limit='2.5')}"
    page = await browser.get(path)
    assert page.form(path).fields["max_lines"] == "7"
    assert page.form(path).fields["abandon_limit"] == "2.5"
    assert "Not started" in page.words
    running = await browser.send(page, f"{path}/start")
    assert "Running" in running.words
    refused = await browser.send(running, path, max_lines="8")
    assert refused.status == 422
    assert "stop it first" in refused.words
    stopped = await browser.send(running, f"{path}/stop")
    assert "Stopped" in stopped.words
    saved = await browser.send(stopped, path, max_lines="8", mode="predictive", detect_machines="on")
    assert "Saved." in saved.words
    fields = saved.form(path).fields
    assert (fields["max_lines"], fields["mode"], fields["abandon_limit"]) == ("8", "predictive", "2.5")
    assert fields["detect_machines"] == "on"
    wrong = await browser.send(saved, path, mode="preview")
    assert "leave it out with preview" in wrong.words
    for name, value in (
        ("max_lines", "many"),
        ("hours", "always"),
        ("abandon_limit", "x"),
        ("ring_seconds", "3"),
    ):
        wrong = await browser.send(saved, path, **{name: value})
        assert wrong.status == 422, name
        assert f'aria-describedby="f-{name}' in wrong.text
    listed = await browser.get(f"{CAMPAIGNS.path}?state=stopped")
    assert "Spring" in listed.words
    assert "Spring" not in (await browser.get(f"{CAMPAIGNS.path}?state=running")).words


async def test_nobody_starts_the_campaign_of_another_account(office: Office) -> None:
    captain, rival = await office.browser("captain"), await office.browser("rival")
    await make_needed(captain)
    path = f"{CAMPAIGNS.path}/{await make_one(captain, CAMPAIGNS)}"
    assert (await rival.post(f"{path}/start", await _token(rival))).status == 404
    taken = await make(rival, "campaigns", queue_id="22001", phone_list_ids="1")
    assert taken.status == 422, "a queue of another account"
    assert "Not started" in (await captain.get(path)).words
