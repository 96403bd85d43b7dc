"""The retries of the work queues: one rule, and the numbers that the page has."""

from __future__ import annotations

import itertools
import re

import pytest

from tests.docs.pages import DOCS
from trunkline.core.retry import JITTER, POLICIES, RetryPolicy
from trunkline.core.settings import Settings

every_policy = pytest.mark.parametrize("policy", POLICIES, ids=lambda one: one.queue)


@every_policy
def test_pauses_double_up_to_the_longest(policy: RetryPolicy) -> None:
    middle = [policy.pause(attempts, 0.5) for attempts in range(1, 60)]
    assert middle[0] == policy.first
    assert middle[-1] == policy.longest
    assert all(after == min(2 * before, policy.longest) for before, after in itertools.pairwise(middle))
    assert policy.pause(10_000, 0.5) == policy.longest


@every_policy
def test_pauses_differ_by_a_fifth_at_most(policy: RetryPolicy) -> None:
    for attempts in (1, 5, 50):
        middle = policy.pause(attempts, 0.5)
        assert policy.pause(attempts, 0.0) == pytest.approx(middle * (1 - JITTER))
        assert policy.pause(attempts, 1.0) == pytest.approx(middle * (1 + JITTER))
        assert abs(policy.pause(attempts) - middle) <= JITTER * middle


@every_policy
def test_pauses_by_age_are_those_of_the_tries(policy: RetryPolicy) -> None:
    assert policy.pause_at_age(0.0, 0.5) == policy.first
    assert policy.pause_at_age(policy.first * 3, 0.5) == policy.first * 3
    assert policy.pause_at_age(1e9, 0.5) == policy.longest


@every_policy
def test_the_setting_that_gives_up_exists(policy: RetryPolicy) -> None:
    if policy.give_up_setting is not None:
        group, name = policy.give_up_setting.split(".")
        assert getattr(getattr(Settings(), group), name) > policy.longest


def test_the_page_has_these_numbers() -> None:
    page = (DOCS / "operations" / "work-queues.md").read_text()
    table = page.partition("<!-- queues -->")[2].partition("<!-- /queues -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \| ([^|]+) \| ([^|]+) \|", table, re.MULTILINE)
    assert rows == [
        (
            one.queue,
            f"{one.first:g}",
            f"{one.longest:g}",
            str(one.attempts or "not limited"),
            f"`{one.give_up_setting}`" if one.give_up_setting else "none",
        )
        for one in POLICIES
    ]
