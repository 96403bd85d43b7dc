"""Pauses, gates, signatures, addresses, and what a subscription may be."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.errors import InvalidInput
from trunkline.notifications import backoff
from trunkline.notifications.sender import retry_after, sign, sign_standard, standard_key
from trunkline.notifications.subscriptions import Draft, check
from trunkline.outbound import is_public

GOOD: dict[str, Any] = {
    "key": "crm",
    "name": "Our CRM",
    "url": "https://receiver.example/hook",
    "events": ["call_finish"],
}


@given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_pauses_grow_up_to_an_hour(attempts: int, chance: float) -> None:
    now, later = backoff.pause(attempts, chance), backoff.pause(attempts + 1, chance)
    assert 0.8 <= now <= later <= 3600 * 1.2


def test_a_day_has_a_few_dozen_attempts() -> None:
    elapsed, attempts = 0.0, 0
    while elapsed < 86_400:
        attempts += 1
        elapsed += backoff.pause(attempts, 0.5)
    assert 20 <= attempts <= 60


def test_suspensions_begin_late_and_end() -> None:
    seconds = [backoff.suspension(failures) for failures in range(1000)]
    assert seconds[: backoff.SUSPEND_AFTER] == [0.0] * backoff.SUSPEND_AFTER
    assert seconds[backoff.SUSPEND_AFTER] == backoff.FIRST_SUSPENSION
    assert max(seconds) == backoff.LONGEST_SUSPENSION


def test_the_signature_is_the_documented_one() -> None:
    # echo -n '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
    assert sign(["secret"], '{"a":1}', 1_700_000_000) == (
        "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686"
    )


def test_the_signature_of_standard_webhooks() -> None:
    # printf '1-7.1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret-secret-16 -binary | base64
    secret = "whsec_" + base64.b64encode(b"secret-secret-16").decode()
    expected = base64.b64encode(
        hmac.digest(b"secret-secret-16", b'1-7.1700000000.{"a":1}', "sha256")
    ).decode()
    assert sign_standard([secret], "1-7", '{"a":1}', 1_700_000_000) == f"v1,{expected}"
    both = sign_standard([secret, "secret-secret-16"], "1-7", '{"a":1}', 1_700_000_000)
    assert both == f"v1,{expected} v1,{expected}", "a secret without the prefix is the key itself"
    assert standard_key("whsec_no base64!") == b"whsec_no base64!"


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("1e3", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("9" * 400, 86_400.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:14:20", 60.0),
        ("Tue, 14 Nov 2023 22:12:20 GMT", 0.0),
        ("Tue, 99 Nov 2023 22:12:20 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float) -> None:
    assert retry_after(value, 1_700_000_000.0) == seconds


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("::ffff:127.0.0.1", False),
        ("fd00::1", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_good_subscription() -> None:
    check(Draft(**GOOD, secret="0123456789abcdef", headers={"Authorization": "Bearer x"}))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("key", {"key": " "}),
        ("name", {"name": ""}),
        ("url", {"url": "receiver"}),
        ("events", {"events": []}),
        ("events", {"events": ["call_finish", "nonsense"]}),
        ("method", {"method": "DELETE"}),
        ("secret", {"secret": "short"}),
        ("headers", {"headers": {"X-A": "1\r\nX-B: 2"}}),
        ("headers", {"headers": {"X A": "1"}}),
        ("headers", {"headers": {"Host": "x"}}),
        ("headers", {"headers": {"Trunkline-Signature": "x"}}),
        ("body_template", {"body_template": '{"a": {{b}}}'}),
        ("body_template", {"body_template": "a", "headers": {"content-type": "application/json"}}),
    ],
)
def test_bad_subscriptions_are_refused(field: str, change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as caught:
        check(Draft(**{**GOOD, **change}))
    assert caught.value.field == field
