"""Rules without a database: points, the brake, networks, tokens, the cipher."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from trunkline.accounts import Cipher, login_throttle, networks, passwords, tokens
from trunkline.accounts.model import Caller, CallerKind
from trunkline.accounts.permissions import Permission, Role, check_may_change_log_in
from trunkline.accounts.points import (
    Counter,
    Period,
    exceeded,
    period_start,
    remaining_points,
    seconds_left,
    used_in,
)
from trunkline.core.errors import ConfigurationError, InvalidInput, PermissionDenied
from trunkline.core.failures import FORGOTTEN_AFTER

MOMENTS = st.floats(0, 4e9)


@given(MOMENTS, st.sampled_from(Period))
def test_a_period_holds_its_moments(now: float, period: Period) -> None:
    start, left = period_start(period, now), seconds_left(period, now)
    assert start <= now < start + {Period.DAY: 86_400, Period.MINUTE: 60}[period]
    assert left >= 1
    assert period_start(period, now + left) > start
    assert datetime.fromtimestamp(start, UTC).second == 0


def test_the_day_resets_at_midnight_utc() -> None:
    last = datetime(2026, 2, 28, 23, 59, 59, 500_000, tzinfo=UTC).timestamp()
    assert seconds_left(Period.DAY, last) == 1
    midnight = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    assert period_start(Period.DAY, midnight) == midnight
    assert seconds_left(Period.DAY, midnight) == 86_400
    assert seconds_left(Period.MINUTE, midnight) == 60


@given(MOMENTS, MOMENTS, st.integers(0, 1000), st.sampled_from(Period))
def test_a_counter_counts_in_its_period_and_not_later(
    then: float, now: float, used: int, period: Period
) -> None:
    counter = Counter(period_start(period, then), used)
    expected = used if period_start(period, now) <= counter.start else 0
    assert used_in(period, counter, now) == expected
    assert used_in(period, None, now) == 0


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 150), st.integers(0, 150), MOMENTS)
def test_points_reported_are_never_negative(
    day: int, minute: int, used_d: int, used_m: int, now: float
) -> None:
    counters = {
        Period.DAY: Counter(period_start(Period.DAY, now), used_d),
        Period.MINUTE: Counter(period_start(Period.MINUTE, now), used_m),
    }
    points = remaining_points({Period.DAY: day, Period.MINUTE: minute}, counters, now)
    assert points.day_remaining == max(0, day - used_d)
    assert points.minute_remaining == max(0, minute - used_m)
    if points.day_remaining < 5:
        assert exceeded(points, 5) is Period.DAY


@given(st.integers(0, 100))
def test_the_brake_only_gets_stronger(failures: int) -> None:
    assert (
        login_throttle.wait_after(failures)
        <= login_throttle.wait_after(failures + 1)
        <= login_throttle.LONGEST_WAIT
    )
    assert (login_throttle.wait_after(failures) == 0) == (failures < login_throttle.FREE_FAILURES)


def test_the_brake_lets_go() -> None:
    assert login_throttle.remaining_wait(7, 100.0, 100.0) == 4
    assert login_throttle.remaining_wait(7, 100.0, 103.0) == 1
    assert login_throttle.remaining_wait(7, 100.0, 104.0) == 0
    assert login_throttle.remaining_wait(50, 100.0, 100.0 + FORGOTTEN_AFTER + 1) == 0
    # A clock that stepped back must not lock somebody out for hours.
    assert login_throttle.remaining_wait(50, 100_000.0, 0.0) == login_throttle.LONGEST_WAIT


def test_failures_are_counted_by_login_and_address() -> None:
    assert login_throttle.subject(" Anna ", "192.0.2.1") == login_throttle.subject("anna", "192.0.2.1")
    assert login_throttle.subject("anna", "192.0.2.1") != login_throttle.subject("anna", "192.0.2.2")
    assert login_throttle.subject("anna", None) != login_throttle.subject("boris", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("not an address", None),
        ("192.0.2.1/24", None),
        ("", None),
    ],
)
def test_addresses(text: str, expected: str | None) -> None:
    assert networks.parse_address(text) == (ip_address(expected) if expected else None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", "192.0.2.1/32"),
        ("192.0.2.77/24", "192.0.2.0/24"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::/0", "::/0"),
    ],
)
def test_networks(text: str, expected: str) -> None:
    assert networks.parse_network(text) == ip_network(expected)


@pytest.mark.parametrize("text", ["", "192.0.2", "192.0.2.0/33", "example.com", "::/129"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        networks.parse_network(text)
    assert caught.value.value == text


def test_who_is_admitted() -> None:
    lan, six = networks.parse_network("192.0.2.0/24"), networks.parse_network("2001:db8::/32")
    inside, outside = ip_address("192.0.2.9"), ip_address("198.51.100.1")
    assert not networks.admits([], inside)
    assert networks.admits([six, lan], inside)
    assert not networks.admits([six, lan], outside)
    assert networks.admits([lan, six], ip_address("2001:db8::5"))
    assert not networks.admits([networks.parse_network("::/0")], inside)


def test_the_whole_of_ipv4_means_everybody() -> None:
    everybody = [networks.parse_network("0.0.0.0/0")]
    assert networks.admits(everybody, ip_address("198.51.100.1"))
    assert networks.admits(everybody, ip_address("2001:db8::5"))


def test_tokens_are_long_and_stored_hashed() -> None:
    made = {tokens.new_token() for _ in range(100)}
    assert len(made) == 100
    for token in made:
        assert len(token) == 43
        assert tokens.hash_of(token) != token.encode()
        assert len(tokens.hash_of(token)) == 32
    assert tokens.hash_of("x" * 100_000) == b""
    assert len(tokens.hash_of("\ud800")) == 32
    assert tokens.hint_of("abcdefgh") == "efgh"


async def test_passwords() -> None:
    stored = await passwords.hash_of("correct horse")
    assert stored.startswith("$argon2id$")
    assert "correct" not in stored
    assert await passwords.fits("correct horse", stored)
    assert not await passwords.fits("Correct horse", stored)
    assert not await passwords.fits("correct horse", None)
    assert not await passwords.fits("correct horse", "damaged")
    assert not await passwords.fits("\ud800", stored)
    assert not passwords.needs_rehash(stored)


@pytest.mark.parametrize("password", ["", "1234567", "x" * 201])
def test_passwords_that_are_not_taken(password: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        passwords.check_strength(password)
    assert caught.value.field == "password"
    assert password == "" or password not in caught.value.message


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_cipher_gives_back_what_it_took(text: str) -> None:
    cipher = Cipher(_KEY)
    assert cipher.decrypt(cipher.encrypt(text)) == text


_KEY = Fernet.generate_key()


def test_the_cipher_refuses_a_wrong_key() -> None:
    secret = Cipher(_KEY).encrypt("secret of a trunk")
    assert b"secret" not in secret
    with pytest.raises(ConfigurationError, match=r"master\.key"):
        Cipher(Fernet.generate_key()).decrypt(secret)
    with pytest.raises(ConfigurationError, match=r"master\.key"):
        Cipher(_KEY).decrypt(secret[:-1])
    with pytest.raises(ConfigurationError, match=r"master\.key"):
        Cipher(b"damaged")


def test_members_may_what_they_were_given() -> None:
    from zoneinfo import ZoneInfo

    def caller(role: Role) -> Caller:
        return Caller(
            1, 2, "anna", None, ZoneInfo("UTC"), "en", CallerKind.KEY, role,
            frozenset({"employees:select"}), frozenset(), True, True, False,
        )  # fmt: skip

    assert caller(Role.MEMBER).may("employees", "select")
    assert not caller(Role.MEMBER).may("employees", "update")
    assert caller(Role.ADMIN).may("employees", "update")
    assert caller(Role.OWNER).may("anything", "delete")


class _Supervisor:
    user_id = 1

    def may(self, resource: str, action: str) -> bool:
        return (resource, action) == ("reports", "select")


@pytest.mark.parametrize(
    ("user_id", "rights", "is_allowed"),
    [
        (2, {("reports", "select")}, True),
        (2, {("reports", "select"), ("users", "update")}, False),
        (1, {("users", "update")}, True),
    ],
)
def test_nobody_changes_the_log_in_of_a_user_with_more_rights(
    user_id: int, rights: set[Permission], is_allowed: bool
) -> None:
    if is_allowed:
        check_may_change_log_in(_Supervisor(), user_id, rights)
        return
    with pytest.raises(PermissionDenied, match="users update"):
        check_may_change_log_in(_Supervisor(), user_id, rights)
