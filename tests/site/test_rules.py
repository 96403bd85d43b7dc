"""Which pages may ask, which numbers are called back, tickets and times: rules without a database."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.calls import company as c
from tests.calls.company import company
from trunkline.calls.flows import site_calls
from trunkline.calls.flows.site_calls import BrowserCall, check_number, next_opening, start_site_callback
from trunkline.calls.switch.browser_tickets import MOST, SECONDS, BrowserTickets
from trunkline.core.errors import InvalidInput, InvalidState, LimitExceeded, Refused
from trunkline.directory.model import Account, Site
from trunkline.directory.model.hours import Interval
from trunkline.directory.model.scenarios import Schedule
from trunkline.site import application
from trunkline.site.application import DAYS_AHEAD, agreed_time
from trunkline.site.requests import Kind, check_limits
from trunkline.site.rules import VisitIds, device_of, ids_of, marks_of, permits, search_of, visit_token
from trunkline.site.scripts import Scripts
from trunkline.site.sites import Website

SITE = Site(16001, "shop.example.com", c.TO_ANNA, c.TO_ANNA, ha1_md5="0" * 32, ha1_sha256="0" * 64)
NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def with_site(**changes: Any) -> Account:
    site = replace(SITE, **changes)
    return company(sites={site.site_id: site})


@pytest.mark.parametrize(
    ("origins", "subdomains", "origin", "may"),
    [
        ((), True, "https://shop.example.com", True),
        ((), True, "https://www.shop.example.com", True),
        ((), True, "https://de.shop.example.com", True),
        ((), False, "https://de.shop.example.com", False),
        ((), True, "http://shop.example.com", False),
        ((), True, "https://shop.example.com.evil.example", False),
        ((), True, "https://evilshop.example.com", False),
        ((), True, None, False),
        (("*",), True, None, False),
        (("*",), True, "null", False),
        (("*",), True, "https://any.example", True),
        (("https://a.example:8443",), True, "https://A.example:8443", True),
        (("https://a.example:8443",), True, "https://a.example", False),
        (("https://a.example",), True, "https://shop.example.com", False),
    ],
)
def test_which_origins_may_ask(
    origins: tuple[str, ...], subdomains: bool, origin: str | None, may: bool
) -> None:
    assert permits(origins, "shop.example.com", subdomains, origin) is may


def test_what_an_address_says() -> None:
    url = "https://shop.example.com/?utm_source=letter&utm_source=second&utm_term=&gclid=x&other=1"
    assert marks_of(url) == {"utm_source": "letter", "gclid": "x"}
    assert marks_of("https://[") == {}
    assert search_of("https://www.google.com/search?q=red+shoes") == {
        "search_engine": "google.com",
        "search_query": "red shoes",
    }
    assert search_of("https://shop.example.com/?q=red") == {}
    phone = device_of(
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) Version/17.2 Mobile/1 Safari/604.1"
    )
    assert (phone["visitor_device"], phone["visitor_os_version"]) == ("mobile", "17.2")
    assert device_of("")["visitor_device"] == "other"


def test_tokens_of_visits_cannot_be_made_elsewhere() -> None:
    ids = VisitIds(40001, 50001)
    token = visit_token("key", 1, ids)
    assert ids_of("key", 1, token) == ids
    for forged in (None, "", token.replace("40001", "40002"), token + "0", "40001.50001." + "0" * 32):
        assert ids_of("key", 1, forged) is None
    assert ids_of("key", 2, token) is None
    assert ids_of("other", 1, token) is None


@pytest.mark.parametrize(
    ("number", "may"),
    [
        ("+44 7700 900123", True),
        ("112", False),
        ("+112", False),
        ("999", False),
        ("101", False),  # a short number of an employee
        (c.ANNA_LINE, False),
        (c.number_of(2), False),  # an own number
        (c.BLOCKED, False),
        ("+44 9098 790000", False),  # premium rate
        ("+88161234567", False),  # satellite
        ("+12025550111", False),  # another country
        ("sip:a@b", False),
    ],
)
def test_which_numbers_are_called_back(number: str, may: bool) -> None:
    account = with_site()
    account = replace(account, country="GB", security=dict.fromkeys(("international", "premium"), True))
    site = account.sites[SITE.site_id]
    if may:
        assert check_number(account, site, number) == "447700900123"
    else:
        with pytest.raises(Refused):
            check_number(account, site, number)


def test_numbers_abroad_need_the_website_and_the_account() -> None:
    account = replace(company(), country="GB", security={"international": True})
    assert check_number(account, replace(SITE, abroad=True), c.CUSTOMER) == c.CUSTOMER
    closed = replace(account, security={"international": False})
    with pytest.raises(Refused):
        check_number(closed, replace(SITE, abroad=True), c.CUSTOMER)


def test_a_call_back_rings_our_side_first() -> None:
    account = with_site(abroad=True)
    params = {"site_id": SITE.site_id, "contact": c.CUSTOMER, "visit": {"utm_source": "letter"}}
    request = start_site_callback(account, params)
    assert request.first == {"kind": "scenario", "scenario_id": c.TO_ANNA}
    assert request.second == {"kind": "contact", "number": c.CUSTOMER}
    assert request.source == "sitephone"
    assert request.visit == {
        "site_id": SITE.site_id,
        "site_domain_name": "shop.example.com",
        "utm_source": "letter",
    }
    with pytest.raises(InvalidState) as refused:
        start_site_callback(with_site(callback_scenario_id=None), params)
    assert refused.value.mnemonic == site_calls.NO_SCENARIO
    with pytest.raises(Refused):
        start_site_callback(account, {**params, "group_id": 999})


def test_browsers_are_limited_by_calls_and_hours() -> None:
    account = with_site(at_once=2)
    site_calls.check_browser_call(account, SITE.site_id, NOW, live=1)
    site_calls.check_browser_call(
        with_site(ha1_md5=""), SITE.site_id, NOW, live=0
    )  # a new credential is on its way
    with pytest.raises(LimitExceeded):
        site_calls.check_browser_call(account, SITE.site_id, NOW, live=2)
    with pytest.raises(InvalidState):
        site_calls.check_browser_call(with_site(schedule_id=c.NEVER), SITE.site_id, NOW, live=0)
    with pytest.raises(InvalidState):
        site_calls.check_browser_call(with_site(phone_scenario_id=None), SITE.site_id, NOW, live=0)


def test_the_next_opening_is_found_to_the_minute() -> None:
    # Monday to Friday, 09:07 to 17:00.
    days = (Interval(frozenset(range(1, 6)), 9 * 60 + 7, 17 * 60),)
    account = replace(with_site(schedule_id=7), schedules={7: Schedule(7, "Office", days, ())})
    site = account.sites[SITE.site_id]
    friday_evening = datetime(2026, 3, 6, 18, 30, tzinfo=UTC)
    assert next_opening(account, site, friday_evening) == datetime(2026, 3, 9, 9, 7, tzinfo=UTC)
    assert next_opening(with_site(schedule_id=c.NEVER), replace(site, schedule_id=c.NEVER), NOW) is None


def test_a_ticket_is_good_for_one_call_of_its_website_for_a_minute() -> None:
    clock = [1000.0]
    tickets = BrowserTickets(lambda: clock[0])
    call = BrowserCall(c.ACCOUNT, 1)
    ticket = tickets.issue(call)
    assert len(ticket) == 32
    assert ticket.isalnum()
    assert tickets.redeem(ticket, c.ACCOUNT, 2) is None
    assert tickets.redeem(ticket, c.ACCOUNT + 1, 1) is None
    assert tickets.redeem(ticket, c.ACCOUNT, 1) is call
    assert tickets.redeem(ticket, c.ACCOUNT, 1) is None
    late = tickets.issue(call)
    clock[0] += SECONDS
    assert tickets.redeem(late, c.ACCOUNT, 1) is None
    for _ in range(MOST):
        tickets.issue(call)
    with pytest.raises(LimitExceeded):
        tickets.issue(call)
    tickets.issue(BrowserCall(c.ACCOUNT + 1, 3))


def test_limits_of_a_website() -> None:
    site = Website(c.ACCOUNT, 1, "shop.example.com", (), True, 10, 3, 5, 90, True)
    none = {"in_minute": 0, "of_address": 0, "of_number": 0, "waiting": 0}
    check_limits(site, none, Kind.CALLBACK)
    for name, count, mnemonic in (
        ("in_minute", 10, "calls_per_minute"),
        ("of_address", 5, "calls_per_address"),
        ("of_number", 3, "calls_per_number"),
        ("waiting", 200, "calls_waiting"),
    ):
        check_limits(site, {**none, name: count - 1}, Kind.CALLBACK)
        with pytest.raises(LimitExceeded) as reached:
            check_limits(site, {**none, name: count}, Kind.CALLBACK)
        assert reached.value.mnemonic == mnemonic


def test_agreed_times() -> None:
    assert agreed_time(None, NOW) is None
    assert agreed_time(0, NOW) is None
    later = NOW + timedelta(hours=3)
    assert agreed_time(int(later.timestamp() * 1000), NOW) == later
    with pytest.raises(InvalidInput):
        agreed_time(int((NOW + timedelta(days=DAYS_AHEAD, seconds=1)).timestamp() * 1000), NOW)


def test_the_script_is_small_and_named_by_its_content() -> None:
    folder = Path(application.__file__).parent / "static"
    assert len(gzip.compress((folder / "widget.js").read_bytes())) < 15_000
    scripts = Scripts(folder, folder / "none")
    loader = scripts.loader.body.decode()
    assert scripts.path("widget.js") in loader
    assert "sha384-" in loader
    assert "WIDGET" not in loader
    assert len(scripts.loader.body) < 1_500
