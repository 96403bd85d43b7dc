"""Requests from the server of a trunk that identify no trunk are in the log and in the status, with the remedy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog

from tests.calls import company as c
from trunkline.calls.switch import unlisted_carriers
from trunkline.calls.switch.unlisted_carriers import UnlistedCarriers
from trunkline.core.clock import Instant
from trunkline.directory.model import Directory, Trunk
from trunkline.telephony.port import Unidentified

CARRIER, ELSEWHERE = "192.0.2.1", "203.0.113.5"


class Setup:
    """Trunks whose host has these addresses."""

    def __init__(self) -> None:
        self.now = 1_772_366_400.0
        self.addresses: tuple[str, ...] = (CARRIER, "192.0.2.2")
        self.account = c.company()
        self.phones: set[str] = set()
        self.carriers = UnlistedCarriers(
            lambda: Directory({self.account.account_id: self.account}),
            lambda _: self.addresses,
            lambda: self.now,
            lambda ip: ip in self.phones,
        )

    def change(self, **changes: Any) -> None:
        trunk: Trunk = self.account.trunks[c.TRUNK]
        self.account = replace(self.account, trunks={c.TRUNK: replace(trunk, **changes)})

    def request(self, ip: str) -> list[Any]:
        """The lines of the log."""
        with structlog.testing.capture_logs() as logs:
            self.carriers.handle(Unidentified(Instant(self.now), ip))
        return list(logs)


def test_it_is_counted_and_logged_with_the_remedy() -> None:
    setup = Setup()
    [line] = setup.request(CARRIER)
    assert (line["event"], line["trunk"], line["ip"]) == ("trunk_request_not_identified", "Carrier", CARRIER)
    assert line["remedy"].endswith(f"addresses: [{CARRIER}]")
    assert setup.request(CARRIER) == []
    setup.now += 601
    [line] = setup.request("192.0.2.2")
    assert line["requests"] == 3
    [shown] = setup.carriers.status()
    assert (shown["trunk_name"], shown["ip"], shown["requests"]) == ("Carrier", "192.0.2.2", 3)


def test_others_are_not_concerned() -> None:
    setup = Setup()
    setup.request(ELSEWHERE)
    assert setup.carriers.status() == []


def test_a_trunk_that_is_switched_off_is_named() -> None:
    """By the address of its host, and by one that it lists."""
    setup = Setup()
    setup.change(is_active=False, addresses=(ELSEWHERE,))
    for ip in (CARRIER, ELSEWHERE):
        [line] = setup.request(ip)
        assert (line["event"], line["trunk"], line["ip"]) == ("trunk_inactive", "Carrier", ip)
        assert line["remedy"].endswith("active: true")
    assert setup.carriers.status() == []


def test_addresses_of_no_trunk_are_counted_and_logged() -> None:
    """A carrier calls from an address that its trunk does not list: the administrator finds it."""
    setup = Setup()
    [line] = setup.request(ELSEWHERE)
    assert (line["event"], line["ip"], line["requests"]) == ("sip_sender_unknown", ELSEWHERE, 1)
    assert f"addresses: [{ELSEWHERE}]" in line["remedy"]
    assert setup.request(ELSEWHERE) == []
    setup.now += 601
    [line] = setup.request(ELSEWHERE)
    assert line["requests"] == 3
    setup.request("203.0.113.6")
    shown = setup.carriers.unknown_senders()
    assert [(one["ip"], one["requests"]) for one in shown] == [(ELSEWHERE, 3), ("203.0.113.6", 1)]
    assert setup.carriers.status() == []
    setup.now += 86_401
    assert setup.carriers.unknown_senders() == []


def test_an_address_that_the_trunk_lists_is_no_unknown_sender() -> None:
    setup = Setup()
    setup.change(addresses=(CARRIER,))
    assert setup.request(CARRIER) == []
    assert setup.carriers.unknown_senders() == []


def test_phones_are_no_unknown_senders() -> None:
    """Asterisk treats a banned phone as one that it does not know."""
    setup = Setup()
    setup.phones.add(ELSEWHERE)
    assert setup.request(ELSEWHERE) == []
    assert setup.carriers.unknown_senders() == []
    setup.phones.clear()
    assert len(setup.request(ELSEWHERE)) == 1


def test_many_unknown_senders_fill_neither_log_nor_memory() -> None:
    setup, lines = Setup(), 0
    for number in range(5000):
        lines += len(setup.request(f"198.51.{number // 250}.{1 + number % 250}"))
        setup.now += 0.01
    assert lines == unlisted_carriers.SENDER_LINES
    assert len(setup.carriers.unknown_senders()) == unlisted_carriers.SENDERS_SHOWN
    setup.now += 601
    assert len(setup.request(ELSEWHERE)) == 1


def test_scanners_do_not_push_a_carrier_out() -> None:
    setup = Setup()
    setup.request(ELSEWHERE)
    setup.request(ELSEWHERE)
    for number in range(5000):
        setup.request(f"198.51.{number // 250}.{1 + number % 250}")
        setup.now += 0.01
    assert setup.carriers.unknown_senders()[0]["ip"] == ELSEWHERE


def test_it_is_over_when_the_trunk_lists_the_address_or_after_a_day() -> None:
    setup = Setup()
    setup.request(CARRIER)
    setup.change(addresses=("192.0.2.0/28",))
    assert setup.carriers.status() == []
    setup.change(addresses=())
    assert setup.carriers.status()
    setup.now += 86_401
    assert setup.carriers.status() == []


def test_a_flood_does_not_search_the_trunks_for_each_request() -> None:
    setup = Setup()
    asked: list[int] = []
    trunks = UnlistedCarriers(
        lambda: Directory({setup.account.account_id: setup.account}),
        lambda trunk: asked.append(trunk.trunk_id) or (),  # type: ignore[func-returns-value]
        lambda: setup.now,
    )
    for _ in range(1000):
        trunks.handle(Unidentified(Instant(setup.now), ELSEWHERE))
    assert len(asked) == len(setup.account.trunks)
