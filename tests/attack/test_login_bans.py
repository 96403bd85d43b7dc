"""Rules of bans: only addresses that guess passwords are banned, for increasing times."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.calls.switch import login_bans as rules
from trunkline.calls.switch.login_bans import Ban, BanScope, LoginBans
from trunkline.core.clock import Instant
from trunkline.telephony.request_rates import REQUESTS_MAX, RequestRates

pytestmark = pytest.mark.attack

ATTACKER, OFFICE = "203.0.113.9", "198.51.100.7"
T0 = 1_700_000_000.0


def fail(
    bans: LoginBans, times: int, line: str = "1001", ip: str = ATTACKER, at: float = T0, **where: Any
) -> list[Ban]:
    found: list[Ban] = []
    for _ in range(times):
        found += bans.failed(
            line, ip, Instant(at), **{"registered_at": (), "is_known_address": False, **where}
        )
    return found


def test_an_address_is_banned_at_the_line_it_guesses() -> None:
    bans = LoginBans()
    assert fail(bans, rules.FAILURES - 1) == []
    [ban] = fail(bans, 1)
    assert (ban.scope, ban.ip, ban.line, ban.until - ban.since) == (
        BanScope.ADDRESS_AND_LINE,
        ATTACKER,
        "1001",
        rules.STEPS[0],
    )
    assert fail(bans, 500) == []  # one ban, one event


def test_each_ban_is_longer_than_the_one_before() -> None:
    bans, at, lengths = LoginBans(), T0, []
    for _ in range(8):
        [ban] = fail(bans, rules.FAILURES, at=at)
        lengths.append(ban.until - ban.since)
        at = ban.until
        assert bans.expire(Instant(at)) == [ban]
    assert lengths == [*rules.STEPS, *[rules.STEPS[-1]] * 3]
    assert fail(bans, rules.FAILURES_AGAIN, at=at) != []
    bans.expire(Instant(at + 3 * rules.REMEMBERED))
    [ban] = fail(bans, rules.FAILURES, at=at + 3 * rules.REMEMBERED)
    assert ban.until - ban.since == rules.STEPS[0]


def test_failures_long_ago_do_not_count() -> None:
    bans = LoginBans()
    assert fail(bans, rules.FAILURES - 1) == []
    assert fail(bans, rules.FAILURES - 1, at=T0 + 3600) == []


def test_one_bad_phone_does_not_lock_out_its_office() -> None:
    bans = LoginBans()
    found = fail(bans, 1000, ip=OFFICE, is_known_address=True)
    assert [ban.scope for ban in found] == [BanScope.ADDRESS_AND_LINE]


@pytest.mark.parametrize(("known", "lines"), [(False, rules.LINES), (True, rules.LINES_REGISTERED)])
def test_an_address_is_banned_after_many_lines(known: bool, lines: int) -> None:
    bans = LoginBans()
    found: list[Ban] = []
    for number in range(lines):
        assert all(ban.scope is not BanScope.ADDRESS for ban in found)
        found = fail(bans, rules.FAILURES, str(1000 + number), is_known_address=known)
    assert [ban.scope for ban in found] == [BanScope.ADDRESS_AND_LINE, BanScope.ADDRESS]
    assert found[1].until - found[1].since == (rules.STEPS_REGISTERED if known else rules.STEPS)[0]


def test_where_the_line_is_registered_more_failures_are_borne_and_bans_are_short() -> None:
    bans = LoginBans()
    assert fail(bans, rules.FAILURES_REGISTERED - 1, ip=OFFICE, registered_at=[OFFICE]) == []
    [ban] = fail(bans, 1, ip=OFFICE, registered_at=[OFFICE])
    assert ban.until - ban.since == rules.STEPS_REGISTERED[0]


def test_a_device_that_floods_with_the_right_password_is_banned_at_its_line() -> None:
    bans = LoginBans()
    [ban] = bans.flooded("1001", OFFICE, Instant(T0), 1200)
    assert (ban.scope, ban.ip, ban.line, ban.failures) == (BanScope.ADDRESS_AND_LINE, OFFICE, "1001", 1200)
    assert bans.flooded("1001", OFFICE, Instant(T0), 1200) == []  # one ban, one event
    bans.expire(ban.until)
    [again] = bans.flooded("1001", OFFICE, ban.until, 1200)
    assert (ban.until - ban.since, again.until - again.since) == rules.STEPS[:2]


def test_a_device_floods_when_it_sends_too_many_requests_in_a_minute() -> None:
    rates = RequestRates()
    usual = [rates.add("1001", OFFICE, T0 + number / 19) for number in range(10 * REQUESTS_MAX)]
    others = [rates.add("1001", f"203.0.113.{number % 250}", T0) for number in range(10 * REQUESTS_MAX)]
    assert not any(usual)
    assert not any(others)
    found = [rates.add("1002", OFFICE, T0 + number / 21) for number in range(2 * REQUESTS_MAX)]
    assert found.count(REQUESTS_MAX) == 2
    assert found.count(0) == len(found) - 2


def test_many_addresses_at_one_line_leave_its_owner_alone() -> None:
    bans = LoginBans()
    found: list[Ban] = []
    for number in range(60):
        found += fail(bans, 5, ip=f"203.0.113.{number}", registered_at=[OFFICE])
    [whole] = [ban for ban in found if ban.scope is BanScope.LINE]
    assert (whole.line, whole.ip, whole.allowed) == ("1001", "", (OFFICE,))


def test_a_line_without_a_phone_is_not_closed_to_all() -> None:
    bans = LoginBans()
    for number in range(60):
        found = fail(bans, 5, ip=f"203.0.113.{number}")
        assert all(ban.scope is BanScope.ADDRESS_AND_LINE for ban in found)


def test_who_goes_on_after_a_ban_is_refused_at_all() -> None:
    """The engine treats requests to a line that refuses their address as those to no line."""
    bans = LoginBans()
    fail(bans, rules.FAILURES)
    assert fail(bans, rules.FLOOD - 1, "") == []
    [ban] = fail(bans, 1, "")
    assert ban.scope is BanScope.ADDRESS


def test_a_phone_that_tries_again_now_and_then_is_no_flood() -> None:
    bans = LoginBans()
    for number in range(3 * rules.FLOOD):
        assert fail(bans, 1, "", at=T0 + 30 * number) == []
    assert fail(bans, 3 * rules.FLOOD, "", OFFICE, is_known_address=True) == []


def test_bans_are_lifted_by_hand() -> None:
    bans = LoginBans()
    fail(bans, rules.FAILURES)
    fail(bans, rules.FAILURES, "1002")
    fail(bans, rules.FAILURES, ip="203.0.113.10")
    assert len(bans.lift(ATTACKER, "1001")) == 1
    assert len(bans.lift(ATTACKER, None)) == 1
    assert fail(bans, rules.FAILURES - 1) == []  # forgotten as well
    assert len(bans.lift(None, None)) == 1
    assert bans.bans == []


def test_a_restart_forgets_no_ban() -> None:
    bans = LoginBans()
    for number in range(rules.LINES):
        fail(bans, rules.FAILURES, str(1000 + number))
    kept = LoginBans.from_json(bans.to_json())
    assert kept.bans == bans.bans
    end = max(ban.until for ban in kept.bans)
    kept.expire(end)
    [ban] = fail(kept, rules.FAILURES_AGAIN, "1000", at=end)
    assert ban.until - ban.since == rules.STEPS[1]
    with pytest.raises(ValueError, match="bans"):
        LoginBans.from_json({"bans": [{"scope": "x"}]})


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["1001", "1002", ""]), st.sampled_from([ATTACKER, OFFICE]), st.floats(0, 500)
        ),
        max_size=200,
    )
)
def test_bans_end_and_leave_nothing(failures: list[tuple[str, str, float]]) -> None:
    bans, at = LoginBans(), T0
    for line, ip, pause in failures:
        at += pause
        fail(bans, 1, line, ip, at)
        bans.expire(Instant(at))
    far = Instant(at + 10 * rules.REMEMBERED)
    bans.expire(far)
    bans.expire(far)
    assert bans.bans == []
    assert bans._counters == {}


def test_udp_packets_lock_out_no_office_in_its_name() -> None:
    """Anybody can write any sender into a UDP packet."""
    bans = LoginBans()
    found: list[Ban] = []
    for number in range(100):
        found += fail(bans, 50, str(1000 + number), OFFICE, is_known_address=True, is_proven=False)
    assert {ban.scope for ban in found} == {BanScope.ADDRESS_AND_LINE}
