"""Packets with a forged source address ban neither a phone that is registered nor a carrier."""

from __future__ import annotations

import pytest

from trunkline.calls.switch.login_bans import FAILURES_REGISTERED, LINES, BanScope, LoginBans
from trunkline.core.clock import Instant

pytestmark = pytest.mark.attack

NOW = Instant(1_772_366_400.0)
OFFICE = "203.0.113.7"
LINE = "0260001"


def failures(bans: LoginBans, line: str, count: int, *, is_proven: bool, registered: bool = True) -> None:
    for number in range(count):
        bans.failed(
            line,
            OFFICE,
            Instant(NOW + number / 100),
            registered_at=[OFFICE] if registered else [],
            is_known_address=True,
            is_proven=is_proven,
        )


def test_forged_packets_ban_no_registered_phone() -> None:
    bans = LoginBans()
    for number in range(LINES * 10):
        failures(bans, f"02600{number:02}", FAILURES_REGISTERED * 10, is_proven=False)
    assert bans.bans == []


def test_forged_packets_ban_no_carrier() -> None:
    bans = LoginBans()
    failures(bans, "", 5000, is_proven=False, registered=False)
    assert bans.bans == []


def test_guesses_at_other_lines_from_an_office_are_banned_at_these_lines() -> None:
    bans = LoginBans()
    failures(bans, LINE, FAILURES_REGISTERED, is_proven=False, registered=False)
    assert [(ban.scope, ban.ip, ban.line) for ban in bans.bans] == [(BanScope.ADDRESS_AND_LINE, OFFICE, LINE)]


def test_over_tcp_the_address_is_no_forgery() -> None:
    bans = LoginBans()
    failures(bans, LINE, FAILURES_REGISTERED, is_proven=True)
    assert [ban.scope for ban in bans.bans] == [BanScope.ADDRESS_AND_LINE]
