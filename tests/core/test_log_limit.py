"""What others can cause at any rate is logged at a limited one, with the number of occurrences."""

from __future__ import annotations

from trunkline.core.log_limit import KEYS_MAX, LOG_SECONDS, LogLimit


def test_a_line_is_due_once_in_the_period_for_each_key() -> None:
    limit: LogLimit[str] = LogLimit()
    assert limit.add("a", 0.0) == 1
    assert [limit.add("a", at) for at in (1.0, LOG_SECONDS - 0.1)] == [0, 0]
    assert limit.add("b", 1.0) == 1
    assert limit.add("a", LOG_SECONDS) == 3
    assert limit.add("a", 2 * LOG_SECONDS) == 1


def test_it_keeps_a_limited_number_of_keys() -> None:
    limit: LogLimit[int] = LogLimit()
    for key in range(3 * KEYS_MAX):
        assert limit.add(key, 0.0) == 1
        assert limit.add(key, 1.0) == 0
    assert len(limit._logged_at) <= KEYS_MAX
    assert len(limit._unlogged) <= KEYS_MAX + 1
