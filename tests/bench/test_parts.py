"""Parts of the benchmark on the product itself, as short as they can be: a benchmark that fails measures nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline.bench import changes, commands

pytestmark = pytest.mark.engine


def _silent(_: str) -> None:
    """Progress that nobody reads."""


async def test_commands_are_measured_beside_bare_ones(tmp_path: Path) -> None:
    async with commands.set_up(tmp_path) as setup:
        report = await commands.measure(setup, commands.Plan(5, 5, 5, 1, 0.2), _silent)
    assert report["left"] == {}
    for name in ("start_to_invite_ms", "release_to_bye_ms"):
        assert report[name]["trunkline"]["p50"] > 0
        assert report[name]["bare"]["p50"] > 0
    assert report["list_calls"]["requests_per_second"]["trunkline"] > 0


async def test_each_change_reaches_the_calls(tmp_path: Path) -> None:
    async with changes.set_up(tmp_path) as company:
        found, lost = await changes.measure(company, 1, _silent)
    assert lost == []
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(
        [*changes.CHANGES, changes.IN_ENGINE], 1
    )
