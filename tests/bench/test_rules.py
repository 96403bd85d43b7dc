"""The pure parts of the benchmark: the search for the highest clean rate, and the figures."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.bench import changes, parts, synthetic
from trunkline.bench.calls import right_ends
from trunkline.bench.load import Search
from trunkline.bench.processes import memory_mb, wakeups
from trunkline.bench.queues import QueueLoad
from trunkline.bench.setting import Figure, Finding, Setting
from trunkline.bench.statistics import Spread, pooled, spread
from trunkline.queues.settings import Strategy


@given(
    limit=st.floats(2, 2000), first=st.integers(1, 500), precision=st.sampled_from([0.02, 0.05, 0.15, 0.3])
)
def test_search_ends_next_to_the_limit(limit: float, first: int, precision: float) -> None:
    search = Search(first, precision)
    steps = 0
    while not search.over:
        search.record(search.next, search.next <= limit)
        steps += 1
        assert steps < 60
    assert search.best <= limit
    assert search.best >= limit - max(2.0, precision * 1.3 * limit + 1)


def test_search_of_what_never_goes_clean_ends_at_nothing() -> None:
    search = Search(40, 0.05)
    for _ in range(60):
        if search.over:
            break
        search.record(search.next, clean=False)
    assert search.over
    assert search.best == 0.0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300))
def test_spread(values: list[float]) -> None:
    found = spread(values)
    assert found.count == len(values)
    assert min(values) - 0.001 <= found.p50 <= found.p99 <= max(values) + 0.001
    above = sum(1 for value in values if value > found.p99 + 0.001)
    assert above <= len(values) / 100


def test_nothing_measured_is_said() -> None:
    with pytest.raises(ValueError, match="nothing"):
        spread([])


def test_one_disturbed_round_does_not_count() -> None:
    rounds = [Spread(10, 4.0, 9.0), Spread(10, 70.0, 900.0), Spread(10, 5.0, 8.0)]
    assert pooled(rounds) == Spread(30, 5.0, 9.0)


@pytest.mark.parametrize(
    ("ends", "right"),
    [
        ({"caller_disconnects": 10}, True),
        ({"caller_disconnects": 8, "operator_not_responsive": 2}, True),
        ({"caller_disconnects": 7, "operator_not_responsive": 3}, False),
        ({"caller_disconnects": 8, "internal_error": 3}, False),
        ({"caller_disconnects (lost)": 10}, False),
    ],
)
def test_ends_of_calls_are_compared_with_what_the_caller_saw(ends: dict[str, int], right: bool) -> None:
    assert right_ends(ends, attempted=10, answered=8) is right


async def test_parts_run_by_name_each_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def part(setting: Setting) -> Finding:
        figures = {"rate_ms": Figure(7.0, 5.0), "share": Figure(0.7, 0.6, is_least=True)}
        return Finding(True, "lines", {"folder": str(setting.folder)}, figures)

    monkeypatch.setattr(
        parts, "PARTS", {name: parts.Part(f"about {name}", "how", part) for name in ("one", "two")}
    )
    setting = Setting(None, None, tmp_path, True, lambda _: None)  # type: ignore[arg-type]
    both, second = await parts.run((), setting), await parts.run(("two",), setting)
    assert list(both) == ["one", "two"]
    figures = {
        "rate_ms": {"value": 7.0, "aim": 5.0, "met": False},
        "share": {"value": 0.7, "aim": 0.6, "met": True},
    }
    assert parts.report(second) == {
        "two": {"ok": True, "method": "how", "figures": figures, "folder": str(tmp_path / "two")}
    }
    missed = "aims that are not met:\n  two: rate_ms is 7.0, the aim is at most 5.0"
    assert parts.tables(second) == f"two: about two\nlines\n\n{missed}"


@pytest.mark.parametrize(
    ("figure", "met"),
    [
        (Figure(5.0, 5.0), True),
        (Figure(5.1, 5.0), False),
        (Figure(0.6, 0.6, is_least=True), True),
        (Figure(0.5, 0.6, is_least=True), False),
        (Figure(None, 5.0), False),
    ],
)
def test_a_figure_meets_its_aim_up_to_the_aim_itself(figure: Figure, met: bool) -> None:
    assert figure.met is met


def test_delays_of_changes_are_reported_by_kind_and_together() -> None:
    found = {"a tag": [10.0, 30.0, 20.0], "a line": [40.0], changes.IN_ENGINE: [500.0], "a group": []}
    reported = changes.figures(found)
    assert reported["a tag"] == {"count": 3, "p50": 20.0, "p99": 30.0, "worst": 30.0}
    assert reported["all of them"] == {"count": 4, "p50": 25.0, "p99": 40.0, "worst": 40.0}
    assert reported["a group"]["count"] == 0


@given(
    now=st.integers(946_684_800, 4_102_444_800).map(lambda second: datetime.fromtimestamp(second, UTC)),
    sessions=st.integers(0, 10_000_000),
)
def test_months_have_all_the_calls_together_on_any_date(now: datetime, sessions: int) -> None:
    months = synthetic.months_until(now)
    counts = synthetic.split_by_weight(sessions, [month.seconds for month in months])
    assert sum(counts) == sessions
    assert min(counts) >= 0
    assert len(counts) == synthetic.MONTHS


def test_memory_and_wakeups_of_a_process_include_its_children() -> None:
    before = memory_mb({"us": os.getpid()}), wakeups({"us": os.getpid()})
    child = subprocess.Popen(
        [sys.executable, "-c", "x = bytearray(30_000_000); print(1, flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"1\n"
        assert memory_mb({"us": os.getpid()})["us"] > before[0]["us"] + 25
        assert wakeups({"us": os.getpid()})["us"] > before[1]["us"]
        child.communicate(b"\n")
    assert memory_mb({"gone": child.pid}) == {"gone": 0}


@pytest.mark.parametrize("strategy", [Strategy.LONGEST_IDLE_AGENT, Strategy.RING_ALL])
def test_load_of_queues_keeps_agents_busy_and_callers_waiting(strategy: Strategy) -> None:
    load = QueueLoad(strategy, waiting=40, agents=20)
    times, mean = load.measure(500)
    assert times.count >= 500
    assert mean > 0
    assert 20 <= len(load.waiting()) <= 80
    assert len(load.queues.index.agent_of) > 10
    assert load.is_replayed()
